//! Beats of hosts: core NATS, so one that is lost is lost; the next comes within seconds.

use bus_schemas::{nats, subject, v1::host::Beat};
use futures::StreamExt;
use tokio::sync::mpsc;

use crate::port::bus::Inbound;

/// Hands beats on until the driver is gone.
pub(super) async fn run(mut beats: async_nats::Subscriber, inbound: mpsc::Sender<Inbound>) {
    while let Some(message) = beats.next().await {
        match nats::decode::<Beat>(&message.payload) {
            Ok(envelope) if subject::beat(envelope.body.host_id) == *message.subject => {
                if inbound.send(Inbound::Beat(Box::new(envelope.body))).await.is_err() {
                    return;
                }
            }
            Ok(_) => tracing::warn!(msg.subject = %message.subject, "beat of another host than its subject says"),
            Err(error) => tracing::warn!(msg.subject = %message.subject, %error, "beat not read"),
        }
    }
}
