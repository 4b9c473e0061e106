//! What the HTTP API reads: views over the projections.

use std::collections::BTreeMap;

use bus_schemas::{
    id::{ApprovalId, HostId, ProjectId, TaskId},
    time::UnixMs,
    v1::{
        agent::{Spend, Tokens},
        api::{JournalEntry, ProjectView, TaskView},
        handoff::Usage,
    },
};
use rusqlite::{Connection, OptionalExtension, Row};
use uuid::Uuid;

use super::{
    row::{get_id, get_id_opt, get_json, get_json_opt, get_word, get_word_opt},
    store::Store,
};
use crate::{
    plan::event::{Event, Fact, ProjectCreated},
    port::journal::JournalError,
};

/// Candidates shown for a prefix that is not unique; one more is asked for to know that there are more.
const CANDIDATES: u32 = 8;

/// A kind of thing that has an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thing {
    /// A project.
    Project,
    /// A request to people.
    Approval,
}

/// Numbers for the health view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// Projects that are not final.
    pub open_projects: u32,
    /// Commands not yet performed.
    pub outbox: u64,
    /// Messages set aside.
    pub dead_letters: u64,
}

/// The last writing of a result into the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastApply {
    /// The record that asked for the folder to be written, last.
    pub asked_seq: u64,
    /// The folder as it was.
    pub before_commit: String,
    /// The folder as it shall be.
    pub after_commit: String,
    /// How far it is.
    pub stage: ApplyStage,
}

/// How far an apply is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApplyStage {
    /// Being written.
    Started,
    /// Some of it is in the folder; it does not go on by itself.
    Stalled {
        /// What is in the way.
        detail: String,
    },
    /// In the folder.
    Finished,
    /// Given up before anything was written.
    Stopped {
        /// What was in the way.
        detail: String,
    },
    /// Taken back.
    Undone {
        /// Who did.
        by: String,
    },
}

