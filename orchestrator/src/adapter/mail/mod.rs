//! Mail: what comes in over IMAP and webhooks, what goes out over SMTP, and the bridge between them and the orchestrator.

pub mod bridge;
mod desk;
pub mod ingress;
mod listen;
pub mod pages;
mod story;
mod verifier;
pub mod view;

pub use desk::{
    Desk, InMail, InState, Kept, LetterFilter, OutKind, OutMail, OutState, OutText, Position, Thread, Verdict,
};
pub use listen::serve;
pub use story::{News, Story};
pub use verifier::{Authentic, Transport, TransportError, Verifier};
