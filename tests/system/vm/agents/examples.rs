//! The examples for agents run as they are, from `baton run` to `apply`.

use std::{fs, path::Path, process::Command};

use harness::{
    model::{Model, copy},
    paths,
    world::World,
};

use super::completed;

fn tests_pass(folder: &Path) -> bool {
    let tests = Command::new("python3").args(["-m", "unittest", "-q"]).current_dir(folder).output();
    tests.expect("python3 runs").status.success()
}

fn project_of(world: &World, example: &str) -> std::path::PathBuf {
    let folder = world.folder(example, &[]);
    copy(&paths::root().join("examples").join(example).join("project"), &folder);
    folder
}

#[tokio::test]
async fn bugfix_makes_a_failing_test_suite_pass() {
    let model = Model::of_example("bugfix");
    let world = World::with_model(&model).await;
    let folder = project_of(&world, "bugfix");
    assert!(!tests_pass(&folder), "the example begins with a failing test suite");
    let plan = paths::root().join("examples/bugfix/plan.yaml").display().to_string();
    let id = world.run(&plan, &folder);

    let asked = world.asked(&id).await;
    let handoff = &asked["handoff"];
    assert_eq!(asked["task_key"], "fix");
    assert!(handoff["evidence"].as_array().is_some_and(|e| e.len() == 2 && e.iter().all(|c| c["passed"] == true)));
    assert!(handoff["report"]["must_know"].as_array().is_some_and(|known| known.len() == 3), "{handoff:#}");
    world.ok(&["approve", asked["approval_id"].as_str().expect("an id")]);
    completed(&world, &id).await;
    world.ok(&["apply", &id]);
    assert!(tests_pass(&folder), "the tests pass in the person's folder");

    model.was_pleased();
    assert_eq!(model.given("fix"), [(1, 1), (2, 1), (3, 1), (4, 1), (5, 1)], "no turn is paid for twice");
    let told = model.requests().iter().filter_map(|seen| seen.usage).fold(0, |sum, used| {
        sum + used.input + used.output + used.cache_read + used.cache_write_5m + used.cache_write_1h
    });
    let spend = &world.task(&id, "fix")["spend"];
    assert_eq!((spend["calls"].as_u64(), spend["tokens"].as_u64()), (Some(5), Some(told)), "{spend:#}");
    let logs = world.ok(&["logs", &id]).out;
    assert!(logs.contains("First I look at what fails") && logs.contains("Ran 8 tests"), "{logs}");
    assert_eq!(world.ok(&["--json", "rebuild"]).json()["differences"], 0);
}

#[tokio::test]
async fn feature_goes_from_a_goal_to_an_applied_change() {
    let model = Model::of_example("feature");
    let mut world = World::new(&format!("[pool]\nslots = 2\nspares = 1\n{}", model.config()));
    world.start().await;
    let folder = project_of(&world, "feature");
    let goal = fs::read_to_string(paths::root().join("examples/feature/goal.txt")).expect("the goal");
    let id = world.run_goal(goal.trim(), &folder);

    let asked = world.asked(&id).await;
    assert_eq!(asked["subject"]["kind"], "plan", "{asked:#}");
    let tasks = asked["plan"]["tasks"].as_array().expect("the plan's tasks");
    let named: Vec<_> = tasks.iter().filter_map(|task| task["id"].as_str()).collect();
    assert_eq!(named, ["search", "export", "together"]);
    assert!(
        world.project(&id)["tasks"]
            .as_array()
            .expect("tasks")
            .iter()
            .all(|task| { task["key"] == "plan" || task["attempt"] == 0 }),
        "nothing of the plan runs before it is approved"
    );
    world.ok(&["approve", asked["approval_id"].as_str().expect("an id")]);

    let asked = world.asked(&id).await;
    assert_eq!(asked["task_key"], "together", "{asked:#}");
    assert!(asked["handoff"]["evidence"].as_array().is_some_and(|e| e.iter().all(|check| check["passed"] == true)));
    world.ok(&["approve", asked["approval_id"].as_str().expect("an id")]);
    completed(&world, &id).await;
    assert_eq!(fs::read_to_string(folder.join("README.md")).unwrap_or_default().matches("search").count(), 0);
    world.ok(&["apply", &id]);
    assert!(tests_pass(&folder));
    for file in ["todo/search.py", "todo/export.py", "tests/test_search.py", "tests/test_export.py"] {
        assert!(folder.join(file).exists(), "{file}");
    }
    assert!(fs::read_to_string(folder.join("README.md")).unwrap_or_default().contains("todo.cli search"));
    model.was_pleased();
    for conversation in ["planner", "search", "export", "together"] {
        assert!(model.given(conversation).iter().all(|(_, times)| *times == 1), "{conversation}");
    }
}