impl Store {
    /// The project that was started under a key.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn started_by(&self, key: String) -> Result<Option<ProjectId>, JournalError> {
        self.read("look up a key", move |connection| {
            connection
                .prepare_cached("SELECT project_id FROM project_key WHERE key = ?1")?
                .query_row([key], |row| get_id(row, 0).map(ProjectId::from_uuid))
                .optional()
        })
        .await
    }

    /// What a project began with; `None` if there is no such project.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn begun_with(&self, project_id: ProjectId) -> Result<Option<ProjectCreated>, JournalError> {
        self.read("read how a project began", move |connection| {
            let event: Option<Event> = connection
                .prepare_cached("SELECT event FROM journal WHERE project_id = ?1 ORDER BY version LIMIT 1")?
                .query_row([project_id.to_string()], |row| get_json(row, 0))
                .optional()?;
            Ok(match event.map(|event| event.fact) {
                Some(Fact::ProjectCreated(created)) => Some(created),
                _ => None,
            })
        })
        .await
    }

    /// Ids of a kind that start with `prefix` (as written with hyphens), a few at most.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn ids(&self, thing: Thing, prefix: String) -> Result<Vec<Uuid>, JournalError> {
        self.read("look up an id", move |connection| {
            let (table, column) = match thing {
                Thing::Project => ("project", "project_id"),
                Thing::Approval => ("approval", "approval_id"),
            };
            let sql = format!(
                "SELECT {column} FROM {table} WHERE {column} >= ?1 AND {column} < ?1 || 'g' ORDER BY 1 LIMIT {}",
                CANDIDATES + 1
            );
            let mut statement = connection.prepare_cached(&sql)?;
            statement.query_map([prefix], |row| get_id(row, 0))?.collect()
        })
        .await
    }

    /// Every project, newest first, without tasks.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn projects(&self) -> Result<Vec<ProjectView>, JournalError> {
        self.read("list projects", |connection| {
            let mut statement = connection
                .prepare_cached(&format!("SELECT {PROJECT} FROM project ORDER BY created_at DESC, project_id DESC"))?;
            let mut views = statement.query_map([], project)?.collect::<Result<Vec<_>, _>>()?;
            for view in &mut views {
                fill(connection, view)?;
            }
            Ok(views)
        })
        .await
    }

    /// One project with its tasks.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn project(&self, project_id: ProjectId) -> Result<Option<ProjectView>, JournalError> {
        self.read("read a project", move |connection| {
            let sql = format!("SELECT {PROJECT} FROM project WHERE project_id = ?1");
            let found = connection.prepare_cached(&sql)?.query_row([project_id.to_string()], project).optional()?;
            let Some(mut view) = found else { return Ok(None) };
            fill(connection, &mut view)?;
            let sql = format!("SELECT {TASK} WHERE task.project_id = ?1 ORDER BY position");
            let mut statement = connection.prepare_cached(&sql)?;
            view.tasks = statement.query_map([project_id.to_string()], task)?.collect::<Result<_, _>>()?;
            Ok(Some(view))
        })
        .await
    }

    /// A project's head, without tasks.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn project_head(&self, project_id: ProjectId) -> Result<Option<ProjectView>, JournalError> {
        self.read("read a project", move |connection| {
            let sql = format!("SELECT {PROJECT} FROM project WHERE project_id = ?1");
            connection.prepare_cached(&sql)?.query_row([project_id.to_string()], project).optional()
        })
        .await
    }

    /// A project's task by its key.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn task(&self, project_id: ProjectId, key: String) -> Result<Option<TaskView>, JournalError> {
        self.read("read a task", move |connection| {
            let sql = format!("SELECT {TASK} WHERE task.project_id = ?1 AND task.key = ?2");
            connection.prepare_cached(&sql)?.query_row([project_id.to_string(), key], task).optional()
        })
        .await
    }

    /// A task's key.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn task_key(&self, task_id: TaskId) -> Result<Option<String>, JournalError> {
        self.read("look up a task", move |connection| {
            connection
                .prepare_cached("SELECT key FROM task WHERE task_id = ?1")?
                .query_row([task_id.to_string()], |row| row.get(0))
                .optional()
        })
        .await
    }

    /// A project's journal.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn journal_of(&self, project_id: ProjectId) -> Result<Vec<JournalEntry>, JournalError> {
        self.read("read the journal", move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT seq, version, at, kind, event FROM journal WHERE project_id = ?1 ORDER BY version",
            )?;
            let rows = statement.query_map([project_id.to_string()], |row| {
                Ok(JournalEntry {
                    sequence: row.get(0)?,
                    version: row.get(1)?,
                    at: UnixMs(row.get(2)?),
                    kind: row.get(3)?,
                    event: get_json(row, 4)?,
                })
            })?;
            rows.collect()
        })
        .await
    }

    /// The last apply of a project, if there was one.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn last_apply(&self, project_id: ProjectId) -> Result<Option<LastApply>, JournalError> {
        self.read("read the last apply", move |connection| last_apply(connection, project_id)).await
    }

    /// Numbers for the health view.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn backlog(&self) -> Result<Backlog, JournalError> {
        self.read("count the backlog", |connection| {
            connection.query_row(
                "SELECT (SELECT count(*) FROM project WHERE state IN ('planning', 'awaiting_approval', 'working')),
                        (SELECT count(*) FROM outbox), (SELECT count(*) FROM dead_letter)",
                [],
                |row| Ok(Backlog { open_projects: row.get(0)?, outbox: row.get(1)?, dead_letters: row.get(2)? }),
            )
        })
        .await
    }
}

const PROJECT: &str =
    "project_id, title, goal, folder, owner, state, created_at, changed_at, base_commit, result_commit,
    applied_at, vm_ms, program_wall_ms, program_cpu_ms, program_peak_kib, output_bytes, tool_calls, calls,
    tokens_input, tokens_output, cache_write_5m, cache_write_1h, cache_read, usd_nanos, price_assumed, spend";

fn project(row: &Row<'_>) -> rusqlite::Result<ProjectView> {
    Ok(ProjectView {
        project_id: ProjectId::from_uuid(get_id(row, 0)?),
        title: row.get(1)?,
        goal: row.get(2)?,
        folder: row.get(3)?,
        owner: row.get(4)?,
        state: get_word(row, 5)?,
        created_at: UnixMs(row.get(6)?),
        changed_at: UnixMs(row.get(7)?),
        counts: BTreeMap::new(),
        usage: Usage {
            vm_ms: row.get(11)?,
            program_wall_ms: row.get(12)?,
            program_cpu_ms: row.get(13)?,
            program_peak_kib: row.get(14)?,
            output_bytes: row.get(15)?,
            tool_calls: row.get(16)?,
            spend: Spend {
                calls: row.get(17)?,
                tokens: Tokens {
                    input: row.get(18)?,
                    output: row.get(19)?,
                    cache_write_5m: row.get(20)?,
                    cache_write_1h: row.get(21)?,
                    cache_read: row.get(22)?,
                },
                usd_nanos: row.get(23)?,
                price_assumed: row.get(24)?,
            },
        },
        spend: get_json(row, 25)?,
        base_commit: row.get(8)?,
        result_commit: row.get(9)?,
        applied_at: row.get::<_, Option<i64>>(10)?.map(UnixMs),
        pending_approvals: Vec::new(),
        tasks: Vec::new(),
    })
}

