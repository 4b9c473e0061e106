use serde_json::json;
use uuid::Uuid;

use super::*;

fn approval(number: u128) -> ApprovalId {
    ApprovalId::from_uuid(Uuid::from_u128(number))
}

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
    assert_eq!(undone[0], Kept { key: own("b"), raw, received_at: UnixMs(1) });
    assert_eq!(undone[1].key, "a", "in the order in which they came");
    store.done(own("b"), own("approved"), UnixMs(10)).await.unwrap();
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

#[tokio::test]
async fn a_card_is_an_intention_until_it_has_a_place() {
    let dir = tempfile::tempdir().unwrap();
    let store = SlackStore::open(dir.path()).unwrap();
    let intend = |store: &SlackStore, at| store.clone().intend(approval(1), "C1", at);
    let first = intend(&store, 5).await;
    assert_eq!((first.ts, first.intended_at), (None, UnixMs(5)));
    let store = again(store, dir.path());
    assert_eq!(intend(&store, 9).await.intended_at, UnixMs(5), "the first intention stands: history is searched from there");
    assert_eq!(store.open_cards().await.unwrap().len(), 1);
    store.show_card(approval(1), own("C1"), own("1.1"), own("digest"), false).await.unwrap();
    let known = intend(&store, 10).await;
    assert_eq!((known.ts.as_deref(), known.rendered.as_str()), (Some("1.1"), "digest"));
    store.clone().intend(approval(1), "D2", 11).await;
    assert_eq!(store.cards(approval(1)).await.unwrap().len(), 2, "every copy is known");
    assert_eq!(store.cards_at(own("C1"), own("1.1")).await.unwrap()[0].approval_id, approval(1));
    store.show_card(approval(1), own("C1"), own("1.1"), own("outcome"), true).await.unwrap();
    store.drop_card(approval(1), own("D2")).await.unwrap();
    assert!(store.open_cards().await.unwrap().is_empty());
    assert!(store.cards(approval(1)).await.unwrap()[0].decided);
}

impl SlackStore {
    async fn intend(self, approval_id: ApprovalId, channel: &str, at: i64) -> CardRow {
        self.intend_card(approval_id, own(channel), Some(own("0.9")), UnixMs(at)).await.unwrap()
    }
}

#[tokio::test]
async fn a_project_has_a_thread_and_is_found_by_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = SlackStore::open(dir.path()).unwrap();
    // From a mention: the thread is there.
    store.intend_thread(project(1), own("C1"), Some(own("1.1")), own("U1"), UnixMs(1)).await.unwrap();
    assert_eq!(store.project_of(own("C1"), own("1.1")).await.unwrap(), Some(project(1)));
    // From a command: it is posted first.
    let row = store.intend_thread(project(2), own("C1"), None, own("U2"), UnixMs(2)).await.unwrap();
    assert_eq!((row.thread_ts, row.status_ts), (None, None));
    let store = again(store, dir.path());
    store.begin_thread(project(2), own("C1"), own("2.2")).await.unwrap();
    store.show_status(project(2), own("2.3"), own("digest")).await.unwrap();
    store.add_link(own("D9"), own("3.3"), project(2)).await.unwrap();
    let row = store.intend_thread(project(2), own("C8"), None, own("U9"), UnixMs(9)).await.unwrap();
    assert_eq!((row.channel.as_str(), row.thread_ts.as_deref(), row.started_by.as_str()), ("C1", Some("2.2"), "U2"));
    assert_eq!((row.status_ts.as_deref(), row.status.as_str()), (Some("2.3"), "digest"));
    for (channel, ts) in [("C1", "2.2"), ("D9", "3.3")] {
        assert_eq!(store.project_of(own(channel), own(ts)).await.unwrap(), Some(project(2)));
    }
    assert_eq!(store.project_of(own("C1"), own("9.9")).await.unwrap(), None);
    store.close_thread(project(2)).await.unwrap();
    let open: Vec<ProjectId> = store.open_threads().await.unwrap().into_iter().map(|row| row.project_id).collect();
    assert_eq!(open, [project(1)]);
    assert!(store.thread(project(2)).await.unwrap().is_some_and(|row| row.closed));
    assert_eq!(store.thread(project(3)).await.unwrap(), None);
}

#[tokio::test]
async fn batches_and_cursors_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = SlackStore::open(dir.path()).unwrap();
    let batch = BatchRow {
        batch_key: own("p:handoff:ask:r:docs"),
        channel: own("C1"),
        ts: None,
        thread_ts: Some(own("1.1")),
        members: vec![(approval(1), own("aa")), (approval(2), own("bb"))],
        rendered: String::new(),
        intended_at: UnixMs(4),
    };
    store.save_batch(batch.clone()).await.unwrap();
    let shown = BatchRow { ts: Some(own("1.2")), ..batch };
    store.save_batch(shown.clone()).await.unwrap();
    assert_eq!(store.cursor("feed").await.unwrap(), 0);
    store.advance("feed", 7).await.unwrap();
    store.advance("feed", 3).await.unwrap();
    let store = again(store, dir.path());
    assert_eq!(store.batches().await.unwrap(), std::slice::from_ref(&shown));
    assert_eq!(store.cursor("feed").await.unwrap(), 7);
    store.drop_batch(shown.batch_key).await.unwrap();
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
