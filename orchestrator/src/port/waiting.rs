//! A few of the requests that wait, and how many there are: there may be thousands, and nobody reads them all.

use bus_schemas::{
    id::ProjectId,
    v1::{api::ApprovalView, approval::ApprovalSubject},
};

/// Which of the requests that wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// Those that a person (a member's name, or `channel:handle`) can decide now, and has not agreed to.
    For(String),
    /// The questions of a project's agents.
    Questions(ProjectId),
}

/// The first of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Waits {
    /// They, oldest first, without what they are about.
    pub requests: Vec<ApprovalView>,
    /// How many there are of these.
    pub count: usize,
    /// How many wait at all.
    pub all: usize,
}

impl Waiting {
    /// It is one of these.
    #[must_use]
    pub fn takes(&self, view: &ApprovalView) -> bool {
        match self {
            Self::For(person) => is_for(view, person),
            Self::Questions(project_id) => {
                view.decision.is_none()
                    && view.project_id == *project_id
                    && matches!(view.subject, ApprovalSubject::Question { .. })
            }
        }
    }

    /// The first of them, at most `limit`, out of all that wait.
    #[must_use]
    pub fn of(&self, mut pending: Vec<ApprovalView>, limit: usize) -> Waits {
        let all = pending.len();
        pending.retain(|view| self.takes(view));
        let count = pending.len();
        pending.truncate(limit);
        Waits { requests: pending, count, all }
    }
}

/// The person can decide it now, and has not agreed already.
#[must_use]
pub fn is_for(approval: &ApprovalView, me: &str) -> bool {
    let route = &approval.route;
    approval.decision.is_none()
        && (route.eligible.is_empty() || route.eligible.iter().any(|name| name == me))
        && !route.excluded.iter().any(|name| name == me)
        && !route.votes.iter().any(|vote| vote.by == me)
}
