//! Truth on one machine: SQLite with a write-ahead log and `synchronous = FULL`, one thread that writes, a few
//! connections that read. The journal, the outbox and the intake cursor move in one transaction, and so do the
//! projections, which are derived from the journal alone.

mod approvals;
mod audit;
#[cfg(test)]
mod audit_tests;
mod auditor;
mod fatigue;
mod feed;
mod letters;
mod mail;
mod open;
mod project;
mod query;
mod rebuild;
mod remembered;
mod row;
mod slack;
mod store;
mod tell;
#[cfg(test)]
mod tests;
mod verify;
mod writer;

pub use feed::FeedPage;
pub use mail::{Limits as MailLimits, MailStore};
pub use open::OpenError;
pub use query::{ApplyStage, Backlog, LastApply, Thing};
pub use slack::{SlackDesk, SlackStore};
pub use store::Store;
