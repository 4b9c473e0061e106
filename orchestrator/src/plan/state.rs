//! A project's state: its tasks, requests, result and applies, with indexes so that no question scans all tasks.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
};

use bus_schemas::{
    id::{ApprovalId, ProjectId, TaskId},
    time::UnixMs,
};

use super::{
    budget::{BudgetSpec, Ledger, Resource, Stopwatch},
    effect::Effect,
    event::{CommitId, PatchSpec, PolicySpec},
    graph::TaskGraph,
    request::Approval,
    task::{Task, TaskState},
    timer::Timer,
};

/// Where a project is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProjectState {
    /// An agent works out the plan.
    Planning,
    /// The plan waits for a person.
    AwaitingApproval,
    /// Tasks are worked on, or the result is merged.
    Working,
    /// Every task ended well; there is a result.
    Completed,
    /// Some task ended badly, or the result could not be merged.
    Failed,
    /// Somebody stopped it.
    Canceled,
    /// Somebody refused the plan, or asked for another one.
    Rejected,
}

impl ProjectState {
    /// No further task starts.
    #[must_use]
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Planning | Self::AwaitingApproval | Self::Working)
    }

    /// Tasks are offered to hosts. (Where the plan waits for a person, only those that answer a question about it.)
    #[must_use]
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Planning | Self::Working)
    }

    /// The glossary's word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Planning => "planning",
            Self::AwaitingApproval => "awaiting_approval",
            Self::Working => "working",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::Rejected => "rejected",
        }
    }
}

impl fmt::Display for ProjectState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// One writing of the result into the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Apply {
    /// Who asked.
    pub by: String,
    /// The folder as it was.
    pub before_commit: CommitId,
    /// The folder as it shall be.
    pub after_commit: CommitId,
    /// When it began.
    pub started_at: UnixMs,
    /// When every path was written.
    pub finished_at: Option<UnixMs>,
    /// Why it stopped half-way, until it goes on.
    pub stalled: Option<String>,
    /// When, and for what reason, it was given up before anything was written.
    pub stopped: Option<(UnixMs, String)>,
    /// When, and by whom, it was taken back.
    pub undone: Option<(UnixMs, String)>,
}

impl Apply {
    /// The folder holds it, or may hold some of it.
    #[must_use]
    pub const fn stands(&self) -> bool {
        self.undone.is_none() && self.stopped.is_none()
    }
}

/// What a request about a limit is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetWait {
    /// Whose limit; `None` for the project's.
    pub task_id: Option<TaskId>,
    /// Of what.
    pub resource: Resource,
    /// Used and reserved when it was asked.
    pub used: u64,
    /// The limit when it was asked.
    pub limit: u64,
    /// The tasks that wait for it: one request for all of them.
    pub(super) waiting: BTreeSet<usize>,
    pub(super) owner: Option<usize>,
}

/// A change of the plan that was proposed.
#[derive(Clone, Debug, PartialEq)]
pub struct Patch {
    /// The task whose agent proposed it.
    pub task_id: TaskId,
    /// The change.
    pub spec: PatchSpec,
    /// What became of it.
    pub state: PatchState,
}

/// What became of a proposed change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatchState {
    /// It waits for a person.
    Pending,
    /// It is in force.
    Applied,
    /// It never will be: refused, or (though approved) it no longer fitted. With the reason.
    Void(String),
}

