//! The pure function.

use std::collections::VecDeque;

use bus_schemas::{id::ProjectId, time::UnixMs};

use super::{
    Answer, Command, Event, Fact, Shared, Signals, State, Window,
    schedule::schedule,
    state::{
        Allowance, FIRST_RATE, InFlight, MAX_BLOCK_MS, MAX_WINDOW_MS, MIN_RATE, QUIET_MS, REQUEST, Waiting, spread,
    },
};

/// Takes an event in and says what is to be done. What makes no sense changes nothing.
pub fn step(state: &mut State, event: &Event) -> Vec<Command> {
    let mut commands = Vec::new();
    let at = event.at;
    state.refill(at);
    match &event.fact {
        Fact::Asked { call, project } => {
            let waiting = Waiting { call: *call, asked_at: at, not_before: UnixMs(0), failures: 0 };
            state.waiting.entry(*project).or_default().push_back(waiting);
        }
        Fact::Answered { call, answer, luck } => {
            if let Some(flight) = state.in_flight.get(call).copied().filter(|flight| !flight.answered) {
                let before = state.shared;
                answered(state, at, flight, answer, *luck);
                state.publish(before, at, &mut commands);
            }
        }
        Fact::Ended { call } => {
            state.in_flight.remove(call);
            state.waiting.retain(|_, queue| {
                queue.retain(|waiting| waiting.call != *call);
                !queue.is_empty()
            });
        }
        Fact::Heard(shared) => state.hear(*shared, at),
        Fact::Passed => {}
    }
    schedule(state, at, &mut commands);
    commands
}

fn answered(state: &mut State, at: UnixMs, flight: InFlight, answer: &Answer, luck: u32) {
    // What was let go before the last refusal is part of the same rush.
    let fresh = flight.nth >= state.struck_by;
    match answer {
        Answer::Fine(signals) => {
            if let Some(flight) = state.in_flight.get_mut(&flight.waited.call) {
                flight.answered = true;
            }
            if fresh {
                state.shared.strikes = 0;
                state.faster(at);
            }
            state.obey(signals, at);
        }
        Answer::Limited(signals) => {
            if fresh {
                state.slower(at);
            }
            state.strike(fresh, signals, at, luck);
            state.requeue(flight, UnixMs(0));
        }
        Answer::Overloaded(signals) => {
            state.strike(fresh, signals, at, luck);
            state.requeue(flight, UnixMs(0));
        }
        Answer::Failed(signals) => {
            let own = state.tuning.backoff_ms(flight.waited.failures + 1, luck);
            let wait_ms = own.max(signals.retry_after_ms.unwrap_or(0)).min(MAX_BLOCK_MS);
            state.requeue(flight, at.plus_ms(wait_ms));
        }
    }
}

impl State {
    /// A refusal: nobody goes for a while.
    fn strike(&mut self, fresh: bool, signals: &Signals, at: UnixMs, luck: u32) {
        if fresh {
            self.shared.strikes = self.shared.strikes.saturating_add(1);
            self.struck_at = at;
            self.struck_by = self.admissions;
        }
        // The one that tries the door is held back by the block alone.
        self.level = REQUEST;
        let wait_ms = match signals.retry_after_ms {
            // Believed the first time; a provider that goes on refusing at its own word is given more, and
            // everybody comes a little later than told, not all at once.
            Some(told) => {
                let told = told.saturating_add(spread(told / 10, luck));
                told.max(self.tuning.backoff_ms(self.shared.strikes.saturating_sub(1), luck))
            }
            None => self.tuning.backoff_ms(self.shared.strikes.max(1), luck),
        };
        self.block_until(at.plus_ms(wait_ms.min(MAX_BLOCK_MS)));
        self.obey(signals, at);
    }

    fn block_until(&mut self, until: UnixMs) {
        self.shared.blocked_until = self.shared.blocked_until.max(until);
    }

