//! The moment at which nobody knows: the server has the mail, and its word about that does not arrive.

use std::collections::BTreeMap;

use harness::{
    mail::{ANN, LastWord, Mail},
    wait,
};
use serde_json::Value;

use super::rig::{ONE, Office, PATIENCE, planner};

/// Only ann has mail.
const ANN_ALONE: &str = "
[members.ann]
email = [\"ann@team.test\"]
[members.carl]
";

/// The row of `baton mail outbox` of the mail that asks, once this holds.
async fn row(office: &Office, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    wait::until(what, PATIENCE, || async {
        let rows = office.outbox();
        rows.into_iter().find(|row| row["kind"] == "request" && holds(row))
    })
    .await
}

fn says(row: &Value, words: &str) -> bool {
    row["error"].as_str().is_some_and(|error| error.contains(words))
}

/// Waits until the server took so many mails.
async fn taken(office: &Office, count: usize) -> Vec<String> {
    wait::until(&format!("{count} mails at the server"), PATIENCE, || async {
        let taken = office.wire().taken();
        (taken.len() >= count).then_some(taken)
    })
    .await
}

/// The mails in her mailbox that ask, all of one Message-ID and alike to the byte but for what servers write on top.
async fn copies(office: &Office, count: usize) -> Mail {
    let mails = wait::until(&format!("{count} copies"), PATIENCE, || async {
        let mails = office.requests(ANN);
        (mails.len() >= count).then_some(mails)
    })
    .await;
    assert_eq!(mails.len(), count);
    let same: BTreeMap<String, String> = mails.iter().map(|mail| (mail.header("Message-ID"), mail.text())).collect();
    assert_eq!(same.len(), 1, "programs show them as one");
    mails.into_iter().next().expect("a mail")
}

async fn office() -> Office {
    Office::setup().members(ANN_ALONE).played(planner().0).wired().open().await
}

#[tokio::test]
async fn a_word_that_is_cut_off_costs_one_copy_more_and_is_told() {
    let office = office().await;
    office.wire().last_word(LastWord::IsCut);
    office.project(ONE).await;
    let approval = office.asked().await;
    let first = row(&office, "the first try", |row| says(row, "perhaps handed over")).await;
    assert_eq!((first["state"].as_str(), first["tries"].as_u64()), (Some("queued"), Some(1)), "{first}");
    assert!(says(&first, "got all of it and did not say that it has it"), "{first}");
    // Its word is heard the second time.
    office.wire().last_word(LastWord::Arrives);
    let sent = row(&office, "the second try", |row| row["state"] == "sent").await;
    assert_eq!((sent["tries"].as_u64(), &sent["error"]), (Some(2), &Value::Null), "{sent}");
    let id = sent["message_id"].as_str().expect("an id").to_owned();
    assert_eq!(office.wire().taken(), [id.clone(), id]);
    let mail = copies(&office, 2).await;
    office.replies(ANN, &mail, "approve");
    assert_eq!(office.decided(&approval).await.by, "ann");
    assert_eq!(office.decisions(&approval).await, 1);
}

#[tokio::test]
async fn a_word_that_is_cut_off_twice_is_left_at_that_and_told() {
    let office = office().await;
    office.wire().last_word(LastWord::IsCut);
    office.project(ONE).await;
    let sent = row(&office, "the end of it", |row| row["state"] == "sent").await;
    assert_eq!(sent["tries"].as_u64(), Some(2), "{sent}");
    assert!(says(&sent, "perhaps handed over"), "{sent}");
    copies(&office, 2).await;
}

#[tokio::test]
async fn a_kill_between_the_mail_and_the_word_costs_one_copy_more_and_is_told() {
    let mut office = office().await;
    office.wire().last_word(LastWord::IsSwallowed);
    office.project(ONE).await;
    let approval = office.asked().await;
    taken(&office, 1).await;
    office.serve.kill();
    office.wire().last_word(LastWord::Arrives);
    office.serve.start().await;
    let killed = row(&office, "what is known of it", |_| true).await;
    assert_eq!((killed["state"].as_str(), killed["tries"].as_u64()), (Some("queued"), Some(1)), "{killed}");
    assert!(says(&killed, "perhaps handed over: try 1 is under way, or ended with the program"), "{killed}");
    let sent = row(&office, "the second try", |row| row["state"] == "sent").await;
    assert_eq!(sent["tries"].as_u64(), Some(2), "{sent}");
    let ids = office.wire().taken();
    assert_eq!((ids.len(), &ids[0]), (2, &ids[1]));
    let mail = copies(&office, 2).await;
    office.replies(ANN, &mail, "approve");
    assert_eq!(office.decided(&approval).await.by, "ann");
    assert_eq!(office.decisions(&approval).await, 1);
}
