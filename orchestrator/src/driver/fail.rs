//! What happens when a transaction fails: nothing, and it is tried again.

use std::time::Instant;

use bus_schemas::id::ProjectId;
use tokio::sync::oneshot;

use super::{
    input::{Input, Refusal, Seen},
    run::{Driver, PAUSE},
    turn::Turn,
};
use crate::port::{
    bus::IntakeStart,
    journal::{Journal, JournalError},
};

/// Who looks at which project.
pub(super) type Look = (ProjectId, oneshot::Sender<Result<Option<Seen>, Refusal>>);

impl<J: Journal> Driver<J> {
    /// The transaction failed: nothing of the turn happened.
    pub(super) async fn take_back(&mut self, turn: Turn, error: &JournalError) {
        tracing::error!(%error, records = turn.touched.len(), "transaction failed, nothing of it happened");
        let Turn { replies, answers, touched, now, .. } = turn;
        for (reply, _) in replies {
            drop(reply.send(Err(Refusal::Journal(error.clone()))));
        }
        // Their keys come again with them.
        self.performed.retain(|key| !answers.iter().any(|answer| answer.key == Some(*key)));
        self.again.extend(answers);
        for project_id in touched {
            let pending = self.state.rooms.remove(&project_id).map_or(0, |room| room.pending);
            match self.load_room(project_id).await {
                Ok(()) => {
                    if let Some(room) = self.state.rooms.get_mut(&project_id) {
                        room.pending = pending;
                    }
                }
                Err(_) => drop(self.broken.insert(project_id)),
            }
        }
        self.rest(now);
    }

    /// After a failure: the stream is read again from the cursor, a little later.
    pub(super) fn rest(&mut self, now: Instant) {
        self.state.run += 1;
        self.state.caught_up = false;
        self.resting_until = Some(now + PAUSE);
        self.parts.intake.send_replace(IntakeStart { run: self.state.run, cursor: self.cursor.clone() });
    }

    /// The journal cannot be read: people are told, answers are kept.
    pub(super) fn refuse(&mut self, inputs: Vec<Input>, error: &JournalError) {
        tracing::error!(%error, "journal cannot be read");
        for input in inputs {
            match input {
                Input::Ask { reply, .. } => drop(reply.send(Err(Refusal::Journal(error.clone())))),
                Input::Look { reply, .. } => drop(reply.send(Err(Refusal::Journal(error.clone())))),
                Input::Rebuild(reply) => drop(reply.send(Err(error.clone()))),
                Input::Answer(answer) => self.again.push(answer),
                Input::Hosts(reply) => drop(reply.send(self.state.hosts.views(Instant::now()))),
                Input::FeedPublished(_) | Input::Shutdown => {}
            }
        }
    }

    /// Answers with what is committed. Rooms that were only opened for it are closed again.
    pub(super) fn look(&mut self, looks: Vec<Look>) {
        for (project_id, reply) in looks {
            let seen = self.state.rooms.get(&project_id).map(Seen::of);
            // Whoever asked may have gone.
            drop(reply.send(Ok(seen)));
            let closed = self.state.rooms.get(&project_id).is_some_and(|room| room.settled() && room.pending == 0);
            if closed {
                self.state.rooms.remove(&project_id);
            }
        }
    }
}
