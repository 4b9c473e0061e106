//! The host's side of the bus.
//!
//! Rules that were learned the hard way: a claim is a publish that only the first one wins, never an acknowledgement;
//! a publish without an answer is unknown, not failed, and is read back; an ending is published again and again, under
//! one id, until the server has it.

use std::{future::Future, io::Write as _, path::Path, sync::Arc, time::Duration};

use async_nats::jetstream::{
    AckKind, Message as Raw,
    consumer::{AckPolicy, Consumer, pull},
    object_store::ObjectStore,
};
use bus_schemas::{
    envelope::{Envelope, Message},
    id::{AttemptRef, ClaimNonce, MessageId, ProjectId},
    nats::{self, BusOptions, ConnectError, Expect, PublishError},
    stream::{EVENTS, OFFER_ACK_WAIT_MS, OFFERS},
    subject::{self, EventKind, PoolName},
    time::UnixMs,
    v1::{
        host::Beat,
        task::{Claimed, LogChunk, Offer, Progress},
    },
};
use futures::{Stream, StreamExt};
use sha2::{Digest as _, Sha256};
use tokio::{sync::Mutex, time::Instant};
use uuid::Uuid;

use super::claims::Ending;

/// How long one pull waits for an offer. After the server was away, the next pull comes at most this much later.
pub(super) const PULL_WAIT: Duration = Duration::from_secs(5);
/// The first delay of a retry; doubles up to [`MAX_RETRY_DELAY`].
pub(super) const RETRY_DELAY: Duration = Duration::from_millis(50);
const MAX_RETRY_DELAY: Duration = Duration::from_secs(2);
/// When an offer comes again that could not be settled now.
const GIVE_BACK_DELAY: Duration = Duration::from_secs(3);
/// The streams are mended at most so often, whoever finds them missing.
const MEND_EVERY: Duration = Duration::from_secs(1);
/// The longest ending that is published, in bytes, whatever the server takes: whoever reads it repeats parts of it in
/// messages of its own.
const MAX_ENDING_BYTES: usize = 4 * 1024 * 1024;
/// Headers and subject count as payload too, in bytes.
const HEADER_BYTES: usize = 4 * 1024;

/// The bus could not be asked. Trying again may help.
#[derive(Debug, thiserror::Error)]
#[error("{operation}: {detail}")]
pub struct BusError {
    /// What was tried.
    pub operation: &'static str,
    /// What happened.
    pub detail: String,
}

/// How a claim ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimOutcome {
    /// The attempt is ours.
    Won,
    /// Another host has it, or this host under another nonce.
    Lost,
}

/// The bus as a host sees it. Cheap to clone.
#[derive(Clone)]
pub struct HostBus {
    pub(super) bus: nats::Bus,
    pub(super) objects: ObjectStore,
    offers: Arc<Consumer<pull::Config>>,
    offers_config: Arc<pull::Config>,
    mended: Arc<Mutex<Option<Instant>>>,
}

impl std::fmt::Debug for HostBus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HostBus").field("bus", &self.bus).finish_non_exhaustive()
    }
}

/// An offer taken off the stream. It must be settled: what is dropped comes again after a while.
#[derive(Debug)]
pub struct Taken {
    raw: Raw,
    /// The offer, or why it cannot be read.
    pub offer: Result<Envelope<Offer>, String>,
}

impl Taken {
    /// Done with it: another host may not get it. Never fails the caller: the claim is what counts.
    pub async fn ack(self) {
        if let Err(error) = self.raw.double_ack().await {
            tracing::debug!(%error, "an offer's ack got no answer");
        }
    }

    /// Gives it back at once: for a host that takes nothing more itself.
    pub async fn give_back(self) {
        self.nak(None).await;
    }

    /// Gives it back, to come again after a while: what is not settled in a moment must not come round in a hot loop.
    pub async fn give_back_later(self) {
        self.nak(Some(GIVE_BACK_DELAY)).await;
    }

    async fn nak(self, delay: Option<Duration>) {
        if let Err(error) = self.raw.ack_with(AckKind::Nak(delay)).await {
            tracing::debug!(%error, "an offer could not be given back");
        }
    }

    /// Puts it aside for good: a line with the reason goes to `dead_letters`, then the stream forgets it.
    ///
    /// # Errors
    /// The line cannot be written; the offer comes again.
    pub async fn bury(self, reason: &str, at: UnixMs, dead_letters: &Path) -> std::io::Result<()> {
        let line = serde_json::json!({
            "at": at.0,
            "subject": self.raw.subject.as_str(),
            "reason": reason,
            "payload": String::from_utf8_lossy(&self.raw.payload),
        });
        let path = dead_letters.to_owned();
        tokio::task::spawn_blocking(move || {
            let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
            writeln!(file, "{line}")?;
            file.sync_data()
        })
        .await
        .map_err(std::io::Error::other)??;
        if let Err(error) = self.raw.ack_with(AckKind::Term).await {
            tracing::debug!(%error, "a malformed offer could not be terminated");
        }
        Ok(())
    }
}

