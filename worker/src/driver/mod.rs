//! The worker's loop: one place decides, the work itself is done by tasks that report back.
//!
//! ```text
//!            Rejuvenate            Workspace             Assign
//!  frozen ───────────────► empty ───────────► ready ──────────────► working
//!                            ▲   (unpacking)   ▲  ▲  Changes: a tar    │
//!                            └─ failed ────────┘  └── Finished ────────┘
//! ```
//! * Hello and Ping are answered in every state.
//! * `frozen`: anything else is refused with `Frozen`, but for a rehearsal, which has nothing of the host's in it. Only a Rejuvenate whose every part was applied leads out.
//! * `empty`, `ready`: Skills and a Transcript may come, each answered on its own stream; `ready`: a Restore, too, and if it fails
//!   the tree is nobody's and must come again.
//! * `working`: another Assign, Rejuvenate, Workspace or Changes is refused with `Busy`; Stop kills what runs, and its end is reported.
//! * Tell is kept for the agent that works or for the next one; an Answer goes to whoever asked. Late ones are dropped.
//! * `rehearsing` (a part of `frozen`): everything is refused, Stop brings its end forward.
//! * Garbage is refused with `BadMessage` and changes nothing.

mod inbound;
mod serve;
#[cfg(test)]
mod tests;
mod work;

pub use serve::{ServeError, serve};
