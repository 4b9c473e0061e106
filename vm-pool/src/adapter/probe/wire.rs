//! The small requests and how their answers are read, for each wire format.

use bus_schemas::v1::agent::Wire;
use serde_json::{Value, json};

use super::report::Probe;

/// Room for the thoughts of a model that thinks first.
const MAX_TOKENS: u32 = 1024;
/// The tool that is offered.
const TOOL: &str = "add";

/// What a model said.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Heard {
    pub text: String,
    /// Name and arguments of its calls.
    pub calls: Vec<(String, String)>,
    /// Tokens in and out.
    pub usage: Option<(u64, u64)>,
    /// It was stopped by the limit.
    pub cut: bool,
}

pub(super) const fn path(wire: Wire) -> &'static str {
    match wire {
        Wire::Messages => "/v1/messages",
        Wire::ChatCompletions => "/v1/chat/completions",
        Wire::Responses => "/v1/responses",
    }
}

const fn question(probe: Probe) -> &'static str {
    match probe {
        Probe::Answer | Probe::Usage => "Answer with the single word: ready",
        Probe::Stream => "Count from one to ten in words.",
        Probe::Tool => "Add 2 and 3 with the tool `add`.",
        Probe::Schema => "What color is the sky on a clear day? Answer as JSON with the member `color`.",
    }
}

fn schema() -> Value {
    let color = json!({"type": "string", "enum": ["red", "green", "blue"]});
    json!({"type": "object", "properties": {"color": color}, "required": ["color"], "additionalProperties": false})
}

fn parameters() -> Value {
    let number = json!({"type": "integer"});
    json!({"type": "object", "properties": {"a": number, "b": number}, "required": ["a", "b"], "additionalProperties": false})
}

/// A request. Some want the limit under another name (`completion_tokens`).
pub(super) fn body(wire: Wire, model: &str, probe: Probe, completion_tokens: bool) -> Value {
    let user = json!([{"role": "user", "content": question(probe)}]);
    let about = "Adds two numbers.";
    let mut body = json!({"model": model});
    match wire {
        Wire::Messages => {
            body["max_tokens"] = MAX_TOKENS.into();
            body["messages"] = user;
            match probe {
                Probe::Tool => {
                    body["tools"] = json!([{"name": TOOL, "description": about, "input_schema": parameters()}]);
                    body["tool_choice"] = json!({"type": "any"});
                }
                Probe::Schema => {
                    body["output_config"] = json!({"format": {"type": "json_schema", "schema": schema()}});
                }
                _ => {}
            }
        }
        Wire::ChatCompletions => {
            body[if completion_tokens { "max_completion_tokens" } else { "max_tokens" }] = MAX_TOKENS.into();
            body["messages"] = user;
            match probe {
                Probe::Tool => {
                    let function = json!({"name": TOOL, "description": about, "parameters": parameters()});
                    body["tools"] = json!([{"type": "function", "function": function}]);
                    body["tool_choice"] = "required".into();
                }
                Probe::Schema => {
                    let named = json!({"name": "answer", "strict": true, "schema": schema()});
                    body["response_format"] = json!({"type": "json_schema", "json_schema": named});
                }
                _ => {}
            }
        }
        Wire::Responses => {
            body["max_output_tokens"] = MAX_TOKENS.into();
            body["input"] = user;
            body["store"] = false.into();
            match probe {
                Probe::Tool => {
                    let tool =
                        json!({"type": "function", "name": TOOL, "description": about, "parameters": parameters()});
                    body["tools"] = json!([tool]);
                    body["tool_choice"] = "required".into();
                }
                Probe::Schema => {
                    let format = json!({"type": "json_schema", "name": "answer", "strict": true, "schema": schema()});
                    body["text"] = json!({"format": format});
                }
                _ => {}
            }
        }
    }
    if probe == Probe::Stream {
        body["stream"] = true.into();
        if wire == Wire::ChatCompletions {
            body["stream_options"] = json!({"include_usage": true});
        }
    }
    body
}

/// An answer in one piece.
pub(super) fn read(wire: Wire, body: &Value) -> Heard {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut heard = Heard { usage: usage(&body["usage"]), ..Heard::default() };
    match wire {
        Wire::Messages => {
            heard.cut = body["stop_reason"] == "max_tokens";
            for block in list(&body["content"]) {
                match block["type"].as_str() {
                    Some("text") => heard.text.push_str(&text(&block["text"])),
                    Some("tool_use") => heard.calls.push((text(&block["name"]), block["input"].to_string())),
                    _ => {}
                }
            }
        }
        Wire::ChatCompletions => {
            let choice = &body["choices"][0];
            heard.cut = choice["finish_reason"] == "length";
            heard.text = text(&choice["message"]["content"]);
            for call in list(&choice["message"]["tool_calls"]) {
                heard.calls.push((text(&call["function"]["name"]), text(&call["function"]["arguments"])));
            }
        }
        Wire::Responses => {
            heard.cut = body["status"] == "incomplete";
            for item in list(&body["output"]) {
                match item["type"].as_str() {
                    Some("message") => {
                        list(&item["content"]).iter().for_each(|c| heard.text.push_str(&text(&c["text"])))
                    }
                    Some("function_call") => heard.calls.push((text(&item["name"]), text(&item["arguments"]))),
                    _ => {}
                }
            }
        }
    }
    heard
}

