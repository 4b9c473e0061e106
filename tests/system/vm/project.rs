//! The main job: a plan runs in real VMs and changes a real folder.

use std::fs;

use harness::world::World;

const PLAN: &str = r##"
version: 1
title: Two parts and a whole
tasks:
  - id: left
    run: |
      echo "left of $(cat seed.txt)" > left.txt
      echo '{"words": 3}' > "$BATON_RESULT"
      echo "wrote left" > "$BATON_SUMMARY"
    outputs: [left.txt]
    checks: [grep -q seed left.txt]
  - id: right
    run:
      python: |
        import pathlib
        pathlib.Path("right.txt").write_text("right of " + pathlib.Path("seed.txt").read_text())
        pathlib.Path("tool.sh").write_text("#!/bin/sh\necho tool\n")
        pathlib.Path("tool.sh").chmod(0o755)
        pathlib.Path("old.txt").unlink()
    outputs: [right.txt, tool.sh, old.txt]
    checks: [grep -q seed right.txt, ./tool.sh | grep -q tool, test ! -e old.txt]
  - id: whole
    needs: [left, right]
    run: |
      cat left.txt right.txt > whole.txt
      python3 -c 'import json, os; print(json.load(open(os.environ["BATON_EXCHANGE"] + "/needs.json"))["left"]["result"]["words"])' >> whole.txt
    outputs: [whole.txt]
    checks:
      - { name: the whole has three lines, run: test "$(wc -l < whole.txt)" = 3 }
    approval: ask
"##;

#[tokio::test]
async fn a_plan_changes_a_folder_and_the_change_can_be_undone() {
    let world = World::up().await;
    let folder = world.folder("work", &[("seed.txt", "seed\n"), ("old.txt", "old\r\n"), ("mine.txt", "one\n")]);
    let id = world.run(&world.plan("plan", PLAN), &folder);

    let approval = world.until_asked(&id).await;
    let asked = world.baton(&["--json", "approvals", &approval]).json();
    assert_eq!(asked["task_key"], "whole");
    assert_eq!(asked["handoff"]["evidence"][0]["passed"], true);
    assert_eq!(asked["handoff"]["evidence"][0]["name"], "the whole has three lines");
    assert_eq!(world.task(&id, "whole")["state"], "input_required");
    assert!(!folder.join("whole.txt").exists(), "nothing reaches the folder before apply");
    world.ok(&["approve", &approval]);
    world.until_state(&id, &["completed"]).await;

    let again = world.baton(&["reject", &approval, "--reason", "too late"]);
    assert_eq!(again.code, 5, "a decided request stays decided: {}", again.err);
    let diff = world.ok(&["diff", &id]).out;
    assert!(diff.contains("+left of seed") && diff.contains("-old"), "{diff}");

    // A change of the person's own meanwhile, elsewhere.
    fs::write(folder.join("mine.txt"), "one\ntwo\n").expect("edit");
    world.ok(&["apply", &id]);
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
    assert_eq!(read("whole.txt"), "left of seed\nright of seed\n3\n");
    assert_eq!(read("mine.txt"), "one\ntwo\n");
    assert!(!folder.join("old.txt").exists());
    assert!(!folder.join(".git").exists(), "the folder gets no .git");

    world.ok(&["undo", &id]);
    assert_eq!(read("old.txt"), "old\r\n");
    assert_eq!(read("mine.txt"), "one\ntwo\n");
    for gone in ["whole.txt", "left.txt", "right.txt", "tool.sh"] {
        assert!(!folder.join(gone).exists(), "{gone} is left after undo");
    }
    assert_eq!(world.ok(&["--json", "rebuild"]).json()["differences"], 0);
}

