//! What the bridge remembers: what came in, what it posted, which thread is which project's.

use std::future::Future;

use bus_schemas::{id::ProjectId, time::UnixMs};
use serde_json::Value;

use crate::{
    adapter::slack::Place,
    port::journal::{DeadLetter, JournalError},
};

/// What the store answers.
pub type Kept<T> = Result<T, JournalError>;

/// Something that came in and is not finished.
#[derive(Clone, Debug, PartialEq)]
pub struct InboxRow {
    /// Its key.
    pub key: String,
    /// As it was kept; `null` once its words were dropped.
    pub raw: Value,
    /// When it came.
    pub received_at: UnixMs,
}

/// A message of ours: written down before it is posted, so that after a crash it is looked for and not posted twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Posting {
    /// What it is: `card:<approval>`, `status:<project>` … Also in its metadata.
    pub name: String,
    /// Where it was to go: a channel, or a person. Unique together with the name.
    pub target: String,
    /// The thread it answers in.
    pub thread_ts: Option<String>,
    /// Where it is, once that is known.
    pub place: Option<Place>,
    /// The digest of what it shows.
    pub sha256: String,
    /// When it was written down that it is going to be posted; 0 if that is not known.
    pub intended_at: UnixMs,
    /// It says its last word: nothing about it changes any more.
    pub closed: bool,
}

/// A project that lives in a thread.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Thread {
    /// Its channel.
    pub channel: String,
    /// The message the thread hangs on; `None` until the project's first message is posted.
    pub thread_ts: Option<String>,
    /// Who started it, by Slack id.
    pub started_by: String,
    /// Its last word was said.
    pub closed: bool,
}

/// What the bridge needs of its store. Every change is durable when it returns.
pub trait Desk: Clone + Send + Sync + 'static {
    /// Keeps what came in; `false` if it was there.
    fn keep(&self, row: InboxRow) -> impl Future<Output = Kept<bool>> + Send;
    /// What came in under a key, finished or not.
    fn kept(&self, key: &str) -> impl Future<Output = Kept<Option<InboxRow>>> + Send;
    /// What is not finished, oldest first.
    fn unfinished(&self) -> impl Future<Output = Kept<Vec<InboxRow>>> + Send;
    /// Something that came in is finished.
    fn finish(&self, key: &str, outcome: &str, at: UnixMs) -> impl Future<Output = Kept<()>> + Send;
    /// Forgets what a finished one said, but not that it came.
    fn drop_words(&self, key: &str) -> impl Future<Output = Kept<()>> + Send;
    /// Forgets what was finished before an instant: nobody sends it again.
    fn tidy(&self, before: UnixMs) -> impl Future<Output = Kept<()>> + Send;
    /// Writes down that a message is going to be posted. Returns what was known about it before, if anything.
    fn intend(&self, posting: Posting) -> impl Future<Output = Kept<Option<Posting>>> + Send;
    /// Writes down where it is and what it shows.
    fn posted(&self, posting: Posting) -> impl Future<Output = Kept<()>> + Send;
    /// It is not going to be posted there after all.
    fn forget(&self, name: &str, target: &str) -> impl Future<Output = Kept<()>> + Send;
    /// Every copy of a message.
    fn copies(&self, name: &str) -> impl Future<Output = Kept<Vec<Posting>>> + Send;
    /// Messages whose name begins so and that are not closed.
    fn open_postings(&self, prefix: &str) -> impl Future<Output = Kept<Vec<Posting>>> + Send;
    /// Gives a project a thread, or changes it.
    fn set_thread(&self, project_id: ProjectId, thread: Thread) -> impl Future<Output = Kept<()>> + Send;
    /// A project's thread.
    fn thread(&self, project_id: ProjectId) -> impl Future<Output = Kept<Option<Thread>>> + Send;
    /// The projects with a thread that is not closed.
    fn open_threads(&self) -> impl Future<Output = Kept<Vec<(ProjectId, Thread)>>> + Send;
    /// Says that a thread is a project's, beside the one it lives in.
    fn link(&self, place: Place, project_id: ProjectId) -> impl Future<Output = Kept<()>> + Send;
    /// Whose thread it is.
    fn project_of(&self, place: Place) -> impl Future<Output = Kept<Option<ProjectId>>> + Send;
    /// Keeps what a card of several requests is about, as JSON.
    fn set_batch(&self, name: &str, items: String) -> impl Future<Output = Kept<()>> + Send;
    /// Its requests get cards of their own.
    fn drop_batch(&self, name: &str) -> impl Future<Output = Kept<()>> + Send;
    /// What the cards of several requests are about.
    fn batches(&self) -> impl Future<Output = Kept<Vec<(String, String)>>> + Send;
    /// Keeps what cannot be read where `baton dead-letters` shows it.
    fn set_aside(&self, letter: DeadLetter) -> impl Future<Output = Kept<()>> + Send;
    /// How far the feed was read.
    fn position(&self) -> impl Future<Output = Kept<u64>> + Send;
    /// The feed was read so far.
    fn set_position(&self, sequence: u64) -> impl Future<Output = Kept<()>> + Send;
}
