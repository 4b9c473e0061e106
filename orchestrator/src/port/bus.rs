//! The bus, as the driver needs it: what comes in is [`Inbound`], what goes out is [`Bus`].

use bus_schemas::{
    id::{MessageId, ProjectId},
    v1::{
        agent::{AttemptPaused, TellAttempt},
        approval::{ApprovalAsked, Decision},
        call::{HostAnswer, HostCall},
        host::Beat,
        project::{ProjectChanged, TaskChanged},
        task::{AttemptFailed, CancelAttempt, Claimed, HandoffReady, Offer, Progress},
    },
};
use futures::future::Future;

use super::{Bundle, journal::Cursor};

/// Where the intake begins: told anew after a transaction failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IntakeStart {
    /// Counts the beginnings; deliveries carry it.
    pub run: u64,
    /// The last message that was applied.
    pub cursor: Cursor,
}

/// What the bus tells the driver.
#[derive(Debug)]
pub enum Inbound {
    /// A message of the stream of observations, in order.
    Delivery(Delivery),
    /// A host's sign of life.
    Beat(Box<Beat>),
    /// Everything the stream held when the intake began was delivered; `fresh` if it is another stream than the cursor's:
    /// what was published before may be gone.
    CaughtUp {
        /// Which run of the intake; an older one does not count.
        run: u64,
        /// The stream is a new one.
        fresh: bool,
    },
    /// The connection is lost.
    Down,
    /// The connection is back.
    Up,
}

/// One message of the stream of observations.
#[derive(Debug)]
pub struct Delivery {
    /// Its sequence.
    pub seq: u64,
    /// When its stream was created: with the sequence, its place in the world.
    pub stream_created: String,
    /// Which run of the intake delivered it; after a rewind, older ones are void.
    pub run: u64,
    /// Its subject.
    pub subject: String,
    /// It, as it came: what cannot be taken is set aside whole.
    pub payload: bytes::Bytes,
    /// What it says, or a sentence why it cannot be read.
    pub observation: Result<Observation, String>,
}

/// What a host observed.
#[derive(Debug)]
pub enum Observation {
    /// A claim.
    Claimed(Claimed),
    /// Another stage.
    Progress(Progress),
    /// A handoff.
    Handoff(Box<HandoffReady>),
    /// A failure.
    Failed(Box<AttemptFailed>),
    /// A pause.
    Paused(Box<AttemptPaused>),
}

impl Observation {
    /// Which project it is about.
    #[must_use]
    pub fn project_id(&self) -> ProjectId {
        match self {
            Self::Claimed(claimed) => claimed.attempt.project_id,
            Self::Progress(progress) => progress.attempt.project_id,
            Self::Handoff(ready) => ready.attempt.project_id,
            Self::Failed(failed) => failed.attempt.project_id,
            Self::Paused(paused) => paused.attempt.project_id,
        }
    }
}

/// What is published for bridges and audit.
#[derive(Clone, Debug)]
pub enum FeedMessage {
    /// A project's state.
    Project(ProjectChanged),
    /// A task's state.
    Task(TaskChanged),
    /// A request.
    Asked(ProjectId, ApprovalAsked),
    /// A decision.
    Decided(ProjectId, Decision),
}

/// Why the bus did not do something.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BusError {
    /// It may work later, or may have worked: do it again under the same id.
    #[error("{operation}: {detail}")]
    Unavailable {
        /// What was tried.
        operation: &'static str,
        /// Why.
        detail: String,
    },
    /// The server does not take messages of this size.
    #[error(
        "{operation}: the message has {bytes} bytes, and the bus takes {limit}: keep large data in files of the folder \
         (tasks hand them on as outputs) rather than in scripts, `foreach` elements and results, or raise `max_payload` of \
         the nats-server"
    )]
    TooLarge {
        /// What was tried.
        operation: &'static str,
        /// The size of the message.
        bytes: usize,
        /// The largest one that fits.
        limit: usize,
    },
    /// It will never work as it is.
    #[error("{operation}: {detail}")]
    Refused {
        /// What was tried.
        operation: &'static str,
        /// Why.
        detail: String,
    },
}

/// The bus, outwards. Everything may be done twice under the same id.
pub trait Bus: Clone + Send + Sync + 'static {
    /// Offers an attempt to the hosts.
    ///
    /// # Errors
    /// [`BusError`].
    fn offer(&self, id: MessageId, offer: Offer) -> impl Future<Output = Result<(), BusError>> + Send;
    /// Withdraws an attempt.
    ///
    /// # Errors
    /// [`BusError`].
    fn cancel(&self, id: MessageId, cancel: CancelAttempt) -> impl Future<Output = Result<(), BusError>> + Send;
    /// Tells the attempt that runs what somebody said.
    ///
    /// # Errors
    /// [`BusError`].
    fn tell_attempt(&self, id: MessageId, tell: TellAttempt) -> impl Future<Output = Result<(), BusError>> + Send;
    /// Publishes for bridges and audit.
    ///
    /// # Errors
    /// [`BusError`].
    fn tell(&self, id: MessageId, message: FeedMessage) -> impl Future<Output = Result<(), BusError>> + Send;
    /// Asks every host to beat now.
    ///
    /// # Errors
    /// [`BusError`].
    fn ask_report(&self) -> impl Future<Output = Result<(), BusError>> + Send;
    /// The parents of a commit's bundle in the object store, if it is there.
    ///
    /// # Errors
    /// [`BusError`].
    fn commit_parents(&self, commit: &str) -> impl Future<Output = Result<Option<Vec<String>>, BusError>> + Send;
    /// A commit's bundle, if it is in the object store.
    ///
    /// # Errors
    /// [`BusError`].
    fn get_commit(&self, commit: &str) -> impl Future<Output = Result<Option<Bundle>, BusError>> + Send;
    /// Puts a commit's bundle into the object store.
    ///
    /// # Errors
    /// [`BusError`].
    fn put_commit(&self, commit: &str, bundle: Bundle) -> impl Future<Output = Result<(), BusError>> + Send;
    /// Whether the object store has an object of this name.
    ///
    /// # Errors
    /// [`BusError`].
    fn has_object(&self, name: &str) -> impl Future<Output = Result<bool, BusError>> + Send;
    /// Puts bytes into the object store under a name.
    ///
    /// # Errors
    /// [`BusError`].
    fn put_object(&self, name: &str, bytes: Vec<u8>) -> impl Future<Output = Result<(), BusError>> + Send;
}

/// Who answers the calls of hosts. A call may come twice under the same id.
pub trait HostCalls: Clone + Send + Sync + 'static {
    /// The answer; nothing of it is given before it is durable.
    fn answer(&self, id: MessageId, call: HostCall) -> impl Future<Output = HostAnswer> + Send;
}
