//! Slack misbehaves, the network does, the disk is busy.

use std::time::{Duration, Instant};

use harness::{
    slack::{Fault, TEAM_CHANNEL, THREE_SECONDS},
    wait,
};
use serde_json::json;

use super::rig::{ONE, Office, PATIENCE, says};

#[tokio::test]
async fn what_cannot_be_read_is_kept_shown_and_acknowledged() {
    let office = Office::open("").await;
    let odd = json!({ "type": "block_actions", "actions": "none", "why": "a new kind of thing" });
    office.slack.sends("interactive", odd).acked().await;
    office.slack.sends("novelty", json!({ "hello": "canary-of-the-dead-letters" })).acked().await;
    let letters = wait::until("two dead letters", PATIENCE, || async {
        let letters = office.client().dead_letters().await.ok()?;
        let ours: Vec<_> = letters.into_iter().filter(|letter| letter.stream == "slack").collect();
        (ours.len() == 2).then_some(ours)
    })
    .await;
    assert!(letters.iter().any(|letter| letter.payload.contains("canary-of-the-dead-letters")), "{letters:?}");
    assert!(letters.iter().all(|letter| !letter.reason.is_empty()), "{letters:?}");
    let listed = office.serve.baton(&["dead-letters"]);
    says(&String::from_utf8_lossy(&listed.stdout), &["slack"]);
    // What is no envelope at all is kept as well, and breaks nothing.
    office.slack.sends_raw("{\"envelope_id\": 7");
    wait::until("the third dead letter", PATIENCE, || async {
        let letters = office.client().dead_letters().await.ok()?;
        (letters.iter().filter(|letter| letter.stream == "slack").count() == 3).then_some(())
    })
    .await;
    let (project, _, card) = office.waiting().await;
    office.slack.person("U0ANN").clicks(&card, "baton.approve").acked().await;
    office.completed(&project).await;
    office.slack.no_violations();
}

#[tokio::test]
async fn a_storm_of_rate_limits_is_waited_out_method_by_method() {
    let office = Office::open("").await;
    let limit = Fault::RateLimited(Duration::from_secs(1));
    office.slack.fails("chat.postMessage", 3, limit.clone());
    office.slack.fails("chat.update", 3, limit.clone());
    office.slack.fails("users.info", 1, limit);
    let (project, approval, card) = office.waiting().await;
    // Posting is limited; clicks are heard all the same.
    let click = office.slack.person("U0ANN").clicks(&card, "baton.approve");
    click.acked().await;
    office.decided(&approval).await;
    office.completed(&project).await;
    office.closed_cards(&approval).await;
    let limited = |method: &str| office.slack.calls(method).iter().filter(|call| call.outcome == "ratelimited").count();
    assert!(limited("chat.postMessage") >= 3, "{}", limited("chat.postMessage"));
    office.slack.no_violations();
}

#[tokio::test]
async fn failing_calls_are_tried_again() {
    let office = Office::open("").await;
    office.slack.fails("chat.postMessage", 2, Fault::Status(500));
    let (project, approval, card) = office.waiting().await;
    office.slack.fails("chat.update", 2, Fault::Status(502));
    office.slack.person("U0ANN").clicks(&card, "baton.approve").acked().await;
    office.completed(&project).await;
    office.closed_cards(&approval).await;
    office.slack.no_violations();
}

#[tokio::test]
async fn a_call_that_hangs_does_not_hold_up_decisions() {
    let office = Office::open("").await;
    let (project, approval, card) = office.waiting().await;
    office.slack.fails("chat.update", 1, Fault::Hang);
    office.slack.fails("chat.postEphemeral", 1, Fault::Hang);
    office.slack.person("U0ANN").clicks(&card, "baton.approve").acked().await;
    office.decided(&approval).await;
    office.completed(&project).await;
    office.closed_cards(&approval).await;
    office.slack.no_violations();
}

#[tokio::test]
async fn a_refreshed_and_a_cut_socket_are_opened_again() {
    let office = Office::open("").await;
    let (project, _, card) = office.waiting().await;
    for reason in ["warning", "refresh_requested"] {
        let before = office.slack.connections();
        office.slack.refreshes(reason);
        wait::until("another socket", PATIENCE, || async { (office.slack.connections() > before).then_some(()) }).await;
    }
    let before = office.slack.connections();
    office.slack.fails("apps.connections.open", 2, Fault::Status(500));
    office.slack.cuts();
    wait::until("another socket", PATIENCE, || async { (office.slack.connections() > before).then_some(()) }).await;
    office.until_connected().await;
    office.slack.person("U0ANN").clicks(&card, "baton.approve").acked().await;
    office.completed(&project).await;
    office.slack.no_violations();
}

#[tokio::test]
async fn a_socket_that_is_open_and_deaf_is_noticed() {
    let office = Office::open("").await;
    let (project, _, card) = office.waiting().await;
    office.slack.freezes();
    assert_eq!(office.slack.sockets(), 0);
    office.until_connected().await;
    office.slack.person("U0ANN").clicks(&card, "baton.approve").acked().await;
    office.completed(&project).await;
    office.slack.no_violations();
}

#[tokio::test]
async fn clicks_are_acknowledged_in_time_while_the_database_is_busy() {
    let office = Office::open("").await;
    let (project, approval, card) = office.waiting().await;
    // Somebody else writes into the journal's database for longer than Slack waits.
    let database = rusqlite::Connection::open(office.serve.database()).expect("the database");
    database.busy_timeout(PATIENCE).expect("patience");
    database.execute_batch("BEGIN IMMEDIATE").expect("the write lock");
    let began = Instant::now();
    let click = office.slack.person("U0ANN").clicks(&card, "baton.approve");
    click.acked().await;
    assert!(began.elapsed() < THREE_SECONDS);
    let ann = office.slack.person("U0BOB");
    ann.clicks(&card, "baton.reject").acked().await;
    office.slack.wait_for_view("U0BOB").await;
    database.execute_batch("ROLLBACK").expect("the lock is free");
    let decision = office.decided(&approval).await;
    assert_eq!(decision.by, "ann");
    office.completed(&project).await;
    office.closed_cards(&approval).await;
    office.slack.no_violations();
}

#[tokio::test]
async fn a_deleted_channel_stops_nothing() {
    let office = Office::open("").await;
    let (project, approval, _) = office.waiting().await;
    office.slack.deletes_channel(TEAM_CHANNEL);
    office.decides("ann", &approval, bus_schemas::v1::approval::Verdict::Approved, "").await;
    office.completed(&project).await;
    // A project whose cards have no place any more goes on, too: members are asked directly, or on the command line.
    let second = office.project(ONE).await;
    let approval = office.asked().await;
    office.decides("ann", &approval, bus_schemas::v1::approval::Verdict::Approved, "").await;
    office.completed(&second).await;
    office.slack.no_violations();
}

#[tokio::test]
async fn a_token_that_slack_does_not_know_is_said_and_costs_only_slack() {
    let office = Office::closed("", None).await;
    office.slack.fails("*", 10_000, Fault::Refused("invalid_auth".to_owned()));
    let mut office = office;
    office.serve.start().await;
    let project = office.project(ONE).await;
    let approval = office.asked().await;
    office.decides("ann", &approval, bus_schemas::v1::approval::Verdict::Approved, "").await;
    office.completed(&project).await;
    let tries = office.slack.calls("apps.connections.open").len() + office.slack.calls("auth.test").len();
    assert!(tries > 0 && tries < 60, "{tries} tries: that is no backoff");
    office.slack.no_violations();
}
