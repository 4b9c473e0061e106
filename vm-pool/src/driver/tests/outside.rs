//! The real gateway and proxy behind an attempt, and keys that must be nowhere else.

use std::path::Path;

use bus_schemas::{
    settings::{ModelSetup, Models, Provider},
    v1::{call::Call, guest::Service},
};

use super::{agent::Act, agents::generous, *};
use crate::adapter::{
    gateway::Gateway,
    governor::Governors,
    outside::HostOutside,
    scripted::{self, Script},
};

const KEY: &str = "sk-canary-0123456789abcdef";

const SCRIPT: &str = "
require_key = 'sk-canary-0123456789abcdef'
[[conversation]]
[[conversation.turn]]
text = 'hello from the model'
usage = { input = 100, output = 5 }
";

/// Whether a file below `folder` has the key in it.
fn leaks(folder: &Path) -> Option<String> {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if let Some(found) = leaks(&path) {
                return Some(found);
            }
        } else if std::fs::read(&path).is_ok_and(|body| body.windows(KEY.len()).any(|piece| piece == KEY.as_bytes())) {
            return Some(path.display().to_string());
        }
    }
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_reaches_models_through_the_gateway_and_never_sees_a_key() {
    let world = World::new().await;
    let orchestrator = world.orchestrator(generous).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let model = scripted::serve(Script::parse(SCRIPT).unwrap(), listener).unwrap();
    let lab = Provider {
        base_url: Some(format!("{}/v1", model.url)),
        key_env: Some("LAB_KEY".into()),
        ..Provider::default()
    };
    let setup = ModelSetup {
        models: Models { default: Some("lab/scripted".into()), ..Models::default() },
        providers: [("lab".to_owned(), lab)].into(),
    };
    let env = |name: &str| (name == "LAB_KEY").then(|| KEY.to_owned());
    let gateway = Gateway::new(&setup, env, &Governors::new(Some(world.bus.clone()))).unwrap();
    let host = world.host_with(1, 1, HostOutside::new(gateway)).await;

    let body = r#"{"model":"lab/scripted","messages":[{"role":"user","content":"hi"}]}"#;
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:4100\r\nauthorization: Bearer guest\r\n\
         content-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let own_server = model.url.trim_start_matches("http://").to_owned();
    let acts = [
        Act::Connect(Service::Models, request),
        Act::Connect(Service::Proxy, format!("CONNECT {own_server} HTTP/1.1\r\nhost: {own_server}\r\n\r\n")),
        Act::Save(1, "one".into(), files(&[("new", "x")])),
        Act::HandOff(true),
    ];
    let mut offer = world.agent(1, 1, &acts);
    // Even if the plan names it: the host's own network is not for guests.
    offer.network = vec![own_server.clone()];
    world.offer(offer).await;
    let ready: HandoffReady = world.ended(1, 1, EventKind::Handoff).await;
    let seen = world.seen_by_guests();
    assert_eq!(seen[0], "attempt 1 with lab/scripted");
    assert!(seen[1].contains("200 OK") && seen[1].contains("hello from the model"), "{seen:?}");
    assert!(seen[2].contains("403"), "{seen:?}");
    assert_eq!(model.failures(), Vec::<String>::new());
    let spend = ready.handoff.usage.spend;
    assert_eq!((spend.calls, spend.tokens.input, spend.tokens.output, spend.usd_nanos), (1, 100, 5, 0));
    let settled =
        orchestrator.heard().iter().any(|heard| matches!(heard.call, Call::Settle { actual, .. } if actual == spend));
    assert!(settled, "{:?}", orchestrator.heard());
    let egress = &ready.handoff.egress;
    assert!(egress.len() == 1 && egress[0].target == own_server && !egress[0].allowed, "{egress:?}");

    // The key is at the provider, and nowhere else: no message, no log, no object, no file.
    assert!(model.requests().iter().any(|seen| seen.headers.values().any(|value| value.contains(KEY))));
    assert!(!seen.iter().any(|line| line.contains(KEY)), "{seen:?}");
    host.stop().await;
    assert_eq!(leaks(&world.nats.store()), None);
    assert_eq!(leaks(world.dir.path()), None);
}
