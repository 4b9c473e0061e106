//! The driver: the one loop that owns every open plan.
//!
//! ```text
//!   people ──Input──┐                        ┌──► journal: records, projections, outbox, cursor in ONE transaction
//!   bus ──Inbound───┼─► turn: step, dispatch ┤              then, and only then:
//!   outbox ─Answer──┘                        └──► replies · bells of feed readers · orders to the outbox runner
//! ```
//!
//! - `run` is the loop (`hear` and `fail` belong to it), `turn` the plain function inside it, `room` one open project.
//! - `outbox`, `perform`, `work`, `offer`, `bounded`, `adopt`, `result` and `effect` carry out commands; their answers come back as inputs.
//! - `hosts` keeps slots and leases. `feed`, `route` and `words` turn what happened into what readers see.
//!
//! **Invariant:** nobody is answered and nothing leaves before the transaction is durable. If it fails, the rooms it moved
//! are folded again from the journal and the stream is read again from the cursor: it never happened.

pub mod adopt;
mod audit;
mod bell;
mod bounded;
mod clarify;
mod deeds;
mod desk;
mod detail;
mod effect;
mod fail;
mod feed;
mod folders;
mod handle;
mod hear;
mod hosts;
mod inbound;
mod input;
mod offer;
mod outbox;
mod perform;
mod result;
mod room;
mod route;
mod run;
mod spend;
mod tell;
#[cfg(test)]
mod tests;
mod turn;
mod words;
mod work;

pub use bell::Bells;
pub use clarify::question;
pub use detail::{Detail, FailureDetail, PatchDetail, PauseDetail, ProjectDetail};
pub use folders::{FolderTurns, Turns};
pub use handle::{Handle, Tasks, Wires, World, start};
pub use input::{Refusal, Seen, SeenTask};
pub use room::projector;
pub use tell::FEED_CURSOR;
pub use words::resource as resource_word;
