//! Why an event changes nothing. A stale fact is not an error: messages are doubled, late and out of order by nature.

use bus_schemas::{
    id::{ApprovalId, MessageId, TaskId},
    time::UnixMs,
};

use super::{budget::Resource, graph::GraphError, state::ProjectState, task::TaskState};
use crate::ledger::Decision;

/// Why an event was not taken; the plan is as it was. `event` is the fact's kind as the journal spells it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// The first event must be `project_created`.
    #[error("{event} cannot be a project's first event")]
    NotFirst {
        /// The event.
        event: &'static str,
    },
    /// There is no event at all.
    #[error("a project without events")]
    NoEvents,
    /// The project is there already.
    #[error("project_created again")]
    AlreadyCreated,
    /// Its tasks do not make a graph.
    #[error("a plan that cannot be worked on")]
    BadPlan(#[from] GraphError),
    /// The children of a `foreach` do not fit in.
    #[error("children of task {task_id}: {problem}")]
    BadChildren {
        /// The `foreach` task.
        task_id: TaskId,
        /// What is wrong.
        problem: String,
    },
    /// A project that is planned begins with its planner, alone.
    #[error("a project that is planned begins with one task, its planner; any other begins without one")]
    NoPlanner,
    /// No such task.
    #[error("{event}: no task {task_id} in the plan")]
    UnknownTask {
        /// The task.
        task_id: TaskId,
        /// The event.
        event: &'static str,
    },
    /// No such request.
    #[error("{event}: no request {approval_id} in the project")]
    UnknownApproval {
        /// The request.
        approval_id: ApprovalId,
        /// The event.
        event: &'static str,
    },
    /// There is a request with this id already.
    #[error("request {approval_id} is there already")]
    DuplicateApproval {
        /// The request.
        approval_id: ApprovalId,
    },
    /// The task is final.
    #[error("{event}: task {task_id} is {state}, which is final")]
    Final {
        /// The task.
        task_id: TaskId,
        /// Its state.
        state: TaskState,
        /// The event.
        event: &'static str,
    },
    /// The project is final, or not in the state the event belongs to.
    #[error("{event}: the project is {state}")]
    WrongProjectState {
        /// Its state.
        state: ProjectState,
        /// The event.
        event: &'static str,
    },
    /// The task is not where the event belongs.
    #[error("{event}: task {task_id} is {state}")]
    WrongState {
        /// The task.
        task_id: TaskId,
        /// Its state.
        state: TaskState,
        /// The event.
        event: &'static str,
    },
    /// The event is about another attempt than the current one.
    #[error("{event}: attempt {number} of task {task_id} is not the current one ({current})")]
    StaleAttempt {
        /// The task.
        task_id: TaskId,
        /// The event's attempt.
        number: u32,
        /// The current attempt.
        current: u32,
        /// The event.
        event: &'static str,
    },
    /// The event is about another claim than the one that holds the attempt.
    #[error("{event}: attempt {number} of task {task_id} is held by another claim")]
    WrongNonce {
        /// The task.
        task_id: TaskId,
        /// The attempt.
        number: u32,
        /// The event.
        event: &'static str,
    },
    /// Another claim won the attempt.
    #[error("attempt {number} of task {task_id} is claimed already")]
    AlreadyClaimed {
        /// The task.
        task_id: TaskId,
        /// The attempt.
        number: u32,
    },
    /// The limit, backoff or deadline has not passed (or its clock does not run now).
    #[error("{event}: not before {not_before:?}")]
    NotDue {
        /// The event.
        event: &'static str,
        /// The instant it belongs to, if there is one.
        not_before: Option<UnixMs>,
    },
    /// The decider saw something else than what the request is about.
    #[error("the decision on request {approval_id} is about another digest")]
    DigestMismatch {
        /// The request.
        approval_id: ApprovalId,
    },
    /// The request is decided.
    #[error("request {approval_id} is {} by {}", decision.verdict.word(), decision.by)]
    NotPending {
        /// The request.
        approval_id: ApprovalId,
        /// What was decided.
        decision: Box<Decision>,
    },
    /// The request's deadline has passed, though nobody has said so yet.
    #[error("request {approval_id} expired")]
    Expired {
        /// The request.
        approval_id: ApprovalId,
        /// When.
        expires_at: UnixMs,
    },
    /// To reject, to request changes or to answer needs words.
    #[error("request {approval_id}: to reject or to request changes, say why; to approve a question, say the answer")]
    NoteRequired {
        /// The request.
        approval_id: ApprovalId,
    },
    /// A question, a limit, a capability and a result are approved or rejected; there is nothing to do again.
    #[error("request {approval_id}: a {subject} cannot be sent back for changes: approve or reject it")]
    WrongVerdict {
        /// The request.
        approval_id: ApprovalId,
        /// What it is about.
        subject: &'static str,
    },
    /// They have no say in the request.
    #[error("request {approval_id}: {by} has no say in it")]
    NotEligible {
        /// The request.
        approval_id: ApprovalId,
        /// Who tried.
        by: String,
    },
    /// They have a say in the request, but not yet.
    #[error("request {approval_id}: {by} has no say in it before {from:?}")]
    NotYet {
        /// The request.
        approval_id: ApprovalId,
        /// Who tried.
        by: String,
        /// From when on they have.
        from: UnixMs,
    },
    /// They started or edited what is asked about.
    #[error("request {approval_id}: {by} started or edited what it is about and cannot approve it; somebody else must")]
    SelfApproval {
        /// The request.
        approval_id: ApprovalId,
        /// Who tried.
        by: String,
    },
    /// They handed their say on.
    #[error("request {approval_id}: {by} handed their say to {to}")]
    HandedOn {
        /// The request.
        approval_id: ApprovalId,
        /// Who tried.
        by: String,
        /// Who has it.
        to: String,
    },
    /// They approved it already; it waits for others.
    #[error("request {approval_id}: {by} has approved it already; it waits for others")]
    AlreadyVoted {
        /// The request.
        approval_id: ApprovalId,
        /// Who tried.
        by: String,
    },
    /// A say cannot be handed to them.
    #[error("request {approval_id}: {problem}")]
    BadDelegation {
        /// The request.
        approval_id: ApprovalId,
        /// Why not.
        problem: String,
    },
    /// A question about the request cannot be put.
    #[error("request {approval_id}: {problem}")]
    CannotAsk {
        /// The request.
        approval_id: ApprovalId,
        /// Why not.
        problem: String,
    },
    /// The request's decision is not remembered.
    #[error("request {approval_id}: {problem}")]
    CannotRemember {
        /// The request.
        approval_id: ApprovalId,
        /// Why not.
        problem: &'static str,
    },
    /// A limit of the task's or the project's budget is reached.
    #[error("the {} budget is used up: {used} of {limit} {resource}", if task_id.is_some() { "task's" } else { "project's" })]
    OverBudget {
        /// Whose limit; `None` for the project's. Not always the task that asked: children use their parent's, too.
        task_id: Option<TaskId>,
        /// Of what.
        resource: Resource,
        /// Used so far.
        used: u64,
        /// The limit.
        limit: u64,
    },
    /// What other calls under way may cost fills a limit. Later there may be room.
    #[error("calls under way may use up the {} budget: {used} of {limit} {resource}", if task_id.is_some() { "task's" } else { "project's" })]
    Reserved {
        /// Whose limit; `None` for the project's.
        task_id: Option<TaskId>,
        /// Of what.
        resource: Resource,
        /// Used and reserved so far.
        used: u64,
        /// The limit.
        limit: u64,
    },
    /// No limit of the task's or the project's budget is reached.
    #[error("task {task_id} is within its budget")]
    WithinBudget {
        /// The task.
        task_id: TaskId,
    },
    /// No such model call of this attempt and claim.
    #[error("attempt {number} of task {task_id} has no model call {call_id}")]
    UnknownCall {
        /// The task.
        task_id: TaskId,
        /// The attempt.
        number: u32,
        /// The call.
        call_id: MessageId,
    },
    /// The plan that was to be replaced is not the one that waits any more.
    #[error("the plan was changed meanwhile: the one that was edited is not the one that waits for approval")]
    AnotherPlan,
    /// A change of the plan does not fit.
    #[error("{problem}")]
    BadPatch {
        /// Why.
        problem: String,
    },
    /// Another change of the plan waits to be decided.
    #[error("another change of the plan waits to be decided: request {approval_id}")]
    PatchPending {
        /// The request about it.
        approval_id: ApprovalId,
    },
    /// The effect is not where the event belongs: there is none, or it started or ended before.
    #[error("{event}: the effect of request {approval_id} is not where that belongs")]
    WrongEffect {
        /// The request.
        approval_id: ApprovalId,
        /// The event.
        event: &'static str,
    },
    /// There is nothing of the kind to apply, finish or undo.
    #[error("{event}: {problem}")]
    WrongApply {
        /// The event.
        event: &'static str,
        /// Why not.
        problem: &'static str,
    },
}
