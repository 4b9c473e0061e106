//! The limits of what is kept of mails nobody vouches for.

use rusqlite::{Connection, params};

use super::Limits;

/// Texts that are removed at once.
const TOGETHER: u32 = 200;

/// Marks the mails whose texts are to be removed, at most so many at once: the oldest of strangers, and the newest of those who say
/// to be somebody who may write, so that no flood in somebody's name drops what lies there already. Those that could not be checked
/// are counted apart: no flood of forged ones takes their room. What an admin dropped counts no more.
pub(super) fn mark(connection: &Connection, limits: Limits) -> rusqlite::Result<Vec<String>> {
    let mib = limits.bytes >> 20;
    let count = limits.count;
    let note = format!(
        "; body dropped: mails nobody vouches for may take {mib} MiB and be {count} (`quarantine_mib`, `quarantine_mails` in [mail])"
    );
    for (standing, first) in [(1, "DESC"), (2, "ASC"), (3, "ASC")] {
        connection
            .prepare_cached(&format!(
                "UPDATE letter SET is_cleared = 2, outcome = outcome || ?4 WHERE position IN (
                     SELECT position FROM (
                         SELECT position, row_number() OVER kept AS number, sum(size) OVER kept AS bytes FROM letter
                         WHERE standing = ?1 AND is_cleared = 0 AND done_at IS NOT NULL AND state <> 'dropped'
                         WINDOW kept AS (ORDER BY position {first} ROWS UNBOUNDED PRECEDING)
                     ) WHERE number > ?2 OR bytes > ?3 LIMIT {TOGETHER}
                 )"
            ))?
            .execute(params![standing, limits.count, i64::try_from(limits.bytes).unwrap_or(i64::MAX), note])?;
    }
    connection
        .prepare_cached(&format!("SELECT id FROM letter WHERE is_cleared = 2 ORDER BY position LIMIT {TOGETHER}"))?
        .query_map([], |row| row.get(0))?
        .collect()
}

/// Their texts are removed.
pub(super) fn removed(connection: &Connection, ids: &[String]) -> rusqlite::Result<()> {
    let mut set = connection.prepare_cached("UPDATE letter SET is_cleared = 1 WHERE id = ?1 AND is_cleared = 2")?;
    for id in ids {
        set.execute([id])?;
    }
    Ok(())
}
