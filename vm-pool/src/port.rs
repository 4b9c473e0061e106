//! What the pool's driver needs of the world, as traits.

use bus_schemas::{
    id::MessageId,
    v1::{
        agent::{Resource, Spend},
        handoff::Isolation,
        task::Machine,
    },
};
use futures::future::{BoxFuture, Future};
use tokio::net::UnixStream;

/// What runs the VMs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accelerator {
    /// `kvm`, `hvf` or `tcg`.
    pub name: &'static str,
    /// Why a stronger one is not used; empty if the strongest is.
    pub note: String,
    /// How strongly VMs are isolated.
    pub isolation: Isolation,
}

/// Starts VMs.
pub trait Hypervisor: Send + Sync + 'static {
    /// A running VM.
    type Vm: Vm;

    /// What runs the VMs here.
    fn accelerator(&self) -> &Accelerator;

    /// Starts a VM with its own run folder and scratch disk. Returns as soon as the process runs; the guest says hello
    /// on the control channel later.
    fn start(&self, machine: &Machine) -> impl Future<Output = Result<(Self::Vm, Channels), StartError>> + Send;

    /// Removes what an earlier process of this host left behind: VMs and run folders whose owner is gone.
    /// Returns how many were removed.
    fn sweep(&self) -> impl Future<Output = Result<usize, StartError>> + Send;
}

/// The two ends of a VM's virtio-serial ports.
#[derive(Debug)]
pub struct Channels {
    /// Frames ([`bus_schemas::frame`]).
    pub control: UnixStream,
    /// yamux.
    pub data: UnixStream,
}

/// A running VM. Dropping it kills it.
pub trait Vm: Send + 'static {
    /// Stops its processors (a spare waits so, at no cost).
    fn pause(&mut self) -> impl Future<Output = Result<(), StartError>> + Send;
    /// Lets them run again.
    fn resume(&mut self) -> impl Future<Output = Result<(), StartError>> + Send;
    /// Waits until the VM is gone by itself; says why. Cancel safe.
    fn exited(&mut self) -> impl Future<Output = String> + Send;
    /// Ends it at once and removes its run folder.
    fn kill(self) -> impl Future<Output = ()> + Send;
}

/// A VM could not be started or steered.
#[derive(Debug, thiserror::Error)]
#[error("{operation}: {detail}")]
pub struct StartError {
    /// What was tried.
    pub operation: &'static str,
    /// What happened, and the way out where there is one.
    pub detail: String,
    /// The host ran out of disk or memory.
    pub exhausted: bool,
}

/// Where the money for an attempt's model calls is: asked before every call, told afterwards.
pub trait Purse: Send + Sync {
    /// May this call be made? Answered once it is sure; repeated under the same id it is the same reservation.
    fn reserve(&self, call_id: MessageId, estimate: Spend) -> BoxFuture<'_, Result<(), Denied>>;
    /// What a reserved call did cost. Ends when that is recorded, or when it never will be.
    fn settle(&self, call_id: MessageId, actual: Spend) -> BoxFuture<'_, ()>;
}

/// A model call may not be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    /// A limit is reached.
    Limit {
        /// Whose: the task's key, or empty for the project's.
        task_key: String,
        /// Which.
        resource: Resource,
        /// Used and reserved so far, in the resource's unit.
        used: u64,
        /// The limit.
        limit: u64,
    },
    /// The attempt is not, or no longer, the task's current one.
    Stale,
    /// The orchestrator cannot say.
    Failed {
        /// Why, for people.
        detail: String,
    },
}
