//! The store: the writer thread, a few connections that read, and the journal port over them.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use bus_schemas::{
    id::{ProjectId, TaskId},
    v1::{
        api::{RebuildReport, RememberedView},
        handoff::Handoff,
    },
};
use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::{Mutex as Turn, Semaphore};
use uuid::Uuid;

use super::{
    open::{self, OpenError},
    project, rebuild,
    row::{get_json, json},
    tell,
    writer::{Writer, failed},
};
use crate::port::bus::FeedMessage;
use crate::port::journal::{Batch, Cursor, Journal, JournalError, OutboxRow, Projector, Record};

/// Connections that read at the same time: queries are short, and the machine has few cores.
const READERS: usize = 3;

/// The store of one data directory. Cheap to clone; the writer ends, and the directory is free, when the last clone is gone.
#[derive(Clone, Debug)]
pub struct Store {
    pub(super) writer: Writer,
    readers: Arc<Readers>,
    /// Held by the one verification of the audit log there is at a time: each reads everything.
    pub(super) verifying: Arc<Turn<()>>,
    installation: Uuid,
}

#[derive(Debug)]
struct Readers {
    free: Arc<Semaphore>,
    connections: Mutex<Vec<Connection>>,
}

impl Store {
    /// Opens (or creates) the database in `data_dir`, alone. `fresh` names the installation if it is new.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(data_dir: &Path, fresh: Uuid) -> Result<Self, OpenError> {
        let lock = open::lock(data_dir)?;
        let path = data_dir.join("baton.db");
        let sqlite = |source| OpenError::Sqlite { path: path.clone(), source };
        let connection = open::writer(&path)?;
        connection
            .execute("INSERT OR IGNORE INTO meta (name, value) VALUES ('installation', ?1)", [fresh.to_string()])
            .map_err(sqlite)?;
        let text: String = connection
            .query_row("SELECT value FROM meta WHERE name = 'installation'", [], |row| row.get(0))
            .map_err(sqlite)?;
        let installation = Uuid::try_parse(&text)
            .map_err(|e| OpenError::Damaged { path: path.clone(), detail: format!("installation id: {e}") })?;
        let connections = (0..READERS).map(|_| open::reader(&path)).collect::<Result<Vec<_>, _>>()?;
        let writer = Writer::start(connection, lock).map_err(|source| OpenError::Io { path: path.clone(), source })?;
        let readers = Readers { free: Arc::new(Semaphore::new(READERS)), connections: Mutex::new(connections) };
        Ok(Self { writer, readers: Arc::new(readers), verifying: Arc::default(), installation })
    }

    /// The installation's id, made when the database was created.
    #[must_use]
    pub const fn installation(&self) -> Uuid {
        self.installation
    }

    /// The projections are of an earlier program, or there are none: they must be derived anew before anything is read.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn is_stale(&self) -> Result<bool, JournalError> {
        self.read("look at the projections", |connection| {
            connection.query_row("SELECT EXISTS (SELECT 1 FROM meta WHERE name = 'projections')", [], |row| row.get(0))
        })
        .await
    }

    /// Lets the database grow to so many pages: a small disk for tests.
    #[cfg(test)]
    pub(crate) async fn limit_pages(&self, pages: u32) -> Result<(), JournalError> {
        const OPERATION: &str = "limit the database";
        self.writer
            .call(OPERATION, move |connection| {
                connection
                    .query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))
                    .map_err(|e| failed(OPERATION, &e))
            })
            .await
    }

    /// Makes every record of the journal unreadable.
    #[cfg(test)]
    pub(crate) async fn spoil(&self) -> Result<(), JournalError> {
        const OPERATION: &str = "spoil the journal";
        self.writer
            .call(OPERATION, |connection| {
                let spoiled = connection.execute("UPDATE journal SET event = '{}'", []);
                spoiled.map(drop).map_err(|e| failed(OPERATION, &e))
            })
            .await
    }

    /// The connections that nobody uses.
    #[cfg(test)]
    pub(super) fn idle(&self) -> usize {
        self.readers.free.available_permits()
    }

    /// Runs a query on a connection that reads.
    pub(super) async fn read<F, T>(&self, operation: &'static str, query: F) -> Result<T, JournalError>
    where
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let closed = JournalError::Closed { operation };
        let readers = Arc::clone(&self.readers);
        let permit = Arc::clone(&readers.free).acquire_owned().await.map_err(|_| closed.clone())?;
        let run = move || {
            // As long as the connection is out, whether or not somebody still waits for the answer.
            let _permit = permit;
            let taken = readers.connections.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
            let answer = query(&taken).map_err(|e| failed(operation, &e));
            readers.connections.lock().unwrap_or_else(PoisonError::into_inner).push(taken);
            Some(answer)
        };
        match tokio::task::spawn_blocking(run).await {
            Ok(Some(answer)) => answer,
            Ok(None) | Err(_) => Err(closed),
        }
    }
}

impl Journal for Store {
    async fn commit(&self, batch: Batch) -> Result<(), JournalError> {
        const OPERATION: &str = "append to the journal";
        self.writer
            .call(OPERATION, move |connection| write(connection, &batch).map_err(|e| failed(OPERATION, &e)))
            .await
    }

    async fn last_seq(&self) -> Result<u64, JournalError> {
        self.read("read the journal", |connection| {
            connection.query_row("SELECT coalesce(max(seq), 0) FROM journal", [], |row| row.get(0))
        })
        .await
    }

