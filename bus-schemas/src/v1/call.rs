//! What a host asks the orchestrator while an attempt runs, and gets answered at once: request and reply on
//! [`crate::subject::CALLS`]. A call may be repeated under the same id; a host repeats it until it is answered.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    agent::{Resource, Spend},
    api::Finding,
    plan::Task,
};
use crate::{
    envelope::Message,
    id::{ApprovalId, AttemptRef, ClaimNonce, MessageId},
};

/// A call of a host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HostCall {
    /// For which attempt.
    pub attempt: AttemptRef,
    /// Which claim of it.
    pub nonce: ClaimNonce,
    /// What.
    pub call: Call,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Call {
    /// May this model call be made? Granted if what is spent and reserved is below every limit; so at most one call goes over.
    Reserve {
        /// Names the model call.
        call_id: MessageId,
        /// The most it can cost.
        estimate: Spend,
        /// VM time of the attempt so far, in milliseconds.
        vm_ms: u64,
    },
    /// What a reserved model call did cost. A reservation that is never settled counts as spent when its attempt ends.
    Settle {
        /// The model call.
        call_id: MessageId,
        /// What it did cost.
        actual: Spend,
        /// VM time of the attempt so far, in milliseconds.
        vm_ms: u64,
    },
    /// Something a guest wants.
    Guest(GuestCall),
}

/// What an agent may ask of the orchestrator, by way of its host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum GuestCall {
    /// Check a plan without proposing it.
    CheckPlan {
        /// The plan file's text.
        text: String,
    },
    /// Change the plan that is being worked on.
    ProposePatch {
        /// How.
        patch: PlanPatch,
    },
    /// A skill that others could use; a person admits it or not.
    ProposeSkill {
        /// Its files by path; `SKILL.md` is one.
        files: BTreeMap<String, String>,
    },
}

/// A change of a running plan. Only what has not started may be dropped or changed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PlanPatch {
    /// Why.
    pub reason: String,
    /// New tasks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub add: Vec<Task>,
    /// Ids of tasks that are no longer wanted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drop: Vec<String>,
    /// What tasks need instead.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub needs: BTreeMap<String, Vec<String>>,
}

/// The answer to a [`HostCall`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HostAnswer {
    /// It.
    pub answer: Answer,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Answer {
    /// To [`Call::Reserve`]: go on.
    Granted,
    /// To [`Call::Reserve`]: a limit is reached.
    Denied {
        /// Whose limit: the task's key, or empty for the project's.
        #[serde(default)]
        task_key: String,
        /// Which.
        resource: Resource,
        /// Used and reserved so far, in the resource's unit.
        used: u64,
        /// The limit.
        limit: u64,
    },
    /// To [`Call::Settle`]: recorded (now, or before).
    Settled,
    /// To a guest's call.
    Guest(GuestAnswer),
    /// The attempt is not, or no longer, the task's current one: stop.
    Stale,
    /// It cannot be answered now: ask again.
    Busy {
        /// Why.
        detail: String,
    },
}

/// The answer to a [`GuestCall`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "told", rename_all = "snake_case")]
pub enum GuestAnswer {
    /// Nothing is wrong with it (warnings may be).
    Sound {
        /// Warnings.
        #[serde(default)]
        findings: Vec<Finding>,
    },
    /// It cannot be taken as it is.
    Unsound {
        /// Why, place by place.
        findings: Vec<Finding>,
    },
    /// It is on its way: people are asked, or a policy let it pass.
    Proposed {
        /// The request about it.
        approval_id: ApprovalId,
        /// Nobody was asked; it is in force.
        accepted: bool,
    },
    /// Not here, not now, not by this task.
    Refused {
        /// Why.
        detail: String,
    },
}

impl Message for HostCall {
    const KIND: &'static str = "host.call";
}
impl Message for HostAnswer {
    const KIND: &'static str = "host.answer";
}
