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
    /// Nobody goes before.
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

    /// Slack asked for a pause.
    pub(super) fn limited(&self, kind: &str, now: Instant, pause: Duration) {
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        if limits.len() >= KINDS {
            limits.retain(|_, limit| limit.sore_until > now);
        }
        let until = now + pause;
        let limit = limits.entry(kind.to_owned()).or_insert(Limit { not_before: until, sore_until: until });
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
