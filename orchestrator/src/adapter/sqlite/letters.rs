//! The messages that were set aside, for people.

use bus_schemas::{time::UnixMs, v1::api::DeadLetterView};

use super::store::Store;
use crate::port::journal::JournalError;

/// Messages shown: whoever has more looks into the database.
const LETTERS: u32 = 200;
/// How much of each is shown, in bytes.
const EXCERPT_BYTES: u32 = 2048;

impl Store {
    /// The messages set aside last, the newest first.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn dead_letters(&self) -> Result<Vec<DeadLetterView>, JournalError> {
        self.read("list messages set aside", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT stream, stream_seq, subject, received_at, reason, length(payload), substr(payload, 1, ?1)
                 FROM dead_letter ORDER BY id DESC LIMIT ?2",
            )?;
            let rows = statement.query_map([EXCERPT_BYTES, LETTERS], |row| {
                let excerpt: Vec<u8> = row.get(6)?;
                Ok(DeadLetterView {
                    stream: row.get(0)?,
                    sequence: row.get(1)?,
                    subject: row.get(2)?,
                    at: UnixMs(row.get(3)?),
                    reason: row.get(4)?,
                    payload_bytes: row.get(5)?,
                    payload: String::from_utf8_lossy(&excerpt).into_owned(),
                })
            })?;
            rows.collect()
        })
        .await
    }
}
