//! `cargo xtask bench`: the benchmark program, built for speed, with what it needs around it.

use std::process::Command;

use anyhow::Result;

use crate::{
    paths,
    run::{cargo, timed},
    setup,
};

/// Builds everything for release and runs the benchmark program.
pub fn bench(names: &[String]) -> Result<()> {
    let mut ground = setup::everything()?;
    ground.dist = setup::build(true)?;
    timed(
        "benchmark program",
        cargo().args(["build", "--locked", "--release", "-p", "system-tests", "--bin", "bench"]),
    )?;
    let folder = paths::target().join("bench");
    std::fs::create_dir_all(&folder)?;
    let mut bench = Command::new(paths::target().join("release/bench"));
    bench.args(names).env("BATON_BENCH_DIR", &folder).current_dir(paths::root());
    ground.tell(&mut bench);
    timed("benchmarks", &mut bench)
}
