//! The hosts by what they say of themselves, and the leases of attempts. Leases run by the monotonic clock, start at the
//! claim, and start anew after a restart or an outage of the bus: silence while nobody could be heard proves nothing.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use bus_schemas::{
    id::{ClaimNonce, HostId, ProjectId, TaskId},
    stream::BEAT_INTERVAL_MS,
    subject::PoolName,
    time::UnixMs,
    v1::{api::HostView, host::Beat},
};

use crate::plan::task::{Task, TaskState};

/// Beats a host may miss before its slots no longer count.
const MISSED_BEATS: u32 = 3;

/// What is known of the hosts.
#[derive(Debug)]
pub(super) struct Hosts {
    hosts: HashMap<HostId, Host>,
    leases: HashMap<(ProjectId, TaskId), Lease>,
    /// Since when the bus can be heard; `None` while it cannot.
    heard_since: Option<Instant>,
}

#[derive(Debug)]
struct Host {
    beat: Beat,
    seen: Instant,
    seen_at: UnixMs,
}

/// An attempt that is worked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    /// The attempt.
    pub(super) number: u32,
    /// The claim.
    pub(super) nonce: ClaimNonce,
    /// The heartbeat limit.
    pub(super) limit: Duration,
}

impl Held {
    /// The lease of a task, if a host works on it.
    pub(super) fn of(task: &Task) -> Option<Self> {
        let claim = task.claim.as_ref().filter(|_| task.state == TaskState::Working && !task.spec.is_foreach)?;
        let limit = Duration::from_millis(task.spec.limits.heartbeat_ms);
        Some(Self { number: task.attempt, nonce: claim.nonce, limit })
    }
}

#[derive(Debug)]
struct Lease {
    held: Held,
    seen: Instant,
}

impl Hosts {
    pub(super) fn new() -> Self {
        Self { hosts: HashMap::new(), leases: HashMap::new(), heard_since: None }
    }

    /// The bus can be heard (again) or not: leases start anew.
    pub(super) fn heard(&mut self, hearing: bool, now: Instant) {
        self.heard_since = hearing.then_some(now);
    }

    pub(super) const fn hearing(&self) -> bool {
        self.heard_since.is_some()
    }

    /// Takes a beat in.
    pub(super) fn beat(&mut self, beat: Beat, now: Instant, at: UnixMs) {
        for held in &beat.attempts {
            if let Some(lease) = self.leases.get_mut(&(held.attempt.project_id, held.attempt.task_id))
                && lease.held.number == held.attempt.number
                && lease.held.nonce == held.nonce
            {
                lease.seen = now;
            }
        }
        self.hosts.insert(beat.host_id, Host { beat, seen: now, seen_at: at });
    }

    /// An attempt of a task is worked on, or none.
    pub(super) fn hold(&mut self, project_id: ProjectId, task_id: TaskId, held: Option<Held>, now: Instant) {
        let key = (project_id, task_id);
        match held {
            None => drop(self.leases.remove(&key)),
            Some(held) if self.leases.get(&key).is_some_and(|lease| lease.held == held) => {}
            Some(held) => drop(self.leases.insert(key, Lease { held, seen: now })),
        }
    }

    /// Attempts whose host was silent for longer than their limit.
    pub(super) fn expired(&self, now: Instant) -> Vec<(ProjectId, TaskId, u32)> {
        let Some(since) = self.heard_since else { return Vec::new() };
        let expired = self
            .leases
            .iter()
            .filter(|(_, lease)| now.saturating_duration_since(lease.seen.max(since)) > lease.held.limit);
        expired.map(|((project, task), lease)| (*project, *task, lease.held.number)).collect()
    }

    pub(super) fn has_leases(&self) -> bool {
        !self.leases.is_empty()
    }

    fn is_lost(&self, host: &Host, now: Instant) -> bool {
        let silence = Duration::from_millis(BEAT_INTERVAL_MS) * MISSED_BEATS;
        // While nobody can be heard, nobody is lost.
        self.heard_since.is_some_and(|since| now.saturating_duration_since(host.seen.max(since)) > silence)
    }

