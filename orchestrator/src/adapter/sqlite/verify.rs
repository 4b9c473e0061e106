//! Is the audit log whole? Every hash is worked out again, and every entry once more from the journal.

use std::{collections::BTreeMap, sync::Arc};

use bus_schemas::{
    json::Json,
    v1::api::{AuditFinding, AuditReport},
};
use rusqlite::Connection;

use super::{
    audit::{GENESIS, Hashed, canonical, event_sha256, genesis, starts_at},
    auditor::{BEGAN, Eras, NO_PROJECT},
    store::{Store, record},
};
use crate::port::journal::{AuditRow, Change, JournalError, Projector};

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

/// An entry's number, and what it says.
type Numbered = (u64, Said);

/// What was found so far.
#[derive(Default)]
struct Check {
    report: AuditReport,
    /// The hash that somebody remembered, until it is found.
    head: Option<String>,
    /// What the entries of each journal record of the project that is looked at say.
    said: BTreeMap<u64, Vec<Numbered>>,
    /// What the log has about which records.
    eras: Eras,
}

impl Store {
    /// Checks the audit log; `head` is the hash of an entry somebody remembered. `projector` derives the entries once more.
    /// One project is in memory at a time, and one verification runs at a time: the next one waits for it.
    ///
    /// # Errors
    /// [`JournalError`] if it cannot be read at all.
    pub async fn verify_audit(
        &self,
        mut projector: Box<dyn Projector + Send>,
        head: Option<String>,
    ) -> Result<AuditReport, JournalError> {
        let turn = Arc::clone(&self.verifying).lock_owned().await;
        self.read("verify the audit log", move |connection| {
            let _turn = turn;
            // One snapshot for log and journal.
            let snapshot = connection.unchecked_transaction()?;
            let mut check = Check { head: head.map(|head| head.to_lowercase()), ..Check::default() };
            check.starts(&snapshot)?;
            check.entries(&snapshot)?;
            check.journal(&snapshot, projector.as_mut())?;
            if let Some(head) = check.head.take() {
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
        let next: u64 = connection.query_row("SELECT coalesce(max(seq), 0) + 1 FROM journal", [], |row| row.get(0))?;
        let from = starts_at(connection)?;
        self.report.starts_at = from.unwrap_or(1);
        match from {
            None => {
                let problem = "it is not written down any more from which journal record on there are entries";
                self.found(0, problem.to_owned());
            }
            Some(from) if from > next => {
                self.found(0, format!("it is said to begin with journal record {from}, and the next one is {next}"));
            }
            Some(_) => {}
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
        let (mut last, mut previous) = (0_u64, genesis(self.report.starts_at));
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
            // Before the log said where it begins, its first entry followed zeros wherever that was.
            let follows = claimed == previous || (last == 0 && number == 1 && claimed == GENESIS);
            if !follows {
                let problem = match last {
                    0 => {
                        "it is not the beginning of this log: an entry before it is missing, or where the log begins was changed"
                    }
                    _ => "it does not follow the entry before it: that one has another hash",
                };
                self.found(number, problem.to_owned());
            }
            let began = (kind == BEGAN && project_id == NO_PROJECT.to_string()).then_some(detail.as_ref()).flatten();
            if let Some(problem) = self.eras.take(sequence, began, self.report.starts_at) {
                self.found(number, problem);
            }
            // The log of a new database begins before the first record.
            if began.is_none() || sequence > 0 || !sha256.is_empty() {
                self.about(connection, number, sequence, &sha256)?;
            }
            if self.head.as_ref() == Some(&hash) {
                self.head = None;
            }
            last = number;
            previous = hash;
        }
        if last == 0 {
            self.found(
                0,
                "it is empty, and no log is without the entry it begins with: it was taken away as a whole".to_owned(),
            );
        } else if self.eras.is_empty() {
            self.found(0, format!("the entry `{BEGAN}` is gone, which every log has: it was taken away with it"));
        }
        // The hash before the first entry says nothing to anybody.
        self.report.head = if last == 0 { genesis(1) } else { previous };
        Ok(())
    }

    /// The journal record an entry is about is as it was.
    fn about(&mut self, connection: &Connection, number: u64, sequence: u64, sha256: &str) -> rusqlite::Result<()> {
        match event_sha256(connection, sequence)? {
            None => self.found(number, format!("journal record {sequence}, which it is about, is gone")),
            Some(now) if now != sha256 => {
                self.found(number, format!("journal record {sequence}, which it is about, was changed"));
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// Derives the entries once more, project after project: none is missing, none is too many, and none says something else.
    fn journal(&mut self, connection: &Connection, projector: &mut dyn Projector) -> rusqlite::Result<()> {
        let mut statement = connection
            .prepare("SELECT seq, project_id, version, event, detail FROM journal ORDER BY project_id, version")?;
        let mut rows = statement.query([])?;
        let (mut project, mut is_broken) = (String::new(), false);
        while let Some(row) = rows.next()? {
            let seq: u64 = row.get(0)?;
            let project_id: String = row.get(1)?;
            if project_id != project {
                self.finish(connection)?;
                self.said = said_of(connection, &project_id)?;
                (project, is_broken) = (project_id, false);
            }
            if is_broken {
                // Said already; the entries of what follows cannot be derived.
                self.said.remove(&seq);
                continue;
            }
            let read = record(row).map_err(|error| error.to_string());
            match read.and_then(|record| projector.project(&record)) {
                Ok(changes) if seq >= self.report.starts_at => self.compare(seq, &changes),
                Ok(_) => {}
                Err(problem) => {
                    is_broken = true;
                    self.said.remove(&seq);
                    self.found(0, format!("journal record {seq} cannot be followed: {problem}"));
                }
            }
        }
        self.finish(connection)?;
        self.strays(connection)
    }

    /// The entries of a project that none of its records calls for. One whose record is gone is told already.
    fn finish(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        for (seq, entries) in std::mem::take(&mut self.said) {
            let is_told = event_sha256(connection, seq)?.is_none();
            for (number, said) in entries.into_iter().filter(|_| !is_told) {
                self.found(number, format!("journal record {seq} calls for no entry `{}`", said.kind));
            }
        }
        Ok(())
    }

    /// The entries of projects that the journal does not have.
    fn strays(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let mut statement = connection.prepare(
            "SELECT number, sequence, kind FROM audit
             WHERE NOT EXISTS (SELECT 1 FROM journal WHERE journal.project_id = audit.project_id)
                 AND NOT (kind = ?1 AND project_id = ?2) ORDER BY number",
        )?;
        let mut rows = statement.query([BEGAN, &NO_PROJECT.to_string()])?;
        while let Some(row) = rows.next()? {
            let (number, seq, kind) = (row.get(0)?, row.get(1)?, row.get::<_, String>(2)?);
            if event_sha256(connection, seq)?.is_some() {
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
            if row.since() > self.eras.auditor(seq) {
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

/// What the entries of a project say, by the records they are about.
fn said_of(connection: &Connection, project_id: &str) -> rusqlite::Result<BTreeMap<u64, Vec<Numbered>>> {
    let mut statement = connection.prepare_cached(
        "SELECT number, sequence, kind, approval_id, subject, digest, actor, channel, at, detail FROM audit
         WHERE project_id = ?1 ORDER BY number",
    )?;
    let mut rows = statement.query([project_id])?;
    let mut by_record: BTreeMap<u64, Vec<Numbered>> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let said = Said {
            kind: row.get(2)?,
            approval_id: row.get(3)?,
            subject: row.get(4)?,
            digest: row.get(5)?,
            actor: row.get(6)?,
            channel: row.get(7)?,
            at: row.get(8)?,
            detail: row.get(9)?,
        };
        by_record.entry(row.get(1)?).or_default().push((row.get(0)?, said));
    }
    Ok(by_record)
}
