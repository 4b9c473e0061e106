//! Requests to people, as the plan has them: what they are about, and what belongs to that. How they are decided is the
//! [ledger](crate::ledger)'s.

use std::ops::Deref;

use bus_schemas::{
    id::{ApprovalId, TaskId},
    time::UnixMs,
};

use super::event::RememberSpec;
use crate::ledger::{Asked, Request};

/// A request. Handoffs and plans that a policy lets pass without asking leave one, too, decided at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// What it is about.
    pub subject: Subject,
    /// How it is decided, and how far that is.
    pub request: Request,
    /// What people asked the agent whose work it is about, in order.
    pub questions: Vec<Questioned>,
    /// How its decision counts for later requests, if it does (or did).
    pub remembered: Option<Remembered>,

    /// Whoever approves last says how their decision shall be remembered; whether it is, is known with the decision.
    pub(super) wish: Option<(String, RememberSpec)>,
}

impl Approval {
    pub(super) const fn new(subject: Subject, request: Request) -> Self {
        Self { subject, request, questions: Vec::new(), remembered: None, wish: None }
    }

    /// The name of the policy that asked.
    #[must_use]
    pub fn policy(&self) -> &str {
        &self.request.route.policy
    }

    /// The question that waits for its answer.
    #[must_use]
    pub fn open_question(&self) -> Option<&Questioned> {
        self.questions.last().filter(|question| question.answer.is_none())
    }
}

/// What the ledger knows of it: id, digest, route, votes, decision.
impl Deref for Approval {
    type Target = Request;

    fn deref(&self) -> &Request {
        &self.request
    }
}

/// A question to the agent whose work a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Questioned {
    /// Who asked.
    pub by: String,
    /// Over which channel.
    pub channel: String,
    /// What.
    pub question: String,
    /// When.
    pub at: UnixMs,
    /// The task that answers.
    pub clarifier: TaskId,
    /// The answer, or that there is none, once that is known. Decides nothing.
    pub answer: Option<String>,
}

/// A decision that counts for later requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// Whose approval it was.
    pub by: String,
    /// For what, and until when.
    pub spec: RememberSpec,
    /// Who took it back, and over which channel.
    pub revoked: Option<(String, String)>,
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
    /// A host its agent asks for; approving puts it on the task's allow-list.
    Capability {
        /// The task.
        task_id: TaskId,
        /// The attempt.
        number: u32,
    },
    /// The project's result, before it is put into the folder.
    Apply,
}

impl Subject {
    /// The task and attempt it is about; none for a plan and a result.
    #[must_use]
    pub const fn attempt(self) -> Option<(TaskId, u32)> {
        match self {
            Self::Plan | Self::Apply => None,
            Self::Handoff { task_id, number }
            | Self::Question { task_id, number }
            | Self::Budget { task_id, number }
            | Self::Patch { task_id, number }
            | Self::Skill { task_id, number }
            | Self::Capability { task_id, number } => Some((task_id, number)),
        }
    }

    /// What the ledger calls it.
    #[must_use]
    pub const fn asked(self) -> Asked {
        match self {
            Self::Plan => Asked::Plan,
            Self::Handoff { .. } => Asked::Handoff,
            Self::Question { .. } => Asked::Question,
            Self::Budget { .. } => Asked::Budget,
            Self::Patch { .. } => Asked::Patch,
            Self::Skill { .. } => Asked::Skill,
            Self::Capability { .. } => Asked::Capability,
            Self::Apply => Asked::Apply,
        }
    }

    /// What people call it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        self.asked().word()
    }
}

/// What asking people takes: the id the request gets, what is shown, and how it is decided where the driver said so.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asking<'a> {
    pub(super) approval_id: ApprovalId,
    pub(super) digest: &'a str,
    pub(super) route: Option<&'a crate::ledger::Route>,
}
