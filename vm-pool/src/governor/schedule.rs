//! Who goes now, who is sent away, when to look again.

use bus_schemas::time::UnixMs;

use super::{
    Command, State,
    state::{InFlight, MIN_RESUME_MS, MINUTE_MS, REQUEST, Waiting},
};

/// Sends away who cannot go in time, admits who can go, asks to be woken for the rest.
pub(super) fn schedule(state: &mut State, at: UnixMs, commands: &mut Vec<Command>) {
    refuse(state, at, commands);
    while state.open(at) {
        let Some((project, waited)) = state.take_next(at) else { break };
        if state.shared.rate.is_some() {
            state.level = state.level.saturating_sub(REQUEST);
        }
        if let Some(allowance) = &mut state.allowance {
            allowance.left = allowance.left.saturating_sub(1);
        }
        state.note_admission(at);
        let nth = state.admissions;
        state.admissions += 1;
        state.in_flight.insert(waited.call, InFlight { project, waited, admitted_at: at, nth, answered: false });
        commands.push(Command::Admit { call: waited.call });
    }
    if let Some(next) = state.next_wake(at) {
        commands.push(Command::Wake { at: next });
    }
}

fn refuse(state: &mut State, at: UnixMs, commands: &mut Vec<Command>) {
    let (blocked_until, hold_ms) = (state.shared.blocked_until, state.tuning.hold_ms);
    state.waiting.retain(|_, queue| {
        queue.retain(|waiting| {
            let earliest = waiting.not_before.max(blocked_until);
            let deadline = waiting.asked_at.plus_ms(hold_ms);
            let keep = at < deadline && earliest <= deadline;
            if !keep {
                let resume_at = earliest.max(at.plus_ms(MIN_RESUME_MS));
                commands.push(Command::Refuse { call: waiting.call, resume_at });
            }
            keep
        });
        !queue.is_empty()
    });
}

impl State {
    /// Whether one more call may go at all.
    fn open(&self, at: UnixMs) -> bool {
        let slots = self.tuning.max_concurrent.max(1) as usize;
        self.gate(at) <= at && self.in_flight.len() < slots && self.knock(at).is_none()
    }

    /// The first moment at which block, bucket and window let a call through.
    fn gate(&self, at: UnixMs) -> UnixMs {
        let bucket = match self.shared.rate {
            Some(rate) if self.level < REQUEST => {
                at.plus_ms(((REQUEST - self.level) * MINUTE_MS).div_ceil(rate.max(1)).max(1))
            }
            _ => at,
        };
        let window = self.allowance.filter(|allowance| allowance.left == 0).map_or(at, |allowance| allowance.until);
        bucket.max(window).max(self.shared.blocked_until)
    }

    /// Lets the bucket run full, and forgets a window that is over.
    pub(super) fn refill(&mut self, at: UnixMs) {
        self.allowance = self.allowance.filter(|allowance| allowance.until > at);
        let Some(rate) = self.shared.rate.filter(|rate| *rate > 0) else {
            self.level = 0;
            self.level_at = at;
            return;
        };
        let gained = at.since(self.level_at).saturating_mul(rate) / MINUTE_MS;
        if gained > 0 {
            // Ten seconds' worth at once, and one call at least.
            let full = (rate / 6).max(REQUEST);
            self.level = self.level.saturating_add(gained).min(full);
            // What was too little to count is not lost.
            self.level_at = self.level_at.plus_ms(gained.saturating_mul(MINUTE_MS) / rate);
        }
    }

    /// When something changes by itself.
    fn next_wake(&self, at: UnixMs) -> Option<UnixMs> {
        let gate = self.gate(at);
        let moments = self.waiting.values().flatten().flat_map(|waiting: &Waiting| {
            [waiting.not_before.max(gate), waiting.asked_at.plus_ms(self.tuning.hold_ms)]
        });
        // What could go now waits for a slot or for an answer, which are events of their own.
        let knock = self.knock(at).filter(|_| !self.waiting.is_empty());
        moments.chain(knock).filter(|moment| *moment > at).min()
    }
}
