//! What the governor remembers.

use std::collections::{BTreeMap, VecDeque};

use bus_schemas::{id::ProjectId, time::UnixMs};
use serde::{Deserialize, Serialize};

use super::CallId;

/// The longest a call waits before its caller is sent away, in milliseconds.
pub const HOLD_MS: u64 = 5 * 60_000;
/// Nobody is kept out for longer than this at once, whatever a provider says, in milliseconds.
pub(super) const MAX_BLOCK_MS: u64 = 60 * 60_000;
/// An empty window keeps calls out for at most this, in milliseconds: providers name the time until it is *full* again.
pub(super) const MAX_WINDOW_MS: u64 = 60_000;
/// A caller that is sent away comes again after at least this, in milliseconds.
pub(super) const MIN_RESUME_MS: u64 = 10_000;
/// The first bucket is not slower than this, 30 requests a minute, in thousandths: few calls say little about a limit.
pub(super) const FIRST_RATE: u64 = 30_000;
/// The slowest bucket: 6 requests a minute, in thousandths.
pub(super) const MIN_RATE: u64 = 6_000;
/// After so long without a refusal there is no bucket, in milliseconds.
pub(super) const QUIET_MS: u64 = 10 * 60_000;
/// A call that has not been refused for so long is not going to be, even if its answer takes its time, in milliseconds.
pub(super) const KNOCK_MS: u64 = 10_000;
/// What one request costs in the bucket.
pub(super) const REQUEST: u64 = 1_000;
pub(super) const MINUTE_MS: u64 = 60_000;
/// Admissions that are remembered for measuring.
const RECENT: usize = 10_000;

/// What can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// The most calls at once.
    pub max_concurrent: u32,
    /// The longest a call waits, in milliseconds.
    pub hold_ms: u64,
    /// The first backoff, in milliseconds; doubles.
    pub first_backoff_ms: u64,
    /// The longest backoff, in milliseconds.
    pub max_backoff_ms: u64,
}

impl Default for Tuning {
    fn default() -> Self {
        Self { max_concurrent: 16, hold_ms: HOLD_MS, first_backoff_ms: 1_000, max_backoff_ms: 60_000 }
    }
}

impl Tuning {
    /// The `nth` backoff (from 1; none before), between half and all of its length.
    pub(super) fn backoff_ms(&self, nth: u32, luck: u32) -> u64 {
        let Some(doublings) = nth.checked_sub(1) else { return 0 };
        let full = self.first_backoff_ms.saturating_mul(1 << doublings.min(32)).min(self.max_backoff_ms);
        full / 2 + spread(full - full / 2, luck)
    }
}

/// A part of `ms`, as luck has it.
pub(super) const fn spread(ms: u64, luck: u32) -> u64 {
    // `luck` is below 2^32: nothing is lost for any duration that is used here.
    ms.saturating_mul(luck as u64) >> 32
}

/// What hosts with the same key tell each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Shared {
    /// Nobody is let through before.
    pub blocked_until: UnixMs,
    /// Refusals in a row.
    pub strikes: u32,
    /// Requests a minute that one host may make, in thousandths; unknown while nobody was refused.
    pub rate: Option<u64>,
    /// When this was learned. The newer one is believed.
    pub at: UnixMs,
}

/// A call that waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub(super) call: CallId,
    pub(super) asked_at: UnixMs,
    pub(super) not_before: UnixMs,
    pub(super) failures: u32,
}

/// A call that was let go.
#[derive(Clone, Copy, Debug)]
pub(super) struct InFlight {
    pub(super) project: ProjectId,
    pub(super) waited: Waiting,
    pub(super) admitted_at: UnixMs,
    /// How many were let go before it.
    pub(super) nth: u64,
    pub(super) answered: bool,
}

/// How many requests the provider's own count leaves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    pub(super) left: u64,
    pub(super) until: UnixMs,
}

/// Everything the governor of one key knows.
#[derive(Clone, Debug)]
pub struct State {
    pub(super) tuning: Tuning,
    /// By project; no queue is empty.
    pub(super) waiting: BTreeMap<ProjectId, VecDeque<Waiting>>,
    pub(super) in_flight: BTreeMap<CallId, InFlight>,
    /// Whose turn it was last.
    pub(super) served: Option<ProjectId>,
    pub(super) shared: Shared,
    /// Calls that were ever let go.
    pub(super) admissions: u64,
    /// The last refusal, and how many had been let go by then: answers to those say nothing new.
    pub(super) struck_at: UnixMs,
    pub(super) struck_by: u64,
    pub(super) allowance: Option<Allowance>,
    /// What is in the bucket, and as of when.
    pub(super) level: u64,
    pub(super) level_at: UnixMs,
    pub(super) recent: VecDeque<UnixMs>,
}

impl State {
    /// Nobody waits, nothing is known.
    #[must_use]
    pub const fn new(tuning: Tuning) -> Self {
        Self {
            tuning,
            waiting: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            served: None,
            shared: Shared { blocked_until: UnixMs(0), strikes: 0, rate: None, at: UnixMs(0) },
            admissions: 0,
            struck_at: UnixMs(0),
            struck_by: 0,
            allowance: None,
            level: 0,
            level_at: UnixMs(0),
            recent: VecDeque::new(),
        }
    }

    /// What is known of the provider.
    #[must_use]
    pub const fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Calls that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.values().map(VecDeque::len).sum()
    }

    /// Calls that were let go and are not over.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    pub(super) fn unanswered(&self) -> usize {
        self.in_flight.values().filter(|call| !call.answered).count()
    }

    /// The call that tries the door after a refusal, while it may still be refused: when that is over.
    pub(super) fn knock(&self, at: UnixMs) -> Option<UnixMs> {
        if self.shared.strikes == 0 {
            return None;
        }
        let trying = self.in_flight.values().filter(|call| !call.answered && call.nth >= self.struck_by);
        trying.map(|call| call.admitted_at.plus_ms(KNOCK_MS)).filter(|over| *over > at).max()
    }

    /// Remembers an admission, and forgets those of more than a minute ago.
    pub(super) fn note_admission(&mut self, at: UnixMs) {
        self.recent.push_back(at);
        self.forget_before(at);
    }

    /// Admissions in the last minute.
    pub(super) fn pace(&mut self, at: UnixMs) -> u64 {
        self.forget_before(at);
        self.recent.len() as u64
    }

    fn forget_before(&mut self, at: UnixMs) {
        while self.recent.len() > RECENT || self.recent.front().is_some_and(|&then| at.since(then) >= MINUTE_MS) {
            self.recent.pop_front();
        }
    }
}