/// Counts its tasks and lists its pending requests.
fn fill(connection: &Connection, view: &mut ProjectView) -> rusqlite::Result<()> {
    let id = view.project_id.to_string();
    let mut statement =
        connection.prepare_cached("SELECT state, count(*) FROM task WHERE project_id = ?1 GROUP BY state")?;
    view.counts = statement.query_map([&id], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    let mut statement = connection
        .prepare_cached("SELECT approval_id FROM approval WHERE project_id = ?1 AND closed = 0 ORDER BY asked_at, 1")?;
    let ids = statement.query_map([&id], |row| get_id(row, 0).map(ApprovalId::from_uuid))?;
    view.pending_approvals = ids.collect::<Result<_, _>>()?;
    Ok(())
}

pub(super) const TASK: &str = "task.task_id, task.key, task.title, task.needs, task.state, task.reason, task.attempt,
    task.max_attempts, task.stage, task.host_id, task.claimed_at, task.ended_at, failure.body, handoff.body,
    task.spend FROM task LEFT JOIN failure USING (task_id) LEFT JOIN handoff USING (task_id)";

pub(super) fn task(row: &Row<'_>) -> rusqlite::Result<TaskView> {
    Ok(TaskView {
        task_id: TaskId::from_uuid(get_id(row, 0)?),
        key: row.get(1)?,
        title: row.get(2)?,
        needs: get_json(row, 3)?,
        state: get_word(row, 4)?,
        reason: row.get(5)?,
        attempt: row.get(6)?,
        max_attempts: row.get(7)?,
        stage: get_word_opt(row, 8)?,
        host_id: get_id_opt(row, 9)?.map(HostId::from_uuid),
        claimed_at: row.get::<_, Option<i64>>(10)?.map(UnixMs),
        ended_at: row.get::<_, Option<i64>>(11)?.map(UnixMs),
        failure: get_json_opt(row, 12)?,
        handoff: get_json_opt(row, 13)?,
        spend: get_json(row, 14)?,
    })
}

fn last_apply(connection: &Connection, project_id: ProjectId) -> rusqlite::Result<Option<LastApply>> {
    let mut statement = connection.prepare_cached(
        "SELECT seq, event FROM journal WHERE project_id = ?1 AND kind IN ('apply_started', 'apply_resumed',
             'apply_stalled', 'apply_stopped', 'apply_finished', 'apply_undone')
         ORDER BY version DESC",
    )?;
    // The latest word says how far it is; what it is about stands further back.
    let mut stage = None;
    let mut asked_seq = None;
    let events = statement.query_map([project_id.to_string()], |row| Ok((row.get(0)?, get_json::<Event>(row, 1)?)))?;
    for event in events {
        let (seq, event) = event?;
        let said = match event.fact {
            Fact::ApplyStarted { before_commit, after_commit, .. } => {
                let (stage, asked_seq) = (stage.unwrap_or(ApplyStage::Started), asked_seq.unwrap_or(seq));
                return Ok(Some(LastApply { asked_seq, before_commit, after_commit, stage }));
            }
            Fact::ApplyResumed { .. } => {
                asked_seq = asked_seq.or(Some(seq));
                ApplyStage::Started
            }
            Fact::ApplyStalled { detail } => ApplyStage::Stalled { detail },
            Fact::ApplyStopped { detail } => ApplyStage::Stopped { detail },
            Fact::ApplyUndone { by, .. } => ApplyStage::Undone { by },
            Fact::ApplyFinished => ApplyStage::Finished,
            _ => continue,
        };
        stage = stage.or(Some(said));
    }
    Ok(None)
}
