//! Anthropic Messages.

use std::{collections::BTreeMap, sync::Arc};

use bus_schemas::v1::agent::Structured;
use serde_json::{Value, json};

use super::{Request, failure, input, name, object, plain};
use crate::agent::{Answer, Call, Failure, Message, Stop, Usage};

/// User messages at the end of the context that a cache is asked to keep up to: this turn's, and the last one's to find what it kept.
const CACHED_TURNS: usize = 2;

/// The request's body.
pub(super) fn body(request: &Request<'_>) -> Value {
    let brief = request.brief;
    let tools = brief.structured == Structured::Tools;
    let mut messages = if tools { native(request.context) } else { flat(request.context) };
    let mut system =
        json!({ "type": "text", "text": if tools { request.system.to_owned() } else { plain::system(request) } });
    let mut specs: Vec<Value> = request
        .tools
        .iter()
        .filter(|_| tools)
        .map(|tool| json!({ "name": tool.name, "description": tool.description, "input_schema": tool.input_schema }))
        .collect();
    if brief.caching {
        mark(&mut system);
        specs.last_mut().into_iter().for_each(mark);
        let users = messages.iter_mut().rev().filter(|message| message["role"] == "user");
        for message in users.take(CACHED_TURNS) {
            message["content"].as_array_mut().and_then(|blocks| blocks.last_mut()).into_iter().for_each(mark);
        }
    }
    let mut body = json!({
        "model": brief.name,
        "max_tokens": request.max_tokens(),
        "stream": true,
        "system": [system],
        "messages": messages,
    });
    if !specs.is_empty() {
        body["tools"] = Value::Array(specs);
    }
    body
}

fn mark(block: &mut Value) {
    block["cache_control"] = json!({ "type": "ephemeral" });
}

fn text_block(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}

/// The context with tools: roles alternate, results come first in the message after their calls.
fn native(context: &[Arc<Message>]) -> Vec<Value> {
    let mut messages: Vec<(&str, Vec<Value>)> = Vec::new();
    for message in context {
        let (role, blocks) = match message.as_ref() {
            Message::User(text) => ("user", vec![text_block(text)]),
            Message::Model { text, calls } => {
                // Text that is blank is refused.
                let said = (!text.trim().is_empty()).then(|| text_block(text.trim_end()));
                let calls = calls.iter().map(|call| {
                    json!({ "type": "tool_use", "id": call.id, "name": name(&call.name), "input": object(&call.input) })
                });
                ("assistant", said.into_iter().chain(calls).collect())
            }
            Message::Results(results) => {
                let block = |result: &crate::agent::Outcome| {
                    let text = if result.text.is_empty() { "(nothing)" } else { result.text.as_str() };
                    json!({ "type": "tool_result", "tool_use_id": result.id, "content": text, "is_error": result.is_error })
                };
                ("user", results.iter().map(block).collect())
            }
        };
        match messages.last_mut() {
            _ if blocks.is_empty() => {}
            Some((last, said)) if *last == role => said.extend(blocks),
            _ => messages.push((role, blocks)),
        }
    }
    messages.into_iter().map(|(role, content)| json!({ "role": role, "content": content })).collect()
}

fn flat(context: &[Arc<Message>]) -> Vec<Value> {
    let message = |(by_model, text): (bool, String)| json!({ "role": if by_model { "assistant" } else { "user" }, "content": [text_block(text.trim_end())] });
    plain::turns(context).into_iter().map(message).collect()
}

/// Reads a stream.
#[derive(Debug, Default)]
pub(super) struct Reader {
    blocks: BTreeMap<u64, Block>,
    stop: Option<Stop>,
    usage: Usage,
    ended: bool,
}

#[derive(Debug)]
enum Block {
    Text(String),
    Call {
        id: String,
        name: String,
        start: Value,
        json: String,
    },
    /// Thoughts and what is not known yet.
    Other,
}

