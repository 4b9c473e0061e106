//! What people are asked, and what they decide.

use serde::{Deserialize, Serialize};

use crate::{
    envelope::Message,
    id::{ApprovalId, ProjectId, TaskId},
    time::UnixMs,
};

/// What an approval is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ApprovalSubject {
    /// The plan, before anything starts.
    Plan,
    /// One task's handoff.
    Handoff {
        /// The task.
        task_id: TaskId,
        /// Its attempt.
        attempt: u32,
    },
    /// An agent's question; the note of the decision is the answer.
    Question {
        /// The task.
        task_id: TaskId,
        /// Its attempt.
        attempt: u32,
    },
    /// A limit of the budget is reached; approving adds the original limit once more.
    Budget {
        /// The task that waits.
        task_id: TaskId,
        /// Its attempt.
        attempt: u32,
    },
    /// A change of the plan.
    Patch {
        /// The task whose agent proposed it.
        task_id: TaskId,
        /// Its attempt.
        attempt: u32,
    },
    /// A skill that an agent proposes.
    Skill {
        /// The task whose agent proposed it.
        task_id: TaskId,
        /// Its attempt.
        attempt: u32,
    },
    /// Something an agent asks for beyond its task.
    Capability {
        /// The task whose agent asks.
        task_id: TaskId,
        /// Its attempt.
        attempt: u32,
    },
    /// The result is to be put into the folder.
    Apply,
}

/// A request, published when it is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ApprovalAsked {
    /// The request.
    pub approval_id: ApprovalId,
    /// Its project.
    pub project_id: ProjectId,
    /// What it is about.
    pub subject: ApprovalSubject,
    /// SHA-256 over the canonical JSON of what is shown, lower-case hex. A decision names it and is void for any other.
    pub digest: String,
    /// When it was asked.
    pub asked_at: UnixMs,
    /// When it expires, which rejects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<UnixMs>,
}

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Go on.
    Approved,
    /// Do it again, with the note.
    ChangesRequested,
    /// Do not.
    Rejected,
    /// Nobody decided in time: counts as rejected.
    Expired,
}

/// A decision, published when it is recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Decision {
    /// The request.
    pub approval_id: ApprovalId,
    /// What was decided.
    pub verdict: Verdict,
    /// The digest of what the decider saw.
    pub digest: String,
    /// Who decided: a person's name (those of all who agreed, separated by commas), or `policy:<name>`.
    pub by: String,
    /// Over which channel: `cli`, `slack`, `email`, `web`, `policy`, `remembered`; of several people, the last one's.
    pub channel: String,
    /// The rule that decided, or chose who does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The reason or the note; required to reject and to request changes.
    #[serde(default)]
    pub note: String,
    /// When it was recorded.
    pub decided_at: UnixMs,
}

impl Message for ApprovalAsked {
    const KIND: &'static str = "approval.asked";
}
impl Message for Decision {
    const KIND: &'static str = "approval.decided";
}
