//! Slack: what people see and press there is a view of the journal, never a truth of its own.
//!
//! `web` is what may be asked of Slack's Web API, `morphism` does it; `socket` and `events` are the two ways in, and
//! hand every `envelope` to one `Receiver`; `inbound` reads what is inside, leniently.

pub mod envelope;
pub mod inbound;
pub mod web;

pub use envelope::{Envelope, Kind, Receiver};
pub use inbound::Inbound;
pub use web::{Place, SlackError, SlackWeb};
