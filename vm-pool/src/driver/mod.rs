//! The one loop of the host: notices in, pool core, commands out.
//!
//! Around it run tasks that only send notices: a *keeper* per VM ([`crate::lease`]), a *runner* per attempt
//! ([`runner`]), the *intake* that holds one waiting pull while there is a free slot ([`intake`]), and the readers of
//! cancellations and report requests. The loop decides, keeps the books that a beat shows, and never waits for any of them.

mod intake;
mod main_loop;
mod notice;
mod runner;
#[cfg(test)]
mod tests;

pub use main_loop::{DriverError, Host, HostOptions, now};
pub use notice::Notice;
