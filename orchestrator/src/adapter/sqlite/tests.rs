//! The store by itself: what shares a commit, what falls back, what a full disk does, what comes back after a restart.

use bus_schemas::{
    id::{ApprovalId, ProjectId},
    time::UnixMs,
};
use futures::future::join_all;
use uuid::Uuid;

use super::{OpenError, Store};
use crate::{
    plan::{
        Command,
        event::{Event, Fact, PolicySpec, ProjectCreated},
    },
    port::journal::{Batch, Cursor, DeadLetter, Journal, JournalError, OutboxRow, Record},
};

fn project(number: u128) -> ProjectId {
    ProjectId::from_uuid(Uuid::from_u128(number))
}

fn record(seq: u64, project_id: ProjectId, version: u64, detail: Option<String>) -> Record {
    let created = ProjectCreated {
        project_id,
        tasks: Vec::new(),
        base_commit: "0".repeat(40),
        plan_digest: String::new(),
        plan_policy: PolicySpec { name: "auto".to_owned(), asks: false, deadline_ms: None },
        approval_id: ApprovalId::from_uuid(Uuid::from_u128(7)),
        budget: crate::plan::BudgetSpec::default(),
        planning: None,
        replan_policy: None,
        route: None,
        offers_result: false,
    };
    let event = Event { at: UnixMs(5), fact: Fact::ProjectCreated(created) };
    Record { seq, project_id, version, event, detail }
}

fn batch(seq: u64, version: u64) -> Batch {
    Batch { records: vec![record(seq, project(1), version, None)], ..Batch::default() }
}

fn open(dir: &std::path::Path) -> Store {
    Store::open(dir, Uuid::from_u128(42)).unwrap()
}

#[tokio::test]
async fn transactions_that_wait_together_are_all_kept_and_a_failing_one_falls_back_alone() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    // Version 3 comes twice: the second one must fail, with its outbox row, and nothing else.
    let command = Command::KeepCommit { commit: "a".repeat(40) };
    let row = |seq| OutboxRow { seq, number: 0, project_id: project(1), command: command.clone() };
    let mut batches: Vec<Batch> = (1..=40).map(|n| Batch { outbox: vec![row(n)], ..batch(n, n) }).collect();
    batches.push(Batch { outbox: vec![row(41)], ..batch(41, 3) });
    batches.push(Batch { outbox: vec![row(42)], ..batch(42, 42) });
    let outcomes = join_all(batches.into_iter().map(|batch| store.commit(batch))).await;
    let failed: Vec<usize> = outcomes.iter().enumerate().filter(|(_, o)| o.is_err()).map(|(n, _)| n).collect();
    assert_eq!(failed, [40]);
    let versions: Vec<u64> = store.records(project(1)).await.unwrap().iter().map(|r| r.version).collect();
    assert_eq!(versions.len(), 41);
    assert!(store.outbox().await.unwrap().iter().all(|row| row.seq != 41));
    assert_eq!(store.last_seq().await.unwrap(), 42);
}

#[tokio::test]
async fn what_was_committed_is_there_after_a_restart_and_performed_commands_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let cursor = Cursor { seq: 9, stream_created: "then".to_owned() };
    let store = open(dir.path());
    let command = |n: usize| Command::KeepCommit { commit: format!("{n:040}") };
    let rows = (0..3).map(|n| OutboxRow { seq: 1, number: n, project_id: project(1), command: command(n as usize) });
    let letter = DeadLetter {
        stream: "S".to_owned(),
        stream_seq: 8,
        subject: "s".to_owned(),
        reason: "r".to_owned(),
        payload: vec![0, 255],
        received_at: UnixMs(1),
    };
    let first = Batch {
        outbox: rows.collect(),
        cursors: vec![("BATON_EVENTS", cursor.clone())],
        dead_letters: vec![letter],
        ..batch(1, 1)
    };
    store.commit(first).await.unwrap();
    store.commit(Batch { performed: vec![(1, 1)], ..Batch::default() }).await.unwrap();
    let installation = store.installation();
    drop(store);

    let store = reopen(dir.path()).await;
    assert_eq!(store.installation(), installation);
    assert_eq!(store.cursor("BATON_EVENTS").await.unwrap(), cursor);
    assert_eq!(store.cursor("another").await.unwrap(), Cursor::default());
    let numbers: Vec<u32> = store.outbox().await.unwrap().iter().map(|row| row.number).collect();
    assert_eq!(numbers, [0, 2]);
    assert_eq!(store.records(project(1)).await.unwrap()[0].event, record(1, project(1), 1, None).event);
    assert_eq!(store.backlog().await.unwrap().dead_letters, 1);
}

#[tokio::test]
async fn a_second_orchestrator_is_kept_out() {
    let dir = tempfile::tempdir().unwrap();
    let _store = open(dir.path());
    assert!(matches!(Store::open(dir.path(), Uuid::nil()), Err(OpenError::InUse { .. })));
}

#[tokio::test]
async fn a_database_of_a_later_program_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    drop(reopen(dir.path()).await);
    let connection = rusqlite::Connection::open(dir.path().join("baton.db")).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let opened = loop {
        match Store::open(dir.path(), Uuid::nil()) {
            Err(OpenError::InUse { .. }) => tokio::task::yield_now().await,
            other => break other,
        }
    };
    assert!(matches!(opened, Err(OpenError::TooNew { found: 99, .. })));
}

#[tokio::test]
async fn a_full_disk_is_told_apart_and_what_was_there_stays() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.commit(batch(1, 1)).await.unwrap();
    store.limit_pages(200).await.unwrap();
    let big = || Some("x".repeat(4 << 20));
    let heavy = Batch { records: vec![record(2, project(1), 2, big())], ..Batch::default() };
    assert!(matches!(store.commit(heavy.clone()).await, Err(JournalError::Full { .. })));
    assert_eq!(store.last_seq().await.unwrap(), 1);
    // Room again: the same batch is taken.
    store.limit_pages(1_000_000).await.unwrap();
    store.commit(heavy).await.unwrap();
    assert_eq!(store.last_seq().await.unwrap(), 2);
}

#[tokio::test]
async fn a_read_that_nobody_waits_for_keeps_its_connection_until_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let all = store.idle();
    let (begin, mut begun) = tokio::sync::mpsc::unbounded_channel();
    let mut gates = Vec::new();
    for _ in 0..all {
        let (gate, opened) = std::sync::mpsc::channel::<()>();
        let (store, begin) = (store.clone(), begin.clone());
        let reading = tokio::spawn(async move {
            let query = move |_: &rusqlite::Connection| {
                let _ = begin.send(());
                let _ = opened.recv();
                Ok(())
            };
            store.read("wait", query).await
        });
        begun.recv().await.unwrap();
        reading.abort();
        assert!(reading.await.unwrap_err().is_cancelled());
        gates.push(gate);
    }
    assert_eq!(store.idle(), 0, "its connection is not free for anybody else");
    drop(gates);
    assert_eq!(store.last_seq().await.unwrap(), 0, "the next one waits, and gets one");
}

/// The writer thread of a dropped store lets the directory go a moment later.
pub(super) async fn reopen(dir: &std::path::Path) -> Store {
    loop {
        match Store::open(dir, Uuid::from_u128(43)) {
            Err(OpenError::InUse { .. }) => tokio::task::yield_now().await,
            other => return other.unwrap(),
        }
    }
}
