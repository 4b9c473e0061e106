//! Mail: what comes in over IMAP and webhooks, what goes out over SMTP, and the bridge between them and the orchestrator.

pub mod auth;
pub mod bridge;
pub mod check;
mod desk;
pub mod imap;
pub mod ingress;
pub mod listen;
pub mod mime;
pub mod oauth;
pub mod pages;
pub mod smtp;
mod story;
mod tls;
mod verifier;
pub mod view;

pub use desk::{
    Desk, InMail, InState, Kept, LetterFilter, OutKind, OutMail, OutState, OutText, Position, Standing, Thread, Verdict,
};
pub use listen::serve;
pub use story::{News, Story};
pub use verifier::{Asks, Authentic, Transport, TransportError, Verifier};
