//! The local Slack by itself: that it keeps Slack's rules, and notices when they are broken.

use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

use super::{APP_TOKEN, Ack, BOT_TOKEN, Fault, Signed, Slack, TEAM_CHANNEL, check::Check, events};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A client; the local Slack installed what building one takes.
fn client() -> reqwest::Client {
    reqwest::Client::new()
}

async fn call(slack: &Slack, method: &str, token: &str, args: &Value) -> (u16, Value) {
    let url = format!("{}/{method}", slack.api_url());
    let request = client().post(url).bearer_auth(token).json(args);
    let answer = request.send().await.expect("an answer");
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap_or(Value::Null))
}

async fn ok(slack: &Slack, method: &str, args: Value) -> Value {
    let (status, answer) = call(slack, method, BOT_TOKEN, &args).await;
    assert!(status == 200 && answer["ok"] == true, "{method}: {status} {answer}");
    answer
}

async fn socket(slack: &Slack) -> Socket {
    let (_, answer) = call(slack, "apps.connections.open", APP_TOKEN, &json!({})).await;
    let (mut socket, _) = connect_async(answer["url"].as_str().expect("a url")).await.expect("a socket");
    assert_eq!(next(&mut socket).await["type"], "hello");
    socket
}

async fn next(socket: &mut Socket) -> Value {
    loop {
        if let Message::Text(text) = socket.next().await.expect("a frame").expect("no error") {
            return serde_json::from_str(text.as_str()).expect("json");
        }
    }
}

async fn ack(socket: &mut Socket, envelope: &Value, payload: Value) {
    let mut answer = json!({ "envelope_id": envelope["envelope_id"] });
    if !payload.is_null() {
        answer["payload"] = payload;
    }
    socket.send(Message::text(answer.to_string())).await.expect("send");
}

fn card() -> Value {
    json!({
        "channel": TEAM_CHANNEL, "text": "a card", "unfurl_links": false, "unfurl_media": false,
        "metadata": { "event_type": "card", "event_payload": { "id": "1" } },
        "blocks": [{ "type": "actions", "elements": [
            { "type": "button", "action_id": "yes", "value": "v", "text": { "type": "plain_text", "text": "Yes" } },
        ] }],
    })
}

fn modal() -> Value {
    json!({
        "type": "modal", "callback_id": "m", "title": { "type": "plain_text", "text": "Why" },
        "submit": { "type": "plain_text", "text": "Go" },
        "blocks": [{ "type": "input", "block_id": "reason", "label": { "type": "plain_text", "text": "Reason" },
            "element": { "type": "plain_text_input", "action_id": "text" } }],
    })
}

#[tokio::test]
async fn a_card_is_posted_clicked_changed_and_found_again() {
    let slack = Slack::start();
    let mut socket = socket(&slack).await;
    let posted = ok(&slack, "chat.postMessage", card()).await;
    let post = slack.wait_for_card("yes").await;
    let click = slack.person("U0ANN").clicks(&post, "yes");
    let envelope = next(&mut socket).await;
    assert_eq!((&envelope["type"], &envelope["payload"]["actions"][0]["value"]), (&json!("interactive"), &json!("v")));
    ack(&mut socket, &envelope, Value::Null).await;
    assert_eq!(click.acked().await, Value::Null);
    let update = json!({ "channel": TEAM_CHANNEL, "ts": posted["ts"], "text": "done", "blocks": [] });
    ok(&slack, "chat.update", update).await;
    assert!(slack.post(&post).actions().is_empty());
    let url = format!("{}/conversations.history?channel={TEAM_CHANNEL}&include_all_metadata=true", slack.api_url());
    let found: Value =
        client().get(url).bearer_auth(BOT_TOKEN).send().await.expect("an answer").json().await.expect("json");
    assert_eq!(found["messages"][0]["metadata"]["event_payload"]["id"], "1");
    slack.no_violations();
}

