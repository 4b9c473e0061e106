//! What the driver is told, apart from what the bus says.

use bus_schemas::{
    id::ProjectId,
    v1::api::{HostView, RebuildReport},
};
use tokio::sync::oneshot;

use super::detail::Detail;
use crate::{
    plan::{self, event::Fact},
    port::journal::{JournalError, OutboxKey},
};

/// Why the driver did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The plan core rejects it.
    #[error(transparent)]
    Rejected(#[from] plan::Rejected),
    /// There is no such project.
    #[error("there is no project {0}")]
    NoProject(ProjectId),
    /// It could not be made durable, so it did not happen.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The driver has stopped.
    #[error("the orchestrator is shutting down")]
    Stopped,
}

/// What the driver is told.
#[derive(Debug)]
pub enum Input {
    /// A person (or a policy on their behalf) does something.
    Ask {
        /// The project; a new one for `ProjectCreated`.
        project_id: ProjectId,
        /// What they do.
        fact: Box<Fact>,
        /// What belongs beside it.
        detail: Option<Box<Detail>>,
        /// Answered with the record's position once it is durable (0 if nothing changed).
        reply: oneshot::Sender<Result<u64, Refusal>>,
    },
    /// A command was performed.
    Answer(Answer),
    /// The feed was published up to this record.
    FeedPublished(u64),
    /// Which hosts are known?
    Hosts(oneshot::Sender<Vec<HostView>>),
    /// Derive the projections anew.
    Rebuild(oneshot::Sender<Result<RebuildReport, JournalError>>),
    /// Stop after what is waiting.
    Shutdown,
}

/// A command was performed.
#[derive(Debug)]
pub struct Answer {
    /// Its place in the outbox; `None` for one that was never in it.
    pub key: Option<OutboxKey>,
    /// Its project.
    pub project_id: ProjectId,
    /// What came of it, if the core waits for that.
    pub fact: Option<(Box<Fact>, Option<Box<Detail>>)>,
}
