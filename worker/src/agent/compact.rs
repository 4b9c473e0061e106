//! Making room in the context: first what tools printed long ago goes, then the turns themselves, but for the last ones and the digest.
//!
//! A compaction is a line of the transcript like any other, so that whoever reads it back sees the same context.

use std::sync::Arc;

use serde_json::Value;

use super::{
    memory::{Entry, Memory},
    message::{Call, Input, Message, Outcome},
    state::ModelLimits,
    transcript::Line,
    words::{clip, one_line},
};

/// Bytes of a token, on the cautious side.
pub const TOKEN_BYTES: usize = 3;
/// Turns that stay as they are, if they fit.
const KEEP_TURNS: u32 = 6;
/// Results up to this size are not worth eliding, in bytes.
const SHORT_BYTES: usize = 240;
/// The least that is left of a text of the last turns, in bytes.
const LEAST_BYTES: usize = 300;

/// How many bytes of messages a model takes beside `fixed_bytes` of system prompt and tools.
#[must_use]
pub fn room(model: ModelLimits, fixed_bytes: usize) -> usize {
    let input = model.context_tokens - output_tokens(model);
    (input as usize * TOKEN_BYTES).saturating_sub(fixed_bytes).max(2000)
}

/// How long an answer may be: never so long that it leaves no room for a question.
#[must_use]
pub fn output_tokens(model: ModelLimits) -> u32 {
    model.max_output_tokens.min(model.context_tokens / 4)
}

/// The lines that make room, if room is short: more than four fifths of `room` bytes are used, or the model said so `squeezes` times.
#[must_use]
pub fn plan(memory: &Memory, room: usize, squeezes: u32) -> Vec<Line> {
    let used = memory.bytes();
    if squeezes == 0 && used <= room / 5 * 4 {
        return Vec::new();
    }
    let goal = (room / 2).min(used) >> squeezes;
    let first_kept = |turns: u32| (memory.turn + 1).saturating_sub(turns);
    let before = first_kept(KEEP_TURNS);
    let mut elided = memory.window.clone();
    elide(&mut elided, before);
    if bytes(&elided) <= goal {
        return vec![Line::Elided { before }];
    }
    let opening = memory.opening.clone().unwrap_or_default();
    for turns in [KEEP_TURNS, 4, 3, 2, 1] {
        let before = first_kept(turns);
        let recap = memory.digest.recap(before, goal / 2);
        let mut window = memory.window.clone();
        compact(&mut window, before, opening.clone(), recap.clone(), None);
        if bytes(&window) <= goal {
            return vec![Line::Compacted { before, recap, clip_bytes: None }];
        }
    }
    // Even one turn is too much: its texts are cut.
    let before = first_kept(1);
    let recap = memory.digest.recap(before, goal / 2);
    let texts: usize =
        memory.window.iter().filter(|entry| entry.turn >= before).map(|entry| texts(&entry.message)).sum();
    let left = goal.saturating_sub(opening.len() + recap.len());
    let clip_bytes = Some((left / texts.max(1)).max(LEAST_BYTES));
    vec![Line::Compacted { before, recap, clip_bytes }]
}

fn bytes(window: &[Entry]) -> usize {
    window.iter().map(|entry| entry.message.bytes()).sum()
}

fn texts(message: &Message) -> usize {
    match message {
        Message::User(_) => 1,
        Message::Model { calls, .. } => 1 + calls.len(),
        Message::Results(results) => results.len(),
    }
}

/// Leaves one line of each long result, and of each long text in a call, of the turns before `before`.
pub fn elide(window: &mut [Entry], before: u32) {
    for entry in window.iter_mut().filter(|entry| entry.turn < before) {
        match entry.message.as_ref() {
            Message::Results(results) if results.iter().any(|result| result.text.len() > SHORT_BYTES) => {
                let short = |result: &Outcome| Outcome { text: elided(&result.text), ..result.clone() };
                entry.message = Arc::new(Message::Results(results.iter().map(short).collect()));
            }
            Message::Model { text, calls } if entry.message.bytes() > 2 * SHORT_BYTES => {
                let calls = calls.iter().map(|call| shorten(call, SHORT_BYTES)).collect();
                entry.message = Arc::new(Message::Model { text: text.clone(), calls });
            }
            _ => {}
        }
    }
}

fn elided(text: &str) -> String {
    if text.len() <= SHORT_BYTES {
        return text.to_owned();
    }
    format!("[{} bytes left out, beginning with: {}]", text.len(), one_line(text, 120))
}

/// Drops the turns before `before` and puts `opening` and `recap` in their place.
pub fn compact(window: &mut Vec<Entry>, before: u32, opening: String, recap: String, clip_bytes: Option<usize>) {
    let top = |text: String| Entry { turn: 0, message: Arc::new(Message::User(text)) };
    let mut kept = vec![top(opening), top(recap)];
    kept.extend(window.drain(..).filter(|entry| entry.turn >= before.max(1)));
    if let Some(limit) = clip_bytes {
        for entry in kept.iter_mut().skip(2) {
            entry.message = Arc::new(clipped(&entry.message, limit));
        }
    }
    *window = kept;
}

fn clipped(message: &Message, limit: usize) -> Message {
    match message {
        Message::User(text) => Message::User(clip(text, limit)),
        Message::Model { text, calls } => {
            Message::Model { text: clip(text, limit), calls: calls.iter().map(|call| shorten(call, limit)).collect() }
        }
        Message::Results(results) => {
            let cut = |result: &Outcome| Outcome { text: clip(&result.text, limit), ..result.clone() };
            Message::Results(results.iter().map(cut).collect())
        }
    }
}

/// A call whose long texts are cut.
fn shorten(call: &Call, limit: usize) -> Call {
    let input = match &call.input {
        Input::Json(value) => Input::Json(short_value(value, limit)),
        Input::Broken(text) => Input::Broken(clip(text, limit)),
    };
    Call { id: call.id.clone(), name: call.name.clone(), input }
}

fn short_value(value: &Value, limit: usize) -> Value {
    match value {
        Value::String(text) if text.len() > limit => Value::String(clip(text, limit)),
        Value::Array(items) => items.iter().map(|item| short_value(item, limit)).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), short_value(value, limit)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}
