//! Decisions that count for later requests, too.

use bus_schemas::{
    id::{ApprovalId, ProjectId},
    time::UnixMs,
    v1::api::RememberedView,
};
use rusqlite::Row;

use super::{
    row::{get_id, get_word},
    store::Store,
};
use crate::port::journal::JournalError;

impl Store {
    /// Every remembered decision, those that are over or taken back included, the newest first.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn remembered(&self) -> Result<Vec<RememberedView>, JournalError> {
        self.read("list remembered decisions", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT approval_id, project_id, person, kind, policy, subject, folder, scope, risk, since, until, revoked_by,
                     (SELECT count(*) FROM remembered_use
                      WHERE source = remembered.approval_id AND remembered_use.person = remembered.person)
                 FROM remembered ORDER BY since DESC, approval_id, person",
            )?;
            statement.query_map([], view)?.collect()
        })
        .await
    }
}

fn view(row: &Row<'_>) -> rusqlite::Result<RememberedView> {
    Ok(RememberedView {
        approval_id: ApprovalId::from_uuid(get_id(row, 0)?),
        project_id: ProjectId::from_uuid(get_id(row, 1)?),
        by: row.get(2)?,
        kind: row.get(3)?,
        policy: row.get(4)?,
        subject: row.get(5)?,
        folder: row.get(6)?,
        scope: get_word(row, 7)?,
        risk: get_word(row, 8)?,
        since: UnixMs(row.get(9)?),
        until: UnixMs(row.get(10)?),
        revoked_by: row.get(11)?,
        used: row.get(12)?,
    })
}
