//! Builds and parses every subject. No other place in the workspace puts a subject together.
//!
//! ```text
//! baton.v1.offer.<pool>.<project>.<task>.<attempt>      orchestrator → any free host of the pool   BATON_OFFERS
//! baton.v1.event.<project>.<task>.<attempt>.<kind>      host → orchestrator                        BATON_EVENTS
//! baton.v1.control.<project>.<task>.<attempt>.<kind>    orchestrator → the host that holds it      BATON_CONTROL
//! baton.v1.log.<project>.<task>.<attempt>               host → readers                             BATON_LOGS
//! baton.v1.feed.<project>.<kind>                        orchestrator → bridges, audit              BATON_FEED
//! baton.v1.host.<host>.beat                             host → orchestrator                        core NATS
//! baton.v1.report                                       orchestrator → all hosts: beat now         core NATS
//! baton.v1.call                                         host → orchestrator, answered              core NATS
//! ```
//! Ids are lower-case UUIDs and attempts are decimal numbers: no text of a user ever enters a subject.

use std::fmt;

use crate::id::{AttemptRef, HostId, ProjectId, TaskId};

const PREFIX: &str = "baton.v1";

/// What happened to an attempt: the last token of an event subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// A host claims the attempt; published with expected-last-subject-sequence 0, so that one claim wins.
    Claimed,
    /// The attempt entered another stage.
    Progress,
    /// The attempt ended in a handoff.
    Handoff,
    /// The attempt ended without one.
    Failed,
    /// The attempt paused: it goes on as another one.
    Paused,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Claimed, Self::Progress, Self::Handoff, Self::Failed, Self::Paused];

    /// The subject token.
    #[must_use]
    pub const fn token(self) -> &'static str {
        match self {
            Self::Claimed => "claimed",
            Self::Progress => "progress",
            Self::Handoff => "handoff",
            Self::Failed => "failed",
            Self::Paused => "paused",
        }
    }
}

/// A pool's name: 1 to 32 of `[a-z0-9-]`, so that it is one subject token.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PoolName(String);

/// The given text is not a pool name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadPoolName(pub String);

impl fmt::Display for BadPoolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pool name {:?} must be 1 to 32 of a-z, 0-9 and -", self.0)
    }
}

impl std::error::Error for BadPoolName {}

impl PoolName {
    /// Checks and wraps a name.
    ///
    /// # Errors
    /// [`BadPoolName`] if it is empty, longer than 32 characters or has others than `[a-z0-9-]`.
    pub fn new(name: &str) -> Result<Self, BadPoolName> {
        let fits = (1..=32).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if fits { Ok(Self(name.to_owned())) } else { Err(BadPoolName(name.to_owned())) }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for PoolName {
    fn default() -> Self {
        Self("default".to_owned())
    }
}

/// Where an offer of `attempt` to the hosts of `pool` is published.
#[must_use]
pub fn offer(pool: &PoolName, attempt: &AttemptRef) -> String {
    format!("{PREFIX}.offer.{}.{}", pool.as_str(), tail(attempt))
}

/// The filter that matches every offer to `pool`.
#[must_use]
pub fn offers_of(pool: &PoolName) -> String {
    format!("{PREFIX}.offer.{}.>", pool.as_str())
}

/// Where an observation about `attempt` is published.
#[must_use]
pub fn event(attempt: &AttemptRef, kind: EventKind) -> String {
    format!("{PREFIX}.event.{}.{}", tail(attempt), kind.token())
}

/// Where a cancellation of `attempt` is published.
#[must_use]
pub fn cancel(attempt: &AttemptRef) -> String {
    format!("{PREFIX}.control.{}.cancel", tail(attempt))
}

/// Where what people say to `attempt` is published.
#[must_use]
pub fn tell(attempt: &AttemptRef) -> String {
    format!("{PREFIX}.control.{}.tell", tail(attempt))
}

/// Where output of `attempt` is published.
#[must_use]
pub fn log(attempt: &AttemptRef) -> String {
    format!("{PREFIX}.log.{}", tail(attempt))
}

/// The filter that matches the logs of a whole project.
#[must_use]
pub fn logs_of(project: ProjectId) -> String {
    format!("{PREFIX}.log.{project}.>")
}

/// The filter that matches the logs of one task, all attempts.
#[must_use]
pub fn logs_of_task(project: ProjectId, task: TaskId) -> String {
    format!("{PREFIX}.log.{project}.{task}.*")
}

/// Where decisions of `project` of one `kind` are published for bridges and audit.
#[must_use]
pub fn feed(project: ProjectId, kind: &str) -> String {
    let kind: String = kind.chars().map(|c| if c.is_ascii_lowercase() || c == '_' { c } else { '-' }).collect();
    format!("{PREFIX}.feed.{project}.{kind}")
}

/// Where `host` publishes its beat (core NATS).
#[must_use]
pub fn beat(host: HostId) -> String {
    format!("{PREFIX}.host.{host}.beat")
}

/// The filter that matches every host's beat.
pub const BEATS: &str = "baton.v1.host.*.beat";

/// Asks every host to beat at once (core NATS, empty body).
pub const REPORT: &str = "baton.v1.report";

/// Where hosts call the orchestrator (core NATS, request and reply): [`crate::v1::call`].
pub const CALLS: &str = "baton.v1.call";

fn tail(attempt: &AttemptRef) -> String {
    format!("{}.{}.{}", attempt.project_id, attempt.task_id, attempt.number)
}

/// A subject that does not follow the scheme above.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadSubject(pub String);

impl fmt::Display for BadSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "subject {:?} is not one of {PREFIX}", self.0)
    }
}

