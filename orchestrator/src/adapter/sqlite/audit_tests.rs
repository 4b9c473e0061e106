//! The audit log by itself: what is appended is chained, and whatever is done to it afterwards is found.

use std::path::Path;

use bus_schemas::{
    id::{ApprovalId, ProjectId},
    json::Json,
    time::UnixMs,
    v1::api::AuditReport,
};
use rusqlite::Connection;
use uuid::Uuid;

use super::{Store, tests::reopen};
use crate::{
    plan::event::{Event, Fact},
    port::journal::{AuditRow, Batch, Change, Journal, Projector, Record},
};

/// Records that each have one entry, behind the entry that the log begins with.
const RECORDS: u64 = 4;
const ENTRIES: u64 = RECORDS + 1;

fn project_id() -> ProjectId {
    ProjectId::from_uuid(Uuid::from_u128(1))
}

fn record(seq: u64) -> Record {
    let approval_id = ApprovalId::from_uuid(Uuid::from_u128(7));
    let fact = Fact::ApprovalViewed { approval_id, by: format!("person {seq}"), channel: "cli".to_owned() };
    let event = Event { at: UnixMs(5), fact };
    Record { seq, project_id: project_id(), version: seq, event, detail: Some(format!("\"detail {seq}\"")) }
}

fn row(record: &Record) -> AuditRow {
    let Fact::ApprovalViewed { approval_id, by, channel } = &record.event.fact else { unreachable!() };
    AuditRow {
        seq: record.seq,
        at: record.event.at,
        kind: "request.viewed",
        project_id: record.project_id,
        approval_id: *approval_id,
        subject: "plan".to_owned(),
        digest: "d".to_owned(),
        actor: by.clone(),
        channel: channel.clone(),
        detail: Json::Map([("n".to_owned(), Json::Int(1)), ("t".to_owned(), Json::Text("x y".to_owned()))].into()),
    }
}

/// Derives what [`row`] says.
struct Again;

impl Projector for Again {
    fn project(&mut self, record: &Record) -> Result<Vec<Change>, String> {
        Ok(vec![Change::Audited(Box::new(row(record)))])
    }
}

async fn filled(dir: &Path) -> Store {
    let store = reopen(dir).await;
    for seq in 1..=RECORDS {
        let record = record(seq);
        let changes = vec![Change::Audited(Box::new(row(&record)))];
        store.commit(Batch { records: vec![record], changes, ..Batch::default() }).await.unwrap();
    }
    store
}

async fn verify(store: &Store, head: Option<&str>) -> AuditReport {
    store.verify_audit(Box::new(Again), head.map(str::to_owned)).await.unwrap()
}

/// What is found after somebody has had the database in their hands, triggers taken off and put back.
async fn tampered(sql: &str) -> Vec<(u64, String)> {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path()).await;
    assert_eq!(verify(&store, None).await.findings, []);
    let connection = Connection::open(dir.path().join("baton.db")).unwrap();
    let mut triggers = connection.prepare("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").unwrap();
    let triggers: Vec<(String, String)> =
        triggers.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect();
    for (name, _) in &triggers {
        connection.execute_batch(&format!("DROP TRIGGER {name}")).unwrap();
    }
    connection.execute_batch(sql).unwrap();
    for (_, sql) in &triggers {
        connection.execute_batch(sql).unwrap();
    }
    verify(&store, None).await.findings.into_iter().map(|found| (found.number, found.problem)).collect()
}

