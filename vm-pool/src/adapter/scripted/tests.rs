use std::time::Duration;

mod refusals;

use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{Running, Script, serve};

const SCRIPT: &str = r#"
[[conversation]]
name = "fix"
match = ["median", "fix it"]

[[conversation.turn]]
text = "Grüße, I look first. This is long enough to come in several pieces."
calls = [
  { tool = "read", input = { path = "stats.py", lines = [1, 20] } },
  { tool = "exec", input = '{"command": "true"}' },
]
usage = { input = 100, output = 20, cache_read = 30, cache_write_5m = 5, cache_write_1h = 7 }

[[conversation.turn]]
text = "Done."

[[conversation]]
name = "other"
[[conversation.turn]]
text = "hello"
"#;

async fn start(text: &str) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    serve(Script::parse(text).unwrap(), listener).unwrap()
}

/// A client that speaks TLS with whatever is there; it never has to.
fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

fn path(wire: &str) -> &'static str {
    match wire {
        "messages" => "/v1/messages",
        "chat" => "/v1/chat/completions",
        _ => "/v1/responses",
    }
}

/// A request with a number of answers in it already; each called a tool.
fn request(wire: &str, user: &str, answers: usize, stream: bool) -> Value {
    let mut list = vec![json!({"role": "user", "content": user})];
    for n in 0..answers {
        let id = format!("c{n}");
        match wire {
            "messages" => {
                let call = json!({"type": "tool_use", "id": id, "name": "exec", "input": {}});
                let result =
                    json!({"type": "tool_result", "tool_use_id": id, "content": [{"type": "text", "text": "ok"}]});
                list.push(json!({"role": "assistant", "content": [{"type": "text", "text": "hm"}, call]}));
                list.push(json!({"role": "user", "content": [result]}));
            }
            "chat" => {
                let call = json!({"id": id, "type": "function", "function": {"name": "exec", "arguments": "{}"}});
                list.push(json!({"role": "assistant", "content": null, "tool_calls": [call]}));
                list.push(json!({"role": "tool", "tool_call_id": id, "content": "ok"}));
            }
            _ => {
                list.push(
                    json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "hm"}]}),
                );
                list.push(json!({"type": "function_call", "call_id": id, "name": "exec", "arguments": "{}"}));
                list.push(json!({"type": "function_call_output", "call_id": id, "output": "ok"}));
            }
        }
    }
    let mut body = json!({"model": "m", "stream": stream, "tools": [{"name": "exec"}, {"function": {"name": "read"}}]});
    body[if wire == "responses" { "input" } else { "messages" }] = list.into();
    match wire {
        "messages" => {
            body["max_tokens"] = 100.into();
            body["system"] = json!([{"type": "text", "text": "You fix it."}]);
        }
        "chat" => {
            body["stream_options"] = json!({"include_usage": true});
            body["messages"].as_array_mut().unwrap().insert(0, json!({"role": "system", "content": "You fix it."}));
        }
        _ => body["instructions"] = "You fix it.".into(),
    }
    body
}

async fn post(running: &Running, wire: &str, body: &Value) -> reqwest::Response {
    client().post(format!("{}{}", running.url, path(wire))).json(body).send().await.unwrap()
}

async fn answer(running: &Running, wire: &str, body: &Value) -> Value {
    let response = post(running, wire, body).await;
    assert_eq!(response.status(), 200, "{:?}", running.failures());
    serde_json::from_str(&response.text().await.unwrap()).unwrap()
}

/// The events of a stream: name (or the value's kind) and value.
async fn events(response: reqwest::Response) -> Vec<(String, Value)> {
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream"));
    parse(&response.text().await.unwrap())
}

fn parse(text: &str) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for block in text.split("\n\n").filter(|block| !block.is_empty()) {
        let mut name = String::new();
        for line in block.lines() {
            if let Some(event) = line.strip_prefix("event: ") {
                event.clone_into(&mut name);
            } else if let Some(data) = line.strip_prefix("data: ") {
                let value = serde_json::from_str(data).unwrap_or(Value::Null);
                found.push((std::mem::take(&mut name), value));
            } else {
                panic!("not an event's line: {line:?}");
            }
        }
    }
    found
}