/// An answer as a stream; it must have come to its end.
pub(super) fn read_stream(wire: Wire, stream: &str) -> Result<Heard, String> {
    let mut heard = Heard::default();
    let (mut ended, mut events) = (false, 0);
    for data in stream.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim) {
        events += 1;
        if data == "[DONE]" {
            ended = true;
            continue;
        }
        let event: Value = serde_json::from_str(data).map_err(|_| "an event is not JSON".to_owned())?;
        if !event["error"].is_null() || event["type"] == "response.failed" {
            let error = if event["error"].is_null() { &event["response"]["error"] } else { &event["error"] };
            return Err(format!("the stream brings an error: {}", error["message"].as_str().unwrap_or("no message")));
        }
        let used = [&event["usage"], &event["message"]["usage"], &event["response"]["usage"]];
        if let Some((input, output)) = used.into_iter().find_map(usage) {
            let before = heard.usage.unwrap_or_default();
            heard.usage = Some((before.0.max(input), before.1.max(output)));
        }
        let kind = event["type"].as_str().unwrap_or_default();
        let piece = match wire {
            Wire::Messages => &event["delta"]["text"],
            Wire::ChatCompletions => &event["choices"][0]["delta"]["content"],
            Wire::Responses if kind == "response.output_text.delta" => &event["delta"],
            Wire::Responses => &Value::Null,
        };
        heard.text.push_str(piece.as_str().unwrap_or_default());
        heard.cut |= event["delta"]["stop_reason"] == "max_tokens"
            || event["choices"][0]["finish_reason"] == "length"
            || kind == "response.incomplete";
        ended |= matches!(kind, "message_stop" | "response.completed" | "response.incomplete");
    }
    match (events, ended) {
        (0, _) => Err("no event came: it does not stream".to_owned()),
        (_, false) => Err(format!("the stream ended after {events} events without its last one")),
        (_, true) => Ok(heard),
    }
}

fn usage(usage: &Value) -> Option<(u64, u64)> {
    let number = |keys: [&str; 2]| keys.iter().find_map(|key| usage[*key].as_u64());
    let cached = ["cache_read_input_tokens", "cache_creation_input_tokens"].iter().filter_map(|k| usage[*k].as_u64());
    let input = number(["input_tokens", "prompt_tokens"]);
    let output = number(["output_tokens", "completion_tokens"]);
    (input.is_some() || output.is_some()).then(|| (input.unwrap_or(0) + cached.sum::<u64>(), output.unwrap_or(0)))
}

/// What is wrong with an answer.
pub(super) fn wrong(probe: Probe, heard: &Heard) -> Option<String> {
    let silent = heard.text.trim().is_empty();
    let why = || if heard.cut { format!(" (cut off after {MAX_TOKENS} tokens)") } else { String::new() };
    match probe {
        Probe::Answer | Probe::Stream if silent => Some(format!("an answer without a word{}", why())),
        Probe::Answer | Probe::Stream => None,
        Probe::Tool => {
            let Some((name, arguments)) = heard.calls.first() else {
                return Some(format!("it called no tool{}", why()));
            };
            let sound = serde_json::from_str::<Value>(arguments).is_ok_and(|a| a["a"].is_i64() && a["b"].is_i64());
            match (name == TOOL, sound) {
                (false, _) => Some("it called a tool that was not offered".to_owned()),
                (true, false) => Some("its call's input does not fit the schema".to_owned()),
                (true, true) => None,
            }
        }
        Probe::Schema => {
            let value = serde_json::from_str::<Value>(heard.text.trim()).unwrap_or_default();
            let fits = value.as_object().is_some_and(|o| o.len() == 1)
                && value["color"].as_str().is_some_and(|color| ["red", "green", "blue"].contains(&color));
            (!fits).then(|| format!("the answer does not fit the schema{}", why()))
        }
        Probe::Usage => match heard.usage {
            None => Some("it does not say what it used: costs are estimated".to_owned()),
            Some((0, _) | (_, 0)) => Some("it says it used nothing: costs are estimated".to_owned()),
            Some(_) => None,
        },
    }
}
