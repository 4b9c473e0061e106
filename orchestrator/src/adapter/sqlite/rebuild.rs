//! Derives the projections anew beside the live ones, compares row by row, and swaps them in: one transaction.

use bus_schemas::v1::api::RebuildReport;
use rusqlite::Connection;

use super::{
    open::create_projections,
    project::{TABLES, apply},
    store::record,
    writer::failed,
};
use crate::port::journal::{JournalError, Projector};

const OPERATION: &str = "rebuild projections";

/// Rebuilds within the caller's transaction.
pub(super) fn run(connection: &Connection, projector: &mut dyn Projector) -> Result<RebuildReport, JournalError> {
    let sqlite = |e: rusqlite::Error| failed(OPERATION, &e);
    drop_all(connection).map_err(sqlite)?;
    create_projections(connection, "temp").map_err(sqlite)?;
    let journal_entries = fold(connection, projector)?;
    let mut rows = 0;
    let mut differences = 0;
    for table in TABLES {
        differences += different(connection, table).map_err(sqlite)?;
        connection.execute(&format!("DELETE FROM main.{table}"), []).map_err(sqlite)?;
        let copied = connection.execute(&format!("INSERT INTO main.{table} SELECT * FROM temp.{table}"), []);
        rows += copied.map_err(sqlite)? as u64;
    }
    drop_all(connection).map_err(sqlite)?;
    connection.execute("DELETE FROM meta WHERE name = 'projections'", []).map_err(sqlite)?;
    Ok(RebuildReport { journal_entries, rows, differences })
}

fn fold(connection: &Connection, projector: &mut dyn Projector) -> Result<u64, JournalError> {
    let sqlite = |e: rusqlite::Error| failed(OPERATION, &e);
    let mut statement = connection
        .prepare("SELECT seq, project_id, version, event, detail FROM journal ORDER BY project_id, version")
        .map_err(sqlite)?;
    let mut entries = 0;
    let mut records = statement.query([]).map_err(sqlite)?;
    while let Some(row) = records.next().map_err(sqlite)? {
        let record = record(row).map_err(sqlite)?;
        let changes = projector.project(&record).map_err(|detail| JournalError::Malformed {
            operation: OPERATION,
            what: format!("journal record {}", record.seq),
            detail,
        })?;
        apply(connection, "temp", &changes).map_err(sqlite)?;
        entries += 1;
    }
    Ok(entries)
}

/// Rows that are on one side only or differ.
fn different(connection: &Connection, table: &str) -> rusqlite::Result<u64> {
    let only = |left: &str, right: &str| {
        let sql = format!("SELECT count(*) FROM (SELECT * FROM {left}.{table} EXCEPT SELECT * FROM {right}.{table})");
        connection.query_row(&sql, [], |row| row.get::<_, u64>(0))
    };
    Ok(only("main", "temp")?.max(only("temp", "main")?))
}

fn drop_all(connection: &Connection) -> rusqlite::Result<()> {
    TABLES.iter().try_for_each(|table| connection.execute_batch(&format!("DROP TABLE IF EXISTS temp.{table}")))
}
