//! What goes out: offers, cancellations, the feed, bundles of commits.

use std::sync::Arc;

use async_nats::jetstream::object_store::{GetErrorKind, InfoErrorKind, ObjectMetadata, ObjectStore};
use bus_schemas::{
    envelope::{Envelope, Message},
    id::MessageId,
    nats::{self, Expect},
    subject::{self, PoolName},
    v1::{
        agent::TellAttempt,
        task::{CancelAttempt, Offer},
    },
};
use tokio::{io::AsyncReadExt, sync::Mutex};

use crate::port::{
    Bundle, Clock,
    bus::{Bus, BusError, FeedMessage},
};

/// Bundles travel in pieces of this size: few fsyncs, and far below what a server takes in one message.
const CHUNK_BYTES: usize = 512 * 1024;
/// What headers and framing of a message may take of the server's limit, in bytes.
const OVERHEAD_BYTES: usize = 4096;

/// The bus over a NATS connection.
#[derive(Clone)]
pub struct NatsBus {
    bus: nats::Bus,
    clock: Arc<dyn Clock>,
    /// The bucket of bundles, once it was found; forgotten when it does not answer.
    objects: Arc<Mutex<Option<ObjectStore>>>,
}

impl std::fmt::Debug for NatsBus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NatsBus").field("bus", &self.bus).finish_non_exhaustive()
    }
}

impl NatsBus {
    /// The bus over `bus`; `clock` stamps what is sent.
    #[must_use]
    pub fn new(bus: nats::Bus, clock: Arc<dyn Clock>) -> Self {
        Self { bus, clock, objects: Arc::default() }
    }

    /// The connection.
    #[must_use]
    pub const fn connection(&self) -> &nats::Bus {
        &self.bus
    }

    async fn publish<T: Message>(
        &self,
        operation: &'static str,
        subject: String,
        id: MessageId,
        project: bus_schemas::id::ProjectId,
        body: T,
    ) -> Result<(), BusError> {
        let envelope = Envelope::new(id, self.clock.now(), body).correlated(project);
        let refused = |detail: String| BusError::Refused { operation, detail };
        let bytes = serde_json::to_vec(&envelope).map_err(|e| refused(e.to_string()))?.len();
        let limit = self.bus.client().server_info().max_payload;
        if limit > 0 && bytes + OVERHEAD_BYTES > limit {
            return Err(BusError::TooLarge { operation, bytes, limit: limit.saturating_sub(OVERHEAD_BYTES) });
        }
        match nats::publish(&self.bus, subject, &envelope, Expect::Any).await {
            // A duplicate is our own earlier try; nothing is expected of the subject, so nothing else can be there first.
            Ok(_) => Ok(()),
            Err(error @ nats::PublishError::Encode { .. }) => Err(refused(error.to_string())),
            Err(error) => Err(BusError::Unavailable { operation, detail: error.to_string() }),
        }
    }

    async fn objects(&self, operation: &'static str) -> Result<ObjectStore, BusError> {
        let mut known = self.objects.lock().await;
        if let Some(store) = known.as_ref() {
            return Ok(store.clone());
        }
        let unavailable = |e: nats::ConnectError| BusError::Unavailable { operation, detail: e.to_string() };
        let store = self.bus.objects().await.map_err(unavailable)?;
        *known = Some(store.clone());
        Ok(store)
    }

    /// The bucket did not answer: perhaps it is gone, and must be made anew.
    async fn lost(&self, operation: &'static str, detail: String) -> BusError {
        *self.objects.lock().await = None;
        BusError::Unavailable { operation, detail }
    }
}

fn name_of(commit: &str) -> String {
    format!("commit/{commit}")
}

