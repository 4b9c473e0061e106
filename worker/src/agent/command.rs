//! What is to be done for an agent.

use std::collections::BTreeMap;

use bus_schemas::time::UnixMs;
use serde_json::Value;

use super::message::{Call, Context};

/// To be done, in the order given. After [`Command::End`] nothing follows.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Show a line to people.
    Say(String),
    /// Call a model; answered by `ModelAnswered` or `ModelFailed`.
    CallModel {
        /// Which: its place in [`super::Setup::models`].
        model: usize,
        /// What it is shown after the system prompt.
        context: Context,
        /// Wait so long before, in milliseconds.
        wait_ms: u64,
    },
    /// Run these side by side; each is answered by `ToolDone` or `ToolEnded`.
    RunTools(Vec<Call>),
    /// Make this durable; answered by `CheckpointSaved`.
    Save {
        /// The turn that is saved by it.
        turn: u32,
        /// Lines to append to the transcript.
        lines: String,
    },
    /// The attempt ends.
    End(End),
}

/// How an attempt ends.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// Handed off, with the report.
    Finish(Value),
    /// Until somebody or something else has spoken.
    Pause(Pause),
    /// There is no use in going on.
    GiveUp {
        /// Why.
        reason: GaveUp,
        /// More, for people.
        detail: String,
    },
    /// It was stopped.
    Stop,
}

/// Why an attempt pauses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pause {
    /// A person is asked.
    Question {
        /// What.
        question: String,
        /// Answers it suggests.
        options: Vec<String>,
        /// The worker asks in the agent's stead.
        stuck: bool,
    },
    /// People are asked for a host.
    Access {
        /// The host, perhaps with a port.
        host: String,
        /// What for.
        reason: String,
    },
    /// People are asked for the use of a secret.
    Secret {
        /// Its name.
        name: String,
        /// What for.
        reason: String,
    },
    /// A limit of the budget is reached.
    Budget {
        /// Whose: the task's key, or empty for the project's.
        task_key: String,
        /// Which resource, by its word on the wire.
        resource: String,
        /// Used and reserved so far.
        used: u64,
        /// The limit.
        limit: u64,
    },
    /// No model's provider lets anybody through.
    RateLimited {
        /// The one that does first.
        provider: String,
        /// When.
        resume_at: UnixMs,
    },
    /// People are asked for something to be done outside.
    Effect {
        /// Its name.
        name: String,
        /// What is said with it, by parameter.
        arguments: BTreeMap<String, String>,
        /// What for.
        reason: String,
    },
    /// A needed task's handoff goes back.
    Bounce {
        /// The task's key.
        need: String,
        /// The question.
        question: String,
    },
}

/// Why an attempt is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GaveUp {
    /// No model can be used.
    ModelFailed,
    /// Its turns are used up.
    OutOfTurns,
    /// It handed off without having done anything.
    NothingDone,
}
