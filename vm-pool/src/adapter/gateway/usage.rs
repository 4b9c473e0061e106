//! Counting: what a passing answer says about tokens, on each of the three wires, whole or streamed.

use bus_schemas::v1::agent::{Tokens, Wire};
use serde_json::Value;

/// The longest line of a stream that is read, and the longest whole answer.
const MAX_BYTES: usize = 32 * 1024 * 1024;
/// Bytes of text per token, where nobody counted: on the safe side for most languages.
pub(super) const BYTES_PER_TOKEN: u64 = 3;

/// Looks at an answer as it passes.
#[derive(Debug)]
pub(super) struct Tap {
    wire: Wire,
    form: Form,
    /// A line that is not whole yet, or the whole answer so far.
    buffer: Vec<u8>,
    /// The buffer ran over: what is in it cannot be read.
    lost: bool,
    seen: Seen,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Server-sent events.
    Events,
    /// One JSON object.
    Whole,
}

/// What is known so far. Counts in a stream are cumulative: the largest is the latest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    tokens: Tokens,
    /// The input was counted.
    input: bool,
    /// The output was counted, and not only begun.
    output: bool,
    /// Bytes of text.
    text: u64,
    /// The event that ends an answer came.
    ended: bool,
    /// The provider says that it failed.
    failed: bool,
}

impl Tap {
    pub(super) fn new(wire: Wire, events: bool) -> Self {
        let form = if events { Form::Events } else { Form::Whole };
        Self { wire, form, buffer: Vec::new(), lost: false, seen: Seen::default() }
    }

    /// A piece passes.
    pub(super) fn feed(&mut self, mut piece: &[u8]) {
        if self.form == Form::Events {
            while let Some(end) = piece.iter().position(|byte| *byte == b'\n') {
                self.keep(&piece[..end]);
                piece = &piece[end + 1..];
                let line = std::mem::take(&mut self.buffer);
                if !std::mem::take(&mut self.lost) {
                    self.line(&line);
                }
                // The next line goes into the same memory.
                self.buffer = line;
                self.buffer.clear();
            }
        }
        self.keep(piece);
    }

    fn keep(&mut self, piece: &[u8]) {
        if self.form == Form::Whole {
            self.seen.text = self.seen.text.saturating_add(piece.len() as u64);
        }
        if self.buffer.len().saturating_add(piece.len()) > MAX_BYTES {
            self.lost = true;
            self.buffer = Vec::new();
        }
        if !self.lost {
            self.buffer.extend_from_slice(piece);
        }
    }

    /// The provider's end came.
    pub(super) fn end(&mut self) {
        let rest = std::mem::take(&mut self.buffer);
        match self.form {
            Form::Events => self.line(&rest),
            Form::Whole if self.lost => {}
            Form::Whole => {
                if let Ok(answer) = serde_json::from_slice::<Value>(&rest) {
                    self.seen.ended = true;
                    self.seen.failed = answer.get("error").is_some_and(|error| !error.is_null());
                    self.usage(&answer["usage"], true);
                    if self.seen.failed {
                        self.seen.text = 0;
                    }
                }
            }
        }
    }

    /// The answer is whole, as far as the wire's own words say so.
    pub(super) const fn is_whole(&self) -> bool {
        self.seen.ended
    }

    /// The tokens to be paid. What was not counted is estimated: the input from the request, the output from its text.
    pub(super) fn tokens(&self, estimated_input: u64) -> Tokens {
        let seen = &self.seen;
        let mut tokens = seen.tokens;
        if !seen.input && (!seen.failed || seen.output || seen.text > 0) {
            tokens.input = tokens.input.max(estimated_input);
        }
        if !(seen.output && seen.ended) {
            tokens.output = tokens.output.max(seen.text.div_ceil(BYTES_PER_TOKEN));
        }
        tokens
    }

    fn line(&mut self, line: &[u8]) {
        let Some(data) = line.strip_prefix(b"data:") else { return };
        let data = data.trim_ascii();
        if data == b"[DONE]" {
            self.seen.ended = true;
            return;
        }
        let Ok(event) = serde_json::from_slice::<Value>(data) else { return };
        match self.wire {
            Wire::Messages => self.message(&event),
            Wire::ChatCompletions => self.chunk(&event),
            Wire::Responses => self.response(&event),
        }
    }