impl HostBus {
    /// Connects, makes sure of the streams, and opens the pool's shared consumer of offers.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn connect(options: &BusOptions, pool: &PoolName) -> Result<Self, ConnectError> {
        let bus = nats::Bus::connect(options).await?;
        bus.ensure_streams().await?;
        let objects = bus.objects().await?;
        let name = format!("hosts-{}", pool.as_str());
        let config = pull::Config {
            durable_name: Some(name.clone()),
            filter_subject: subject::offers_of(pool),
            ack_policy: AckPolicy::Explicit,
            ack_wait: Duration::from_millis(OFFER_ACK_WAIT_MS),
            max_deliver: -1,
            ..Default::default()
        };
        let offers = offers_of(&bus, &config).await?;
        Ok(Self { bus, objects, offers: Arc::new(offers), offers_config: Arc::new(config), mended: Arc::default() })
    }

    /// The connection itself.
    #[must_use]
    pub const fn bus(&self) -> &nats::Bus {
        &self.bus
    }

    /// Makes the streams, the bucket and the consumer of offers again if the server lost them (a wiped store). The handles
    /// go by name, so they serve again afterwards. Called after every failure that may come of it; asks the server now
    /// and then only.
    pub async fn mend(&self) {
        let mut mended = self.mended.lock().await;
        if !self.is_connected() || mended.is_some_and(|at| at.elapsed() < MEND_EVERY) {
            return;
        }
        let made = async {
            self.bus.ensure_streams().await?;
            offers_of(&self.bus, &self.offers_config).await
        };
        if let Err(error) = made.await {
            tracing::warn!(%error, "make sure of the streams");
        }
        *mended = Some(Instant::now());
    }

    /// The longest ending that can be published now, in bytes of its envelope.
    #[must_use]
    pub fn ending_limit(&self) -> usize {
        match self.bus.client().server_info().max_payload {
            0 => MAX_ENDING_BYTES,
            limit => limit.saturating_sub(HEADER_BYTES).min(MAX_ENDING_BYTES),
        }
    }

    /// Whether the connection stands.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.bus.is_connected()
    }

    /// Waits a while for one offer. Call it only with a free slot in hand. An offer that arrives while this future is
    /// dropped comes again after the ack wait.
    ///
    /// # Errors
    /// [`BusError`] if the server cannot be asked.
    pub async fn next_offer(&self) -> Result<Option<Taken>, BusError> {
        let failed = |e: String| BusError { operation: "wait for an offer", detail: e };
        let pull = self.offers.batch().max_messages(1).expires(PULL_WAIT).messages();
        let mut batch = pull.await.map_err(|e| failed(e.to_string()))?;
        match batch.next().await {
            None => Ok(None),
            Some(Err(e)) => Err(failed(e.to_string())),
            Some(Ok(raw)) => {
                let offer = nats::decode::<Offer>(&raw.payload).map_err(|e| e.to_string());
                Ok(Some(Taken { raw, offer }))
            }
        }
    }

    /// Claims an attempt: of all claims of it, one wins. Without an answer it asks again, however long that takes.
    pub async fn claim(&self, claimed: &Claimed, at: UnixMs) -> ClaimOutcome {
        let place = subject::event(&claimed.attempt, EventKind::Claimed);
        let envelope = wrap(EventKind::Claimed, 0, claimed.attempt, claimed.nonce, at, claimed.clone());
        let mut delay = RETRY_DELAY;
        loop {
            match nats::publish(&self.bus, place.clone(), &envelope, Expect::FirstOnSubject).await {
                Ok(_) => return ClaimOutcome::Won,
                Err(PublishError::Taken { .. }) => match self.holder_of(&claimed.attempt).await {
                    Ok(Some(holder)) if holder == *claimed => return ClaimOutcome::Won,
                    Ok(Some(_)) => return ClaimOutcome::Lost,
                    Ok(None) => {}
                    Err(error) => tracing::debug!(%error, "read a claim back"),
                },
                Err(error) => {
                    tracing::warn!(%error, "claim");
                    self.mend().await;
                }
            }
            pause(&mut delay).await;
        }
    }

    /// Who claimed an attempt.
    ///
    /// # Errors
    /// [`BusError`] if the server cannot be asked.
    pub async fn holder_of(&self, attempt: &AttemptRef) -> Result<Option<Claimed>, BusError> {
        let place = subject::event(attempt, EventKind::Claimed);
        match nats::last_on::<Claimed>(&self.bus, &EVENTS, &place).await {
            Ok(last) => Ok(last.map(|envelope| envelope.body)),
            Err(e) => Err(BusError { operation: "read a claim back", detail: e.to_string() }),
        }
    }

    /// Publishes that an attempt entered a stage, once: the next stage or the ending says more than a repetition.
    pub async fn progress(&self, progress: Progress) {
        let count = progress.stage as u8;
        let place = subject::event(&progress.attempt, EventKind::Progress);
        let at = progress.entered_at;
        let envelope = wrap(EventKind::Progress, count, progress.attempt, progress.nonce, at, progress);
        if let Err(error) = nats::publish(&self.bus, place, &envelope, Expect::Any).await {
            tracing::warn!(%error, "progress");
        }
    }

    /// Publishes how an attempt ended, until the server has it. What the server would refuse for its size is published as
    /// a failure that says so.
    pub async fn end(&self, ending: &Ending) {
        let mut delay = RETRY_DELAY;
        loop {
            let fitting = ending.clone().fitted(self.ending_limit());
            let sent = match &fitting {
                Ending::Handoff(envelope) => {
                    let place = subject::event(&envelope.body.attempt, EventKind::Handoff);
                    nats::publish(&self.bus, place, envelope, Expect::Any).await
                }
                Ending::Failed(envelope) => {
                    let place = subject::event(&envelope.body.attempt, EventKind::Failed);
                    nats::publish(&self.bus, place, envelope, Expect::Any).await
                }
                Ending::Paused(envelope) => {
                    let place = subject::event(&envelope.body.attempt, EventKind::Paused);
                    nats::publish(&self.bus, place, envelope, Expect::Any).await
                }
            };
            match sent {
                Ok(_) => return,
                Err(error) => {
                    tracing::warn!(%error, "publish an ending; trying again");
                    self.mend().await;
                }
            }
            pause(&mut delay).await;
        }
    }

    /// Sends a piece of output on its way, without waiting until it is stored.
    ///
    /// # Errors
    /// [`BusError`] if the connection is closed for good or the piece is too large.
    pub async fn log(&self, chunk: LogChunk, id: MessageId) -> Result<(), BusError> {
        let failed = |detail: String| BusError { operation: "publish output", detail };
        let place = subject::log(&chunk.attempt);
        let project_id = chunk.attempt.project_id;
        let at = chunk.received_at;
        let envelope = Envelope::new(id, at, chunk).correlated(project_id);
        let payload = serde_json::to_vec(&envelope).map_err(|e| failed(e.to_string()))?;
        let headers = nats::headers_of(id);
        self.bus.client().publish_with_headers(place, headers, payload.into()).await.map_err(|e| failed(e.to_string()))
    }

    /// Publishes a sign of life; nobody waits for it.
    pub async fn beat(&self, beat: Beat, id: MessageId, at: UnixMs) {
        let place = subject::beat(beat.host_id);
        let Ok(payload) = serde_json::to_vec(&Envelope::new(id, at, beat)) else { return };
        if let Err(error) = self.bus.client().publish(place, payload.into()).await {
            tracing::warn!(%error, "beat");
        }
    }

    /// Sees to it that everything published so far is on its way to the server.
    pub async fn flush(&self) {
        let _ = tokio::time::timeout(MAX_RETRY_DELAY, self.bus.client().flush()).await;
    }

    /// Every request to beat now.
    ///
    /// # Errors
    /// [`BusError`] if it cannot be subscribed to.
    pub async fn report_requests(&self) -> Result<impl Stream<Item = ()> + Send + use<>, BusError> {
        match self.bus.client().subscribe(subject::REPORT).await {
            Ok(requests) => Ok(requests.map(drop)),
            Err(e) => Err(BusError { operation: "subscribe to report requests", detail: e.to_string() }),
        }
    }
}

