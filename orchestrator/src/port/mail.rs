//! What the API needs of mail: looking at what came and went, and deciding about what was put aside.

use bus_schemas::v1::api::{LetterQuery, LetterView, MailView, OutView, Problem};
use bytes::Bytes;
use futures::future::BoxFuture;

use super::journal::JournalError;

/// Why a mail was not shown or not judged.
#[derive(Clone, Debug, thiserror::Error)]
pub enum MailError {
    /// No mail has this id.
    #[error("there is no mail {0}")]
    NotFound(String),
    /// Several mails have ids that begin so.
    #[error("{0} is the beginning of several mails' ids: write more of it")]
    Ambiguous(String),
    /// It is not put aside (any more).
    #[error("mail {id} is not in quarantine: {is}")]
    NotQuarantined {
        /// Which.
        id: String,
        /// What became of it, as a sentence.
        is: String,
    },
    /// Its text is not kept any more.
    #[error("the text of mail {id} is not kept any more: {why}")]
    Cleared {
        /// Which.
        id: String,
        /// Why, as a sentence.
        why: String,
    },
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] JournalError),
}

/// What came and went by mail. Ids are given as the person wrote them: whole, or their beginning.
pub trait MailRoom: Send + Sync + 'static {
    /// How mail is now.
    fn view(&self) -> MailView;
    /// Mails that came in, the newest first.
    fn letters(&self, query: LetterQuery) -> BoxFuture<'_, Result<Vec<LetterView>, MailError>>;
    /// One.
    fn letter<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<LetterView, MailError>>;
    /// Its text as it came.
    fn text<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Bytes, MailError>>;
    /// An admin lets a mail that was put aside pass: it is acted on as if it were genuine.
    fn release<'a>(&'a self, id: &'a str, by: &'a str) -> BoxFuture<'a, Result<LetterView, MailError>>;
    /// An admin throws a mail away that was put aside.
    fn discard<'a>(&'a self, id: &'a str, by: &'a str) -> BoxFuture<'a, Result<LetterView, MailError>>;
    /// Mails of ours, the newest first, at most so many; 0 for as many as one answer holds.
    fn outbox(&self, limit: u32) -> BoxFuture<'_, Result<Vec<OutView>, MailError>>;
}

/// There is no mail here.
#[must_use]
pub fn mail_off() -> Problem {
    Problem {
        code: "mail_off".to_owned(),
        status: 404,
        detail: "mail is not set up, or could not be started".to_owned(),
        hint: Some("set mail.address in baton.toml; `baton serve` logs why it could not be started".to_owned()),
        findings: Vec::new(),
    }
}
