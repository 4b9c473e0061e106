//! One attempt, from a won claim to its ending.
//!
//! ```text
//!  Booting      lease a VM  ∥  base commit into the store, tree into a tar
//!  Preparing    rejuvenate, push the tar
//!  Running      assign, stream the output, ping, wait
//!  Collecting   take the changes out, kill the VM, validate, commit, bundle, store
//!  Checking     lease a second, fresh VM, push the handed-off tree, run the checks, kill it
//! ```
//! [`work`] knows nothing of claims, time limits or cancellation: its caller drops it, and what it held is killed.

mod failure;
mod fetch;
mod guest;
mod output;
mod work;

pub use failure::Failure;
pub use output::LogPump;
pub use work::{Desk, Trace, work};
