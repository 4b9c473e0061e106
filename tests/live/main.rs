//! A small, real model behind the gateway: the wire, the schema and the accounting are proven, not the model's wit.
//! `cargo xtask test --live-model` serves the model and says where in `BATON_LIVE_MODEL`.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::time::Duration;

use harness::{wait, world::World};

/// A model on a busy machine takes its time.
const PATIENCE: Duration = Duration::from_secs(1800);
const TURNS: u64 = 2;

const PLAN: &str = r#"
version: 1
title: Hello
approval: auto
tasks:
  - id: hello
    title: Say hello
    agent:
      instructions: Write the word hello to hello.txt, then hand off.
      max_turns: 2
    retries: { max: 0 }
    timeout: 25m
"#;

#[tokio::test]
async fn live_model() {
    let url = std::env::var("BATON_LIVE_MODEL").expect("run by `cargo xtask test --live-model`");
    let mut world = World::new(&format!(
        "[pool]\nslots = 1\nspares = 1\n[models]\ndefault = \"live/smollm2\"\n[providers.live]\nbase_url = \"{url}\"\n\
         [providers.live.models.smollm2]\ncontext_tokens = 8192\nmax_output_tokens = 300\nstructured = \"json_schema\"\n"
    ));

    // The wire, the schema and the usage, call by call.
    let checked = world.baton(&["--json", "models", "check"]);
    let report = checked.lines().pop().unwrap_or_else(|| panic!("no report: {}", checked.err));
    for probe in ["answer", "stream", "schema", "usage"] {
        let found = report["checks"].as_array().expect("checks").iter().find(|check| check["probe"] == probe).cloned();
        assert_eq!(found.expect(probe)["outcome"], "works", "{report:#}");
    }
    assert_eq!((checked.code, &report["usable"]), (0, &true.into()), "{report:#}");

    // An agent in a VM; how far it gets is its own affair.
    world.start().await;
    let folder = world.folder("work", &[("a.txt", "a\n")]);
    let id = world.run(&world.plan("plan", PLAN), &folder);
    let task = wait::until("the agent's end", PATIENCE, || {
        let task = world.task(&id, "hello");
        async move {
            let over =
                ["completed", "unverified", "failed", "input_required"].iter().any(|state| task["state"] == *state);
            over.then_some(task)
        }
    })
    .await;
    assert_ne!(task["failure"]["reason"], "model_failed", "{task:#}");
    let spend = &task["spend"];
    let calls = spend["calls"].as_u64().expect("calls");
    assert!((1..=TURNS).contains(&calls), "{task:#}");
    assert!(spend["tokens"].as_u64() > Some(500 * calls), "a system prompt alone has more: {spend:#}");
    assert_eq!(
        (&spend["usd_nanos"], &spend["price_assumed"]),
        (&0.into(), &false.into()),
        "a model at home costs nothing"
    );
    assert!(!world.ok(&["logs", &id]).out.trim().is_empty(), "what it says is in the log");
}