    /// Takes the provider's own count.
    fn obey(&mut self, signals: &Signals, at: UnixMs) {
        let cap = at.plus_ms(MAX_WINDOW_MS);
        if let Some(Window { limit, remaining, reset_at }) = signals.requests {
            // All are there again at `reset_at`; the first one comes sooner.
            let first_ms = reset_at.since(at).div_ceil(limit.unwrap_or(1).max(1));
            let left = remaining.saturating_sub(self.unanswered() as u64);
            self.allowance = Some(Allowance { left, until: at.plus_ms(first_ms).min(cap) });
        }
        if let Some(Window { remaining: 0, reset_at, .. }) = signals.tokens {
            self.block_until(reset_at.min(cap));
        }
    }

    /// A refusal takes three tenths off the pace.
    fn slower(&mut self, at: UnixMs) {
        let pace = self.pace(at).saturating_mul(REQUEST);
        self.shared.rate = Some(match self.shared.rate {
            None => (pace / 10 * 7).max(FIRST_RATE),
            Some(rate) => (rate / 10 * 7).max(MIN_RATE),
        });
        self.level_at = at;
    }

    /// A success adds a tenth, if the bucket is what holds calls back; a long quiet takes the bucket away.
    fn faster(&mut self, at: UnixMs) {
        if at.since(self.struck_at) >= QUIET_MS {
            self.shared.rate = None;
        }
        let pace = self.pace(at).saturating_mul(REQUEST).max(MIN_RATE);
        self.shared.rate = self.shared.rate.map(|rate| if rate > 2 * pace { rate } else { rate + rate / 10 });
    }

    /// The call waits again, before the others of its project: it came first.
    fn requeue(&mut self, flight: InFlight, not_before: UnixMs) {
        self.in_flight.remove(&flight.waited.call);
        let failures = flight.waited.failures.saturating_add(1);
        let waiting = Waiting { not_before, failures, ..flight.waited };
        let queue = self.waiting.entry(flight.project).or_default();
        let place = queue.iter().position(|other| other.asked_at > waiting.asked_at).unwrap_or(queue.len());
        queue.insert(place, waiting);
    }

    /// Tells the others what they would want to know: refusals, and their end.
    fn publish(&mut self, before: Shared, at: UnixMs, commands: &mut Vec<Command>) {
        let news = self.shared.strikes != before.strikes
            || (self.shared.strikes > 0 && self.shared.blocked_until != before.blocked_until);
        if news {
            self.shared.at = at.max(before.at.plus_ms(1));
            commands.push(Command::Share(self.shared));
        }
    }

    fn hear(&mut self, heard: Shared, at: UnixMs) {
        if heard.at <= self.shared.at {
            return;
        }
        let rate = match (self.shared.rate, heard.rate) {
            (Some(own), Some(other)) => Some(own.min(other).max(MIN_RATE)),
            (None, Some(other)) => Some(other.max(MIN_RATE)),
            (own, None) => own,
        };
        // Another host's clock may be wrong; its word binds no longer than a provider's would.
        let blocked_until = heard.blocked_until.min(at.plus_ms(MAX_BLOCK_MS));
        self.shared = Shared { blocked_until, rate, strikes: heard.strikes, at: heard.at };
        if heard.strikes > 0 {
            self.struck_at = self.struck_at.max(at);
            self.struck_by = self.admissions;
        }
    }

    /// Whose turn it is: the next project after the last one that has a call which may go now.
    pub(super) fn take_next(&mut self, at: UnixMs) -> Option<(ProjectId, Waiting)> {
        let ready = |queue: &VecDeque<Waiting>| queue.iter().position(|waiting| waiting.not_before <= at);
        let after = self.waiting.iter().filter(|(project, _)| self.served.is_none_or(|last| **project > last));
        let around = self.waiting.iter().filter(|(project, _)| self.served.is_some_and(|last| **project <= last));
        let (project, place) =
            after.chain(around).find_map(|(project, queue)| ready(queue).map(|place| (*project, place)))?;
        let queue = self.waiting.get_mut(&project)?;
        let waiting = queue.remove(place)?;
        if queue.is_empty() {
            self.waiting.remove(&project);
        }
        self.served = Some(project);
        Some((project, waiting))
    }
}