#[tokio::test]
async fn entries_are_numbered_and_chained_and_read_in_pages() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path()).await;
    let entries = store.audit(0, None).await.unwrap();
    assert_eq!(entries.iter().map(|entry| entry.number).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert_eq!((entries[0].kind.as_str(), entries[0].sequence, entries[0].event_sha256.as_str()), ("log.began", 0, ""));
    assert_eq!(entries[0].previous, "0".repeat(64));
    for (entry, next) in entries.iter().zip(&entries[1..]) {
        assert_eq!(next.previous, entry.hash);
    }
    // Anybody can work out the hash of what is exported.
    let mut exported = serde_json::to_value(&entries[2]).unwrap();
    exported.as_object_mut().unwrap().remove("hash");
    assert_eq!(crate::digest::of(&exported).unwrap(), entries[2].hash);
    assert_eq!(store.audit(3, Some(project_id())).await.unwrap(), entries[3..]);
    assert_eq!(store.audit(0, Some(project_id())).await.unwrap(), entries[1..]);
    assert_eq!(store.audit(0, Some(ProjectId::from_uuid(Uuid::from_u128(9)))).await.unwrap(), []);
}

#[tokio::test]
async fn a_whole_log_is_whole_also_after_a_restart_and_says_its_head() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path()).await;
    let before = verify(&store, None).await;
    assert_eq!((before.entries, before.starts_at, before.findings.len()), (ENTRIES, 1, 0));
    drop(store);
    let store = reopen(dir.path()).await;
    let next = record(RECORDS + 1);
    let changes = vec![Change::Audited(Box::new(row(&next)))];
    store.commit(Batch { records: vec![next], changes, ..Batch::default() }).await.unwrap();
    let after = verify(&store, Some(&before.head)).await;
    assert_eq!((after.entries, after.findings.len()), (ENTRIES + 1, 0), "a restart adds nothing");
    assert_ne!(after.head, before.head);
    let lost = verify(&store, Some(&"f".repeat(64))).await;
    assert!(lost.findings[0].problem.contains("no entry has the hash ffff"), "{lost:?}");
}

#[tokio::test]
async fn an_edited_column_of_an_entry_is_found_with_its_number() {
    for change in [
        "sequence = 1",
        "at = 6",
        "kind = 'decision.made'",
        "project_id = '00000000-0000-0000-0000-000000000002'",
        "approval_id = '00000000-0000-0000-0000-000000000008'",
        "approval_id = upper(approval_id) || ' '",
        "subject = 'handoff'",
        "digest = 'e'",
        "actor = 'somebody else'",
        "channel = 'slack'",
        "detail = '{\"n\":2,\"t\":\"x y\"}'",
        "detail = '{\"n\": 1,\"t\":\"x y\"}'",
        "detail = 'not json'",
        "event_sha256 = hash",
        "previous = hash",
        "hash = previous",
    ] {
        let found = tampered(&format!("UPDATE audit SET {change} WHERE number = 3")).await;
        assert!(found.iter().any(|(number, _)| *number == 3), "{change}: {found:?}");
    }
    let found = tampered("UPDATE audit SET number = 9 WHERE number = 5").await;
    assert!(found.iter().any(|(number, problem)| *number == 9 && problem.contains("missing before it")), "{found:?}");
}

#[tokio::test]
async fn a_missing_entry_is_found_wherever_it_was() {
    for (number, sign) in [(2, 3), (3, 4), (5, 0)] {
        let found = tampered(&format!("DELETE FROM audit WHERE number = {number}")).await;
        assert!(found.iter().any(|(at, _)| *at == sign), "{number}: {found:?}");
        let told = format!("journal record {} has no entry `request.viewed`", number - 1);
        assert!(found.iter().any(|(_, problem)| problem.starts_with(&told)), "{number}: {found:?}");
    }
}

#[tokio::test]
async fn a_log_that_was_taken_away_as_a_whole_is_found_without_its_head() {
    let found = tampered("DELETE FROM audit").await;
    assert!(found[0].1.contains("taken away as a whole"), "{found:?}");
    assert_eq!(found.len(), 5, "{found:?}");
    // Also where no record calls for any entry.
    let dir = tempfile::tempdir().unwrap();
    drop(reopen(dir.path()).await);
    take_away(dir.path());
    let store = reopen(dir.path()).await;
    let report = verify(&store, None).await;
    assert!(report.findings.len() == 1 && report.findings[0].problem.contains("as a whole"), "{report:?}");
    // What is written later does not hide it.
    let next = record(1);
    let changes = vec![Change::Audited(Box::new(row(&next)))];
    store.commit(Batch { records: vec![next], changes, ..Batch::default() }).await.unwrap();
    drop(store);
    let report = verify(&reopen(dir.path()).await, None).await;
    assert_eq!(report.entries, 1, "and nothing is put in its place");
    assert!(report.findings.len() == 1 && report.findings[0].problem.contains("`log.began` is gone"), "{report:?}");
}

