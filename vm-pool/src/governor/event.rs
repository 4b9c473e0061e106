//! What the governor is told.

use bus_schemas::{id::ProjectId, time::UnixMs};

use super::Shared;

/// Names a call among those of one governor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub u64);

/// Something happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: UnixMs,
    /// What.
    pub fact: Fact,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A call wants to go.
    Asked {
        /// Which.
        call: CallId,
        /// Whose turn it takes.
        project: ProjectId,
    },
    /// The provider answered an admitted call, or could not be reached.
    Answered {
        /// Which.
        call: CallId,
        /// How.
        answer: Answer,
        /// A random number, for jitter.
        luck: u32,
    },
    /// A call is over, or its caller went away.
    Ended {
        /// Which.
        call: CallId,
    },
    /// Another host with the same key tells what it knows.
    Heard(Shared),
    /// Time has passed.
    Passed,
}

/// How the provider answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It took the call (or refused it for a reason of the call's own).
    Fine(Signals),
    /// Too many calls.
    Limited(Signals),
    /// It has too much to do, whoever asks.
    Overloaded(Signals),
    /// This call failed; the others may do well.
    Failed(Signals),
}

/// What a response says about limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signals {
    /// When to come again.
    pub retry_after_ms: Option<u64>,
    /// The limit of requests.
    pub requests: Option<Window>,
    /// The limit of tokens that is nearest.
    pub tokens: Option<Window>,
}

/// One limit, as the provider counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// How many in all.
    pub limit: Option<u64>,
    /// How many are left.
    pub remaining: u64,
    /// When all of them are there again.
    pub reset_at: UnixMs,
}
