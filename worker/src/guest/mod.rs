//! The machine under the worker: PID 1 of the guest, its mounts and ports, and what makes it unlike every other guest.
//!
//! ```text
//! kernel ─► /init (PID 1, initramfs)          baton-worker serve (child)
//!            modules, disks, overlay root ──►   opens both ports, serves the host as `driver::serve`
//!            reaps every orphan                 waits for the programs it started, and for no other process
//!            powers off when serve ends    ◄──  ends when the host hangs up
//! ```
//!
//! PID 1 and the serving worker are two processes on purpose: PID 1 has to wait for *any* child, because orphans become its
//! children, and a wait for any child steals the exit status of programs that the driver waits for.

mod entropy;
mod init;
mod log;
mod loopback;
mod machine;
mod mounts;
mod ports;
mod rehearsal;
mod serve;
mod timer;
mod wait;

pub use init::{InitError, run_init};
pub use machine::GuestMachine;
pub use ports::{PortError, open_port};
pub use serve::serve_host;
