//! `baton up`: NATS, orchestrator and host service as child processes of one supervisor.
//!
//! ```text
//!              lock held by the supervisor
//!   starting ──► nats ──healthy──► orchestrator ──answers──► host service ──► up
//!      each child:   started ──exits by itself / frozen──► backoff ──► started …
//!   down (SIGTERM, SIGINT): host service, orchestrator, nats; each SIGTERM, then SIGKILL after its grace
//! ```
//! A supervisor that is killed takes its children with it (the kernel's parent-death signal); whatever survives is in
//! the roster, and the next `up` or `down` ends it.

mod keeper;
mod lock;
mod log_file;
mod nats_server;
mod process;
mod roster;
mod supervisor;

pub use keeper::{Event, Happening, Kit, Spec, keep};
pub use lock::{Lock, holder};
pub use log_file::tail;
pub use nats_server::{Managed, NatsError, NatsServer, find, prepare};
pub use process::{end, terminate};
pub use roster::{Entry, Roster};
pub use supervisor::{HEAP, Plan, SuperviseError, Supervisor, end_leftovers, plan, roster_path, vm_pool};
