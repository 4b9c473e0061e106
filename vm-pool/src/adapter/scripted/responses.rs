//! OpenAI responses.

use serde_json::{Value, json};

use super::{
    script::{Stop, Usage},
    speak::{Called, Reply, event, pieces},
};

fn usage(usage: Usage) -> Value {
    let input = usage.input + usage.cache_read + usage.cache_write_5m + usage.cache_write_1h;
    json!({
        "input_tokens": input,
        "input_tokens_details": {"cached_tokens": usage.cache_read},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": input + usage.output,
    })
}

fn text_part(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": []})
}

fn message_item(reply: &Reply, status: &str, content: Vec<Value>) -> Value {
    json!({
        "id": format!("msg_{}", reply.id), "type": "message", "status": status, "role": "assistant", "content": content,
    })
}

fn call_item(call: &Called, status: &str, arguments: &str) -> Value {
    json!({
        "id": format!("fc_{}", call.id), "type": "function_call", "status": status,
        "call_id": call.id, "name": call.tool, "arguments": arguments,
    })
}

fn response(reply: &Reply, status: &str, output: Vec<Value>, used: Value) -> Value {
    let cut = status == "incomplete";
    let reason = if reply.stop == Stop::Refusal { "content_filter" } else { "max_output_tokens" };
    json!({
        "id": format!("resp_{}", reply.id),
        "object": "response",
        "created_at": 1_760_000_000,
        "status": status,
        "error": null,
        "incomplete_details": if cut { json!({"reason": reason}) } else { Value::Null },
        "model": reply.model,
        "output": output,
        "parallel_tool_calls": true,
        "store": false,
        "usage": used,
    })
}

const fn end(stop: Stop) -> &'static str {
    match stop {
        Stop::EndTurn | Stop::ToolUse => "completed",
        Stop::MaxTokens | Stop::Refusal => "incomplete",
    }
}

fn output(reply: &Reply) -> Vec<Value> {
    let text = reply.text.iter().map(|text| message_item(reply, "completed", vec![text_part(text)]));
    text.chain(reply.calls.iter().map(|call| call_item(call, "completed", &call.arguments))).collect()
}

pub(super) fn body(reply: &Reply) -> Value {
    response(reply, end(reply.stop), output(reply), usage(reply.usage))
}

pub(super) fn events(reply: &Reply) -> Vec<String> {
    let mut events = Vec::new();
    let mut say = |kind: &str, mut value: Value| {
        value["type"] = kind.into();
        value["sequence_number"] = events.len().into();
        events.push(event(kind, &value));
    };
    let begun = response(reply, "in_progress", Vec::new(), Value::Null);
    say("response.created", json!({"response": begun}));
    say("response.in_progress", json!({"response": begun}));
    let mut index = 0;
    if let Some(text) = &reply.text {
        let id = format!("msg_{}", reply.id);
        let item = message_item(reply, "in_progress", Vec::new());
        say("response.output_item.added", json!({"output_index": index, "item": item}));
        let place = json!({"item_id": id, "output_index": index, "content_index": 0});
        let with = |key: &str, value: Value| {
            let mut at = place.clone();
            at[key] = value;
            at
        };
        say("response.content_part.added", with("part", text_part("")));
        for piece in pieces(text) {
            say("response.output_text.delta", with("delta", piece.into()));
        }
        say("response.output_text.done", with("text", text.as_str().into()));
        say("response.content_part.done", with("part", text_part(text)));
        let item = message_item(reply, "completed", vec![text_part(text)]);
        say("response.output_item.done", json!({"output_index": index, "item": item}));
        index += 1;
    }
    for call in &reply.calls {
        let id = format!("fc_{}", call.id);
        let item = call_item(call, "in_progress", "");
        say("response.output_item.added", json!({"output_index": index, "item": item}));
        for piece in pieces(&call.arguments) {
            let delta = json!({"item_id": id, "output_index": index, "delta": piece});
            say("response.function_call_arguments.delta", delta);
        }
        let done = json!({"item_id": id, "output_index": index, "arguments": call.arguments});
        say("response.function_call_arguments.done", done);
        let item = call_item(call, "completed", &call.arguments);
        say("response.output_item.done", json!({"output_index": index, "item": item}));
        index += 1;
    }
    let status = end(reply.stop);
    let whole = response(reply, status, output(reply), usage(reply.usage));
    say(&format!("response.{status}"), json!({"response": whole}));
    events
}

pub(super) fn error_event(message: &str) -> String {
    let error = json!({"code": "server_error", "message": message});
    let response = json!({"id": "resp_failed", "object": "response", "status": "failed", "error": error, "output": []});
    event("response.failed", &json!({"type": "response.failed", "response": response}))
}