impl std::error::Error for BadSubject {}

/// Reads an event subject back: identity comes from the subject, never from the body alone.
///
/// # Errors
/// [`BadSubject`] if it is not an event subject.
pub fn parse_event(subject: &str) -> Result<(AttemptRef, EventKind), BadSubject> {
    let bad = || BadSubject(subject.to_owned());
    let rest = strip(subject, "event").ok_or_else(bad)?;
    let (place, kind) = rest.rsplit_once('.').ok_or_else(bad)?;
    let kind = EventKind::ALL.into_iter().find(|k| k.token() == kind).ok_or_else(bad)?;
    Ok((parse_tail(place).ok_or_else(bad)?, kind))
}

/// Reads a cancellation subject back.
///
/// # Errors
/// [`BadSubject`] if it is not a cancellation subject.
pub fn parse_cancel(subject: &str) -> Result<AttemptRef, BadSubject> {
    strip(subject, "control")
        .and_then(|rest| rest.strip_suffix(".cancel"))
        .and_then(parse_tail)
        .ok_or_else(|| BadSubject(subject.to_owned()))
}

/// Reads a subject of [`tell`] back.
///
/// # Errors
/// [`BadSubject`] if it is not one.
pub fn parse_tell(subject: &str) -> Result<AttemptRef, BadSubject> {
    strip(subject, "control")
        .and_then(|rest| rest.strip_suffix(".tell"))
        .and_then(parse_tail)
        .ok_or_else(|| BadSubject(subject.to_owned()))
}

/// Reads a log subject back.
///
/// # Errors
/// [`BadSubject`] if it is not a log subject.
pub fn parse_log(subject: &str) -> Result<AttemptRef, BadSubject> {
    strip(subject, "log").and_then(parse_tail).ok_or_else(|| BadSubject(subject.to_owned()))
}

fn strip<'a>(subject: &'a str, noun: &str) -> Option<&'a str> {
    subject.strip_prefix(PREFIX)?.strip_prefix('.')?.strip_prefix(noun)?.strip_prefix('.')
}

fn parse_tail(tail: &str) -> Option<AttemptRef> {
    let mut tokens = tail.split('.');
    let place = AttemptRef {
        project_id: tokens.next()?.parse().ok()?,
        task_id: tokens.next()?.parse().ok()?,
        number: tokens.next()?.parse().ok()?,
    };
    tokens.next().is_none().then_some(place)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn place() -> AttemptRef {
        AttemptRef {
            project_id: ProjectId::from_uuid(Uuid::from_u128(1)),
            task_id: TaskId::from_uuid(Uuid::from_u128(2)),
            number: 3,
        }
    }

    #[test]
    fn what_is_built_is_parsed_back() {
        for kind in EventKind::ALL {
            assert_eq!(parse_event(&event(&place(), kind)), Ok((place(), kind)));
        }
        assert_eq!(parse_cancel(&cancel(&place())), Ok(place()));
        assert_eq!(parse_tell(&tell(&place())), Ok(place()));
        assert!(parse_cancel(&tell(&place())).is_err());
        assert_eq!(parse_log(&log(&place())), Ok(place()));
    }

    #[test]
    fn foreign_subjects_are_refused() {
        for subject in ["", "baton.v1.event", "baton.v2.event.a.b.1.claimed", "baton.v1.event.a.b.c.claimed"] {
            assert_eq!(parse_event(subject), Err(BadSubject(subject.to_owned())));
        }
        let longer = format!("{}.more", event(&place(), EventKind::Claimed));
        assert!(parse_event(&longer).is_err());
    }

    #[test]
    fn a_pool_name_is_one_token() {
        assert!(PoolName::new("gpu-2").is_ok());
        for name in ["", "a.b", "a b", "Ä", "*", ">", "UPPER"] {
            assert_eq!(PoolName::new(name), Err(BadPoolName(name.to_owned())));
        }
    }
}