/// A project's state. Made by [`Plan::create`], changed only by [`super::step()`]; equal events make equal plans.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub(super) project_id: ProjectId,
    pub(super) state: ProjectState,
    pub(super) reason: String,
    pub(super) created_at: UnixMs,
    pub(super) changed_at: UnixMs,
    pub(super) base_commit: CommitId,
    pub(super) plan_digest: String,
    pub(super) result_commit: Option<CommitId>,
    /// [`super::Command::MergeResult`] is under way.
    pub(super) merging_result: bool,
    /// Who decides about a planner's plan.
    pub(super) planning: Option<PolicySpec>,
    /// What the project was given before there was a plan.
    pub(super) given_budget: BudgetSpec,
    /// The budget of the plan that waits for its approval.
    pub(super) proposed_budget: Option<BudgetSpec>,
    /// Who decides about changes of the plan.
    pub(super) replan_policy: Option<PolicySpec>,
    /// The project's budget.
    pub(super) ledger: Ledger,
    /// Its wall time.
    pub(super) wall: Stopwatch,
    /// Requests about limits that wait for a person.
    pub(super) budget_waits: BTreeMap<ApprovalId, BudgetWait>,
    /// The same by whose limit (`None`: the project's) and which.
    pub(super) budgets_asked: BTreeMap<(Option<usize>, Resource), ApprovalId>,
    /// Every proposed change of the plan.
    pub(super) patches: BTreeMap<ApprovalId, Patch>,
    /// Every proposed skill's name.
    pub(super) skills: BTreeMap<ApprovalId, String>,
    /// Every effect people were asked about, by the request.
    pub(super) effects: BTreeMap<ApprovalId, Effect>,
    /// Those that may run now.
    pub(super) running_effects: BTreeSet<ApprovalId>,
    /// Every apply there was, oldest first; only the last can stand.
    pub(super) applies: Vec<Apply>,
    /// People are asked whether the result is put into the folder.
    pub(super) offers_result: bool,
    /// [`super::Command::OfferResult`] is under way.
    pub(super) offering_result: bool,

    pub(super) graph: TaskGraph,
    /// In plan order; children of `foreach` come after the plan's own.
    pub(super) tasks: Vec<Task>,
    pub(super) numbers: HashMap<TaskId, usize>,
    pub(super) approvals: BTreeMap<ApprovalId, Approval>,

    /// Ready tasks by the instant they may be offered from.
    pub(super) ready: BTreeSet<(UnixMs, usize)>,
    /// Everything that has a deadline.
    pub(super) timers: BTreeSet<(UnixMs, Timer)>,
    /// Requests that wait for a person.
    pub(super) pending: BTreeSet<ApprovalId>,
    /// Tasks submitted or working.
    pub(super) outstanding: u32,
    /// Tasks that are not final.
    pub(super) open: usize,
}

impl Plan {
    /// The project.
    #[must_use]
    pub const fn project_id(&self) -> ProjectId {
        self.project_id
    }

    /// Where the project is.
    #[must_use]
    pub const fn state(&self) -> ProjectState {
        self.state
    }

    /// Why, where there is something to say; else empty.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// When it was created.
    #[must_use]
    pub const fn created_at(&self) -> UnixMs {
        self.created_at
    }

    /// When its state last changed.
    #[must_use]
    pub const fn changed_at(&self) -> UnixMs {
        self.changed_at
    }

    /// The commit its folder was copied into.
    #[must_use]
    pub fn base_commit(&self) -> &str {
        &self.base_commit
    }