#[tokio::test]
async fn a_note_reaches_the_next_attempt_and_a_rejection_ends_it() {
    let world = World::up().await;
    let folder = world.folder("work", &[("a.txt", "a\n")]);
    let plan = world.plan(
        "plan",
        r#"
version: 1
title: Ask me
tasks:
  - id: draft
    run: cp "$BATON_EXCHANGE/notes.md" draft.txt 2>/dev/null || echo none > draft.txt
    checks: [test -s draft.txt]
    approval: ask
"#,
    );
    let id = world.run(&plan, &folder);
    let first = world.until_asked(&id).await;
    assert_eq!(world.baton(&["request-changes", &first]).code, 2, "a note is required");
    world.ok(&["request-changes", &first, "--note", "shorter, please"]);
    let second = world.until_asked(&id).await;
    assert_ne!(first, second);
    let diff = world.ok(&["diff", &id, "--task", "draft"]).out;
    assert!(diff.contains("shorter, please"), "{diff}");
    world.ok(&["reject", &second, "--reason", "no longer needed"]);
    let project = world.until_state(&id, &["failed", "rejected"]).await;
    assert_eq!(project["tasks"][0]["state"], "rejected");
    assert_eq!(world.baton(&["apply", &id]).code, 5, "nothing to apply");
}

#[tokio::test]
async fn foreach_fans_out_over_a_result_and_when_skips() {
    let world = World::up().await;
    let folder = world.folder("work", &[("x.in", "1\n"), ("y.in", "2\n")]);
    let plan = world.plan(
        "plan",
        r#"
version: 1
title: Fan out
tasks:
  - id: scan
    run: |
      printf '{"files": ["x.in", "y.in"]}' > "$BATON_RESULT"
    checks: ["true"]
  - id: copy
    needs: [scan]
    foreach: { from: needs.scan.result.files }
    run: |
      name=$(python3 -c 'import json, os; print(json.load(open(os.environ["BATON_EXCHANGE"] + "/item.json")))')
      cp "$name" "${name%.in}.out"
      echo "\"$name\"" > "$BATON_RESULT"
    outputs: ["*.out"]
    checks: ["ls *.out"]
  - id: never
    needs: [scan]
    when: size(needs.scan.result.files) > 5
    run: "false"
  - id: join
    needs: [copy, never]
    run: |
      python3 -c 'import json, os; print(sorted(json.load(open(os.environ["BATON_EXCHANGE"] + "/needs.json"))["copy"]["results"]))' > joined.txt
      cat x.out y.out >> joined.txt
    checks: ["test $(wc -l < joined.txt) = 3"]
"#,
    );
    let id = world.run(&plan, &folder);
    world.until_state(&id, &["completed", "failed"]).await;
    assert_eq!(world.task(&id, "copy[1]")["state"], "completed");
    assert_eq!(world.task(&id, "never")["state"], "skipped");
    world.ok(&["apply", &id]);
    let joined = fs::read_to_string(folder.join("joined.txt")).expect("joined.txt");
    assert_eq!(joined, "['x.in', 'y.in']\n1\n2\n");
}

#[tokio::test]
async fn output_streams_live_and_a_canceled_project_lets_go_of_its_machines() {
    let world = World::up().await;
    let folder = world.folder("work", &[("a.txt", "a\n")]);
    let plan = world.plan(
        "plan",
        "version: 1\ntitle: Long\ntasks:\n  - id: long\n    run: |\n      echo started here\n      sleep 3600\n",
    );
    let id = world.run(&plan, &folder);
    harness::wait::until("live output", harness::world::PATIENCE, || {
        let answer = world.baton(&["logs", &id]);
        async move { answer.out.contains("started here").then_some(()) }
    })
    .await;
    world.ok(&["cancel", &id, "--reason", "enough"]);
    let project = world.until_state(&id, &["canceled"]).await;
    assert_eq!(project["tasks"][0]["state"], "canceled");
    harness::wait::until("the host to let go", harness::world::PATIENCE, || {
        let hosts = world.baton(&["--json", "hosts"]).lines();
        async move { hosts.iter().all(|h| h["beat"]["attempts"].as_array().is_some_and(Vec::is_empty)).then_some(()) }
    })
    .await;
}
