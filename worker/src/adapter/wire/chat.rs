//! OpenAI chat completions, as OpenAI and many others speak it.

use std::{collections::BTreeMap, sync::Arc};

use bus_schemas::v1::agent::Structured;
use serde_json::{Value, json};

use super::{Request, failure, input, name, object, plain};
use crate::agent::{Answer, Call, Failure, Input, Message, Stop, Usage};

/// The end of a stream.
const DONE: &str = "[DONE]";

/// The request's body.
pub(super) fn body(request: &Request<'_>) -> Value {
    let brief = request.brief;
    let tools = brief.structured == Structured::Tools;
    let system = if tools { request.system.to_owned() } else { plain::system(request) };
    let mut messages = vec![json!({ "role": "system", "content": system })];
    if tools {
        native(request.context, &mut messages);
    } else {
        messages.extend(
            plain::turns(request.context).into_iter().map(
                |(by_model, text)| json!({ "role": if by_model { "assistant" } else { "user" }, "content": text }),
            ),
        );
    }
    let limit = if request.completion_tokens { "max_completion_tokens" } else { "max_tokens" };
    let mut body = json!({
        "model": brief.name,
        "stream": true,
        "stream_options": { "include_usage": true },
        "messages": messages,
    });
    body[limit] = request.max_tokens().into();
    match brief.structured {
        Structured::Tools if !request.tools.is_empty() => {
            let spec = |tool: &crate::tool::call::ToolSpec| {
                json!({ "type": "function", "function": {
                    "name": tool.name, "description": tool.description, "parameters": tool.input_schema,
                } })
            };
            body["tools"] = request.tools.iter().map(spec).collect();
        }
        Structured::JsonSchema => body["response_format"] = plain::response_format(request.tools),
        Structured::Tools | Structured::Text => {}
    }
    body
}

/// The context with tools. Some servers refuse two user messages in a row: these become one.
fn native(context: &[Arc<Message>], messages: &mut Vec<Value>) {
    for message in context {
        match message.as_ref() {
            Message::User(text) => match messages.last_mut() {
                Some(last) if last["role"] == "user" => {
                    let said = last["content"].as_str().unwrap_or_default();
                    last["content"] = format!("{said}\n\n{text}").into();
                }
                _ => messages.push(json!({ "role": "user", "content": text })),
            },
            Message::Model { text, calls } if calls.is_empty() => {
                if !text.trim().is_empty() {
                    messages.push(json!({ "role": "assistant", "content": text }));
                }
            }
            Message::Model { text, calls } => {
                let calls: Vec<Value> = calls
                    .iter()
                    .map(|call| {
                        let arguments = object(&call.input).to_string();
                        json!({ "id": call.id, "type": "function", "function": { "name": name(&call.name), "arguments": arguments } })
                    })
                    .collect();
                let content = if text.trim().is_empty() { Value::Null } else { text.as_str().into() };
                messages.push(json!({ "role": "assistant", "content": content, "tool_calls": calls }));
            }
            Message::Results(results) => messages.extend(results.iter().map(|result| {
                let text = if result.is_error { format!("Failed: {}", result.text) } else { result.text.clone() };
                json!({ "role": "tool", "tool_call_id": result.id, "content": text })
            })),
        }
    }
}

/// Reads a stream.
#[derive(Debug, Default)]
pub(super) struct Reader {
    text: String,
    calls: BTreeMap<u64, Piece>,
    stop: Option<Stop>,
    usage: Usage,
}

#[derive(Debug, Default)]
struct Piece {
    id: String,
    name: String,
    arguments: String,
}

impl Reader {
    pub(super) fn event(&mut self, data: &str) -> Result<Option<String>, Failure> {
        if data.trim() == DONE {
            return Ok(None);
        }
        let value: Value = serde_json::from_str(data)
            .map_err(|error| Failure::Server { detail: format!("an event that is no JSON: {error}") })?;
        if let Some(failed) = failure::in_body(&value) {
            return Err(failed);
        }
        count(&mut self.usage, &value["usage"]);
        let choice = &value["choices"][0];
        if let Some(reason) = choice["finish_reason"].as_str() {
            self.stop = Some(stop(reason));
        }
        let delta = &choice["delta"];
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            self.call(call);
        }
        let piece = delta["content"].as_str().or_else(|| delta["refusal"].as_str()).unwrap_or_default();
        self.text.push_str(piece);
        Ok((!piece.is_empty()).then(|| piece.to_owned()))
    }

    /// A piece of a call. Servers that give no index send whole calls: a new id is a new call.
    fn call(&mut self, value: &Value) {
        let id = value["id"].as_str().unwrap_or_default();
        let newest = self.calls.last_key_value().map(|(index, piece)| (*index, piece.id.clone()));
        let index = value["index"].as_u64().unwrap_or_else(|| match &newest {
            None => 0,
            Some((index, known)) if id.is_empty() || id == known => *index,
            Some((index, _)) => index + 1,
        });
        let piece = self.calls.entry(index).or_default();
        if piece.id.is_empty() {
            piece.id = id.to_owned();
        }
        let function = &value["function"];
        if piece.name.is_empty() {
            piece.name = function["name"].as_str().unwrap_or_default().to_owned();
        }
        match &function["arguments"] {
            Value::String(text) => piece.arguments.push_str(text),
            Value::Null => {}
            value => piece.arguments = value.to_string(),
        }
    }

    pub(super) fn finish(self) -> Result<Answer, Failure> {
        let Some(stop) = self.stop else {
            return Err(Failure::Cut { detail: "the stream ended before the answer did".into() });
        };
        let call = |Piece { id, name, arguments }| Call { id, name, input: input(&arguments) };
        let calls: Vec<Call> = self.calls.into_values().map(call).collect();
        Ok(Answer { text: self.text, calls, stop, usage: self.usage })
    }
}

fn count(counted: &mut Usage, usage: &Value) {
    if usage.is_object() {
        counted.context = usage["prompt_tokens"].as_u64().unwrap_or_default();
        counted.cached = usage["prompt_tokens_details"]["cached_tokens"].as_u64().unwrap_or_default();
        counted.output = usage["completion_tokens"].as_u64().unwrap_or_default();
    }
}

fn stop(reason: &str) -> Stop {
    match reason {
        "tool_calls" | "function_call" => Stop::Tools,
        "length" => Stop::Length,
        "content_filter" => Stop::Refused,
        _ => Stop::Done,
    }
}

/// Reads an answer that was not streamed.
pub(super) fn whole(value: &Value) -> Result<Answer, Failure> {
    let choice = &value["choices"][0];
    let message = choice["message"].as_object();
    let Some(message) = message else {
        return Err(Failure::Server { detail: "an answer that is no chat completion".into() });
    };
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let call = |call: &Value| {
        let function = &call["function"];
        let input = match &function["arguments"] {
            Value::String(text) => input(text),
            Value::Null => input(""),
            value => Input::Json(value.clone()),
        };
        Call { id: text(call.get("id")), name: text(function.get("name")), input }
    };
    let mut answer = Answer {
        text: text(message.get("content")),
        calls: message.get("tool_calls").and_then(Value::as_array).into_iter().flatten().map(call).collect(),
        stop: stop(choice["finish_reason"].as_str().unwrap_or_default()),
        ..Answer::default()
    };
    count(&mut answer.usage, &value["usage"]);
    Ok(answer)
}
