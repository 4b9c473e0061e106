use bus_schemas::{
    settings::{ModelSettings, ModelSetup, Models, Provider},
    v1::agent::{Structured, Wire},
};
use tokio::net::TcpListener;

use super::{Outcome, Probe, Report, check, names, table};
use crate::{
    adapter::{
        gateway::Gateway,
        governor::Governors,
        scripted::{Running, Script, serve},
    },
    governor::Tuning,
};

const ABLE: &str = r#"
require_key = "sk-canary-1"
[[conversation]]
match = ["single word"]
[[conversation.turn]]
text = "ready"
[[conversation]]
match = ["Count from one"]
[[conversation.turn]]
text = "one two three four five six seven eight nine ten"
expect = { stream = true }
[[conversation]]
match = ["Add 2 and 3"]
[[conversation.turn]]
calls = [{ tool = "add", input = { a = 2, b = 3 } }]
expect = { tools = ["add"] }
[[conversation]]
match = ["color is the sky"]
[[conversation.turn]]
json = { color = "blue" }
expect = { schema = true }
"#;

async fn start(script: &str) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    serve(Script::parse(script).unwrap(), listener).unwrap()
}

fn setup(running: &Running, wire: Wire) -> ModelSetup {
    let settings = ModelSettings { wire: Some(wire), ..ModelSettings::default() };
    let provider = Provider {
        base_url: Some(format!("{}/v1", running.url)),
        key_env: Some("PLAY_KEY".to_owned()),
        models: [("m".to_owned(), settings)].into(),
        ..Provider::default()
    };
    ModelSetup { models: Models::default(), providers: [("play".to_owned(), provider)].into() }
}

fn gateway(setup: &ModelSetup, key: Option<&'static str>) -> Gateway {
    let tuning = Tuning { hold_ms: 50, first_backoff_ms: 1, ..Tuning::default() };
    let env = |name: &str| key.filter(|_| name == "PLAY_KEY").map(str::to_owned);
    Gateway::new(setup, env, &Governors::default().tuned(tuning)).unwrap()
}

async fn report(setup: &ModelSetup, key: Option<&'static str>) -> Report {
    check(&gateway(setup, key), &names(setup)).await.remove(0)
}

#[tokio::test]
async fn a_model_that_can_everything_is_said_to_on_every_wire() {
    for wire in [Wire::Messages, Wire::ChatCompletions, Wire::Responses] {
        let running = start(ABLE).await;
        let report = report(&setup(&running, wire), Some("sk-canary-1")).await;
        assert_eq!(report.wire, Some(wire));
        let outcomes: Vec<_> = report.checks.iter().map(|check| (check.probe, check.outcome.clone())).collect();
        assert_eq!(outcomes, Probe::ALL.map(|probe| (probe, Outcome::Works)), "{:?}", running.failures());
        assert_eq!((report.usable, report.also.len(), &report.advice), (true, 2, &None));
        assert_eq!(running.failures(), Vec::<String>::new());
        let shown = table(&[report]);
        assert!(shown.contains("play/m") && !shown.contains("NO") && shown.contains("too"), "{shown}");
    }
}

#[tokio::test]
async fn a_model_that_ignores_tools_gets_advice() {
    let script = ABLE.replace("calls = [{ tool = \"add\", input = { a = 2, b = 3 } }]", "text = \"five\"");
    let running = start(&script).await;
    let mut setup = setup(&running, Wire::ChatCompletions);
    let found = report(&setup, Some("sk-canary-1")).await;
    assert!(!found.usable);
    assert!(found.advice.as_ref().is_some_and(|a| a.contains("structured = \"json_schema\"")), "{found:?}");
    assert!(table(&[found]).contains("it called no tool"));
    let model = setup.providers.get_mut("play").unwrap().models.get_mut("m").unwrap();
    model.structured = Some(Structured::JsonSchema);
    let found = report(&setup, Some("sk-canary-1")).await;
    assert!(found.usable && found.advice.is_none(), "{found:?}");
}

#[tokio::test]
async fn what_fails_is_told_without_the_key() {
    let running = start(ABLE).await;
    let setup = setup(&running, Wire::ChatCompletions);
    let none = report(&setup, None).await;
    assert!(none.problem.as_ref().is_some_and(|why| why.contains("PLAY_KEY")), "{none:?}");
    let wrong = report(&setup, Some("sk-canary-2")).await;
    assert_eq!(wrong.checks.len(), 1);
    let shown = format!("{} {}", table(&[wrong.clone(), none]), serde_json::to_string(&wrong).unwrap());
    assert!(shown.contains("401: ") && !shown.contains("canary"), "{shown}");

    let broken = ABLE.replace(
        "text = \"one two",
        "stop = \"max_tokens\"\n[[conversation.turn.fault]]\nkind = \"cut\"\ntimes = 9\n#",
    );
    let broken = broken.replace("expect = { stream = true }", "");
    let running = start(&broken).await;
    let found = report(&self::setup(&running, Wire::Messages), Some("sk-canary-1")).await;
    let stream = found.checks.iter().find(|check| check.probe == Probe::Stream).unwrap();
    assert!(matches!(&stream.outcome, Outcome::Fails { why } if why.contains("broke off")), "{found:?}");
    assert!(!found.usable);
}

#[test]
fn every_model_is_named_once() {
    let models = Models {
        endpoint: Some("http://127.0.0.1:1/v1".to_owned()),
        default: Some("small".to_owned()),
        planner: vec!["play/big".to_owned()],
        ..Models::default()
    };
    let provider = Provider { models: [("big".to_owned(), ModelSettings::default())].into(), ..Provider::default() };
    let setup = ModelSetup { models, providers: [("play".to_owned(), provider)].into() };
    assert_eq!(names(&setup), ["endpoint/small", "play/big"]);
}
