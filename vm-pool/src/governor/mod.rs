//! The governor: when a model call may go to its provider. One per provider key. Pure: time and luck arrive in the event,
//! admissions go out.
//!
//! ```text
//!         Asked             Admit                Answered(Fine)              Ended
//! (caller) ────► waiting ──────────► in flight ─────────────────► streaming ──────► gone
//!                 │  ▲                   │
//!          Refuse │  └───────────────────┘ Answered(Limited, Overloaded, Failed): the same call waits again
//!                 ▼
//!            resume_at: waited longer than it may, or would have to
//! ```
//! A waiting call is admitted when nothing holds it back:
//! - *block*: nobody is let through before `blocked_until`: `Retry-After`, a window that its headers call empty, or
//!   exponential backoff with jitter. After a refusal one call at a time tries the door until one comes through.
//! - *bucket*: how many calls a minute the provider takes is learned: each refusal takes three tenths off, each success
//!   adds a tenth; after ten quiet minutes there is no bucket any more.
//! - *slots*: the most calls at once.
//! - *turn*: projects take turns, whatever each of them asks for.
//!
//! What is learned ([`Shared`]) is told to the other hosts with the same key. The bucket is each host's own: hosts find
//! their shares by being refused, as flows on a network do.

mod command;
mod event;
mod schedule;
mod state;
mod step;
#[cfg(test)]
mod tests;

pub use command::Command;
pub use event::{Answer, CallId, Event, Fact, Signals, Window};
pub use state::{HOLD_MS, Shared, State, Tuning};
pub use step::step;
