//! What the pool core asks for.

use bus_schemas::id::LeaseId;

use super::state::{Shape, VmId};

/// An imperative ask of the core; carried out by the driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Start a VM of this shape and wait for its hello; answer with `Booted` or `BootFailed`.
    Boot {
        /// The name it goes by.
        vm: VmId,
        /// Its shape.
        shape: Shape,
    },
    /// Hand the VM to whoever asked for the lease.
    Grant {
        /// The lease.
        lease: LeaseId,
        /// The VM: its spare days are over.
        vm: VmId,
    },
    /// Tell whoever asked for the lease that there will be no VM.
    Refuse {
        /// The lease.
        lease: LeaseId,
        /// Why.
        refusal: Refusal,
    },
    /// Kill the VM, whatever it does. The core has forgotten it already.
    Kill {
        /// Which.
        vm: VmId,
    },
    /// Send a `Tick` at this instant (or later); it replaces any earlier wish.
    WakeAt {
        /// Milliseconds of the clock that the events carry.
        at_ms: u64,
    },
}

/// Why a lease is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The shape needs more memory than the host may give to VMs at all.
    TooLarge {
        /// What it needs, in MiB.
        needs_mib: u64,
        /// What there is, in MiB.
        limit_mib: u64,
    },
    /// VMs do not boot here.
    Broken {
        /// What the last boot said.
        detail: String,
        /// The host ran out of disk or memory.
        exhausted: bool,
    },
    /// The host is stopping.
    Draining,
}
