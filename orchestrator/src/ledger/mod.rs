//! The approval ledger's core: one request to people, who may decide it, and how it is decided. Every channel is only a view of
//! it. Value in, value out: time, people and what the policy said are in the event; no clock, no input, no output.
//!
//! ```text
//!               1               2
//!    (asked) ───────► pending ─────► approved | changes_requested | rejected
//!        │              │  ▲ │
//!        └──1──► approved  │ └──4──► rejected (or approved, where the policy says so and the risk is low)
//!                       └3─┘
//! ```
//!
//! 1. *asked*: the policy's [`Route`] says who decides. Where nobody is asked, or remembered decisions are enough, it is decided
//!    in the same step.
//! 2. *pending → decided*: one valid no (rejected, changes requested) decides at once. An approval is a vote; the votes decide
//!    when they satisfy the route's tree. A person counts once, over whatever channel, and somebody's delegate counts as them.
//!    The first decision stands: whatever comes later is told what it was.
//! 3. *pending → pending*: a vote that is not enough, a delegation, a reminder, more people who may decide from now on.
//! 4. *pending → decided*: the deadline passed.

mod request;
mod route;
mod say;
mod step;
#[cfg(test)]
mod tests;

pub use request::{Asked, Decided, Decision, Delegation, Request, Vote};
pub use route::{AtDeadline, Risk, Route, Ruling, Who};
pub use step::{Command, Event, Fact, Rejected, Verdict, ask, next_at, step};
