//! Mails of ours.

use bus_schemas::{
    id::{ApprovalId, ProjectId},
    time::UnixMs,
};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use uuid::Uuid;

use super::super::row::{get_id, get_id_opt, get_word, word};
use crate::adapter::mail::OutMail;

const OUT: &str = "id, name, recipient, person, kind, project_id, approval_id, digest, message_id, created_at, state, tries, next_at, error, used";

/// Writes a mail down; `false` if one of that name to that recipient is there.
pub(super) fn add(connection: &Connection, mail: &OutMail, sha256: &str) -> rusqlite::Result<bool> {
    let added = connection
        .prepare_cached(
            "INSERT INTO outgoing (id, name, recipient, person, kind, project_id, approval_id, digest, message_id, created_at,
                 state, tries, next_at, error, used, sha256)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
             ON CONFLICT (name, recipient) DO NOTHING",
        )?
        .execute(params![
            mail.id.to_string(),
            mail.name,
            mail.to,
            mail.person,
            word(&mail.kind)?,
            mail.project_id.map(|id| id.to_string()),
            mail.approval_id.map(|id| id.to_string()),
            mail.digest,
            mail.message_id,
            mail.created_at.0,
            word(&mail.state)?,
            mail.tries,
            mail.next_at.0,
            mail.error,
            mail.used,
            sha256
        ])?;
    Ok(added == 1)
}

pub(super) fn is_there(connection: &Connection, name: &str, to: &str) -> rusqlite::Result<bool> {
    connection.prepare_cached("SELECT 1 FROM outgoing WHERE name = ?1 AND recipient = ?2")?.exists([name, to])
}

pub(super) fn due(connection: &Connection, now: UnixMs, limit: u32) -> rusqlite::Result<Vec<OutMail>> {
    connection
        .prepare_cached(&format!(
            "SELECT {OUT} FROM outgoing WHERE state = 'queued' AND next_at <= ?1 ORDER BY position LIMIT ?2"
        ))?
        .query_map(params![now.0, limit], out)?
        .collect()
}

pub(super) fn next_due(connection: &Connection) -> rusqlite::Result<Option<UnixMs>> {
    let next: Option<i64> = connection
        .prepare_cached("SELECT min(next_at) FROM outgoing WHERE state = 'queued'")?
        .query_row([], |row| row.get(0))?;
    Ok(next.map(UnixMs))
}

/// The digest of a mail's text, unless that was cleared.
pub(super) fn sha256(connection: &Connection, id: Uuid) -> rusqlite::Result<Option<String>> {
    connection
        .prepare_cached("SELECT sha256 FROM outgoing WHERE id = ?1 AND is_cleared = 0")?
        .query_row([id.to_string()], |row| row.get(0))
        .optional()
}

/// Writes down how far a mail is. One that came back stays so: its bounce may be faster than the answer of the server that took it.
pub(super) fn set(connection: &Connection, mail: &OutMail) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE outgoing SET state = ?2, tries = ?3, next_at = ?4, error = ?5
             WHERE id = ?1 AND (state <> 'bounced' OR ?2 = 'bounced')",
        )?
        .execute(params![mail.id.to_string(), word(&mail.state)?, mail.tries, mail.next_at.0, mail.error])
        .map(drop)
}

pub(super) fn use_link(connection: &Connection, id: Uuid, outcome: &str) -> rusqlite::Result<bool> {
    let changed = connection
        .prepare_cached("UPDATE outgoing SET used = ?2 WHERE id = ?1 AND used IS NULL")?
        .execute([id.to_string().as_str(), outcome])?;
    Ok(changed == 1)
}

pub(super) fn one(connection: &Connection, id: Uuid) -> rusqlite::Result<Option<OutMail>> {
    connection
        .prepare_cached(&format!("SELECT {OUT} FROM outgoing WHERE id = ?1"))?
        .query_row([id.to_string()], out)
        .optional()
}

