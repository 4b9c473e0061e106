//! The last word of an attempt.

use std::{sync::Arc, time::Instant};

use bus_schemas::v1::{
    agent::{Pause as Paused, Report, Resource},
    guest::{Finished, FromGuest, RefusalCode},
    handoff::Usage,
    ledger::Capability,
    task::FailureReason,
};
use serde_json::Value;

use crate::{
    adapter::{exchange::SUMMARY_BYTES, output::Budget},
    agent::{End, GaveUp, Pause, State, words::clip},
};

/// A tick of the kernel's accounts.
const TICK_MS: u64 = 10;
/// Killed, as the driver's word for what was stopped.
const KILLED: i32 = 9;

/// What an attempt takes of its computer.
#[derive(Debug)]
pub(super) struct Clock {
    started: Instant,
    cpu_ms: u64,
    budget: Arc<Budget>,
}

impl Clock {
    pub(super) fn start(budget: Arc<Budget>) -> Self {
        Self { started: Instant::now(), cpu_ms: cpu_ms(), budget }
    }

    fn wall_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Processor time of the worker and of what it has waited for, by `/proc`; 0 where there is none.
fn cpu_ms() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The program's name, in brackets, may have blanks in it; utime, stime, cutime and cstime are the 12th to 15th word after it.
    let words = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    let ticks: u64 = words.skip(11).take(4).filter_map(|word| word.parse::<u64>().ok()).sum();
    ticks * TICK_MS
}

/// What the host is told.
pub(super) fn word(state: &State, end: Result<End, String>, tool_calls: u64, clock: &Clock) -> FromGuest {
    let usage = Usage {
        program_wall_ms: clock.wall_ms(),
        program_cpu_ms: cpu_ms().saturating_sub(clock.cpu_ms),
        output_bytes: clock.budget.printed(),
        tool_calls,
        ..Usage::default()
    };
    let finished = Finished {
        used_tools: state.memory.worked > 0,
        wall_ms: usage.program_wall_ms,
        cpu_ms: usage.program_cpu_ms,
        output_bytes: usage.output_bytes,
        ..Finished::default()
    };
    match end {
        Ok(End::Finish(report)) => handed_off(report, finished, usage),
        Ok(End::Pause(pause)) => match paused(pause) {
            Some(pause) => FromGuest::Paused { pause, usage },
            None => FromGuest::GaveUp {
                reason: FailureReason::ModelFailed,
                detail: "the gateway named a budget that does not exist".into(),
                usage,
            },
        },
        Ok(End::GiveUp { reason, detail }) => {
            let reason = match reason {
                GaveUp::ModelFailed => FailureReason::ModelFailed,
                GaveUp::OutOfTurns => FailureReason::OutOfTurns,
                GaveUp::NothingDone => FailureReason::NothingDone,
            };
            FromGuest::GaveUp { reason, detail, usage }
        }
        Ok(End::Stop) => FromGuest::Finished(Finished { signal: Some(KILLED), ..finished }),
        Err(detail) => FromGuest::Refused { code: RefusalCode::GuestError, detail },
    }
}

fn handed_off(report: Value, finished: Finished, usage: Usage) -> FromGuest {
    let report: Report = match serde_json::from_value(report) {
        Ok(report) => report,
        Err(error) => {
            let detail = format!("its report cannot be read: {error}");
            return FromGuest::GaveUp { reason: FailureReason::NothingDone, detail, usage };
        }
    };
    FromGuest::Finished(Finished {
        exit_code: Some(0),
        summary: clip(&report.done, usize::try_from(SUMMARY_BYTES).unwrap_or(usize::MAX) - 64),
        result_text: report.result.as_ref().and_then(|result| serde_json::to_string(result).ok()),
        open_questions: report.open_questions.clone(),
        report: Some(report),
        ..finished
    })
}

fn paused(pause: Pause) -> Option<Paused> {
    Some(match pause {
        Pause::Question { question, options, stuck } => Paused::Question { question, options, stuck },
        Pause::Access { host, reason } => Paused::Capability { capability: Capability::Host { host }, reason },
        Pause::Effect { name, arguments, reason } => {
            Paused::Capability { capability: Capability::Effect { name, arguments }, reason }
        }
        Pause::Secret { name, reason } => Paused::Capability { capability: Capability::Secret { name }, reason },
        Pause::Budget { task_key, resource, used, limit } => {
            let resource: Resource = serde_json::from_value(Value::String(resource)).ok()?;
            Paused::Budget { task_key, resource, used, limit }
        }
        Pause::RateLimited { provider, resume_at } => Paused::RateLimited { provider, resume_at },
        Pause::Bounce { need, question } => Paused::Bounce { need, question },
    })
}
