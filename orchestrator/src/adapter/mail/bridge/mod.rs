//! The bridge between mail and the orchestrator.
//!
//! Inwards: a mail is kept; is it a machine's; is it genuine; may its sender; what is it about; what does it want; done, and
//! what came of it is written down. Outwards: the feed is followed; who is to hear of it; a mail is written down whole; it is
//! sent, again after trouble. The ledger decides; mail only shows and asks.

mod core;
mod inward;
mod links;
#[cfg(test)]
mod memory;
mod outward;
mod room;

pub use self::{
    core::{Bridge, Settings, World},
    inward::{Answered, Proof, Rules, answered, check},
    outward::{Recipient, Say},
    room::Room,
};
