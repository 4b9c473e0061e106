//! Agents and people: questions, notes, budgets.

use harness::{model::Model, world::World};

use super::{completed, plan};

const HAND_OFF: &str = r#"[{ tool = "hand_off", input = { goal = "the work", done = "it is done" } }]"#;

#[tokio::test]
async fn an_agent_asks_a_person_and_goes_on_with_the_answer() {
    let model = Model::play(&format!(
        r#"
[[conversation]]
name = "work"
match = ["The work (work)"]
[[conversation.turn]]
calls = [{{ tool = "exec", input = {{ command = "echo draft > draft.txt" }} }}]
[[conversation.turn]]
calls = [{{ tool = "ask_person", input = {{ question = "Which color?", options = ["red", "blue"] }} }}]
[[conversation.turn]]
expect = {{ body = ["navy blue, please"] }}
calls = [{{ tool = "exec", input = {{ command = "cat draft.txt; echo navy > color.txt" }} }}]
[[conversation.turn]]
expect = {{ last = ["draft"] }}
calls = {HAND_OFF}
"#
    ));
    let world = World::with_model(&model).await;
    let folder = world.folder("work", &[("a.txt", "a\n")]);
    let id = world.run(&world.plan("plan", &plan("Paint it.", "    checks: [test -s color.txt]\n")), &folder);
    let asked = world.asked(&id).await;
    assert_eq!(asked["subject"]["kind"], "question", "{asked:#}");
    assert!(asked.to_string().contains("Which color?"), "{asked:#}");
    assert_eq!(world.task(&id, "work")["state"], "input_required");
    harness::wait::until("the VM to go", harness::world::PATIENCE, || {
        let hosts = world.baton(&["--json", "hosts"]).lines();
        async move { hosts.iter().all(|h| h["beat"]["attempts"].as_array().is_some_and(Vec::is_empty)).then_some(()) }
    })
    .await;
    world.ok(&["approve", asked["approval_id"].as_str().expect("an id"), "--note", "navy blue, please"]);
    completed(&world, &id).await;
    world.ok(&["apply", &id]);
    assert_eq!(std::fs::read_to_string(folder.join("color.txt")).unwrap_or_default(), "navy\n");
    assert_eq!(std::fs::read_to_string(folder.join("draft.txt")).unwrap_or_default(), "draft\n");
    model.was_pleased();
    assert_eq!(
        model.given("work"),
        [(1, 1), (2, 1), (3, 1), (4, 1)],
        "waiting costs nothing, going on repeats nothing"
    );
}

#[tokio::test]
async fn a_note_reaches_an_agent_at_its_next_turn() {
    let model = Model::play(&format!(
        r#"
[[conversation]]
name = "work"
match = ["The work (work)"]
[[conversation.turn]]
forever = true
calls = [{{ tool = "exec", input = {{ command = "echo waiting for a word $(head -c 9 /dev/urandom | base64); sleep 1" }} }}]
[[conversation.turn]]
when = ["four blanks, not tabs"]
calls = [{{ tool = "exec", input = {{ command = "echo '    x' > x.txt; echo wrote it" }} }}]
[[conversation.turn]]
when = ["wrote it"]
calls = {HAND_OFF}
"#
    ));
    let world = World::with_model(&model).await;
    let folder = world.folder("work", &[("a.txt", "a\n")]);
    let id = world.run(&world.plan("plan", &plan("Indent it.", "    checks: [test -s x.txt]\n")), &folder);
    harness::wait::until("the tool", harness::world::PATIENCE, || {
        let logs = world.baton(&["logs", &id]).out;
        async move { logs.contains("waiting for a word").then_some(()) }
    })
    .await;
    world.ok(&["tell", &format!("{id}/work"), "four blanks, not tabs"]);
    completed(&world, &id).await;
    model.was_pleased();
    assert_eq!(world.task(&id, "work")["attempt"], 1);
}

#[tokio::test]
async fn at_the_limit_of_its_budget_a_task_pauses_and_asks() {
    let mut script = String::from("[[conversation]]\nname = \"work\"\nmatch = [\"The work (work)\"]\n");
    for turn in 1..4 {
        script.push_str(&format!(
            "[[conversation.turn]]\ncalls = [{{ tool = \"exec\", input = {{ command = \"echo {turn} >> n.txt\" }} }}]\n"
        ));
    }
    script.push_str(&format!("[[conversation.turn]]\ncalls = {HAND_OFF}\n"));
    let model = Model::play(&script);
    let world = World::with_model(&model).await;
    let folder = world.folder("work", &[("a.txt", "a\n")]);
    let more = "    budget: { turns: 2 }\n    checks: [test -s n.txt]\n";
    let id = world.run(&world.plan("plan", &plan("Count.", more)), &folder);
    let asked = world.asked(&id).await;
    assert_eq!(asked["subject"]["kind"], "budget", "{asked:#}");
    assert_eq!(model.given("work"), [(1, 1), (2, 1)], "not one call beyond the limit");
    let task = world.task(&id, "work");
    assert_eq!(task["state"], "input_required", "{task:#}");
    world.ok(&["approve", asked["approval_id"].as_str().expect("an id")]);
    completed(&world, &id).await;
    world.ok(&["apply", &id]);
    assert_eq!(std::fs::read_to_string(folder.join("n.txt")).unwrap_or_default(), "1\n2\n3\n");
    model.was_pleased();
    assert_eq!(model.given("work"), [(1, 1), (2, 1), (3, 1), (4, 1)]);
}
