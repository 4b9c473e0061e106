//! What the pool core is told.

use bus_schemas::id::LeaseId;

use super::state::{Shape, VmId};

/// Something that happened, at an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, in milliseconds of a clock that never goes back.
    pub at_ms: u64,
    /// What.
    pub fact: Fact,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// An attempt (or its checks) wants a VM.
    LeaseAsked {
        /// The lease it will be.
        lease: LeaseId,
        /// The shape it needs.
        shape: Shape,
    },
    /// The leased VM has its tree and is about to run its program: what was put off for its sake may go on.
    LeaseStarted {
        /// The lease.
        lease: LeaseId,
    },
    /// Whoever asked has no more use for it: it is done with its VM, or does not wait any longer.
    LeaseReleased {
        /// The lease.
        lease: LeaseId,
    },
    /// A VM said hello and waits with its processors stopped.
    Booted {
        /// Which.
        vm: VmId,
    },
    /// A VM did not come up.
    BootFailed {
        /// Which.
        vm: VmId,
        /// What happened.
        detail: String,
        /// The host ran out of disk or memory.
        exhausted: bool,
    },
    /// A VM that had said hello is gone by itself.
    Died {
        /// Which.
        vm: VmId,
    },
    /// Time passed.
    Tick,
    /// The host stops: no more boots, no more leases.
    Drained,
}
