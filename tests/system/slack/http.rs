//! The HTTP Events API instead of a socket: signed requests only.

use harness::{
    nats::free_port,
    slack::{SIGNING_SECRET, Signed, TEAM_CHANNEL},
    wait,
};
use serde_json::{Value, json};

use super::rig::{Office, PATIENCE, says};

struct Door {
    office: Office,
    url: String,
}

/// No socket: everything comes over HTTP.
async fn door() -> Door {
    let port = free_port();
    let keys = format!("signing_secret = \"{SIGNING_SECRET}\"\nevents_listen = \"127.0.0.1:{port}\"\n");
    let mut office = Office::closed(&keys, None).await;
    office.serve.start().await;
    let url = format!("http://127.0.0.1:{port}/slack");
    wait::until("the door for events", PATIENCE, || async {
        tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok().map(|_| ())
    })
    .await;
    office.slack.over_http(&url);
    Door { office, url }
}

#[tokio::test]
async fn clicks_commands_and_events_come_as_signed_requests() {
    let Door { office, url } = door().await;
    let challenge = json!({ "type": "url_verification", "token": "t", "challenge": "3eZbrw1aB" });
    let answered = office.slack.posts_to(&url, &challenge, &Signed::default()).await;
    assert_eq!(answered.status, 200, "{answered:?}");
    assert!(answered.body.contains("3eZbrw1aB"), "{answered:?}");
    let (project, approval, card) = office.waiting().await;
    let ann = office.slack.person("U0ANN");
    ann.clicks(&card, "baton.reject").acked().await;
    let view = office.slack.wait_for_view("U0ANN").await;
    ann.submits(&view, &[("note", " ")]).acked().await;
    assert!(!office.slack.view_of("U0ANN").expect("the modal stays").errors.is_empty(), "errors come in the answer");
    if let Some(closed) = ann.closes(&view) {
        closed.acked().await;
    }
    ann.clicks(&card, "baton.approve").acked().await;
    assert_eq!(office.decided(&approval).await.by, "ann");
    office.completed(&project).await;
    office.closed_cards(&approval).await;
    ann.slash(TEAM_CHANNEL, "/baton", "").acked().await;
    let view = office.slack.wait_for_view("U0ANN").await;
    assert_eq!(view.callback(), "baton.goal");
    ann.opens_home().acked().await;
    office.slack.wait_for_home("U0ANN", |_| true).await;
    office.slack.no_violations();
}

#[tokio::test]
async fn what_is_not_signed_by_slack_now_is_refused() {
    let Door { office, url } = door().await;
    let (_, approval, card) = office.waiting().await;
    let click = office.slack.person("U0ANN").click(&card, "baton.approve", |_| true);
    let envelope = json!({ "type": "interactive", "payload": click });
    let refused = [
        Signed { wrong_secret: true, ..Signed::default() },
        Signed { unsigned: true, ..Signed::default() },
        Signed { age: 6 * 60, ..Signed::default() },
        Signed { age: -6 * 60, ..Signed::default() },
    ];
    for how in refused {
        let answered = office.slack.posts_envelope(&url, &envelope, &how).await;
        assert!((400..500).contains(&answered.status), "{how:?}: {answered:?}");
        assert!(!answered.body.contains("v0="), "the right signature is told to nobody: {answered:?}");
    }
    assert_eq!(office.request(&approval).await.decision, None);
    assert_eq!(office.client().dead_letters().await.expect("dead letters"), [], "strangers cannot fill the disk");
    // The very same, signed: taken, and once, however often it comes.
    for retry in [None, Some(1), Some(2)] {
        let answered = office.slack.posts_envelope(&url, &envelope, &Signed { retry, ..Signed::default() }).await;
        assert_eq!(answered.status, 200, "{answered:?}");
    }
    assert_eq!(office.decided(&approval).await.by, "ann");
    office.closed_cards(&approval).await;
    let told = office.slack.ephemerals_to("U0ANN");
    assert!(told.len() <= 1, "a retry is no second click: {told:?}");
}

#[tokio::test]
async fn an_event_that_is_sent_again_is_heard_once() {
    let Door { office, url } = door().await;
    let event = json!({
        "token": "t", "team_id": "T0TEAM", "api_app_id": "A0BATON", "type": "event_callback", "event_id": "Ev0ONE",
        "event_time": 1_700_000_000,
        "event": { "type": "app_mention", "user": "U0STRANGER", "text": "<@U0BATON> hello", "ts": "1700000000.000100",
            "channel": TEAM_CHANNEL, "event_ts": "1700000000.000100" },
    });
    for retry in [None, Some(1), Some(2), Some(3)] {
        let answered = office.slack.posts_to(&url, &event, &Signed { retry, ..Signed::default() }).await;
        assert_eq!(answered.status, 200, "{answered:?}");
    }
    says(&office.told("U0STRANGER", 0).await.shown(), &["member"]);
    let odd: Value = json!({ "type": "event_callback", "nothing": true });
    let answered = office.slack.posts_to(&url, &odd, &Signed::default()).await;
    assert_eq!(answered.status, 200, "{answered:?}");
    wait::until("the dead letter", PATIENCE, || async {
        let letters = office.client().dead_letters().await.ok()?;
        letters.iter().any(|letter| letter.stream == "slack").then_some(())
    })
    .await;
    assert_eq!(office.slack.ephemerals_to("U0STRANGER").len(), 1);
    office.slack.no_violations();
}
