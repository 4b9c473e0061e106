//! What the pool's driver needs of the world, as traits.

use bus_schemas::v1::{handoff::Isolation, task::Machine};
use futures::future::Future;
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