/// The pool's shared consumer of offers; made if it is not there.
async fn offers_of(bus: &nats::Bus, config: &pull::Config) -> Result<Consumer<pull::Config>, ConnectError> {
    let name = config.durable_name.as_deref().unwrap_or_default();
    let failed = |detail: String| ConnectError::Create { what: format!("consumer {name}"), detail };
    let stream = bus.jetstream().get_stream_no_info(OFFERS.name).await.map_err(|e| failed(e.to_string()))?;
    stream.create_consumer(config.clone()).await.map_err(|e| failed(e.to_string()))
}

/// An envelope whose id follows from what it is about, so that a repetition is recognised as one.
#[must_use]
pub fn wrap<T: Message>(
    kind: EventKind,
    count: u8,
    attempt: AttemptRef,
    nonce: ClaimNonce,
    at: UnixMs,
    body: T,
) -> Envelope<T> {
    let project_id: ProjectId = attempt.project_id;
    let mut digest = Sha256::new();
    digest.update(kind.token());
    digest.update([0, count]);
    digest.update(attempt.to_string());
    digest.update(nonce.as_uuid().as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.finalize()[..16]);
    let id = MessageId::from_uuid(uuid::Builder::from_custom_bytes(bytes).into_uuid());
    Envelope::new(id, at, body).correlated(project_id)
}

/// A new message's id.
#[must_use]
pub fn fresh_id() -> MessageId {
    MessageId::from_uuid(Uuid::now_v7())
}

/// Waits, and doubles the wait.
pub(crate) fn pause(delay: &mut Duration) -> impl Future<Output = ()> + Send + use<> {
    let wait = *delay;
    *delay = (wait * 2).min(MAX_RETRY_DELAY);
    tokio::time::sleep(wait)
}

/// The first delay of a retry.
pub(crate) const fn first_pause() -> Duration {
    RETRY_DELAY
}