#[tokio::test]
async fn a_modal_is_opened_once_and_in_time_and_answers_decide_what_becomes_of_it() {
    let slack = Slack::start();
    let mut socket = socket(&slack).await;
    let ann = slack.person("U0ANN");
    drop(ann.slash(TEAM_CHANNEL, "/baton", "do it"));
    let envelope = next(&mut socket).await;
    ack(&mut socket, &envelope, json!({ "text": "one moment" })).await;
    let open = json!({ "trigger_id": envelope["payload"]["trigger_id"], "view": modal() });
    ok(&slack, "views.open", open.clone()).await;
    let view = slack.wait_for_view("U0ANN").await;
    let submit = ann.submits(&view, &[("reason", "because")]);
    let envelope = next(&mut socket).await;
    assert_eq!(envelope["payload"]["view"]["state"]["values"]["reason"]["text"]["value"], "because");
    ack(&mut socket, &envelope, json!({ "response_action": "errors", "errors": { "reason": "longer" } })).await;
    submit.acked().await;
    let view = slack.view_of("U0ANN").expect("still open");
    assert_eq!(view.errors["reason"], "longer");
    let submit = ann.submits(&view, &[("reason", "because of that")]);
    let envelope = next(&mut socket).await;
    ack(&mut socket, &envelope, Value::Null).await;
    submit.acked().await;
    assert_eq!(slack.view_of("U0ANN"), None);
    assert_eq!(slack.wait_for_ephemeral("U0ANN", 0).await.text, "one moment");
    slack.no_violations();

    let (_, again) = call(&slack, "views.open", BOT_TOKEN, &open).await;
    assert_eq!(again["error"], "exchanged_trigger_id");
    drop(ann.slash(TEAM_CHANNEL, "/baton", ""));
    let envelope = next(&mut socket).await;
    ack(&mut socket, &envelope, Value::Null).await;
    slack.shared.state().age_triggers();
    let open = json!({ "trigger_id": envelope["payload"]["trigger_id"], "view": modal() });
    assert_eq!(call(&slack, "views.open", BOT_TOKEN, &open).await.1["error"], "expired_trigger_id");
    assert_eq!(slack.violations().len(), 2, "{:?}", slack.violations());
}

#[tokio::test]
async fn broken_limits_are_noticed() {
    let text = |length: usize| json!({ "type": "plain_text", "text": "x".repeat(length) });
    let button = |value: usize, action: &str| json!({ "type": "button", "action_id": action, "value": "x".repeat(value), "text": text(3) });
    let section =
        |length: usize| json!({ "type": "section", "text": { "type": "mrkdwn", "text": "x".repeat(length) } });
    let message = |blocks: Vec<Value>| json!({ "text": "t", "blocks": blocks });
    let wrong = [
        message(vec![section(3_001)]),
        message(vec![section(0)]),
        message(vec![section(1); 51]),
        message(vec![json!({ "type": "header", "text": text(151) })]),
        message(vec![json!({ "type": "actions", "elements": [button(2_001, "a")] })]),
        message(vec![json!({ "type": "actions", "elements": [button(1, "a"), button(1, "a")] })]),
        message(vec![json!({ "type": "actions", "elements": [] })]),
        message(vec![json!({ "type": "divider", "block_id": "d" }), json!({ "type": "divider", "block_id": "d" })]),
        message(vec![json!({ "type": "section", "text": { "type": "mrkdwn", "text": "<!channel> look" } })]),
        message(vec![json!({ "type": "context", "elements": vec![text(1); 11] })]),
        message(vec![json!({ "type": "novelty" })]),
        json!({ "text": "x".repeat(4_001) }),
        json!({ "text": "", "blocks": [section(1)] }),
        json!({ "text": "t", "metadata": { "event_type": "e", "event_payload": "no object" } }),
    ];
    for args in wrong {
        let mut check = Check::default();
        check.message("it", &args);
        assert!(!check.found.is_empty(), "{args}");
    }
    let mut long = modal();
    long["title"]["text"] = "x".repeat(25).into();
    let mut fat = modal();
    fat["private_metadata"] = "x".repeat(3_001).into();
    let mut mute = modal();
    mute["submit"] = Value::Null;
    for view in [long, fat, mute] {
        let mut check = Check::default();
        check.view("it", &view, false);
        assert_eq!(check.found.len(), 1, "{:?}", check.found);
    }
    let mut check = Check::default();
    check.view("it", &modal(), false);
    check.message("it", &message(vec![section(3_000); 50]));
    check.message("it", &message(vec![json!({ "type": "actions", "elements": [button(2_000, "a"), button(0, "b")] })]));
    assert_eq!(check.found.len(), 1, "an empty value: {:?}", check.found);
}

