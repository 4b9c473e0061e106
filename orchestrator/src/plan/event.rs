//! What happened: everything the plan core is told. Past tense, complete, with time and ids inside.

use bus_schemas::{
    id::{ApprovalId, ClaimNonce, HostId, ProjectId, TaskId},
    time::UnixMs,
};
use serde::{Deserialize, Serialize};

/// A commit of the project's shadow repository, 40 lower-case hex digits.
pub type CommitId = String;

/// Something that happened, at an instant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When it happened, by the orchestrator's clock.
    pub at: UnixMs,
    /// What.
    pub fact: Fact,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fact {
    /// A project came into being: always the first event, never a later one.
    ProjectCreated(ProjectCreated),
    /// A person (or a policy) decided a request.
    ApprovalDecided {
        /// The request.
        approval_id: ApprovalId,
        /// The decision.
        verdict: Verdict,
        /// The digest of what the decider saw.
        digest: String,
        /// Who.
        by: String,
        /// Over which channel.
        channel: String,
        /// Reason or note.
        note: String,
    },
    /// A request's deadline passed.
    ApprovalExpired {
        /// The request.
        approval_id: ApprovalId,
    },
    /// Answer to [`super::Command::Prepare`]: the task can start from this commit.
    TaskPrepared {
        /// The task.
        task_id: TaskId,
        /// The merge of what it needs.
        base_commit: CommitId,
        /// What its `when` said (true without one).
        when: bool,
    },
    /// Answer to [`super::Command::Prepare`] with `expand`: one task per element.
    TaskExpanded {
        /// The `foreach` task.
        task_id: TaskId,
        /// The merge of what it needs.
        base_commit: CommitId,
        /// Its children, in order; they need what it needs.
        children: Vec<TaskSpec>,
    },
    /// Answer to [`super::Command::Prepare`]: it cannot start. Final.
    PrepareFailed {
        /// The task.
        task_id: TaskId,
        /// Why: a merge conflict, an expression that fails …
        reason: String,
    },
    /// Answer to [`super::Command::MergeChildren`].
    ChildrenMerged {
        /// The `foreach` task.
        task_id: TaskId,
        /// The merge of its children's commits.
        commit: CommitId,
    },
    /// An attempt was offered to the hosts (decided by [`super::dispatch`]).
    AttemptOffered {
        /// The task.
        task_id: TaskId,
        /// The attempt.
        number: u32,
    },
    /// A host claimed an attempt.
    AttemptClaimed {
        /// The task.
        task_id: TaskId,
        /// The attempt.
        number: u32,
        /// The claim.
        nonce: ClaimNonce,
        /// The host.
        host_id: HostId,
    },
    /// An attempt entered another stage.
    AttemptStaged {
        /// The task.
        task_id: TaskId,
        /// The attempt.
        number: u32,
        /// The claim.
        nonce: ClaimNonce,
        /// The stage's word.
        stage: String,
    },
    /// An attempt ended in a handoff.
    HandoffReceived {
        /// The task.
        task_id: TaskId,
        /// The attempt.
        number: u32,
        /// The claim.
        nonce: ClaimNonce,
        /// What it hands on.
        commit: CommitId,
        /// There is evidence, and all of it passed.
        proven: bool,
        /// The digest over the handoff.
        digest: String,
        /// The id a request about it gets, if one is needed.
        approval_id: ApprovalId,
    },
    /// An attempt ended without a handoff.
    AttemptFailed {
        /// The task.
        task_id: TaskId,
        /// The attempt.
        number: u32,
        /// The claim.
        nonce: ClaimNonce,
        /// Why, as a word.
        reason: String,
        /// More, for people and for the next attempt.
        detail: String,
        /// Another attempt may end differently.
        retryable: bool,
    },
    /// An attempt ran into one of the four limits.
    LimitReached {
        /// The task.
        task_id: TaskId,
        /// The attempt (0 for [`Limit::ScheduleToClose`] before the first one).
        number: u32,
        /// Which.
        limit: Limit,
    },
    /// Somebody stops a task, or the whole project.
    CancelRequested {
        /// The task; `None` for the whole project.
        task_id: Option<TaskId>,
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// Answer to [`super::Command::MergeResult`].
    ResultMerged {
        /// The commit that holds the project's result.
        commit: CommitId,
    },
    /// Answer to [`super::Command::MergeResult`].
    ResultMergeFailed {
        /// Why.
        reason: String,
    },
    /// The result is being written to the folder; the undo record is in place.
    ApplyStarted {
        /// Who asked.
        by: String,
        /// The folder as it was just before.
        before_commit: CommitId,
        /// The folder as it will be.
        after_commit: CommitId,
    },
    /// Every path of the apply is written.
    ApplyFinished,
    /// Nothing of the apply under way could be written: the folder is as it was, and the result is not applied.
    ApplyStopped {
        /// What is in the way.
        detail: String,
    },
    /// The apply under way stopped half-way: some of it is in the folder, and nobody goes on by themselves.
    ApplyStalled {
        /// What is in the way.
        detail: String,
    },
    /// The rest of an unfinished apply is written.
    ApplyResumed {
        /// Who asked.
        by: String,
    },
    /// The last apply was taken back, finished or not: the folder is as it was before.
    ApplyUndone {
        /// Who asked.
        by: String,
    },
}

impl Fact {
    /// Its kind, as the journal spells it.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::ProjectCreated(_) => "project_created",
            Self::ApprovalDecided { .. } => "approval_decided",
            Self::ApprovalExpired { .. } => "approval_expired",
            Self::TaskPrepared { .. } => "task_prepared",
            Self::TaskExpanded { .. } => "task_expanded",
            Self::PrepareFailed { .. } => "prepare_failed",
            Self::ChildrenMerged { .. } => "children_merged",
            Self::AttemptOffered { .. } => "attempt_offered",
            Self::AttemptClaimed { .. } => "attempt_claimed",
            Self::AttemptStaged { .. } => "attempt_staged",
            Self::HandoffReceived { .. } => "handoff_received",
            Self::AttemptFailed { .. } => "attempt_failed",
            Self::LimitReached { .. } => "limit_reached",
            Self::CancelRequested { .. } => "cancel_requested",
            Self::ResultMerged { .. } => "result_merged",
            Self::ResultMergeFailed { .. } => "result_merge_failed",
            Self::ApplyStarted { .. } => "apply_started",
            Self::ApplyFinished => "apply_finished",
            Self::ApplyStopped { .. } => "apply_stopped",
            Self::ApplyStalled { .. } => "apply_stalled",
            Self::ApplyResumed { .. } => "apply_resumed",
            Self::ApplyUndone { .. } => "apply_undone",
        }
    }
}

