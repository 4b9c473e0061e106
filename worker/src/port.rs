//! What the worker's driver needs of the machine it runs on, as a trait.
//!
//! In a guest, `guest::…` implements it as PID 1 with root's powers. In tests a plain folder does: [`Layout`] points into
//! a temporary folder, [`Machine::user`] and [`Machine::cage`] answer `None`, and the whole serve loop runs unprivileged.
//!
//! Two things the implementation owes the driver beside the methods:
//! * the process that calls [`crate::driver::serve`] must not wait for "any child" (`waitpid(-1)`): the driver waits for
//!   the programs it starts, and a stolen exit status is lost. A PID 1 that reaps runs the driver in a child of its own,
//!   or reaps only processes that the driver did not start;
//! * both ports are open before the driver starts, because the host speaks on the data port as soon as it got a hello.

use std::path::{Path, PathBuf};

use bus_schemas::v1::guest::{MODELS_PORT, PROXY_PORT, Rejuvenate};
use tokio_util::sync::CancellationToken;

/// The machine the worker runs on. Methods may block: the driver calls them on a blocking thread.
pub trait Machine: Send + Sync + 'static {
    /// Makes this machine unlike every other: entropy into the kernel's pool, clock, host name, machine id.
    /// Called for every lease, maybe more than once. Fails closed: if any part fails, all has failed and the guest stays frozen.
    /// Returns the clock afterwards, in nanoseconds since 1970.
    ///
    /// # Errors
    /// [`MachineError`] naming the part that failed.
    fn rejuvenate(&self, identity: &Rejuvenate) -> Result<i64, MachineError>;

    /// Goes once through everything that the driver will do, on fixed data, and leaves nothing behind: the first time is the
    /// slowest, above all under emulation. Called in a machine that was not rejuvenated yet. A machine that is fast anyway has nothing to do.
    /// `stop` asks it to come to an end soon.
    fn rehearse(&self, stop: &CancellationToken) {
        let _ = stop;
    }

    /// Where things are. The same for the machine's whole life.
    fn layout(&self) -> &Layout;

    /// Makes [`Layout::workspace`], [`Layout::exchange`] and [`Layout::home`] exist and be empty, the first one on the disk that is
    /// meant for work (mounting whatever that takes). Called before a tree is unpacked.
    ///
    /// # Errors
    /// [`MachineError`]; [`MachineError::disk_full`] tells whether that is why.
    fn prepare(&self) -> Result<(), MachineError>;

    /// The ordinary user that checks run as, so that the kernel protects the worker that reports how they ended; the driver
    /// gives it the tree before the first one. `None` leaves them the worker's own. An attempt's program always runs as the worker's own
    /// user (in a guest: root), because the guest is its computer.
    fn user(&self) -> Option<User> {
        None
    }

    /// A fresh, empty cgroup (version 2) for one program or check, with at least the `pids`, `cpu` and `memory` controllers;
    /// `None` if there are no cgroups, and a process group and resource limits have to do. `label` is `[a-z0-9-]+`, unique in the
    /// machine's life. The driver sets `pids.max`, moves processes in, uses `cgroup.kill`, reads the figures and removes the folder.
    ///
    /// # Errors
    /// [`MachineError`] if there should be one but it could not be made.
    fn cage(&self, label: &str) -> Result<Option<PathBuf>, MachineError> {
        let _ = label;
        Ok(None)
    }

    /// Makes a folder and all that is below it read-only for everybody, the worker included, or takes that back. False if
    /// this machine cannot; then the files' modes have to do.
    ///
    /// # Errors
    /// [`MachineError`] if it should have been possible.
    fn read_only(&self, folder: &Path, on: bool) -> Result<bool, MachineError> {
        let _ = (folder, on);
        Ok(false)
    }
}

/// Where things are in the machine. All absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The tree that is worked on; `bus_schemas::v1::guest::WORKSPACE` in a guest.
    pub workspace: PathBuf,
    /// What host and program tell each other; `bus_schemas::v1::guest::EXCHANGE` in a guest.
    pub exchange: PathBuf,
    /// The program's `HOME`.
    pub home: PathBuf,
    /// Skills, one folder each; `bus_schemas::v1::guest::SKILLS` in a guest.
    pub skills: PathBuf,
    /// Where programs reach the host's services while an attempt runs; `None`: nowhere.
    pub services: Option<Services>,
}

/// Loopback ports; 0 takes any free one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Services {
    /// The model gateway.
    pub models: u16,
    /// The proxy.
    pub proxy: u16,
}

impl Default for Services {
    fn default() -> Self {
        Self { models: MODELS_PORT, proxy: PROXY_PORT }
    }
}

/// A user of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    /// The user's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
}

/// The machine could not do something.
#[derive(Debug, thiserror::Error)]
#[error("{operation}: {source}")]
pub struct MachineError {
    /// What was tried, with the object: `set the clock`.
    pub operation: String,
    /// What the system said.
    #[source]
    pub source: std::io::Error,
}

impl MachineError {
    /// For `map_err`: names the operation.
    pub fn at(operation: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let operation = operation.into();
        move |source| Self { operation, source }
    }

    /// There was no room on the disk.
    #[must_use]
    pub fn disk_full(&self) -> bool {
        is_disk_full(&self.source)
    }
}

/// Whether an error means that a disk or quota is full.
#[must_use]
pub fn is_disk_full(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
}
