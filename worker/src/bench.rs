//! What the benchmark program measures of the worker.

use std::sync::Arc;

use bus_schemas::v1::agent::{ModelBrief, Structured, Wire};
use serde_json::json;

pub use crate::agent::bench::transcript;
use crate::{
    adapter::wire::{Decoder, Reader, Request, body},
    agent::{bench::Bench, fold},
    tool::call::ToolSpec,
};

/// A synthetic agent without model, tools and host.
#[derive(Debug)]
pub struct Session {
    agent: Bench,
    brief: ModelBrief,
    tools: Vec<ToolSpec>,
    system: String,
    answer: String,
}

impl Session {
    /// Begins.
    #[must_use]
    pub fn new() -> Self {
        let brief = ModelBrief {
            name: "bench/model".into(),
            wire: Wire::Messages,
            context_tokens: 200_000,
            max_output_tokens: 8000,
            structured: Structured::Tools,
            caching: true,
        };
        let schema = json!({"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]});
        let tool = |name| ToolSpec { name, description: "Does something.".into(), input_schema: schema.clone() };
        let tools = vec![tool("exec"), tool("read")];
        Self { agent: Bench::new(), brief, tools, system: "You are an agent. ".repeat(500), answer: stream() }
    }

    /// Writes the next request and reads the stream of an answer. Returns the bytes that were written.
    pub fn exchange(&self) -> usize {
        let context = self.agent.context.iter().map(Arc::clone).collect::<Vec<_>>();
        let request = Request {
            brief: &self.brief,
            system: &self.system,
            tools: &self.tools,
            context: &context,
            completion_tokens: false,
        };
        let written = body(&request).map_or(0, |body| body.len());
        let (mut decoder, mut reader) = (Decoder::default(), Reader::new(&self.brief));
        for event in decoder.take(self.answer.as_bytes()).unwrap_or_default() {
            // What is streamed on to people is of no interest here.
            drop(reader.event(&event));
        }
        written + reader.finish().map_or(0, |answer| answer.calls.len())
    }

    /// Takes an answer and two results in. Returns the bytes that are saved.
    pub fn turn(&mut self) -> usize {
        self.agent.turn().len()
    }
}

impl Default for Session {
    fn default() -> Self {
        Self::new()
    }
}

/// Reads a transcript back; returns its last turn.
#[must_use]
pub fn resume(transcript: &str) -> u32 {
    fold(transcript.as_bytes()).memory.turn
}

/// A streamed answer with text and two calls.
fn stream() -> String {
    let delta =
        |index: u32, delta: serde_json::Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
    let block = |index: u32, block: serde_json::Value| json!({"type": "content_block_start", "index": index, "content_block": block});
    let mut events = vec![
        json!({"type": "message_start", "message": {"usage": {"input_tokens": 9, "output_tokens": 1}}}),
        block(0, json!({"type": "text", "text": ""})),
    ];
    events.extend((0..40).map(|word| delta(0, json!({"type": "text_delta", "text": format!("word {word} ")}))));
    for index in [1, 2] {
        events.push(block(index, json!({"type": "tool_use", "id": format!("t{index}"), "name": "exec", "input": {}})));
        events.extend(
            ["{\"comm", "and\":", "\"make\"}"]
                .map(|piece| delta(index, json!({"type": "input_json_delta", "partial_json": piece}))),
        );
    }
    events.push(json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 90}}));
    events.push(json!({"type": "message_stop"}));
    events.iter().map(|event| format!("data: {event}\n\n")).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_synthetic_agent_does_what_a_real_one_does() {
        let mut session = super::Session::new();
        let written: usize = (0..20).map(|_| session.exchange() + session.turn()).sum();
        assert!(written > 20 * 10_000, "requests, answers and lines: {written}");
        assert_eq!(super::resume(&super::transcript(20)), 20);
    }
}
