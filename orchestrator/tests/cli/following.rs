//! `watch`: until the end, over restarts, and away.

use std::process::Stdio;

use bus_schemas::v1::project::ProjectState;
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::timeout;

use crate::world::{PATIENCE, Ran, World, until};

const PROJECT: &str = "0193abcd-4f21";

fn started(world: &World, args: &[&str]) -> tokio::process::Child {
    world.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

async fn ended(child: tokio::process::Child) -> Ran {
    Ran::of(timeout(PATIENCE, child.wait_with_output()).await.unwrap().unwrap())
}

#[tokio::test]
async fn watch_prints_events_and_ends_with_the_project() {
    let world = World::served().await;
    world.fake.happen("task.started", ProjectState::Working, "scan started");
    let child = started(&world, &["watch", PROJECT]);
    until("somebody watches", || world.fake.readers() == 1).await;
    world.fake.happen("project.completed", ProjectState::Completed, "all done");
    let ran = ended(child).await.expect(0);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines.len(), 2, "{ran:?}");
    assert!(lines.iter().all(|line| line.starts_with("22:13:20  ")), "{ran:?}");
    assert!(ran.err.contains(&format!("baton apply {PROJECT}")), "{ran:?}");
}

#[tokio::test]
async fn a_project_that_failed_is_a_no() {
    let world = World::served().await;
    world.fake.happen("project.failed", ProjectState::Failed, "scan failed");
    let ran = world.baton(&["watch", PROJECT, "--json"]).await.expect(1);
    let last: serde_json::Value = serde_json::from_str(ran.out.lines().last().unwrap()).unwrap();
    assert_eq!(last["state"], "failed");
}

#[tokio::test]
async fn watch_survives_a_restart_of_the_orchestrator() {
    let mut world = World::served().await;
    world.fake.happen("task.started", ProjectState::Working, "before");
    let child = started(&world, &["watch", PROJECT, "--json"]);
    until("somebody watches", || world.fake.readers() == 1).await;
    world.stop().await;
    until("nobody watches", || world.fake.readers() == 0).await;
    world.serve().await;
    world.fake.happen("project.completed", ProjectState::Completed, "after");
    let ran = ended(child).await.expect(0);
    let kinds: Vec<String> = ran
        .out
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["kind"].to_string())
        .collect();
    assert_eq!(kinds, ["\"task.started\"", "\"project.completed\"", "null"], "nothing twice, nothing lost");
    // It may ask once more when the stream ends before it does; but never for what it has seen.
    let asked = world.fake.state().asked_after.clone();
    assert!(asked.len() > 1 && asked[1..].iter().all(|after| *after >= 1), "{asked:?}");
}

#[tokio::test]
async fn ctrl_c_leaves_the_project_running() {
    let world = World::served().await;
    let child = started(&world, &["watch", PROJECT]);
    until("somebody watches", || world.fake.readers() == 1).await;
    let pid = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    let ran = ended(child).await.expect(130);
    assert!(ran.err.contains("the project goes on"), "{ran:?}");
    assert_eq!(world.fake.state().project.state, ProjectState::Working);
}
