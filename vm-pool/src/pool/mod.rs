//! The pool core: which VMs there should be, and who gets which. Pure: time arrives inside the event, commands go out.
//!
//! ```text
//!            Boot                      Booted                 Grant
//! (nothing) ─────► Booting ─────────────────────► Spare ─────────────► Leased
//!                     │                             │                     │
//!                     │ BootFailed                  │ Died, Kill          │ Released, Died
//!                     ▼                             ▼                     ▼
//!                   gone ◄──────────────────────── gone ◄──────────────── gone
//! ```
//! - *Booting*: a process runs, its guest has not said hello. It belongs to nobody; whoever waits first gets it.
//! - *Spare*: said hello, frozen, processors stopped: it costs memory and nothing else.
//! - *Leased*: used by one attempt (or by its checks), once. It never goes back: a VM that ran something is killed.
//!
//! A spare is booted ahead for the configured shape only. A wait for another shape boots a VM for itself, and pushes
//! spares out if the memory is short. Boots that fail back off; after [`state::BROKEN_AFTER`] in a row the pool is
//! broken: whoever waits is refused, the host shows no slots, and one boot at a time keeps trying.
//!
//! [`Tier`] has room for the tiers to come (a template to clone from, armed processes): they sit between *Booting* and
//! *Spare* and change no arrow above.

mod command;
mod event;
mod state;
mod step;
#[cfg(test)]
mod tests;

pub use command::{Command, Refusal};
pub use event::{Event, Fact};
pub use state::{BROKEN_AFTER, Health, Limits, Shape, State, Tier, VmId, VmRecord};
pub use step::{Rejected, step};