#[tokio::test]
async fn calls_with_the_wrong_token_shape_or_place_are_noticed() {
    let slack = Slack::start();
    assert_eq!(call(&slack, "auth.test", "xoxb-other", &json!({})).await.1["error"], "invalid_auth");
    assert_eq!(call(&slack, "apps.connections.open", BOT_TOKEN, &json!({})).await.1["error"], "invalid_auth");
    call(&slack, "users.info", BOT_TOKEN, &json!({ "user": "U0ANN" })).await;
    let mut unfurling = card();
    unfurling["unfurl_links"] = true.into();
    call(&slack, "chat.postMessage", BOT_TOKEN, &unfurling).await;
    call(&slack, "chat.postMessages", BOT_TOKEN, &json!({})).await;
    assert_eq!(slack.violations().len(), 5, "{:?}", slack.violations());
    let mut elsewhere = card();
    elsewhere["channel"] = super::OTHER_CHANNEL.into();
    assert_eq!(call(&slack, "chat.postMessage", BOT_TOKEN, &elsewhere).await.1["error"], "not_in_channel");
    slack.deletes_channel(TEAM_CHANNEL);
    assert_eq!(call(&slack, "chat.postMessage", BOT_TOKEN, &card()).await.1["error"], "channel_not_found");
}

#[tokio::test]
async fn faults_come_as_told_and_impatience_is_noticed() {
    let slack = Slack::start();
    slack.fails("chat.postMessage", 1, Fault::LostAnswer);
    let url = format!("{}/chat.postMessage", slack.api_url());
    let request = client().post(url).bearer_auth(BOT_TOKEN).json(&card());
    let lost = match request.send().await {
        Ok(answer) => answer.bytes().await.is_err(),
        Err(_) => true,
    };
    assert!(lost && slack.posts().len() == 1);
    slack.fails("chat.postMessage", 1, Fault::Status(500));
    assert_eq!(call(&slack, "chat.postMessage", BOT_TOKEN, &card()).await.0, 500);
    slack.fails("chat.postMessage", 1, Fault::RateLimited(Duration::from_millis(600)));
    assert_eq!(call(&slack, "chat.postMessage", BOT_TOKEN, &card()).await.0, 429);
    assert_eq!(call(&slack, "chat.update", BOT_TOKEN, &json!({ "text": "t" })).await.0, 200, "another method");
    tokio::time::sleep(Duration::from_millis(300)).await;
    slack.no_violations();
    assert_eq!(call(&slack, "chat.postMessage", BOT_TOKEN, &card()).await.0, 429);
    assert_eq!(slack.violations().len(), 1, "{:?}", slack.violations());
    tokio::time::sleep(Duration::from_millis(400)).await;
    ok(&slack, "chat.postMessage", card()).await;
    assert_eq!(slack.posts().len(), 2);
}

