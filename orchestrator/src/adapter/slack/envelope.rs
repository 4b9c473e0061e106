//! What Slack sends, wrapped: a key to know repeats by, the raw text to keep, and what it means.

use bus_schemas::time::UnixMs;
use futures::future::Future;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::inbound::{self, Inbound};
use crate::digest::hex;

/// Which of Slack's doors it came through; the payload's shape depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Something happened (Events API).
    Event,
    /// A person pressed, chose or submitted something.
    Interaction,
    /// A slash command.
    Command,
    /// None that is known.
    Unknown,
}

impl Kind {
    /// The word it is kept under, which is the word of a Socket Mode envelope.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Event => "events_api",
            Self::Interaction => "interactive",
            Self::Command => "slash_commands",
            Self::Unknown => "unknown",
        }
    }

    /// The kind a word names.
    #[must_use]
    pub fn of(word: &str) -> Self {
        [Self::Event, Self::Interaction, Self::Command]
            .into_iter()
            .find(|kind| kind.word() == word)
            .unwrap_or(Self::Unknown)
    }
}

/// One thing Slack sent.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// The same for a repeat of the same thing, over either transport.
    pub key: String,
    /// `{"kind": …, "payload": …}`: enough to read it again after a restart.
    pub raw: Value,
    /// What it means, or why it cannot be read.
    pub inbound: Result<Inbound, String>,
    /// When it came.
    pub received_at: UnixMs,
}

impl Envelope {
    /// Wraps a payload. `id` is the transport's own name for this delivery, for payloads that name nothing themselves.
    #[must_use]
    pub fn new(kind: Kind, mut payload: Value, id: Option<&str>, received_at: UnixMs) -> Self {
        // Slack's old verification token proves nothing any more, and must not lie about in a database.
        if let Some(fields) = payload.as_object_mut() {
            fields.remove("token");
        }
        let key = inbound::key(kind, &payload)
            .or_else(|| id.map(|id| format!("envelope:{id}")))
            .unwrap_or_else(|| sealed(&payload));
        let inbound = inbound::read(kind, &payload);
        let raw = json!({ "kind": kind.word(), "payload": payload });
        Self { key, raw, inbound, received_at }
    }

    /// Wraps what could not even be taken apart.
    #[must_use]
    pub fn unreadable(text: &str, why: String, received_at: UnixMs) -> Self {
        let payload = Value::String(text.to_owned());
        let key = sealed(&payload);
        let raw = json!({ "kind": Kind::Unknown.word(), "payload": payload });
        Self { key, raw, inbound: Err(why), received_at }
    }

    /// An envelope that was kept, read again.
    #[must_use]
    pub fn again(key: String, raw: Value, received_at: UnixMs) -> Self {
        let kind = Kind::of(raw.get("kind").and_then(Value::as_str).unwrap_or_default());
        let inbound = raw
            .get("payload")
            .map_or_else(|| Err("it was kept without a payload".to_owned()), |payload| inbound::read(kind, payload));
        Self { key, raw, inbound, received_at }
    }
}

/// A key for what has no name: the same bytes are the same thing.
fn sealed(payload: &Value) -> String {
    format!("sha256:{}", hex(&Sha256::digest(payload.to_string())))
}

/// Whoever takes what comes in. Slack is answered after [`keep`](Self::keep), within three seconds.
pub trait Receiver: Clone + Send + Sync + 'static {
    /// Keeps an envelope for good, unreadable ones too. `false` says that nothing is to be done: it was kept before, or is no
    /// business of ours. After an error (told as a sentence for the log) Slack is not answered and sends it again.
    fn keep(&self, envelope: &Envelope) -> impl Future<Output = Result<bool, String>> + Send;
    /// Acts on a new one. What it returns goes out with the answer, if it comes in time: a `response_action` of a view, for example.
    fn receive(&self, envelope: Envelope) -> impl Future<Output = Option<Value>> + Send;
}
