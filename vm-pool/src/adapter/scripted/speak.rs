//! An answer before it takes the form of a wire format.

use bus_schemas::v1::agent::Wire;
use serde_json::Value;

use super::{
    chat, messages, responses,
    script::{Stop, Turn, Usage},
};

/// What the model says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reply {
    /// Makes ids: the same answer has the same ids.
    pub id: String,
    /// The model, as the request named it.
    pub model: String,
    /// Its words.
    pub text: Option<String>,
    /// Its calls.
    pub calls: Vec<Called>,
    /// What it reports as used.
    pub usage: Usage,
    /// Why it stops.
    pub stop: Stop,
    /// The chat stream ends with the usage.
    pub stream_usage: bool,
}

/// A call of a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Called {
    pub id: String,
    pub tool: String,
    /// JSON as text, or what was meant to be.
    pub arguments: String,
}

impl Reply {
    pub(super) fn of(turn: &Turn, id: &str, model: &str, usage: Usage, stream_usage: bool) -> Self {
        let calls: Vec<Called> = turn
            .calls
            .iter()
            .enumerate()
            .map(|(n, call)| Called {
                id: format!("call_{id}_{n}"),
                tool: call.tool.clone(),
                arguments: call.arguments(),
            })
            .collect();
        let stop = turn.stop.unwrap_or(if calls.is_empty() { Stop::EndTurn } else { Stop::ToolUse });
        Self { id: id.to_owned(), model: model.to_owned(), text: turn.said(), calls, usage, stop, stream_usage }
    }

    /// Says nothing at all.
    pub(super) fn emptied(mut self) -> Self {
        self.text = None;
        self.calls.clear();
        self.stop = Stop::EndTurn;
        self
    }

    /// Every call's input breaks off in the middle.
    pub(super) fn with_broken_input(mut self) -> Self {
        for call in &mut self.calls {
            let mut middle = call.arguments.len() / 2 + 1;
            while !call.arguments.is_char_boundary(middle) {
                middle -= 1;
            }
            call.arguments.truncate(middle);
            if serde_json::from_str::<Value>(&call.arguments).is_ok() {
                "{\"".clone_into(&mut call.arguments);
            }
        }
        self
    }

    /// The answer in one piece.
    pub(super) fn body(&self, wire: Wire) -> Value {
        match wire {
            Wire::Messages => messages::body(self),
            Wire::ChatCompletions => chat::body(self),
            Wire::Responses => responses::body(self),
        }
    }

    /// The answer as the events of a stream.
    pub(super) fn events(&self, wire: Wire) -> Vec<String> {
        match wire {
            Wire::Messages => messages::events(self),
            Wire::ChatCompletions => chat::events(self),
            Wire::Responses => responses::events(self),
        }
    }
}

/// A provider's error body.
pub(super) fn error_body(wire: Wire, status: u16, message: &str) -> Value {
    match wire {
        Wire::Messages => messages::error(status, message),
        Wire::ChatCompletions | Wire::Responses => chat::error(status, message),
    }
}

/// An error in the middle of a stream.
pub(super) fn error_event(wire: Wire, message: &str) -> String {
    match wire {
        Wire::Messages => event("error", &messages::error(529, message)),
        Wire::ChatCompletions => data(&chat::error(500, message)),
        Wire::Responses => responses::error_event(message),
    }
}

/// An event with a name.
pub(super) fn event(name: &str, value: &Value) -> String {
    format!("event: {name}\ndata: {value}\n\n")
}

/// An event without one.
pub(super) fn data(value: &Value) -> String {
    format!("data: {value}\n\n")
}

/// A text as the pieces a stream brings it in.
pub(super) fn pieces(text: &str) -> Vec<&str> {
    const AT_MOST: usize = 40;
    const BYTES: usize = 24;
    let size = BYTES.max(text.len() / AT_MOST);
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let mut end = size.min(rest.len());
        while !rest.is_char_boundary(end) {
            end += 1;
        }
        let (piece, after) = rest.split_at(end);
        pieces.push(piece);
        rest = after;
    }
    pieces
}