/// The first of these ids that is a mail of ours.
pub(super) fn by_message_id(connection: &Connection, ids: &[String]) -> rusqlite::Result<Option<OutMail>> {
    let mut find = connection.prepare_cached(&format!("SELECT {OUT} FROM outgoing WHERE message_id = ?1"))?;
    for id in ids {
        let found = find.query_row([id], out).optional()?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

pub(super) fn named(connection: &Connection, prefix: &str) -> rusqlite::Result<Vec<OutMail>> {
    // The range uses the index; no name holds the last of all characters.
    connection
        .prepare_cached(&format!(
            "SELECT {OUT} FROM outgoing WHERE name >= ?1 AND name < ?1 || char(1114111) ORDER BY position"
        ))?
        .query_map([prefix], out)?
        .collect()
}

pub(super) fn asks(connection: &Connection, approval_id: ApprovalId) -> rusqlite::Result<Vec<OutMail>> {
    connection
        .prepare_cached(&format!(
            "SELECT {OUT} FROM outgoing WHERE approval_id = ?1 AND kind = 'request' ORDER BY position"
        ))?
        .query_map([approval_id.to_string()], out)?
        .collect()
}

pub(super) fn newest(connection: &Connection, limit: u32) -> rusqlite::Result<Vec<OutMail>> {
    connection
        .prepare_cached(&format!("SELECT {OUT} FROM outgoing ORDER BY position DESC LIMIT ?1"))?
        .query_map([limit], out)?
        .collect()
}

pub(super) fn newest_to(connection: &Connection, person: &str, address: &str) -> rusqlite::Result<Option<OutMail>> {
    connection
        .prepare_cached(&format!(
            "SELECT {OUT} FROM outgoing WHERE person = ?1 AND recipient = ?2 AND state <> 'queued'
             ORDER BY created_at DESC, position DESC LIMIT 1"
        ))?
        .query_row([person, address], out)
        .optional()
}

pub(super) fn sent_since(
    connection: &Connection,
    person: &str,
    project_id: Option<ProjectId>,
    since: UnixMs,
) -> rusqlite::Result<u32> {
    connection
        // What was never to be sent was not sent.
        .prepare_cached(
            "SELECT count(*) FROM outgoing WHERE person = ?1 AND created_at >= ?2 AND project_id IS ?3
             AND NOT (state = 'failed' AND tries = 0)",
        )?
        .query_row(params![person, since.0, project_id.map(|id| id.to_string())], |row| row.get(0))
}

/// The texts of what was finished before an instant, at most so many: of mails that came in, and of ours.
pub(super) fn stale(connection: &Connection, before: UnixMs, limit: u32) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare_cached(
            "SELECT id FROM letter WHERE is_cleared = 0 AND done_at < ?1
             UNION SELECT sha256 FROM outgoing WHERE is_cleared = 0 AND created_at < ?1 AND state <> 'queued' LIMIT ?2",
        )?
        .query_map(params![before.0, limit], |row| row.get(0))?
        .collect()
}

/// Of these texts, those that nothing else still needs.
pub(super) fn unneeded(connection: &Connection, texts: Vec<String>, before: UnixMs) -> rusqlite::Result<Vec<String>> {
    let mut needed = connection.prepare_cached(
        "SELECT 1 FROM letter WHERE id = ?1 AND (done_at IS NULL OR done_at >= ?2)
         UNION ALL SELECT 1 FROM outgoing WHERE sha256 = ?1 AND (state = 'queued' OR created_at >= ?2)",
    )?;
    let mut unneeded = Vec::with_capacity(texts.len());
    for text in texts {
        if !needed.exists(params![text, before.0])? {
            unneeded.push(text);
        }
    }
    Ok(unneeded)
}

/// These texts are removed.
pub(super) fn cleared(connection: &Connection, texts: &[String], before: UnixMs) -> rusqlite::Result<()> {
    let mut letters = connection.prepare_cached("UPDATE letter SET is_cleared = 1 WHERE id = ?1 AND done_at < ?2")?;
    let mut ours = connection.prepare_cached(
        "UPDATE outgoing SET is_cleared = 1 WHERE sha256 = ?1 AND created_at < ?2 AND state <> 'queued'",
    )?;
    for text in texts {
        letters.execute(params![text, before.0])?;
        ours.execute(params![text, before.0])?;
    }
    Ok(())
}

fn out(row: &Row<'_>) -> rusqlite::Result<OutMail> {
    Ok(OutMail {
        id: get_id(row, 0)?,
        name: row.get(1)?,
        to: row.get(2)?,
        person: row.get(3)?,
        kind: get_word(row, 4)?,
        project_id: get_id_opt(row, 5)?.map(ProjectId::from_uuid),
        approval_id: get_id_opt(row, 6)?.map(ApprovalId::from_uuid),
        digest: row.get(7)?,
        message_id: row.get(8)?,
        created_at: UnixMs(row.get(9)?),
        state: get_word(row, 10)?,
        tries: row.get(11)?,
        next_at: UnixMs(row.get(12)?),
        error: row.get(13)?,
        used: row.get(14)?,
    })
}
