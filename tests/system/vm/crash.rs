//! Kill any process at any moment: no task lost, no result accepted twice.

use std::fs;

use harness::world::World;

const PLAN: &str = r#"
version: 1
title: Chain
tasks:
  - id: one
    run: echo one >> chain.txt; sleep 2
    checks: [grep -q one chain.txt]
  - id: side
    run: echo side > side.txt; sleep 2
    outputs: [side.txt]
    checks: [grep -q side side.txt]
  - id: two
    needs: [one, side]
    run: echo two >> chain.txt; sleep 2
    checks: [grep -q two chain.txt]
  - id: three
    needs: [two]
    run: echo three >> chain.txt
    checks: [grep -q three chain.txt]
"#;

/// The project ends well, the folder has every line once, and the projections are what the journal says.
async fn ends_well(world: &World, id: &str, folder: &std::path::Path) {
    let project = world.until_state(id, &["completed", "failed"]).await;
    assert_eq!(project["state"], "completed", "{project:#}");
    world.ok(&["apply", id]);
    assert_eq!(fs::read_to_string(folder.join("chain.txt")).unwrap_or_default(), "one\ntwo\nthree\n");
    assert_eq!(fs::read_to_string(folder.join("side.txt")).unwrap_or_default(), "side\n");
    assert_eq!(world.ok(&["--json", "rebuild"]).json()["differences"], 0);
    let handoffs = world
        .ok(&["--json", "replay", id])
        .lines()
        .iter()
        .filter(|entry| entry["kind"].as_str().is_some_and(|k| k.contains("handoff")))
        .count();
    assert_eq!(handoffs, 4, "one accepted handoff per task");
}

#[tokio::test]
async fn the_orchestrator_is_killed_in_the_middle_and_again_at_the_end() {
    let world = World::up().await;
    let folder = world.folder("work", &[("a.txt", "a\n")]);
    let id = world.run(&world.plan("plan", PLAN), &folder);
    world.until_task(&id, "one", &["working"]).await;
    let first = world.kill("serve");
    world.until_task(&id, "two", &["working", "completed"]).await;
    let second = world.kill("serve");
    assert_ne!(first, second);
    ends_well(&world, &id, &folder).await;
}

#[tokio::test]
async fn everything_is_killed_at_once_and_baton_up_finishes_the_plan() {
    let mut world = World::up().await;
    let folder = world.folder("work", &[("a.txt", "a\n")]);
    let id = world.run(&world.plan("plan", PLAN), &folder);
    world.until_task(&id, "one", &["working"]).await;
    world.kill_up();
    harness::wait::until("the children to follow", harness::world::PATIENCE, || {
        let gone = ["nats-server", "baton-vm-pool", "serve"].iter().all(|name| world.child(name).is_none());
        async move { gone.then_some(()) }
    })
    .await;
    world.start().await;
    ends_well(&world, &id, &folder).await;
}

#[tokio::test]
async fn the_bus_and_the_host_are_killed_under_way() {
    let world = World::up().await;
    let folder = world.folder("work", &[("a.txt", "a\n")]);
    let id = world.run(&world.plan("plan", PLAN), &folder);
    world.until_task(&id, "one", &["working"]).await;
    world.kill("nats-server");
    world.until_task(&id, "two", &["working"]).await;
    world.kill("baton-vm-pool");
    ends_well(&world, &id, &folder).await;
}
