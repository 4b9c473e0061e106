//! What agent and model say to each other, in no provider's words.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One message of the context, as the model is shown it.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// The worker speaks: instructions, notes, reminders.
    User(String),
    /// The model spoke.
    Model {
        /// Its text.
        text: String,
        /// The tools it wanted.
        calls: Vec<Call>,
    },
    /// What came of the calls of the message before, in their order.
    Results(Vec<Outcome>),
}

impl Message {
    /// Its weight in bytes, what a wire adds included, roughly.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::User(text) => text.len() + 16,
            Self::Model { text, calls } => text.len() + 16 + calls.iter().map(Call::bytes).sum::<usize>(),
            Self::Results(results) => results.iter().map(|result| result.text.len() + result.id.len() + 48).sum(),
        }
    }
}

/// The context of a model call.
pub type Context = Vec<Arc<Message>>;

/// A model wants a tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Names the call; unique within its answer.
    pub id: String,
    /// The tool's name, as the model wrote it.
    pub name: String,
    /// The input.
    pub input: Input,
}

impl Call {
    fn bytes(&self) -> usize {
        let input = match &self.input {
            Input::Json(value) => weight(value),
            Input::Broken(text) => text.len(),
        };
        self.id.len() + self.name.len() + input + 48
    }
}

/// The length of a value's text, roughly, without writing it.
fn weight(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 2,
        Value::Array(items) => 2 + items.iter().map(|item| weight(item) + 1).sum::<usize>(),
        Value::Object(fields) => 2 + fields.iter().map(|(name, value)| name.len() + 4 + weight(value)).sum::<usize>(),
        _ => 8,
    }
}

/// A call's input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// JSON.
    Json(Value),
    /// Text that was to be JSON.
    Broken(String),
}

/// What the model is told of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Which call.
    pub id: String,
    /// Its tool.
    pub name: String,
    /// The text. Untrusted: it may come from files and programs.
    pub text: String,
    /// The call failed.
    pub is_error: bool,
}

/// A model's whole answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// What it says.
    pub text: String,
    /// The tools it wants.
    pub calls: Vec<Call>,
    /// Why it ended.
    pub stop: Stop,
    /// What it took.
    pub usage: Usage,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// The model had no more to say.
    #[default]
    Done,
    /// It waits for its tools.
    Tools,
    /// It was cut off at its longest answer.
    Length,
    /// The provider withheld it.
    Refused,
}

/// Tokens of one model call, as the provider counted them, for the worker's own estimates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// The whole context, cached or not.
    pub context: u64,
    /// Of it, served by a cache.
    pub cached: u64,
    /// Written.
    pub output: u64,
}
