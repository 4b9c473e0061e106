//! `baton-vm-pool`: the host service.

mod cli;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    cli::init_tracing();
    let arguments = cli::Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return cli::report(&anyhow::Error::from(error).context("start the runtime")),
    };
    let done = runtime.block_on(cli::run(arguments));
    // Blocking work that was left behind (a disk that hangs) must not keep the process.
    runtime.shutdown_timeout(cli::LEFTOVERS_WAIT);
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => cli::report(&error),
    }
}
