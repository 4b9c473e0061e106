//! What the governor wants done.

use bus_schemas::time::UnixMs;

use super::{CallId, Shared};

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Let a call go.
    Admit {
        /// Which.
        call: CallId,
    },
    /// Send a caller away.
    Refuse {
        /// Which.
        call: CallId,
        /// When it may come again.
        resume_at: UnixMs,
    },
    /// Tell the other hosts.
    Share(Shared),
    /// Say that time has passed, no later than this. Only the last one counts.
    Wake {
        /// When.
        at: UnixMs,
    },
}
