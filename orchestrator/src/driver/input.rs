//! What the driver is told, apart from what the bus says.

use std::sync::Arc;

use bus_schemas::{
    id::{ClaimNonce, ProjectId, TaskId},
    v1::api::{HostView, RebuildReport},
};
use tokio::sync::oneshot;

use super::{
    detail::{Detail, ProjectDetail},
    room::Room,
};
use crate::{
    plan::{
        self, ProjectState, TaskState,
        event::{Fact, TaskKind},
    },
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
    /// How is a project now?
    Look {
        /// Which.
        project_id: ProjectId,
        /// Answered with what is committed.
        reply: oneshot::Sender<Result<Option<Seen>, Refusal>>,
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

/// A project as it is now.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its state.
    pub state: ProjectState,
    /// Its plan's document, as it is in force or waits to be.
    pub project: Arc<ProjectDetail>,
    /// What it was started with.
    pub started: Arc<ProjectDetail>,
    /// The commit its folder was copied into.
    pub base_commit: String,
    /// The digest over the plan as it is shown to those who approve it.
    pub plan_digest: String,
    /// Its tasks, in plan order.
    pub tasks: Vec<SeenTask>,
}

/// A task as it is now.
#[derive(Clone, Debug)]
pub struct SeenTask {
    /// Its id.
    pub task_id: TaskId,
    /// Its key.
    pub key: String,
    /// Who works it.
    pub kind: TaskKind,
    /// Its state.
    pub state: TaskState,
    /// Its attempt, 0 before the first.
    pub attempt: u32,
    /// The claim of that attempt, while a host holds it.
    pub nonce: Option<ClaimNonce>,
}

impl Seen {
    pub(super) fn of(room: &Room) -> Self {
        let task = |task: &plan::Task| SeenTask {
            task_id: task.spec.task_id,
            key: task.spec.key.clone(),
            kind: task.spec.kind,
            state: task.state,
            attempt: task.attempt,
            nonce: task.claim.as_ref().filter(|_| task.is_outstanding()).map(|claim| claim.nonce),
        };
        Self {
            state: room.plan.state(),
            project: Arc::clone(&room.details.project),
            started: Arc::clone(&room.details.started),
            base_commit: room.plan.base_commit().to_owned(),
            plan_digest: room.plan.plan_digest().to_owned(),
            tasks: room.plan.tasks().iter().map(task).collect(),
        }
    }
}
