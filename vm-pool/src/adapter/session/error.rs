//! How a session fails.

use std::sync::Arc;

use bus_schemas::v1::guest::RefusalCode;
use tokio::sync::watch;

/// A session, or one thing asked of it, failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// The channel is gone: the guest, its VM or a port ended.
    #[error("the guest is gone: {detail}")]
    Lost {
        /// What was seen.
        detail: String,
    },
    /// The guest did not do it in time. The session may still live.
    #[error("the guest did not {what} in time")]
    TimedOut {
        /// What it should have done.
        what: &'static str,
    },
    /// The guest broke the protocol; the session is over.
    #[error("the guest broke the protocol: {detail}")]
    Protocol {
        /// What it did.
        detail: String,
    },
    /// The guest would not, or could not.
    #[error("the guest refused ({code:?}): {detail}")]
    Refused {
        /// Why, as a word.
        code: RefusalCode,
        /// Why, for people; the guest's own words, cut to 1 KiB.
        detail: String,
    },
    /// The host's own input could not be read or is too large for the channel; the guest is not to blame.
    #[error("send {what}: {detail}")]
    Input {
        /// What was to be sent.
        what: &'static str,
        /// What is wrong with it.
        detail: String,
    },
}

/// Whether the session still lives; the first failure stays.
#[derive(Clone, Debug)]
pub(super) struct Health(Arc<watch::Sender<Option<SessionError>>>);

impl Health {
    pub(super) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }

    /// Ends the session, unless it ended before.
    pub(super) fn fail(&self, error: SessionError) {
        self.0.send_if_modified(|state| {
            let first = state.is_none();
            if first {
                tracing::debug!(%error, "session over");
                *state = Some(error);
            }
            first
        });
    }

    pub(super) fn lost(&self, detail: impl Into<String>) {
        self.fail(SessionError::Lost { detail: detail.into() });
    }

    /// Ends the session because of what the guest did, and returns the error to return.
    pub(super) fn protocol(&self, detail: impl Into<String>) -> SessionError {
        let error = SessionError::Protocol { detail: detail.into() };
        self.fail(error.clone());
        error
    }

    pub(super) fn check(&self) -> Result<(), SessionError> {
        self.0.borrow().clone().map_or(Ok(()), Err)
    }

    /// Waits for the session's end. Cancel safe.
    pub(super) async fn failed(&self) -> SessionError {
        let mut state = self.0.subscribe();
        match state.wait_for(Option::is_some).await.map(|error| error.clone()) {
            Ok(Some(error)) => error,
            _ => SessionError::Lost { detail: "the session was closed".into() },
        }
    }
}
