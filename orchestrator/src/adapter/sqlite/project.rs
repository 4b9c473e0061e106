//! Writes what the projector derived, into the live tables or into the ones of a rebuild.

use bus_schemas::{id::TaskId, v1::approval::ApprovalSubject};
use rusqlite::{Connection, params};

use super::{
    audit,
    row::{json, word},
};
use crate::port::journal::{ApprovalRow, Change, FeedRow, ProjectRow, RememberedRow, TaskRow};

/// The tables of the projections, in the order they are compared and swapped.
pub(super) const TABLES: [&str; 10] = [
    "project",
    "project_key",
    "task",
    "handoff",
    "failure",
    "approval",
    "approval_about",
    "remembered",
    "remembered_use",
    "feed",
];

/// Applies changes in order. `schema` is `main` or `temp`.
pub(super) fn apply(connection: &Connection, schema: &str, changes: &[Change]) -> rusqlite::Result<()> {
    changes.iter().try_for_each(|change| apply_one(connection, schema, change))
}

fn apply_one(connection: &Connection, schema: &str, change: &Change) -> rusqlite::Result<()> {
    let execute = |sql: &str, values: &[&dyn rusqlite::ToSql]| {
        connection.prepare_cached(&sql.replace("{s}", schema))?.execute(values).map(drop)
    };
    match change {
        Change::ProjectAdded(row) => add_project(connection, schema, row),
        Change::ProjectMoved { project_id, state, changed_at, result_commit, settled } => execute(
            "UPDATE {s}.project SET state = ?2, changed_at = ?3, result_commit = ?4, settled = ?5 WHERE project_id = ?1",
            params![project_id.to_string(), word(state)?, changed_at.0, result_commit, settled],
        ),
        Change::ProjectApplied { project_id, applied_at } => execute(
            "UPDATE {s}.project SET applied_at = ?2 WHERE project_id = ?1",
            params![project_id.to_string(), applied_at.map(|at| at.0)],
        ),
        Change::Used { project_id, usage } => execute(
            "UPDATE {s}.project SET vm_ms = vm_ms + ?2, program_wall_ms = program_wall_ms + ?3,
                 program_cpu_ms = program_cpu_ms + ?4, program_peak_kib = max(program_peak_kib, ?5),
                 output_bytes = output_bytes + ?6, tool_calls = tool_calls + ?7, calls = calls + ?8,
                 tokens_input = tokens_input + ?9, tokens_output = tokens_output + ?10,
                 cache_write_5m = cache_write_5m + ?11, cache_write_1h = cache_write_1h + ?12,
                 cache_read = cache_read + ?13, usd_nanos = usd_nanos + ?14, price_assumed = max(price_assumed, ?15)
             WHERE project_id = ?1",
            params![
                project_id.to_string(),
                clamp(usage.vm_ms),
                clamp(usage.program_wall_ms),
                clamp(usage.program_cpu_ms),
                clamp(usage.program_peak_kib),
                clamp(usage.output_bytes),
                clamp(usage.tool_calls),
                clamp(usage.spend.calls),
                clamp(usage.spend.tokens.input),
                clamp(usage.spend.tokens.output),
                clamp(usage.spend.tokens.cache_write_5m),
                clamp(usage.spend.tokens.cache_write_1h),
                clamp(usage.spend.tokens.cache_read),
                clamp(usage.spend.usd_nanos),
                usage.spend.price_assumed
            ],
        ),
        Change::Spent { project_id, spend } => execute(
            "UPDATE {s}.project SET spend = ?2 WHERE project_id = ?1",
            params![project_id.to_string(), json(spend)?],
        ),
        Change::TaskAdded(row) => add_task(connection, schema, row),
        Change::TaskRemoved(task_id) => {
            execute("DELETE FROM {s}.task WHERE task_id = ?1", params![task_id.to_string()])
        }
        Change::Rewired { task_id, needs } => {
            execute("UPDATE {s}.task SET needs = ?2 WHERE task_id = ?1", params![task_id.to_string(), json(needs)?])
        }
        Change::TaskMoved(_, task_id, at) => execute(
            "UPDATE {s}.task SET state = ?2, reason = ?3, attempt = ?4, stage = ?5, host_id = ?6, claimed_at = ?7,
                 ended_at = ?8, max_attempts = ?9, spend = ?10 WHERE task_id = ?1",
            params![
                task_id.to_string(),
                word(&at.state)?,
                at.reason,
                at.attempt,
                at.stage.as_ref().map(word).transpose()?,
                at.host_id.map(|id| id.to_string()),
                at.claimed_at.map(|at| at.0),
                at.ended_at.map(|at| at.0),
                at.max_attempts,
                json(&at.spend)?
            ],
        ),
        Change::HandedOff { task_id, attempt, handoff } => execute(
            "INSERT OR REPLACE INTO {s}.handoff (task_id, attempt, body) VALUES (?1, ?2, ?3)",
            params![task_id.to_string(), attempt, json(handoff)?],
        ),
        Change::Failed { task_id, failure } => execute(
            "INSERT OR REPLACE INTO {s}.failure (task_id, body) VALUES (?1, ?2)",
            params![task_id.to_string(), json(failure)?],
        ),
        Change::Asked(row) => ask(connection, schema, row),
        Change::Decided { approval_id, decision } => execute(
            "UPDATE {s}.approval SET closed = 1, decision = ?2 WHERE approval_id = ?1",
            params![approval_id.to_string(), decision.as_ref().map(json).transpose()?],
        ),
        Change::Reshown { approval_id, expires_at, route } => execute(
            "UPDATE {s}.approval SET expires_at = ?2, route = ?3 WHERE approval_id = ?1",
            params![approval_id.to_string(), expires_at.map(|at| at.0), json(route)?],
        ),
        // Truth, not a projection: while rebuilding, the log stays as it is.
        Change::Audited(row) if schema == "main" => audit::append(connection, row),
        Change::Audited(_) => Ok(()),
        Change::Remembered(row) => remember(connection, schema, row),
        Change::RememberedUsed { approval_id, source, by } => execute(
            "INSERT OR IGNORE INTO {s}.remembered_use (source, person, approval_id) VALUES (?1, ?2, ?3)",
            params![source.to_string(), by, approval_id.to_string()],
        ),
        Change::RememberedRevoked { approval_id, by } => execute(
            "UPDATE {s}.remembered SET revoked_by = ?2 WHERE approval_id = ?1 AND revoked_by IS NULL",
            params![approval_id.to_string(), by],
        ),
        Change::Fed(row) => feed(connection, schema, row),
    }
}

