//! Truth, as the driver needs it: one transaction appends events, moves what is derived from them, fills the outbox and
//! moves the intake cursor.

use bus_schemas::{
    id::{ApprovalId, HostId, ProjectId, TaskId},
    json::Json,
    time::UnixMs,
    v1::{
        api::{
            ApplyOffer, CapabilityView, FailureView, OverBudgetView, QuestionView, RebuildReport, RememberScope,
            RememberedView, Risk, RouteView, SkillProposal, SpendView,
        },
        approval::{ApprovalSubject, Decision},
        call::PlanPatch,
        handoff::{Handoff, Usage},
        plan::Plan,
        project::ProjectState,
        task::{Stage, TaskState},
    },
};
use futures::future::Future;
use serde::{Deserialize, Serialize};

use super::bus::FeedMessage;
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

/// An entry of the audit log, before the log gives it its number and chains it.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditRow {
    /// The journal record it is about; 0 for what happened outside of every project.
    pub seq: u64,
    /// When.
    pub at: UnixMs,
    /// `noun.verb`.
    pub kind: &'static str,
    /// The project.
    pub project_id: ProjectId,
    /// The request.
    pub approval_id: ApprovalId,
    /// What the request is about, as a word.
    pub subject: String,
    /// The digest of what was shown.
    pub digest: String,
    /// Who.
    pub actor: String,
    /// Over which channel.
    pub channel: String,
    /// What belongs to the kind.
    pub detail: Json,
}

/// A decision that counts for later requests, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RememberedRow {
    /// The request that was decided.
    pub approval_id: ApprovalId,
    /// Its project.
    pub project_id: ProjectId,
    /// Whose decision.
    pub by: String,
    /// The kind of request, as a word.
    pub kind: String,
    /// The policy.
    pub policy: String,
    /// The thing: a task's key without its index, a host.
    pub subject: String,
    /// The folder.
    pub folder: String,
    /// For what.
    pub scope: RememberScope,
    /// Up to which risk.
    pub risk: Risk,
    /// Since when.
    pub since: UnixMs,
    /// Until when.
    pub until: UnixMs,
}

/// A project, as it starts.
#[derive(Clone, Debug)]
pub struct ProjectRow {
    /// Its id.
    pub project_id: ProjectId,
    /// Its title.
    pub title: String,
    /// Its goal.
    pub goal: String,
    /// Its folder.
    pub folder: String,
    /// Its owner.
    pub owner: String,
    /// Its state.
    pub state: ProjectState,
    /// When it was created.
    pub created_at: UnixMs,
    /// The commit its folder was copied into.
    pub base_commit: String,
}

/// A task, as it starts.
#[derive(Clone, Debug)]
pub struct TaskRow {
    /// Its id.
    pub task_id: TaskId,
    /// Its project.
    pub project_id: ProjectId,
    /// Its place in the plan.
    pub position: u32,
    /// Its key.
    pub key: String,
    /// Its title.
    pub title: String,
    /// Keys of the tasks it needs.
    pub needs: Vec<String>,
    /// Where it is.
    pub progress: Progress,
}

/// Where a task is.
#[derive(Clone, Debug)]
pub struct Progress {
    /// Its state.
    pub state: TaskState,
    /// Why.
    pub reason: String,
    /// Its attempt, 0 before the first.
    pub attempt: u32,
    /// Where the attempt is.
    pub stage: Option<Stage>,
    /// Who works on it.
    pub host_id: Option<HostId>,
    /// When the attempt was claimed.
    pub claimed_at: Option<UnixMs>,
    /// When the task ended.
    pub ended_at: Option<UnixMs>,
    /// The most attempts it gets now.
    pub max_attempts: u32,
    /// What it spent so far.
    pub spend: Box<SpendView>,
}

/// A request, as it is asked.
#[derive(Clone, Debug)]
pub struct ApprovalRow {
    /// Its id.
    pub approval_id: ApprovalId,
    /// Its project.
    pub project_id: ProjectId,
    /// What it is about.
    pub subject: ApprovalSubject,
    /// The digest of what is shown.
    pub digest: String,
    /// The policy that asked.
    pub policy: String,
    /// When.
    pub asked_at: UnixMs,
    /// When it expires.
    pub expires_at: Option<UnixMs>,
    /// What is shown of it.
    pub about: Option<Box<About>>,
    /// How it is decided.
    pub route: Box<RouteView>,
    /// A person is asked: nothing decided it in the same breath.
    pub prompts: bool,
}

/// What is shown to those who decide; plans are read from the journal instead.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// A handoff.
    Handoff(Handoff),
    /// A question.
    Question(QuestionView),
    /// A limit.
    OverBudget(OverBudgetView),
    /// A change of the plan, and the plan as it would be.
    Patch(PlanPatch, Plan),
    /// A skill.
    Skill(SkillProposal),
    /// Something an agent asks for.
    Capability(CapabilityView),
    /// The result, before it is put into the folder.
    Apply(ApplyOffer),
}

/// What readers of the feed see of a record.
#[derive(Clone, Debug)]
pub struct FeedRow {
    /// The record.
    pub seq: u64,
    /// The project.
    pub project_id: ProjectId,
    /// When.
    pub at: UnixMs,
    /// `noun.verb`.
    pub kind: String,
    /// The task it is about.
    pub task_key: Option<String>,
    /// The project's state afterwards.
    pub project_state: ProjectState,
    /// One line for people.
    pub text: String,
    /// The tasks that changed.
    pub tasks: Vec<TaskId>,
    /// The request it is about.
    pub approval_id: Option<ApprovalId>,
    /// The project itself changed.
    pub project_changed: bool,
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
