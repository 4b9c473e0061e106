//! Slack's rate limits, per method (and per channel where Slack counts so): who was told to wait waits, and those behind do, too.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Calls of a kind that was limited keep this distance, …
const SPACING: Duration = Duration::from_millis(1000);
/// … for so long after the last time it was limited.
const SORE: Duration = Duration::from_secs(60);
/// Without a `Retry-After` this is how long it is left alone.
pub(super) const UNSAID: Duration = Duration::from_secs(5);
/// Kinds remembered before the healed ones are forgotten.
const KINDS: usize = 512;

#[derive(Clone, Copy, Debug)]
struct Limit {
    /// Nobody goes before, not even who had a place when Slack asked for a pause.
    closed_until: Instant,
    /// The next free place in the queue.
    not_before: Instant,
    /// Until then one goes after the other.
    sore_until: Instant,
}

/// What is limited at present. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Gate {
    limits: Arc<Mutex<HashMap<String, Limit>>>,
}

impl Gate {
    /// The instant at which the next call of this kind may go, taken; `Err` is how long that would be, if it is after `latest`.
    pub(super) fn enter(&self, kind: &str, now: Instant, latest: Instant) -> Result<Instant, Duration> {
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(limit) = limits.get_mut(kind) else { return Ok(now) };
        if limit.sore_until <= now && limit.not_before <= now {
            limits.remove(kind);
            return Ok(now);
        }
        let slot = limit.not_before.max(now);
        if slot > latest {
            return Err(slot - now);
        }
        limit.not_before = slot + SPACING;
        Ok(slot)
    }

    /// Whether a call whose place has come may go, or has to ask for another place: a call before it was limited meanwhile.
    pub(super) fn is_open(&self, kind: &str, now: Instant) -> bool {
        let limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        limits.get(kind).is_none_or(|limit| limit.closed_until <= now)
    }

    /// Slack asked for a pause.
    pub(super) fn limited(&self, kind: &str, now: Instant, pause: Duration) {
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        if limits.len() >= KINDS {
            limits.retain(|_, limit| limit.sore_until > now);
        }
        let until = now + pause;
        let closed = Limit { closed_until: until, not_before: until, sore_until: until };
        let limit = limits.entry(kind.to_owned()).or_insert(closed);
        limit.closed_until = limit.closed_until.max(until);
        limit.not_before = limit.not_before.max(until);
        limit.sore_until = until + SORE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn one_kind_waits_in_turn_and_the_others_do_not() {
        let gate = Gate::default();
        let now = Instant::now();
        let latest = now + 10 * SECOND;
        assert_eq!(gate.enter("post:C1", now, latest), Ok(now));
        gate.limited("post:C1", now, 3 * SECOND);
        assert_eq!(gate.enter("post:C1", now, latest), Ok(now + 3 * SECOND));
        assert_eq!(gate.enter("post:C1", now, latest), Ok(now + 4 * SECOND));
        assert_eq!(gate.enter("post:C2", now, latest), Ok(now));
        assert_eq!(gate.enter("post:C1", now, now + SECOND), Err(5 * SECOND));
        // Nobody took the slot that came too late.
        assert_eq!(gate.enter("post:C1", now, latest), Ok(now + 5 * SECOND));
        let healed = now + 3 * SECOND + SORE;
        assert_eq!(gate.enter("post:C1", healed, healed), Ok(healed));
        assert_eq!(gate.enter("post:C1", healed, healed), Ok(healed));
    }

    #[test]
    fn who_had_a_place_waits_for_the_later_pause_too() {
        let gate = Gate::default();
        let now = Instant::now();
        let latest = now + 10 * SECOND;
        gate.limited("m", now, SECOND);
        let first = gate.enter("m", now, latest).unwrap();
        let second = gate.enter("m", now, latest).unwrap();
        assert!(gate.is_open("m", first));
        // The first is limited once more, a little after its place came: the second's place comes too early now.
        gate.limited("m", first + SECOND / 100, SECOND);
        assert!(!gate.is_open("m", second));
        let other = gate.enter("m", second, latest).unwrap();
        assert!(other >= first + SECOND + SECOND / 100, "{other:?}");
        assert!(gate.is_open("m", other));
        assert!(gate.is_open("n", now));
    }

    #[test]
    fn a_shorter_pause_does_not_shorten_a_longer_one() {
        let gate = Gate::default();
        let now = Instant::now();
        gate.limited("m", now, 9 * SECOND);
        gate.limited("m", now, SECOND);
        assert_eq!(gate.enter("m", now, now + 10 * SECOND), Ok(now + 9 * SECOND));
    }

    #[test]
    fn healed_kinds_are_forgotten() {
        let gate = Gate::default();
        let now = Instant::now();
        for kind in 0..KINDS {
            gate.limited(&kind.to_string(), now, SECOND);
        }
        gate.limited("last", now + 2 * SORE, SECOND);
        assert_eq!(gate.limits.lock().unwrap().len(), 1);
    }
}