#[tokio::test]
async fn messages_in_one_piece_and_as_a_stream_say_the_same() {
    let running = start(SCRIPT).await;
    let whole = answer(&running, "messages", &request("messages", "the median is wrong", 0, false)).await;
    assert_eq!(whole["stop_reason"], "tool_use");
    assert_eq!(whole["content"][1]["input"], json!({"path": "stats.py", "lines": [1, 20]}));
    assert_eq!(whole["usage"]["input_tokens"], 100);
    assert_eq!(whole["usage"]["cache_creation_input_tokens"], 12);
    assert_eq!(whole["usage"]["cache_creation"]["ephemeral_1h_input_tokens"], 7);

    let events = events(post(&running, "messages", &request("messages", "the median is wrong", 0, true)).await).await;
    let names: Vec<&str> = events.iter().map(|e| e.0.as_str()).filter(|n| *n != "content_block_delta").collect();
    assert_eq!(
        names,
        [
            "message_start",
            "content_block_start",
            "ping",
            "content_block_stop",
            "content_block_start",
            "content_block_stop",
            "content_block_start",
            "content_block_stop",
            "message_delta",
            "message_stop"
        ]
    );
    assert!(events.iter().all(|(name, value)| value["type"] == name.as_str()));
    let joined = |index: u64, key: &str| -> String {
        let deltas = events.iter().filter(|(_, v)| v["index"] == index).filter_map(|(_, v)| v["delta"][key].as_str());
        deltas.collect()
    };
    assert_eq!(joined(0, "text"), whole["content"][0]["text"].as_str().unwrap());
    assert_eq!(serde_json::from_str::<Value>(&joined(1, "partial_json")).unwrap(), whole["content"][1]["input"]);
    let end = &events[events.len() - 2].1;
    assert_eq!(
        (end["delta"]["stop_reason"].as_str(), end["usage"]["output_tokens"].as_u64()),
        (Some("tool_use"), Some(20))
    );
}

