//! The plan core.

pub mod command;
pub mod event;

pub use command::Command;
pub use event::Event;
