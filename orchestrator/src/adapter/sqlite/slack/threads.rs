//! Which thread is whose.

use bus_schemas::id::ProjectId;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{super::row::get_id, Outcome, SlackStore};
use crate::adapter::slack::bridge::Thread;

impl SlackStore {
    /// Gives a project a thread, or changes it.
    ///
    /// # Errors
    /// [`crate::port::journal::JournalError`].
    pub async fn set_thread(&self, project_id: ProjectId, thread: Thread) -> Outcome<()> {
        self.run("mark a thread", move |connection| {
            connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO project (project_id, channel, thread_ts, started_by, closed)
                     VALUES (?1, ?2, ?3, ?4, ?5)",
                )?
                .execute(params![
                    project_id.to_string(),
                    thread.channel,
                    thread.thread_ts,
                    thread.started_by,
                    thread.closed
                ])?;
            match &thread.thread_ts {
                Some(thread_ts) => link(connection, &thread.channel, thread_ts, project_id),
                None => Ok(()),
            }
        })
        .await
    }

    /// A project's thread.
    ///
    /// # Errors
    /// [`crate::port::journal::JournalError`].
    pub async fn thread(&self, project_id: ProjectId) -> Outcome<Option<Thread>> {
        self.run("read a thread", move |connection| {
            connection
                .prepare_cached(&format!("SELECT {THREAD} FROM project WHERE project_id = ?1"))?
                .query_row([project_id.to_string()], |row| thread(row).map(|(_, thread)| thread))
                .optional()
        })
        .await
    }

    /// The projects about which there is more to say.
    ///
    /// # Errors
    /// [`crate::port::journal::JournalError`].
    pub async fn open_threads(&self) -> Outcome<Vec<(ProjectId, Thread)>> {
        self.run("read threads", |connection| {
            let query = format!("SELECT {THREAD} FROM project WHERE closed = 0 ORDER BY project_id");
            connection.prepare_cached(&query)?.query_map([], thread)?.collect()
        })
        .await
    }

    /// The project a thread belongs to.
    ///
    /// # Errors
    /// [`crate::port::journal::JournalError`].
    pub async fn project_of(&self, channel: String, thread_ts: String) -> Outcome<Option<ProjectId>> {
        self.run("look up a thread", move |connection| {
            connection
                .prepare_cached("SELECT project_id FROM link WHERE channel = ?1 AND thread_ts = ?2")?
                .query_row([channel, thread_ts], |row| get_id(row, 0).map(ProjectId::from_uuid))
                .optional()
        })
        .await
    }

    /// Another thread that belongs to a project.
    ///
    /// # Errors
    /// [`crate::port::journal::JournalError`].
    pub async fn add_link(&self, channel: String, thread_ts: String, project_id: ProjectId) -> Outcome<()> {
        self.run("link a thread", move |connection| link(connection, &channel, &thread_ts, project_id)).await
    }
}

fn link(connection: &Connection, channel: &str, thread_ts: &str, project_id: ProjectId) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO link (channel, thread_ts, project_id) VALUES (?1, ?2, ?3)")?
        .execute(params![channel, thread_ts, project_id.to_string()])
        .map(drop)
}

const THREAD: &str = "project_id, channel, thread_ts, started_by, closed";

fn thread(row: &Row<'_>) -> rusqlite::Result<(ProjectId, Thread)> {
    let thread = Thread { channel: row.get(1)?, thread_ts: row.get(2)?, started_by: row.get(3)?, closed: row.get(4)? };
    Ok((ProjectId::from_uuid(get_id(row, 0)?), thread))
}