#[tokio::test]
async fn what_is_not_acknowledged_is_a_violation_and_events_come_again() {
    let slack = Slack::start();
    let mut first = socket(&slack).await;
    let said = slack.person("U0ANN").mentions(TEAM_CHANNEL, "hello", &[]);
    let envelope = next(&mut first).await;
    assert_eq!(envelope["payload"]["event"]["type"], "app_mention");
    let [sent] = said.sent.try_into().expect("one event");
    assert_eq!(sent.outcome().await, Ack::Missing);
    let again = next(&mut first).await;
    assert_eq!((&again["envelope_id"], &again["retry_attempt"]), (&envelope["envelope_id"], &json!(1)));
    assert_eq!(slack.violations().len(), 1, "{:?}", slack.violations());
    // The socket breaks; the event comes over the next one.
    drop(first);
    crate::wait::until("the socket to be gone", Duration::from_secs(10), || {
        std::future::ready((slack.sockets() == 0).then_some(()))
    })
    .await;
    let mut second = socket(&slack).await;
    let third = next(&mut second).await;
    assert_eq!((&third["envelope_id"], &third["retry_attempt"]), (&envelope["envelope_id"], &json!(2)));
    ack(&mut second, &third, Value::Null).await;
    // A deaf socket takes clicks with it, and that is nobody's fault.
    slack.freezes();
    let lost = slack.person("U0ANN").slash(TEAM_CHANNEL, "/baton", "");
    assert_eq!(lost.outcome().await, Ack::Missing);
    assert_eq!(slack.violations().len(), 1, "{:?}", slack.violations());
}

#[tokio::test]
async fn sockets_are_refreshed_doubled_and_fed_rubbish() {
    let slack = Slack::start();
    let mut socket_one = socket(&slack).await;
    let click = slack.person("U0ANN").slash(TEAM_CHANNEL, "/baton", "");
    let twice = slack.sends_again(&click);
    for _ in 0..2 {
        let envelope = next(&mut socket_one).await;
        ack(&mut socket_one, &envelope, Value::Null).await;
    }
    click.acked().await;
    twice.acked().await;
    slack.sends_raw("no json");
    // Pings come whenever they like.
    let raw = loop {
        let frame = socket_one.next().await.expect("a frame").expect("no error");
        if frame.is_text() {
            break frame;
        }
    };
    assert_eq!(raw.into_text().expect("text").as_str(), "no json");
    slack.refreshes("refresh_requested");
    assert_eq!(next(&mut socket_one).await["reason"], "refresh_requested");
    ack(&mut socket_one, &json!({ "envelope_id": "unknown" }), Value::Null).await;
    crate::wait::until("the violation", Duration::from_secs(10), || {
        std::future::ready((slack.violations().len() == 1).then_some(()))
    })
    .await;
}

#[tokio::test]
async fn files_go_up_in_three_steps_and_come_down_with_the_token() {
    let slack = Slack::start();
    let url = format!("{}/files.getUploadURLExternal?filename=a.txt&length=5", slack.api_url());
    let client = client();
    let place: Value =
        client.get(url).bearer_auth(BOT_TOKEN).send().await.expect("an answer").json().await.expect("json");
    client.post(place["upload_url"].as_str().expect("a url")).body("hello").send().await.expect("an answer");
    let files = json!([{ "id": place["file_id"], "title": "A" }]);
    ok(&slack, "files.completeUploadExternal", json!({ "files": files, "channel_id": TEAM_CHANNEL })).await;
    assert_eq!(slack.uploads()[0].bytes, b"hello");
    let post = slack.person("U0ANN").direct("look", &[("b.txt", b"from ann")]).post;
    let message = slack.shared.state().message(&post, &slack.api_url());
    let url = message["files"][0]["url_private_download"].as_str().expect("a url").to_owned();
    let got = client.get(&url).bearer_auth(BOT_TOKEN).send().await.expect("an answer").text().await.expect("text");
    assert_eq!(got, "from ann");
    slack.no_violations();
    let page = client.get(&url).send().await.expect("an answer").text().await.expect("text");
    assert!(page.contains("Sign in") && slack.violations().len() == 1);
}

/// The example of Slack's own documentation.
#[test]
fn signatures_are_slacks() {
    let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    let signed = events::signature("8f742231b10e8888abcd99yyyzzz85a5", 1_531_420_618, body);
    assert_eq!(signed, "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503");
    let _ = Signed::default();
}
