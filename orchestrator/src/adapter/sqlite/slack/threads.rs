//! Which thread is whose.

use bus_schemas::{id::ProjectId, time::UnixMs};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{super::row::get_id, Outcome, SlackStore, ThreadRow};

impl SlackStore {
    /// Writes down that a project has (or is to have) a thread, and returns what is known of it.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn intend_thread(
        &self,
        project_id: ProjectId,
        channel: String,
        thread_ts: Option<String>,
        started_by: String,
        at: UnixMs,
    ) -> Outcome<ThreadRow> {
        self.run("intend a thread", move |connection| {
            connection
                .prepare_cached(
                    "INSERT INTO project (project_id, channel, thread_ts, started_by, intended_at)
                     VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
                )?
                .execute(params![project_id.to_string(), channel, thread_ts, started_by, at.0])?;
            let row: ThreadRow = connection
                .prepare_cached(&format!("SELECT {THREAD} FROM project WHERE project_id = ?1"))?
                .query_row([project_id.to_string()], thread)?;
            if let Some(thread_ts) = &row.thread_ts {
                link(connection, &row.channel, thread_ts, project_id)?;
            }
            Ok(row)
        })
        .await
    }

    /// A project's thread begins at `thread_ts`.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn begin_thread(&self, project_id: ProjectId, channel: String, thread_ts: String) -> Outcome<()> {
        self.run("mark a thread", move |connection| {
            connection
                .prepare_cached("UPDATE project SET channel = ?2, thread_ts = ?3 WHERE project_id = ?1")?
                .execute(params![project_id.to_string(), channel, thread_ts])?;
            link(connection, &channel, &thread_ts, project_id)
        })
        .await
    }

    /// A project's status message is at `ts`, and shows what `rendered` is the digest of.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn show_status(&self, project_id: ProjectId, ts: String, rendered: String) -> Outcome<()> {
        self.run("mark a status message", move |connection| {
            connection
                .prepare_cached("UPDATE project SET status_ts = ?2, status = ?3 WHERE project_id = ?1")?
                .execute(params![project_id.to_string(), ts, rendered])
                .map(drop)
        })
        .await
    }

    /// A project's summary was posted.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn close_thread(&self, project_id: ProjectId) -> Outcome<()> {
        self.run("close a thread", move |connection| {
            connection
                .prepare_cached("UPDATE project SET closed = 1 WHERE project_id = ?1")?
                .execute([project_id.to_string()])
                .map(drop)
        })
        .await
    }

    /// A project's thread.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn thread(&self, project_id: ProjectId) -> Outcome<Option<ThreadRow>> {
        self.run("read a thread", move |connection| {
            connection
                .prepare_cached(&format!("SELECT {THREAD} FROM project WHERE project_id = ?1"))?
                .query_row([project_id.to_string()], thread)
                .optional()
        })
        .await
    }

    /// The projects about which there is more to say.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn open_threads(&self) -> Outcome<Vec<ThreadRow>> {
        self.run("read threads", |connection| {
            let query = format!("SELECT {THREAD} FROM project WHERE closed = 0 ORDER BY intended_at, project_id");
            connection.prepare_cached(&query)?.query_map([], thread)?.collect()
        })
        .await
    }

    /// The project a thread belongs to.
    ///
    /// # Errors
    /// [`JournalError`].
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
    /// [`JournalError`].
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

const THREAD: &str = "project_id, channel, thread_ts, status_ts, status, started_by, closed, intended_at";

fn thread(row: &Row<'_>) -> rusqlite::Result<ThreadRow> {
    Ok(ThreadRow {
        project_id: ProjectId::from_uuid(get_id(row, 0)?),
        channel: row.get(1)?,
        thread_ts: row.get(2)?,
        status_ts: row.get(3)?,
        status: row.get(4)?,
        started_by: row.get(5)?,
        closed: row.get(6)?,
        intended_at: UnixMs(row.get(7)?),
    })
}
