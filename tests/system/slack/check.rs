//! `baton slack check`, as a program, against the local Slack.

use std::process::Output;

use harness::{
    nats::NatsServer,
    serve::Serve,
    slack::{APP_TOKEN, BOT_TOKEN, OTHER_CHANNEL, Slack, TEAM_CHANNEL},
};
use serde_json::Value;

use super::rig::{MEMBERS, says};

/// Runs it with this `[slack]` section.
fn check(section: &str, json: bool) -> (i32, String) {
    let serve = Serve::new("nats://127.0.0.1:9", &format!("{section}\n{MEMBERS}"));
    let arguments: &[&str] = if json { &["--json", "slack", "check"] } else { &["slack", "check"] };
    let Output { status, stdout, stderr } = serve.baton(arguments);
    let (out, err) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    for token in [APP_TOKEN, BOT_TOKEN] {
        assert!(!out.contains(token) && !err.contains(token), "a token is in {out}{err}");
    }
    let text = if json { out.into_owned() } else { format!("{out}{err}") };
    (status.code().unwrap_or(-1), text)
}

/// What was found about one thing.
fn found(lines: &str, name: &str) -> Value {
    let mut all =
        lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap_or_else(|e| panic!("{e}: {line}")));
    all.find(|line| line["name"] == name).unwrap_or_else(|| panic!("nothing about {name} in {lines}"))
}

#[tokio::test]
async fn where_everything_is_right_it_says_so() {
    let slack = Slack::start();
    let (code, text) = check(&slack.config(), false);
    assert_eq!(code, 0, "{text}");
    says(&text, &["all is well", "#team", "ann", "bob", "eve"]);
    let (code, lines) = check(&slack.config(), true);
    assert_eq!(code, 0, "{lines}");
    for name in ["bot token", "scopes", "app token", "channel", "member"] {
        assert_eq!(found(&lines, name)["health"], "ok", "{lines}");
    }
    assert_eq!(slack.posts(), [], "it only looks");
    slack.no_violations();
}

#[tokio::test]
async fn a_scope_that_is_missing_is_named_with_what_it_is_for_and_how_to_get_it() {
    let slack = Slack::start();
    let all = "app_mentions:read,channels:history,channels:read,chat:write,commands,files:read,groups:history,groups:read,\
               im:history,im:read,im:write,users:read,users:read.email";
    slack.grants(all);
    let (code, text) = check(&slack.config(), false);
    assert_eq!(code, 7, "{text}");
    says(&text, &["files:write (attaches diffs and results)", "manifest.yaml", "install it again", "1 thing to mend"]);
    assert!(!text.contains("chat:write ("), "only what is missing is named: {text}");
    slack.no_violations();
}

#[tokio::test]
async fn a_wrong_bot_token_is_said_first_and_nothing_else_is_tried() {
    let slack = Slack::start();
    let (code, lines) = check(&slack.config().replace(BOT_TOKEN, "xoxb-another"), true);
    assert_eq!(code, 7, "{lines}");
    assert_eq!(lines.lines().count(), 1, "{lines}");
    let token = found(&lines, "bot token");
    assert_eq!(token["health"], "fail", "{token}");
    says(&token.to_string(), &["invalid_auth", "Bot User OAuth Token"]);
    assert!(!lines.contains("xoxb-another"), "{lines}");
}

#[tokio::test]
async fn a_wrong_app_token_is_told_apart_from_the_bot_token() {
    let slack = Slack::start();
    let (code, lines) = check(&slack.config().replace(APP_TOKEN, "xapp-another"), true);
    assert_eq!(code, 7, "{lines}");
    assert_eq!(
        (&found(&lines, "bot token")["health"], &found(&lines, "app token")["health"]),
        (&"ok".into(), &"fail".into())
    );
    says(&found(&lines, "app token").to_string(), &["connections:write", "Socket Mode"]);
}

#[tokio::test]
async fn a_channel_the_app_is_not_in_and_one_that_is_none_are_told_apart() {
    let slack = Slack::start();
    let (code, lines) = check(&slack.config().replace(TEAM_CHANNEL, OTHER_CHANNEL), true);
    assert_eq!(code, 7, "{lines}");
    says(&found(&lines, "channel").to_string(), &["not in #other", "/invite @Baton"]);
    let (code, lines) = check(&slack.config().replace(TEAM_CHANNEL, "C0NOWHERE"), true);
    assert_eq!(code, 7, "{lines}");
    says(&found(&lines, "channel").to_string(), &["channel_not_found", "channel's id"]);
    slack.no_violations();
}

#[tokio::test]
async fn without_tokens_it_says_where_they_come_from() {
    let (code, text) = check("[slack]\n", false);
    assert_eq!(code, 3, "{text}");
    says(&text, &["SLACK_BOT_TOKEN", "Install App"]);
}

#[tokio::test]
async fn what_is_half_set_up_is_said_in_the_log_and_costs_only_slack() {
    let nats = NatsServer::start().await;
    let mut serve = Serve::new(&nats.url(), "[slack]\nbot_token = \"xoxb-1-canary\"\nchannel = \"C0TEAM\"\n");
    serve.start().await;
    let log = serve.log_text();
    says(&log, &["Slack is off", "set SLACK_APP_TOKEN"]);
    assert!(!log.contains("canary"), "{log}");
    assert!(serve.client().health().await.is_ok());
}

#[tokio::test]
async fn a_slack_that_is_not_reached_is_no_wrong_token() {
    let slack = Slack::start();
    let section = slack.config().replace(&slack.api_url(), "http://127.0.0.1:9/api");
    let (code, text) = check(&section, false);
    assert_eq!(code, 7, "{text}");
    says(&text, &["not reached", "network"]);
    assert!(!text.contains("copy the bot token"), "{text}");
}
