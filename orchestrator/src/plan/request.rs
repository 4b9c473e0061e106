//! Requests to people, and what was decided about them.

use bus_schemas::{
    id::{ApprovalId, TaskId},
    time::UnixMs,
};

/// A request. Handoffs and plans that a policy lets pass without asking leave one, too, decided at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// Its id.
    pub approval_id: ApprovalId,
    /// What it is about.
    pub subject: Subject,
    /// The digest of what is shown; a decision must name it.
    pub digest: String,
    /// The policy's name.
    pub policy: String,
    /// When it was asked.
    pub asked_at: UnixMs,
    /// When it expires, which rejects.
    pub expires_at: Option<UnixMs>,
    /// The decision, once there is one; never changed after that.
    pub decision: Option<Decision>,
}

/// What a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The plan, before anything starts.
    Plan,
    /// One attempt's handoff.
    Handoff {
        /// The task.
        task_id: TaskId,
        /// The attempt.
        number: u32,
    },
    /// An agent's question; the decision's note is the answer.
    Question {
        /// The task.
        task_id: TaskId,
        /// The attempt.
        number: u32,
    },
    /// A limit is reached ([`super::Plan::budget_wait`] says which); approving adds the original limit once more.
    Budget {
        /// The first task that waits.
        task_id: TaskId,
        /// Its last attempt.
        number: u32,
    },
    /// A change of the plan ([`super::Plan::patch`]).
    Patch {
        /// The task whose agent proposed it.
        task_id: TaskId,
        /// The attempt.
        number: u32,
    },
    /// A skill ([`super::Plan::skill`]).
    Skill {
        /// The task whose agent proposed it.
        task_id: TaskId,
        /// The attempt.
        number: u32,
    },
}

impl Subject {
    /// The task and attempt it is about; none for a plan.
    #[must_use]
    pub const fn attempt(self) -> Option<(TaskId, u32)> {
        match self {
            Self::Plan => None,
            Self::Handoff { task_id, number }
            | Self::Question { task_id, number }
            | Self::Budget { task_id, number }
            | Self::Patch { task_id, number }
            | Self::Skill { task_id, number } => Some((task_id, number)),
        }
    }

    /// What people call it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Handoff { .. } => "handoff",
            Self::Question { .. } => "question",
            Self::Budget { .. } => "budget",
            Self::Patch { .. } => "change of the plan",
            Self::Skill { .. } => "skill",
        }
    }
}

/// What was decided; it is about the digest of its request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What.
    pub verdict: Decided,
    /// Who: a person's name, or `policy:<name>`.
    pub by: String,
    /// Over which channel; `policy` without a person, `cancel` if what it is about was stopped, `void` if something else
    /// took its place.
    pub channel: String,
    /// The reason or the note.
    pub note: String,
    /// When.
    pub decided_at: UnixMs,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decided {
    /// Go on.
    Approved,
    /// Again, with the note.
    ChangesRequested,
    /// No (also: what it is about was stopped).
    Rejected,
    /// Nobody decided in time: counts as rejected.
    Expired,
}

impl Decided {
    /// The glossary's word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::ChangesRequested => "changes_requested",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
        }
    }
}
