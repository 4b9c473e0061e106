//! The host's end of the guest channel ([`bus_schemas::v1::guest`]): one [`Session`] per VM.
//!
//! The guest is hostile until shown otherwise. Whatever it sends or leaves unsent, a session's methods end (each has a
//! deadline), memory stays bounded (frames, queues, streams and output all have limits), and the first breach of
//! the protocol ends the session for good with a [`SessionError`] that every later call repeats.

mod agent;
#[cfg(test)]
mod agent_tests;
mod changes;
mod checkpoint;
mod control;
mod data;
mod error;
mod host;
mod inbound;
#[cfg(test)]
mod tests;

pub use agent::Worked;
pub use changes::Changes;
pub use checkpoint::{MAX_TRANSCRIPT_BYTES, SavedTurn};
pub use control::Asked;
pub use error::SessionError;
pub use host::{GuestHello, Output, Session, Wishes, WorkspaceReady};
pub use inbound::{Connection, DataStream, MAX_CONNECTIONS};
