//! What a policy says about one request, once and for all: groups are lists of people, conditions are evaluated.

use std::collections::BTreeSet;

use bus_schemas::id::ApprovalId;
use serde::{Deserialize, Serialize};

/// How one request is decided. Part of the event that asks: a later change of a policy or a group changes nothing about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The policy's name.
    pub policy: String,
    /// The rule that matched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Who decides.
    pub ruling: Ruling,
    /// How long people may take, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
    /// How long until people are reminded, in milliseconds, and again each time that much later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reminder_ms: Option<u64>,
    /// What happens at the deadline.
    #[serde(default)]
    pub at_deadline: AtDeadline,
    /// People whose approval does not count: they started or edited what is asked about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excluded: Vec<String>,
    /// How much can go wrong.
    #[serde(default)]
    pub risk: Risk,
    /// Why it is that risky, for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub risk_reasons: Vec<String>,
    /// Decisions of people that are remembered and count for this request: who, and the request they decided.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remembered: Vec<(String, ApprovalId)>,
    /// What rules that only watch would have decided: the rule, and what.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shadow: Vec<(String, String)>,
    /// An error of the policy, because of which a person is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// What requests that are alike have in common; for showing them together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<String>,
}

impl Route {
    /// Nobody is asked.
    #[must_use]
    pub fn auto(policy: &str) -> Self {
        Self::of(policy, Ruling::Auto)
    }

    /// Anybody decides, for as long as they like.
    #[must_use]
    pub fn anyone(policy: &str) -> Self {
        Self::of(policy, Ruling::Ask(Who::Anyone))
    }

    fn of(policy: &str, ruling: Ruling) -> Self {
        Self {
            policy: policy.to_owned(),
            rule: None,
            ruling,
            deadline_ms: None,
            reminder_ms: None,
            at_deadline: AtDeadline::Reject,
            excluded: Vec::new(),
            risk: Risk::Low,
            risk_reasons: Vec::new(),
            remembered: Vec::new(),
            shadow: Vec::new(),
            problem: None,
            batch: None,
        }
    }

    /// Whether people are asked, as long as nothing remembered decides.
    #[must_use]
    pub const fn asks(&self) -> bool {
        matches!(self.ruling, Ruling::Ask(_))
    }
}

/// Who decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ruling {
    /// Nobody is asked.
    Auto,
    /// These people.
    Ask(Who),
}

/// Who must agree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// Any one person.
    Anyone,
    /// This person.
    Person(String),
    /// So many different people of these.
    Some {
        /// How many.
        n: u32,
        /// The group's name, for people.
        group: String,
        /// Its members, when the request was asked.
        of: Vec<String>,
    },
    /// One of these.
    AnyOf(Vec<Who>),
    /// Each of these.
    AllOf(Vec<Who>),
    /// These, from so many milliseconds after the request was asked on.
    After {
        /// The delay.
        wait_ms: u64,
        /// Who.
        who: Box<Who>,
    },
}

impl Who {
    /// Whether these people's approvals are enough, so many milliseconds after the request was asked.
    #[must_use]
    pub fn is_satisfied(&self, approved: &BTreeSet<&str>, elapsed_ms: u64) -> bool {
        match self {
            Self::Anyone => !approved.is_empty(),
            Self::Person(name) => approved.contains(name.as_str()),
            Self::Some { n, of, .. } => {
                let distinct: BTreeSet<&str> = of.iter().map(String::as_str).filter(|p| approved.contains(p)).collect();
                *n > 0 && distinct.len() >= *n as usize
            }
            Self::AnyOf(list) => list.iter().any(|who| who.is_satisfied(approved, elapsed_ms)),
            Self::AllOf(list) => !list.is_empty() && list.iter().all(|who| who.is_satisfied(approved, elapsed_ms)),
            Self::After { wait_ms, who } => elapsed_ms >= *wait_ms && who.is_satisfied(approved, elapsed_ms),
        }
    }

    /// Whether this person's word counts now.
    #[must_use]
    pub fn includes(&self, person: &str, elapsed_ms: u64) -> bool {
        match self {
            Self::Anyone => true,
            Self::Person(name) => name == person,
            Self::Some { of, .. } => of.iter().any(|name| name == person),
            Self::AnyOf(list) | Self::AllOf(list) => list.iter().any(|who| who.includes(person, elapsed_ms)),
            Self::After { wait_ms, who } => elapsed_ms >= *wait_ms && who.includes(person, elapsed_ms),
        }
    }

