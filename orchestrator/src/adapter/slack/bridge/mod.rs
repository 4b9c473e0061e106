//! The bridge: what the orchestrator asks becomes cards in Slack, what people press there becomes decisions.
//!
//! Inwards: [`Bridge`] is the [`Receiver`](super::Receiver) of both transports. What comes in is kept, modals are opened at
//! once, everything else is done by `lanes`, one person's things in their order. What is not finished when the program
//! ends is finished by the next one.
//!
//! Outwards: `follow` reads the feed of all projects and marks what changed; `cards` and `status` bring Slack to what the
//! orchestrator says *now*. They look at the state and not at the event, so an event that is seen twice, or never, does no
//! harm: the next one, or the reconciliation at the start, makes it right. A message is written down before it is posted
//! and carries its name in its metadata, so that after a crash it is found and not posted again.

mod act;
mod answers;
mod batches;
mod cards;
mod core;
mod crew;
mod desk;
mod edit;
mod follow;
mod forms;
mod home;
mod notes;
mod open;
mod post;
mod receive;
mod remembered;
mod slash;
mod start;
mod status;
mod talk;
#[cfg(test)]
mod tests;
mod veil;
mod work;

pub use core::{Bridge, Settings, World};
pub use desk::{Desk, InboxRow, Kept, Posting, Thread};
