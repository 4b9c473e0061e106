//! How often people are asked, counted in SQL over the requests of finished projects.

use bus_schemas::v1::api::FatigueView;
use rusqlite::Connection;

use super::store::Store;
use crate::port::journal::JournalError;

impl Store {
    /// How often people are asked.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn fatigue(&self) -> Result<FatigueView, JournalError> {
        self.read("count requests", |connection| {
            let snapshot = connection.unchecked_transaction()?;
            let prompts = numbers(
                &snapshot,
                "SELECT coalesce(sum(prompts), 0) FROM project LEFT JOIN approval USING (project_id)
                 WHERE settled = 1 GROUP BY project_id ORDER BY 1",
            )?;
            // Those a person decided: not time, not something that took its place.
            let answered = numbers(
                &snapshot,
                "SELECT max(decision ->> '$.decided_at' - asked_at, 0) FROM approval JOIN project USING (project_id)
                 WHERE settled = 1 AND prompts = 1 AND decision ->> '$.channel' NOT IN ('policy', 'remembered', 'cancel', 'void')
                 ORDER BY 1",
            )?;
            let (automatic, expired, approved) = snapshot.query_row(
                "SELECT coalesce(sum(1 - prompts), 0), coalesce(sum(prompts = 1 AND decision ->> '$.verdict' = 'expired'), 0),
                        coalesce(sum(prompts = 1 AND decision ->> '$.verdict' = 'approved'
                            AND decision ->> '$.channel' NOT IN ('policy', 'remembered', 'cancel', 'void')), 0)
                 FROM approval JOIN project USING (project_id) WHERE settled = 1",
                [],
                |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, u64>(2)?)),
            )?;
            Ok(FatigueView {
                finished_projects: prompts.len() as u64,
                prompts: prompts.iter().sum(),
                automatic,
                prompts_median: median(&prompts),
                prompts_most: prompts.last().copied().unwrap_or_default(),
                answered_median_ms: median(&answered),
                expired,
                approved_permille: (approved * 1000).checked_div(answered.len() as u64).unwrap_or_default(),
            })
        })
        .await
    }
}

fn numbers(connection: &Connection, sql: &str) -> rusqlite::Result<Vec<u64>> {
    connection.prepare_cached(sql)?.query_map([], |row| row.get(0))?.collect()
}

/// The middle one of sorted numbers, the lower of two.
fn median(sorted: &[u64]) -> u64 {
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or_default()
}
