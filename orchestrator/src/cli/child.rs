//! The hidden `baton child`: becomes a program that dies with its supervisor.

use std::{os::unix::process::CommandExt as _, process::Command};

use super::{CliError, Exit, args::ChildArgs};

pub(super) fn child(args: &ChildArgs) -> Result<Exit, CliError> {
    #[cfg(target_os = "linux")]
    tie_to(args.parent)?;
    let Some((program, rest)) = args.program.split_first() else {
        return Err(CliError::new(Exit::Usage, "usage", "no program to run", None));
    };
    let error = Command::new(program).args(rest).exec();
    let detail = format!("run {}: {error}", program.display());
    Err(CliError::new(Exit::Environment, "not_started", detail, None))
}

/// SIGTERM when the parent ends. It survives `exec`, so the program needs to know nothing of it.
#[cfg(target_os = "linux")]
fn tie_to(parent: u32) -> Result<(), CliError> {
    use rustix::process::{Signal, getppid, set_parent_process_death_signal};

    let failed = |detail: String| CliError::new(Exit::Internal, "not_tied", detail, None);
    set_parent_process_death_signal(Some(Signal::TERM))
        .map_err(|error| failed(format!("ask for the parent-death signal: {error}")))?;
    // The parent may have ended before the request: then no signal will come.
    let now = getppid().map_or(0, |pid| pid.as_raw_nonzero().get().unsigned_abs());
    if now != parent {
        return Err(failed("the supervisor has ended".to_owned()));
    }
    Ok(())
}
