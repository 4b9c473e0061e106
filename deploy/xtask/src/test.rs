//! `cargo xtask test`: what must hold before anything is handed on.

use anyhow::Result;

use crate::{
    live, mail,
    run::{cargo, timed},
    setup,
};

/// Runs formatting, lints and every test. `--fast` leaves out what boots VMs; other words select tests by name.
/// `--live-model` runs the tests that need a real model, and no other.
pub fn test(arguments: &[String]) -> Result<()> {
    if arguments.iter().any(|a| a == "--live-model") {
        return live::test();
    }
    let fast = arguments.iter().any(|a| a == "--fast");
    let names: Vec<&String> = arguments.iter().filter(|a| *a != "--fast").collect();
    let ground = setup::everything()?;
    mail::servers()?;
    if names.is_empty() {
        timed("formatting", cargo().args(["fmt", "--all", "--check"]))?;
        timed(
            "lints",
            cargo().args(["clippy", "--quiet", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"]),
        )?;
        timed(
            "bus-schemas with serde and uuid alone",
            cargo().args(["check", "--quiet", "--locked", "-p", "bus-schemas", "--no-default-features"]),
        )?;
    }
    let mut tests = cargo();
    tests.args(["test", "--locked", "--workspace", "--no-fail-fast"]);
    if !names.is_empty() {
        tests.arg("--").args(names);
    } else if fast {
        tests.args(["--", "--skip", "vm::"]);
    }
    ground.tell(&mut tests);
    timed("tests", &mut tests)
}
