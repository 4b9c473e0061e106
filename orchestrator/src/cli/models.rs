//! `baton models`: the host service speaks to models, so its program does this, too.

use std::{ffi::OsString, os::unix::process::CommandExt as _, process::Command};

use super::{CliError, Context, Exit};
use crate::supervise::vm_pool;

pub(super) fn models(context: &Context, rest: &[OsString]) -> Result<Exit, CliError> {
    let launcher = std::env::current_exe()?;
    let program = vm_pool(&launcher, &context.env)?;
    let mut command = Command::new(&program);
    command.arg("models").args(rest);
    let standard = || context.paths().ok().map(|paths| paths.config_file()).filter(|file| file.exists());
    if let Some(config) = context.global.config.clone().or_else(standard) {
        command.arg("--config").arg(config);
    }
    if context.global.json && !rest.iter().any(|argument| argument == "--json") {
        command.arg("--json");
    }
    // It takes this process's place: its exit code is the command's.
    let error = command.exec();
    let detail = format!("run {}: {error}", program.display());
    Err(CliError::new(Exit::Environment, "not_started", detail, Some("build it: `cargo build --release`")))
}
