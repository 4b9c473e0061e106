//! One request: what the ledger knows about it.

use std::collections::BTreeSet;

use bus_schemas::{id::ApprovalId, time::UnixMs};

use super::route::{Route, Who};

/// What a request is about, as far as deciding it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Asked {
    /// The plan, before anything starts.
    Plan,
    /// A task's handoff.
    Handoff,
    /// The result, before it is put into the folder.
    Apply,
    /// Something an agent asks for beyond its task.
    Capability,
    /// An agent's question. Its answer goes to the agent and allows nothing.
    Question,
    /// A limit of the budget.
    Budget,
    /// A change of the running plan.
    Patch,
    /// A skill an agent proposes.
    Skill,
}

impl Asked {
    /// It can be sent back to be done again.
    #[must_use]
    pub const fn can_send_back(self) -> bool {
        matches!(self, Self::Plan | Self::Handoff | Self::Patch | Self::Skill)
    }

    /// Approving it means saying something: the answer.
    #[must_use]
    pub const fn wants_answer(self) -> bool {
        matches!(self, Self::Question)
    }

    /// A decision about one can count for later ones that are alike.
    #[must_use]
    pub const fn can_remember(self) -> bool {
        matches!(self, Self::Handoff | Self::Capability)
    }

    /// Only people decide it: no policy approves it by itself, neither at once nor by their silence.
    #[must_use]
    pub const fn wants_people(self) -> bool {
        matches!(self, Self::Question | Self::Budget | Self::Skill)
    }

    /// What people call it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Handoff => "handoff",
            Self::Apply => "apply",
            Self::Capability => "capability",
            Self::Question => "question",
            Self::Budget => "budget",
            Self::Patch => "change of the plan",
            Self::Skill => "skill",
        }
    }
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its id.
    pub approval_id: ApprovalId,
    /// What it is about.
    pub asked: Asked,
    /// The digest of what is shown; every vote must name it.
    pub digest: String,
    /// How it is decided.
    pub route: Route,
    /// When it was asked.
    pub asked_at: UnixMs,
    /// The deadline.
    pub expires_at: Option<UnixMs>,
    /// Approvals so far, in order.
    pub votes: Vec<Vote>,
    /// Who handed their say to whom, in order.
    pub delegations: Vec<Delegation>,
    /// Who has seen it, over which channel.
    pub views: BTreeSet<(String, String)>,
    /// How often people were reminded, and when last.
    pub reminders: u32,
    /// See [`Self::reminders`].
    pub reminded_at: Option<UnixMs>,
    /// Up to which delay, in milliseconds after it was asked, those who may decide later have been told.
    pub widened_ms: Option<u64>,
    /// The first deadline passed and others may decide as well.
    pub escalated_at: Option<UnixMs>,
    /// The decision, once there is one; never changed after that.
    pub decision: Option<Decision>,
}

/// One person's approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vote {
    /// Who.
    pub by: String,
    /// Whom they count as: themselves, or somebody who handed their say to them.
    pub counts_as: String,
    /// Over which channel.
    pub channel: String,
    /// What they said.
    pub note: String,
    /// When.
    pub at: UnixMs,
}

/// Somebody handed their say to somebody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delegation {
    /// Who.
    pub from: String,
    /// To whom.
    pub to: String,
    /// When.
    pub at: UnixMs,
}

/// What was decided; it is about the digest of its request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What.
    pub verdict: Decided,
    /// Who: a person, several separated by commas, or `policy:<name>`.
    pub by: String,
    /// Over which channel; `policy` without a person, `remembered` if only remembered decisions counted, `cancel` if what it
    /// is about was stopped, `void` if something else took its place.
    pub channel: String,
    /// The reason or the note.
    pub note: String,
    /// When.
    pub decided_at: UnixMs,
    /// The rule that decided or chose who does.
    pub rule: Option<String>,
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

impl Request {
    /// Who must agree, as it is now; `None` where nobody is asked.
    #[must_use]
    pub fn who(&self) -> Option<Who> {
        let super::Ruling::Ask(who) = &self.route.ruling else { return None };
        match (&self.route.at_deadline, self.escalated_at) {
            (super::AtDeadline::Escalate { to, .. }, Some(_)) => Some(Who::AnyOf(vec![who.clone(), to.clone()])),
            _ => Some(who.clone()),
        }
    }

    /// The people who can decide at this instant, by name, delegates in the place of those who sent them; `None` if anybody can.
    #[must_use]
    pub fn eligible(&self, now: UnixMs) -> Option<BTreeSet<String>> {
        let who = self.who()?;
        let people = who.people(now.since(self.asked_at))?;
        let approvers = people.into_iter().filter(|person| !self.is_excluded(person));
        Some(approvers.map(|person| self.holder(person).to_owned()).collect())
    }

    pub(super) fn is_excluded(&self, person: &str) -> bool {
        self.route.excluded.iter().any(|excluded| excluded == person)
    }

    /// Who has a person's say now: themselves, or the one it was handed to.
    pub(super) fn holder<'a>(&'a self, person: &'a str) -> &'a str {
        // Nobody hands on what they do not hold, so following the delegations in their order ends.
        let step = |holder: &'a str, next: &'a Delegation| if next.from == holder { next.to.as_str() } else { holder };
        self.delegations.iter().fold(person, step)
    }
}
