//! Speaking to NATS: connecting, creating the streams, publishing with an idempotency key, reading envelopes.
//!
//! An acknowledgement of the server is not a fence and a publish that timed out is *unknown*, not failed: the message
//! may be stored after the client reconnects. [`publish`] says so with [`PublishError::Unknown`]; the caller reads back
//! ([`last_on`]) and compares, or publishes again under the same id.

use std::{path::Path, time::Duration};

use async_nats::{
    Client, ConnectOptions, HeaderMap,
    jetstream::{
        self,
        context::PublishErrorKind,
        message::PublishMessage,
        object_store::{self, ObjectStore},
        stream::{self as js, DiscardPolicy, LastRawMessageErrorKind, RetentionPolicy, StorageType},
    },
};
use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    envelope::{Envelope, Message, VERSION},
    stream::{self, Retention, StreamSpec},
};

/// The oldest server that works: `sync_interval` and per-message limits are missing or broken before.
pub const OLDEST_SERVER: (u32, u32) = (2, 12);

/// A frozen server is noticed after three of these (the client's default would take three minutes).
const PING_INTERVAL: Duration = Duration::from_secs(5);
/// How long one JetStream request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Where the server is and who we are to it.
#[derive(Clone, Debug, Default)]
pub struct BusOptions {
    /// `nats://host:port`, several separated by commas.
    pub url: String,
    /// User and password, if the server wants them.
    pub user_password: Option<(String, String)>,
    /// The client's name, shown in the server's monitoring.
    pub name: String,
}

/// The content of a credentials file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CredentialsFile {
    user: String,
    password: String,
}

impl BusOptions {
    /// Options for `url`, with the user and password of a credentials file (JSON: `{"user": …, "password": …}`).
    ///
    /// # Errors
    /// [`ConnectError::Credentials`] if the file cannot be read or is not of that shape.
    pub fn with_credentials_file(url: &str, file: Option<&Path>, name: &str) -> Result<Self, ConnectError> {
        let user_password = match file {
            None => None,
            Some(path) => {
                let bad = |detail: String| ConnectError::Credentials { path: path.display().to_string(), detail };
                let text = std::fs::read_to_string(path).map_err(|e| bad(e.to_string()))?;
                let parsed: CredentialsFile = serde_json::from_str(&text).map_err(|e| bad(e.to_string()))?;
                Some((parsed.user, parsed.password))
            }
        };
        Ok(Self { url: url.to_owned(), user_password, name: name.to_owned() })
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The credentials file is of no use.
    #[error("read credentials {path}: {detail}")]
    Credentials {
        /// The file.
        path: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The server does not answer or refuses us.
    #[error("connect to {url}")]
    Connect {
        /// The address.
        url: String,
        /// Why.
        #[source]
        source: async_nats::ConnectError,
    },
    /// The server is too old.
    #[error(
        "nats-server {found} at {url} is too old: {}.{} or later is needed (`cargo xtask setup` fetches one)",
        OLDEST_SERVER.0,
        OLDEST_SERVER.1
    )]
    TooOld {
        /// The address.
        url: String,
        /// Its version.
        found: String,
    },
    /// A stream or bucket could not be created.
    #[error("create {what}: {detail}")]
    Create {
        /// Which.
        what: String,
        /// Why.
        detail: String,
    },
}

/// A connection: cheap to clone, reconnects by itself for as long as the process lives.
#[derive(Clone, Debug)]
pub struct Bus {
    client: Client,
    context: jetstream::Context,
}

impl Bus {
    /// Connects, and checks the server's version. The first connection must succeed; later losses are mended in the background.
    ///
    /// # Errors
    /// [`ConnectError::Connect`] or [`ConnectError::TooOld`].
    pub async fn connect(options: &BusOptions) -> Result<Self, ConnectError> {
        let mut connect = ConnectOptions::new()
            .name(&options.name)
            .ping_interval(PING_INTERVAL)
            .request_timeout(Some(REQUEST_TIMEOUT))
            .max_reconnects(None)
            .reconnect_delay_callback(|tries| Duration::from_millis((50 * tries as u64).min(1_000)))
            .event_callback(|event| async move { tracing::info!(event = %event, "nats connection") });
        if let Some((user, password)) = &options.user_password {
            connect = connect.user_and_password(user.clone(), password.clone());
        }
        let servers: Vec<&str> = options.url.split(',').map(str::trim).collect();
        let client = connect
            .connect(servers)
            .await
            .map_err(|source| ConnectError::Connect { url: options.url.clone(), source })?;
        let found = client.server_info().version;
        if !version_fits(&found) {
            return Err(ConnectError::TooOld { url: options.url.clone(), found });
        }
        let context = jetstream::ContextBuilder::new().timeout(REQUEST_TIMEOUT).build(client.clone());
        Ok(Self { client, context })
    }

