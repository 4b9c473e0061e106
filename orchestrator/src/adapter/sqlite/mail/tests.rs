use bus_schemas::{
    id::{ApprovalId, ProjectId},
    time::UnixMs,
};
use bytes::Bytes;
use uuid::Uuid;

use super::*;
use crate::{
    adapter::mail::{
        Desk as _, InState, LetterFilter, News, OutKind, OutMail, OutState, Position, Standing, Thread, Verdict,
    },
    digest,
    mail::letter::{Delivery, Source},
};

fn project(number: u128) -> ProjectId {
    ProjectId::from_uuid(Uuid::from_u128(number))
}

fn own(text: &str) -> String {
    text.to_owned()
}

fn raw(text: &str) -> Bytes {
    Bytes::from(format!("Subject: {text}\r\n\r\nHello.\r\n"))
}

/// Opens the store again, as after a crash: the old one is gone when its last clone is.
fn again(store: MailStore, dir: &Path) -> MailStore {
    drop(store);
    MailStore::open(dir).unwrap()
}

fn trusted(person: &str, message_id: &str) -> Verdict {
    Verdict {
        state: InState::Done,
        outcome: own("started a project"),
        from: own("ann@example.org"),
        person: own(person),
        subject: own("Hello"),
        message_id: Some(own(message_id)),
        project_id: Some(project(1)),
        trusted: true,
        standing: Standing::Known,
    }
}

fn out(number: u128, name: &str, to: &str) -> OutMail {
    OutMail {
        id: Uuid::from_u128(number),
        name: own(name),
        to: own(to),
        person: own("ann"),
        kind: OutKind::Request,
        project_id: Some(project(1)),
        approval_id: Some(ApprovalId::from_uuid(Uuid::from_u128(9))),
        digest: "d".repeat(64),
        message_id: format!("{number}@baton.example.org"),
        created_at: UnixMs(100),
        next_at: UnixMs(100),
        ..OutMail::default()
    }
}

#[tokio::test]
async fn a_mail_is_kept_once_with_its_text_and_is_unfinished_until_it_is_finished() {
    let dir = tempfile::tempdir().unwrap();
    let store = MailStore::open(dir.path()).unwrap();
    let delivery = Delivery { source: Source::Postmark, mail_from: Some(String::new()), ..Delivery::default() };
    let (first, is_new) = store.keep(raw("one"), delivery.clone(), UnixMs(1)).await.unwrap();
    assert!(is_new);
    assert_eq!((first.id.clone(), first.size), (digest::of_bytes(&raw("one")), raw("one").len() as u64));
    let (second, _) = store.keep(raw("two"), Delivery::default(), UnixMs(2)).await.unwrap();
    let store = again(store, dir.path());
    let (known, is_new) = store.keep(raw("one"), Delivery::default(), UnixMs(3)).await.unwrap();
    assert_eq!((known, is_new), (first.clone(), false), "one that is known changes nothing");
    assert_eq!(first.delivery, delivery);
    assert_eq!(store.unfinished(0, 100).await.unwrap(), [first.clone(), second.clone()]);
    assert_eq!(store.unfinished(0, 1).await.unwrap(), std::slice::from_ref(&first));
    assert_eq!(store.unfinished(first.place, 100).await.unwrap(), std::slice::from_ref(&second));
    assert_eq!(store.text(&first.id).await.unwrap(), Some(raw("one")));
    assert_eq!(store.text("nobody").await.unwrap(), None);
    let later = Verdict { state: InState::Kept, outcome: own("a name server does not answer"), ..Verdict::default() };
    store.finish(&first.id, later, UnixMs(5)).await.unwrap();
    assert_eq!(store.unfinished(0, 100).await.unwrap().len(), 2, "kept is not finished");
    store.set_tries(&first.id, 3, "silence").await.unwrap();
    let store = again(store, dir.path());
    let waits = store.letter(&first.id).await.unwrap().unwrap();
    assert_eq!((waits.tries, waits.verdict.outcome.as_str(), waits.done_at), (3, "silence", None));
    store.finish(&first.id, trusted("ann", "m1"), UnixMs(10)).await.unwrap();
    store.finish(&first.id, Verdict::default(), UnixMs(11)).await.unwrap();
    let found = store.letter(&first.id).await.unwrap().unwrap();
    assert_eq!(
        (found.verdict, found.done_at),
        (trusted("ann", "m1"), Some(UnixMs(10))),
        "what was written first stays"
    );
    assert_eq!(store.unfinished(0, 100).await.unwrap(), std::slice::from_ref(&second));
    let all = store.letters(LetterFilter::default()).await.unwrap();
    assert_eq!(all.iter().map(|mail| &mail.id).collect::<Vec<_>>(), [&second.id, &first.id], "the newest first");
    assert_eq!(store.letters(LetterFilter { limit: 1, state: None }).await.unwrap().len(), 1);
    let done = LetterFilter { state: Some(InState::Done), limit: 0 };
    assert_eq!(store.letters(done).await.unwrap()[0].id, first.id);
}

