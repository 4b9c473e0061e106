//! What the Slack bridge must not forget: what came in and was not yet acted on, which messages show what, which thread is whose.
//!
//! A file of its own, `slack.db`: it holds nothing that decides anything, and may be thrown away; people would only see old cards go
//! stale and new ones posted. What is to be posted is written down first, without its place: after a crash the bridge looks
//! into the channel before it posts again.

mod desk;
mod postings;
#[cfg(test)]
mod tests;
mod threads;

use std::path::Path;

use bus_schemas::time::UnixMs;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde_json::Value;

use super::{
    OpenError,
    row::{get_json, json},
    writer::{Writer, failed},
};
use crate::{adapter::slack::bridge::InboxRow, port::journal::JournalError};

pub use desk::SlackDesk;

const MIGRATIONS: [&str; 2] = [
    include_str!("../../../migrations/slack/0001_first.sql"),
    include_str!("../../../migrations/slack/0002_intentions.sql"),
];

/// The store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SlackStore {
    writer: Writer,
}

type Outcome<T> = Result<T, JournalError>;

impl SlackStore {
    /// Opens (or creates) `slack.db` in `data_dir`, which the journal's lock keeps to one process.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(data_dir: &Path) -> Result<Self, OpenError> {
        let path = data_dir.join("slack.db");
        let io = |source| OpenError::Io { path: path.clone(), source };
        std::fs::create_dir_all(data_dir).map_err(io)?;
        let sqlite = |source| OpenError::Sqlite { path: path.clone(), source };
        let mut connection = Connection::open(&path).map_err(sqlite)?;
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA busy_timeout = 5000;
                 PRAGMA journal_size_limit = 16777216; PRAGMA cache_size = -1024;",
            )
            .map_err(sqlite)?;
        let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(sqlite)?;
        let seen = usize::try_from(found).unwrap_or(usize::MAX);
        if seen > MIGRATIONS.len() {
            return Err(OpenError::TooNew { path: path.clone(), found });
        }
        let transaction = connection.transaction().map_err(sqlite)?;
        for migration in MIGRATIONS.iter().skip(seen) {
            transaction.execute_batch(migration).map_err(sqlite)?;
        }
        transaction.pragma_update(None, "user_version", MIGRATIONS.len()).map_err(sqlite)?;
        transaction.commit().map_err(sqlite)?;
        connection.set_prepared_statement_cache_capacity(32);
        let writer = Writer::start(connection, ()).map_err(io)?;
        Ok(Self { writer })
    }

    async fn run<T, F>(&self, operation: &'static str, work: F) -> Outcome<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        self.writer.call(operation, move |connection| work(connection).map_err(|e| failed(operation, &e))).await
    }

    /// Keeps an envelope. `false` says it is known already.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn keep(&self, key: String, raw: Value, received_at: UnixMs) -> Outcome<bool> {
        self.run("keep an envelope", move |connection| {
            let mut add = connection.prepare_cached(
                "INSERT INTO inbox (key, raw, received_at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            )?;
            Ok(add.execute(params![key, json(&raw)?, received_at.0])? == 1)
        })
        .await
    }

    /// An envelope was acted on; what came of it, for people who look.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn done(&self, key: String, outcome: String, at: UnixMs) -> Outcome<()> {
        self.run("mark an envelope", move |connection| {
            connection
                .prepare_cached("UPDATE inbox SET done_at = ?2, outcome = ?3 WHERE key = ?1 AND done_at IS NULL")?
                .execute(params![key, at.0, outcome])
                .map(drop)
        })
        .await
    }

    /// Forgets what an envelope said that was acted on; that it came stays known.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn drop_words(&self, key: String) -> Outcome<()> {
        self.run("drop an envelope's words", move |connection| {
            connection
                .prepare_cached("UPDATE inbox SET raw = 'null' WHERE key = ?1 AND done_at IS NOT NULL")?
                .execute([key])
                .map(drop)
        })
        .await
    }

    /// What was kept and not yet acted on, the oldest first.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn undone(&self) -> Outcome<Vec<InboxRow>> {
        self.run("list kept envelopes", |connection| {
            let mut list = connection
                .prepare_cached("SELECT key, raw, received_at FROM inbox WHERE done_at IS NULL ORDER BY position")?;
            list.query_map([], inbox_row)?.collect()
        })
        .await
    }

    /// What was kept under a key, acted on or not.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn kept(&self, key: String) -> Outcome<Option<InboxRow>> {
        self.run("look up an envelope", move |connection| {
            connection
                .prepare_cached("SELECT key, raw, received_at FROM inbox WHERE key = ?1")?
                .query_row([key], inbox_row)
                .optional()
        })
        .await
    }

    /// Forgets envelopes that were acted on before `then`: Slack does not repeat them any more. Returns how many.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn forget(&self, then: UnixMs) -> Outcome<usize> {
        self.run("forget old envelopes", move |connection| {
            connection.execute("DELETE FROM inbox WHERE done_at < ?1", [then.0])
        })
        .await
    }

    /// How far a feed was followed; 0 at first.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn cursor(&self, name: &'static str) -> Outcome<u64> {
        self.run("read a cursor", move |connection| {
            let seq = connection
                .prepare_cached("SELECT seq FROM cursor WHERE name = ?1")?
                .query_row([name], |row| row.get(0))
                .optional()?;
            Ok(seq.unwrap_or_default())
        })
        .await
    }

    /// A feed was followed to `seq`. It never goes back.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn advance(&self, name: &'static str, seq: u64) -> Outcome<()> {
        self.run("move a cursor", move |connection| {
            connection
                .prepare_cached(
                    "INSERT INTO cursor (name, seq) VALUES (?1, ?2)
                     ON CONFLICT (name) DO UPDATE SET seq = max(seq, excluded.seq)",
                )?
                .execute(params![name, seq])
                .map(drop)
        })
        .await
    }
}

fn inbox_row(row: &Row<'_>) -> rusqlite::Result<InboxRow> {
    Ok(InboxRow { key: row.get(0)?, raw: get_json(row, 1)?, received_at: UnixMs(row.get(2)?) })
}