    /// Nothing more happens by itself.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.state.is_final() && !self.offering_result && self.running_effects.is_empty() && self.timers.is_empty()
    }

    /// The digest over the plan as it was shown.
    #[must_use]
    pub fn plan_digest(&self) -> &str {
        &self.plan_digest
    }

    /// The commit that holds its result, once it is completed.
    #[must_use]
    pub fn result_commit(&self) -> Option<&str> {
        self.result_commit.as_deref()
    }

    /// Every writing of the result into the folder, oldest first.
    #[must_use]
    pub fn applies(&self) -> &[Apply] {
        &self.applies
    }

    /// The apply that stands: begun (and perhaps not finished), not stopped, not undone.
    #[must_use]
    pub fn standing_apply(&self) -> Option<&Apply> {
        self.applies.last().filter(|apply| apply.stands())
    }

    /// When the result was applied, unless that was undone.
    #[must_use]
    pub fn applied_at(&self) -> Option<UnixMs> {
        self.standing_apply().and_then(|apply| apply.finished_at)
    }

    /// Which task needs which; tasks are numbered as [`Plan::tasks`] lists them.
    #[must_use]
    pub const fn graph(&self) -> &TaskGraph {
        &self.graph
    }

    /// Every task in plan order; children of `foreach` come last.
    #[must_use]
    pub fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    /// One task.
    #[must_use]
    pub fn task(&self, task_id: TaskId) -> Option<&Task> {
        self.tasks.get(*self.numbers.get(&task_id)?)
    }

    /// The children a `foreach` task was expanded into, in order; empty for any other task.
    pub fn children(&self, task_id: TaskId) -> impl Iterator<Item = &Task> {
        let children = self.task(task_id).map(|task| task.children.as_slice()).unwrap_or_default();
        children.iter().filter_map(|number| self.tasks.get(*number))
    }

    /// The `foreach` task a child was made by.
    #[must_use]
    pub fn parent(&self, task_id: TaskId) -> Option<&Task> {
        self.tasks.get(self.task(task_id)?.parent?)
    }

    /// One request.
    #[must_use]
    pub fn approval(&self, approval_id: ApprovalId) -> Option<&Approval> {
        self.approvals.get(&approval_id)
    }

    /// Every request, oldest first (by id).
    pub fn approvals(&self) -> impl Iterator<Item = &Approval> {
        self.approvals.values()
    }

    /// Requests that wait for a person, oldest first.
    pub fn pending_approvals(&self) -> impl Iterator<Item = &Approval> {
        self.pending.iter().filter_map(|id| self.approvals.get(id))
    }

    /// The project's budget and what is used of it.
    #[must_use]
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The project's wall time: the time in which it was planned or worked on, without that in which only people were
    /// waited for.
    #[must_use]
    pub fn wall_ms(&self, at: UnixMs) -> u64 {
        self.wall.passed_ms(at)
    }

    /// What a pending request about a limit is about.
    #[must_use]
    pub fn budget_wait(&self, approval_id: ApprovalId) -> Option<&BudgetWait> {
        self.budget_waits.get(&approval_id)
    }

    /// A proposed change of the plan, by its request.
    #[must_use]
    pub fn patch(&self, approval_id: ApprovalId) -> Option<&Patch> {
        self.patches.get(&approval_id)
    }

    /// A proposed skill's name, by its request.
    #[must_use]
    pub fn skill(&self, approval_id: ApprovalId) -> Option<&str> {
        self.skills.get(&approval_id).map(String::as_str)
    }

    /// An effect, by the request about it.
    #[must_use]
    pub fn effect(&self, approval_id: ApprovalId) -> Option<&Effect> {
        self.effects.get(&approval_id)
    }

    /// The planner, in a project that began with one.
    #[must_use]
    pub fn planner(&self) -> Option<&Task> {
        self.tasks.first().filter(|task| task.spec.kind == super::event::TaskKind::Planner)
    }

    /// The task that a clarifier works for.
    #[must_use]
    pub fn asker(&self, task_id: TaskId) -> Option<&Task> {
        self.tasks.get(self.task(task_id)?.asker?)
    }

    /// Tasks that take a slot: submitted or working (a `foreach` task itself takes none).
    #[must_use]
    pub const fn outstanding(&self) -> u32 {
        self.outstanding
    }

    /// Tasks that are not final.
    #[must_use]
    pub const fn open_tasks(&self) -> usize {
        self.open
    }

    /// How many tasks are in each state (counts all tasks: for listings, not for decisions).
    #[must_use]
    pub fn counts(&self) -> BTreeMap<TaskState, u32> {
        let mut counts = BTreeMap::new();
        for task in &self.tasks {
            *counts.entry(task.state).or_insert(0) += 1;
        }
        counts
    }
}
