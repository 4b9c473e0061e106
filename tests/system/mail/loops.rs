//! Two Batons that may write to each other, each with a home and a mailbox of its own, their mails really sent: they fall silent,
//! and both sides can see why.

use harness::{
    mail::{BATON, Mail},
    wait,
};
use serde_json::Value;

use super::{
    rig::{ONE, Office, PATIENCE, planner},
    written::Written,
};

/// The other one's mailbox.
const OTHER: &str = "baton@other.test";
/// What marks a mail as a machine's.
const MARKS: [&str; 4] = ["Auto-Submitted", "X-Auto-Response-Suppress", "Precedence", "List-Unsubscribe"];
/// What is left then: ids that only a Baton gives.
const IDS: [&str; 3] = ["Message-ID", "In-Reply-To", "References"];
/// The most mails of one sender within an hour.
const PER_SENDER: usize = 3;

/// Each takes mails of the other; with `members`, each is asked by the other, too.
async fn pair(members: bool, keys: &str) -> (Office, Office) {
    let people = |name: &str, address: &str| {
        let other = if members { format!("[members.{name}]\nemail = [\"{address}\"]\n") } else { String::new() };
        format!("[members.carl]\n{other}")
    };
    let keys = |other: &str| format!("allow = [\"{other}\"]\nnews = \"off\"\n{keys}");
    let ours = Office::setup().members(&people("theirs", OTHER)).keys(&keys(OTHER)).played(planner().0).open().await;
    // Both hand their mails to the server from this machine.
    ours.dns.txt("other.test", "v=spf1 ip4:127.0.0.1 ip4:127.0.0.8 -all");
    let theirs = Office::setup().beside(&ours, OTHER).members(&people("ours", BATON)).keys(&keys(BATON));
    let theirs = theirs.played(planner().0).open().await;
    (ours, theirs)
}

/// Waits until so many mails lie in the two mailboxes, none is on its way, and all were judged; and no more come while each takes
/// its time to say something.
async fn silent_at(ours: &Office, theirs: &Office, counts: (usize, usize)) -> (Vec<Mail>, Vec<Mail>) {
    let mut calm = 0;
    wait::until(&format!("silence after {counts:?} mails"), PATIENCE, || {
        let boxes = (ours.mail.mails(BATON), theirs.mail.mails(OTHER));
        let found = (boxes.0.len(), boxes.1.len());
        assert!(found.0 <= counts.0 && found.1 <= counts.1, "more than {counts:?}: {found:?} {boxes:?}");
        let judged = |office: &Office| office.log().iter().filter(|letter| letter["state"] != "kept").count();
        let is_sent = |office: &Office| office.outbox().iter().all(|out| out["state"] != "queued");
        let is_calm = found == counts
            && (judged(ours), judged(theirs)) == counts
            && is_sent(ours)
            && is_sent(theirs)
            && ours.mail.queued() == 0;
        calm = if is_calm { calm + 1 } else { 0 };
        let is_silent = calm >= 10;
        async move { is_silent.then_some(boxes) }
    })
    .await
}

/// What became of the mails that came in, the oldest first.
fn outcomes(office: &Office) -> Vec<String> {
    let log = office.log();
    log.iter().rev().map(|letter| letter["outcome"].as_str().unwrap_or_default().to_owned()).collect()
}

fn count(outcomes: &[String], words: &str) -> usize {
    outcomes.iter().filter(|outcome| outcome.contains(words)).count()
}

/// New mails, replies and answers between the two; `why` is what each says of the other's mails.
async fn nobody_answers(ours: &Office, theirs: &Office, why: &str) {
    // A mail of ours with no mark of a machine at all: somebody writes from our mailbox.
    ours.sends(&Written::new(BATON, OTHER, "Ping", "Do something.\n"));
    let project = theirs.only_project().await;
    let approval = theirs.asked().await;
    // That it started, and its plan to be approved.
    silent_at(ours, theirs, (2, 1)).await;
    // A reply by the same hand: it is answered, the result is told, and that is all.
    let request = theirs.request(BATON, 0).await;
    ours.sends(&Written::reply(BATON, &request, "approve"));
    assert_eq!(theirs.decided(&approval).await.by, "ours");
    theirs.completed(&project).await;
    silent_at(ours, theirs, (4, 2)).await;
    // An answer of a machine.
    let away = Written::reply(BATON, &request, "I am away.").header("X-Autoreply", "yes");
    ours.sends(&away);
    silent_at(ours, theirs, (4, 3)).await;
    // A request that ours itself sends to theirs, whom it has for a member.
    ours.project(ONE).await;
    silent_at(ours, theirs, (4, 4)).await;
    assert_eq!((ours.projects().await, theirs.projects().await), (1, 1));
    let (here, there) = (outcomes(ours), outcomes(theirs));
    assert_eq!(count(&here, why), 4, "{here:?}");
    assert_eq!((count(&there, why), count(&there, "x-autoreply")), (1, 1), "{there:?}");
}

#[tokio::test]
async fn two_batons_fall_silent_at_the_first_mark() {
    let (ours, theirs) = pair(true, "").await;
    nobody_answers(&ours, &theirs, "a machine sent it (Auto-Submitted: auto-").await;
}

#[tokio::test]
async fn two_batons_know_each_other_when_a_gateway_takes_the_marks_away() {
    let (ours, theirs) = pair(true, "").await;
    ours.mail.strips(&MARKS);
    nobody_answers(&ours, &theirs, "a machine sent it (Message-ID of a Baton)").await;
}

#[tokio::test]
async fn two_batons_that_cannot_know_each_other_are_cut_and_both_sides_see_why() {
    let (ours, theirs) = pair(false, &format!("per_sender = {PER_SENDER}\n")).await;
    ours.mail.strips(&[&MARKS[..], &IDS[..]].concat());
    ours.sends(&Written::new(BATON, OTHER, "Ping", "Do something.\n"));
    // Each takes what the other says for something new and says that it begins, as often as one may write within an hour.
    silent_at(&ours, &theirs, (PER_SENDER, PER_SENDER + 1)).await;
    assert_eq!((ours.projects().await, theirs.projects().await), (PER_SENDER, PER_SENDER));
    let aside = theirs.log().into_iter().filter(|letter| letter["state"] == "quarantined").collect::<Vec<Value>>();
    let why = aside.first().and_then(|letter| letter["outcome"].as_str()).unwrap_or_default();
    assert_eq!(aside.len(), 1, "{aside:?}");
    assert!(why.contains("sent more than 3 mails within an hour (`per_sender` in [mail])"), "{why}");
    let started = |office: &Office| office.outbox().iter().filter(|out| out["state"] == "sent").count();
    assert_eq!((started(&ours), started(&theirs)), (PER_SENDER, PER_SENDER));
}