impl Reader {
    pub(super) fn event(&mut self, data: &str) -> Result<Option<String>, Failure> {
        let value: Value = serde_json::from_str(data)
            .map_err(|error| Failure::Server { detail: format!("an event that is no JSON: {error}") })?;
        let index = value["index"].as_u64().unwrap_or_default();
        let string = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        match value["type"].as_str() {
            Some("message_start") => self.count(&value["message"]["usage"]),
            Some("content_block_start") => {
                let block = &value["content_block"];
                let new = match block["type"].as_str() {
                    Some("text") => Block::Text(string(&block["text"])),
                    Some("tool_use") => Block::Call {
                        id: string(&block["id"]),
                        name: string(&block["name"]),
                        start: block["input"].clone(),
                        json: String::new(),
                    },
                    _ => Block::Other,
                };
                self.blocks.insert(index, new);
            }
            Some("content_block_delta") => {
                let delta = &value["delta"];
                match (self.blocks.get_mut(&index), delta["type"].as_str()) {
                    (Some(Block::Text(text)), Some("text_delta")) => {
                        let piece = string(&delta["text"]);
                        text.push_str(&piece);
                        return Ok(Some(piece));
                    }
                    (Some(Block::Call { json, .. }), Some("input_json_delta")) => {
                        json.push_str(delta["partial_json"].as_str().unwrap_or_default());
                    }
                    _ => {}
                }
            }
            Some("message_delta") => {
                if let Some(reason) = value["delta"]["stop_reason"].as_str() {
                    self.stop = Some(stop(reason));
                }
                self.count(&value["usage"]);
            }
            Some("message_stop") => self.ended = true,
            _ => {
                if let Some(failed) = failure::in_body(&value) {
                    return Err(failed);
                }
            }
        }
        Ok(None)
    }

    fn count(&mut self, usage: &Value) {
        count(&mut self.usage, usage);
    }

    pub(super) fn finish(self) -> Result<Answer, Failure> {
        let Some(stop) = self.stop.filter(|_| self.ended) else {
            return Err(Failure::Cut { detail: "the stream ended before the message did".into() });
        };
        let mut answer = Answer { stop, usage: self.usage, ..Answer::default() };
        for block in self.blocks.into_values() {
            match block {
                Block::Text(text) => answer.text.push_str(&text),
                Block::Call { id, name, start, json } => {
                    let empty = start.as_object().is_none_or(serde_json::Map::is_empty);
                    let input = if json.is_empty() && !empty { crate::agent::Input::Json(start) } else { input(&json) };
                    answer.calls.push(Call { id, name, input });
                }
                Block::Other => {}
            }
        }
        Ok(answer)
    }
}

fn count(counted: &mut Usage, usage: &Value) {
    let number = |name: &str| usage[name].as_u64();
    if let Some(input) = number("input_tokens").filter(|input| *input > 0) {
        let (read, written) = (number("cache_read_input_tokens"), number("cache_creation_input_tokens"));
        counted.cached = read.unwrap_or_default();
        counted.context = input + counted.cached + written.unwrap_or_default();
    }
    counted.output = number("output_tokens").unwrap_or(counted.output);
}

fn stop(reason: &str) -> Stop {
    match reason {
        "tool_use" => Stop::Tools,
        "max_tokens" | "model_context_window_exceeded" => Stop::Length,
        "refusal" => Stop::Refused,
        _ => Stop::Done,
    }
}

/// Reads an answer that was not streamed.
pub(super) fn whole(value: &Value) -> Result<Answer, Failure> {
    let (Some(content), Some(reason)) = (value["content"].as_array(), value["stop_reason"].as_str()) else {
        return Err(Failure::Server { detail: "an answer that is no message".into() });
    };
    let mut answer = Answer { stop: stop(reason), ..Answer::default() };
    count(&mut answer.usage, &value["usage"]);
    for block in content {
        let string = |name: &str| block[name].as_str().unwrap_or_default().to_owned();
        match block["type"].as_str() {
            Some("text") => answer.text.push_str(&string("text")),
            Some("tool_use") => {
                let input = crate::agent::Input::Json(block["input"].clone());
                answer.calls.push(Call { id: string("id"), name: string("name"), input });
            }
            _ => {}
        }
    }
    Ok(answer)
}
