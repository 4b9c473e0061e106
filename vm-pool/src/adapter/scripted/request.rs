//! Reading a request, whichever wire format it speaks.

use std::collections::BTreeMap;

use bus_schemas::v1::agent::Wire;
use serde_json::Value;

/// A request for an answer of the model.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// The wire format.
    pub wire: Wire,
    /// It wants a stream.
    pub stream: bool,
    /// A chat stream is to end with the usage.
    pub stream_usage: bool,
    /// The model it names.
    pub model: String,
    /// The system prompt and the first message of the user.
    pub opening: String,
    /// The last message as text, what tools answered included.
    pub last: String,
    /// Answers of the model that are in it.
    pub answers: usize,
    /// The tools it offers.
    pub tools: Vec<String>,
    /// It asks for an answer by a JSON schema.
    pub schema: bool,
    /// Headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Value,
}

/// Whose an item of the request is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    System,
    Model,
    User,
    Tool,
}

impl Asked {
    /// Reads a body.
    ///
    /// # Errors
    /// What a provider would complain about.
    pub fn read(wire: Wire, headers: BTreeMap<String, String>, body: Value) -> Result<Self, String> {
        let model = body["model"].as_str().ok_or("model: required")?.to_owned();
        let mut items: Vec<(Whose, String)> = Vec::new();
        if wire == Wire::Messages {
            if body["max_tokens"].as_u64().is_none_or(|n| n == 0) {
                return Err("max_tokens: required".to_owned());
            }
            items.push((Whose::System, text_of(&body["system"])));
        }
        if let Some(instructions) = body["instructions"].as_str() {
            items.push((Whose::System, instructions.to_owned()));
        }
        let list = if wire == Wire::Responses { &body["input"] } else { &body["messages"] };
        match list {
            Value::String(text) if wire == Wire::Responses => items.push((Whose::User, text.clone())),
            Value::Array(list) if !list.is_empty() => items.extend(list.iter().map(item)),
            _ => return Err(format!("{}: required", if wire == Wire::Responses { "input" } else { "messages" })),
        }
        if !body["previous_response_id"].is_null() {
            return Err("previous_response_id: this server keeps no responses; send the input whole".to_owned());
        }
        pairs(wire, list)?;
        let first_user = items.iter().position(|(whose, _)| *whose == Whose::User);
        let opening = items.iter().enumerate().filter(|(at, i)| i.0 == Whose::System || Some(*at) == first_user);
        let opening = opening.map(|(_, (_, text))| text.as_str()).collect::<Vec<_>>().join("\n");
        // One answer is several items of the responses format, and one message of the others.
        let answer = |at: usize| {
            let before = at.checked_sub(1).and_then(|before| items.get(before));
            items[at].0 == Whose::Model && (wire != Wire::Responses || before.is_none_or(|b| b.0 != Whose::Model))
        };
        let answers = (0..items.len()).filter(|at| answer(*at)).count();
        // Everything since the last answer: the tools' answers are messages of their own in two of the formats.
        let since = items.iter().rposition(|(whose, _)| *whose == Whose::Model).map_or(0, |at| at + 1);
        let heard = items[since..].iter().filter(|(whose, _)| since > 0 || *whose != Whose::System);
        let last = heard.map(|(_, text)| text.as_str()).collect::<Vec<_>>().join("\n");
        let name =
            |tool: &Value| tool["name"].as_str().or_else(|| tool["function"]["name"].as_str()).map(str::to_owned);
        let tools = body["tools"].as_array().into_iter().flatten().filter_map(name).collect();
        let schema = body["response_format"]["type"] == "json_schema"
            || body["text"]["format"]["type"] == "json_schema"
            || body["output_config"]["format"]["type"] == "json_schema"
            || body["output_format"]["type"] == "json_schema";
        Ok(Self {
            wire,
            stream: body["stream"] == true,
            stream_usage: body["stream_options"]["include_usage"] == true,
            model,
            opening,
            last,
            answers,
            tools,
            schema,
            headers,
            body,
        })
    }
}

fn item(item: &Value) -> (Whose, String) {
    let kind = item["type"].as_str().unwrap_or_default();
    let content = &item["content"];
    let tool_results =
        content.as_array().is_some_and(|blocks| blocks.iter().any(|block| block["type"] == "tool_result"));
    let whose = match (kind, item["role"].as_str().unwrap_or_default()) {
        ("function_call" | "custom_tool_call" | "reasoning" | "local_shell_call", _) | (_, "assistant") => Whose::Model,
        ("function_call_output" | "custom_tool_call_output", _) | (_, "tool") => Whose::Tool,
        (_, "system" | "developer") => Whose::System,
        _ if tool_results => Whose::Tool,
        _ => Whose::User,
    };
    let text = if item["output"].is_null() { text_of(content) } else { text_of(&item["output"]) };
    (whose, text)
}

/// The text in a content: a string, or blocks that hold texts, or blocks that hold contents.
fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => blocks.iter().map(text_of).filter(|t| !t.is_empty()).collect::<Vec<_>>().join("\n"),
        Value::Object(block) => {
            let inner = ["text", "content", "output"].iter().find_map(|key| block.get(*key));
            inner.map(text_of).unwrap_or_default()
        }
        _ => String::new(),
    }
}

/// Every call of a tool is answered and every answer has its call, as providers demand.
fn pairs(wire: Wire, list: &Value) -> Result<(), String> {
    let mut open: Vec<&str> = Vec::new();
    for item in list.as_array().into_iter().flatten() {
        let blocks = || item["content"].as_array().into_iter().flatten();
        let (mut calls, mut answers): (Vec<&Value>, Vec<&Value>) = (Vec::new(), Vec::new());
        match wire {
            Wire::Messages => {
                calls.extend(blocks().filter(|b| b["type"] == "tool_use").map(|b| &b["id"]));
                answers.extend(blocks().filter(|b| b["type"] == "tool_result").map(|b| &b["tool_use_id"]));
            }
            Wire::ChatCompletions => {
                calls.extend(item["tool_calls"].as_array().into_iter().flatten().map(|c| &c["id"]));
                answers.extend((item["role"] == "tool").then_some(&item["tool_call_id"]));
            }
            Wire::Responses => {
                let kind = item["type"].as_str().unwrap_or_default();
                calls.extend(matches!(kind, "function_call" | "custom_tool_call").then_some(&item["call_id"]));
                answers.extend(kind.ends_with("_call_output").then_some(&item["call_id"]));
            }
        }
        for id in &answers {
            let id = id.as_str().unwrap_or_default();
            let at = open.iter().position(|call| *call == id);
            let at = at.ok_or_else(|| format!("an answer of a tool to {id:?}, which no answer before it called"))?;
            open.remove(at);
        }
        let goes_on = wire == Wire::Responses || !answers.is_empty();
        if !goes_on && !open.is_empty() {
            return Err(format!("calls of tools without an answer: {}", open.join(", ")));
        }
        open.extend(calls.iter().map(|id| id.as_str().unwrap_or_default()));
    }
    if open.is_empty() { Ok(()) } else { Err(format!("calls of tools without an answer: {}", open.join(", "))) }
}
