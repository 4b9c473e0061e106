//! Every command as a process: what it prints where, and how it exits.

use bus_schemas::v1::{
    api::{ApprovalView, DeadLetterView, Problem, ProjectView},
    approval::Verdict,
    project::ProjectState,
    task::LogSource,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixListener,
};

use crate::{
    fake::{chunk, verdict_of},
    world::{World, write},
};

const PROJECT: &str = "0193abcd-4f21";
const APPROVAL: &str = "0193abcd-4f99";

#[tokio::test]
async fn without_an_orchestrator_it_says_what_to_type() {
    let world = World::bare();
    let ran = world.baton(&["ps"]).await.expect(6);
    assert!(ran.err.contains("hint: start it with `baton up`") && ran.out.is_empty(), "{ran:?}");
    let ran = world.baton(&["ps", "--json"]).await.expect(6);
    assert_eq!(serde_json::from_str::<Problem>(&ran.err).unwrap().code, "unreachable");
}

#[tokio::test]
async fn an_answer_that_is_not_of_the_api_is_said() {
    let world = World::bare();
    std::fs::create_dir_all(world.path("run")).unwrap();
    let listener = UnixListener::bind(world.socket()).unwrap();
    let stranger = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        let _ = socket.read(&mut request).await.unwrap();
        socket.write_all(b"HTTP/1.1 500 Oh\r\ncontent-length: 2\r\n\r\nno").await.unwrap();
    });
    let ran = world.baton(&["ps"]).await.expect(70);
    assert!(ran.err.contains("list projects: answer 500 Internal Server Error is not of this API"), "{ran:?}");
    stranger.await.unwrap();
}

#[tokio::test]
async fn the_command_line_is_checked() {
    let world = World::bare();
    assert!(world.baton(&["--version"]).await.expect(0).out.starts_with("baton "));
    assert!(world.baton(&["frobnicate"]).await.expect(2).err.contains("frobnicate"));
    let ran = world.baton(&["frobnicate", "--json"]).await.expect(2);
    assert_eq!(serde_json::from_str::<Problem>(&ran.err).unwrap().code, "usage");
    let ran = world.baton(&["completions", "bash"]).await.expect(0);
    assert!(ran.out.contains("request-changes") && !ran.err.contains("error"));
    assert!(world.baton(&["serve"]).await.expect(2).err.contains("baton up"));
}

#[tokio::test]
async fn a_bad_configuration_names_its_place() {
    let world = World::served().await;
    write(&world.path("config/baton.toml"), "[pool]\nslot = 3\n");
    let ran = world.baton(&["ps"]).await.expect(3);
    assert!(ran.err.contains("baton.toml:2:1: unknown key `pool.slot`; did you mean `pool.slots`?"), "{ran:?}");
}

#[tokio::test]
async fn projects_are_listed_and_shown() {
    let world = World::served().await;
    let ran = world.baton(&["ps"]).await.expect(0);
    assert!(
        ran.out.starts_with("PROJECT") && ran.out.contains(PROJECT) && ran.out.contains("(1 to approve)"),
        "{ran:?}"
    );
    let ran = world.baton(&["ps", "--json"]).await.expect(0);
    assert_eq!(serde_json::from_str::<ProjectView>(ran.out.trim()).unwrap().title, "Audit");
    let ran = world.baton(&["status", "0193abcd4f21"]).await;
    assert_eq!(ran.code, 4, "the fake knows hyphens only, and says so: {ran:?}");
    let ran = world.baton(&["status", PROJECT]).await.expect(0);
    assert!(ran.out.contains("▶ scan  Look at everything  working"), "{}", ran.out);
    assert!(ran.out.contains(&format!("next: baton approve {APPROVAL}  to go on")), "{}", ran.out);
    let ran = world.baton(&["hosts"]).await.expect(0);
    assert!(ran.out.contains("desk") && ran.out.contains("lost") && ran.err.contains("no /dev/kvm"), "{ran:?}");
    world.fake.state().bus_away = true;
    let ran = world.baton(&["hosts"]).await.expect(0);
    assert!(ran.out.contains("bus away") && !ran.out.contains("lost"), "what was heard last is no news: {ran:?}");
    world.fake.state().bus_away = false;
    let ran = world.baton(&["dead-letters"]).await.expect(0);
    assert!(ran.out.contains("BATON_EVENTS") && ran.out.contains("missing field"), "{ran:?}");
    assert!(ran.out.contains("9000") && !ran.out.contains('\u{1b}'), "{ran:?}");
    let ran = world.baton(&["dead-letters", "--json"]).await.expect(0);
    assert_eq!(serde_json::from_str::<DeadLetterView>(ran.out.trim()).unwrap().sequence, 7);
    let ran = world.baton(&["replay", PROJECT]).await.expect(0);
    assert!(ran.out.contains("2023-11-14 22:13:20") && ran.out.contains("reason=because"), "{ran:?}");
}

