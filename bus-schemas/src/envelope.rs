//! The envelope around every message on the bus.

use serde::{Deserialize, Serialize};

use crate::{id::MessageId, time::UnixMs};

/// The protocol's major version: the `v1` of every subject and of [`Envelope::version`].
pub const VERSION: u16 = 1;

/// A message body that knows the name it travels under.
pub trait Message: Serialize + for<'de> Deserialize<'de> {
    /// `noun.verb`, for example `attempt.claimed`.
    const KIND: &'static str;
}

/// A message with what is needed to route, deduplicate and trace it.
///
/// Readers refuse a [`version`](Self::version) they do not know and ignore fields they do not know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Envelope<T> {
    /// The publisher's idempotency key; also sent as `Nats-Msg-Id`.
    pub id: MessageId,
    /// The body's [`Message::KIND`].
    pub kind: String,
    /// The protocol's major version, [`VERSION`].
    pub version: u16,
    /// When the publisher made the message.
    pub sent_at: UnixMs,
    /// What this belongs to across services (a project's id, as a rule).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<uuid::Uuid>,
    /// The message or journal record that caused this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<uuid::Uuid>,
    /// W3C trace context, `00-<trace>-<span>-<flags>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// The message itself.
    pub body: T,
}

impl<T: Message> Envelope<T> {
    /// An envelope of the current version around `body`.
    #[must_use]
    pub fn new(id: MessageId, sent_at: UnixMs, body: T) -> Self {
        Self {
            id,
            kind: T::KIND.to_owned(),
            version: VERSION,
            sent_at,
            correlation_id: None,
            causation_id: None,
            traceparent: None,
            body,
        }
    }

    /// The same envelope, marked as belonging to `project`.
    #[must_use]
    pub fn correlated(mut self, project: crate::id::ProjectId) -> Self {
        self.correlation_id = Some(project.as_uuid());
        self
    }
}
