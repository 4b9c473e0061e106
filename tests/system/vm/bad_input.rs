//! Bad input and hostile guests: each gets a clear, typed outcome; nothing hangs, nothing is lost.

use std::{fs, os::unix::fs::symlink};

use harness::world::World;

/// Runs one task to its end and returns its last failure.
async fn failure_of(world: &World, name: &str, task: &str) -> serde_json::Value {
    let folder = world.folder(name, &[("a.txt", "a\n")]);
    let plan =
        world.plan(name, &format!("version: 1\ntitle: {name}\ntasks:\n  - id: t\n    retries: {{ max: 0 }}\n{task}"));
    let id = world.run(&plan, &folder);
    let task = world.until_task(&id, "t", &["failed", "completed", "unverified"]).await;
    assert_eq!(task["state"], "failed", "{task:#}");
    world.until_state(&id, &["failed"]).await;
    task["failure"].clone()
}

#[tokio::test]
async fn a_guest_cannot_lie_hang_flood_or_reach_out() {
    let world = World::up().await;

    // It says 0 and hands over a tree on which the check fails: the second VM finds out.
    let lie = failure_of(
        &world,
        "lie",
        "    run: |\n      echo 'all tests pass' > \"$BATON_SUMMARY\"\n      exit 0\n    checks: [\"test -e result.txt\"]\n",
    )
    .await;
    assert_eq!(lie["reason"], "check_failed", "{lie:#}");

    let exit = failure_of(&world, "exit", "    run: |\n      echo going down >&2\n      exit 7\n").await;
    assert_eq!(exit["reason"], "program_failed");
    assert!(exit["detail"].as_str().is_some_and(|d| d.contains('7')), "{exit:#}");
    assert!(exit["output_tail"].as_str().is_some_and(|d| d.contains("going down")), "{exit:#}");

    let silent = failure_of(&world, "silent", "    timeout: 5s\n    run: sleep 3600\n").await;
    assert_eq!(silent["reason"], "timed_out", "{silent:#}");

    // The only network there is, is the loopback.
    let network = failure_of(
        &world,
        "network",
        "    run: |\n      test \"$(ls /sys/class/net | grep -v '^lo$' | wc -l)\" = 0 || exit 0\n      curl -m 5 http://192.0.2.1/ || exit 9\n",
    )
    .await;
    assert_eq!(network["reason"], "program_failed");
    assert!(network["detail"].as_str().is_some_and(|d| d.contains('9')), "{network:#}");

    let outputs = failure_of(&world, "outputs", "    run: echo x > elsewhere.txt\n    outputs: [here.txt]\n").await;
    assert_eq!(outputs["reason"], "outputs_violated");
    assert!(outputs["detail"].as_str().is_some_and(|d| d.contains("elsewhere.txt")), "{outputs:#}");

    let result = failure_of(&world, "result", "    run: echo '{not json' > \"$BATON_RESULT\"\n").await;
    assert_eq!(result["reason"], "bad_result");
}

#[tokio::test]
async fn what_a_guest_hands_over_is_looked_at() {
    let world = World::up().await;
    for (name, script) in [
        ("newline", "python3 -c 'open(\"a\\nb\", \"w\")'"),
        ("outside-link", "ln -s /etc/passwd link"),
        ("climbing-link", "ln -s ../../secret link"),
        ("latin", "python3 -c 'import os; open(os.fsdecode(bytes([255, 254])), \"w\")'"),
    ] {
        let failure = failure_of(&world, name, &format!("    run: |\n      {script}\n")).await;
        assert_eq!(failure["reason"], "unsafe_changes", "{name}: {failure:#}");
    }
}

