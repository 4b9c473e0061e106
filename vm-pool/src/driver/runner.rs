//! One attempt from its offer to its published ending: claim, limits, cancellation, journal.

use std::time::Duration;

use bus_schemas::{
    id::{AttemptRef, ClaimNonce, HostId},
    subject::EventKind,
    v1::{
        agent::AttemptPaused,
        task::{AttemptFailed, Claimed, FailureReason, HandoffReady, Note, Offer, Progress},
    },
};
use futures::{FutureExt as _, future::Fuse};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use uuid::Uuid;

use super::{Notice, intake::Intake, now};
use crate::{
    adapter::{
        bus::{ClaimOutcome, wrap},
        claims::{Claims, Ending, OpenClaim, Standing},
    },
    attempt::{Desk, Failure, Job, Outcome, Trace, work},
    lease::Leases,
    port::Vm,
};

/// Stages on their way to the bus; there are five, so a sender never waits.
const STAGES: usize = 8;
/// Notes that wait for the agent's VM; further ones reach its next attempt only.
const TELLS: usize = 256;
/// Stages that are still unpublished when an attempt ends are given this long.
const STAGES_WAIT: Duration = Duration::from_secs(2);
/// An ending that is on its way when the attempt is stopped is given this long.
const END_WAIT: Duration = Duration::from_secs(5);

/// Why an attempt is stopped from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// `Canceled` or `HostStopped`.
    pub reason: FailureReason,
    /// More, for people.
    pub detail: String,
}

/// The host's line to the runner of one attempt.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) stop: oneshot::Sender<Stop>,
    pub(super) tells: mpsc::Sender<Note>,
}

/// The runner's end of it.
#[derive(Debug)]
pub(super) struct Ends {
    stop: Fuse<oneshot::Receiver<Stop>>,
    tells: mpsc::Receiver<Note>,
}

/// A line to a runner that is about to be started.
pub(super) fn line() -> (Line, Ends) {
    let (stop, stopped) = oneshot::channel();
    let (tells, told) = mpsc::channel(TELLS);
    (Line { stop, tells }, Ends { stop: stopped.fuse(), tells: told })
}

/// What a runner needs of its host.
#[derive(Debug)]
pub(super) struct Runner<V> {
    pub(super) host_id: HostId,
    pub(super) desk: Desk,
    pub(super) claims: Claims,
    pub(super) leases: Leases<V>,
    pub(super) notices: mpsc::Sender<Notice<V>>,
}

impl<V: Vm> Runner<V> {
    /// Claims the offer and, if it is won, works on it until its ending is published. The slot is held all the while.
    pub(super) async fn run(self, intake: Box<Intake>, mut ends: Ends) {
        let Intake { taken, offer, slot } = *intake;
        let attempt = offer.attempt;
        let nonce = ClaimNonce::from_uuid(Uuid::now_v7());
        let standing = self.claims.standing(&attempt);
        if standing == Standing::Ended {
            tracing::info!(%attempt, "an offer that was taken before is acknowledged again");
            taken.ack().await;
        } else if standing == Standing::Unsure {
            // An earlier process announced a claim of it; what became of that is being asked.
            taken.give_back_later().await;
        } else if let Err(error) = self.journal(move |claims| claims.claiming(attempt, nonce)).await {
            tracing::error!(%error, "the claims journal cannot be written; the offer is given back");
            taken.give_back_later().await;
        } else {
            let claimed = Claimed { attempt, host_id: self.host_id, nonce };
            let closed = match self.desk.bus.claim(&claimed, now()).await {
                ClaimOutcome::Lost => {
                    taken.ack().await;
                    self.journal(move |claims| claims.forgotten(attempt, nonce)).await
                }
                ClaimOutcome::Won => {
                    // The claim is what counts: the work does not wait for the acknowledgement.
                    let ((), published) = tokio::join!(taken.ack(), self.attempt(&offer, nonce, &mut ends));
                    if published { self.journal(move |claims| claims.settled(attempt, nonce)).await } else { Ok(()) }
                }
            };
            if let Err(error) = closed {
                tracing::error!(%error, "the claims journal cannot be written");
            }
        }
        drop(slot);
        let _ = self.notices.send(Notice::Over { attempt }).await;
    }

    /// Works on a won attempt and publishes its ending. `false`: it was stopped before that was published, and the journal
    /// has it.
    async fn attempt(&self, offer: &Offer, nonce: ClaimNonce, ends: &mut Ends) -> bool {
        let attempt = offer.attempt;
        let _ = self.notices.send(Notice::Held { attempt, nonce }).await;
        let trace = Trace::default();
        let outcome = self.limited(offer, nonce, ends, &trace).await;
        for lease in trace.take_leases() {
            self.leases.release(lease).await;
        }
        // What is journaled is what can be published: else a restart would try the same in vain.
        let ending = ending_of(attempt, nonce, outcome, &trace).fitted(self.desk.bus.ending_limit());
        let kept = ending.clone();
        if let Err(error) = self.journal(move |claims| claims.ended(attempt, nonce, &kept)).await {
            tracing::error!(%error, "the claims journal cannot be written");
        }
        let mut end = std::pin::pin!(self.desk.bus.end(&ending));
        tokio::select! {
            () = &mut end => true,
            // Nothing may hold a slot that somebody wants back; the ending gets one more moment.
            Ok(_) = &mut ends.stop => tokio::time::timeout(END_WAIT, end).await.is_ok(),
        }
    }

