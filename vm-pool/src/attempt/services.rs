//! What a guest is served while its program runs: connections, saved turns, calls, and what people say to it.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bus_schemas::v1::{
    agent::EgressRecord,
    task::{FailureReason, Note, Program},
};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{Desk, Failure, Job, LogPump};
use crate::{
    adapter::{
        calls::HostCalls,
        checkpoints::{Bounds, Checkpoints, Resumed},
        outside::{Reach, Visitor},
        session::{Asked, Connection, SavedTurn, Session, SessionError, Wishes},
    },
    driver::now,
};

/// Connections get this long to end when the program has.
const CLOSE_WAIT: Duration = Duration::from_secs(5);
/// What was spent gets this long to reach the orchestrator; it counts what it did not hear of as spent.
const SETTLE_WAIT: Duration = Duration::from_secs(10);
/// Headers, padding and the list of deletions come on top of the data in a tar.
pub(super) const TAR_OVERHEAD_BYTES: u64 = 64 * 1024 * 1024;

/// The services of one attempt. Dropping them ends every connection.
#[derive(Debug)]
pub(super) struct Services {
    reach: Arc<dyn Reach>,
    calls: Arc<HostCalls>,
    /// Absent for a script: it has no turns, and nobody to talk to.
    saver: Option<Checkpoints>,
    heard: BTreeSet<String>,
    connections: JoinSet<()>,
    stop: CancellationToken,
}

impl Drop for Services {
    fn drop(&mut self) {
        self.stop.cancel();
        self.calls.give_up();
    }
}

impl Services {
    /// Opens them for an attempt; `models` are the names of what it may call.
    pub(super) fn open(
        desk: &Desk,
        job: &Job<'_>,
        models: Vec<String>,
        resumed: Option<&Resumed>,
        log: &LogPump,
    ) -> Self {
        let Job { offer, nonce, closes_at, trace, .. } = job;
        let attempt = offer.attempt;
        let stop = CancellationToken::new();
        let calls = Arc::new(HostCalls::new(desk.bus.clone(), attempt, *nonce, now, trace.vm_clock()));
        let reach = desk.outside.admit(Visitor {
            attempt,
            models,
            network: offer.network.clone(),
            secrets: offer.secrets.clone(),
            secret_terms: offer.secret_terms.clone(),
            purse: Arc::clone(&calls) as Arc<dyn crate::port::Purse>,
            log: log.lines(),
            stop: stop.clone(),
            deadline: Some(*closes_at),
        });
        trace.reaches(Arc::clone(&reach));
        let saver = match &offer.program {
            Program::Script { .. } => None,
            Program::Agent(work) => {
                let resumed_turn = resumed.map_or(0, |resumed| resumed.turn);
                let bounds = Bounds {
                    // What the guest counts as a turn may be one more than it may take: the last may be the one that gives up.
                    last_turn: resumed_turn.saturating_add(work.max_turns).saturating_add(1),
                    changes_bytes: offer.limits.changes_bytes.saturating_add(TAR_OVERHEAD_BYTES),
                };
                let (bus, scratch) = (desk.bus.clone(), desk.scratch.clone());
                Some(Checkpoints::new(bus, attempt, &offer.base_commit, scratch, bounds, resumed))
            }
        };
        let heard = offer.notes.iter().map(|note| note.id.clone()).filter(|id| !id.is_empty()).collect();
        Self { reach, calls, saver, heard, connections: JoinSet::new(), stop }
    }

    /// Serves until something fails for good.
    pub(super) async fn serve(
        &mut self,
        session: &Session,
        wishes: &mut Wishes,
        tells: &mut mpsc::Receiver<Note>,
    ) -> Failure {
        let Self { reach, calls, saver, heard, connections, .. } = self;
        let is_agent = saver.is_some();
        let connected = connect(&**reach, connections, &mut wishes.connections);
        let saved = save(saver.as_mut(), &mut wishes.checkpoints);
        let answered = answer(session, calls, &mut wishes.calls);
        let told = tell(is_agent.then_some(session), heard, tells);
        tokio::select! {
            () = connected => {}
            () = saved => {}
            error = answered => return error.into(),
            error = told => return error.into(),
            () = calls.stale() => {}
        }
        // If that is true, nobody hears this; if it was a mistake, another attempt is right.
        let detail = "the orchestrator said that this attempt is not the task's current one: it was stopped";
        Failure::new(FailureReason::HostError, detail)
    }

    /// The last turn that is saved.
    pub(super) fn saved_turn(&self) -> u32 {
        self.saver.as_ref().map_or(0, Checkpoints::turn)
    }

    /// The connections it asked for.
    pub(super) fn egress(&self) -> Vec<EgressRecord> {
        self.reach.egress()
    }

    /// The program has ended: ends every connection and sees to it that what was spent is known.
    pub(super) async fn close(&mut self) {
        self.stop.cancel();
        let ended = async { while self.connections.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(CLOSE_WAIT, ended).await;
        self.connections.shutdown().await;
        let settled = async {
            self.reach.settled().await;
            self.calls.settled(SETTLE_WAIT).await
        };
        if !matches!(tokio::time::timeout(SETTLE_WAIT, settled).await, Ok(true)) {
            tracing::warn!("not everything that was spent could be settled");
        }
        self.calls.give_up();
    }
}

async fn connect(reach: &dyn Reach, open: &mut JoinSet<()>, arriving: &mut mpsc::Receiver<Connection>) {
    loop {
        tokio::select! {
            Some(Connection { service, stream, permit }) = arriving.recv() => {
                let serving = reach.connect(service, stream);
                open.spawn(async move {
                    serving.await;
                    drop(permit);
                });
            }
            Some(_) = open.join_next() => {}
            // The session has ended, which whoever waits beside this hears.
            else => std::future::pending().await,
        }
    }
}

async fn save(saver: Option<&mut Checkpoints>, arriving: &mut mpsc::Receiver<SavedTurn>) {
    if let Some(saver) = saver {
        while let Some(turn) = arriving.recv().await {
            saver.save(turn).await;
        }
    }
    std::future::pending().await
}

/// Answers calls, one after the other.
async fn answer(session: &Session, calls: &HostCalls, asked: &mut mpsc::Receiver<Asked>) -> SessionError {
    while let Some(Asked { id, call }) = asked.recv().await {
        let answer = calls.ask(call).await;
        if let Err(error) = session.answer(id, answer).await {
            return error;
        }
    }
    std::future::pending().await
}

/// Passes notes on, each once. Without a session they are for nobody.
async fn tell(
    session: Option<&Session>,
    heard: &mut BTreeSet<String>,
    tells: &mut mpsc::Receiver<Note>,
) -> SessionError {
    while let Some(note) = tells.recv().await {
        let Some(session) = session else { continue };
        if !note.id.is_empty() && !heard.insert(note.id.clone()) {
            continue;
        }
        match session.tell(&note).await {
            Ok(()) => {}
            Err(error @ SessionError::Input { .. }) => tracing::warn!(%error, "a note could not be passed on"),
            Err(error) => return error,
        }
    }
    std::future::pending().await
}
