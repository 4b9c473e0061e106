//! Calls to the orchestrator while an attempt runs: asked again and again until they are answered.

use std::{fmt, sync::Arc, time::Duration};

use async_nats::Request;
use bus_schemas::{
    envelope::Envelope,
    id::{AttemptRef, ClaimNonce, MessageId},
    nats::decode,
    subject,
    time::UnixMs,
    v1::{
        agent::Spend,
        call::{Answer, Call, GuestAnswer, GuestCall, HostAnswer, HostCall},
    },
};
use futures::{FutureExt as _, future::BoxFuture};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::bus::{HostBus, first_pause, fresh_id, pause};
use crate::port::{Denied, Purse};

/// One try; the orchestrator answers after a write to its disk.
const TRY: Duration = Duration::from_secs(5);

/// A call that is being settled when its attempt ends is given this long.
const GRACE: Duration = Duration::from_secs(2);

/// The calls of one attempt.
#[derive(Debug)]
pub struct HostCalls {
    line: Arc<Line>,
    settling: TaskTracker,
}

/// What every call needs.
struct Line {
    bus: HostBus,
    attempt: AttemptRef,
    nonce: ClaimNonce,
    clock: fn() -> UnixMs,
    vm_ms: Box<dyn Fn() -> u64 + Send + Sync>,
    /// The orchestrator does not know the attempt (any more).
    stale: CancellationToken,
    over: CancellationToken,
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("attempt", &self.attempt).finish_non_exhaustive()
    }
}

impl HostCalls {
    /// Calls for this claim of an attempt; `vm_ms` says how long it has had a VM so far.
    #[must_use]
    pub fn new(
        bus: HostBus,
        attempt: AttemptRef,
        nonce: ClaimNonce,
        clock: fn() -> UnixMs,
        vm_ms: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> Self {
        let (stale, over) = (CancellationToken::new(), CancellationToken::new());
        let line = Line { bus, attempt, nonce, clock, vm_ms: Box::new(vm_ms), stale, over };
        Self { line: Arc::new(line), settling: TaskTracker::new() }
    }

    /// Asks for the guest's agent.
    pub async fn ask(&self, call: GuestCall) -> GuestAnswer {
        let refused = |detail: &str| GuestAnswer::Refused { detail: detail.to_owned() };
        match self.line.ask(Call::Guest(call)).await {
            Some(Answer::Guest(answer)) => answer,
            Some(Answer::Stale) => refused("the attempt is not wanted any more"),
            Some(_) => refused("the orchestrator answered something else"),
            None => refused("it is too large for a message"),
        }
    }

    /// Waits until an answer says that the attempt is not, or no longer, the task's current one. Cancel safe.
    pub async fn stale(&self) {
        self.line.stale.cancelled().await;
    }

    /// The attempt is over: what is still unsettled stays so, and counts as spent.
    pub fn give_up(&self) {
        self.line.over.cancel();
    }

    /// Waits until what was spent is known to the orchestrator, but no longer than `wait`. Says whether it is.
    pub async fn settled(&self, wait: Duration) -> bool {
        self.settling.close();
        tokio::time::timeout(wait, self.settling.wait()).await.is_ok()
    }
}

impl Line {
    /// Asks until there is an answer that is one. `None` if the question does not fit into a message.
    async fn ask(&self, call: Call) -> Option<Answer> {
        // What was spent is often told late, when the attempt may be over: that stops nobody.
        let stops = matches!(call, Call::Reserve { .. } | Call::Guest(_));
        let body = HostCall { attempt: self.attempt, nonce: self.nonce, call };
        let envelope = Envelope::new(fresh_id(), (self.clock)(), body).correlated(self.attempt.project_id);
        let payload = bytes::Bytes::from(serde_json::to_vec(&envelope).ok()?);
        let mut delay = first_pause();
        loop {
            if payload.len() > self.bus.ending_limit() {
                return None;
            }
            match self.once(payload.clone()).await {
                Ok(Answer::Busy { detail }) => tracing::debug!(%detail, "the orchestrator is busy; asking again"),
                Ok(Answer::Stale) => {
                    if stops {
                        self.stale.cancel();
                    }
                    return Some(Answer::Stale);
                }
                Ok(answer) => return Some(answer),
                Err(error) => tracing::debug!(%error, "the orchestrator does not answer; asking again"),
            }
            pause(&mut delay).await;
        }
    }

    /// Waits until the attempt has been over for a moment.
    async fn last_chance(&self) {
        self.over.cancelled().await;
        tokio::time::sleep(GRACE).await;
    }

    async fn once(&self, payload: bytes::Bytes) -> Result<Answer, String> {
        let request = Request::new().payload(payload).timeout(Some(TRY));
        let answered = self.bus.bus.client().send_request(subject::CALLS, request).await.map_err(|e| e.to_string())?;
        decode::<HostAnswer>(&answered.payload).map(|envelope| envelope.body.answer).map_err(|e| e.to_string())
    }
}

impl Purse for HostCalls {
    fn reserve(&self, call_id: MessageId, estimate: Spend) -> BoxFuture<'_, Result<(), Denied>> {
        async move {
            let vm_ms = (self.line.vm_ms)();
            match self.line.ask(Call::Reserve { call_id, estimate, vm_ms }).await {
                Some(Answer::Granted) => Ok(()),
                Some(Answer::Denied { task_key, resource, used, limit }) => {
                    Err(Denied::Limit { task_key, resource, used, limit })
                }
                Some(Answer::Stale) => Err(Denied::Stale),
                // An answer that fits no reservation is no grant, and says nothing of the attempt either.
                Some(Answer::Guest(GuestAnswer::Refused { detail })) => Err(Denied::Failed { detail }),
                Some(_) => Err(Denied::Failed { detail: "the orchestrator answered something else".to_owned() }),
                None => Err(Denied::Failed { detail: "it is too large for a message".to_owned() }),
            }
        }
        .boxed()
    }

    fn settle(&self, call_id: MessageId, actual: Spend) -> BoxFuture<'_, ()> {
        // In a task of its own: whoever made the model call may be gone before this is answered.
        let line = Arc::clone(&self.line);
        let settling = self.settling.spawn(async move {
            let vm_ms = (line.vm_ms)();
            tokio::select! {
                _ = line.ask(Call::Settle { call_id, actual, vm_ms }) => {}
                () = line.last_chance() => tracing::warn!(attempt = %line.attempt, "a model call stays unsettled"),
            }
        });
        settling.map(drop).boxed()
    }
}
