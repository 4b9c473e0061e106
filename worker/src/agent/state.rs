//! Where an agent stands.

use std::collections::{BTreeSet, VecDeque};

use bus_schemas::time::UnixMs;

use super::{
    command::End,
    event::{Ending, Said},
    memory::Memory,
    message::{Call, Outcome},
};

/// What an attempt is about: it does not change while it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setup {
    /// The task's key.
    pub task_key: String,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// It plans: a handoff with a result is enough work.
    pub planner: bool,
    /// It only answers a question about work that is done: an answer is enough work.
    pub answers_only: bool,
    /// The most turns of this attempt.
    pub max_turns: u32,
    /// The models it may use, the preferred one first.
    pub models: Vec<ModelLimits>,
    /// The names of its tools.
    pub tools: Vec<String>,
    /// The size of system prompt and tools, in bytes.
    pub fixed_bytes: usize,
    /// What a fresh agent is told first.
    pub opening: String,
    /// What an agent that goes on is told first.
    pub resumed: String,
    /// The wait before a failed model call is repeated; doubled each time.
    pub retry_wait_ms: u64,
}

/// What a model takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModelLimits {
    /// Its context window, in tokens.
    pub context_tokens: u32,
    /// Its longest answer, in tokens.
    pub max_output_tokens: u32,
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// What the attempt is about.
    pub setup: Setup,
    /// What is remembered: always the fold of all lines of the transcript.
    pub memory: Memory,
    /// What happens now.
    pub phase: Phase,
    /// Lines that are not saved yet.
    pub unsaved: String,
    /// Said, but not yet told to the model.
    pub notes: VecDeque<Said>,
    /// Turns of this attempt, the current one included.
    pub turns: u32,
    /// The model in use: its place in the setup.
    pub model: usize,
    /// Models that are of no use in this attempt.
    pub dead: BTreeSet<usize>,
    /// Providers that let nobody through, by the model that ran into it.
    pub limited: Vec<(usize, String, UnixMs)>,
    /// Failures of the current turn with the current model.
    pub failures: u32,
    /// How often the context was made smaller because a model refused it, in this turn.
    pub squeezes: u32,
}

/// What happens now. The machine is drawn at [`super::step`](mod@super::step).
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Phase {
    /// Nothing yet.
    #[default]
    Fresh,
    /// A model is called.
    Calling,
    /// Tools run.
    Running(Running),
    /// A turn is being saved.
    Saving {
        /// What comes then; `None`: the next turn.
        then: Option<Box<End>>,
    },
    /// It is over.
    Ended,
}

/// Calls of one answer, in order, and what came of them so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Running {
    /// All calls of the answer.
    pub calls: Vec<(Call, Option<Came>)>,
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Came {
    /// It is done.
    Done(Outcome),
    /// It would end the attempt.
    Ends(Ending),
}
