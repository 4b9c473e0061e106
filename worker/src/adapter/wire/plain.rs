//! For models that call no tools: the tools are described in the system prompt, and everything is text.

use std::sync::Arc;

use bus_schemas::v1::agent::Structured;
use serde_json::{Value, json};

use super::{Request, object};
use crate::{
    agent::{Call, Message, Outcome, action, words::frame},
    tool::call::ToolSpec,
};

/// The system prompt with the tools in it.
pub(super) fn system(request: &Request<'_>) -> String {
    let mut text = request.system.to_owned();
    text.push_str("\n# How you call a tool\nAnswer with one JSON object and nothing else:\n{\"thought\": \"one sentence\", \"tool\": \"NAME\", \"input\": {…}}\n");
    if request.brief.structured == Structured::Text {
        text.push_str("No other form is understood: no prose around it, no comments in it, line ends in strings as \\n. One call per answer.\n");
    }
    text.push_str("The tools:\n");
    for ToolSpec { name, description, input_schema } in request.tools {
        text.push_str(&format!("- {name}: {description}\n  input: {input_schema}\n"));
    }
    text
}

/// The member `response_format` of a chat completion.
pub(super) fn response_format(tools: &[ToolSpec]) -> Value {
    let tools: Vec<(String, Value)> =
        tools.iter().map(|tool| (tool.name.to_owned(), tool.input_schema.clone())).collect();
    json!({ "type": "json_schema", "json_schema": { "name": "action", "schema": action::schema(&tools) } })
}

/// The context as turns of plain text: whether the model spoke, and what. Never two of the same in a row.
pub(super) fn turns(context: &[Arc<Message>]) -> Vec<(bool, String)> {
    let mut turns: Vec<(bool, String)> = Vec::new();
    for message in context {
        let (by_model, text) = match message.as_ref() {
            Message::User(text) => (false, text.clone()),
            Message::Model { text, calls } if calls.is_empty() => (true, text.clone()),
            Message::Model { text, calls } => (true, calls_text(text, calls)),
            Message::Results(results) => (false, results.iter().map(result_text).collect::<Vec<_>>().join("\n")),
        };
        if text.trim().is_empty() {
            continue;
        }
        match turns.last_mut() {
            Some((last, said)) if *last == by_model => {
                said.push_str("\n\n");
                said.push_str(&text);
            }
            _ => turns.push((by_model, text)),
        }
    }
    turns
}

fn calls_text(thought: &str, calls: &[Call]) -> String {
    let one = |call: &Call| json!({ "thought": thought, "tool": call.name, "input": object(&call.input) });
    match calls {
        [call] => one(call).to_string(),
        calls => Value::Array(calls.iter().map(one).collect()).to_string(),
    }
}

fn result_text(result: &Outcome) -> String {
    let outcome = if result.is_error { "failed" } else { "is done" };
    format!("{} {outcome}:\n{}", result.name, frame("data", &result.name, &result.text))
}
