//! The benchmark program: `cargo xtask bench [floors|plan|skills|agent|gateway|orchestrator|ledger|mail|slack|memory|vm …]`.
//!
//! Prints a table and writes `target/bench/latest.json`. Nothing here is a test: the machines it runs on are shared, so figures stand beside
//! floors measured in the same run, and the load is written down.
#![expect(clippy::print_stdout, reason = "a benchmark prints")]

mod agent;
mod floors;
mod gateway;
mod ledger;
mod mail;
mod memory;
mod orchestrator;
mod plan;
mod report;
mod rig;
mod skills;
mod slack;
mod vm;

use std::path::PathBuf;

use anyhow::Result;

use crate::report::Report;

#[tokio::main]
async fn main() -> Result<()> {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let wanted = |name: &str| names.is_empty() || names.iter().any(|n| n == name);
    let mut report = Report { load_before: report::load(), ..Report::default() };
    println!("load before: {}", report.load_before);
    if wanted("floors") {
        floors::floors(&mut report).await?;
    }
    if wanted("plan") {
        plan::plan(&mut report)?;
    }
    if wanted("skills") {
        skills::skills(&mut report)?;
    }
    if wanted("agent") {
        agent::agent(&mut report)?;
    }
    if wanted("gateway") {
        gateway::gateway(&mut report).await?;
    }
    if wanted("orchestrator") {
        orchestrator::orchestrator(&mut report).await?;
    }
    if wanted("slack") {
        slack::slack(&mut report).await?;
    }
    if wanted("ledger") {
        ledger::ledger(&mut report).await?;
    }
    if wanted("mail") {
        mail::mail(&mut report).await?;
    }
    if wanted("memory") {
        memory::memory(&mut report).await?;
    }
    if wanted("vm") {
        vm::vm(&mut report).await?;
    }
    report.load_after = report::load();
    println!("load after: {}; {} figures missed their target", report.load_after, report.missed());
    let folder = std::env::var_os("BATON_BENCH_DIR").map_or_else(|| PathBuf::from("target/bench"), PathBuf::from);
    report.write(&folder)?;
    println!("written to {}", folder.join("latest.json").display());
    Ok(())
}
