use std::collections::BTreeSet;

use axum::{Json, response::IntoResponse as _};
use futures::SinkExt as _;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use super::*;
use crate::{adapter::slack::testing::Api, config::Secret};

fn slack() -> Slack {
    let token = |text: &str| Some(Secret::new(text.to_owned()));
    Slack { bot_token: token("xoxb-1"), app_token: token("xapp-1"), channel: Some("C1".into()), ..Slack::default() }
}

fn signed_in(scopes: &str) -> impl axum::response::IntoResponse + use<> {
    ([("x-oauth-scopes", scopes.to_owned())], Json(json!({"ok": true, "team": "T", "team_id": "T1", "user_id": "UB"})))
}

fn every_scope() -> String {
    SCOPES.map(|(scope, _)| scope).join(",")
}

async fn found(api: &Api, slack: &Slack, members: &[(&str, &str)]) -> Vec<(&'static str, Grade, String)> {
    let web = api.client();
    let settings = SocketSettings::new(&web).unwrap();
    let members: Vec<(String, String)> = members.iter().map(|(name, id)| ((*name).into(), (*id).into())).collect();
    let findings = check(&web, slack, &members, &settings).await;
    for finding in &findings {
        assert_eq!(finding.mend.is_none(), finding.grade == Grade::Good, "{finding:?}");
        assert!(!format!("{finding:?}").contains("secret"), "no token is shown");
    }
    findings.into_iter().map(|finding| (finding.name, finding.grade, finding.found)).collect()
}

/// A socket that says hello to whoever comes.
async fn hello(api: &Api) {
    let sockets = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/link", sockets.local_addr().unwrap());
    api.will("apps.connections.open", Json(json!({"ok": true, "url": url})));
    tokio::spawn(async move {
        let (stream, _) = sockets.accept().await.unwrap();
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        socket.send(Message::text(r#"{"type":"hello"}"#)).await.unwrap();
        while let Some(Ok(_)) = futures::StreamExt::next(&mut socket).await {}
    });
}

#[tokio::test]
async fn all_is_well() {
    let api = Api::start().await;
    hello(&api).await;
    api.will("auth.test", signed_in(&every_scope()));
    api.will(
        "conversations.info",
        Json(json!({"ok": true, "channel": {"id": "C1", "name": "builds", "is_member": true}})),
    );
    api.will("users.info", Json(json!({"ok": true, "user": {"id": "U1", "real_name": "Ann A"}})));
    let found = found(&api, &slack(), &[("ann", "U1")]).await;
    assert!(found.iter().all(|(_, grade, _)| *grade == Grade::Good), "{found:?}");
    assert_eq!(
        found.iter().map(|one| one.0).collect::<Vec<_>>(),
        ["bot token", "scopes", "app token", "channel", "member"]
    );
    assert_eq!(found[4].2, "ann is Ann A (U1)");
}

#[tokio::test]
async fn everything_that_is_missing_is_said_at_once() {
    let api = Api::start().await;
    api.will("auth.test", signed_in(&every_scope().replace("files:write,", "")));
    api.will("apps.connections.open", Json(json!({"ok": false, "error": "not_allowed_token_type"})));
    api.will(
        "conversations.info",
        Json(json!({"ok": true, "channel": {"id": "C1", "name": "builds", "is_member": false}})),
    );
    api.will("users.info", Json(json!({"ok": false, "error": "user_not_found"})));
    api.will("users.info", Json(json!({"ok": true, "user": {"id": "U2", "deleted": true}})));
    api.will("users.info", Json(json!({"ok": true, "user": {"id": "U3", "is_bot": true}})));
    let found = found(&api, &slack(), &[("ann", "U1"), ("bob", "U2"), ("cat", "U3")]).await;
    let bad: Vec<&str> = found.iter().filter(|one| one.1 == Grade::Bad).map(|one| one.2.as_str()).collect();
    assert_eq!(bad[0], "missing: files:write (attaches diffs and results)");
    assert!(bad[1].contains("not_allowed_token_type") && bad[1].contains("each other's place"), "{bad:?}");
    assert_eq!(bad[2], "the app is not in #builds");
    assert!(bad[3].contains("user_not_found") && bad[4].contains("closed") && bad[5].contains("is an app"), "{bad:?}");
}

#[tokio::test]
async fn a_dead_token_ends_the_look_and_the_rest_may_be_left_out() {
    let api = Api::start().await;
    api.will("auth.test", Json(json!({"ok": false, "error": "invalid_auth"})).into_response());
    let one = found(&api, &slack(), &[]).await;
    assert_eq!(one.len(), 1);
    assert!(one[0].2.contains("invalid_auth"));
    api.will("auth.test", signed_in(&every_scope()));
    let events = Slack {
        app_token: None,
        events_listen: Some("127.0.0.1:1".parse().unwrap()),
        channel: None,
        folders: vec!["/".into(), "/no/such/folder".into()],
        ..slack()
    };
    let rest = found(&api, &events, &[]).await;
    let warned: Vec<&str> = rest.iter().filter(|one| one.1 == Grade::Warn).map(|one| one.0).collect();
    assert_eq!(warned, ["events", "channel", "members", "folders"]);
}

#[test]
fn the_manifest_asks_for_what_is_needed_and_no_more() {
    let manifest = include_str!("../../../../../deploy/slack/manifest.yaml");
    let listed = |section: &str| -> BTreeSet<&str> {
        let mut lines = manifest.lines().skip_while(|line| line.trim() != section);
        let indent = lines.next().map_or(0, |line| line.len() - line.trim_start().len());
        lines
            .take_while(|line| line.trim_start().starts_with("- ") && line.len() - line.trim_start().len() > indent)
            .map(|line| line.trim_start().trim_start_matches("- "))
            .map(|line| line.split_once(" #").map_or(line, |(value, _)| value).trim())
            .collect()
    };
    assert_eq!(listed("bot:"), SCOPES.map(|(scope, _)| scope).into());
    assert_eq!(
        listed("bot_events:"),
        ["app_home_opened", "app_mention", "message.channels", "message.groups", "message.im"].into()
    );
    for line in [
        "socket_mode_enabled: true",
        "is_enabled: true",
        "command: /baton",
        "callback_id: baton.goal",
        "type: message",
        "name: Delegate this",
        "home_tab_enabled: true",
        "messages_tab_read_only_enabled: false",
    ] {
        assert!(manifest.lines().any(|one| one.trim().trim_start_matches("- ") == line), "{line}");
    }
    assert!(manifest.lines().all(|one| one.trim() != "user:"), "no scopes in a person's name");
}
