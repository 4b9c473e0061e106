//! The two things the bridge needs of the mail world: is a mail's sender who it says, and hand this mail on.

use std::future::Future;

use crate::mail::letter::{Delivery, Letter};

/// Whether a mail's From is genuine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authentic {
    /// It is; how that is known, for people: `DMARC pass (DKIM d=example.org)`.
    Yes(String),
    /// It is not, or nothing says so: the reason and the way out, for people.
    No(String),
    /// It cannot be known now (a name server does not answer): ask again.
    Unknown(String),
}

/// Whose name servers a check of a mail would ask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asks {
    /// The domains, sorted.
    pub domains: Vec<String>,
    /// It is the one of the mail's From address, and no other.
    pub is_own: bool,
    /// What beside the domains makes the question another one (selectors).
    pub evidence: String,
}

/// Says whether mails are genuine.
pub trait Verifier: Clone + Send + Sync + 'static {
    /// Whose name servers would be asked, by a mail's beginning. Asks nobody. Mails for which this is the same wait for each other.
    fn asks(&self, _head: &[u8], _delivery: &Delivery) -> Asks {
        Asks::default()
    }
    /// Looks at one mail.
    fn verify(&self, raw: &[u8], letter: &Letter, delivery: &Delivery) -> impl Future<Output = Authentic> + Send;
}

/// Why a mail was not handed on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// Later it may go: the server is away, is busy, says 4xx.
    #[error("{0}")]
    Later(String),
    /// Never: the server says 5xx about this recipient or this mail.
    #[error("{0}")]
    Never(String),
    /// It may have gone: the server did not answer after it had everything. Sent again under the same Message-ID.
    #[error("{0}")]
    Unknown(String),
}

/// Hands mails to the next server.
pub trait Transport: Clone + Send + Sync + 'static {
    /// Hands one on to one recipient. `mail_from` is where it comes back to: with a token, if the server takes that. `raw` is the whole mail, signed or signed by this on its way.
    fn send(&self, mail_from: &str, to: &str, raw: &[u8]) -> impl Future<Output = Result<(), TransportError>> + Send;
}
