//! What the bus says, taken in.

use std::{collections::BTreeSet, time::Instant};

use bus_schemas::{
    id::{MessageId, ProjectId},
    v1::{host::Beat, task::FailureReason},
};

use super::{outbox::Order, run::Driver, turn::Turn, work};
use crate::port::{
    bus::{Delivery, Inbound, Observation},
    journal::Journal,
};

impl<J: Journal> Driver<J> {
    pub(super) async fn hear(&mut self, turn: &mut Turn, inbound: Inbound) {
        self.hear_link(&inbound, turn.now).await;
        match inbound {
            Inbound::Delivery(delivery) => {
                if is_object_missing(&delivery) {
                    // Before the next offer is ordered, which then puts there again what is gone.
                    drop(self.parts.orders.send(Order::ForgetObjects).await);
                }
                self.state.delivered(turn, delivery);
            }
            Inbound::Beat(beat) => {
                let closed = self.closed(&beat).await;
                self.state.beat(turn, *beat, &closed);
            }
            Inbound::CaughtUp { run, .. } => self.state.caught_up |= run == self.state.run,
            Inbound::Up | Inbound::Down => {}
        }
    }

    /// What is said once and not again: taken in even if the rest of the turn cannot be.
    pub(super) async fn hear_link(&mut self, inbound: &Inbound, now: Instant) {
        match inbound {
            Inbound::Down => {
                self.state.hosts.heard(false, now);
                // The intake begins again with the next connection and says when it has caught up.
                self.state.caught_up = false;
            }
            Inbound::Up => self.state.hosts.heard(true, now),
            Inbound::CaughtUp { fresh: true, .. } => {
                // The bus lost its memory: what was offered and put there may be gone.
                drop(self.parts.orders.send(Order::ForgetObjects).await);
                self.offers_due = true;
            }
            // Beats come again, deliveries after the rewind.
            Inbound::CaughtUp { .. } | Inbound::Beat(_) | Inbound::Delivery(_) => {}
        }
    }

    /// Projects that a host works for and that are put away here.
    async fn closed(&self, beat: &Beat) -> BTreeSet<ProjectId> {
        let held = beat.attempts.iter().map(|held| held.attempt.project_id);
        let unknown: BTreeSet<_> = held.filter(|id| !self.state.rooms.contains_key(id)).collect();
        let mut closed = BTreeSet::new();
        for project_id in unknown {
            // What cannot be asked now is asked with the next beat.
            if let Ok(Some(true)) = self.parts.journal.is_settled(project_id).await {
                closed.insert(project_id);
            }
        }
        closed
    }

    /// Publishes every offer that nobody took once more, under a new id: the bus would drop a known one as a duplicate.
    /// Where the first one is still there, the claim decides, as it always does.
    pub(super) fn offer_again(&self, turn: &mut Turn) {
        let before = turn.aside.len();
        for (room, task) in self.state.submitted() {
            turn.aside.push(work::offer_again(room, task, MessageId::from_uuid(self.parts.ids.next())));
        }
        turn.offered_again = true;
        let offers = turn.aside.len() - before;
        if offers > 0 {
            tracing::info!(offers, "offers that nobody took are published again");
        }
    }
}

/// A host did not find in the object store what was put there.
fn is_object_missing(delivery: &Delivery) -> bool {
    matches!(&delivery.observation, Ok(Observation::Failed(failed)) if failed.reason == FailureReason::MissingObject)
}