#[tokio::test]
async fn of_the_same_mail_at_the_same_time_one_is_new() {
    let dir = tempfile::tempdir().unwrap();
    let store = MailStore::open(dir.path()).unwrap();
    let kept =
        futures::future::join_all((0..50).map(|_| store.keep(raw("same"), Delivery::default(), UnixMs(1)))).await;
    assert_eq!(kept.into_iter().filter(|kept| kept.as_ref().unwrap().1).count(), 1);
    assert_eq!(store.unfinished(0, 100).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_mail_whose_text_cannot_be_written_is_not_kept_and_is_kept_when_it_comes_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = MailStore::open(dir.path()).unwrap();
    let sub = store.texts.path(&digest::of_bytes(&raw("one"))).parent().unwrap().to_owned();
    std::fs::remove_dir(&sub).unwrap();
    std::fs::write(&sub, "in the way").unwrap();
    let error = store.keep(raw("one"), Delivery::default(), UnixMs(1)).await.unwrap_err().to_string();
    assert!(error.contains(sub.to_str().unwrap()), "{error}");
    let mails = vec![(raw("one"), Delivery::default())];
    assert!(store.keep_all("INBOX", mails.clone(), Position { validity: 1, uid: 7 }, UnixMs(1)).await.is_err());
    assert!(store.intend(out(1, "a", "b"), raw("one")).await.is_err());
    assert!(store.unfinished(0, 100).await.unwrap().is_empty());
    assert!(store.outbox(9).await.unwrap().is_empty());
    assert_eq!(store.position("INBOX").await.unwrap(), None, "the mailbox is read again from where it was");
    std::fs::remove_file(&sub).unwrap();
    let store = again(store, dir.path());
    let kept = store.keep_all("INBOX", mails, Position { validity: 1, uid: 7 }, UnixMs(1)).await.unwrap();
    assert_eq!(store.unfinished(0, 100).await.unwrap(), kept);
    assert_eq!(std::fs::read_dir(dir.path().join("mail/new")).unwrap().count(), 0, "nothing half-written is left");
}

#[tokio::test]
async fn what_a_crash_left_half_written_goes_at_the_next_start_and_a_text_without_a_row_does_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let store = MailStore::open(dir.path()).unwrap();
    std::fs::write(dir.path().join("mail/new/0"), "half").unwrap();
    let orphan = store.texts.path(&digest::of_bytes(&raw("one")));
    std::fs::write(&orphan, raw("one")).unwrap();
    let store = again(store, dir.path());
    assert_eq!(std::fs::read_dir(dir.path().join("mail/new")).unwrap().count(), 0);
    let (mail, is_new) = store.keep(raw("one"), Delivery::default(), UnixMs(1)).await.unwrap();
    assert!(is_new);
    assert_eq!(store.text(&mail.id).await.unwrap(), Some(raw("one")));
    std::fs::write(&orphan, "something else").unwrap();
    let error = store.text(&mail.id).await.unwrap_err().to_string();
    assert!(error.contains("backup") && error.contains(&mail.id), "{error}");
    std::fs::remove_file(&orphan).unwrap();
    assert!(store.text(&mail.id).await.is_err(), "a text that is lost is not the same as no mail");
}

