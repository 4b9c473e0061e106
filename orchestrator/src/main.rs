//! The `baton` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    orchestrator::cli::main()
}
