//! Streams and consumers, as data: what [`crate::nats::ensure_streams`] creates and every reader relies on.

use crate::id::AttemptRef;

/// How a stream lets go of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retention {
    /// Kept until a limit is reached.
    Limits,
    /// Removed when acknowledged.
    WorkQueue,
}

/// One JetStream stream. Zero means "no limit".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamSpec {
    /// The stream's name.
    pub name: &'static str,
    /// The subjects it captures.
    pub subjects: &'static [&'static str],
    /// How it lets go of messages.
    pub retention: Retention,
    /// The oldest message kept, in milliseconds.
    pub max_age_ms: u64,
    /// The most it holds, in bytes; the oldest go first.
    pub max_bytes: u64,
    /// How long a repeated `Nats-Msg-Id` is recognised, in milliseconds. A convenience: fencing does not rely on it.
    pub dedupe_window_ms: u64,
}

const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 24 * 60 * MINUTE_MS;

/// Offers of attempts. Bounded by the free slots of the hosts, so it stays short.
pub const OFFERS: StreamSpec = StreamSpec {
    name: "BATON_OFFERS",
    subjects: &["baton.v1.offer.>"],
    retention: Retention::WorkQueue,
    max_age_ms: 7 * DAY_MS,
    max_bytes: 0,
    dedupe_window_ms: 10 * MINUTE_MS,
};

/// Observations of hosts. Kept long after they were applied: a reader may be down for days.
pub const EVENTS: StreamSpec = StreamSpec {
    name: "BATON_EVENTS",
    subjects: &["baton.v1.event.>"],
    retention: Retention::Limits,
    max_age_ms: 14 * DAY_MS,
    max_bytes: 0,
    dedupe_window_ms: 10 * MINUTE_MS,
};

/// Cancellations. A host reads all of them when it starts: an offer may have been withdrawn while it was away.
pub const CONTROL: StreamSpec = StreamSpec {
    name: "BATON_CONTROL",
    subjects: &["baton.v1.control.>"],
    retention: Retention::Limits,
    max_age_ms: DAY_MS,
    max_bytes: 0,
    dedupe_window_ms: 10 * MINUTE_MS,
};

/// Output of attempts. A telemetry stream of its own with a hard size, so that it never fills the disk of the others.
pub const LOGS: StreamSpec = StreamSpec {
    name: "BATON_LOGS",
    subjects: &["baton.v1.log.>"],
    retention: Retention::Limits,
    max_age_ms: 14 * DAY_MS,
    max_bytes: 512 * 1024 * 1024,
    dedupe_window_ms: MINUTE_MS,
};

/// What was decided, for bridges and audit.
pub const FEED: StreamSpec = StreamSpec {
    name: "BATON_FEED",
    subjects: &["baton.v1.feed.>"],
    retention: Retention::Limits,
    max_age_ms: 30 * DAY_MS,
    max_bytes: 256 * 1024 * 1024,
    dedupe_window_ms: 10 * MINUTE_MS,
};

/// Every stream, in the order they are created.
pub const ALL: [StreamSpec; 5] = [OFFERS, EVENTS, CONTROL, LOGS, FEED];

/// The object-store bucket that carries git bundles (`commit/<hex>`) and artifacts (`sha256/<hex>`).
pub const OBJECTS_BUCKET: &str = "baton-objects";

/// The object that holds a tar of one skill's files: a folder of its name.
#[must_use]
pub fn skill_object(sha256: &str) -> String {
    format!("skill/{sha256}")
}

/// The object that holds a piece of a checkpoint.
#[must_use]
pub fn blob_object(sha256: &str) -> String {
    format!("sha256/{sha256}")
}

/// The object that holds the newest [`crate::v1::agent::Checkpoint`] of an attempt, as JSON; overwritten at every turn.
#[must_use]
pub fn checkpoint_object(attempt: &AttemptRef) -> String {
    format!("checkpoint/{}/{}/{}", attempt.project_id, attempt.task_id, attempt.number)
}

/// The key-value bucket in which hosts share what they know of providers' rate limits.
pub const GOVERNOR_BUCKET: &str = "baton-governor";

/// A host that took an offer and did not settle it within this time loses it to another host, in milliseconds.
pub const OFFER_ACK_WAIT_MS: u64 = 30_000;

/// How often a host beats when nothing changes, in milliseconds.
pub const BEAT_INTERVAL_MS: u64 = 5_000;
