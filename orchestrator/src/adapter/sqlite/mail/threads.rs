//! Threads of projects, and news that wait for a digest.

use bus_schemas::{id::ProjectId, time::UnixMs};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::super::row::{get_id, get_json, json};
use crate::adapter::mail::{News, Thread};

const THREAD: &str = "subject, refs, is_quiet, is_start";

pub(super) fn one(connection: &Connection, project_id: ProjectId, person: &str) -> rusqlite::Result<Option<Thread>> {
    connection
        .prepare_cached(&format!("SELECT {THREAD} FROM thread WHERE project_id = ?1 AND person = ?2"))?
        .query_row([project_id.to_string().as_str(), person], thread)
        .optional()
}

pub(super) fn set(
    connection: &Connection,
    project_id: ProjectId,
    person: &str,
    thread: &Thread,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO thread (project_id, person, subject, refs, is_quiet, is_start)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            project_id.to_string(),
            person,
            thread.subject,
            json(&thread.references)?,
            thread.is_quiet,
            thread.is_start
        ])
        .map(drop)
}

pub(super) fn all(connection: &Connection, project_id: ProjectId) -> rusqlite::Result<Vec<(String, Thread)>> {
    connection
        .prepare_cached(&format!("SELECT {THREAD}, person FROM thread WHERE project_id = ?1 ORDER BY person"))?
        .query_map([project_id.to_string()], |row| Ok((row.get(4)?, thread(row)?)))?
        .collect()
}

fn thread(row: &Row<'_>) -> rusqlite::Result<Thread> {
    Ok(Thread { subject: row.get(0)?, references: get_json(row, 1)?, is_quiet: row.get(2)?, is_start: row.get(3)? })
}

/// Keeps a piece of news, once.
pub(super) fn gather(
    connection: &Connection,
    person: &str,
    project_id: ProjectId,
    news: &News,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO news (person, project_id, at, project, said) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
        )?
        .execute(params![person, project_id.to_string(), news.at.0, news.project, news.said])
        .map(drop)
}

pub(super) fn gathered(connection: &Connection, before: UnixMs) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare_cached("SELECT DISTINCT person FROM news WHERE at < ?1 ORDER BY person")?
        .query_map([before.0], |row| row.get(0))?
        .collect()
}

pub(super) fn news(connection: &Connection, person: &str) -> rusqlite::Result<Vec<(ProjectId, News)>> {
    connection
        .prepare_cached("SELECT project_id, at, project, said FROM news WHERE person = ?1 ORDER BY position")?
        .query_map([person], |row| {
            let news = News { at: UnixMs(row.get(1)?), project: row.get(2)?, said: row.get(3)? };
            Ok((ProjectId::from_uuid(get_id(row, 0)?), news))
        })?
        .collect()
}

/// A person's news up to (and with) an instant are told.
pub(super) fn forget(connection: &Connection, person: &str, until: UnixMs) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM news WHERE person = ?1 AND at <= ?2")?
        .execute(params![person, until.0])
        .map(drop)
}
