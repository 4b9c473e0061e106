//! The `baton` program.

use std::{future, process::ExitCode};

use orchestrator::cli::{Around, CliError, Exit, Launch};

fn main() -> ExitCode {
    orchestrator::cli::main(Launcher)
}

struct Launcher;
