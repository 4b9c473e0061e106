use serde_json::json;
use uuid::Uuid;

use bus_schemas::id::ProjectId;

use super::*;
use crate::adapter::slack::{
    Place,
    bridge::{Posting, Thread},
};

fn project(number: u128) -> ProjectId {
    ProjectId::from_uuid(Uuid::from_u128(number))
}

fn own(text: &str) -> String {
    text.to_owned()
}

/// Opens the store again, as after a crash: the old one is gone when its last clone is.
fn again(store: SlackStore, dir: &Path) -> SlackStore {
    drop(store);
    SlackStore::open(dir).unwrap()
}

#[tokio::test]
async fn an_envelope_is_kept_once_and_is_there_after_a_crash_until_it_is_done() {
    let dir = tempfile::tempdir().unwrap();
    let store = SlackStore::open(dir.path()).unwrap();
    let raw = json!({"kind": "interactive", "payload": {"x": "ü"}});
    assert!(store.keep(own("b"), raw.clone(), UnixMs(1)).await.unwrap());
    assert!(store.keep(own("a"), raw.clone(), UnixMs(2)).await.unwrap());
    assert!(!store.keep(own("b"), json!({}), UnixMs(3)).await.unwrap(), "a repeat");
    let store = again(store, dir.path());
    let undone = store.undone().await.unwrap();
    assert_eq!(undone[0], InboxRow { key: own("b"), raw, received_at: UnixMs(1) });
    assert_eq!(undone[1].key, "a", "in the order in which they came");
    store.drop_words(own("b")).await.unwrap();
    assert_ne!(store.kept(own("b")).await.unwrap().unwrap().raw, json!(null), "what is not done keeps its words");
    store.done(own("b"), own("approved"), UnixMs(10)).await.unwrap();
    store.drop_words(own("b")).await.unwrap();
    assert_eq!(store.kept(own("b")).await.unwrap().unwrap().raw, json!(null));
    store.done(own("b"), own("something else"), UnixMs(99)).await.unwrap();
    let store = again(store, dir.path());
    assert_eq!(store.undone().await.unwrap().len(), 1);
    assert!(!store.keep(own("b"), json!({}), UnixMs(11)).await.unwrap(), "what is done is still known");
    assert_eq!(store.forget(UnixMs(10)).await.unwrap(), 0);
    assert_eq!(store.forget(UnixMs(11)).await.unwrap(), 1, "what is not done is never forgotten");
    assert_eq!(store.undone().await.unwrap().len(), 1);
}

#[tokio::test]
async fn of_repeats_at_the_same_time_one_is_new() {
    let dir = tempfile::tempdir().unwrap();
    let store = SlackStore::open(dir.path()).unwrap();
    let kept = futures::future::join_all((0..50).map(|_| store.keep(own("k"), json!({}), UnixMs(1)))).await;
    assert_eq!(kept.into_iter().filter(|fresh| *fresh.as_ref().unwrap()).count(), 1);
}

fn posting(target: &str) -> Posting {
    Posting {
        name: own("card:1"),
        target: own(target),
        thread_ts: Some(own("0.9")),
        intended_at: UnixMs(7),
        ..Posting::default()
    }
}

#[tokio::test]
async fn a_message_is_an_intention_until_it_has_a_place() {
    let dir = tempfile::tempdir().unwrap();
    let store = SlackStore::open(dir.path()).unwrap();
    assert_eq!(store.intend(posting("C1")).await.unwrap(), None);
    let store = again(store, dir.path());
    let later = Posting { intended_at: UnixMs(99), ..posting("C1") };
    let known = store.intend(later.clone()).await.unwrap();
    assert_eq!(known, Some(posting("C1")), "it may be there since the first time: look for it");
    let place = Some(Place { channel: own("C1"), ts: own("1.1") });
    let shown = Posting { place, sha256: own("digest"), ..posting("C1") };
    store.posted(Posting { intended_at: later.intended_at, ..shown.clone() }).await.unwrap();
    assert_eq!(store.intend(posting("C1")).await.unwrap(), Some(shown.clone()));
    store.intend(posting("U2")).await.unwrap();
    assert_eq!(store.copies(own("card:1")).await.unwrap(), [shown.clone(), posting("U2")]);
    assert_eq!(store.open_postings(own("card:")).await.unwrap().len(), 2);
    assert!(store.open_postings(own("status:")).await.unwrap().is_empty());
    store.posted(Posting { closed: true, ..shown.clone() }).await.unwrap();
    store.drop_posting(own("card:1"), own("U2")).await.unwrap();
    assert!(store.open_postings(own("card:")).await.unwrap().is_empty());
    assert_eq!(store.copies(own("card:1")).await.unwrap(), [Posting { closed: true, ..shown }]);
}

#[tokio::test]
async fn a_project_has_a_thread_and_is_found_by_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = SlackStore::open(dir.path()).unwrap();
    let thread = Thread { channel: own("C1"), thread_ts: None, started_by: own("U1"), closed: false };
    store.set_thread(project(1), thread.clone()).await.unwrap();
    let begun = Thread { thread_ts: Some(own("2.2")), ..thread };
    store.set_thread(project(1), begun.clone()).await.unwrap();
    store.add_link(own("D9"), own("3.3"), project(1)).await.unwrap();
    let store = again(store, dir.path());
    for (channel, ts) in [("C1", "2.2"), ("D9", "3.3")] {
        assert_eq!(store.project_of(own(channel), own(ts)).await.unwrap(), Some(project(1)));
    }
    assert_eq!(store.project_of(own("C1"), own("9.9")).await.unwrap(), None);
    assert_eq!(store.open_threads().await.unwrap(), [(project(1), begun.clone())]);
    store.set_thread(project(1), Thread { closed: true, ..begun }).await.unwrap();
    assert!(store.open_threads().await.unwrap().is_empty());
    assert!(store.thread(project(1)).await.unwrap().is_some_and(|thread| thread.closed));
    assert_eq!(store.thread(project(3)).await.unwrap(), None);
}

#[tokio::test]
async fn batches_and_cursors_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = SlackStore::open(dir.path()).unwrap();
    store.save_batch(own("b"), own("[1]")).await.unwrap();
    store.save_batch(own("b"), own("[1,2]")).await.unwrap();
    assert_eq!(store.cursor("feed").await.unwrap(), 0);
    store.advance("feed", 7).await.unwrap();
    store.advance("feed", 3).await.unwrap();
    let store = again(store, dir.path());
    assert_eq!(store.batches().await.unwrap(), [(own("b"), own("[1,2]"))]);
    assert_eq!(store.cursor("feed").await.unwrap(), 7);
    store.drop_batch(own("b")).await.unwrap();
    assert!(store.batches().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_later_programs_file_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let file = Connection::open(dir.path().join("slack.db")).unwrap();
    file.pragma_update(None, "user_version", 99).unwrap();
    drop(file);
    assert!(matches!(SlackStore::open(dir.path()), Err(OpenError::TooNew { found: 99, .. })));
}
