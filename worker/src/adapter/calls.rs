//! Calls of an agent to the orchestrator, by way of its host: out on the control port, answered there.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use bus_schemas::{
    frame::MAX_FRAME_BYTES,
    v1::{
        call::{GuestAnswer, GuestCall},
        guest::FromGuest,
    },
};
use tokio::sync::{mpsc, oneshot};

/// A frame has a little more in it than the call.
const MAX_CALL_BYTES: usize = MAX_FRAME_BYTES - 1024;

/// Asks, and takes the answers. One per attempt. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Asker {
    out: mpsc::Sender<FromGuest>,
    pending: Arc<Mutex<Pending>>,
}

#[derive(Debug, Default)]
struct Pending {
    asked: u64,
    waiting: HashMap<u64, oneshot::Sender<GuestAnswer>>,
}

impl Asker {
    /// Asks on this control port.
    pub(crate) fn new(out: mpsc::Sender<FromGuest>) -> Self {
        Self { out, pending: Arc::default() }
    }

    /// Asks and waits for the answer, however long that takes. What could not be asked is answered as refused.
    pub(crate) async fn ask(&self, call: GuestCall) -> GuestAnswer {
        let refused = |detail: &str| GuestAnswer::Refused { detail: detail.into() };
        if serde_json::to_vec(&call).map_or(usize::MAX, |body| body.len()) > MAX_CALL_BYTES {
            return refused("it is too large to be sent");
        }
        let (sender, answer) = oneshot::channel();
        let id = {
            let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
            pending.asked += 1;
            let id = pending.asked;
            pending.waiting.insert(id, sender);
            id
        };
        // Whoever stops waiting takes the question back.
        let _forget = Forget { pending: &self.pending, id };
        if self.out.send(FromGuest::Call { id, call }).await.is_err() {
            return refused("the host is gone");
        }
        answer.await.unwrap_or_else(|_| refused("the host is gone"))
    }

    /// Hands an answer to whoever waits for it; nobody may.
    pub(crate) fn answer(&self, id: u64, answer: GuestAnswer) {
        let waiting = self.pending.lock().unwrap_or_else(PoisonError::into_inner).waiting.remove(&id);
        if let Some(waiting) = waiting {
            let _ = waiting.send(answer);
        }
    }
}

struct Forget<'a> {
    pending: &'a Mutex<Pending>,
    id: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).waiting.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn answers_reach_those_who_asked_in_any_order() {
        let (out, mut asked) = mpsc::channel(4);
        let asker = Asker::new(out);
        let plan = |text: &str| GuestCall::CheckPlan { text: text.into() };
        let host = async {
            let mut ids = Vec::new();
            for _ in 0..2 {
                let Some(FromGuest::Call { id, call }) = asked.recv().await else { panic!("no call") };
                let GuestCall::CheckPlan { text } = call else { panic!("another call") };
                ids.push((id, text));
            }
            asker.answer(99, GuestAnswer::Sound { findings: Vec::new() });
            for (id, text) in ids.into_iter().rev() {
                asker.answer(id, GuestAnswer::Refused { detail: text });
            }
        };
        let (one, two, ()) = tokio::join!(asker.ask(plan("one")), asker.ask(plan("two")), host);
        assert_eq!(one, GuestAnswer::Refused { detail: "one".into() });
        assert_eq!(two, GuestAnswer::Refused { detail: "two".into() });
    }

    #[tokio::test]
    async fn what_is_too_large_is_not_sent() {
        let (out, mut asked) = mpsc::channel(1);
        let text = "x".repeat(MAX_FRAME_BYTES);
        let answer = Asker::new(out).ask(GuestCall::CheckPlan { text }).await;
        assert!(matches!(answer, GuestAnswer::Refused { detail } if detail.contains("too large")));
        assert!(asked.try_recv().is_err());
    }
}
