//! The script harness: bash or python3, to its end.
//!
//! The script starts in the workspace with nothing on its standard input and with this environment: `PATH`, `HOME`, `LANG`,
//! `PYTHONDONTWRITEBYTECODE=1`; `PYTHONPATH` (python only: the workspace); the task's own variables;
//! `BATON_TASK` (the task's key), `BATON_TITLE`, `BATON_GOAL`, `BATON_ATTEMPT` (from 1), `BATON_WORKSPACE`, `BATON_EXCHANGE` (the folder with
//! `needs.json`, `item.json`, `notes.md`), `BATON_RESULT` and `BATON_SUMMARY` (where it may write its result, JSON, and
//! its summary); with a network also `HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY` (in small letters, too). It may also write `questions.json`, an array of strings, into `BATON_EXCHANGE`. `needs.json` is an object, `item.json` is `null`
//! outside `foreach`, `notes.md` is empty when there are none.
//!
//! It runs as the worker's own user, in a guest root: it may install what it needs. When it ends, what it left running is killed.

use std::{collections::BTreeMap, io, net::SocketAddr, sync::Arc, time::Duration};

use bus_schemas::v1::{
    guest::{AttemptAssignment, Finished},
    task::{Interpreter, LogSource, Program},
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::HarnessError;
use crate::{
    adapter::{
        data::Opener,
        environment, exchange,
        output::{Budget, Sink, Tail, pump},
        process::{self, Ended, Launch},
    },
    port::{Layout, Machine},
};

/// What is kept of the end of either stream, to make a summary of, in bytes.
const TAIL_BYTES: usize = 4 * 1024;
/// The longest summary made of a line of output, in bytes.
const LINE_BYTES: usize = 1024;
/// After the program ended, what it printed last may take so long to reach a slow host.
pub(super) const DRAIN_WAIT: Duration = Duration::from_secs(10);

/// Runs an attempt's script.
pub(crate) async fn run<M: Machine>(
    machine: &Arc<M>,
    opener: &Opener,
    attempt: &AttemptAssignment,
    label: &str,
    proxy: Option<SocketAddr>,
    stop: &CancellationToken,
) -> Result<Finished, HarnessError> {
    let layout = machine.layout();
    let script = exchange::write(layout, attempt).map_err(HarnessError::at("write the exchange folder"))?;
    let budget = Arc::new(Budget::new(attempt.output_bytes));
    let (stdout, out) = forward(opener, LogSource::Stdout, &budget).await?;
    let (stderr, err) = forward(opener, LogSource::Stderr, &budget).await?;
    let Program::Script { interpreter, .. } = &attempt.program else { return Err(HarnessError::no_script()) };
    let script = environment::text(&script);
    let argv: Vec<String> = match interpreter {
        Interpreter::Bash => ["bash", "-euo", "pipefail", &script].map(str::to_string).into(),
        Interpreter::Python => ["python3", &script].map(str::to_string).into(),
    };
    let launch = Launch {
        argv,
        env: variables(layout, attempt, *interpreter, proxy),
        folder: layout.workspace.clone(),
        // The VM is the attempt's own computer: it may install what it likes. Only checks need to be held off.
        user: None,
        cage: machine.cage(label)?,
        max_processes: attempt.max_processes,
        wall: Duration::from_millis(attempt.wall_ms),
        input: false,
        stdout,
        stderr,
    };
    let ended = process::run(launch, stop).await.map_err(HarnessError::at("run the script"))?;
    let (out, err) = tokio::join!(out.end(), err.end());
    Ok(finish(exchange::read(layout), &ended, attempt, &budget, (&out, &err)))
}

/// A stream of output on its way to the host.
struct Forward(JoinHandle<()>, Arc<std::sync::Mutex<Tail>>);

impl Forward {
    /// Waits for the end of the output, not for ever; returns the last line.
    async fn end(mut self) -> Option<String> {
        if tokio::time::timeout(DRAIN_WAIT, &mut self.0).await.is_err() {
            self.0.abort();
        }
        self.1.lock().ok()?.last_line()
    }
}

async fn forward(
    opener: &Opener,
    source: LogSource,
    budget: &Arc<Budget>,
) -> Result<(io::PipeWriter, Forward), HarnessError> {
    let (reader, writer) = io::pipe().map_err(HarnessError::at("make a pipe"))?;
    let mut sink = Sink::open(opener, source).await.map_err(HarnessError::at("open an output stream"))?;
    let tail = Arc::new(std::sync::Mutex::new(Tail::new(TAIL_BYTES)));
    let (budget, kept) = (Arc::clone(budget), Arc::clone(&tail));
    let task = tokio::spawn(async move {
        if let Err(error) = pump(reader.into(), &mut sink, &budget, &kept).await {
            tracing::warn!(%error, ?source, "read output");
        }
        sink.close().await;
    });
    Ok((writer, Forward(task, tail)))
}

fn variables(
    layout: &Layout,
    attempt: &AttemptAssignment,
    interpreter: Interpreter,
    proxy: Option<SocketAddr>,
) -> BTreeMap<String, String> {
    let own = [
        ("BATON_RESULT", environment::text(&exchange::result_path(layout))),
        ("BATON_SUMMARY", environment::text(&exchange::summary_path(layout))),
    ];
    let mut variables = environment::of_attempt(layout, attempt, proxy, own);
    if interpreter == Interpreter::Python {
        variables.entry("PYTHONPATH".to_string()).or_insert_with(|| environment::text(&layout.workspace));
    }
    variables
}

fn finish(
    left: exchange::Left,
    ended: &Ended,
    attempt: &AttemptAssignment,
    budget: &Budget,
    last_lines: (&Option<String>, &Option<String>),
) -> Finished {
    let summary = left.summary.unwrap_or_else(|| default_summary(ended, attempt, last_lines));
    Finished {
        exit_code: ended.status.code(),
        signal: ended.signal(),
        timed_out: ended.timed_out,
        summary,
        result_text: left.result_text,
        open_questions: left.open_questions,
        report: None,
        used_tools: false,
        wall_ms: ended.wall_ms,
        cpu_ms: ended.cpu_ms,
        peak_kib: ended.peak_kib,
        output_bytes: budget.printed(),
    }
}

/// For a script that wrote none: the last line of its output, or of its errors if it failed; else how it ended.
fn default_summary(
    ended: &Ended,
    attempt: &AttemptAssignment,
    (stdout, stderr): (&Option<String>, &Option<String>),
) -> String {
    if ended.timed_out {
        return format!("stopped at its time limit of {} s", attempt.wall_ms.div_ceil(1000));
    }
    let line = if ended.status.success() { stdout } else { stderr };
    match (line, ended.status.code(), ended.signal()) {
        (Some(line), ..) => line[..line.floor_char_boundary(LINE_BYTES.min(line.len()))].to_string(),
        (None, Some(code), _) => format!("ended with exit code {code}"),
        (None, None, signal) => format!("ended by signal {}", signal.unwrap_or(0)),
    }
}
