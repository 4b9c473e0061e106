//! OpenAI chat completions.

use serde_json::{Value, json};

use super::{
    script::{Stop, Usage},
    speak::{Reply, data, pieces},
};

const fn finish_reason(stop: Stop) -> &'static str {
    match stop {
        Stop::EndTurn => "stop",
        Stop::ToolUse => "tool_calls",
        Stop::MaxTokens => "length",
        Stop::Refusal => "content_filter",
    }
}

fn usage(usage: Usage) -> Value {
    let prompt = usage.input + usage.cache_read + usage.cache_write_5m + usage.cache_write_1h;
    json!({
        "prompt_tokens": prompt,
        "completion_tokens": usage.output,
        "total_tokens": prompt + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    })
}

pub(super) fn body(reply: &Reply) -> Value {
    let mut message = json!({"role": "assistant", "content": reply.text, "refusal": null});
    if !reply.calls.is_empty() {
        let call = |c: &super::speak::Called| json!({"id": c.id, "type": "function", "function": {"name": c.tool, "arguments": c.arguments}});
        message["tool_calls"] = reply.calls.iter().map(call).collect();
    }
    json!({
        "id": format!("chatcmpl-{}", reply.id),
        "object": "chat.completion",
        "created": 1_760_000_000,
        "model": reply.model,
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": finish_reason(reply.stop)}],
        "usage": usage(reply.usage),
    })
}

pub(super) fn events(reply: &Reply) -> Vec<String> {
    let chunk = |choices: Value, used: Value| {
        let mut chunk = json!({
            "id": format!("chatcmpl-{}", reply.id),
            "object": "chat.completion.chunk",
            "created": 1_760_000_000,
            "model": reply.model,
            "choices": choices,
        });
        if reply.stream_usage {
            chunk["usage"] = used;
        }
        data(&chunk)
    };
    let delta = |delta: Value, finish: Value| {
        chunk(json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]), Value::Null)
    };
    let content = if reply.calls.is_empty() || reply.text.is_some() { json!("") } else { Value::Null };
    let mut events = vec![delta(json!({"role": "assistant", "content": content, "refusal": null}), Value::Null)];
    for piece in reply.text.iter().flat_map(|text| pieces(text)) {
        events.push(delta(json!({"content": piece}), Value::Null));
    }
    for (index, call) in reply.calls.iter().enumerate() {
        let function = json!({"name": call.tool, "arguments": ""});
        let begin = json!({"index": index, "id": call.id, "type": "function", "function": function});
        events.push(delta(json!({"tool_calls": [begin]}), Value::Null));
        for piece in pieces(&call.arguments) {
            let next = json!({"index": index, "function": {"arguments": piece}});
            events.push(delta(json!({"tool_calls": [next]}), Value::Null));
        }
    }
    events.push(delta(json!({}), finish_reason(reply.stop).into()));
    if reply.stream_usage {
        events.push(chunk(json!([]), usage(reply.usage)));
    }
    events.push("data: [DONE]\n\n".to_owned());
    events
}

pub(super) fn error(status: u16, message: &str) -> Value {
    let (kind, code) = match status {
        400 | 404 => ("invalid_request_error", Value::Null),
        401 => ("invalid_request_error", "invalid_api_key".into()),
        429 => ("requests", "rate_limit_exceeded".into()),
        _ => ("server_error", Value::Null),
    };
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
}