/// Deletes the whole log, triggers taken off and put back.
fn take_away(dir: &Path) {
    let connection = Connection::open(dir.join("baton.db")).unwrap();
    let sql: String = connection
        .query_row("SELECT sql FROM sqlite_master WHERE name = 'audit_is_not_deleted'", [], |row| row.get(0))
        .unwrap();
    connection.execute_batch(&format!("DROP TRIGGER audit_is_not_deleted; DELETE FROM audit; {sql}")).unwrap();
}

/// Derives what an earlier auditor did, and what a later one has in addition.
struct More;

impl Projector for More {
    fn project(&mut self, record: &Record) -> Result<Vec<Change>, String> {
        Ok(vec![Change::Audited(Box::new(row(record))), Change::Audited(Box::new(raised(record)))])
    }
}

fn raised(record: &Record) -> AuditRow {
    AuditRow { kind: "budget.raised", ..row(record) }
}

#[tokio::test]
async fn entries_that_an_earlier_program_did_not_write_are_not_missing_and_later_ones_are() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path()).await;
    let of = |number: u64| Batch {
        records: vec![record(number)],
        changes: vec![
            Change::Audited(Box::new(row(&record(number)))),
            Change::Audited(Box::new(raised(&record(number)))),
        ],
        ..Batch::default()
    };
    let lacks = |report: &AuditReport| -> Vec<String> {
        report.findings.iter().map(|found| found.problem.chars().take(40).collect()).collect()
    };
    // The program that was there before wrote no such entries, and no entry about itself.
    let verified = store.verify_audit(Box::new(More), None).await.unwrap();
    assert_eq!(lacks(&verified).len(), 4, "this program would have written them: {verified:?}");
    drop(store);
    as_before_its_beginning(dir.path());
    let store = reopen(dir.path()).await;
    let verified = store.verify_audit(Box::new(More), None).await.unwrap();
    assert_eq!((lacks(&verified), verified.entries), (Vec::new(), ENTRIES));
    // From now on it is whole in everything.
    store.commit(of(RECORDS + 1)).await.unwrap();
    let next = record(RECORDS + 2);
    let changes = vec![Change::Audited(Box::new(row(&next)))];
    store.commit(Batch { records: vec![next], changes, ..Batch::default() }).await.unwrap();
    let verified = store.verify_audit(Box::new(More), None).await.unwrap();
    assert_eq!(lacks(&verified), ["journal record 6 has no entry `budget.ra"]);
}

/// Makes it what an earlier program left: the same entries, but none about the log itself.
fn as_before_its_beginning(dir: &Path) {
    let connection = Connection::open(dir.join("baton.db")).unwrap();
    connection.execute_batch("PRAGMA user_version = 3").unwrap();
    let changes: Vec<AuditRow> = (1..=RECORDS).map(|seq| row(&record(seq))).collect();
    take_away(dir);
    for row in changes {
        super::audit::append(&connection, &row).unwrap();
    }
}