    /// Slots over all live hosts of the pool that offers go to, and how many such hosts there are.
    pub(super) fn slots(&self, now: Instant) -> (u32, u32) {
        let pool = PoolName::default();
        let live = self.hosts.values().filter(|host| host.beat.pool == pool.as_str() && !self.is_lost(host, now));
        live.fold((0, 0), |(slots, hosts), host| (host.beat.slots.saturating_add(slots), hosts + 1))
    }

    /// Everything known, by name.
    pub(super) fn views(&self, now: Instant) -> Vec<HostView> {
        let view =
            |host: &Host| HostView { beat: host.beat.clone(), seen_at: host.seen_at, lost: self.is_lost(host, now) };
        let mut views: Vec<_> = self.hosts.values().map(view).collect();
        views.sort_by(|a, b| a.beat.name.cmp(&b.beat.name).then(a.beat.host_id.cmp(&b.beat.host_id)));
        views
    }
}

#[cfg(test)]
mod tests {
    use bus_schemas::{
        id::AttemptRef,
        v1::{handoff::Isolation, host::HeldAttempt},
    };
    use uuid::Uuid;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    fn held() -> Held {
        Held { number: 2, nonce: ClaimNonce::from_uuid(Uuid::from_u128(9)), limit: LIMIT }
    }

    fn ids() -> (ProjectId, TaskId) {
        (ProjectId::from_uuid(Uuid::from_u128(1)), TaskId::from_uuid(Uuid::from_u128(2)))
    }

    fn beat(nonce: u128, slots: u32) -> Beat {
        let (project_id, task_id) = ids();
        Beat {
            host_id: HostId::from_uuid(Uuid::from_u128(3)),
            name: "one".to_owned(),
            pool: "default".to_owned(),
            slots,
            attempts: vec![HeldAttempt {
                attempt: AttemptRef { project_id, task_id, number: 2 },
                nonce: ClaimNonce::from_uuid(Uuid::from_u128(nonce)),
            }],
            spares: 0,
            accelerator: "tcg".to_owned(),
            accelerator_note: String::new(),
            isolation: Isolation::Emulated,
            problems: Vec::new(),
        }
    }

    #[test]
    fn a_lease_lives_by_beats_that_name_its_claim_and_no_others() {
        let (project, task) = ids();
        let start = Instant::now();
        let mut hosts = Hosts::new();
        hosts.heard(true, start);
        hosts.hold(project, task, Some(held()), start);
        hosts.beat(beat(9, 1), start + Duration::from_secs(20), UnixMs(0));
        assert_eq!(hosts.expired(start + Duration::from_secs(45)), []);
        hosts.beat(beat(8, 1), start + Duration::from_secs(46), UnixMs(0));
        assert_eq!(hosts.expired(start + Duration::from_secs(51)), [(project, task, 2)]);
    }

    #[test]
    fn an_outage_of_the_bus_gives_a_fresh_lease() {
        let (project, task) = ids();
        let start = Instant::now();
        let mut hosts = Hosts::new();
        hosts.heard(true, start);
        hosts.hold(project, task, Some(held()), start);
        hosts.heard(false, start);
        assert_eq!(hosts.expired(start + LIMIT * 9), []);
        hosts.heard(true, start + LIMIT * 9);
        assert_eq!(hosts.expired(start + LIMIT * 10), []);
        assert_eq!(hosts.expired(start + LIMIT * 11), [(project, task, 2)]);
    }

    #[test]
    fn a_silent_host_keeps_its_slots_for_three_beats() {
        let start = Instant::now();
        let interval = Duration::from_millis(BEAT_INTERVAL_MS);
        let mut hosts = Hosts::new();
        hosts.heard(true, start);
        hosts.beat(beat(9, 4), start, UnixMs(0));
        assert_eq!(hosts.slots(start + interval * 3), (4, 1));
        assert_eq!(hosts.slots(start + interval * 3 + Duration::from_millis(1)), (0, 0));
    }
}
