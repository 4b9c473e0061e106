//! Our mailbox, read over IMAP.
//!
//! A mailbox is followed by its UIDs, not by what the server happens to tell: every wake, whatever its reason, asks for all UIDs
//! above the last one that was kept. A mail and how far the mailbox was read are written down in one step, so that nothing is
//! lost and nothing is missed when either side goes away. Each command has its time; whoever does not keep to it is left, and
//! called again. A mail at which the connection breaks is fetched in pieces; one of which nothing more comes is left in the
//! mailbox, and a note in its place is put aside for people.

mod connect;
mod fetch;
mod mailbox;
mod run;
mod settings;

pub(super) use self::connect::{Wire, connect, within};
pub use self::{
    fetch::{TOO_LARGE, UNFETCHED},
    mailbox::Inbox,
    run::{ImapState, TOLD, run},
    settings::{Access, ImapSettings, Timing},
};

#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;