#[tokio::test]
async fn an_entry_about_the_log_itself_is_taken_at_its_place_only() {
    let began = |seq, auditor| AuditRow {
        seq,
        kind: "log.began",
        project_id: super::auditor::NO_PROJECT,
        detail: Json::Map(
            [("auditor", auditor), ("starts_at", 1)].map(|(name, n)| (name.to_owned(), Json::Int(n))).into(),
        ),
        ..row(&record(1))
    };
    for (forged, sign) in [
        (began(RECORDS, 2), "where it says so"),
        (began(RECORDS, 3), "where it says so"),
        (began(2, 3), "where it says so"),
        (AuditRow { detail: Json::Null, ..began(RECORDS, 2) }, "does not say"),
        (AuditRow { project_id: project_id(), ..began(RECORDS, 2) }, "calls for no such entry"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let store = filled(dir.path()).await;
        let told = format!("{forged:?}");
        store.commit(Batch { changes: vec![Change::Audited(Box::new(forged))], ..Batch::default() }).await.unwrap();
        let report = verify(&store, None).await;
        let [found] = report.findings.as_slice() else { panic!("{told}: {report:?}") };
        assert!(found.number == ENTRIES + 1 && found.problem.contains(sign), "{told}: {found:?}");
    }
}

#[tokio::test]
async fn an_entry_that_was_slipped_in_is_found_though_its_hashes_fit() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path()).await;
    let mut forged = row(&record(4));
    forged.actor = "eve".to_owned();
    let changes = vec![Change::Audited(Box::new(forged))];
    store.commit(Batch { changes, ..Batch::default() }).await.unwrap();
    let report = verify(&store, None).await;
    let [found] = report.findings.as_slice() else { panic!("{report:?}") };
    assert_eq!(found.number, ENTRIES + 1);
    assert!(found.problem.contains("journal record 4 calls for no such entry"), "{found:?}");
}

#[tokio::test]
async fn an_edited_record_of_the_journal_is_found() {
    for change in ["event = replace(event, 'person 3', 'person 9')", "at = 6", "detail = NULL", "detail = '\"other\"'"]
    {
        let found = tampered(&format!("UPDATE journal SET {change} WHERE seq = 3")).await;
        assert!(
            found
                .iter()
                .any(|(number, problem)| *number == 4 && problem.contains("journal record 3, which it is about, was")),
            "{change}: {found:?}"
        );
    }
    let found = tampered("DELETE FROM journal WHERE seq = 3").await;
    assert!(found.iter().any(|(number, problem)| *number == 4 && problem.contains("is gone")), "{found:?}");
    let found = tampered("UPDATE journal SET event = '{}' WHERE seq = 3").await;
    assert!(found.iter().any(|(_, problem)| problem.contains("journal record 3 cannot be followed")), "{found:?}");
}

#[tokio::test]
async fn the_program_itself_cannot_change_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path()).await;
    let connection = Connection::open(dir.path().join("baton.db")).unwrap();
    for sql in [
        "UPDATE audit SET actor = 'eve'",
        "DELETE FROM audit",
        "DELETE FROM audit WHERE number = 4",
        "INSERT OR REPLACE INTO audit SELECT 4, sequence, at, kind, project_id, approval_id, subject, digest, 'eve', channel,
             detail, event_sha256, previous, hash FROM audit WHERE number = 4",
    ] {
        let refused = connection.execute(sql, []).unwrap_err().to_string();
        assert!(refused.contains("audit log"), "{sql}: {refused}");
    }
    connection.execute_batch("DROP TRIGGER audit_is_not_changed").unwrap();
    let report = verify(&store, None).await;
    assert!(report.findings[0].problem.contains("the trigger audit_is_not_changed is gone"), "{report:?}");
}

#[tokio::test]
async fn a_database_from_before_the_log_starts_its_chain_at_the_next_record() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(dir.path()).await);
    drop(reopen(dir.path()).await);
    // As an earlier program left it: no log, the schema's number before.
    let connection = Connection::open(dir.path().join("baton.db")).unwrap();
    connection
        .execute_batch("DROP TABLE audit; DELETE FROM meta WHERE name = 'audit_from'; PRAGMA user_version = 2;")
        .unwrap();
    drop(connection);
    let store = reopen(dir.path()).await;
    assert!(store.is_stale().await.unwrap(), "its projections are derived anew");
    let report = verify(&store, None).await;
    assert_eq!((report.starts_at, report.entries, report.findings.len()), (RECORDS + 1, 1, 0));
    let next = record(RECORDS + 1);
    let changes = vec![Change::Audited(Box::new(row(&next)))];
    store.commit(Batch { records: vec![next], changes, ..Batch::default() }).await.unwrap();
    let report = verify(&store, None).await;
    assert_eq!((report.starts_at, report.entries, report.findings.len()), (RECORDS + 1, 2, 0));
    // The record before the beginning is a part of it.
    let connection = Connection::open(dir.path().join("baton.db")).unwrap();
    connection.execute_batch("UPDATE journal SET at = 6 WHERE seq = 4").unwrap();
    let report = verify(&store, None).await;
    assert!(report.findings.len() == 1 && report.findings[0].problem.contains("was changed"), "{report:?}");
}

