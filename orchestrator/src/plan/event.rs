//! What happened: everything the plan core is told. Past tense, complete, with time and ids inside.

mod kind;

use bus_schemas::{
    id::{ApprovalId, ClaimNonce, HostId, MessageId, TaskId},
    time::UnixMs,
};
use serde::{Deserialize, Serialize};

use super::budget::{Amount, BudgetSpec};
pub use super::effect::{EffectEnded, EffectStarted, EffectUnknown, EffectVoided};
pub use super::spec::{
    Limit, LimitSpec, PatchSpec, PauseSpec, PolicySpec, ProjectCreated, RememberScope, RememberSpec, TaskKind,
    TaskSpec, Verdict,
};
use crate::ledger::Route;

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
    /// A person said yes or no to a request. A yes is a vote: the ledger says whether it decides.
    ApprovalDecided {
        /// The request.
        approval_id: ApprovalId,
        /// What they said.
        verdict: Verdict,
        /// The digest of what they saw.
        digest: String,
        /// Who: a member's name, or `channel:id` of somebody who is none.
        by: String,
        /// Over which channel.
        channel: String,
        /// Reason, note or answer.
        note: String,
        /// The decision counts for later requests, too.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        remember: Option<RememberSpec>,
    },
    /// Somebody hands their say about a request to somebody else.
    ApprovalDelegated {
        /// The request.
        approval_id: ApprovalId,
        /// Who.
        by: String,
        /// To whom: a member's name.
        to: String,
        /// Over which channel.
        channel: String,
    },
    /// A request was shown to somebody.
    ApprovalViewed {
        /// The request.
        approval_id: ApprovalId,
        /// To whom.
        by: String,
        /// Over which channel.
        channel: String,
    },
    /// Somebody asks the agent about what a request is about, before they decide.
    ApprovalQuestioned {
        /// The request.
        approval_id: ApprovalId,
        /// Who.
        by: String,
        /// Over which channel.
        channel: String,
        /// What.
        question: String,
        /// The task that answers: the agent of the one that is asked about, asked again.
        clarifier: Box<TaskSpec>,
    },
    /// The next instant of a request has come: a reminder, more people who may decide, its deadline.
    #[serde(alias = "approval_expired")]
    ApprovalDue {
        /// The request.
        approval_id: ApprovalId,
    },
    /// Somebody took a remembered decision back.
    RememberedRevoked {
        /// The request whose decision it was.
        approval_id: ApprovalId,
        /// Who.
        by: String,
        /// Over which channel.
        channel: String,
    },
    /// Answer to [`super::Command::OfferResult`]: people are asked whether the result is put into the folder.
    ApplyOffered {
        /// The id the request about it gets.
        approval_id: ApprovalId,
        /// The digest over what is shown.
        digest: String,
        /// How it is decided.
        route: Box<Route>,
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
        /// VM time of the attempt, in milliseconds.
        #[serde(default)]
        vm_ms: u64,
        /// What a clarifier answers; `None` for any other task.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        answer: Option<String>,
        /// How the request about it is decided; without one, as the task's policy says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        route: Option<Box<Route>>,
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
        /// VM time of the attempt, in milliseconds.
        #[serde(default)]
        vm_ms: u64,
    },
    /// An attempt ended without a handoff and without having failed: it waits, its VM does not. Costs no attempt.
    AttemptPaused {
        /// The task.
        task_id: TaskId,
        /// The attempt.
        number: u32,
        /// The claim.
        nonce: ClaimNonce,
        /// What for.
        pause: PauseSpec,
        /// The id a request about it gets, if one is needed.
        approval_id: ApprovalId,
        /// The digest over what such a request shows.
        digest: String,
        /// VM time of the attempt, in milliseconds.
        #[serde(default)]
        vm_ms: u64,
        /// The last turn that is saved: tells whether it came further than the attempt before.
        #[serde(default)]
        saved_turn: u32,
        /// How the request about it is decided; without one, as the task's policy says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        route: Option<Box<Route>>,
    },
    /// A host asks for leave to make a model call. Taken: granted. [`super::Rejected::OverBudget`]: denied.
    /// [`super::Rejected::Reserved`]: later.
    SpendReserved {
        /// The task.
        task_id: TaskId,
        /// The attempt.
        number: u32,
        /// The claim.
        nonce: ClaimNonce,
        /// Names the model call.
        call_id: MessageId,
        /// The most it can cost.
        amount: Amount,
        /// VM time of the attempt so far, in milliseconds.
        vm_ms: u64,
    },
    /// What a model call did cost: also after its attempt, its task or the project ended.
    SpendSettled {
        /// The task.
        task_id: TaskId,
        /// The attempt.
        number: u32,
        /// The claim.
        nonce: ClaimNonce,
        /// Names the model call.
        call_id: MessageId,
        /// What it did cost.
        amount: Amount,
        /// VM time of the attempt so far, in milliseconds.
        vm_ms: u64,
    },
    /// A ready task could not be offered for [`super::Rejected::OverBudget`]: it waits for people instead.
    BudgetReached {
        /// The task.
        task_id: TaskId,
        /// The id a request about it gets, if one is needed.
        approval_id: ApprovalId,
        /// The digest over what such a request shows.
        digest: String,
        /// How the request about it is decided; without one, as the task's policy says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        route: Option<Box<Route>>,
    },
    /// Somebody sets new limits. Tasks that waited for them go on.
    BudgetRaised {
        /// Whose; `None` for the project's.
        task_id: Option<TaskId>,
        /// The new limits; what is absent stays.
        budget: BudgetSpec,
        /// Who.
        by: String,
        /// Over which channel.
        channel: String,
    },
    /// Somebody has something to say to a task: to the attempt that runs, and to those after it.
    NoteTold {
        /// The task.
        task_id: TaskId,
        /// Tells it from every other note of the task.
        note_id: String,
        /// Who.
        from: String,
        /// What.
        text: String,
    },
    /// A plan for a project that has not started: a planner's (answer to [`super::Command::AdoptPlan`]), or another one by
    /// a person. It takes the place of any proposed before.
    PlanProposed {
        /// The planner whose plan it is; `None` for a person's. A planner's plan is decided by the policy the project was
        /// created with and cannot loosen its budget.
        task_id: Option<TaskId>,
        /// Its tasks, in plan order.
        tasks: Vec<TaskSpec>,
        /// The digest over the plan as it is shown.
        plan_digest: String,
        /// Who approves it, if the project did not begin with a planner.
        policy: PolicySpec,
        /// The id the request about it gets.
        approval_id: ApprovalId,
        /// The most the project may use.
        budget: BudgetSpec,
        /// Who approves changes of it while it runs.
        replan_policy: PolicySpec,
        /// Who.
        by: String,
        /// Over which channel.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        channel: String,
        /// How the request about it is decided; without one, as `policy` (or the one the project was created with) says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        route: Option<Box<Route>>,
        /// Whether the result is asked about and then put into the folder; `None`: as it was before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        offers_result: Option<bool>,
        /// The digest of the plan it is to take the place of; empty: of whichever waits.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        instead_of: String,
    },
    /// Answer to [`super::Command::AdoptPlan`]: what the planner handed on is no plan that can be worked on.
    PlanUnusable {
        /// The planner.
        task_id: TaskId,
        /// Why: goes to its next attempt.
        reason: String,
    },
    /// An agent wants the plan changed. The project's policy for that decides.
    PatchProposed {
        /// The task whose agent it is.
        task_id: TaskId,
        /// The attempt.
        number: u32,
        /// The claim.
        nonce: ClaimNonce,
        /// How.
        patch: PatchSpec,
        /// The id the request about it gets.
        approval_id: ApprovalId,
        /// The digest over the plan as it would be.
        digest: String,
        /// How the request about it is decided; without one, as the task's policy says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        route: Option<Box<Route>>,
    },
    /// An agent proposes a skill. A person admits it, or not.
    SkillProposed {
        /// The task whose agent it is.
        task_id: TaskId,
        /// The attempt.
        number: u32,
        /// The claim.
        nonce: ClaimNonce,
        /// The skill's name.
        name: String,
        /// The id the request about it gets.
        approval_id: ApprovalId,
        /// The digest over its files.
        digest: String,
        /// How the request about it is decided; without one, as the task's policy says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        route: Option<Box<Route>>,
    },
    /// Answer to [`super::Command::StartEffect`]: it runs from here on.
    EffectStarted(EffectStarted),
    /// Answer to [`super::Command::StartEffect`]: it does not run.
    EffectVoided(EffectVoided),
    /// Answer to [`super::Command::RunEffect`].
    EffectEnded(EffectEnded),
    /// Answer to [`super::Command::RunEffect`] after a restart: it may have run, and is not run again.
    EffectUnknown(EffectUnknown),
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
        /// Over which channel.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        channel: String,
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
    /// Somebody wants the result in the folder, and it could not be offered yet to those who approve that.
    ApplyWanted {
        /// Who.
        by: String,
    },
    /// Answer to [`super::Command::ApplyResult`]: it cannot be put into the folder now, nothing was written. Somebody can still
    /// `baton apply`.
    ApplyRefused {
        /// Why.
        detail: String,
    },
    /// The result is being written to the folder; the undo record is in place.
    ApplyStarted {
        /// Who asked.
        by: String,
        /// Over which channel.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        channel: String,
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
        /// Over which channel.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        channel: String,
    },
    /// The last apply was taken back, finished or not: the folder is as it was before.
    ApplyUndone {
        /// Who asked.
        by: String,
        /// Over which channel.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        channel: String,
    },
}
