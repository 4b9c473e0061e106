//! What may be used, and what is used: limits, reservations, spending. The rules that need the plan are in
//! [`step`](mod@super::step); this is the arithmetic.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use bus_schemas::{id::ClaimNonce, time::UnixMs};
use serde::{Deserialize, Serialize};

/// Percentages of a limit at which people are warned.
pub const WARN_AT: [u8; 3] = [50, 80, 95];

/// The most that may be used. What is absent is not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BudgetSpec {
    /// US dollars for model calls, in billionths.
    pub usd_nanos: Option<u64>,
    /// Model tokens, all kinds together.
    pub tokens: Option<u64>,
    /// VM time, all attempts and checks together, in milliseconds.
    pub vm_ms: Option<u64>,
    /// Time from the start, waiting for people not counted, in milliseconds.
    pub wall_ms: Option<u64>,
    /// Model calls.
    pub turns: Option<u64>,
}

impl BudgetSpec {
    /// The limit of one resource.
    #[must_use]
    pub const fn limit(&self, resource: Resource) -> Option<u64> {
        match resource {
            Resource::Usd => self.usd_nanos,
            Resource::Tokens => self.tokens,
            Resource::VmMs => self.vm_ms,
            Resource::WallMs => self.wall_ms,
            Resource::Turns => self.turns,
        }
    }

    /// Sets the limit of one resource.
    pub const fn set(&mut self, resource: Resource, limit: Option<u64>) {
        match resource {
            Resource::Usd => self.usd_nanos = limit,
            Resource::Tokens => self.tokens = limit,
            Resource::VmMs => self.vm_ms = limit,
            Resource::WallMs => self.wall_ms = limit,
            Resource::Turns => self.turns = limit,
        }
    }

    /// For each resource this limit, or the other's where this has none.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        let mut both = *self;
        for resource in Resource::ALL {
            both.set(resource, self.limit(resource).or_else(|| other.limit(resource)));
        }
        both
    }

    /// For each resource the tighter limit of both.
    #[must_use]
    pub fn tightest(&self, other: &Self) -> Self {
        let mut both = *self;
        for resource in Resource::ALL {
            let limits = [self.limit(resource), other.limit(resource)];
            both.set(resource, limits.into_iter().flatten().min());
        }
        both
    }
}

/// What a budget limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// US dollars, in billionths.
    Usd,
    /// Model tokens, all kinds together.
    Tokens,
    /// Model calls.
    Turns,
    /// VM time, in milliseconds.
    VmMs,
    /// Time since the start, in milliseconds.
    WallMs,
}

impl Resource {
    /// Every one, in the order in which limits are looked at.
    pub const ALL: [Self; 5] = [Self::Usd, Self::Tokens, Self::Turns, Self::VmMs, Self::WallMs];

    /// What people call it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Usd => "US dollars",
            Self::Tokens => "tokens",
            Self::Turns => "turns",
            Self::VmMs => "VM time",
            Self::WallMs => "wall time",
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What model calls cost, or may cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Amount {
    /// US dollars, in billionths.
    pub usd_nanos: u64,
    /// Tokens, all kinds together.
    pub tokens: u64,
    /// Calls.
    pub calls: u64,
}

impl Amount {
    /// Both together.
    #[must_use]
    pub const fn plus(&self, other: &Self) -> Self {
        Self {
            usd_nanos: self.usd_nanos.saturating_add(other.usd_nanos),
            tokens: self.tokens.saturating_add(other.tokens),
            calls: self.calls.saturating_add(other.calls),
        }
    }

    /// This without the other, not less than nothing.
    #[must_use]
    pub const fn minus(&self, other: &Self) -> Self {
        Self {
            usd_nanos: self.usd_nanos.saturating_sub(other.usd_nanos),
            tokens: self.tokens.saturating_sub(other.tokens),
            calls: self.calls.saturating_sub(other.calls),
        }
    }

    const fn of(&self, resource: Resource) -> u64 {
        match resource {
            Resource::Usd => self.usd_nanos,
            Resource::Tokens => self.tokens,
            Resource::Turns => self.calls,
            Resource::VmMs | Resource::WallMs => 0,
        }
    }
}

/// A limit that is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reached {
    /// Of what.
    pub resource: Resource,
    /// Used so far.
    pub used: u64,
    /// The limit.
    pub limit: u64,
}

