//! What is published of the feed for bridges and audit: pages of it, each task once per page, as it is now.

use std::collections::{BTreeMap, BTreeSet};

use bus_schemas::{
    id::{ApprovalId, ProjectId, TaskId},
    time::UnixMs,
    v1::{
        approval::{ApprovalAsked, Decision},
        project::{ProjectChanged, TaskChanged},
    },
};
use rusqlite::{Connection, OptionalExtension, Row};

use super::row::{get_id, get_id_opt, get_json, get_json_opt, get_word};
use crate::port::bus::FeedMessage;

/// Records per page: a task that moves often within a page is told once.
const PAGE: u32 = 128;

struct Line {
    seq: u64,
    project_id: ProjectId,
    at: UnixMs,
    tasks: Vec<TaskId>,
    approval_id: Option<ApprovalId>,
    project_changed: bool,
}

/// The messages of the page after `after`, and the last record it covers.
pub(super) fn page(connection: &Connection, after: u64) -> rusqlite::Result<(u64, Vec<FeedMessage>)> {
    let transaction = connection.unchecked_transaction()?;
    let lines = lines(&transaction, after)?;
    let last = lines.last().map_or(after, |line| line.seq);
    let projects: BTreeSet<ProjectId> =
        lines.iter().filter(|line| line.project_changed).map(|line| line.project_id).collect();
    let approvals: BTreeSet<ApprovalId> = lines.iter().filter_map(|line| line.approval_id).collect();
    let moved = lines.iter().flat_map(|line| line.tasks.iter().map(|task| (*task, line.at)));
    let tasks: BTreeMap<TaskId, UnixMs> = moved.collect();
    let mut messages = Vec::new();
    for project_id in projects {
        messages.extend(project(&transaction, project_id)?.map(FeedMessage::Project));
    }
    for (task_id, changed_at) in tasks {
        messages.extend(task(&transaction, task_id, changed_at)?.map(FeedMessage::Task));
    }
    for approval_id in approvals {
        messages.extend(approval(&transaction, approval_id)?);
    }
    Ok((last, messages))
}

fn lines(connection: &Connection, after: u64) -> rusqlite::Result<Vec<Line>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT seq, project_id, at, iif(kind GLOB 'spend.*', '[]', tasks), approval_id, project_changed FROM feed
         WHERE seq > ?1
         ORDER BY seq LIMIT {PAGE}"
    ))?;
    let rows = statement.query_map([after], |row| {
        Ok(Line {
            seq: row.get(0)?,
            project_id: ProjectId::from_uuid(get_id(row, 1)?),
            at: UnixMs(row.get(2)?),
            tasks: get_json(row, 3)?,
            approval_id: get_id_opt(row, 4)?.map(ApprovalId::from_uuid),
            project_changed: row.get(5)?,
        })
    })?;
    rows.collect()
}

fn project(connection: &Connection, project_id: ProjectId) -> rusqlite::Result<Option<ProjectChanged>> {
    connection
        .prepare_cached("SELECT title, state, changed_at FROM project WHERE project_id = ?1")?
        .query_row([project_id.to_string()], |row| {
            Ok(ProjectChanged {
                project_id,
                title: row.get(0)?,
                state: get_word(row, 1)?,
                changed_at: UnixMs(row.get(2)?),
            })
        })
        .optional()
}

fn task(connection: &Connection, task_id: TaskId, changed_at: UnixMs) -> rusqlite::Result<Option<TaskChanged>> {
    connection
        .prepare_cached("SELECT project_id, key, state, attempt, reason FROM task WHERE task_id = ?1")?
        .query_row([task_id.to_string()], |row| {
            Ok(TaskChanged {
                project_id: ProjectId::from_uuid(get_id(row, 0)?),
                task_id,
                task_key: row.get(1)?,
                state: get_word(row, 2)?,
                attempt: row.get(3)?,
                reason: row.get(4)?,
                changed_at,
            })
        })
        .optional()
}

fn approval(connection: &Connection, approval_id: ApprovalId) -> rusqlite::Result<Option<FeedMessage>> {
    let read = |row: &Row<'_>| {
        let project_id = ProjectId::from_uuid(get_id(row, 0)?);
        if let Some(decision) = get_json_opt::<Decision>(row, 5)? {
            return Ok(FeedMessage::Decided(project_id, decision));
        }
        let asked = ApprovalAsked {
            approval_id,
            project_id,
            subject: get_json(row, 1)?,
            digest: row.get(2)?,
            asked_at: UnixMs(row.get(3)?),
            expires_at: row.get::<_, Option<i64>>(4)?.map(UnixMs),
        };
        Ok(FeedMessage::Asked(project_id, asked))
    };
    connection
        .prepare_cached(
            "SELECT project_id, subject, digest, asked_at, expires_at, decision FROM approval
             WHERE approval_id = ?1",
        )?
        .query_row([approval_id.to_string()], read)
        .optional()
}
