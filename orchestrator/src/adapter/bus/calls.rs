//! Calls of hosts: request and reply over core NATS. Many are answered at the same time; each is answered once it is
//! durable, and a host that hears nothing asks again.

use std::sync::Arc;

use async_nats::Subscriber;
use bus_schemas::{
    envelope::Envelope,
    id::MessageId,
    nats::{self, Bus},
    v1::call::{Answer, GuestAnswer, HostAnswer, HostCall},
};
use futures::StreamExt as _;
use tokio::sync::Semaphore;

use crate::port::{Clock, Ids, bus::HostCalls};

/// Calls answered at the same time.
const ACTIVE: usize = 256;

/// Answers until the subscription ends.
pub(super) async fn run<C: HostCalls>(
    bus: Bus,
    mut calls: Subscriber,
    answers: C,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
) {
    let active = Arc::new(Semaphore::new(ACTIVE));
    while let Some(message) = calls.next().await {
        let Some(reply) = message.reply.clone() else { continue };
        let Ok(permit) = Arc::clone(&active).acquire_owned().await else { return };
        let (bus, answers, clock, ids) = (bus.clone(), answers.clone(), Arc::clone(&clock), Arc::clone(&ids));
        tokio::spawn(async move {
            let answer = match nats::decode::<HostCall>(&message.payload) {
                Ok(call) => answers.answer(call.id, call.body).await,
                Err(error) => {
                    tracing::warn!(%error, "call of a host not understood");
                    // Not `Busy`: it would be asked again for ever, and never be understood.
                    let detail = format!("the call was not understood: {error}");
                    HostAnswer { answer: Answer::Guest(GuestAnswer::Refused { detail }) }
                }
            };
            let envelope = Envelope::new(MessageId::from_uuid(ids.next()), clock.now(), answer);
            match serde_json::to_vec(&envelope) {
                // A host that went away asks again, or nobody needs the answer.
                Ok(payload) => drop(bus.client().publish(reply, payload.into()).await),
                Err(error) => tracing::error!(%error, "answer to a host not written"),
            }
            drop(permit);
        });
    }
}
