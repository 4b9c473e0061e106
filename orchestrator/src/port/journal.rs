//! Truth, as the driver needs it: one transaction appends events, moves what is derived from them, fills the outbox and
//! moves the intake cursor.

use bus_schemas::{
    id::{ApprovalId, ProjectId, TaskId},
    time::UnixMs,
    v1::{
        api::{FailureView, RebuildReport, RememberedView, RouteView, SpendView},
        approval::Decision,
        handoff::{Handoff, Usage},
        project::ProjectState,
    },
};
use futures::future::Future;

use super::bus::FeedMessage;
pub use super::rows::{AUDITOR, About, ApprovalRow, AuditRow, FeedRow, Progress, ProjectRow, RememberedRow, TaskRow};
use crate::plan::{Command, Event};

/// One record of the journal.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its position over all projects, from 1.
    pub seq: u64,
    /// The project.
    pub project_id: ProjectId,
    /// Its position in the project, from 1.
    pub version: u64,
    /// What happened, as the plan core was told.
    pub event: Event,
    /// What the core does not need but readers do (a [`crate::driver::Detail`] as JSON).
    pub detail: Option<String>,
}

/// A command that is committed but not yet performed. Its place in the journal is its idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxRow {
    /// The record that asked for it.
    pub seq: u64,
    /// The how-manyth command of that record.
    pub number: u32,
    /// The project.
    pub project_id: ProjectId,
    /// What to do.
    pub command: Command,
}

/// The place of an outbox row.
pub type OutboxKey = (u64, u32);

/// How far a stream was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The last sequence that was applied.
    pub seq: u64,
    /// When the stream was created, as the server says: another value means another stream of the same name.
    pub stream_created: String,
}

/// A message that could not be read.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// Its stream.
    pub stream: String,
    /// Its sequence there.
    pub stream_seq: u64,
    /// Its subject.
    pub subject: String,
    /// What is wrong with it.
    pub reason: String,
    /// It, as it came.
    pub payload: Vec<u8>,
    /// When it was set aside.
    pub received_at: UnixMs,
}

/// One logical transaction: all of it is durable, or none.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Records to append, in order.
    pub records: Vec<Record>,
    /// What the records change in the projections, in order.
    pub changes: Vec<Change>,
    /// Commands the records ask for.
    pub outbox: Vec<OutboxRow>,
    /// Commands that were performed.
    pub performed: Vec<OutboxKey>,
    /// How far readers got: the stream's name and the place.
    pub cursors: Vec<(&'static str, Cursor)>,
    /// Messages set aside.
    pub dead_letters: Vec<DeadLetter>,
}

/// One change of a projection.
#[derive(Clone, Debug)]
pub enum Change {
    /// A new project.
    ProjectAdded(ProjectRow),
    /// A project's state.
    ProjectMoved {
        /// Which.
        project_id: ProjectId,
        /// Its state.
        state: ProjectState,
        /// Since when.
        changed_at: UnixMs,
        /// Its result.
        result_commit: Option<String>,
        /// It is final and nothing more is on its way.
        settled: bool,
    },
    /// A project's result was applied (`Some`) or taken back (`None`).
    ProjectApplied {
        /// Which.
        project_id: ProjectId,
        /// When.
        applied_at: Option<UnixMs>,
    },
    /// An attempt used something.
    Used {
        /// The project.
        project_id: ProjectId,
        /// What it used.
        usage: Usage,
    },
    /// What a project spent so far.
    Spent {
        /// The project.
        project_id: ProjectId,
        /// What.
        spend: Box<SpendView>,
    },
    /// A new task.
    TaskAdded(TaskRow),
    /// A task is gone: another plan took the place of its.
    TaskRemoved(TaskId),
    /// What a task needs instead.
    Rewired {
        /// The task.
        task_id: TaskId,
        /// Keys of the tasks it needs.
        needs: Vec<String>,
    },
    /// A task's state.
    TaskMoved(ProjectId, TaskId, Progress),
    /// A task's latest handoff.
    HandedOff {
        /// The task.
        task_id: TaskId,
        /// The attempt.
        attempt: u32,
        /// What it hands on.
        handoff: Box<Handoff>,
    },
    /// A task's latest failure.
    Failed {
        /// The task.
        task_id: TaskId,
        /// How.
        failure: FailureView,
    },
    /// A request was asked.
    Asked(ApprovalRow),
    /// A request was decided, or fell away (`None`).
    Decided {
        /// Which.
        approval_id: ApprovalId,
        /// The decision.
        decision: Option<Decision>,
    },
    /// A request is not decided but looks different now: another vote, another delegate, more people, another deadline.
    Reshown {
        /// Which.
        approval_id: ApprovalId,
        /// When it expires.
        expires_at: Option<UnixMs>,
        /// How it is decided, and how far that is.
        route: Box<RouteView>,
    },
    /// Something about a request belongs into the audit log. Not a projection: rebuilding leaves the log as it is.
    Audited(Box<AuditRow>),
    /// A decision counts for later requests, too.
    Remembered(Box<RememberedRow>),
    /// A remembered decision counted for a request.
    RememberedUsed {
        /// The request it counted for.
        approval_id: ApprovalId,
        /// The request that was decided.
        source: ApprovalId,
        /// Whose decision.
        by: String,
    },
    /// A remembered decision was taken back.
    RememberedRevoked {
        /// The request whose decision it was.
        approval_id: ApprovalId,
        /// Who took it back.
        by: String,
    },
    /// What readers of the feed see of a record.
    Fed(FeedRow),
}

