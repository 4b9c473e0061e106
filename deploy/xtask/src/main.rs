//! `cargo xtask …`: the commands of the people who build Baton.
//!
//! `demo` and `test` are the two a newcomer runs. Each first brings the machine up to what it needs ([`setup`]), says what
//! it installs and why, and does nothing that is already done.
#![expect(clippy::print_stderr, reason = "a build tool talks to a person")]

mod bench;
mod demo;
mod live;
mod mail;
mod paths;
mod run;
mod schemas;
mod setup;
mod test;

use std::process::ExitCode;

const HELP: &str = "\
usage: cargo xtask COMMAND [OPTIONS]

  demo [--folder DIR] [--yes]   run examples/repo-audit in real VMs and apply its report
                                (default folder: a copy of this repository)
  test [--fast] [NAME…]         every check and test; --fast leaves out the tests that boot VMs;
                                NAMEs select tests
  test --live-model             only the tests with a small, real model on this machine (98 MB, fetched once)
  bench [NAME…]                 the benchmark program: a table, and JSON in target/bench/
  build [--release]             baton, baton-vm-pool and the static baton-worker, together in target/dist/
  image [FLAVOUR…]              the guest images (default: base)
  setup                         everything the above need on this machine
  schemas                       write docs/schemas/ from the types
";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.filter(|a| a != "--").collect();
    let done = match command.as_str() {
        "demo" => demo::demo(&rest),
        "test" => test::test(&rest),
        "bench" => bench::bench(&rest),
        "build" => setup::build(rest.iter().any(|a| a == "--release")).map(drop),
        "image" => setup::images(&rest),
        "setup" => setup::everything().and_then(|_| mail::servers()),
        "schemas" => schemas::write(),
        "" | "help" | "--help" | "-h" => {
            eprint!("{HELP}");
            return ExitCode::from(if command.is_empty() { 2 } else { 0 });
        }
        other => {
            eprintln!("cargo xtask: no command {other:?}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\n\x1b[1;31mfailed:\x1b[0m {error:#}");
            ExitCode::FAILURE
        }
    }
}
