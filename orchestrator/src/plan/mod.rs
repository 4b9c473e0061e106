//! The plan core: what a project's tasks are, where they stand, and what an event makes of that. Pure: value in, value
//! out. [`step`](mod@step) draws the state machine.

pub mod budget;
mod change;
pub mod command;
pub mod dispatch;
pub mod effect;
pub mod event;
pub mod graph;
pub mod policy;
pub mod rejected;
pub mod request;
mod spec;
pub mod state;
pub mod step;
pub mod task;
#[cfg(test)]
mod tests;
pub mod timer;

pub use budget::{Amount, BudgetSpec, Ledger, Resource};
pub use change::Outcome;
pub use command::Command;
pub use dispatch::{has_ready, next_ready_at, pick};
pub use effect::{Effect, EffectState};
pub use event::Event;
pub use graph::{GraphError, TaskGraph};
pub use rejected::Rejected;
pub use request::{Approval, Questioned, Remembered, Subject};
pub use state::{Apply, BudgetWait, Patch, PatchState, Plan, ProjectState};
pub use step::step;
pub use task::{Claim, Failure, Handed, Note, Task, TaskState};
pub use timer::{due, next_deadline};

pub use crate::ledger::{Decided, Decision};
