//! What the agent's loop and its tools say to each other.

use std::collections::BTreeMap;

use bus_schemas::v1::agent::Report;
use serde_json::Value;

/// A tool as a model sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolSpec {
    /// Its name.
    pub name: &'static str,
    /// What it does and when to use it, for the model.
    pub description: String,
    /// The JSON Schema of its input.
    pub input_schema: Value,
}

/// A model wants a tool.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolCall {
    /// The call's id, from the model.
    pub id: String,
    /// The tool's name, as the model wrote it.
    pub name: String,
    /// The input: JSON as the model wrote it, or the text that is none.
    pub input: Result<Value, String>,
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq)]
pub enum ToolOutcome {
    /// The model is told.
    Result(ToolResult),
    /// The attempt ends with this.
    End(Ending),
}

/// What a model is told of a call. Untrusted text: it may come from files and programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolResult {
    /// The text; already bounded (what is longer was spilled to a file that the text names).
    pub text: String,
    /// The call failed; the text says why and what to do.
    pub is_error: bool,
    /// Files of the workspace may have changed.
    pub may_have_changed: bool,
}

/// A call that ends the attempt.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    /// `hand_off`: done.
    HandOff(Box<Report>),
    /// `ask_person`: wait for an answer.
    Ask {
        /// The question.
        question: String,
        /// Answers it suggests.
        options: Vec<String>,
    },
    /// `request_access`: wait until a host is allowed or refused.
    Access {
        /// The host, perhaps with a port.
        host: String,
        /// What for.
        reason: String,
    },
    /// `request_effect`: wait until it is done, or refused.
    Effect {
        /// Its name.
        name: String,
        /// What is said with it, by parameter.
        arguments: BTreeMap<String, String>,
        /// What for.
        reason: String,
    },
    /// `request_access`: wait until the use of a secret is allowed or refused.
    Secret {
        /// Its name.
        name: String,
        /// What for.
        reason: String,
    },
    /// `bounce`: the handoff of a needed task goes back with a question.
    Bounce {
        /// The needed task's key.
        need: String,
        /// The question.
        question: String,
    },
}