#[tokio::test]
async fn ids_that_name_nothing_or_two_things_are_said() {
    let world = World::served().await;
    let mut other = world.fake.state().project.clone();
    other.project_id = "0193abcd-4f21-7000-8001-000000000001".parse().unwrap();
    world.fake.state().others.push(other);
    assert!(world.baton(&["status", PROJECT]).await.expect(4).err.contains("names 2 projects"));
    world.baton(&["status", "ffff"]).await.expect(4);
    assert!(world.baton(&["status", "../x"]).await.expect(4).err.contains("is not an id"));
    let ran = world.baton(&["ps"]).await.expect(0);
    assert!(ran.out.contains("0193abcd-4f21-7000-8000") && ran.out.contains("0193abcd-4f21-7000-8001"), "{}", ran.out);
}

#[tokio::test]
async fn a_decision_is_about_what_was_shown() {
    let world = World::served().await;
    assert!(world.baton(&["approvals"]).await.expect(0).out.contains("handoff of scan"));
    world.baton(&["approve", APPROVAL, "--digest", "00000000"]).await.expect(5);
    world.baton(&["approve", APPROVAL, "--digest", "5f1d"]).await.expect(5);
    world.baton(&["reject", APPROVAL, "--reason", " "]).await.expect(2);
    assert_eq!(verdict_of(&world.fake), None);
    let ran = world.baton(&["approve", APPROVAL, "--digest", "5F1D0C0F"]).await.expect(0);
    assert_eq!(ran.out, "approved by ada (digest 5f1d0c0ffee0)\n");
    for shown in ["report.md", "✓ report is there  exit 0", "keep the old one?", "Summary", "\u{fffd}[2Jthe report"] {
        assert!(ran.err.contains(shown), "{shown}: {}", ran.err);
    }
    assert_eq!(verdict_of(&world.fake), Some(Verdict::Approved));
    let ran = world.baton(&["reject", APPROVAL, "--reason", "late"]).await.expect(5);
    assert!(ran.err.contains("approved by ada at 2023-11-14 22:13:20 over cli"), "{ran:?}");
}

#[tokio::test]
async fn changes_are_requested_with_a_note() {
    let world = World::served().await;
    let ran = world.baton(&["request-changes", APPROVAL, "--note", "shorter", "--json"]).await.expect(0);
    let decision = serde_json::from_str::<ApprovalView>(&ran.out).unwrap().decision.unwrap();
    assert_eq!((decision.verdict, decision.note.as_str()), (Verdict::ChangesRequested, "shorter"));
    assert!(ran.err.is_empty(), "{ran:?}");
}

#[tokio::test]
async fn results_are_looked_at_applied_and_taken_back() {
    let world = World::served().await;
    let ran = world.baton(&["diff", PROJECT]).await.expect(0);
    assert!(ran.out.ends_with("+hello\n") && !ran.out.contains('\u{1b}'), "{ran:?}");
    let ran = world.baton(&["apply", PROJECT, "--dry-run"]).await.expect(0);
    assert!(ran.out.contains("1 path would change in /f") && ran.out.contains("+ report.md  2.0 KiB"), "{ran:?}");
    let ran = world.baton(&["apply", PROJECT]).await.expect(0);
    assert!(ran.err.contains("baton undo") && ran.out.contains("merged with your own change: report.md"), "{ran:?}");
    world.baton(&["undo", PROJECT]).await.expect(0);
    world.fake.state().conflict = true;
    let ran = world.baton(&["apply", PROJECT]).await.expect(5);
    assert!(ran.out.contains("nothing was written") && ran.out.contains("<<<<<<< yours"), "{ran:?}");
    assert!(world.baton(&["undo", PROJECT]).await.expect(5).err.contains("--force"));
    world.baton(&["rebuild"]).await.expect(0);
    world.fake.state().differences = 2;
    assert!(world.baton(&["rebuild"]).await.expect(1).out.contains("2 differences"));
}

