//! One attempt, from a won claim to its ending.
//!
//! ```text
//!  Booting      lease a VM  ∥  base commit into the store, tree into a tar  ∥  an agent's skills, and what it remembers
//!  Preparing    rejuvenate, push all that
//!  Running      assign, stream the output, ping, serve connections, checkpoints, calls and notes, wait;
//!               an agent that pauses or gives up ends the attempt here
//!  Collecting   take the changes out, kill the VM, validate, commit, bundle, store
//!  Checking     lease a second, fresh VM, push the handed-off tree, run the checks, kill it
//! ```
//! [`work`] knows nothing of claims, time limits or cancellation: its caller drops it, and what it held is killed.

mod agent;
mod check;
mod collect;
mod desk;
mod failure;
mod fetch;
mod guest;
mod output;
mod services;
mod text;
mod work;

pub use desk::{Desk, Job, Outcome, Trace};
pub use failure::Failure;
pub use output::LogPump;
use text::{cut, cut_front, one_line};
pub use work::work;