#[tokio::test]
async fn a_mailbox_and_its_place_move_together() {
    let dir = tempfile::tempdir().unwrap();
    let store = MailStore::open(dir.path()).unwrap();
    store.keep(raw("one"), Delivery::default(), UnixMs(1)).await.unwrap();
    let mails = vec![(raw("one"), Delivery::default()), (raw("two"), Delivery::default())];
    let kept = store.keep_all("INBOX", mails, Position { validity: 3, uid: 8 }, UnixMs(2)).await.unwrap();
    assert_eq!(kept.iter().map(|mail| mail.received_at.0).collect::<Vec<_>>(), [1, 2], "a known one stays as it is");
    store.keep_all("INBOX", Vec::new(), Position { validity: 4, uid: 0 }, UnixMs(3)).await.unwrap();
    let store = again(store, dir.path());
    assert_eq!(store.position("INBOX").await.unwrap(), Some(Position { validity: 4, uid: 0 }));
    assert_eq!(store.position("Other").await.unwrap(), None);
    assert_eq!(store.unfinished(0, 100).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_quarantined_mail_is_judged_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = MailStore::open(dir.path()).unwrap();
    let aside = Verdict { state: InState::Quarantined, outcome: own("no DMARC"), ..Verdict::default() };
    let mut ids = Vec::new();
    for text in ["one", "two"] {
        let (mail, _) = store.keep(raw(text), Delivery::default(), UnixMs(1)).await.unwrap();
        assert!(!store.judge(&mail.id, InState::Released, "ann", UnixMs(2)).await.unwrap(), "it is not quarantined");
        store.finish(&mail.id, aside.clone(), UnixMs(3)).await.unwrap();
        ids.push(mail.id);
    }
    assert!(store.judge(&ids[0], InState::Released, "ann", UnixMs(4)).await.unwrap());
    assert!(store.judge(&ids[1], InState::Dropped, "bob", UnixMs(5)).await.unwrap());
    for id in &ids {
        assert!(!store.judge(id, InState::Released, "eve", UnixMs(6)).await.unwrap());
    }
    let store = again(store, dir.path());
    let open = store.unfinished(0, 100).await.unwrap();
    assert_eq!((open.len(), open[0].verdict.state, open[0].by.as_deref()), (1, InState::Released, Some("ann")));
    let later = Verdict { state: InState::Kept, ..Verdict::default() };
    store.finish(&ids[0], later, UnixMs(7)).await.unwrap();
    assert_eq!(store.letter(&ids[0]).await.unwrap().unwrap().verdict.state, InState::Released, "it stays let pass");
    store.finish(&ids[0], trusted("ann", "m"), UnixMs(8)).await.unwrap();
    let found = store.letter(&ids[0]).await.unwrap().unwrap();
    assert_eq!((found.verdict.state, found.by.as_deref()), (InState::Done, Some("ann")));
    let dropped = store.letter(&ids[1]).await.unwrap().unwrap();
    assert_eq!((dropped.verdict.state, dropped.done_at), (InState::Dropped, Some(UnixMs(5))));
}

#[tokio::test]
async fn only_trusted_mails_count_and_are_seen() {
    let dir = tempfile::tempdir().unwrap();
    let store = MailStore::open(dir.path()).unwrap();
    for (at, text, person, is_trusted) in [(10, "a", "ann", true), (20, "b", "bob", true), (30, "c", "ann", false)] {
        let (mail, _) = store.keep(raw(text), Delivery::default(), UnixMs(at)).await.unwrap();
        let verdict = Verdict { trusted: is_trusted, ..trusted(person, "same") };
        store.finish(&mail.id, verdict, UnixMs(at)).await.unwrap();
    }
    let count = |person, since| store.count(person, UnixMs(since));
    assert_eq!(count(Some("ann"), 0).await.unwrap(), 1);
    assert_eq!(
        (count(None, 0).await.unwrap(), count(None, 11).await.unwrap(), count(None, 21).await.unwrap()),
        (2, 1, 0)
    );
    let (first, second) = (digest::of_bytes(&raw("a")), digest::of_bytes(&raw("b")));
    assert_eq!(store.seen("same", "another").await.unwrap().unwrap().id, first);
    assert_eq!(store.seen("same", &first).await.unwrap().unwrap().id, second);
    assert_eq!(store.seen("other", &first).await.unwrap(), None);
}

#[tokio::test]
async fn a_mail_of_ours_is_written_down_once_for_each_recipient_and_is_due_until_it_went() {
    let dir = tempfile::tempdir().unwrap();
    let store = MailStore::open(dir.path()).unwrap();
    assert!(store.intend(out(1, "request:1:d", "a@x.org"), raw("one")).await.unwrap());
    assert!(!store.intend(out(2, "request:1:d", "a@x.org"), raw("another")).await.unwrap());
    assert!(store.intend(out(3, "request:1:d", "b@x.org"), raw("two")).await.unwrap());
    let later = OutMail { next_at: UnixMs(500), ..out(4, "request_1:d", "a@x.org") };
    assert!(store.intend(later, raw("two")).await.unwrap());
    let store = again(store, dir.path());
    let due = store.due(UnixMs(100), 9).await.unwrap();
    assert_eq!(due, [out(1, "request:1:d", "a@x.org"), out(3, "request:1:d", "b@x.org")]);
    assert_eq!(store.due(UnixMs(500), 2).await.unwrap().len(), 2);
    assert_eq!(store.next_due().await.unwrap(), Some(UnixMs(100)));
    assert_eq!(store.out_text(Uuid::from_u128(1)).await.unwrap(), Some(raw("one")), "to the byte, after a crash, too");
    assert_eq!(store.out_text(Uuid::from_u128(2)).await.unwrap(), None);
    let mut first = due[0].clone();
    (first.tries, first.next_at, first.error) = (1, UnixMs(700), Some(own("away")));
    store.set_out(first.clone()).await.unwrap();
    assert_eq!(store.out(first.id).await.unwrap(), Some(first.clone()));
    first.state = OutState::Bounced;
    store.set_out(first.clone()).await.unwrap();
    store.set_out(OutMail { state: OutState::Sent, ..first.clone() }).await.unwrap();
    assert_eq!(store.out(first.id).await.unwrap().unwrap().state, OutState::Bounced, "a bounce is the last word");
    let mut second = due[1].clone();
    second.state = OutState::Sent;
    store.set_out(second.clone()).await.unwrap();
    assert_eq!(store.next_due().await.unwrap(), Some(UnixMs(500)));
    assert_eq!(store.out_named("request:1:").await.unwrap(), [first, second.clone()], "`_` is no wildcard");
    assert_eq!(store.outbox(1).await.unwrap()[0].id, Uuid::from_u128(4));
    let ids = [own("nobody"), second.message_id.clone()];
    assert_eq!(store.out_by_message_id(&ids).await.unwrap(), Some(second));
    assert_eq!(store.out_by_message_id(&[]).await.unwrap(), None);
    assert_eq!(store.sent_since("ann", Some(project(1)), UnixMs(100)).await.unwrap(), 3);
    assert_eq!(store.sent_since("ann", None, UnixMs(100)).await.unwrap(), 0);
    assert_eq!(store.sent_since("ann", Some(project(1)), UnixMs(101)).await.unwrap(), 0);
}

#[tokio::test]
async fn a_link_is_used_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = MailStore::open(dir.path()).unwrap();
    store.intend(out(1, "a", "b"), raw("one")).await.unwrap();
    let uses = futures::future::join_all((0..20).map(|_| store.use_link(Uuid::from_u128(1), "approved"))).await;
    assert_eq!(uses.into_iter().filter(|first| *first.as_ref().unwrap()).count(), 1);
    assert!(!store.use_link(Uuid::from_u128(9), "approved").await.unwrap());
    store.set_out(OutMail { state: OutState::Sent, ..out(1, "a", "b") }).await.unwrap();
    let store = again(store, dir.path());
    assert_eq!(store.out(Uuid::from_u128(1)).await.unwrap().unwrap().used.as_deref(), Some("approved"));
}