#[tokio::test]
async fn logs_are_labelled_and_harmless() {
    let world = World::served().await;
    world.fake.state().logs =
        vec![chunk(0, LogSource::Stdout, "one\n\u{1b}]0;evil\u{7}"), chunk(3, LogSource::Check, "fine\n")];
    let ran = world.baton(&["logs", PROJECT]).await.expect(0);
    assert!(ran.out.starts_with("── scan · attempt 1"), "{ran:?}");
    assert!(ran.out.contains("check │ fine") && !ran.out.contains('\u{1b}'), "{ran:?}");
    assert!(ran.err.contains("2 pieces of output of scan were dropped"), "{ran:?}");
    world.baton(&["logs", PROJECT, "--task", "nothing"]).await.expect(4);
    assert_eq!(world.baton(&["logs", PROJECT, "--json"]).await.expect(0).out.lines().count(), 2);
}

#[tokio::test]
async fn plans_and_folders_are_checked_before_anything_starts() {
    let world = World::served().await;
    let plan = world.path("plan.yaml");
    let plan = plan.to_str().unwrap();
    let folder = world.path("folder");
    let folder = folder.to_str().unwrap();
    assert!(world.baton(&["run", " ", "--folder", "."]).await.expect(2).err.contains("goal is empty"));
    assert!(world.baton(&["run", "missing.yaml", "--folder", "."]).await.expect(3).err.contains("missing.yaml"));
    write(plan.as_ref(), "bad\n");
    let ran = world.baton(&["plan", "check", plan]).await.expect(3);
    assert!(ran.out.contains("plan.yaml:3:5:") && ran.out.contains("take one of them out"), "{ran:?}");
    assert!(world.baton(&["run", plan, "--folder", folder]).await.expect(3).err.contains("folder"));
    std::fs::create_dir(folder).unwrap();
    let ran = world.baton(&["run", plan, "--folder", folder]).await.expect(3);
    assert!(ran.err.contains("the plan has errors") && ran.err.contains("plan.yaml:3:5:"), "{ran:?}");
    write(
        plan.as_ref(),
        "version: 1\ntasks:\n  - id: a\n    run: { file: tool.py }\n  - id: b\n    run: { file: ../x }\n",
    );
    write(&world.path("tool.py"), "print(1)\n");
    world.baton(&["plan", "check", plan]).await.expect(0);
    let ran = world.baton(&["run", plan, "--folder", folder, "--detach", "--yes"]).await.expect(0);
    assert_eq!(ran.out, "0193abcd-4f21-7000-8000-000000000001\n");
    let state = world.fake.state();
    let new = state.created.first().unwrap();
    assert!(new.approve_plan && new.owner == "ada" && new.folder.starts_with('/'));
    assert_eq!(new.plan.scripts.get("tool.py").map(String::as_str), Some("print(1)\n"));
    assert_eq!(new.plan.scripts.len(), 1, "a script outside the plan's folder is not read");
}

#[tokio::test]
async fn a_project_is_canceled() {
    let world = World::served().await;
    let ran = world.baton(&["cancel", PROJECT, "--task", "scan", "--reason", "enough"]).await.expect(0);
    assert_eq!(ran.out, "task scan canceled; the project is canceled\n");
    let state = world.fake.state();
    let request = state.canceled.first().unwrap();
    assert_eq!(
        (request.task.as_deref(), request.by.as_str(), request.reason.as_str()),
        (Some("scan"), "ada", "enough")
    );
    assert_eq!(state.project.state, ProjectState::Canceled);
}

#[tokio::test]
async fn the_doctor_names_what_is_missing() {
    let world = World::bare();
    write(&world.path("config/baton.toml"), "[pool]\nimage = 'nothing-like-it'\n");
    let ran = world.baton(&["doctor", "--json"]).await.expect(7);
    let checks: Vec<serde_json::Value> = ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let find = |name: &str| checks.iter().find(|check| check["name"] == name).unwrap();
    assert_eq!(find("guest image")["health"], "fail");
    assert!(find("guest image")["mend"].as_str().unwrap().contains("cargo xtask setup"));
    assert_eq!(find("state folder")["health"], "ok");
    assert_eq!(find("orchestrator")["health"], "warn");
    write(&world.path("config/baton.toml"), "[pol]\n");
    let ran = world.baton(&["doctor"]).await.expect(7);
    let out = ran.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(out.contains("✗ configuration") && out.contains("did you mean `[pool]`?"), "{out}");
    assert!(!out.contains("dead letters"), "{out}");
    let world = World::served().await;
    write(&world.path("config/baton.toml"), "[pool]\nimage = 'nothing-like-it'\n");
    let out = world.baton(&["doctor"]).await.expect(7).out;
    assert!(
        out.contains("! dead letters") && out.contains("1 message") && out.contains("`baton dead-letters`"),
        "{out}"
    );
}
