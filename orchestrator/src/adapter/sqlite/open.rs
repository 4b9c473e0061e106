//! Opening the database: one process per data directory, pragmas, integrity check, migrations.

use std::{
    fs::{File, OpenOptions},
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags};

use super::auditor;

/// Numbered migrations; the database's `user_version` says how many it has seen.
const MIGRATIONS: [&str; 4] = [
    include_str!("../../../migrations/0001_first.sql"),
    include_str!("../../../migrations/0002_agents.sql"),
    include_str!("../../../migrations/0003_ledger.sql"),
    include_str!("../../../migrations/0004_log_begins.sql"),
];
/// The projections' tables, with `{s}` for the schema.
const PROJECTIONS: &str = include_str!("projections.sql");

/// Why the store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A file could not be made or opened.
    #[error("open {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Another process has it.
    #[error("data directory {} is in use by another orchestrator", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// SQLite could not open or migrate it.
    #[error("open database {}", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// Its integrity check failed.
    #[error("database {} is damaged: {detail}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the check said.
        detail: String,
    },
    /// A later program wrote it.
    #[error("database {} has schema {found}, this program knows {}: use a later program", path.display(), MIGRATIONS.len())]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its schema's number.
        found: i64,
    },
}

/// The lock that keeps a second process out; dropped with the writer.
pub(super) fn lock(data_dir: &Path) -> Result<File, OpenError> {
    let path = data_dir.join("lock");
    let io = |source| OpenError::Io { path: path.clone(), source };
    std::fs::create_dir_all(data_dir).map_err(io)?;
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(io)?;
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(OpenError::InUse { path: data_dir.to_owned() }),
        Err(errno) => Err(io(errno.into())),
    }
}

/// The connection that writes, with the schema in place.
pub(super) fn writer(path: &Path) -> Result<Connection, OpenError> {
    let sqlite = |source| OpenError::Sqlite { path: path.to_owned(), source };
    let mut connection = Connection::open(path).map_err(sqlite)?;
    connection
        .execute_batch(
            "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA fullfsync = ON;
             PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 5000; PRAGMA journal_size_limit = 67108864;
             PRAGMA cache_size = -4096;",
        )
        .map_err(sqlite)?;
    connection.set_prepared_statement_cache_capacity(64);
    let check: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(sqlite)?;
    if check != "ok" {
        return Err(OpenError::Damaged { path: path.to_owned(), detail: check });
    }
    migrate(&mut connection, path)?;
    Ok(connection)
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<(), OpenError> {
    let sqlite = |source| OpenError::Sqlite { path: path.to_owned(), source };
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(sqlite)?;
    let seen = usize::try_from(found).unwrap_or(usize::MAX);
    if seen > MIGRATIONS.len() {
        return Err(OpenError::TooNew { path: path.to_owned(), found });
    }
    let transaction = connection.transaction().map_err(sqlite)?;
    for migration in MIGRATIONS.iter().skip(seen) {
        transaction.execute_batch(migration).map_err(sqlite)?;
    }
    create_projections(&transaction, "main").map_err(sqlite)?;
    auditor::keep_up(&transaction).map_err(sqlite)?;
    transaction.pragma_update(None, "user_version", MIGRATIONS.len()).map_err(sqlite)?;
    transaction.commit().map_err(sqlite)
}

/// Creates the projections' tables in a schema, `main` or `temp`.
pub(super) fn create_projections(connection: &Connection, schema: &str) -> rusqlite::Result<()> {
    connection.execute_batch(&PROJECTIONS.replace("{s}", schema))
}

/// A connection that reads.
pub(super) fn reader(path: &Path) -> Result<Connection, OpenError> {
    let sqlite = |source| OpenError::Sqlite { path: path.to_owned(), source };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(sqlite)?;
    connection
        .execute_batch("PRAGMA busy_timeout = 5000; PRAGMA query_only = ON; PRAGMA cache_size = -2048;")
        .map_err(sqlite)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}
