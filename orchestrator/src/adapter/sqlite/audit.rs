//! The audit log: each entry has the hash of the one before, so that an edited, a missing or an inserted one shows.
//!
//! The hash of an entry is SHA-256 over its canonical JSON without `hash`: what `baton audit export` writes can be checked by
//! any other program. The journal record it is about is in it as a digest over all that is stored of that record.

use bus_schemas::{
    id::{ApprovalId, ProjectId},
    json::Json,
    time::UnixMs,
    v1::api::AuditEntry,
};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;

use super::{
    row::{get_id, get_json},
    store::Store,
};
use crate::{
    digest,
    port::journal::{AuditRow, JournalError},
};

/// What the first entry names as the hash of the one before, if the log is as old as the journal.
pub(super) const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// Entries read at once.
pub(super) const PAGE: u32 = 1000;

/// An entry as its columns have it, without its hash: what is hashed.
#[derive(Serialize)]
pub(super) struct Hashed<'a> {
    pub(super) number: u64,
    pub(super) sequence: u64,
    pub(super) at: i64,
    pub(super) kind: &'a str,
    pub(super) project_id: &'a str,
    pub(super) approval_id: &'a str,
    pub(super) subject: &'a str,
    pub(super) digest: &'a str,
    pub(super) actor: &'a str,
    pub(super) channel: &'a str,
    pub(super) detail: &'a Json,
    pub(super) event_sha256: &'a str,
    pub(super) previous: &'a str,
}

impl Hashed<'_> {
    pub(super) fn hash(&self) -> rusqlite::Result<String> {
        digest::of(self).map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))
    }
}

/// What the first entry names as the hash of the one before: where the log begins is a part of the chain.
pub(super) fn genesis(starts_at: u64) -> String {
    if starts_at <= 1 { GENESIS.to_owned() } else { digest::of_bytes(format!("from {starts_at}").as_bytes()) }
}

/// The journal record from which on there are entries; `None` if that is not written down (any more).
pub(super) fn starts_at(connection: &Connection) -> rusqlite::Result<Option<u64>> {
    let text: Option<String> = connection
        .prepare_cached("SELECT value FROM meta WHERE name = 'audit_from'")?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(text.and_then(|text| text.parse().ok()))
}

/// Puts an entry behind the last one, in the transaction that appends its journal record.
pub(super) fn append(connection: &Connection, row: &AuditRow) -> rusqlite::Result<()> {
    let last = connection
        .prepare_cached("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get::<_, u64>(0)?, row.get::<_, String>(1)?)))
        .optional()?;
    let (number, previous) = match last {
        Some((number, hash)) => (number + 1, hash),
        None => (1, genesis(starts_at(connection)?.unwrap_or(1))),
    };
    let event_sha256 = event_sha256(connection, row.seq)?.unwrap_or_default();
    let (project_id, approval_id) = (row.project_id.to_string(), row.approval_id.to_string());
    let entry = Hashed {
        number,
        sequence: row.seq,
        at: row.at.0,
        kind: row.kind,
        project_id: &project_id,
        approval_id: &approval_id,
        subject: &row.subject,
        digest: &row.digest,
        actor: &row.actor,
        channel: &row.channel,
        detail: &row.detail,
        event_sha256: &event_sha256,
        previous: &previous,
    };
    connection
        .prepare_cached(
            "INSERT INTO audit (number, sequence, at, kind, project_id, approval_id, subject, digest, actor, channel, detail,
                 event_sha256, previous, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        )?
        .execute(params![
            number,
            entry.sequence,
            entry.at,
            entry.kind,
            entry.project_id,
            entry.approval_id,
            entry.subject,
            entry.digest,
            entry.actor,
            entry.channel,
            canonical(entry.detail)?,
            entry.event_sha256,
            entry.previous,
            entry.hash()?
        ])
        .map(drop)
}

/// The one text of a value: its maps are sorted.
pub(super) fn canonical(value: &Json) -> rusqlite::Result<String> {
    super::row::json(value)
}

/// SHA-256 over all that is stored of a journal record; `None` if there is no such record.
pub(super) fn event_sha256(connection: &Connection, seq: u64) -> rusqlite::Result<Option<String>> {
    #[derive(Serialize)]
    struct Stored(u64, String, u64, i64, String, Option<String>);
    let stored = connection
        .prepare_cached("SELECT seq, project_id, version, at, event, detail FROM journal WHERE seq = ?1")?
        .query_row([seq], |row| {
            Ok(Stored(row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
        })
        .optional()?;
    let hashed = stored.map(|stored| digest::of(&stored)).transpose();
    hashed.map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))
}

impl Store {
    /// Entries of the audit log after a number, oldest first, a thousand at most; of one project, or of all.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn audit(&self, after: u64, project_id: Option<ProjectId>) -> Result<Vec<AuditEntry>, JournalError> {
        self.read("read the audit log", move |connection| {
            let after = i64::try_from(after).unwrap_or(i64::MAX);
            let which = if project_id.is_some() { "project_id = ?2" } else { "?2 IS NULL" };
            let sql = format!("SELECT {ENTRY} FROM audit WHERE number > ?1 AND {which} ORDER BY number LIMIT {PAGE}");
            let mut statement = connection.prepare_cached(&sql)?;
            statement.query_map(params![after, project_id.map(|id| id.to_string())], entry)?.collect()
        })
        .await
    }
}

const ENTRY: &str =
    "number, sequence, at, kind, project_id, approval_id, subject, digest, actor, channel, detail, event_sha256,
    previous, hash";

fn entry(row: &Row<'_>) -> rusqlite::Result<AuditEntry> {
    Ok(AuditEntry {
        number: row.get(0)?,
        sequence: row.get(1)?,
        at: UnixMs(row.get(2)?),
        kind: row.get(3)?,
        project_id: ProjectId::from_uuid(get_id(row, 4)?),
        approval_id: ApprovalId::from_uuid(get_id(row, 5)?),
        subject: row.get(6)?,
        digest: row.get(7)?,
        actor: row.get(8)?,
        channel: row.get(9)?,
        detail: get_json(row, 10)?,
        event_sha256: row.get(11)?,
        previous: row.get(12)?,
        hash: row.get(13)?,
    })
}
