//! The built-in agent's core: a pure function from what happened to what is to be done next.
//!
//! [`step`](step()) takes a [`State`] and an [`Event`] and gives the next state and [`Command`]s. It knows no model, no tool, no clock and
//! no wire; the harness performs its commands and tells it what came of them. All it remembers is a list of lines
//! ([`transcript`]), so that another computer can go on where this one was lost.

pub mod action;
pub mod bench;
pub mod command;
pub mod compact;
pub mod digest;
pub mod event;
pub mod memory;
pub mod message;
pub mod prompt;
pub mod repeat;
pub mod state;
pub mod step;
pub mod transcript;
pub(crate) mod words;

#[cfg(test)]
mod tests;

pub use command::{Command, End, GaveUp, Pause};
pub use event::{Ending, Event, Failure, Said};
pub use memory::Memory;
pub use message::{Answer, Call, Input, Message, Outcome, Stop, Usage};
pub use state::{ModelLimits, Phase, Setup, State};
pub use step::{Rejected, step};
pub use transcript::{Fold, Line, fold};
