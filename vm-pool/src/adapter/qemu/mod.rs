//! VMs as QEMU processes.
//!
//! One process per VM: a `microvm` without network card, its two guest ports and its control socket (QMP) on inherited socket
//! pairs, its disks in a run folder of its own. The process dies with this one, at the latest by the kernel's hand, and what
//! may be left of folders is swept at the next start.
//!
//! ```text
//! QemuHypervisor::open ─► image, initramfs, accelerator (probed by booting to hello, remembered)
//!       start ─► run folder + scratch disk ─► process ─► QMP greeting ─► QemuVm + Channels
//!                                                              pause/resume: stop/cont
//!                                                              exited: the guest's or the process's end, with the console's tail
//!                                                              kill or drop: SIGKILL, reap, remove the folder
//! ```

mod command;
mod folder;
mod hypervisor;
mod probe;
mod process;
mod qmp;
mod vm;

pub use hypervisor::{QemuHypervisor, QemuOptions};
pub use qmp::QmpError;
pub use vm::QemuVm;