    /// Core NATS.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// JetStream.
    #[must_use]
    pub const fn jetstream(&self) -> &jetstream::Context {
        &self.context
    }

    /// The server's version.
    #[must_use]
    pub fn server_version(&self) -> String {
        self.client.server_info().version
    }

    /// Whether the connection stands, as far as the client knows.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == async_nats::connection::State::Connected
    }

    /// Creates (or adapts) every stream of [`stream::ALL`] and the objects bucket. Harmless to repeat.
    ///
    /// # Errors
    /// [`ConnectError::Create`], naming the stream.
    pub async fn ensure_streams(&self) -> Result<(), ConnectError> {
        for spec in &stream::ALL {
            self.context
                .create_or_update_stream(config_of(spec))
                .await
                .map_err(|e| ConnectError::Create { what: format!("stream {}", spec.name), detail: e.to_string() })?;
        }
        self.objects().await.map(drop)
    }

    /// The bucket of bundles and artifacts; created if it is not there.
    ///
    /// # Errors
    /// [`ConnectError::Create`].
    pub async fn objects(&self) -> Result<ObjectStore, ConnectError> {
        if let Ok(store) = self.context.get_object_store(stream::OBJECTS_BUCKET).await {
            return Ok(store);
        }
        let config = object_store::Config { bucket: stream::OBJECTS_BUCKET.to_owned(), ..Default::default() };
        self.context.create_object_store(config).await.map_err(|e| ConnectError::Create {
            what: format!("bucket {}", stream::OBJECTS_BUCKET),
            detail: e.to_string(),
        })
    }
}

fn config_of(spec: &StreamSpec) -> js::Config {
    js::Config {
        name: spec.name.to_owned(),
        subjects: spec.subjects.iter().map(|&s| s.to_owned()).collect(),
        retention: match spec.retention {
            Retention::Limits => RetentionPolicy::Limits,
            Retention::WorkQueue => RetentionPolicy::WorkQueue,
        },
        max_age: Duration::from_millis(spec.max_age_ms),
        max_bytes: if spec.max_bytes == 0 { -1 } else { i64::try_from(spec.max_bytes).unwrap_or(i64::MAX) },
        duplicate_window: Duration::from_millis(spec.dedupe_window_ms),
        storage: StorageType::File,
        discard: DiscardPolicy::Old,
        num_replicas: 1,
        allow_direct: true,
        ..Default::default()
    }
}

/// Whether a server of this version can be used.
#[must_use]
pub fn version_fits(version: &str) -> bool {
    let mut numbers = version.trim_start_matches('v').split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= OLDEST_SERVER,
        _ => false,
    }
}

/// What must hold for a publish to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Nothing.
    Any,
    /// The subject has no message yet: the first publisher wins.
    FirstOnSubject,
}

/// Where a message was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its stream sequence.
    pub sequence: u64,
    /// The server had it already under the same id.
    pub duplicate: bool,
}

/// Why a message was not stored, or not surely.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The body could not be written as JSON.
    #[error("encode message for {subject}")]
    Encode {
        /// The subject.
        subject: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// [`Expect`] did not hold: another message is there. After a retry it may be our own: read back and compare.
    #[error("publish on {subject}: another message was there first")]
    Taken {
        /// The subject.
        subject: String,
    },
    /// No answer: the message may be stored now, later or never.
    #[error("publish on {subject}: outcome unknown ({detail})")]
    Unknown {
        /// The subject.
        subject: String,
        /// What the client saw.
        detail: String,
    },
    /// The server refused it.
    #[error("publish on {subject}: {detail}")]
    Refused {
        /// The subject.
        subject: String,
        /// What the server said.
        detail: String,
    },
}

