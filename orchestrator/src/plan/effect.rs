//! Effects, as the plan has them: what agents ask to be done in the outside world, and what became of it.

use bus_schemas::id::{ApprovalId, TaskId};
use serde::{Deserialize, Serialize};

use crate::ledger::Route;

/// An effect that people were asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// The task whose agent asked.
    pub task_id: TaskId,
    /// Its name.
    pub name: String,
    /// Where it is.
    pub state: EffectState,
}

/// Where an effect is. `Asked → Approved → Running → Ended | Unknown`, and `Approved → Void`; there is no way back to
/// `Running`, so that an approval runs it once at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EffectState {
    /// People were asked, and did not allow it (yet).
    Asked,
    /// It is about to start.
    Approved,
    /// It may run.
    Running,
    /// It is over, and how it ended is known.
    Ended,
    /// It was started, and whether it happened is not known.
    Unknown,
    /// It was approved and never started: what was approved is no longer what would be run.
    Void,
}

/// An approved effect is started now: this is durable before anything runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EffectStarted {
    /// The request that was approved.
    pub approval_id: ApprovalId,
    /// The program and its arguments.
    pub argv: Vec<String>,
}

/// An approved effect is not started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EffectVoided {
    /// The request that was approved.
    pub approval_id: ApprovalId,
    /// Why: a sentence's end.
    pub reason: String,
}

/// A started effect is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EffectEnded {
    /// The request that was approved.
    pub approval_id: ApprovalId,
    /// How.
    pub ending: EffectEnding,
    /// The end of what it printed, without known secrets; or why it could not be read. Untrusted text.
    pub output_tail: String,
    /// SHA-256 of what was kept of what it printed (of very much, only a last part is), lower-case hex. If it could not
    /// be read, a sentence says so here, too.
    pub output_sha256: String,
    /// How much it printed, in bytes.
    pub output_bytes: u64,
}

/// How an effect ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum EffectEnding {
    /// By itself.
    Exited {
        /// 0 is well.
        code: i32,
    },
    /// By a signal.
    Killed {
        /// Which.
        signal: i32,
    },
    /// Its time was up; it and everything in its process group was ended.
    TimedOut,
    /// It did not begin: nothing was done.
    NotStarted {
        /// Why.
        detail: String,
    },
}

impl EffectEnding {
    /// In words, as the end of a sentence.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Exited { code } => format!("ended with exit code {code}"),
            Self::Killed { signal } => format!("was ended by signal {signal}"),
            Self::TimedOut => "took too long and was ended; what it did until then is done".to_owned(),
            Self::NotStarted { detail } => format!("could not be started, and nothing was done: {detail}"),
        }
    }
}

/// A started effect whose end nobody saw: the orchestrator was ended meanwhile. It is not run again; a person is asked
/// whether it happened, if its task still waits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EffectUnknown {
    /// The request that was approved.
    pub approval_id: ApprovalId,
    /// The id the question gets.
    pub question_id: ApprovalId,
    /// The digest over what the question shows.
    pub digest: String,
    /// How the question is decided; without one, as the task's policy says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<Box<Route>>,
}
