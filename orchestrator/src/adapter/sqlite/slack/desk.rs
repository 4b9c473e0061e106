//! The bridge's port over both databases: its own, and the journal's for what nobody can read.

use bus_schemas::{id::ProjectId, time::UnixMs};

use super::SlackStore;
use crate::{
    adapter::{
        slack::{
            Place,
            bridge::{Desk, InboxRow, Kept, Posting, Thread},
        },
        sqlite::Store,
    },
    port::journal::{Batch, DeadLetter, Journal as _},
};

/// The name under which the place in the feed is kept.
const FEED: &str = "feed";

/// What the bridge writes down. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SlackDesk {
    /// Its own database.
    pub slack: SlackStore,
    /// The orchestrator's.
    pub journal: Store,
}

impl Desk for SlackDesk {
    async fn keep(&self, row: InboxRow) -> Kept<bool> {
        self.slack.keep(row.key, row.raw, row.received_at).await
    }

    async fn kept(&self, key: &str) -> Kept<Option<InboxRow>> {
        self.slack.kept(key.to_owned()).await
    }

    async fn unfinished(&self) -> Kept<Vec<InboxRow>> {
        self.slack.undone().await
    }

    async fn finish(&self, key: &str, outcome: &str, at: UnixMs) -> Kept<()> {
        self.slack.done(key.to_owned(), outcome.to_owned(), at).await
    }

    async fn drop_words(&self, key: &str) -> Kept<()> {
        self.slack.drop_words(key.to_owned()).await
    }

    async fn tidy(&self, before: UnixMs) -> Kept<()> {
        self.slack.forget(before).await.map(drop)
    }

    async fn intend(&self, posting: Posting) -> Kept<Option<Posting>> {
        self.slack.intend(posting).await
    }

    async fn posted(&self, posting: Posting) -> Kept<()> {
        self.slack.posted(posting).await
    }

    async fn forget(&self, name: &str, target: &str) -> Kept<()> {
        self.slack.drop_posting(name.to_owned(), target.to_owned()).await
    }

    async fn copies(&self, name: &str) -> Kept<Vec<Posting>> {
        self.slack.copies(name.to_owned()).await
    }

    async fn open_postings(&self, prefix: &str) -> Kept<Vec<Posting>> {
        self.slack.open_postings(prefix.to_owned()).await
    }

    async fn set_thread(&self, project_id: ProjectId, thread: Thread) -> Kept<()> {
        self.slack.set_thread(project_id, thread).await
    }

    async fn thread(&self, project_id: ProjectId) -> Kept<Option<Thread>> {
        self.slack.thread(project_id).await
    }

    async fn open_threads(&self) -> Kept<Vec<(ProjectId, Thread)>> {
        self.slack.open_threads().await
    }

    async fn link(&self, place: Place, project_id: ProjectId) -> Kept<()> {
        self.slack.add_link(place.channel, place.ts, project_id).await
    }

    async fn project_of(&self, place: Place) -> Kept<Option<ProjectId>> {
        self.slack.project_of(place.channel, place.ts).await
    }

    async fn set_batch(&self, name: &str, items: String) -> Kept<()> {
        self.slack.save_batch(name.to_owned(), items).await
    }

    async fn drop_batch(&self, name: &str) -> Kept<()> {
        self.slack.drop_batch(name.to_owned()).await
    }

    async fn batches(&self) -> Kept<Vec<(String, String)>> {
        self.slack.batches().await
    }

    async fn set_aside(&self, letter: DeadLetter) -> Kept<()> {
        self.journal.commit(Batch { dead_letters: vec![letter], ..Batch::default() }).await
    }

    async fn position(&self) -> Kept<u64> {
        self.slack.cursor(FEED).await
    }

    async fn set_position(&self, sequence: u64) -> Kept<()> {
        self.slack.advance(FEED, sequence).await
    }
}