#[tokio::test]
async fn a_guest_that_stops_answering_is_given_up() {
    let world = World::up().await;
    let folder = world.folder("frozen", &[("a.txt", "a\n")]);
    let plan = world.plan(
        "frozen",
        "version: 1\ntitle: Frozen\ntasks:\n  - id: t\n    retries: { max: 0 }\n    run: |\n      echo begun\n      sleep 3600\n",
    );
    let id = world.run(&plan, &folder);
    harness::wait::until("the program to run", harness::world::PATIENCE, || {
        let begun = world.baton(&["logs", &id]).out.contains("begun");
        async move { begun.then_some(()) }
    })
    .await;
    let machines = world.machines();
    assert!(!machines.is_empty(), "the attempt has a machine");
    for machine in machines {
        harness::world::signal(machine, rustix::process::Signal::STOP);
    }
    let task = world.until_task(&id, "t", &["failed", "completed", "unverified"]).await;
    assert_eq!(task["failure"]["reason"], "guest_lost", "{task:#}");
    // A new project gets a new machine: the host has recovered.
    let plan = world.plan(
        "after",
        "version: 1\ntitle: After\ntasks:\n  - id: t\n    run: echo b > b.txt\n    checks: [test -s b.txt]\n",
    );
    let id = world.run(&plan, &folder);
    world.until_state(&id, &["completed"]).await;
}

#[tokio::test]
async fn a_flood_of_output_and_a_storm_of_processes_end_well() {
    let world = World::up().await;
    let folder = world.folder("flood", &[("a.txt", "a\n")]);
    let plan = world.plan(
        "flood",
        r#"
version: 1
title: Flood
tasks:
  - id: flood
    run: |
      head -c 1000000000 /dev/zero | tr '\0' x
      echo the end
    checks: ["true"]
  - id: forks
    timeout: 60s
    retries: { max: 0 }
    run:
      python: |
        import os, time
        children = 0
        try:
            while children < 100000:
                if os.fork() == 0:
                    time.sleep(3600)
                children += 1
        except OSError as error:
            print("stopped after", children, error)
            raise SystemExit(3)
"#,
    );
    let id = world.run(&plan, &folder);
    let flood = world.until_task(&id, "flood", &["completed", "failed"]).await;
    assert_eq!(flood["state"], "completed", "{flood:#}");
    let printed = flood["handoff"]["usage"]["output_bytes"].as_u64().expect("output_bytes");
    assert!(printed >= 1_000_000_000, "{printed} counted");
    let forks = world.until_task(&id, "forks", &["completed", "failed"]).await;
    assert_eq!(forks["state"], "failed");
    let logs = world.ok(&["logs", &id]).out;
    assert!(logs.len() < 40_000_000, "{} bytes of output were kept", logs.len());
}

#[tokio::test]
async fn bad_folders_and_plans_are_refused_before_anything_runs() {
    let world = World::up().await;
    let good = world.plan("good", "version: 1\ntitle: T\ntasks:\n  - id: t\n    run: \"true\"\n");
    let run = |plan: &str, folder: &str| world.baton(&["run", plan, "--folder", folder, "--yes", "--detach"]);

    let missing = run(&good, "/nowhere/at/all");
    assert_eq!(missing.code, 3, "{}", missing.err);
    assert!(missing.err.contains("/nowhere/at/all"), "{}", missing.err);

    let large = world.folder("large", &[]);
    let file = fs::File::create(large.join("disk.img")).expect("create");
    file.set_len(1_000_000_000).expect("a sparse file");
    let refused = run(&good, &large.display().to_string());
    assert_eq!(refused.code, 3, "{}", refused.err);
    assert!(refused.err.contains("disk.img") && refused.err.contains(".batonignore"), "{}", refused.err);

    let linked = world.folder("linked", &[]);
    symlink("/etc/passwd", linked.join("out")).expect("link");
    let refused = run(&good, &linked.display().to_string());
    assert_eq!(refused.code, 3, "{}", refused.err);
    assert!(refused.err.contains("out"), "{}", refused.err);

    let cycle = world.plan(
        "cycle",
        "version: 1\ntitle: T\ntasks:\n  - id: a\n    needs: [b]\n    run: \"true\"\n  - id: b\n    needs: [a]\n    run: \"true\"\n",
    );
    let refused = run(&cycle, &large.display().to_string());
    assert_eq!(refused.code, 3, "{}", refused.err);
    assert!(refused.err.contains("a → b → a") || refused.err.contains("b → a → b"), "{}", refused.err);

    let network = world
        .plan("network", "version: 1\ntitle: T\ntasks:\n  - id: a\n    network: [example.org]\n    run: \"true\"\n");
    assert_eq!(run(&network, &linked.display().to_string()).code, 3);
    assert_eq!(world.ok(&["--json", "ps"]).lines().len(), 0, "a refused project must not exist");
}
