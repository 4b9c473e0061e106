//! What comes in: kept first, then looked at, then done, never less than once and never twice.
//!
//! [`work`] takes what is kept, one sender's mails in their order; [`open`] knows what is in work and what waits. [`check`] asks name servers who wrote a mail of somebody who
//! may write, before it is that one's turn, and [`turns`] keeps their order meanwhile. [`judge`] says whether a mail is a person's, genuine and
//! from somebody who may write; what is not goes into quarantine and is never answered. [`about`] finds which mail of ours it
//! answers. [`act`] and [`steer`] do what it wants, [`start`] begins a project. Every answer has the name of the mail it
//! answers, every project its digest as its key: a mail that is looked at again after a crash changes nothing more.

mod about;
mod act;
mod answers;
mod check;
mod judge;
mod open;
mod outlet;
mod receive;
mod start;
mod steer;
#[cfg(test)]
mod tests;
mod turns;
mod work;

pub use about::{Answered, answered};
pub use check::{Proof, Rules, check};
use outlet::Outlet;
use work::Inward;
