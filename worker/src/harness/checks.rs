//! Checks: short commands that prove a tree right, one after the other, all of them, whatever the earlier ones say.
//!
//! A check runs with `bash -euo pipefail -c` in the workspace, with the environment of a script less the `BATON_…` variables of an attempt, plus
//! `BATON_CHECK` (its name). It runs as [`Machine::user`], who owns the tree then: the kernel keeps it away from the worker that reports its end. Its standard output and error share one pipe, so that their order is kept.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use bus_schemas::v1::{
    guest::CheckResult,
    task::{CheckSpec, LogSource},
};
use tokio_util::sync::CancellationToken;

use super::{HarnessError, script::DRAIN_WAIT};
use crate::{
    adapter::{
        data::Opener,
        environment,
        output::{Budget, Sink, Tail, pump},
        process::{self, Launch},
        unpack,
    },
    port::Machine,
};

/// Kept of the end of a check's output, in bytes.
const TAIL_BYTES: usize = 4 * 1024;
/// Most processes of a check at once; an assignment of checks gives none.
const MAX_PROCESSES: u32 = 512;

/// Runs all checks.
pub(crate) async fn run<M: Machine>(
    machine: &Arc<M>,
    opener: &Opener,
    checks: &[CheckSpec],
    env: &BTreeMap<String, String>,
    output_bytes: u64,
    label: &str,
    stop: &CancellationToken,
) -> Result<Vec<CheckResult>, HarnessError> {
    let owner = Arc::clone(machine);
    let given = tokio::task::spawn_blocking(move || unpack::give_away(owner.as_ref())).await;
    given.map_err(io::Error::other).flatten().map_err(HarnessError::at("give the tree to the checks' user"))?;
    let budget = Budget::new(output_bytes);
    let mut sink = Sink::open(opener, LogSource::Check).await.map_err(HarnessError::at("open an output stream"))?;
    let mut results = Vec::with_capacity(checks.len());
    for (index, check) in checks.iter().enumerate() {
        let label = format!("{label}-{index}");
        sink.heading(&format!("== check: {}\n", check.name)).await;
        results.push(one(machine, check, env, &mut sink, &budget, &label, stop).await?);
    }
    sink.close().await;
    Ok(results)
}

async fn one<M: Machine>(
    machine: &Arc<M>,
    check: &CheckSpec,
    env: &BTreeMap<String, String>,
    sink: &mut Sink,
    budget: &Budget,
    label: &str,
    stop: &CancellationToken,
) -> Result<CheckResult, HarnessError> {
    let layout = machine.layout();
    let (reader, stdout) = io::pipe().map_err(HarnessError::at("make a pipe"))?;
    let stderr = stdout.try_clone().map_err(HarnessError::at("make a pipe"))?;
    let launch = Launch {
        argv: ["bash", "-euo", "pipefail", "-c", &check.run].map(|word| word.replace('\0', "")).into(),
        env: environment::environment(layout, env, [("BATON_CHECK", check.name.clone())]),
        folder: layout.workspace.clone(),
        user: machine.user(),
        cage: machine.cage(label)?,
        max_processes: MAX_PROCESSES,
        wall: Duration::from_millis(check.timeout_ms),
        input: false,
        stdout,
        stderr,
    };
    let tail = Mutex::new(Tail::new(TAIL_BYTES));
    let printing = pump(reader.into(), sink, budget, &tail);
    let running = process::run(launch, stop);
    tokio::pin!(printing, running);
    let mut printed = false;
    let ended = loop {
        tokio::select! {
            ended = &mut running => break ended.map_err(HarnessError::at("run a check"))?,
            end = &mut printing, if !printed => {
                printed = true;
                end.map_err(HarnessError::at("read a check's output"))?;
            }
        }
    };
    if !printed {
        let _ = tokio::time::timeout(DRAIN_WAIT, printing).await;
    }
    let output_tail = tail.lock().map(|tail| tail.text()).unwrap_or_default();
    Ok(CheckResult { exit_code: ended.status.code(), timed_out: ended.timed_out, wall_ms: ended.wall_ms, output_tail })
}
