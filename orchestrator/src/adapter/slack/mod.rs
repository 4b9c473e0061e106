//! Slack: what people see and press there is a view of the journal, never a truth of its own.
//!
//! `web` is what may be asked of Slack's Web API, `morphism` does it; `socket` and `events` are the two ways in, and
//! hand every `envelope` to one `Receiver`; `inbound` reads what is inside, leniently; `view` is what people see; `bridge`
//! is what is done about all that; `check` says what is missing.

mod answer;
pub mod bridge;
pub mod check;
pub mod envelope;
pub mod events;
mod gate;
mod hand;
pub mod inbound;
mod morphism;
pub mod signature;
pub mod socket;
#[cfg(test)]
mod testing;
pub mod view;
pub mod web;
mod wire;

pub use envelope::{Envelope, Kind, Receiver};
pub use inbound::Inbound;
pub use morphism::{Access, Morphism, Patience};
pub use web::{Place, SlackError, SlackWeb};
