//! Mails that came in.

use bus_schemas::{id::ProjectId, time::UnixMs};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::super::row::{get_id_opt, get_json, get_word, json, word};
use crate::adapter::mail::{InMail, InState, LetterFilter, Position, Standing, Verdict};

const LETTER: &str = "id, size, delivery, received_at, state, outcome, sender, person, subject, message_id, project_id, is_trusted, done_at, judged_by, standing, is_cleared, position, tries";

/// Writes a mail down; `false` says it is known already.
pub(super) fn add(connection: &Connection, mail: &InMail) -> rusqlite::Result<bool> {
    let added = connection
        .prepare_cached(
            "INSERT INTO letter (id, size, delivery, received_at, state) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (id) DO NOTHING",
        )?
        .execute(params![mail.id, mail.size, json(&mail.delivery)?, mail.received_at.0, word(&InState::Kept)?])?;
    Ok(added == 1)
}

pub(super) fn one(connection: &Connection, id: &str) -> rusqlite::Result<Option<InMail>> {
    connection.prepare_cached(&format!("SELECT {LETTER} FROM letter WHERE id = ?1"))?.query_row([id], letter).optional()
}

const fn standing(standing: Standing) -> i64 {
    match standing {
        Standing::Known => 0,
        Standing::Stranger => 1,
        Standing::Claims => 2,
        Standing::Unchecked => 3,
    }
}

/// Whether its text was cleared; `None` for a mail nobody knows.
pub(super) fn is_cleared(connection: &Connection, id: &str) -> rusqlite::Result<Option<bool>> {
    connection
        .prepare_cached("SELECT is_cleared <> 0 FROM letter WHERE id = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()
}

pub(super) fn list(connection: &Connection, filter: &LetterFilter) -> rusqlite::Result<Vec<InMail>> {
    let limit = if filter.limit == 0 { -1 } else { i64::from(filter.limit) };
    match filter.state {
        Some(state) => connection
            .prepare_cached(&format!("SELECT {LETTER} FROM letter WHERE state = ?1 ORDER BY position DESC LIMIT ?2"))?
            .query_map(params![word(&state)?, limit], letter)?
            .collect(),
        None => connection
            .prepare_cached(&format!("SELECT {LETTER} FROM letter ORDER BY position DESC LIMIT ?1"))?
            .query_map([limit], letter)?
            .collect(),
    }
}

pub(super) fn unfinished(connection: &Connection, behind: i64, most: u32) -> rusqlite::Result<Vec<InMail>> {
    connection
        .prepare_cached(&format!(
            "SELECT {LETTER} FROM letter WHERE done_at IS NULL AND position > ?1 ORDER BY position LIMIT ?2"
        ))?
        .query_map(params![behind, most], letter)?
        .collect()
}

pub(super) fn set_tries(connection: &Connection, id: &str, tries: u32, why: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE letter SET tries = ?2, outcome = ?3 WHERE id = ?1 AND done_at IS NULL")?
        .execute(params![id, tries, why])
        .map(drop)
}

/// Writes down what became of a mail. What was written first stays; a mail that is only kept is not finished by it.
pub(super) fn finish(connection: &Connection, id: &str, verdict: &Verdict, at: UnixMs) -> rusqlite::Result<()> {
    let done_at = (verdict.state != InState::Kept).then_some(at.0);
    // One that an admin let pass is still released while it cannot be finished.
    connection
        .prepare_cached(
            "UPDATE letter SET state = CASE WHEN ?2 = 'kept' THEN state ELSE ?2 END, outcome = ?3, sender = ?4, person = ?5,
                 subject = ?6, message_id = ?7, project_id = ?8, is_trusted = ?9, done_at = ?10, standing = ?11
             WHERE id = ?1 AND done_at IS NULL",
        )?
        .execute(params![
            id,
            word(&verdict.state)?,
            verdict.outcome,
            verdict.from,
            verdict.person,
            verdict.subject,
            verdict.message_id,
            verdict.project_id.map(|id| id.to_string()),
            verdict.trusted,
            done_at,
            standing(verdict.standing)
        ])
        .map(drop)
}

/// An admin's word about a quarantined mail. The text of one that is dropped is to be removed.
pub(super) fn judge(connection: &Connection, id: &str, state: InState, by: &str, at: UnixMs) -> rusqlite::Result<bool> {
    let done_at = (state != InState::Released).then_some(at.0);
    let changed = connection
        .prepare_cached(
            "UPDATE letter SET state = ?2, judged_by = ?3, done_at = ?4, is_cleared = CASE ?2 WHEN 'dropped' THEN 2 ELSE 0 END
             WHERE id = ?1 AND state = 'quarantined' AND is_cleared = 0",
        )?
        .execute(params![id, word(&state)?, by, done_at])?;
    Ok(changed == 1)
}

pub(super) fn seen(connection: &Connection, message_id: &str, but: &str) -> rusqlite::Result<Option<InMail>> {
    connection
        .prepare_cached(&format!(
            "SELECT {LETTER} FROM letter
             WHERE message_id = ?1 AND id <> ?2 AND is_trusted = 1 AND done_at IS NOT NULL ORDER BY position LIMIT 1"
        ))?
        .query_row([message_id, but], letter)
        .optional()
}

pub(super) fn count(connection: &Connection, person: Option<&str>, since: UnixMs) -> rusqlite::Result<u32> {
    match person {
        Some(person) => connection
            .prepare_cached("SELECT count(*) FROM letter WHERE is_trusted = 1 AND person = ?1 AND received_at >= ?2")?
            .query_row(params![person, since.0], |row| row.get(0)),
        None => connection
            .prepare_cached("SELECT count(*) FROM letter WHERE is_trusted = 1 AND received_at >= ?1")?
            .query_row([since.0], |row| row.get(0)),
    }
}

pub(super) fn position(connection: &Connection, mailbox: &str) -> rusqlite::Result<Option<Position>> {
    connection
        .prepare_cached("SELECT validity, uid FROM mailbox WHERE name = ?1")?
        .query_row([mailbox], |row| Ok(Position { validity: row.get(0)?, uid: row.get(1)? }))
        .optional()
}

pub(super) fn set_position(connection: &Connection, mailbox: &str, position: Position) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO mailbox (name, validity, uid) VALUES (?1, ?2, ?3)")?
        .execute(params![mailbox, position.validity, position.uid])
        .map(drop)
}

fn letter(row: &Row<'_>) -> rusqlite::Result<InMail> {
    Ok(InMail {
        id: row.get(0)?,
        size: row.get(1)?,
        delivery: get_json(row, 2)?,
        received_at: UnixMs(row.get(3)?),
        verdict: Verdict {
            state: get_word(row, 4)?,
            outcome: row.get(5)?,
            from: row.get(6)?,
            person: row.get(7)?,
            subject: row.get(8)?,
            message_id: row.get(9)?,
            project_id: get_id_opt(row, 10)?.map(ProjectId::from_uuid),
            trusted: row.get(11)?,
            standing: match row.get::<_, i64>(14)? {
                1 => Standing::Stranger,
                2 => Standing::Claims,
                3 => Standing::Unchecked,
                _ => Standing::Known,
            },
        },
        done_at: row.get::<_, Option<i64>>(12)?.map(UnixMs),
        by: row.get(13)?,
        is_cleared: row.get::<_, i64>(15)? != 0,
        place: row.get(16)?,
        tries: row.get(17)?,
    })
}
