//! Which messages there are, and what they show.

use bus_schemas::time::UnixMs;
use rusqlite::{OptionalExtension as _, Row, params};

use super::{Outcome, SlackStore};
use crate::adapter::slack::{Place, bridge::Posting};

impl SlackStore {
    /// Writes down that a message is to be posted, and returns what was known of it before.
    ///
    /// # Errors
    /// [`crate::port::journal::JournalError`].
    pub async fn intend(&self, posting: Posting) -> Outcome<Option<Posting>> {
        self.run("intend a message", move |connection| {
            let known = connection
                .prepare_cached(&format!("SELECT {POSTING} FROM posting WHERE name = ?1 AND target = ?2"))?
                .query_row(params![posting.name, posting.target], row)
                .optional()?;
            if known.is_none() {
                connection
                    .prepare_cached("INSERT INTO posting (name, target, thread_ts, intended_at, closed) VALUES (?1, ?2, ?3, ?4, ?5)")?
                    .execute(params![
                        posting.name,
                        posting.target,
                        posting.thread_ts,
                        posting.intended_at.0,
                        posting.closed
                    ])?;
            }
            Ok(known)
        })
        .await
    }

    /// Writes down where a message is and what it shows.
    ///
    /// # Errors
    /// [`crate::port::journal::JournalError`].
    pub async fn posted(&self, posting: Posting) -> Outcome<()> {
        self.run("mark a message", move |connection| {
            let (channel, ts) = posting.place.map(|place| (place.channel, place.ts)).unzip();
            connection
                .prepare_cached(
                    "INSERT INTO posting (name, target, channel, ts, thread_ts, sha256, closed, intended_at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                     ON CONFLICT (name, target) DO UPDATE SET channel = excluded.channel, ts = excluded.ts,
                     thread_ts = excluded.thread_ts, sha256 = excluded.sha256, closed = excluded.closed",
                )?
                .execute(params![
                    posting.name,
                    posting.target,
                    channel,
                    ts,
                    posting.thread_ts,
                    posting.sha256,
                    posting.closed,
                    posting.intended_at.0
                ])
                .map(drop)
        })
        .await
    }

    /// A message that cannot be posted there, or is gone.
    ///
    /// # Errors
    /// [`crate::port::journal::JournalError`].
    pub async fn drop_posting(&self, name: String, target: String) -> Outcome<()> {
        self.run("drop a message", move |connection| {
            connection
                .prepare_cached("DELETE FROM posting WHERE name = ?1 AND target = ?2")?
                .execute([name, target])
                .map(drop)
        })
        .await
    }

    /// Every copy of a message.
    ///
    /// # Errors
    /// [`crate::port::journal::JournalError`].
    pub async fn copies(&self, name: String) -> Outcome<Vec<Posting>> {
        self.run("read messages", move |connection| {
            let mut list =
                connection.prepare_cached(&format!("SELECT {POSTING} FROM posting WHERE name = ?1 ORDER BY target"))?;
            list.query_map([name], row)?.collect()
        })
        .await
    }

    /// Messages that are not closed and whose name begins so.
    ///
    /// # Errors
    /// [`crate::port::journal::JournalError`].
    pub async fn open_postings(&self, prefix: String) -> Outcome<Vec<Posting>> {
        self.run("read open messages", move |connection| {
            let mut list = connection.prepare_cached(&format!(
                "SELECT {POSTING} FROM posting WHERE closed = 0 AND substr(name, 1, length(?1)) = ?1 ORDER BY name, target"
            ))?;
            list.query_map([prefix], row)?.collect()
        })
        .await
    }

    /// Writes down what a card of several requests shows.
    ///
    /// # Errors
    /// [`crate::port::journal::JournalError`].
    pub async fn save_batch(&self, name: String, items: String) -> Outcome<()> {
        self.run("save a batch", move |connection| {
            connection
                .prepare_cached("INSERT OR REPLACE INTO batch (name, items) VALUES (?1, ?2)")?
                .execute([name, items])
                .map(drop)
        })
        .await
    }

    /// A card of several requests that was taken apart.
    ///
    /// # Errors
    /// [`crate::port::journal::JournalError`].
    pub async fn drop_batch(&self, name: String) -> Outcome<()> {
        self.run("drop a batch", move |connection| {
            connection.prepare_cached("DELETE FROM batch WHERE name = ?1")?.execute([name]).map(drop)
        })
        .await
    }

    /// The cards of several requests whose message is not closed.
    ///
    /// # Errors
    /// [`crate::port::journal::JournalError`].
    pub async fn batches(&self) -> Outcome<Vec<(String, String)>> {
        self.run("read batches", |connection| {
            let mut list = connection.prepare_cached(
                "SELECT name, items FROM batch WHERE NOT EXISTS (
                     SELECT 1 FROM posting WHERE posting.name = 'batch:' || batch.name AND closed = 1) ORDER BY name",
            )?;
            list.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        })
        .await
    }
}

const POSTING: &str = "name, target, channel, ts, thread_ts, sha256, closed, intended_at";

fn row(row: &Row<'_>) -> rusqlite::Result<Posting> {
    let (channel, ts): (Option<String>, Option<String>) = (row.get(2)?, row.get(3)?);
    Ok(Posting {
        name: row.get(0)?,
        target: row.get(1)?,
        place: channel.zip(ts).map(|(channel, ts)| Place { channel, ts }),
        thread_ts: row.get(4)?,
        sha256: row.get(5)?,
        closed: row.get(6)?,
        intended_at: UnixMs(row.get(7)?),
    })
}
