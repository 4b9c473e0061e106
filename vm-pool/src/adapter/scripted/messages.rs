//! Anthropic Messages.

use serde_json::{Value, json};

use super::{
    script::{Stop, Usage},
    speak::{Reply, event, pieces},
};

const fn stop_reason(stop: Stop) -> &'static str {
    match stop {
        Stop::EndTurn => "end_turn",
        Stop::ToolUse => "tool_use",
        Stop::MaxTokens => "max_tokens",
        Stop::Refusal => "refusal",
    }
}

fn usage(usage: Usage, output: u64) -> Value {
    json!({
        "input_tokens": usage.input,
        "cache_creation_input_tokens": usage.cache_write_5m + usage.cache_write_1h,
        "cache_read_input_tokens": usage.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write_5m,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        },
        "output_tokens": output,
        "service_tier": "standard",
    })
}

fn message(reply: &Reply, content: Vec<Value>, stop: Value, output: u64) -> Value {
    json!({
        "id": format!("msg_{}", reply.id),
        "type": "message",
        "role": "assistant",
        "model": reply.model,
        "content": content,
        "stop_reason": stop,
        "stop_sequence": null,
        "usage": usage(reply.usage, output),
    })
}

pub(super) fn body(reply: &Reply) -> Value {
    let text = reply.text.iter().map(|text| json!({"type": "text", "text": text}));
    let calls = reply.calls.iter().map(|call| {
        // In one piece there is no input that is no JSON; a text in its place comes nearest.
        let input = serde_json::from_str(&call.arguments).unwrap_or_else(|_| json!(call.arguments));
        json!({"type": "tool_use", "id": call.id, "name": call.tool, "input": input})
    });
    message(reply, text.chain(calls).collect(), stop_reason(reply.stop).into(), reply.usage.output)
}

pub(super) fn events(reply: &Reply) -> Vec<String> {
    let start = message(reply, Vec::new(), Value::Null, reply.usage.output.min(1));
    let mut events = vec![event("message_start", &json!({"type": "message_start", "message": start}))];
    let mut index = 0;
    let mut block = |begin: Value, deltas: Vec<Value>| {
        events.push(event(
            "content_block_start",
            &json!({"type": "content_block_start", "index": index, "content_block": begin}),
        ));
        if index == 0 {
            events.push(event("ping", &json!({"type": "ping"})));
        }
        for delta in deltas {
            let value = json!({"type": "content_block_delta", "index": index, "delta": delta});
            events.push(event("content_block_delta", &value));
        }
        events.push(event("content_block_stop", &json!({"type": "content_block_stop", "index": index})));
        index += 1;
    };
    if let Some(text) = &reply.text {
        let deltas = pieces(text).into_iter().map(|piece| json!({"type": "text_delta", "text": piece})).collect();
        block(json!({"type": "text", "text": ""}), deltas);
    }
    for call in &reply.calls {
        let parts = [""].into_iter().chain(pieces(&call.arguments));
        let deltas = parts.map(|piece| json!({"type": "input_json_delta", "partial_json": piece})).collect();
        block(json!({"type": "tool_use", "id": call.id, "name": call.tool, "input": {}}), deltas);
    }
    let delta = json!({
        "type": "message_delta",
        "delta": {"stop_reason": stop_reason(reply.stop), "stop_sequence": null},
        "usage": usage(reply.usage, reply.usage.output),
    });
    events.push(event("message_delta", &delta));
    events.push(event("message_stop", &json!({"type": "message_stop"})));
    events
}

pub(super) fn error(status: u16, message: &str) -> Value {
    let kind = match status {
        400 => "invalid_request_error",
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        _ => "api_error",
    };
    json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_scripted"})
}
