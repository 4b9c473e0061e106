//! What a request weighs, and what a provider's prompt cache would have of it.

use std::collections::HashMap;

use bus_schemas::v1::agent::Wire;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    request::Asked,
    script::{Turn, Usage},
};

/// What a provider counts at least before it caches a prefix, in tokens.
const LEAST_CACHED: u64 = 16;

/// The prefixes that are in the cache, by digest, and how long they are.
#[derive(Debug, Default)]
pub(super) struct Cache {
    prefixes: HashMap<[u8; 32], u64>,
}

/// A piece of a prompt with what it does to the cache.
struct Piece {
    text: String,
    mark: Option<Mark>,
}

/// A cache breakpoint.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    FiveMinutes,
    Hour,
}

/// Four bytes a token, as a rule of thumb.
fn tokens(text: &str) -> u64 {
    (text.len() as u64).div_ceil(4)
}

/// What an answer weighs.
fn output(turn: &Turn) -> u64 {
    let calls = turn.calls.iter().map(|call| tokens(&call.arguments()) + tokens(&call.tool));
    (turn.said().map_or(0, |text| tokens(&text)) + calls.sum::<u64>()).max(1)
}

/// The usage without a cache.
pub(super) fn plain(asked: &Asked, turn: &Turn) -> Usage {
    let input = pieces(asked).iter().map(|piece| tokens(&piece.text)).sum();
    Usage { input, output: output(turn), ..Usage::default() }
}

impl Cache {
    /// The usage with what is cached by now; what this request puts into the cache is there afterwards.
    pub(super) fn usage(&mut self, asked: &Asked, turn: &Turn) -> Usage {
        let explicit = asked.wire == Wire::Messages;
        let mut usage = Usage { output: output(turn), ..Usage::default() };
        let (mut digest, mut length, mut read, mut written) = (Sha256::new(), 0, 0, 0);
        for piece in pieces(asked) {
            digest.update(piece.text.as_bytes());
            digest.update([0]);
            length += tokens(&piece.text);
            let key: [u8; 32] = digest.clone().finalize().into();
            // Anthropic caches up to breakpoints, the others whatever they have seen.
            let stored = self.prefixes.contains_key(&key) && length >= LEAST_CACHED;
            if stored && written == 0 {
                read = length;
            } else if let Some(mark) = piece.mark.filter(|_| explicit && length >= LEAST_CACHED) {
                let fresh = length - read - written;
                match mark {
                    Mark::FiveMinutes => usage.cache_write_5m += fresh,
                    Mark::Hour => usage.cache_write_1h += fresh,
                }
                written += fresh;
            }
            if !explicit || piece.mark.is_some() {
                self.prefixes.insert(key, length);
            }
        }
        usage.cache_read = read;
        usage.input = length - read - written;
        usage
    }
}

/// The prompt in the order in which a provider caches it: tools, system, messages; one piece per block.
fn pieces(asked: &Asked) -> Vec<Piece> {
    let body = &asked.body;
    let mut pieces = Vec::new();
    let mut add = |value: &Value| match value {
        Value::Null => {}
        Value::Array(list) => list.iter().for_each(|block| pieces.push(Piece::of(block))),
        other => pieces.push(Piece::of(other)),
    };
    add(&body["tools"]);
    add(&body["system"]);
    add(&body["instructions"]);
    for key in ["messages", "input"] {
        match &body[key] {
            Value::Array(list) => {
                for message in list {
                    match &message["content"] {
                        Value::Array(_) => {
                            add(&message["role"]);
                            add(&message["content"]);
                        }
                        // The short form of one block; to a provider they are the same.
                        Value::String(text) if asked.wire == Wire::Messages => {
                            add(&message["role"]);
                            add(&json!({"type": "text", "text": text}));
                        }
                        _ => add(message),
                    }
                }
            }
            other => add(other),
        }
    }
    pieces
}

impl Piece {
    fn of(block: &Value) -> Self {
        let mut block = block.clone();
        let mark = block
            .as_object_mut()
            .and_then(|block| block.remove("cache_control"))
            .map(|mark| if mark["ttl"] == "1h" { Mark::Hour } else { Mark::FiveMinutes });
        Self { text: block.to_string(), mark }
    }
}
