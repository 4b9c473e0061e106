//! What the HTTP API reads of a project's feed.

use bus_schemas::{
    id::{ApprovalId, ProjectId, TaskId},
    time::UnixMs,
    v1::api::{FeedEvent, TaskView},
};
use rusqlite::{Connection, OptionalExtension, ToSql, params};

use super::{
    query::{TASK, task},
    row::{get_id, get_id_opt, get_json, get_word},
    store::Store,
};
use crate::port::journal::JournalError;

/// Feed events read at once: a reader that is far behind gets them in pages.
const FEED_PAGE: u32 = 256;

/// A page of a project's feed.
#[derive(Clone, Debug)]
pub struct FeedPage {
    /// The events, oldest first.
    pub events: Vec<FeedEvent>,
    /// There is nothing behind them, and nothing more will come by itself.
    pub ended: bool,
}

impl Store {
    /// What a project's feed has after `after`.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn feed(&self, project_id: ProjectId, after: u64) -> Result<FeedPage, JournalError> {
        self.read("read a feed", move |connection| feed(connection, project_id, after)).await
    }

    /// What the feeds of all projects have after `after`, in the journal's order: a page of it.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn all_feed(&self, after: u64) -> Result<Vec<FeedEvent>, JournalError> {
        self.read("read the feed", move |connection| {
            let snapshot = connection.unchecked_transaction()?;
            let after = i64::try_from(after).unwrap_or(i64::MAX);
            events(&snapshot, "seq > ?1", params![after])
        })
        .await
    }
}

fn feed(connection: &Connection, project_id: ProjectId, after: u64) -> rusqlite::Result<FeedPage> {
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    // One snapshot for the page, its tasks and the question whether there is more to come.
    let transaction = connection.unchecked_transaction()?;
    let events = events(&transaction, "project_id = ?1 AND seq > ?2", params![project_id.to_string(), after])?;
    let settled: bool = transaction
        .prepare_cached("SELECT settled FROM project WHERE project_id = ?1")?
        .query_row([project_id.to_string()], |row| row.get(0))
        .optional()?
        .unwrap_or(true);
    let ended = settled && events.len() < FEED_PAGE as usize;
    Ok(FeedPage { events, ended })
}

/// A page of what `which` says.
fn events(connection: &Connection, which: &str, values: &[&dyn ToSql]) -> rusqlite::Result<Vec<FeedEvent>> {
    let sql = format!(
        "SELECT seq, at, kind, task_key, project_state, text, tasks, approval_id, project_id FROM feed
         WHERE {which} ORDER BY seq LIMIT {FEED_PAGE}"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(values, |row| {
        let tasks: Vec<TaskId> = get_json(row, 6)?;
        let event = FeedEvent {
            sequence: row.get(0)?,
            kind: row.get(2)?,
            at: UnixMs(row.get(1)?),
            project_id: ProjectId::from_uuid(get_id(row, 8)?),
            task_key: row.get(3)?,
            project_state: get_word(row, 4)?,
            text: row.get(5)?,
            tasks: Vec::new(),
            approval_id: get_id_opt(row, 7)?.map(ApprovalId::from_uuid),
        };
        Ok((event, tasks))
    })?;
    let mut events = Vec::new();
    for row in rows {
        let (mut event, tasks) = row?;
        for task_id in tasks {
            event.tasks.extend(feed_task(connection, task_id)?);
        }
        events.push(event);
    }
    Ok(events)
}

/// A task as it is now, without its handoff.
fn feed_task(connection: &Connection, task_id: TaskId) -> rusqlite::Result<Option<TaskView>> {
    let sql = format!(
        "SELECT {} WHERE task.task_id = ?1",
        TASK.replace("handoff.body", "NULL").replace(" LEFT JOIN handoff USING (task_id)", "",)
    );
    connection.prepare_cached(&sql)?.query_row([task_id.to_string()], task).optional()
}