    async fn records(&self, project_id: ProjectId) -> Result<Vec<Record>, JournalError> {
        self.read("read the journal", move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT seq, project_id, version, event, detail FROM journal WHERE project_id = ?1 ORDER BY version",
            )?;
            statement.query_map([project_id.to_string()], record)?.collect()
        })
        .await
    }

    async fn unsettled(&self) -> Result<Vec<ProjectId>, JournalError> {
        self.read("list projects", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT project_id FROM project WHERE settled = 0
                 UNION SELECT project_id FROM outbox ORDER BY 1",
            )?;
            statement.query_map([], |row| super::row::get_id(row, 0).map(ProjectId::from_uuid))?.collect()
        })
        .await
    }

    async fn is_settled(&self, project_id: ProjectId) -> Result<Option<bool>, JournalError> {
        self.read("look up a project", move |connection| {
            connection
                .prepare_cached("SELECT settled FROM project WHERE project_id = ?1")?
                .query_row([project_id.to_string()], |row| row.get(0))
                .optional()
        })
        .await
    }

    async fn outbox(&self) -> Result<Vec<OutboxRow>, JournalError> {
        self.read("read the outbox", |connection| {
            let mut statement = connection
                .prepare_cached("SELECT seq, number, project_id, command FROM outbox ORDER BY seq, number")?;
            let rows = statement.query_map([], |row| {
                Ok(OutboxRow {
                    seq: row.get(0)?,
                    number: row.get(1)?,
                    project_id: ProjectId::from_uuid(super::row::get_id(row, 2)?),
                    command: get_json(row, 3)?,
                })
            })?;
            rows.collect()
        })
        .await
    }

    async fn cursor(&self, stream: &'static str) -> Result<Cursor, JournalError> {
        self.read("read the intake cursor", move |connection| {
            connection
                .query_row("SELECT seq, stream_created FROM cursor WHERE stream = ?1", [stream], |row| {
                    Ok(Cursor { seq: row.get(0)?, stream_created: row.get(1)? })
                })
                .optional()
                .map(Option::unwrap_or_default)
        })
        .await
    }

    async fn handoffs(&self, tasks: Vec<TaskId>) -> Result<Vec<(TaskId, Handoff)>, JournalError> {
        self.read("read handoffs", move |connection| {
            let mut statement = connection.prepare_cached("SELECT body FROM handoff WHERE task_id = ?1")?;
            let mut found = Vec::with_capacity(tasks.len());
            for task in tasks {
                if let Some(handoff) = statement.query_row([task.to_string()], |row| get_json(row, 0)).optional()? {
                    found.push((task, handoff));
                }
            }
            Ok(found)
        })
        .await
    }

    async fn remembered(&self) -> Result<Vec<RememberedView>, JournalError> {
        // The method of the same name that is not this trait's.
        Self::remembered(self).await
    }

    async fn tellings(&self, after: u64) -> Result<(u64, Vec<FeedMessage>), JournalError> {
        self.read("read the feed", move |connection| tell::page(connection, after)).await
    }

    async fn rebuild(&self, mut projector: Box<dyn Projector + Send>) -> Result<RebuildReport, JournalError> {
        self.writer.call("rebuild projections", move |connection| rebuild::run(connection, projector.as_mut())).await
    }
}

/// Reads `seq, project_id, version, event, detail`.
pub(super) fn record(row: &rusqlite::Row<'_>) -> rusqlite::Result<Record> {
    Ok(Record {
        seq: row.get(0)?,
        project_id: ProjectId::from_uuid(super::row::get_id(row, 1)?),
        version: row.get(2)?,
        event: get_json(row, 3)?,
        detail: row.get(4)?,
    })
}

fn write(connection: &Connection, batch: &Batch) -> rusqlite::Result<()> {
    let mut append = connection.prepare_cached(
        "INSERT INTO journal (seq, project_id, version, at, event, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    for record in &batch.records {
        append.execute(params![
            record.seq,
            record.project_id.to_string(),
            record.version,
            record.event.at.0,
            json(&record.event)?,
            record.detail
        ])?;
    }
    project::apply(connection, "main", &batch.changes)?;
    let mut add =
        connection.prepare_cached("INSERT INTO outbox (seq, number, project_id, command) VALUES (?1, ?2, ?3, ?4)")?;
    for row in &batch.outbox {
        add.execute(params![row.seq, row.number, row.project_id.to_string(), json(&row.command)?])?;
    }
    let mut done = connection.prepare_cached("DELETE FROM outbox WHERE seq = ?1 AND number = ?2")?;
    for (seq, number) in &batch.performed {
        done.execute(params![seq, number])?;
    }
    for (stream, cursor) in &batch.cursors {
        connection
            .prepare_cached("INSERT OR REPLACE INTO cursor (stream, seq, stream_created) VALUES (?1, ?2, ?3)")?
            .execute(params![stream, cursor.seq, cursor.stream_created])?;
    }
    for letter in &batch.dead_letters {
        connection
            .prepare_cached(
                "INSERT INTO dead_letter (stream, stream_seq, subject, reason, payload, received_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                letter.stream,
                letter.stream_seq,
                letter.subject,
                letter.reason,
                letter.payload,
                letter.received_at.0
            ])?;
    }
    Ok(())
}
