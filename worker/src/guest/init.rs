//! PID 1: brings the system up, starts the serving worker, reaps whatever becomes its child, and powers off at the end.

use std::{
    fs,
    process::{Command, Stdio},
};

use rustix::{
    process::{Resource, Rlimit, WaitOptions, setrlimit, wait},
    system::{RebootCommand, reboot},
};

use super::{log, loopback, machine, mounts, timer};
use crate::port::MachineError;

/// The guest could not be brought up, or not be kept up.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// A part of the machine failed.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// The worker's own process could not be started.
    #[error("start the serving worker")]
    Serve(#[source] std::io::Error),
    /// This is not PID 1.
    #[error("only the kernel starts `baton-worker` without arguments, as PID 1 of a guest")]
    NotPidOne,
}

/// Runs as PID 1 of a guest until the serving worker ends; the machine is off afterwards, so this returns only if it is not
/// PID 1 or if it could not even power off.
///
/// # Errors
/// [`InitError`].
pub fn run_init() -> Result<(), InitError> {
    if !rustix::process::getpid().is_init() {
        return Err(InitError::NotPidOne);
    }
    let ran = bring_up().map(reap_until_gone);
    if let Err(error) = &ran {
        let cause = if let InitError::Serve(source) = error { format!(": {source}") } else { String::new() };
        log::error(&format!("init: {error}{cause}"));
    }
    // The scratch disk is thrown away, so nothing needs to be written back first.
    match reboot(RebootCommand::PowerOff) {
        Ok(()) => ran,
        Err(errno) => Err(MachineError::at("power off")(errno.into()).into()),
    }
}

/// Everything up to the serving worker; its process id.
fn bring_up() -> Result<u32, InitError> {
    mounts::kernel_file_systems()?;
    // As soon as it can be said why: most of what follows may have to wait for something.
    timer::check()?;
    mounts::modules()?;
    mounts::root()?;
    mounts::switch_root()?;
    mounts::system_file_systems()?;
    machine::prepare_cages()?;
    open_file_limit()?;
    // Only needed once programs talk to the host's gateway through the loopback interface: not worth dying for.
    if let Err(error) = loopback::up() {
        log::error(&format!("init: {error}"));
    }
    // The worker's file is on the initramfs, out of reach by name since the root changed; the kernel still knows it.
    let serving = Command::new("/proc/self/exe")
        .arg("serve")
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("HOME", "/root")
        .env("LANG", "C.UTF-8")
        .stdin(Stdio::null())
        .stdout(log::stdio())
        .stderr(log::stdio())
        .spawn()
        .map_err(InitError::Serve)?;
    Ok(serving.id())
}

/// What programs on a normal system get: few at first, for those that loop over all possible descriptors, many on request.
fn open_file_limit() -> Result<(), MachineError> {
    setrlimit(Resource::Nofile, Rlimit { current: Some(1024), maximum: Some(524_288) })
        .map_err(|errno| MachineError::at("set the limit on open files")(errno.into()))
}

/// Waits for every child, orphans included, until `serving` is among them.
fn reap_until_gone(serving: u32) {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if u32::try_from(pid.as_raw_nonzero().get()) == Ok(serving) => {
                if status.exit_status() != Some(0) {
                    log::error(&format!("the serving worker ended: {status:?}"));
                }
                return;
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => {
                log::error(&format!("init: wait for children: {errno}"));
                return;
            }
        }
    }
}

/// Tells the kernel to take anything else first when memory runs out. The programs that the worker starts inherit the value,
/// so it stays above the one that means "never": an immune program could not be stopped by its own memory limit.
pub(super) fn spare_from_memory_shortage() -> Result<(), MachineError> {
    fs::write("/proc/self/oom_score_adj", "-999").map_err(MachineError::at("write /proc/self/oom_score_adj"))
}