/// The budget of a task or of the project: its limits now, and what is used of them. What children of a `foreach` and
/// clarifiers use counts for the task they belong to, too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// The limits in force.
    pub limits: BudgetSpec,
    /// Spent: what settled calls did cost, and what calls of ended attempts may have cost that were never settled.
    pub spent: Amount,
    /// Reserved by calls under way.
    pub reserved: Amount,
    /// VM time, as far as it was told.
    pub vm_ms: u64,
    /// The limits as they were first: approving a request adds one of these once more.
    pub(super) original: BudgetSpec,
    /// The highest warning given.
    pub(super) warned: BTreeMap<Resource, u8>,
    /// Somebody refused to add to these.
    pub(super) refused: BTreeSet<Resource>,
}

impl Ledger {
    pub(super) fn new(limits: BudgetSpec) -> Self {
        Self { limits, original: limits, ..Self::default() }
    }

    /// What counts against a limit: spent and reserved; wall time comes from outside.
    #[must_use]
    pub const fn used(&self, resource: Resource, wall_ms: u64) -> u64 {
        match resource {
            Resource::VmMs => self.vm_ms,
            Resource::WallMs => wall_ms,
            _ => self.spent.of(resource).saturating_add(self.reserved.of(resource)),
        }
    }

    /// What is spent, without reservations; wall time comes from outside.
    pub(super) const fn spent(&self, resource: Resource, wall_ms: u64) -> u64 {
        self.used(resource, wall_ms).saturating_sub(self.reserved.of(resource))
    }

    /// The first limit that is reached by what is spent, `more_vm_ms` being on top of what is known.
    pub(super) fn reached(&self, wall_ms: u64, more_vm_ms: u64) -> Option<Reached> {
        self.first(|resource| {
            let more = if resource == Resource::VmMs { more_vm_ms } else { 0 };
            self.spent(resource, wall_ms).saturating_add(more)
        })
    }

    /// The first limit that is filled by what is spent and reserved: room may come back.
    pub(super) fn filled(&self, wall_ms: u64) -> Option<Reached> {
        self.first(|resource| self.used(resource, wall_ms))
    }

    fn first(&self, used: impl Fn(Resource) -> u64) -> Option<Reached> {
        Resource::ALL.into_iter().find_map(|resource| {
            let (limit, used) = (self.limits.limit(resource)?, used(resource));
            (used >= limit).then_some(Reached { resource, used, limit })
        })
    }

    /// The percentage of [`WARN_AT`] that is passed without reservations; 0 below the first.
    pub(super) fn passed(&self, resource: Resource, wall_ms: u64) -> u8 {
        let Some(limit) = self.limits.limit(resource) else { return 0 };
        let spent = u128::from(self.spent(resource, wall_ms));
        let passes = |percent: &&u8| spent * 100 >= u128::from(limit) * u128::from(**percent);
        WARN_AT.iter().rev().find(passes).copied().unwrap_or(0)
    }

    /// Other limits from the beginning.
    pub(super) fn set_limits(&mut self, limits: BudgetSpec) {
        *self = Self { spent: self.spent, reserved: self.reserved, vm_ms: self.vm_ms, ..Self::new(limits) };
    }

    /// A new limit: what was refused may be asked again, and warnings come anew.
    pub(super) fn change_limit(&mut self, resource: Resource, limit: u64, wall_ms: u64) {
        self.limits.set(resource, Some(limit));
        self.refused.remove(&resource);
        let passed = self.passed(resource, wall_ms);
        self.warned.insert(resource, passed);
    }
}

/// A model call of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The attempt.
    pub number: u32,
    /// The claim that reserved it.
    pub nonce: ClaimNonce,
    /// Reserved, or what it did cost once it is settled.
    pub amount: Amount,
    /// Where it is.
    pub state: CallState,
}

/// Where a model call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallState {
    /// Under way: its amount is reserved.
    Open,
    /// Its attempt ended before it was settled: its amount counts as spent until it is.
    Charged,
    /// What it did cost is known.
    Settled,
}

/// A clock that stops while people are waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stopwatch {
    passed_ms: u64,
    since: Option<UnixMs>,
}

impl Stopwatch {
    pub(super) fn run(&mut self, runs: bool, at: UnixMs) {
        match (self.since, runs) {
            (None, true) => self.since = Some(at),
            (Some(since), false) => {
                self.passed_ms = self.passed_ms.saturating_add(at.since(since));
                self.since = None;
            }
            _ => {}
        }
    }

    pub(super) fn passed_ms(&self, at: UnixMs) -> u64 {
        self.passed_ms.saturating_add(self.since.map_or(0, |since| at.since(since)))
    }
}