    /// Works within the time limit, and until somebody says stop.
    async fn limited(
        &self,
        offer: &Offer,
        nonce: ClaimNonce,
        ends: &mut Ends,
        trace: &Trace,
    ) -> Result<Outcome, Failure> {
        let limit_ms = offer.limits.start_to_close_ms;
        let closes_at = Instant::now() + Duration::from_millis(limit_ms);
        let (stages, mut entered) = mpsc::channel(STAGES);
        let bus = self.desk.bus.clone();
        let attempt = offer.attempt;
        let publisher = tokio::spawn(async move {
            while let Some(stage) = entered.recv().await {
                tracing::info!(%attempt, ?stage, "stage entered");
                bus.progress(Progress { attempt, nonce, stage, entered_at: now() }).await;
            }
        });
        let Ends { stop, tells } = ends;
        let job = Job { offer, nonce, closes_at, stages: &stages, trace, tells };
        let outcome = tokio::select! {
            // In this order: the guest is waited for until the same instant, and is not lost because its time is over.
            biased;
            () = tokio::time::sleep_until(closes_at) => Err(Failure::new(
                FailureReason::TimedOut,
                format!("the attempt took longer than {} s", limit_ms / 1_000),
            )),
            stop = stop => {
                let stop = stop.unwrap_or_else(|_| Stop {
                    reason: FailureReason::HostStopped,
                    detail: "the host stopped".into(),
                });
                Err(Failure::new(stop.reason, stop.detail))
            }
            outcome = Box::pin(work(&self.desk, &self.leases, job)) => outcome,
        };
        drop(stages);
        // The last stage should be seen before the ending, but an ending does not wait for a bus that is away.
        let _ = tokio::time::timeout(STAGES_WAIT, publisher).await;
        outcome
    }

    async fn journal(
        &self,
        write: impl FnOnce(&Claims) -> std::io::Result<()> + Send + 'static,
    ) -> std::io::Result<()> {
        let claims = self.claims.clone();
        tokio::task::spawn_blocking(move || write(&claims)).await.map_err(std::io::Error::other)?
    }

    /// Publishes how a claim of an earlier process of this host ended.
    pub(super) async fn recover(self, left: OpenClaim) {
        let OpenClaim { attempt, nonce, ending } = left;
        let ending = match ending {
            Some(ending) => Some(ending),
            None => {
                let claimed = Claimed { attempt, host_id: self.host_id, nonce };
                let holder = patiently_ask(&self, &attempt).await;
                let detail = "the host stopped while it worked on the attempt".to_owned();
                (holder == Some(claimed)).then(|| {
                    let failure = Failure::new(FailureReason::HostStopped, detail);
                    ending_of(attempt, nonce, Err(failure), &Trace::default())
                })
            }
        };
        let closed = if let Some(ending) = ending {
            tracing::info!(%attempt, "publishing how an attempt of the earlier process ended");
            self.desk.bus.end(&ending).await;
            self.journal(move |claims| claims.settled(attempt, nonce)).await
        } else {
            // The claim was lost or never reached the bus: the offer may come (again), to be claimed like any other.
            self.journal(move |claims| claims.forgotten(attempt, nonce)).await
        };
        if let Err(error) = closed {
            tracing::error!(%error, "the claims journal cannot be written");
        }
    }
}

async fn patiently_ask<V: Vm>(runner: &Runner<V>, attempt: &AttemptRef) -> Option<Claimed> {
    let mut delay = crate::adapter::bus::first_pause();
    loop {
        match runner.desk.bus.holder_of(attempt).await {
            Ok(holder) => return holder,
            Err(error) => tracing::warn!(%error, "ask about an earlier claim"),
        }
        crate::adapter::bus::pause(&mut delay).await;
    }
}

fn ending_of(attempt: AttemptRef, nonce: ClaimNonce, outcome: Result<Outcome, Failure>, trace: &Trace) -> Ending {
    let at = now();
    match outcome {
        Ok(Outcome::Paused { pause, saved_turn }) => {
            tracing::info!(%attempt, saved_turn, "attempt paused");
            let body = AttemptPaused { attempt, nonce, pause, saved_turn, usage: trace.usage() };
            Ending::Paused(Box::new(wrap(EventKind::Paused, 0, attempt, nonce, at, body)))
        }
        Ok(Outcome::Handoff(handoff)) => {
            tracing::info!(%attempt, commit = %handoff.commit, "attempt handed off");
            let body = HandoffReady { attempt, nonce, handoff: *handoff };
            Ending::Handoff(Box::new(wrap(EventKind::Handoff, 0, attempt, nonce, at, body)))
        }
        Err(Failure { reason, detail, evidence }) => {
            tracing::info!(%attempt, ?reason, %detail, "attempt failed");
            let (usage, output_tail) = (trace.usage(), trace.tail.text());
            let body = AttemptFailed { attempt, nonce, reason, detail, output_tail, evidence, usage };
            Ending::Failed(Box::new(wrap(EventKind::Failed, 0, attempt, nonce, at, body)))
        }
    }
}
