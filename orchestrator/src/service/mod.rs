//! The service behind the API: asks the driver to change things, reads the projections, and is put together by [`start`].

mod apply;
mod calls;
mod create;
mod editing;
mod feed;
mod given;
mod ledger;
mod letters;
mod mail;
mod orchestrator;
mod problem;
mod resolve;
mod running;
mod slack;
mod talking;

pub use mail::{Mail, MailOptions};
pub use orchestrator::Orchestrator;
pub use running::{OrchestratorOptions, Running, StartError, start};
pub use slack::{Slack, SlackOptions};