/// The first event's content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProjectCreated {
    /// The project.
    pub project_id: ProjectId,
    /// Its tasks, in plan order.
    pub tasks: Vec<TaskSpec>,
    /// The commit its folder was copied into.
    pub base_commit: CommitId,
    /// The digest over the plan as it was shown.
    pub plan_digest: String,
    /// Who approves the plan.
    pub plan_policy: PolicySpec,
    /// The id the request about the plan gets.
    pub approval_id: ApprovalId,
}

/// A task as the core needs it; what it does stays with the driver.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskSpec {
    /// The task.
    pub task_id: TaskId,
    /// Its key in the plan.
    pub key: String,
    /// The tasks it needs.
    pub needs: Vec<TaskId>,
    /// Attempts it gets at most (1 + retries).
    pub max_attempts: u32,
    /// The delay before the second attempt, in milliseconds; doubles.
    pub backoff_ms: u64,
    /// The longest delay, in milliseconds.
    pub max_backoff_ms: u64,
    /// The four limits.
    pub limits: LimitSpec,
    /// Who approves the handoff.
    pub policy: PolicySpec,
    /// It has a `when`.
    pub has_when: bool,
    /// It is a `foreach`: expanded into children, works nothing itself.
    pub is_foreach: bool,
}

/// The four limits, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitSpec {
    /// From the offer to the claim.
    pub schedule_to_start_ms: u64,
    /// From the claim to the handoff.
    pub start_to_close_ms: u64,
    /// Between two signs of life of the host that holds it.
    pub heartbeat_ms: u64,
    /// From the first offer to the end of the last attempt, waiting for people not counted.
    pub schedule_to_close_ms: u64,
}

/// An approval policy as the core needs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicySpec {
    /// Its name.
    pub name: String,
    /// A person is asked; otherwise it approves by itself.
    pub asks: bool,
    /// How long a person may take, in milliseconds.
    pub deadline_ms: Option<u64>,
}

/// A decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Go on.
    Approved,
    /// Again, with the note.
    ChangesRequested,
    /// No.
    Rejected,
}

/// One of the four limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// No host claimed it.
    ScheduleToStart,
    /// It took too long.
    StartToClose,
    /// Its host went silent.
    Heartbeat,
    /// All its attempts together took too long.
    ScheduleToClose,
}