#[tokio::test]
async fn chat_in_one_piece_and_as_a_stream_say_the_same() {
    let running = start(SCRIPT).await;
    let whole = answer(&running, "chat", &request("chat", "the median is wrong", 0, false)).await;
    assert_eq!(whole["choices"][0]["finish_reason"], "tool_calls");
    assert_eq!(whole["usage"]["prompt_tokens"], 142);
    assert_eq!(whole["usage"]["prompt_tokens_details"]["cached_tokens"], 30);

    let events = events(post(&running, "chat", &request("chat", "the median is wrong", 0, true)).await).await;
    assert_eq!(events.last().unwrap().1, Value::Null, "[DONE]");
    let chunks: Vec<&Value> = events.iter().map(|(_, v)| v).filter(|v| !v.is_null()).collect();
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    let text: String = chunks.iter().filter_map(|c| c["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(text, whole["choices"][0]["message"]["content"].as_str().unwrap());
    let arguments: String = chunks
        .iter()
        .flat_map(|c| c["choices"][0]["delta"]["tool_calls"].as_array().into_iter().flatten())
        .filter(|call| call["index"] == 0)
        .filter_map(|call| call["function"]["arguments"].as_str())
        .collect();
    assert_eq!(arguments, whole["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"].as_str().unwrap());
    let last = chunks.last().unwrap();
    assert_eq!(
        (last["choices"].as_array().map(Vec::len), last["usage"]["completion_tokens"].as_u64()),
        (Some(0), Some(20))
    );

    let mut body = request("chat", "the median is wrong", 0, true);
    body["stream_options"] = Value::Null;
    let quiet = self::events(post(&running, "chat", &body).await).await;
    assert!(quiet.iter().all(|(_, v)| v["usage"].is_null()), "usage comes only to those who ask for it");
}

#[tokio::test]
async fn responses_in_one_piece_and_as_a_stream_say_the_same() {
    let running = start(SCRIPT).await;
    let whole = answer(&running, "responses", &request("responses", "the median is wrong", 0, false)).await;
    assert_eq!(whole["output"][1]["name"], "read");
    assert_eq!(whole["usage"]["input_tokens_details"]["cached_tokens"], 30);

    let events = events(post(&running, "responses", &request("responses", "the median is wrong", 0, true)).await).await;
    for (n, (name, value)) in events.iter().enumerate() {
        assert_eq!((value["type"].as_str(), value["sequence_number"].as_u64()), (Some(name.as_str()), Some(n as u64)));
    }
    let mut names: Vec<&str> = events.iter().map(|e| e.0.as_str()).collect();
    names.dedup();
    assert_eq!(
        names,
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.output_item.added",
            "response.function_call_arguments.delta",
            "response.function_call_arguments.done",
            "response.output_item.done",
            "response.output_item.added",
            "response.function_call_arguments.delta",
            "response.function_call_arguments.done",
            "response.output_item.done",
            "response.completed"
        ]
    );
    assert_eq!(events.last().unwrap().1["response"], whole);
}

#[tokio::test]
async fn the_turn_is_chosen_by_the_answers_in_the_request() {
    let running = start(SCRIPT).await;
    for wire in ["messages", "chat", "responses"] {
        for _ in 0..2 {
            let text = answer(&running, wire, &request(wire, "the median is wrong", 1, false)).await.to_string();
            assert!(text.contains("Done."), "{wire}: {text}");
        }
        let over = post(&running, wire, &request(wire, "the median is wrong", 2, false)).await;
        assert_eq!(over.status(), 400, "{wire}");
        let other = answer(&running, wire, &request(wire, "something else", 0, false)).await.to_string();
        assert!(other.contains("hello"), "{wire}: {other}");
    }
    assert_eq!(running.given("fix"), [(2, 6)]);
    assert_eq!(running.failures().len(), 3, "{:?}", running.failures());
    assert!(running.failures()[0].contains("ends before answer 3"), "{:?}", running.failures());
}

#[tokio::test]
async fn turns_repeat_and_turns_apart_go_first() {
    let running = start(
        r#"
[[conversation]]
[[conversation.turn]]
text = "again"
repeat = 2
[[conversation.turn]]
when = ["a note"]
text = "never mind the count"
[[conversation.turn]]
json = { action = "stop" }
forever = true
"#,
    )
    .await;
    for (answers, user, wanted) in [
        (0, "x", "again"),
        (1, "x", "again"),
        (2, "x", r#"{"action":"stop"}"#),
        (9, "x", "stop"),
        (0, "a note", "never"),
    ] {
        let whole = answer(&running, "chat", &request("chat", user, answers, false)).await;
        let text = whole["choices"][0]["message"]["content"].as_str().unwrap();
        assert!(text.contains(wanted), "{answers} {user}: {text}");
    }
}

#[tokio::test]
async fn the_prompt_cache_counts_each_token_once() {
    let running =
        start("prompt_cache = true\n[[conversation]]\n[[conversation.turn]]\ntext = 'hi'\nforever = true\n").await;
    let long = "a rather long system prompt ".repeat(40);
    let body = |answers: usize| {
        let mut body = request("messages", "x", answers, false);
        body["system"] = json!([{"type": "text", "text": long, "cache_control": {"type": "ephemeral", "ttl": "1h"}}]);
        let last = body["messages"].as_array_mut().unwrap().last_mut().unwrap();
        if let Some(blocks) = last["content"].as_array_mut() {
            blocks.last_mut().unwrap()["cache_control"] = json!({"type": "ephemeral"});
        }
        body
    };
    let first = answer(&running, "messages", &body(0)).await["usage"].clone();
    let written = first["cache_creation"]["ephemeral_1h_input_tokens"].as_u64().unwrap();
    assert!(written > 200 && first["cache_read_input_tokens"] == 0, "{first}");
    let second = answer(&running, "messages", &body(1)).await["usage"].clone();
    assert_eq!(second["cache_read_input_tokens"], written);
    assert!(second["cache_creation"]["ephemeral_5m_input_tokens"].as_u64().unwrap() > 0, "{second}");
    let third = answer(&running, "messages", &body(2)).await["usage"].clone();
    assert!(third["cache_read_input_tokens"].as_u64().unwrap() > written, "{third}");

    let chat = request("chat", &long, 0, false);
    let sum = |v: &Value| v["usage"]["prompt_tokens"].as_u64().unwrap();
    let (cold, warm) = (answer(&running, "chat", &chat).await, answer(&running, "chat", &chat).await);
    assert_eq!(sum(&cold), sum(&warm));
    assert_eq!(cold["usage"]["prompt_tokens_details"]["cached_tokens"], 0);
    assert_eq!(warm["usage"]["prompt_tokens_details"]["cached_tokens"], sum(&warm));
}

#[tokio::test]
async fn dropping_the_server_closes_its_port() {
    let running = start(SCRIPT).await;
    let url = format!("{}/health", running.url);
    assert_eq!(client().get(&url).send().await.unwrap().status(), 200);
    drop(running);
    // The listener goes with its task, a moment later.
    while client().get(&url).send().await.is_ok() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn mistakes_in_a_script_are_named() {
    let turn = "[[conversation]]\nname = 'c'\n[[conversation.turn]]\n";
    for (text, wanted) in [
        (String::new(), "at least one [[conversation]]"),
        ("[[conversation]]\nname = 'c'\n".to_owned(), "conversation c has no [[conversation.turn]]"),
        (format!("{turn}texts = 'x'\n"), "unknown field `texts`"),
        (format!("{turn}text = 'x'\njson = {{}}\n"), "conversation c, turn 1: say `text` or `json`"),
        (format!("{turn}calls = [{{ tool = 'x', input = '{{' }}]\n"), "is not JSON"),
        (format!("{turn}[[conversation.turn.fault]]\nkind = 'status'\n"), "has a `status`"),
        (format!("{turn}[[conversation.turn.fault]]\nkind = 'hang'\n"), "says how long"),
        (format!("{turn}repeat = 0\n"), "leave the turn out"),
    ] {
        let error = Script::parse(&text);
        assert!(error.as_ref().is_err_and(|e| e.contains(wanted)), "{error:?} lacks {wanted:?}");
    }
}

#[test]
fn the_script_in_the_documentation_is_one() {
    let document = include_str!("../../../../docs/scripted-models.md");
    let script = document.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let script = Script::parse(script).unwrap();
    assert_eq!(script.conversations[0].turns[1].faults[0].times, 2);
}
