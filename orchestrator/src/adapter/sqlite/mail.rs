//! What the mail bridge must not forget: every mail that came in, every mail that is to go out, threads, news for digests, and the
//! key its tokens are signed with.
//!
//! A file of its own, `mail.db`, beside the journal's. The texts are files below `mail/`, named by their SHA-256: a text is on the
//! disk before the row that names it, so after a crash there may be a text without a row, which does no harm, and never a row
//! without its text. Rows stay when their texts are cleared: a mail that comes once more is known for ever.

mod desk;
mod letters;
mod outgoing;
#[cfg(test)]
mod tests;
mod texts;
mod threads;
mod unproven;

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, params};

use self::texts::Texts;
use super::{
    OpenError,
    writer::{Writer, failed},
};
use crate::port::journal::JournalError;

const MIGRATIONS: [&str; 4] = [
    include_str!("../../../migrations/mail/0001_first.sql"),
    include_str!("../../../migrations/mail/0002_asks.sql"),
    include_str!("../../../migrations/mail/0003_strangers.sql"),
    include_str!("../../../migrations/mail/0004_tries.sql"),
];
/// The name under which the place in the feed is kept.
const FEED: &str = "feed";
/// The name of the key tokens are signed with.
const TOKEN_KEY: &str = "token";

type Outcome<T> = Result<T, JournalError>;

/// The store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct MailStore {
    writer: Writer,
    texts: Texts,
    limits: Limits,
}

/// How much of mails nobody vouches for is kept: of strangers, and as much again of those who say to be somebody who may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Their texts together, in bytes.
    pub bytes: u64,
    /// Their number.
    pub count: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 512 << 20, count: 10_000 }
    }
}

impl MailStore {
    /// Opens (or creates) `mail.db` and `mail/` in `data_dir`, which the journal's lock keeps to one process.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(data_dir: &Path) -> Result<Self, OpenError> {
        let path = data_dir.join("mail.db");
        let io = |source| OpenError::Io { path: path.clone(), source };
        let texts = Texts::open(&data_dir.join("mail")).map_err(|(path, source)| OpenError::Io { path, source })?;
        let sqlite = |source| OpenError::Sqlite { path: path.clone(), source };
        let mut connection = Connection::open(&path).map_err(sqlite)?;
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA busy_timeout = 5000;
                 PRAGMA journal_size_limit = 16777216; PRAGMA cache_size = -2048;",
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
        connection.set_prepared_statement_cache_capacity(64);
        let writer = Writer::start(connection, ()).map_err(io)?;
        Ok(Self { writer, texts, limits: Limits::default() })
    }

    /// With other limits for mails nobody vouches for.
    #[must_use]
    pub const fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Removes texts of mails nobody vouches for, as far as they are too many. Their rows stay, and say so.
    async fn shrink(&self) -> Outcome<()> {
        const OPERATION: &str = "drop texts of strangers";
        let limits = self.limits;
        loop {
            // Marked first: from then on nobody lets them pass. What a crash leaves marked is removed the next time.
            let leaving = self.run(OPERATION, move |connection| unproven::mark(connection, limits)).await?;
            if leaving.is_empty() {
                return Ok(());
            }
            self.texts.remove(OPERATION, leaving.clone()).await?;
            self.run(OPERATION, move |connection| unproven::removed(connection, &leaving)).await?;
        }
    }

    /// The same, after what is done already: the next mail of its kind drops what could not be dropped now.
    async fn make_room(&self) {
        if let Err(error) = self.shrink().await {
            tracing::warn!(%error, "mail: texts of strangers could not be dropped");
        }
    }

    async fn run<T, F>(&self, operation: &'static str, work: F) -> Outcome<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        self.writer.call(operation, move |connection| work(connection).map_err(|e| failed(operation, &e))).await
    }
}

/// The key tokens are signed with; `fresh` becomes it if there is none.
fn key(connection: &Connection, fresh: [u8; 32]) -> rusqlite::Result<[u8; 32]> {
    connection
        .prepare_cached("INSERT INTO secret (name, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
        .execute(params![TOKEN_KEY, fresh.as_slice()])?;
    connection.prepare_cached("SELECT value FROM secret WHERE name = ?1")?.query_row([TOKEN_KEY], |row| row.get(0))
}

/// How far the feed was followed; 0 at first.
fn cursor(connection: &Connection) -> rusqlite::Result<u64> {
    let seq = connection
        .prepare_cached("SELECT seq FROM cursor WHERE name = ?1")?
        .query_row([FEED], |row| row.get(0))
        .optional()?;
    Ok(seq.unwrap_or_default())
}

/// The feed was followed so far. It never goes back.
fn advance(connection: &Connection, seq: u64) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO cursor (name, seq) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET seq = max(seq, excluded.seq)",
        )?
        .execute(params![FEED, seq])
        .map(drop)
}