/// Derives the projections from the journal, record by record: the same code while living and while rebuilding.
pub trait Projector {
    /// What `record` changes; records come project after project, each in its order.
    ///
    /// # Errors
    /// A sentence, if the record cannot follow the ones before.
    fn project(&mut self, record: &Record) -> Result<Vec<Change>, String>;
}

/// Why the journal did not take or give something.
#[derive(Clone, Debug, thiserror::Error)]
pub enum JournalError {
    /// The disk is full.
    #[error("{operation}: no space left on the disk of the data directory")]
    Full {
        /// What was tried.
        operation: &'static str,
    },
    /// The store could not do it.
    #[error("{operation}: {detail}")]
    Store {
        /// What was tried.
        operation: &'static str,
        /// Why.
        detail: String,
    },
    /// What is stored cannot be read.
    #[error("{operation}: {what} cannot be read: {detail}")]
    Malformed {
        /// What was tried.
        operation: &'static str,
        /// Of what.
        what: String,
        /// Why.
        detail: String,
    },
    /// The store was closed.
    #[error("{operation}: the store is closed")]
    Closed {
        /// What was tried.
        operation: &'static str,
    },
}

/// Truth.
pub trait Journal: Clone + Send + Sync + 'static {
    /// Makes a batch durable; when this returns, it is.
    ///
    /// # Errors
    /// See [`JournalError`]: nothing of the batch was kept.
    fn commit(&self, batch: Batch) -> impl Future<Output = Result<(), JournalError>> + Send;
    /// The last record's position, 0 for an empty journal.
    ///
    /// # Errors
    /// See [`JournalError`].
    fn last_seq(&self) -> impl Future<Output = Result<u64, JournalError>> + Send;
    /// A project's records, in order.
    ///
    /// # Errors
    /// See [`JournalError`].
    fn records(&self, project_id: ProjectId) -> impl Future<Output = Result<Vec<Record>, JournalError>> + Send;
    /// Projects for which something may still happen by itself.
    ///
    /// # Errors
    /// See [`JournalError`].
    fn unsettled(&self) -> impl Future<Output = Result<Vec<ProjectId>, JournalError>> + Send;
    /// Whether nothing more happens by itself in a project; `None` if there is no such project.
    ///
    /// # Errors
    /// See [`JournalError`].
    fn is_settled(&self, project_id: ProjectId) -> impl Future<Output = Result<Option<bool>, JournalError>> + Send;
    /// Commands not yet performed, oldest first.
    ///
    /// # Errors
    /// See [`JournalError`].
    fn outbox(&self) -> impl Future<Output = Result<Vec<OutboxRow>, JournalError>> + Send;
    /// How far a stream was read.
    ///
    /// # Errors
    /// See [`JournalError`].
    fn cursor(&self, stream: &'static str) -> impl Future<Output = Result<Cursor, JournalError>> + Send;
    /// The latest handoffs of tasks, those that have one.
    ///
    /// # Errors
    /// See [`JournalError`].
    fn handoffs(&self, tasks: Vec<TaskId>)
    -> impl Future<Output = Result<Vec<(TaskId, Handoff)>, JournalError>> + Send;
    /// Decisions people let count for later requests, those that are over or taken back included.
    ///
    /// # Errors
    /// See [`JournalError`].
    fn remembered(&self) -> impl Future<Output = Result<Vec<RememberedView>, JournalError>> + Send;
    /// What is to be published of the feed after `after`: a page of it, with the last record it covers.
    ///
    /// # Errors
    /// See [`JournalError`].
    fn tellings(&self, after: u64) -> impl Future<Output = Result<(u64, Vec<FeedMessage>), JournalError>> + Send;
    /// Derives every projection anew and compares: the live ones are replaced.
    ///
    /// # Errors
    /// See [`JournalError`]; the live ones are as before.
    fn rebuild(
        &self,
        projector: Box<dyn Projector + Send>,
    ) -> impl Future<Output = Result<RebuildReport, JournalError>> + Send;
}
