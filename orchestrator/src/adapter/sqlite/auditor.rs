//! Which entries the audit log has about which records. An entry of its own says so: at the log's beginning, and whenever a
//! program writes kinds of entries that the one before did not. Whoever takes the whole log away takes that entry, too.

use bus_schemas::{
    id::{ApprovalId, ProjectId},
    json::Json,
    time::UnixMs,
};
use rusqlite::{Connection, OptionalExtension};
use uuid::Uuid;

use super::audit::{append, starts_at};
use crate::port::journal::{AUDITOR, AuditRow};

/// The kind of the entry that says it.
pub(super) const BEGAN: &str = "log.began";
/// The project of that entry: none.
pub(super) const NO_PROJECT: ProjectId = ProjectId::from_uuid(Uuid::nil());

/// Writes the entry if it is due: once for every database, and again where another auditor wrote the last one. A log whose entry
/// is gone gets no new one: somebody took it away.
pub(super) fn keep_up(connection: &Connection) -> rusqlite::Result<()> {
    let is_due = connection.execute("DELETE FROM meta WHERE name = 'audit_begins'", [])? > 0;
    // What somebody wrote there by hand must not keep the database from opening.
    let last: Option<Option<i64>> = connection
        .prepare(
            "SELECT CASE WHEN json_valid(detail) THEN CAST(detail ->> '$.auditor' AS INTEGER) END
             FROM audit WHERE kind = ?1 ORDER BY number DESC LIMIT 1",
        )?
        .query_row([BEGAN], |row| row.get(0))
        .optional()?;
    if is_due || last.flatten().is_some_and(|auditor| auditor < AUDITOR.into()) {
        append(connection, &began(connection)?)?;
    }
    Ok(())
}

fn began(connection: &Connection) -> rusqlite::Result<AuditRow> {
    let seq: u64 = connection.query_row("SELECT coalesce(max(seq), 0) FROM journal", [], |row| row.get(0))?;
    let at = connection.query_row("SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER)", [], |row| row.get(0))?;
    let number = |number: u64| Json::Int(i64::try_from(number).unwrap_or(i64::MAX));
    let starts_at = starts_at(connection)?.unwrap_or(1);
    let detail = [("auditor", number(AUDITOR.into())), ("starts_at", number(starts_at))];
    Ok(AuditRow {
        seq,
        at: UnixMs(at),
        kind: BEGAN,
        project_id: NO_PROJECT,
        approval_id: ApprovalId::from_uuid(Uuid::nil()),
        subject: "log".to_owned(),
        digest: String::new(),
        actor: "orchestrator".to_owned(),
        channel: "orchestrator".to_owned(),
        detail: Json::Map(detail.map(|(name, value)| (name.to_owned(), value)).into()),
    })
}

/// What the log says of itself, entry by entry.
#[derive(Debug, Default)]
pub(super) struct Eras {
    /// The record from which on an auditor wrote everything, and its version; both grow.
    eras: Vec<(u64, u32)>,
    /// The highest record an entry so far is about.
    highest: u64,
}

impl Eras {
    /// Takes the next entry in: its record, and its detail if it is one that says where something began. `starts_at` is what the
    /// database says beside the chain. A sentence if it cannot be so.
    pub(super) fn take(&mut self, sequence: u64, began: Option<&Json>, starts_at: u64) -> Option<String> {
        let is_early = self.eras.last().is_some_and(|(from, _)| sequence < *from);
        let is_late = sequence < self.highest;
        self.highest = self.highest.max(sequence);
        let Some(detail) = began else {
            return is_early
                .then(|| format!("it is about journal record {sequence}, which was before the log got here"));
        };
        let number = |name| match detail.get(name) {
            Some(Json::Int(number)) => u64::try_from(*number).ok(),
            _ => None,
        };
        let (Some(auditor), Some(start)) = (number("auditor"), number("starts_at")) else {
            return Some("it does not say what the log has from it on".to_owned());
        };
        let auditor = u32::try_from(auditor).unwrap_or(u32::MAX);
        let last = self.eras.last().map_or(0, |(_, auditor)| *auditor);
        if start != starts_at {
            return Some(format!(
                "where the log begins was changed: it was journal record {start}, and {starts_at} is written down"
            ));
        }
        if is_late || auditor <= last || auditor > AUDITOR {
            return Some("the log does not begin, or have more from then on, where it says so".to_owned());
        }
        self.eras.push((sequence + 1, auditor));
        None
    }

    /// No entry says where the log begins.
    pub(super) fn is_empty(&self) -> bool {
        self.eras.is_empty()
    }

    /// The log has every entry that this auditor writes about a record; the first one wrote what requests and decisions need.
    pub(super) fn auditor(&self, sequence: u64) -> u32 {
        let in_force = self.eras.iter().rev().find(|(from, _)| *from <= sequence);
        in_force.map_or(1, |(_, auditor)| *auditor)
    }
}