    fn message(&mut self, event: &Value) {
        match event["type"].as_str().unwrap_or_default() {
            // Its count of the output is that of the first token.
            "message_start" => self.usage(&event["message"]["usage"], false),
            "content_block_delta" => {
                for part in ["text", "partial_json", "thinking"] {
                    self.text(&event["delta"][part]);
                }
            }
            "message_delta" => self.usage(&event["usage"], true),
            "message_stop" => self.seen.ended = true,
            "error" => self.seen.failed = true,
            _ => {}
        }
    }

    fn chunk(&mut self, event: &Value) {
        if event.get("error").is_some_and(|error| !error.is_null()) {
            self.seen.failed = true;
        }
        for choice in event["choices"].as_array().into_iter().flatten() {
            let delta = &choice["delta"];
            for part in ["content", "reasoning_content", "reasoning", "refusal"] {
                self.text(&delta[part]);
            }
            for call in delta["tool_calls"].as_array().into_iter().flatten() {
                self.text(&call["function"]["name"]);
                self.text(&call["function"]["arguments"]);
            }
            if choice["finish_reason"].is_string() {
                self.seen.ended = true;
            }
        }
        self.usage(&event["usage"], true);
    }

    fn response(&mut self, event: &Value) {
        match event["type"].as_str().unwrap_or_default() {
            "response.completed" | "response.incomplete" => {
                self.usage(&event["response"]["usage"], true);
                self.seen.ended = true;
            }
            "response.failed" => {
                self.usage(&event["response"]["usage"], true);
                (self.seen.ended, self.seen.failed) = (true, true);
            }
            "error" => self.seen.failed = true,
            kind if kind.ends_with(".delta") => self.text(&event["delta"]),
            _ => {}
        }
    }

    fn text(&mut self, part: &Value) {
        let bytes = part.as_str().map_or(0, str::len) as u64;
        self.seen.text = self.seen.text.saturating_add(bytes);
    }

    /// Takes a `usage` object of any of the wires. Anthropic's input leaves the cache out, OpenAI's has it in.
    fn usage(&mut self, usage: &Value, output_counts: bool) {
        let count = |value: &Value| value.as_u64();
        let inclusive = &usage["prompt_tokens"];
        let found = if usage["input_tokens_details"].is_object() || inclusive.is_u64() || self.wire != Wire::Messages {
            let details =
                if inclusive.is_u64() { &usage["prompt_tokens_details"] } else { &usage["input_tokens_details"] };
            let cache_read = count(&details["cached_tokens"]).unwrap_or(0);
            let cache_write_5m = count(&details["cache_write_tokens"]).unwrap_or(0);
            let input = count(inclusive).or_else(|| count(&usage["input_tokens"]));
            let input = input.map(|all| all.saturating_sub(cache_read).saturating_sub(cache_write_5m));
            let output = count(&usage["completion_tokens"]).or_else(|| count(&usage["output_tokens"]));
            (input, output, cache_write_5m, 0, cache_read)
        } else {
            let split = &usage["cache_creation"];
            let written = count(&usage["cache_creation_input_tokens"]).unwrap_or(0);
            let hour = count(&split["ephemeral_1h_input_tokens"]).unwrap_or(0);
            let minutes = count(&split["ephemeral_5m_input_tokens"]).unwrap_or_else(|| written.saturating_sub(hour));
            let cache_read = count(&usage["cache_read_input_tokens"]).unwrap_or(0);
            (count(&usage["input_tokens"]), count(&usage["output_tokens"]), minutes, hour, cache_read)
        };
        let (input, output, cache_write_5m, cache_write_1h, cache_read) = found;
        let tokens = &mut self.seen.tokens;
        tokens.input = tokens.input.max(input.unwrap_or(0));
        tokens.output = tokens.output.max(output.unwrap_or(0));
        tokens.cache_write_5m = tokens.cache_write_5m.max(cache_write_5m);
        tokens.cache_write_1h = tokens.cache_write_1h.max(cache_write_1h);
        tokens.cache_read = tokens.cache_read.max(cache_read);
        self.seen.input |= input.is_some();
        self.seen.output |= output_counts && output.is_some();
    }
}

#[cfg(test)]
#[path = "usage_tests.rs"]
mod tests;