    /// The people whose word counts now, by name; `None` if anybody's does.
    #[must_use]
    pub fn people(&self, elapsed_ms: u64) -> Option<BTreeSet<&str>> {
        match self {
            Self::Anyone => None,
            Self::Person(name) => Some(BTreeSet::from([name.as_str()])),
            Self::Some { of, .. } => Some(of.iter().map(String::as_str).collect()),
            Self::AnyOf(list) | Self::AllOf(list) => {
                let mut people = BTreeSet::new();
                for who in list {
                    people.extend(who.people(elapsed_ms)?);
                }
                Some(people)
            }
            Self::After { wait_ms, who } if elapsed_ms >= *wait_ms => who.people(elapsed_ms),
            Self::After { .. } => Some(BTreeSet::new()),
        }
    }

    /// The next instant, in milliseconds after the request was asked, at which more people may decide.
    #[must_use]
    pub fn next_wait(&self, after_ms: Option<u64>) -> Option<u64> {
        match self {
            Self::Anyone | Self::Person(_) | Self::Some { .. } => None,
            Self::AnyOf(list) | Self::AllOf(list) => list.iter().filter_map(|who| who.next_wait(after_ms)).min(),
            Self::After { wait_ms, who } => {
                let own = Some(*wait_ms).filter(|wait| after_ms.is_none_or(|after| *wait > after));
                [own, who.next_wait(after_ms)].into_iter().flatten().min()
            }
        }
    }

    /// Somewhere in it more than one person must agree.
    #[must_use]
    pub fn wants_several(&self) -> bool {
        match self {
            Self::Anyone | Self::Person(_) => false,
            Self::Some { n, .. } => *n > 1,
            Self::AnyOf(list) => list.iter().any(Self::wants_several),
            Self::AllOf(list) => list.iter().any(Self::wants_several) || self.fewest(&[]).is_none_or(|few| few > 1),
            Self::After { who, .. } => who.wants_several(),
        }
    }

    /// The fewest different people who can satisfy it, these not counted; `None` if nobody can.
    #[must_use]
    pub fn fewest(&self, excluded: &[String]) -> Option<usize> {
        let everybody: BTreeSet<&str> = self.named().into_iter().filter(|p| !excluded.iter().any(|e| e == p)).collect();
        self.smallest(&everybody)
    }

    /// Groups are small: a lower bound by parts is enough to tell nobody, one, and more than one apart.
    fn smallest(&self, everybody: &BTreeSet<&str>) -> Option<usize> {
        match self {
            Self::Anyone => Some(1),
            Self::Person(name) => everybody.contains(name.as_str()).then_some(1),
            Self::Some { n, of, .. } => {
                let distinct: BTreeSet<&str> =
                    of.iter().map(String::as_str).filter(|p| everybody.contains(p)).collect();
                (*n > 0 && distinct.len() >= *n as usize).then_some(*n as usize)
            }
            Self::AnyOf(list) => list.iter().filter_map(|who| who.smallest(everybody)).min(),
            Self::AllOf(list) => {
                let parts: Option<Vec<usize>> = list.iter().map(|who| who.smallest(everybody)).collect();
                let most = parts?.into_iter().max()?;
                // One person may satisfy every part, named or not; only if nobody does, it takes at least two.
                let stranger = std::iter::once("");
                let mut candidates = everybody.iter().copied().chain(stranger);
                let alone = candidates.any(|p| self.is_satisfied(&BTreeSet::from([p]), u64::MAX));
                Some(if most == 1 && !alone { 2 } else { most })
            }
            Self::After { who, .. } => who.smallest(everybody),
        }
    }

    fn named(&self) -> BTreeSet<&str> {
        match self {
            Self::Anyone => BTreeSet::new(),
            Self::Person(name) => BTreeSet::from([name.as_str()]),
            Self::Some { of, .. } => of.iter().map(String::as_str).collect(),
            Self::AnyOf(list) | Self::AllOf(list) => list.iter().flat_map(Self::named).collect(),
            Self::After { who, .. } => who.named(),
        }
    }
}

/// What happens when nobody decided in time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AtDeadline {
    /// Rejected.
    #[default]
    Reject,
    /// Approved if the risk is low, else rejected.
    Approve,
    /// Others may decide as well, for some more milliseconds; then rejected.
    Escalate {
        /// Who.
        to: Who,
        /// For how long.
        for_ms: u64,
    },
}

/// How much can go wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// Small, proven, inside the folder.
    #[default]
    Low,
    /// Worth a look.
    Medium,
    /// Never decided by what is remembered.
    High,
}
