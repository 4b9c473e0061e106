//! One sender's mails are acted on in their order, though they are checked side by side.
//!
//! A mail that is proven waits for the earlier ones of its sender that are being checked, or are about to be: an approval must not
//! overtake the change that was asked for before it. Anybody can write mails in somebody's name whose check takes its time, so
//! nobody is waited for longer than a check may take, and for only so long until it begins.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
};

use tokio::time::Instant;

/// A mail's turn.
struct Turn<J> {
    id: String,
    /// Until then those behind it wait for its check.
    until: Instant,
    /// It is proven.
    ready: Option<J>,
}

/// One sender's.
struct Queue<J> {
    turns: VecDeque<Turn<J>>,
    /// Somebody looks again then.
    wakes: Option<Instant>,
}

/// The turns of all senders whose mails are being checked.
pub(super) struct Turns<J>(Mutex<HashMap<String, Queue<J>>>);

impl<J> Turns<J> {
    pub(super) fn new() -> Self {
        Self(Mutex::default())
    }

    /// A mail is about to be checked; those that come after it wait for it until then. One that is known keeps its turn.
    pub(super) fn begin(&self, sender: &str, id: &str, until: Instant) {
        self.with(|all| {
            let queue = all.entry(sender.to_owned()).or_insert_with(|| Queue { turns: VecDeque::new(), wakes: None });
            if !queue.turns.iter().any(|turn| turn.id == id) {
                queue.turns.push_back(Turn { id: id.to_owned(), until, ready: None });
            }
        });
    }

    /// Its check begins; those behind it wait no longer than until then.
    pub(super) fn starts(&self, sender: &str, id: &str, until: Instant) {
        self.with(|all| {
            let turns = all.get_mut(sender).map(|queue| queue.turns.iter_mut());
            if let Some(turn) = turns.into_iter().flatten().find(|turn| turn.id == id) {
                turn.until = turn.until.min(until);
            }
        });
    }

    /// Nobody needs to wait for it any more.
    pub(super) fn leave(&self, sender: &str, id: &str) {
        self.with(|all| {
            let Some(queue) = all.get_mut(sender) else { return };
            queue.turns.retain(|turn| turn.id != id);
            if queue.turns.is_empty() {
                all.remove(sender);
            }
        });
    }

    /// It is proven. A mail without a turn gets the last one.
    pub(super) fn ready(&self, sender: &str, id: &str, job: J) {
        self.begin(sender, id, Instant::now());
        self.with(|all| {
            let turns = all.get_mut(sender).map(|queue| queue.turns.iter_mut());
            if let Some(turn) = turns.into_iter().flatten().find(|turn| turn.id == id) {
                turn.ready = Some(job);
            }
        });
    }

    /// Passes on, in their order, those whose turn it is; when somebody has to look again, if nobody does yet.
    pub(super) fn pass(&self, sender: &str, now: Instant, mut on: impl FnMut(J)) -> Option<Instant> {
        self.with(|all| {
            let queue = all.get_mut(sender)?;
            let mut waits_until = None;
            for mut turn in std::mem::take(&mut queue.turns) {
                if waits_until.is_none() {
                    if let Some(job) = turn.ready.take() {
                        on(job);
                        continue;
                    }
                    waits_until = Some(turn.until).filter(|until| *until > now);
                }
                queue.turns.push_back(turn);
            }
            if queue.turns.is_empty() {
                all.remove(sender);
                return None;
            }
            let is_held = queue.turns.iter().any(|turn| turn.ready.is_some());
            let next = waits_until.filter(|_| is_held);
            let is_new = next != queue.wakes;
            queue.wakes = next;
            next.filter(|_| is_new)
        })
    }

    fn with<R>(&self, look: impl FnOnce(&mut HashMap<String, Queue<J>>) -> R) -> R {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_proven_mail_waits_for_earlier_ones_and_not_for_ever() {
        let turns = Turns::new();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let pass = |now| {
            let mut passed = Vec::new();
            let next = turns.pass("ann", at(now), |job| passed.push(job));
            (passed, next)
        };
        for (id, until) in [("a", 30), ("b", 31), ("c", 32)] {
            turns.begin("ann", id, at(until));
        }
        turns.begin("ann", "a", at(99));
        turns.ready("ann", "c", 'c');
        assert_eq!(pass(1), (vec![], Some(at(30))));
        assert_eq!(pass(2), (vec![], None), "somebody looks again already");
        turns.ready("ann", "b", 'b');
        assert_eq!(pass(3), (vec![], None));
        turns.begin("bob", "x", at(90));
        turns.begin("ann", "d", at(60));
        turns.ready("ann", "e", 'e');
        assert_eq!(pass(30), (vec!['b', 'c'], Some(at(60))), "in their order, though both waited for the same one");
        turns.leave("ann", "d");
        assert_eq!(pass(31), (vec!['e'], None));
        turns.ready("ann", "a", 'a');
        assert_eq!(pass(32), (vec!['a'], None));
        assert_eq!(turns.0.lock().unwrap().len(), 1, "nothing is left of it");
    }
}
