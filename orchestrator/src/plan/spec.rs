//! What events carry: tasks, limits, policies, pauses, patches as the core needs them.

use bus_schemas::{
    id::{ApprovalId, ProjectId, TaskId},
    time::UnixMs,
};
use serde::{Deserialize, Serialize};

use super::{budget::BudgetSpec, event::CommitId};
use crate::ledger::Route;

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
    /// The most the project may use.
    #[serde(default)]
    pub budget: BudgetSpec,
    /// Its only task is a planner; this decides about the plan the planner will propose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planning: Option<PolicySpec>,
    /// Who approves changes of the plan while it runs; without it, a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replan_policy: Option<PolicySpec>,
    /// How the request about the plan is decided; without it, as `plan_policy` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<Box<Route>>,
    /// The result of the completed project is asked about and then put into the folder.
    #[serde(default)]
    pub offers_result: bool,
}

/// How a decision is remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RememberSpec {
    /// For which requests.
    pub scope: RememberScope,
    /// Until when.
    pub until: UnixMs,
}

/// For which requests a decision is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RememberScope {
    /// Of the same project.
    Project,
    /// Of every project of the same folder.
    Folder,
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
    /// Who works it.
    #[serde(default)]
    pub kind: TaskKind,
    /// The most it may use, children and clarifiers included.
    #[serde(default)]
    pub budget: BudgetSpec,
}

/// Who works a task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskKind {
    /// A script.
    #[default]
    Script,
    /// An agent.
    Agent,
    /// An agent that proposes the project's plan; no part of its result.
    Planner,
    /// The agent of a done task, asked what it meant; no part of the project's result.
    Clarifier,
}

impl TaskKind {
    /// It only helps: what it hands on is no part of the result, and its end decides nothing about the project's.
    #[must_use]
    pub const fn is_helper(self) -> bool {
        matches!(self, Self::Planner | Self::Clarifier)
    }
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

/// Why an attempt pauses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PauseSpec {
    /// Its agent asks a person.
    Question {
        /// What. Untrusted text.
        question: String,
    },
    /// Its agent asks for something beyond its task.
    Capability {
        /// A host its VM may reach.
        host: String,
    },
    /// Its agent asks for something to be done in the outside world.
    Effect {
        /// Its name.
        name: String,
        /// Why nobody is asked: it cannot be done as it was asked for. A sentence's end.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        problem: Option<String>,
    },
    /// Its agent asks for the use of a secret.
    Secret {
        /// Its name.
        name: String,
        /// Where it goes, as people are shown it; empty in old records, and where there is none.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        terms: String,
        /// Why nobody is asked: it cannot be granted at all. A sentence's end.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        problem: Option<String>,
    },
    /// A limit of the budget is reached; the core knows which.
    Budget,
    /// The provider lets nobody through for long.
    RateLimited {
        /// When to try again.
        resume_at: UnixMs,
    },
    /// The handoff of a needed task goes back with a question.
    Bounce {
        /// The needed task.
        need: TaskId,
        /// The task that answers: the agent of the needed one, asked again.
        clarifier: Box<TaskSpec>,
    },
}

/// A change of a running plan. Only what has not started may be dropped or changed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PatchSpec {
    /// New tasks.
    pub add: Vec<TaskSpec>,
    /// Tasks that are no longer wanted.
    pub drop: Vec<TaskId>,
    /// What tasks need instead.
    pub needs: Vec<(TaskId, Vec<TaskId>)>,
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
