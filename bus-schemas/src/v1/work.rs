//! What the HTTP API says about agents' work: what it costs, what it may cost, what agents ask and propose.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    agent::Resource,
    api::{Finding, PlanSource},
    plan::{Budget, Plan},
};

/// What a project or a task used so far, its running attempts included.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct SpendView {
    /// Model calls.
    pub calls: u64,
    /// Their tokens, all kinds together.
    pub tokens: u64,
    /// Their price in billionths of a US dollar.
    pub usd_nanos: u64,
    /// What calls that are under way may cost at most, in billionths of a US dollar.
    pub reserved_usd_nanos: u64,
    /// A price was not known, and the dearest known one was taken.
    pub price_assumed: bool,
    /// VM time, in milliseconds.
    pub vm_ms: u64,
    /// The limits of its budget.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<LimitView>,
}

impl SpendView {
    /// Nothing was used and nothing is limited.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// One limit of a budget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LimitView {
    /// Of what.
    pub resource: Resource,
    /// Used and reserved, in the resource's unit.
    pub used: u64,
    /// The most.
    pub limit: u64,
    /// The highest of 50, 80, 95 and 100 percent that was reached; 0 for none.
    #[serde(default)]
    pub warned: u32,
}

/// What a plan may cost and how long it may take: from, to. Retries and the time people take are not counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct EstimateView {
    /// Tasks for agents.
    pub agent_tasks: u32,
    /// Model tokens, at least.
    pub tokens_low: u64,
    /// Model tokens, at most.
    pub tokens_high: u64,
    /// Their price in billionths of a US dollar, at least.
    pub usd_nanos_low: u64,
    /// Their price, at most.
    pub usd_nanos_high: u64,
    /// Every model's price is known.
    pub priced: bool,
    /// Time, at least, in milliseconds, if enough hosts are free.
    pub wall_ms_low: u64,
    /// Time, at most, in milliseconds.
    pub wall_ms_high: u64,
}

/// What an agent asks. Untrusted text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct QuestionView {
    /// The question.
    pub question: String,
    /// Answers it suggests.
    #[serde(default)]
    pub options: Vec<String>,
    /// It is stuck: it repeats itself, or its answers make no sense.
    #[serde(default)]
    pub stuck: bool,
    /// The orchestrator asks, not the agent: what became of an effect whose end it did not see.
    #[serde(default, skip_serializing_if = "is_no")]
    pub by_baton: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_no(yes: &bool) -> bool {
    !*yes
}

/// A limit that was reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OverBudgetView {
    /// Whose limit: the task's key, or empty for the project's.
    #[serde(default)]
    pub task_key: String,
    /// Of what.
    pub resource: Resource,
    /// Used and reserved then.
    pub used: u64,
    /// The limit then; approving adds the original one once more.
    pub limit: u64,
}

/// A skill that an agent proposes. Untrusted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SkillProposal {
    /// Its name.
    pub name: String,
    /// Its files by path.
    pub files: BTreeMap<String, String>,
    /// What is odd about it.
    #[serde(default)]
    pub findings: Vec<Finding>,
}

/// The plan a project works on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PlanView {
    /// It.
    pub plan: Plan,
    /// Nothing has started: it may be edited.
    pub editable: bool,
    /// While it may be edited: the digest of the request that waits. An edit names it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub digest: String,
    /// What it may cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<EstimateView>,
}

/// Another plan in place of the one that waits for approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EditPlanRequest {
    /// The plan.
    pub plan: PlanSource,
    /// Who edited it.
    pub by: String,
    /// Over which channel.
    #[serde(default = "super::api::cli")]
    pub channel: String,
    /// The digest of the plan that was edited: if another waits by now, nothing is changed (`digest_mismatch`). Empty: whichever
    /// waits is replaced.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub digest: String,
}

/// Say something to an agent that works, or to the next attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TellRequest {
    /// The task's key; without it, every task that is worked on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// What.
    pub text: String,
    /// Who says it.
    pub by: String,
    /// Over which channel.
    #[serde(default = "super::api::cli")]
    pub channel: String,
}

/// Who will hear it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TellView {
    /// Keys of tasks whose agent hears it at its next turn.
    pub now: Vec<String>,
    /// Keys of tasks whose next attempt hears it.
    pub later: Vec<String>,
}

/// Other limits for a project, or one task of it. What is absent stays as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BudgetRequest {
    /// The task's key; without it the project's budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// The new limits.
    pub budget: Budget,
    /// Who asks.
    pub by: String,
    /// Over which channel.
    #[serde(default = "super::api::cli")]
    pub channel: String,
}