#[tokio::test]
async fn threads_the_key_and_the_place_in_the_feed_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = MailStore::open(dir.path()).unwrap();
    let key = store.key().await.unwrap();
    assert_ne!(key, [0; 32]);
    let thread = Thread { subject: own("Docs"), references: vec![own("a@b")], is_quiet: false, is_start: true };
    store.set_thread(project(1), "ann", thread.clone()).await.unwrap();
    let quiet = Thread { is_quiet: true, ..thread.clone() };
    store.set_thread(project(1), "bob", thread.clone()).await.unwrap();
    store.set_thread(project(1), "bob", quiet.clone()).await.unwrap();
    store.set_feed_position(7).await.unwrap();
    store.set_feed_position(3).await.unwrap();
    let store = again(store, dir.path());
    assert_eq!(store.key().await.unwrap(), key);
    assert_eq!(store.thread(project(1), "ann").await.unwrap(), Some(thread.clone()));
    assert_eq!(store.threads(project(1)).await.unwrap(), [(own("ann"), thread), (own("bob"), quiet)]);
    assert_eq!(store.thread(project(2), "ann").await.unwrap(), None);
    assert_eq!(store.feed_position().await.unwrap(), 7);
    let other = tempfile::tempdir().unwrap();
    assert_ne!(MailStore::open(other.path()).unwrap().key().await.unwrap(), key, "every installation has its own");
}

