//! What the loop is told.

use bus_schemas::{
    id::{AttemptRef, ClaimNonce, LeaseId},
    v1::task::Note,
};
use tokio::sync::oneshot;

use super::intake::Intake;
use crate::{
    lease::Grant,
    pool::{Shape, VmId},
};

/// What the loop is told.
#[derive(Debug)]
pub enum Notice<V> {
    /// Somebody wants a VM.
    LeaseAsked {
        /// The lease it will be.
        lease: LeaseId,
        /// What it must be like.
        shape: Shape,
        /// Where the VM goes.
        reply: oneshot::Sender<Grant<V>>,
    },
    /// A lease's VM runs its program.
    LeaseStarted {
        /// Which.
        lease: LeaseId,
    },
    /// A lease is over.
    LeaseReleased {
        /// Which.
        lease: LeaseId,
    },
    /// A VM is up and waits.
    Booted {
        /// Which.
        vm: VmId,
        /// Dropped when the core has heard it, after its order, if it has one.
        heard: oneshot::Sender<()>,
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
    /// A spare is gone.
    Died {
        /// Which.
        vm: VmId,
    },
    /// An offer came, with a slot for it.
    Offered(Box<Intake>),
    /// An offer came that could not be read.
    Malformed,
    /// An attempt is claimed.
    Held {
        /// Which.
        attempt: AttemptRef,
        /// Which claim.
        nonce: ClaimNonce,
    },
    /// An attempt is over, or its claim was lost.
    Over {
        /// Which.
        attempt: AttemptRef,
    },
    /// Somebody withdraws an attempt.
    Canceled {
        /// Which.
        attempt: AttemptRef,
        /// Why.
        reason: String,
    },
    /// Somebody has something to say to an attempt.
    Told {
        /// To which.
        attempt: AttemptRef,
        /// What.
        note: Note,
    },
    /// Somebody wants a beat now.
    ReportAsked,
}