#[tokio::test]
async fn a_log_whose_first_entry_follows_zeros_though_the_database_is_older_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(dir.path()).await);
    as_before_its_beginning(dir.path());
    // An early program put its first entry behind zeros, wherever the log began.
    let connection = Connection::open(dir.path().join("baton.db")).unwrap();
    take_away(dir.path());
    (3..=RECORDS).for_each(|seq| super::audit::append(&connection, &row(&record(seq))).unwrap());
    connection.execute_batch("UPDATE meta SET value = '3' WHERE name = 'audit_from'").unwrap();
    let report = verify(&reopen(dir.path()).await, None).await;
    assert_eq!((report.starts_at, report.entries, report.findings), (3, 3, Vec::new()));
}

#[tokio::test]
async fn where_the_log_begins_is_a_part_of_the_chain() {
    for (sql, sign) in [
        ("UPDATE meta SET value = '3' WHERE name = 'audit_from'", "where the log begins was changed"),
        ("UPDATE meta SET value = '77' WHERE name = 'audit_from'", "said to begin with journal record 77"),
        ("DELETE FROM meta WHERE name = 'audit_from'", "not written down any more"),
        // Whoever hides the first entries says that the log begins behind them.
        (
            "DELETE FROM audit WHERE number < 3; UPDATE meta SET value = '3' WHERE name = 'audit_from'",
            "beginning of this log",
        ),
    ] {
        let found = tampered(sql).await;
        assert!(found.iter().any(|(_, problem)| problem.contains(sign)), "{sql}: {found:?}");
    }
}

#[tokio::test]
async fn entries_of_a_project_that_is_not_there_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path()).await;
    let mut stray = row(&record(2));
    stray.project_id = ProjectId::from_uuid(Uuid::from_u128(9));
    let changes = vec![Change::Audited(Box::new(stray))];
    store.commit(Batch { changes, ..Batch::default() }).await.unwrap();
    let report = verify(&store, None).await;
    let [found] = report.findings.as_slice() else { panic!("{report:?}") };
    assert_eq!((found.number, found.problem.contains("calls for no entry")), (ENTRIES + 1, true), "{found:?}");
}

#[tokio::test]
async fn one_verification_runs_at_a_time_and_the_next_one_waits() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path()).await;
    let held = std::sync::Arc::clone(&store.verifying).lock_owned().await;
    let mut second = std::pin::pin!(verify(&store, None));
    assert!(futures::poll!(&mut second).is_pending());
    assert_eq!(store.audit(0, None).await.unwrap().len(), 5, "everybody else goes on");
    drop(held);
    assert_eq!(second.await.findings, []);
}

#[tokio::test]
async fn an_entry_about_no_record_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path()).await;
    let mut admitted = row(&record(1));
    (admitted.seq, admitted.kind) = (0, "skill.admitted");
    let changes = vec![Change::Audited(Box::new(admitted))];
    store.commit(Batch { changes, ..Batch::default() }).await.unwrap();
    let report = verify(&store, None).await;
    let [early, gone] = report.findings.as_slice() else { panic!("{report:?}") };
    assert_eq!((early.number, gone.number), (ENTRIES + 1, ENTRIES + 1), "{report:?}");
    assert!(early.problem.contains("before the log got here") && gone.problem.contains("is gone"), "{report:?}");
}
