//! Which messages show which requests.

use bus_schemas::{id::ApprovalId, time::UnixMs};
use rusqlite::{Row, params};

use super::{
    super::row::{get_id, get_json, json},
    BatchRow, CardRow, Outcome, SlackStore,
};

impl SlackStore {
    /// Writes down that a request is to be shown in a channel, and returns what is known of that card: another place, if it was
    /// posted before.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn intend_card(
        &self,
        approval_id: ApprovalId,
        channel: String,
        thread_ts: Option<String>,
        at: UnixMs,
    ) -> Outcome<CardRow> {
        self.run("intend a card", move |connection| {
            connection
                .prepare_cached(
                    "INSERT INTO card (approval_id, channel, thread_ts, intended_at) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT DO NOTHING",
                )?
                .execute(params![approval_id.to_string(), channel, thread_ts, at.0])?;
            connection
                .prepare_cached(&format!("SELECT {CARD} FROM card WHERE approval_id = ?1 AND channel = ?2"))?
                .query_row(params![approval_id.to_string(), channel], card)
        })
        .await
    }

    /// A card is at `ts` now, and shows what `rendered` is the digest of.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn show_card(
        &self,
        approval_id: ApprovalId,
        channel: String,
        ts: String,
        rendered: String,
        decided: bool,
    ) -> Outcome<()> {
        self.run("mark a card", move |connection| {
            connection
                .prepare_cached(
                    "UPDATE card SET ts = ?3, rendered = ?4, decided = ?5 WHERE approval_id = ?1 AND channel = ?2",
                )?
                .execute(params![approval_id.to_string(), channel, ts, rendered, decided])
                .map(drop)
        })
        .await
    }

    /// A card that cannot be posted, or whose message is gone.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn drop_card(&self, approval_id: ApprovalId, channel: String) -> Outcome<()> {
        self.run("drop a card", move |connection| {
            connection
                .prepare_cached("DELETE FROM card WHERE approval_id = ?1 AND channel = ?2")?
                .execute(params![approval_id.to_string(), channel])
                .map(drop)
        })
        .await
    }

    /// Every card of a request.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn cards(&self, approval_id: ApprovalId) -> Outcome<Vec<CardRow>> {
        self.cards_where("approval_id = ?1", vec![approval_id.to_string()]).await
    }

    /// The cards that do not show an outcome yet: those that were only intended, too.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn open_cards(&self) -> Outcome<Vec<CardRow>> {
        self.cards_where("decided = 0", Vec::new()).await
    }

    /// The cards one message is: several for a batch.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn cards_at(&self, channel: String, ts: String) -> Outcome<Vec<CardRow>> {
        self.cards_where("channel = ?1 AND ts = ?2", vec![channel, ts]).await
    }

    async fn cards_where(&self, condition: &'static str, values: Vec<String>) -> Outcome<Vec<CardRow>> {
        self.run("read cards", move |connection| {
            let query = format!("SELECT {CARD} FROM card WHERE {condition} ORDER BY intended_at, approval_id, channel");
            let mut list = connection.prepare_cached(&query)?;
            list.query_map(rusqlite::params_from_iter(values), card)?.collect()
        })
        .await
    }

    /// Writes down a batch card as it is (to be) shown.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn save_batch(&self, batch: BatchRow) -> Outcome<()> {
        self.run("save a batch", move |connection| {
            connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO batch (batch_key, channel, ts, thread_ts, members, rendered, intended_at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )?
                .execute(params![
                    batch.batch_key,
                    batch.channel,
                    batch.ts,
                    batch.thread_ts,
                    json(&batch.members)?,
                    batch.rendered,
                    batch.intended_at.0
                ])
                .map(drop)
        })
        .await
    }

    /// A batch card that shows nothing any more.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn drop_batch(&self, batch_key: String) -> Outcome<()> {
        self.run("drop a batch", move |connection| {
            connection.prepare_cached("DELETE FROM batch WHERE batch_key = ?1")?.execute([batch_key]).map(drop)
        })
        .await
    }

    /// The batch cards.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn batches(&self) -> Outcome<Vec<BatchRow>> {
        self.run("read batches", |connection| {
            let mut list = connection.prepare_cached(
                "SELECT batch_key, channel, ts, thread_ts, members, rendered, intended_at FROM batch
                 ORDER BY intended_at, batch_key",
            )?;
            let rows = list.query_map([], |row| {
                Ok(BatchRow {
                    batch_key: row.get(0)?,
                    channel: row.get(1)?,
                    ts: row.get(2)?,
                    thread_ts: row.get(3)?,
                    members: get_json(row, 4)?,
                    rendered: row.get(5)?,
                    intended_at: UnixMs(row.get(6)?),
                })
            })?;
            rows.collect()
        })
        .await
    }
}

const CARD: &str = "approval_id, channel, ts, thread_ts, rendered, decided, intended_at";

fn card(row: &Row<'_>) -> rusqlite::Result<CardRow> {
    Ok(CardRow {
        approval_id: ApprovalId::from_uuid(get_id(row, 0)?),
        channel: row.get(1)?,
        ts: row.get(2)?,
        thread_ts: row.get(3)?,
        rendered: row.get(4)?,
        decided: row.get(5)?,
        intended_at: UnixMs(row.get(6)?),
    })
}