#[tokio::test]
async fn news_are_told_once_by_the_mail_that_takes_them() {
    let dir = tempfile::tempdir().unwrap();
    let store = MailStore::open(dir.path()).unwrap();
    let news = |at, said: &str| News { at: UnixMs(at), project: own("Docs"), said: own(said) };
    for at in [1, 2, 2, 5] {
        store.gather("ann", project(1), news(at, "a task is done")).await.unwrap();
    }
    store.gather("bob", project(2), news(4, "started")).await.unwrap();
    let store = again(store, dir.path());
    assert_eq!(store.gathered(UnixMs(1)).await.unwrap(), Vec::<String>::new());
    assert_eq!(store.gathered(UnixMs(2)).await.unwrap(), ["ann"]);
    assert_eq!(store.gathered(UnixMs(9)).await.unwrap(), ["ann", "bob"]);
    let known = store.news("ann").await.unwrap();
    assert_eq!(known.iter().map(|(_, news)| news.at.0).collect::<Vec<_>>(), [1, 2, 5], "the same twice is one");
    let digest = out(1, "digest:ann:1", "a@x.org");
    store.intend_digest(digest.clone(), raw("digest"), "ann", UnixMs(2)).await.unwrap();
    store.intend_digest(digest.clone(), raw("digest"), "ann", UnixMs(2)).await.unwrap();
    let store = again(store, dir.path());
    assert_eq!(store.news("ann").await.unwrap(), [(project(1), news(5, "a task is done"))]);
    store.forget_news("bob", UnixMs(3)).await.unwrap();
    assert_eq!(store.news("bob").await.unwrap().len(), 1);
    store.forget_news("bob", UnixMs(4)).await.unwrap();
    assert!(store.news("bob").await.unwrap().is_empty());
    assert_eq!(store.outbox(9).await.unwrap(), [digest]);
}

