//! Following the stream of what hosts are told of attempts: from its start, through a lost connection and a wiped store.

use std::time::Duration;

use async_nats::jetstream::{
    Message as Raw,
    consumer::{DeliverPolicy, pull},
};
use bus_schemas::{
    id::AttemptRef,
    nats,
    stream::CONTROL,
    subject,
    v1::{
        agent::TellAttempt,
        task::{CancelAttempt, Note},
    },
};
use futures::{Stream, StreamExt};

use super::bus::{BusError, HostBus, PULL_WAIT, RETRY_DELAY, pause};

/// What hosts are told of an attempt. The attempt is what the subject says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// It is withdrawn.
    Cancel {
        /// Which.
        attempt: AttemptRef,
        /// Why.
        reason: String,
    },
    /// Somebody has something to say to it.
    Tell {
        /// To which.
        attempt: AttemptRef,
        /// What.
        note: Note,
    },
}

/// Without a message for so long, it is asked whether the stream is still the one that is followed.
const CONTROL_CHECK: Duration = Duration::from_secs(10);

impl HostBus {
    /// Every cancellation that is on the stream now, or those of it that arrive within a few seconds.
    ///
    /// # Errors
    /// [`BusError`] if the server cannot be asked.
    pub async fn past_cancellations(&self) -> Result<Vec<(AttemptRef, String)>, BusError> {
        let followed = follow_control(&self.bus).await?;
        let count = usize::try_from(followed.pending).unwrap_or(usize::MAX);
        let mut found = Vec::new();
        let read = followed.messages.take(count).for_each(|raw| {
            if let Ok(raw) = raw
                && let Ok(Control::Cancel { attempt, reason }) = control(&raw)
            {
                found.push((attempt, reason));
            }
            std::future::ready(())
        });
        if tokio::time::timeout(PULL_WAIT, read).await.is_err() {
            tracing::warn!("not every earlier cancellation could be read in time");
        }
        Ok(found)
    }

    /// Everything on the stream (a day of it) and everything that comes, whatever happens to the connection meanwhile. The
    /// same may come again.
    pub fn controls(&self) -> impl Stream<Item = Control> + Send + use<> {
        let bus = self.clone();
        futures::stream::unfold((bus, None, RETRY_DELAY), |(bus, mut reading, mut delay)| async move {
            loop {
                let Some(followed) = reading.as_mut() else {
                    match follow_control(&bus.bus).await {
                        Ok(fresh) => {
                            reading = Some(fresh);
                            delay = RETRY_DELAY;
                        }
                        Err(error) => {
                            tracing::warn!(%error, "follow what hosts are told");
                            bus.mend().await;
                            pause(&mut delay).await;
                        }
                    }
                    continue;
                };
                match tokio::time::timeout(CONTROL_CHECK, followed.messages.next()).await {
                    Ok(Some(Ok(raw))) => match control(&raw) {
                        Ok(found) => return Some((found, (bus, reading, delay))),
                        Err(reason) => tracing::warn!(%reason, subject = %raw.subject, "malformed message to hosts"),
                    },
                    Ok(Some(Err(error))) => {
                        tracing::warn!(%error, "follow what hosts are told");
                        reading = None;
                        pause(&mut delay).await;
                    }
                    Ok(None) => reading = None,
                    // A consumer goes on by sequence; in a stream that was made anew those numbers mean nothing.
                    Err(_) => match control_created(&bus).await {
                        Ok(created) if created == followed.created => {}
                        Ok(_) => reading = None,
                        Err(error) => tracing::debug!(%error, "ask about the stream of what hosts are told"),
                    },
                }
            }
        })
    }
}

/// The stream, read from its start.
struct Followed {
    messages: pull::Ordered,
    /// When the stream was made.
    created: String,
    /// So many were there already.
    pending: u64,
}

async fn control_created(bus: &HostBus) -> Result<String, BusError> {
    let failed = |detail: String| BusError { operation: "ask about what hosts are told", detail };
    let stream = bus.bus.jetstream().get_stream(CONTROL.name).await.map_err(|e| failed(e.to_string()))?;
    Ok(stream.cached_info().created.to_string())
}

async fn follow_control(bus: &nats::Bus) -> Result<Followed, BusError> {
    let failed = |detail: String| BusError { operation: "follow what hosts are told", detail };
    let config = pull::OrderedConfig {
        filter_subjects: CONTROL.subjects.iter().map(|&s| s.to_owned()).collect(),
        deliver_policy: DeliverPolicy::All,
        ..Default::default()
    };
    let stream = bus.jetstream().get_stream(CONTROL.name).await.map_err(|e| failed(e.to_string()))?;
    let created = stream.cached_info().created.to_string();
    let consumer = stream.create_consumer(config).await.map_err(|e| failed(e.to_string()))?;
    let pending = consumer.cached_info().num_pending;
    let messages = consumer.messages().await.map_err(|e| failed(e.to_string()))?;
    Ok(Followed { messages, created, pending })
}

fn control(raw: &Raw) -> Result<Control, String> {
    if let Ok(attempt) = subject::parse_tell(&raw.subject) {
        let envelope = nats::decode::<TellAttempt>(&raw.payload).map_err(|e| e.to_string())?;
        return Ok(Control::Tell { attempt, note: envelope.body.note });
    }
    let attempt = subject::parse_cancel(&raw.subject).map_err(|e| e.to_string())?;
    let envelope = nats::decode::<CancelAttempt>(&raw.payload).map_err(|e| e.to_string())?;
    Ok(Control::Cancel { attempt, reason: envelope.body.reason })
}
