//! The wire formats of model calls: requests built, streams read. No connection is made here.

mod chat;
mod failure;
mod messages;
mod plain;
mod sse;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bus_schemas::v1::agent::{ModelBrief, Structured, Wire};
use serde_json::Value;

pub(crate) use self::{failure::failure, sse::Decoder};
use crate::{
    agent::{Answer, Failure, Message, ModelLimits, Stop, action, compact},
    tool::call::ToolSpec,
};

/// What is asked of a model.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) brief: &'a ModelBrief,
    pub(crate) system: &'a str,
    pub(crate) tools: &'a [ToolSpec],
    pub(crate) context: &'a [Arc<Message>],
    /// The provider wants `max_completion_tokens` where others want `max_tokens`.
    pub(crate) completion_tokens: bool,
}

impl Request<'_> {
    fn max_tokens(&self) -> u32 {
        let ModelBrief { context_tokens, max_output_tokens, .. } = *self.brief;
        compact::output_tokens(ModelLimits { context_tokens, max_output_tokens })
    }
}

/// The path below the gateway's address.
pub(crate) const fn path(wire: Wire) -> &'static str {
    match wire {
        Wire::Messages => "/v1/messages",
        Wire::ChatCompletions => "/v1/chat/completions",
        Wire::Responses => "/v1/responses",
    }
}

/// The request's body.
///
/// # Errors
/// [`Failure::Refused`] for a wire format that this agent does not speak.
pub(crate) fn body(request: &Request<'_>) -> Result<Vec<u8>, Failure> {
    let value = match request.brief.wire {
        Wire::Messages => messages::body(request),
        Wire::ChatCompletions => chat::body(request),
        Wire::Responses => {
            let detail = format!("{}: the built-in agent does not speak the responses format", request.brief.name);
            return Err(Failure::Refused { detail });
        }
    };
    serde_json::to_vec(&value).map_err(|error| Failure::Refused { detail: format!("write the request: {error}") })
}

/// Reads an answer as it comes.
#[derive(Debug)]
pub(crate) struct Reader {
    format: Format,
    structured: Structured,
}

#[derive(Debug)]
enum Format {
    Messages(messages::Reader),
    Chat(chat::Reader),
}

impl Reader {
    pub(crate) fn new(brief: &ModelBrief) -> Self {
        let format = match brief.wire {
            Wire::Messages => Format::Messages(messages::Reader::default()),
            Wire::ChatCompletions | Wire::Responses => Format::Chat(chat::Reader::default()),
        };
        Self { format, structured: brief.structured }
    }

    /// Takes the data of one event; returns text to show to people at once.
    pub(crate) fn event(&mut self, data: &str) -> Result<Option<String>, Failure> {
        let text = match &mut self.format {
            Format::Messages(reader) => reader.event(data),
            Format::Chat(reader) => reader.event(data),
        }?;
        // An action in the text is for the worker, not for people.
        Ok(text.filter(|_| self.structured == Structured::Tools))
    }

    /// The answer, if the stream came to its end.
    pub(crate) fn finish(self) -> Result<Answer, Failure> {
        let answer = match self.format {
            Format::Messages(reader) => reader.finish(),
            Format::Chat(reader) => reader.finish(),
        }?;
        Ok(acted(answer, self.structured))
    }
}

/// Reads an answer that came in one piece.
pub(crate) fn whole(brief: &ModelBrief, body: &[u8]) -> Result<Answer, Failure> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| Failure::Server { detail: format!("an answer that is no JSON: {error}") })?;
    if let Some(failed) = failure::in_body(&value) {
        return Err(failed);
    }
    let answer = match brief.wire {
        Wire::Messages => messages::whole(&value),
        Wire::ChatCompletions | Wire::Responses => chat::whole(&value),
    }?;
    Ok(acted(answer, brief.structured))
}

/// Where the model was asked for an action in its text, the text is read as one.
fn acted(answer: Answer, structured: Structured) -> Answer {
    if structured == Structured::Tools || !answer.calls.is_empty() {
        return answer;
    }
    let action = action::read(&answer.text, answer.stop == Stop::Length);
    Answer { text: action.thought, calls: action.calls, ..answer }
}

/// A call's input as it came: text that is to be JSON.
fn input(text: &str) -> crate::agent::Input {
    if text.trim().is_empty() {
        return crate::agent::Input::Json(Value::Object(serde_json::Map::new()));
    }
    serde_json::from_str(text).map_or_else(|_| crate::agent::Input::Broken(text.to_owned()), crate::agent::Input::Json)
}

/// A tool's name as providers take it back, even if a model made it up.
fn name(name: &str) -> String {
    let fits = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' };
    let name: String = name.chars().take(64).map(fits).collect();
    if name.is_empty() { "none".into() } else { name }
}

/// A call's input as providers take it back: always an object.
fn object(input: &crate::agent::Input) -> Value {
    match input {
        crate::agent::Input::Json(value @ Value::Object(_)) => value.clone(),
        crate::agent::Input::Json(value) => serde_json::json!({ "value": value }),
        crate::agent::Input::Broken(text) => serde_json::json!({ "invalid_json": text }),
    }
}