#[tokio::test]
async fn texts_of_what_is_finished_are_cleared_and_the_mails_stay_known() {
    let dir = tempfile::tempdir().unwrap();
    let store = MailStore::open(dir.path()).unwrap();
    let (done, _) = store.keep(raw("done"), Delivery::default(), UnixMs(1)).await.unwrap();
    let (shared, _) = store.keep(raw("shared"), Delivery::default(), UnixMs(1)).await.unwrap();
    let (open, _) = store.keep(raw("open"), Delivery::default(), UnixMs(1)).await.unwrap();
    for mail in [&done, &shared] {
        store.finish(&mail.id, trusted("ann", "m"), UnixMs(1)).await.unwrap();
    }
    store.intend(out(1, "a", "b"), raw("shared")).await.unwrap();
    store.intend(OutMail { state: OutState::Sent, ..out(2, "c", "d") }, raw("sent")).await.unwrap();
    store.tidy(UnixMs(1000)).await.unwrap();
    store.tidy(UnixMs(1000)).await.unwrap();
    let exists = |text: &str| store.texts.path(&digest::of_bytes(&raw(text))).exists();
    assert_eq!(["done", "shared", "open", "sent"].map(exists), [false, true, true, false]);
    assert_eq!(store.text(&done.id).await.unwrap(), None);
    assert_eq!(store.text(&open.id).await.unwrap(), Some(raw("open")), "what is not finished is never forgotten");
    assert_eq!(store.out_text(Uuid::from_u128(1)).await.unwrap(), Some(raw("shared")), "it is still to be sent");
    assert_eq!(store.out_text(Uuid::from_u128(2)).await.unwrap(), None);
    assert!(store.out(Uuid::from_u128(2)).await.unwrap().is_some());
    let (again, is_new) = store.keep(raw("done"), Delivery::default(), UnixMs(9)).await.unwrap();
    assert_eq!(
        (again.verdict.state, is_new),
        (InState::Done, false),
        "a mailbox that is read anew starts nothing twice"
    );
    assert!(!exists("done"));
    store.set_out(OutMail { state: OutState::Sent, ..out(1, "a", "b") }).await.unwrap();
    store.tidy(UnixMs(1000)).await.unwrap();
    assert!(!exists("shared"));
}

#[tokio::test]
async fn a_later_programs_file_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let file = Connection::open(dir.path().join("mail.db")).unwrap();
    file.pragma_update(None, "user_version", 99).unwrap();
    drop(file);
    assert!(matches!(MailStore::open(dir.path()), Err(OpenError::TooNew { found: 99, .. })));
}

#[tokio::test]
async fn texts_of_strangers_have_limits_and_those_of_people_who_are_known_have_none() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { bytes: 50, count: 3 };
    let store = MailStore::open(dir.path()).unwrap().with_limits(limits);
    let of = |standing| Verdict {
        state: InState::Quarantined,
        outcome: own("may not write"),
        standing,
        ..Verdict::default()
    };
    let keep = async |text: &str, verdict: Verdict| {
        let (mail, _) = store.keep(Bytes::from(text.to_owned()), Delivery::default(), UnixMs(1)).await.unwrap();
        store.finish(&mail.id, verdict, UnixMs(2)).await.unwrap();
        mail.id
    };
    let member = keep("a member's, with more than fifty bytes: never dropped", of(Standing::Known)).await;
    let claim = keep("in ann's name", of(Standing::Claims)).await;
    let mut strangers = Vec::new();
    for number in 0..5 {
        strangers.push(keep(&format!("stranger {number}"), of(Standing::Stranger)).await);
    }
    let has_text = async |id: &str| store.text(id).await.unwrap().is_some();
    let mut have = Vec::new();
    for id in &strangers {
        have.push(has_text(id).await);
        assert_eq!(store.texts.path(id).exists(), *have.last().unwrap(), "the file is gone, too");
    }
    assert_eq!(have, [false, false, true, true, true], "the oldest go first");
    let gone = store.letter(&strangers[0]).await.unwrap().unwrap();
    assert!(gone.is_cleared && gone.verdict.outcome.starts_with("may not write; body dropped: "), "{gone:?}");
    assert!(!store.judge(&gone.id, InState::Released, "ann", UnixMs(3)).await.unwrap(), "there is nothing to release");
    keep(&"x".repeat(40), of(Standing::Stranger)).await;
    assert!(!has_text(&strangers[3]).await && has_text(&strangers[4]).await, "bytes count, too");
    // Of a flood in somebody's name, what came last is dropped: what lay there before stays.
    let mut flood = Vec::new();
    for number in 0..4 {
        flood.push(keep(&format!("flood {number}"), of(Standing::Claims)).await);
    }
    assert!(has_text(&member).await && has_text(&claim).await && has_text(&flood[1]).await);
    assert!(!has_text(&flood[2]).await && !has_text(&flood[3]).await);
    assert!(store.judge(&strangers[4], InState::Released, "ann", UnixMs(3)).await.unwrap());
    for number in 0..5 {
        keep(&format!("another {number}"), of(Standing::Stranger)).await;
    }
    assert!(has_text(&strangers[4]).await, "what an admin let pass is not dropped");
}

