//! What is asked for: everything the plan core wants done. The outbox performs these; each may be performed twice.

use bus_schemas::id::{ApprovalId, TaskId};
use serde::{Deserialize, Serialize};

use super::{budget::Resource, event::CommitId};

/// Something to be done outside the core.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Command {
    /// Make a request known to people (publish it on the feed).
    Ask {
        /// The request.
        approval_id: ApprovalId,
    },
    /// Make a decision known (publish it on the feed).
    Tell {
        /// The request.
        approval_id: ApprovalId,
    },
    /// A request is not decided but looks different now: another vote, another delegate, an answer (publish it on the feed).
    Reshow {
        /// The request.
        approval_id: ApprovalId,
    },
    /// Remind those who can decide a request (publish it on the feed).
    Remind {
        /// The request.
        approval_id: ApprovalId,
    },
    /// More people may decide a request from now on (publish it on the feed).
    Widen {
        /// The request.
        approval_id: ApprovalId,
    },
    /// Work out what the result changes in the folder and how that is decided. Answered by `ApplyOffered`.
    OfferResult,
    /// The result was approved: put it into the folder as somebody's `baton apply` would. Answered by `ApplyStarted` and what
    /// follows it, or by `ApplyRefused`.
    ApplyResult {
        /// The request that was approved.
        approval_id: ApprovalId,
    },
    /// Merge what a task needs, evaluate its `when`, expand its `foreach`. Only emitted where there is something to do:
    /// a task with one distinct parent commit, no `when` and no `foreach` becomes ready at once.
    /// Answered by `TaskPrepared`, `TaskExpanded` or `PrepareFailed`.
    Prepare {
        /// The task.
        task_id: TaskId,
        /// The distinct commits to merge, in plan order.
        parents: Vec<CommitId>,
        /// Evaluate `when`.
        evaluate_when: bool,
        /// Expand `foreach`.
        expand: bool,
    },
    /// Merge what the children of a `foreach` handed on. Answered by `ChildrenMerged` or `PrepareFailed`.
    MergeChildren {
        /// The `foreach` task.
        task_id: TaskId,
        /// The distinct commits, in order.
        parents: Vec<CommitId>,
    },
    /// Offer an attempt to the hosts.
    Offer {
        /// The task.
        task_id: TaskId,
        /// The attempt.
        number: u32,
    },
    /// Withdraw an attempt: its VM must go.
    CancelAttempt {
        /// The task.
        task_id: TaskId,
        /// The attempt.
        number: u32,
        /// Why.
        reason: String,
    },
    /// Bring a handed-off commit into the shadow repository, so that it survives the loss of the object store.
    KeepCommit {
        /// The commit.
        commit: CommitId,
    },
    /// Merge what the last tasks handed on into the project's result. Answered by `ResultMerged` or `ResultMergeFailed`.
    MergeResult {
        /// The distinct commits, in plan order.
        parents: Vec<CommitId>,
    },
    /// Write the difference between two commits into the folder (again, after a restart in the middle). Answered by
    /// `ApplyFinished`, `ApplyStopped` or `ApplyStalled`.
    WriteFolder {
        /// The folder as it was.
        before_commit: CommitId,
        /// The folder as it shall be.
        after_commit: CommitId,
    },
    /// Tell the attempt that runs what somebody said; the note is in the task's.
    TellAttempt {
        /// The task.
        task_id: TaskId,
        /// The attempt.
        number: u32,
        /// The note.
        note_id: String,
    },
    /// Check what the planner handed on and lower it. Answered by `PlanProposed` or `PlanUnusable`.
    AdoptPlan {
        /// The planner.
        task_id: TaskId,
    },
    /// A change of the plan is in force: the plan document is another one from here on.
    PatchApplied {
        /// The request about it.
        approval_id: ApprovalId,
    },
    /// Put a proposed skill where projects find it.
    AdmitSkill {
        /// The request about it.
        approval_id: ApprovalId,
        /// Its name.
        name: String,
    },
    /// An effect was approved: see whether it is still what would be run. Answered by `EffectStarted` or `EffectVoided`.
    StartEffect {
        /// The request that was approved.
        approval_id: ApprovalId,
    },
    /// Run it, unless it may have run before (a command that is performed again after a restart). Answered by `EffectEnded` or
    /// `EffectUnknown`.
    RunEffect {
        /// The request that was approved.
        approval_id: ApprovalId,
    },
    /// Warn people: so much of a limit is used (publish it on the feed).
    Warn {
        /// Whose limit; `None` for the project's.
        task_id: Option<TaskId>,
        /// Which.
        resource: Resource,
        /// How much of it, of [`super::budget::WARN_AT`].
        percent: u8,
    },
    /// Make a task's new state known (publish it on the feed).
    TaskChanged {
        /// The task.
        task_id: TaskId,
    },
    /// Make the project's new state known (publish it on the feed).
    ProjectChanged,
}
