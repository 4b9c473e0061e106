//! Is the audit log whole? Every hash is worked out again, and every entry once more from the journal.

use std::collections::{BTreeMap, HashSet};

use bus_schemas::{
    id::ProjectId,
    json::Json,
    v1::api::{AuditFinding, AuditReport},
};
use rusqlite::{Connection, OptionalExtension};

use super::{
    audit::{GENESIS, Hashed, canonical, event_sha256},
    store::{Store, record},
};
use crate::port::journal::{AuditRow, Change, JournalError, Projector};

/// What happens outside of every project, and so without a journal record.
const OUTSIDE: &str = "skill.admitted";
/// Findings that are told: whoever has more than that needs a backup, not a list.
const FINDINGS: usize = 1000;
/// What keeps the program from changing the log by mistake.
const TRIGGERS: [&str; 3] = ["audit_only_grows", "audit_is_not_changed", "audit_is_not_deleted"];

/// What an entry says, without its hash.
#[derive(PartialEq, Eq)]
struct Said {
    kind: String,
    approval_id: String,
    subject: String,
    digest: String,
    actor: String,
    channel: String,
    at: i64,
    /// As it is stored: canonical JSON.
    detail: String,
}

impl Said {
    fn of(row: &AuditRow) -> Self {
        Self {
            kind: row.kind.to_owned(),
            approval_id: row.approval_id.to_string(),
            subject: row.subject.clone(),
            digest: row.digest.clone(),
            actor: row.actor.clone(),
            channel: row.channel.clone(),
            at: row.at.0,
            detail: canonical(&row.detail).unwrap_or_default(),
        }
    }
}

/// What was found so far.
#[derive(Default)]
struct Check {
    report: AuditReport,
    /// What the entries of each journal record say, with their numbers.
    said: BTreeMap<u64, Vec<(u64, Said)>>,
    hashes: HashSet<String>,
}

impl Store {
    /// Checks the audit log; `head` is the hash of an entry somebody remembered. `projector` derives the entries once more.
    ///
    /// # Errors
    /// [`JournalError`] if it cannot be read at all.
    pub async fn verify_audit(
        &self,
        mut projector: Box<dyn Projector + Send>,
        head: Option<String>,
    ) -> Result<AuditReport, JournalError> {
        self.read("verify the audit log", move |connection| {
            // One snapshot for log and journal.
            let snapshot = connection.unchecked_transaction()?;
            let mut check = Check::default();
            check.starts(&snapshot)?;
            check.entries(&snapshot)?;
            check.journal(&snapshot, projector.as_mut())?;
            if let Some(head) = head.filter(|head| !check.hashes.contains(&head.to_lowercase())) {
                check.found(0, format!("no entry has the hash {head}: what was there then is not all there now"));
            }
            Ok(check.report)
        })
        .await
    }
}

impl Check {
    fn found(&mut self, number: u64, problem: String) {
        if self.report.findings.len() < FINDINGS {
            self.report.findings.push(AuditFinding { number, problem });
        }
    }

    fn starts(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let from: Option<String> = connection
            .prepare_cached("SELECT value FROM meta WHERE name = 'audit_from'")?
            .query_row([], |row| row.get(0))
            .optional()?;
        match from.as_deref().map(str::parse) {
            Some(Ok(from)) => self.report.starts_at = from,
            _ => {
                self.report.starts_at = 1;
                self.found(
                    0,
                    "it is not written down any more from which journal record on there are entries".to_owned(),
                );
            }
        }
        for trigger in TRIGGERS {
            let is_there: bool = connection
                .prepare_cached("SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'trigger' AND name = ?1)")?
                .query_row([trigger], |row| row.get(0))?;
            if !is_there {
                self.found(0, format!("the trigger {trigger} is gone: somebody changed the database by hand"));
            }
        }
        Ok(())
    }