fn remember(connection: &Connection, schema: &str, row: &RememberedRow) -> rusqlite::Result<()> {
    let sql = format!(
        "INSERT INTO {schema}.remembered
             (approval_id, person, project_id, kind, policy, subject, folder, scope, risk, since, until)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
    );
    connection
        .prepare_cached(&sql)?
        .execute(params![
            row.approval_id.to_string(),
            row.by,
            row.project_id.to_string(),
            row.kind,
            row.policy,
            row.subject,
            row.folder,
            word(&row.scope)?,
            word(&row.risk)?,
            row.since.0,
            row.until.0
        ])
        .map(drop)
}

/// Numbers of a host may exceed what a column holds.
fn clamp(number: u64) -> i64 {
    // A millionth of the range, so that the sum over a project cannot overflow.
    i64::try_from(number).unwrap_or(i64::MAX).min(i64::MAX / 1_000_000)
}

fn add_project(connection: &Connection, schema: &str, row: &ProjectRow) -> rusqlite::Result<()> {
    let sql = format!(
        "INSERT INTO {schema}.project
             (project_id, title, goal, folder, owner, state, created_at, changed_at, base_commit, settled)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8, 0)"
    );
    connection.prepare_cached(&sql)?.execute(params![
        row.project_id.to_string(),
        row.title,
        row.goal,
        row.folder,
        row.owner,
        word(&row.state)?,
        row.created_at.0,
        row.base_commit
    ])?;
    let Some(key) = &row.key else { return Ok(()) };
    let sql = format!("INSERT INTO {schema}.project_key (key, project_id) VALUES (?1, ?2)");
    connection.prepare_cached(&sql)?.execute([key, &row.project_id.to_string()]).map(drop)
}

fn add_task(connection: &Connection, schema: &str, row: &TaskRow) -> rusqlite::Result<()> {
    let sql = format!(
        "INSERT INTO {schema}.task
             (task_id, project_id, position, key, title, needs, max_attempts, state, reason, attempt, stage, host_id,
              claimed_at, ended_at, spend)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)"
    );
    let at = &row.progress;
    connection
        .prepare_cached(&sql)?
        .execute(params![
            row.task_id.to_string(),
            row.project_id.to_string(),
            row.position,
            row.key,
            row.title,
            json(&row.needs)?,
            at.max_attempts,
            word(&at.state)?,
            at.reason,
            at.attempt,
            at.stage.as_ref().map(word).transpose()?,
            at.host_id.map(|id| id.to_string()),
            at.claimed_at.map(|at| at.0),
            at.ended_at.map(|at| at.0),
            json(&at.spend)?
        ])
        .map(drop)
}

fn ask(connection: &Connection, schema: &str, row: &ApprovalRow) -> rusqlite::Result<()> {
    let sql = format!(
        "INSERT INTO {schema}.approval
             (approval_id, project_id, task_id, subject, digest, policy, asked_at, expires_at, route, batch, prompts)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
    );
    connection.prepare_cached(&sql)?.execute(params![
        row.approval_id.to_string(),
        row.project_id.to_string(),
        task_of(&row.subject).map(|task| task.to_string()),
        json(&row.subject)?,
        row.digest,
        row.policy,
        row.asked_at.0,
        row.expires_at.map(|at| at.0),
        json(&row.route)?,
        Some(row.route.batch.as_str()).filter(|batch| !batch.is_empty()),
        row.prompts
    ])?;
    let Some(about) = &row.about else { return Ok(()) };
    let sql = format!("INSERT INTO {schema}.approval_about (approval_id, body) VALUES (?1, ?2)");
    connection.prepare_cached(&sql)?.execute(params![row.approval_id.to_string(), json(about)?]).map(drop)
}

/// The task a request is about.
const fn task_of(subject: &ApprovalSubject) -> Option<TaskId> {
    match subject {
        ApprovalSubject::Plan | ApprovalSubject::Apply => None,
        ApprovalSubject::Handoff { task_id, .. }
        | ApprovalSubject::Question { task_id, .. }
        | ApprovalSubject::Budget { task_id, .. }
        | ApprovalSubject::Patch { task_id, .. }
        | ApprovalSubject::Skill { task_id, .. }
        | ApprovalSubject::Capability { task_id, .. } => Some(*task_id),
    }
}

fn feed(connection: &Connection, schema: &str, row: &FeedRow) -> rusqlite::Result<()> {
    let sql = format!(
        "INSERT INTO {schema}.feed (seq, project_id, at, kind, task_key, project_state, text, tasks, approval_id,
             project_changed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
    );
    connection
        .prepare_cached(&sql)?
        .execute(params![
            clamp(row.seq),
            row.project_id.to_string(),
            row.at.0,
            row.kind,
            row.task_key,
            word(&row.project_state)?,
            row.text,
            json(&row.tasks)?,
            row.approval_id.map(|id| id.to_string()),
            row.project_changed
        ])
        .map(drop)
}