#[tokio::test]
async fn an_admin_makes_room_and_forged_mails_take_none_of_those_that_could_not_be_checked() {
    let dir = tempfile::tempdir().unwrap();
    let store = MailStore::open(dir.path()).unwrap().with_limits(Limits { bytes: 1_000, count: 2 });
    let keep = async |text: &str, standing| {
        let (mail, _) = store.keep(raw(text), Delivery::default(), UnixMs(1)).await.unwrap();
        let verdict = Verdict { state: InState::Quarantined, standing, ..Verdict::default() };
        store.finish(&mail.id, verdict, UnixMs(2)).await.unwrap();
        mail.id
    };
    let has_text = async |id: &str| store.text(id).await.unwrap().is_some();
    let forged = [keep("forged 1", Standing::Claims).await, keep("forged 2", Standing::Claims).await];
    assert!(!has_text(&keep("forged 3", Standing::Claims).await).await, "there is no room");
    let unchecked = keep("ann's, while no name server answered", Standing::Unchecked).await;
    assert!(has_text(&unchecked).await, "it has room of its own");
    assert_eq!(store.letter(&unchecked).await.unwrap().unwrap().verdict.standing, Standing::Unchecked);
    assert!(store.judge(&forged[0], InState::Dropped, "ann", UnixMs(3)).await.unwrap());
    assert!(!has_text(&forged[0]).await && !store.texts.path(&forged[0]).exists(), "its text is thrown away, too");
    assert!(has_text(&keep("forged 4", Standing::Claims).await).await && has_text(&forged[1]).await);
    // One that an earlier version dropped has its text still, and counts no more.
    let id = forged[1].clone();
    let drop =
        move |connection: &Connection| connection.execute("UPDATE letter SET state = 'dropped' WHERE id = ?1", [id]);
    store.run("drop", drop).await.unwrap();
    assert!(has_text(&keep("forged 5", Standing::Claims).await).await);
}

#[tokio::test]
async fn a_text_that_a_crash_left_marked_is_removed_the_next_time() {
    let dir = tempfile::tempdir().unwrap();
    let store = MailStore::open(dir.path()).unwrap().with_limits(Limits { bytes: 9, count: 1 });
    let stranger = Verdict { state: InState::Quarantined, standing: Standing::Stranger, ..Verdict::default() };
    let (mail, _) = store.keep(raw("one"), Delivery::default(), UnixMs(1)).await.unwrap();
    store.finish(&mail.id, Verdict { state: InState::Quarantined, ..Verdict::default() }, UnixMs(1)).await.unwrap();
    let id = mail.id.clone();
    let mark =
        move |connection: &Connection| connection.execute("UPDATE letter SET is_cleared = 2 WHERE id = ?1", [id]);
    store.run("mark", mark).await.unwrap();
    let store = again(store, dir.path());
    assert!(store.texts.path(&mail.id).exists());
    let (next, _) = store.keep(raw("two"), Delivery::default(), UnixMs(2)).await.unwrap();
    store.finish(&next.id, stranger, UnixMs(2)).await.unwrap();
    assert!(!store.texts.path(&mail.id).exists());
}