    /// Each entry by itself, and that it follows the one before.
    fn entries(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let mut statement = connection.prepare(
            "SELECT number, sequence, at, kind, project_id, approval_id, subject, digest, actor, channel, detail, event_sha256,
                 previous, hash FROM audit ORDER BY number",
        )?;
        let mut rows = statement.query([])?;
        let (mut last, mut previous) = (0_u64, GENESIS.to_owned());
        while let Some(row) = rows.next()? {
            let number: u64 = row.get(0)?;
            self.report.entries += 1;
            if number != last + 1 {
                self.found(number, format!("entries are missing before it: the one before has number {last}"));
            }
            let text = |index| row.get::<_, String>(index);
            let (kind, project_id, approval_id, subject) = (text(3)?, text(4)?, text(5)?, text(6)?);
            let (digest, actor, channel, written) = (text(7)?, text(8)?, text(9)?, text(10)?);
            let (sha256, claimed, hash) = (text(11)?, text(12)?, text(13)?);
            let sequence: u64 = row.get(1)?;
            let detail: Option<Json> = serde_json::from_str(&written).ok();
            let is_canonical = detail.as_ref().map(canonical).transpose()?.is_some_and(|text| text == written);
            let entry = Hashed {
                number,
                sequence,
                at: row.get(2)?,
                kind: &kind,
                project_id: &project_id,
                approval_id: &approval_id,
                subject: &subject,
                digest: &digest,
                actor: &actor,
                channel: &channel,
                detail: detail.as_ref().unwrap_or(&Json::Null),
                event_sha256: &sha256,
                previous: &claimed,
            };
            if !is_canonical || entry.hash()? != hash {
                self.found(number, "it was changed: its hash is another".to_owned());
            }
            if claimed != previous {
                self.found(number, "it does not follow the entry before it: that one has another hash".to_owned());
            }
            if sequence == 0 && kind != OUTSIDE {
                self.found(number, format!("it is about no journal record, and `{kind}` always is"));
            }
            self.about(connection, number, sequence, &sha256)?;
            self.said.entry(sequence).or_default().push((
                number,
                Said { kind, approval_id, subject, digest, actor, channel, at: row.get(2)?, detail: written },
            ));
            last = number;
            self.hashes.insert(hash.clone());
            previous = hash;
        }
        self.report.head = previous;
        Ok(())
    }

    /// The journal record an entry is about is as it was.
    fn about(&mut self, connection: &Connection, number: u64, sequence: u64, sha256: &str) -> rusqlite::Result<()> {
        if sequence == 0 {
            return Ok(());
        }
        match event_sha256(connection, sequence)? {
            None => self.found(number, format!("journal record {sequence}, which it is about, is gone")),
            Some(now) if now != sha256 => {
                self.found(number, format!("journal record {sequence}, which it is about, was changed"));
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// Derives the entries once more: none is missing, none is too many, and none says something else.
    fn journal(&mut self, connection: &Connection, projector: &mut dyn Projector) -> rusqlite::Result<()> {
        let mut statement = connection
            .prepare("SELECT seq, project_id, version, event, detail FROM journal ORDER BY project_id, version")?;
        let mut rows = statement.query([])?;
        let mut broken: Option<ProjectId> = None;
        while let Some(row) = rows.next()? {
            let seq: u64 = row.get(0)?;
            let read = record(row).map_err(|error| error.to_string());
            if let Ok(record) = &read
                && broken == Some(record.project_id)
            {
                // Said already; the entries of what follows cannot be derived.
                self.said.remove(&seq);
                continue;
            }
            let derived = read.and_then(|record| Ok((record.project_id, projector.project(&record)?)));
            match derived {
                Ok((_, changes)) if seq >= self.report.starts_at => self.compare(seq, &changes),
                Ok(_) => {}
                Err(problem) => {
                    broken = row.get::<_, String>(1)?.parse().ok().map(ProjectId::from_uuid);
                    self.said.remove(&seq);
                    self.found(0, format!("journal record {seq} cannot be followed: {problem}"));
                }
            }
        }
        for (seq, entries) in std::mem::take(&mut self.said) {
            // What happened outside of every project has no record; a record that is gone is told already.
            let is_known = seq == 0 || event_sha256(connection, seq)?.is_none();
            for (number, said) in entries.into_iter().filter(|_| !is_known) {
                let kind = said.kind;
                self.found(number, format!("journal record {seq} calls for no entry `{kind}`"));
            }
        }
        Ok(())
    }

    fn compare(&mut self, seq: u64, changes: &[Change]) {
        let mut there = self.said.remove(&seq).unwrap_or_default();
        for change in changes {
            let Change::Audited(row) = change else { continue };
            let wanted = Said::of(row);
            if let Some(place) = there.iter().position(|(_, said)| *said == wanted) {
                there.remove(place);
                continue;
            }
            let (kind, request) = (row.kind, row.approval_id);
            self.found(0, format!("journal record {seq} has no entry `{kind}` about request {request} that fits it"));
        }
        for (number, said) in there {
            self.found(number, format!("journal record {seq} calls for no such entry `{}`", said.kind));
        }
    }
}
