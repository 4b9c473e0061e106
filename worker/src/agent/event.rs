//! What happens to an agent.

use std::collections::BTreeMap;

use bus_schemas::time::UnixMs;
use serde_json::Value;

use super::{
    memory::Memory,
    message::{Answer, Outcome},
    state::Setup,
};

/// Something happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// The attempt begins, maybe where an earlier one ended.
    Started {
        /// What it is about.
        setup: Box<Setup>,
        /// What earlier attempts remembered; empty for a fresh one.
        memory: Box<Memory>,
        /// What people and earlier attempts say; those heard before are passed over.
        notes: Vec<Said>,
    },
    /// The model answered.
    ModelAnswered(Box<Answer>),
    /// It did not.
    ModelFailed(Failure),
    /// A tool is done.
    ToolDone {
        /// What the model is told.
        outcome: Outcome,
    },
    /// A call would end the attempt.
    ToolEnded {
        /// Which call.
        id: String,
        /// How.
        ending: Ending,
    },
    /// The tools have something to remember.
    ToolState {
        /// For the tools of an agent that goes on.
        state: Value,
        /// The todo list, an item per line.
        todo: String,
    },
    /// Somebody said something while the agent worked.
    NoteHeard(Said),
    /// What was to be saved is durable.
    CheckpointSaved,
    /// It was not taken, and nothing more ever will be: the transcript has its greatest length.
    TranscriptFull,
    /// The host wants an end, or the time is up.
    Stopped,
}

/// A note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Tells it from every other note; empty in old ones.
    pub id: String,
    /// Who said it.
    pub from: String,
    /// What. From a person, or made of untrusted text.
    pub text: String,
}

/// A call that ends the attempt.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    /// Done.
    HandOff {
        /// The report, as the tool checked it.
        report: Value,
        /// It has a typed result.
        has_result: bool,
    },
    /// A person is asked.
    Ask {
        /// What.
        question: String,
        /// Answers it suggests.
        options: Vec<String>,
    },
    /// People are asked for a host.
    Access {
        /// The host, perhaps with a port.
        host: String,
        /// What for.
        reason: String,
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
    /// People are asked for the use of a secret.
    Secret {
        /// Its name.
        name: String,
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

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The stream ended before the answer did, or the connection broke.
    Cut {
        /// More, for people.
        detail: String,
    },
    /// The provider failed, or what came makes no sense.
    Server {
        /// More, for people.
        detail: String,
    },
    /// The context is larger than the model takes.
    TooLong {
        /// More, for people.
        detail: String,
    },
    /// Trying again changes nothing: a refused key, an unknown model, a request it does not understand.
    Refused {
        /// More, for people.
        detail: String,
    },
    /// The provider lets nobody through for long.
    RateLimited {
        /// Its name in the configuration.
        provider: String,
        /// When to try again.
        resume_at: UnixMs,
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
}

impl Failure {
    /// More, for people.
    #[must_use]
    pub fn detail(&self) -> String {
        match self {
            Self::Cut { detail } => format!("the answer broke off: {detail}"),
            Self::Server { detail } => format!("the provider failed: {detail}"),
            Self::TooLong { detail } => format!("the context is too long: {detail}"),
            Self::Refused { detail } => format!("refused: {detail}"),
            Self::RateLimited { provider, .. } => format!("{provider} lets nobody through for now"),
            Self::Budget { resource, used, limit, .. } => {
                format!("the budget is used up: {resource} {used} of {limit}")
            }
        }
    }
}