fn parents_of(description: Option<&str>) -> Vec<String> {
    description.unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

impl Bus for NatsBus {
    async fn offer(&self, id: MessageId, offer: Offer) -> Result<(), BusError> {
        let subject = subject::offer(&PoolName::default(), &offer.attempt);
        self.publish("offer an attempt", subject, id, offer.attempt.project_id, offer).await
    }

    async fn cancel(&self, id: MessageId, cancel: CancelAttempt) -> Result<(), BusError> {
        let subject = subject::cancel(&cancel.attempt);
        self.publish("withdraw an attempt", subject, id, cancel.attempt.project_id, cancel).await
    }

    async fn tell_attempt(&self, id: MessageId, tell: TellAttempt) -> Result<(), BusError> {
        let subject = subject::tell(&tell.attempt);
        self.publish("tell an attempt", subject, id, tell.attempt.project_id, tell).await
    }

    async fn tell(&self, id: MessageId, message: FeedMessage) -> Result<(), BusError> {
        const OPERATION: &str = "publish on the feed";
        match message {
            FeedMessage::Project(body) => {
                let project = body.project_id;
                self.publish(OPERATION, subject::feed(project, "project"), id, project, body).await
            }
            FeedMessage::Task(body) => {
                let project = body.project_id;
                self.publish(OPERATION, subject::feed(project, "task"), id, project, body).await
            }
            FeedMessage::Asked(project, body) => {
                self.publish(OPERATION, subject::feed(project, "asked"), id, project, body).await
            }
            FeedMessage::Decided(project, body) => {
                self.publish(OPERATION, subject::feed(project, "decided"), id, project, body).await
            }
        }
    }

    async fn ask_report(&self) -> Result<(), BusError> {
        let unavailable = |detail: String| BusError::Unavailable { operation: "ask hosts to report", detail };
        let client = self.bus.client();
        client.publish(subject::REPORT, bytes::Bytes::new()).await.map_err(|e| unavailable(e.to_string()))?;
        client.flush().await.map_err(|e| unavailable(e.to_string()))
    }

    async fn commit_parents(&self, commit: &str) -> Result<Option<Vec<String>>, BusError> {
        const OPERATION: &str = "look up a commit";
        match self.objects(OPERATION).await?.info(name_of(commit)).await {
            Ok(info) if info.deleted => Ok(None),
            Ok(info) => Ok(Some(parents_of(info.description.as_deref()))),
            Err(error) if error.kind() == InfoErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.lost(OPERATION, error.to_string()).await),
        }
    }

    async fn get_commit(&self, commit: &str) -> Result<Option<Bundle>, BusError> {
        const OPERATION: &str = "fetch a commit";
        let mut object = match self.objects(OPERATION).await?.get(name_of(commit)).await {
            Ok(object) => object,
            Err(error) if error.kind() == GetErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.lost(OPERATION, error.to_string()).await),
        };
        let parents = parents_of(object.info().description.as_deref());
        let mut bytes = Vec::with_capacity(object.info().size);
        // The reader checks the digest at the end.
        match object.read_to_end(&mut bytes).await {
            Ok(_) => Ok(Some(Bundle { parents, bytes })),
            Err(error) => Err(self.lost(OPERATION, error.to_string()).await),
        }
    }

    async fn put_commit(&self, commit: &str, bundle: Bundle) -> Result<(), BusError> {
        const OPERATION: &str = "store a commit";
        let meta = ObjectMetadata {
            name: name_of(commit),
            description: Some(bundle.parents.join(" ")),
            chunk_size: Some(CHUNK_BYTES),
            ..Default::default()
        };
        match self.objects(OPERATION).await?.put(meta, &mut bundle.bytes.as_slice()).await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.lost(OPERATION, error.to_string()).await),
        }
    }

    async fn has_object(&self, name: &str) -> Result<bool, BusError> {
        const OPERATION: &str = "look up an object";
        match self.objects(OPERATION).await?.info(name).await {
            Ok(info) => Ok(!info.deleted),
            Err(error) if error.kind() == InfoErrorKind::NotFound => Ok(false),
            Err(error) => Err(self.lost(OPERATION, error.to_string()).await),
        }
    }

    async fn put_object(&self, name: &str, bytes: Vec<u8>) -> Result<(), BusError> {
        const OPERATION: &str = "store an object";
        let meta = ObjectMetadata { name: name.to_owned(), chunk_size: Some(CHUNK_BYTES), ..Default::default() };
        match self.objects(OPERATION).await?.put(meta, &mut bytes.as_slice()).await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.lost(OPERATION, error.to_string()).await),
        }
    }
}
