//! Agents in real VMs, with a scripted model behind the gateway.

mod approvals;
mod canary;
mod examples;
mod kill;
mod people;
mod secrets;
mod trouble;

use harness::world::World;
use serde_json::Value;

/// A plan with one agent's task `work`, with `more` lines for the task.
fn plan(instructions: &str, more: &str) -> String {
    format!(
        "version: 1\ntitle: Work\napproval: auto\ntasks:\n  - id: work\n    title: The work\n    agent:\n      \
         instructions: {instructions:?}\n{more}"
    )
}

/// Waits until the project has ended; it must have ended well.
async fn completed(world: &World, id: &str) -> Value {
    let project = world.until_state(id, &["completed", "failed", "rejected", "canceled"]).await;
    assert_eq!(project["state"], "completed", "{project:#}");
    project
}