/// Publishes one message with its id as `Nats-Msg-Id` and waits until the server has stored it.
///
/// # Errors
/// See [`PublishError`]; only [`PublishError::Taken`] and [`PublishError::Refused`] mean that it was not stored.
pub async fn publish<T: Message>(
    bus: &Bus,
    subject: String,
    envelope: &Envelope<T>,
    expect: Expect,
) -> Result<Stored, PublishError> {
    let payload =
        serde_json::to_vec(envelope).map_err(|source| PublishError::Encode { subject: subject.clone(), source })?;
    let mut message = PublishMessage::build().payload(payload.into()).message_id(envelope.id.to_string());
    if expect == Expect::FirstOnSubject {
        message = message.expected_last_subject_sequence(0);
    }
    let fail = |e: jetstream::context::PublishError| match e.kind() {
        PublishErrorKind::WrongLastSequence | PublishErrorKind::WrongLastMessageId => {
            PublishError::Taken { subject: subject.clone() }
        }
        PublishErrorKind::TimedOut | PublishErrorKind::BrokenPipe => {
            PublishError::Unknown { subject: subject.clone(), detail: e.to_string() }
        }
        PublishErrorKind::Other if e.to_string().contains("10071") => PublishError::Taken { subject: subject.clone() },
        PublishErrorKind::Other => PublishError::Unknown { subject: subject.clone(), detail: e.to_string() },
        _ => PublishError::Refused { subject: subject.clone(), detail: e.to_string() },
    };
    let context = bus.jetstream();
    let ack = context.send_publish(subject.clone(), message).await.map_err(fail)?.await.map_err(fail)?;
    Ok(Stored { sequence: ack.sequence, duplicate: ack.duplicate })
}

/// The last message of a stream on one subject, decoded.
///
/// # Errors
/// [`ReadError::Unavailable`] if the server cannot be asked, [`ReadError::Malformed`] if what is there cannot be read.
pub async fn last_on<T: Message>(
    bus: &Bus,
    stream: &StreamSpec,
    subject: &str,
) -> Result<Option<Envelope<T>>, ReadError> {
    let unavailable = |detail: String| ReadError::Unavailable { stream: stream.name.to_owned(), detail };
    let handle = bus.jetstream().get_stream_no_info(stream.name).await.map_err(|e| unavailable(e.to_string()))?;
    match handle.get_last_raw_message_by_subject(subject).await {
        Ok(message) => decode(&message.payload).map(Some),
        Err(e) if e.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
        Err(e) => Err(unavailable(e.to_string())),
    }
}

/// Why a message could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The server could not be asked.
    #[error("read stream {stream}: {detail}")]
    Unavailable {
        /// The stream.
        stream: String,
        /// Why.
        detail: String,
    },
    /// It is not an envelope of this message; set it aside with this reason.
    #[error("malformed message: {reason}")]
    Malformed {
        /// What is wrong with it.
        reason: String,
    },
}

/// Reads an envelope: unknown fields are ignored, another version or kind is refused.
///
/// # Errors
/// [`ReadError::Malformed`] with the reason.
pub fn decode<T: Message + DeserializeOwned>(payload: &[u8]) -> Result<Envelope<T>, ReadError> {
    #[derive(Deserialize)]
    struct Head {
        version: u16,
        kind: String,
    }
    let malformed = |reason: String| ReadError::Malformed { reason };
    let head: Head = serde_json::from_slice(payload).map_err(|e| malformed(format!("no envelope: {e}")))?;
    if head.version != VERSION {
        return Err(malformed(format!("version {} is not {VERSION}", head.version)));
    }
    if head.kind != T::KIND {
        return Err(malformed(format!("kind {:?} is not {:?}", head.kind, T::KIND)));
    }
    serde_json::from_slice(payload).map_err(|e| malformed(format!("{}: {e}", T::KIND)))
}

/// The headers a message gets that is published without waiting for the server (output, above all).
#[must_use]
pub fn headers_of(id: crate::id::MessageId) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Msg-Id", id.to_string());
    headers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1::task::CancelAttempt;

    #[test]
    fn versions_are_compared_by_number() {
        for fits in ["2.12.0", "2.15.1", "v2.12", "3.0.0-dev"] {
            assert!(version_fits(fits), "{fits}");
        }
        for old in ["2.9.10", "2.11.99", "1.99.0", "", "two"] {
            assert!(!version_fits(old), "{old}");
        }
    }

    #[test]
    fn what_is_no_envelope_is_malformed_with_a_reason() {
        for (payload, reason) in [
            (&b"\xff\x00"[..], "no envelope"),
            (b"{}", "no envelope"),
            (br#"{"version":2,"kind":"attempt.cancel"}"#, "version 2"),
            (br#"{"version":1,"kind":"attempt.claimed"}"#, "kind"),
            (br#"{"version":1,"kind":"attempt.cancel"}"#, "attempt.cancel"),
        ] {
            let error = decode::<CancelAttempt>(payload).map(drop).map_err(|e| e.to_string());
            assert!(error.as_ref().is_err_and(|e| e.contains(reason)), "{error:?} lacks {reason:?}");
        }
    }
}
