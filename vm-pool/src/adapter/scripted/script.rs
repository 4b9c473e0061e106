//! The script file: conversations, their turns, and what goes wrong in them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::expect::Expect;

/// A script.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    /// The models it lists at `/v1/models`. It answers to any name. Default `scripted`.
    pub models: Vec<String>,
    /// The key that requests must bring, as `x-api-key` or bearer token; others get 401.
    pub require_key: Option<String>,
    /// Simulate a provider's prompt cache in the usage it reports.
    pub prompt_cache: bool,
    /// What must hold for every request.
    pub expect: Expect,
    /// The first one that matches a request answers it.
    #[serde(rename = "conversation")]
    pub conversations: Vec<Conversation>,
}

/// One conversation: what an agent with one task hears.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Conversation {
    /// Its name, for people and tests.
    pub name: String,
    /// Texts that must all be in the system prompt or the first message of the user. Empty: matches every request.
    #[serde(rename = "match")]
    pub matches: Vec<String>,
    /// What must hold for every request of this conversation.
    pub expect: Expect,
    /// What is said, turn by turn.
    #[serde(rename = "turn")]
    pub turns: Vec<Turn>,
}

/// One answer of the model.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Turn {
    /// Texts that must all be in the last message. Such a turn is outside the count: it is given whenever it applies.
    pub when: Vec<String>,
    /// What it says.
    pub text: Option<String>,
    /// What it says, as JSON.
    pub json: Option<Value>,
    /// The tools it calls.
    pub calls: Vec<Call>,
    /// What it reports as used. Default: counted from the texts, four bytes a token.
    pub usage: Option<Usage>,
    /// Why it stops: `end_turn`, `tool_use`, `max_tokens` or `refusal`. Default: by what it does.
    pub stop: Option<Stop>,
    /// It answers so many requests in a row, one for each answer before. Default 1.
    pub repeat: Option<u32>,
    /// It answers every further request.
    pub forever: bool,
    /// Wait before the answer, every time.
    pub delay_ms: u64,
    /// Wait between the events of a stream.
    pub event_delay_ms: u64,
    /// What must hold for the request.
    pub expect: Expect,
    /// What goes wrong before it goes right, one after the other.
    #[serde(rename = "fault")]
    pub faults: Vec<Fault>,
}

/// A call of a tool.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Call {
    /// The tool.
    pub tool: String,
    /// Its input: a table, or a text that is JSON.
    pub input: Option<Value>,
    /// Its input as it is, be it JSON or not.
    pub raw: Option<String>,
}

/// The five counters of a provider; `input` is without what the cache served or took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Usage {
    /// Read at full price.
    pub input: u64,
    /// Written.
    pub output: u64,
    /// Put into a cache for 5 minutes.
    pub cache_write_5m: u64,
    /// Put into a cache for an hour.
    pub cache_write_1h: u64,
    /// Served by a cache.
    pub cache_read: u64,
}

/// Why a model stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// It has said everything.
    EndTurn,
    /// It waits for its tools.
    ToolUse,
    /// Its answer was cut off at the limit.
    MaxTokens,
    /// It will not.
    Refusal,
}

/// Something that goes wrong.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What.
    pub kind: Kind,
    /// How often. Default 1.
    #[serde(default = "once")]
    pub times: u32,
    /// For `status`: which.
    #[serde(default)]
    pub status: Option<u16>,
    /// For `status`: the header `retry-after`, in seconds.
    #[serde(default)]
    pub retry_after: Option<u64>,
    /// For `status`, `error_body_with_200` and `error_event`: what it says.
    #[serde(default)]
    pub message: Option<String>,
    /// For `status`: further headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// For `cut` and `error_event`: after so many events.
    #[serde(default)]
    pub after_events: Option<usize>,
    /// For `hang`: how long.
    #[serde(default)]
    pub ms: Option<u64>,
}

/// Kinds of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An HTTP status that is no success, with the provider's error body.
    Status,
    /// The connection breaks off within the answer, after `after_events` events of a stream (default 3).
    Cut,
    /// Status 200, and an error in the body.
    #[serde(rename = "error_body_with_200")]
    ErrorBodyWith200,
    /// An error as an event of the stream, after `after_events` events (default 1).
    ErrorEvent,
    /// An answer that says nothing.
    Empty,
    /// Calls whose input breaks off within the JSON.
    InvalidToolJson,
    /// Nothing happens for `ms`, then the answer comes.
    Hang,
}

const fn once() -> u32 {
    1
}

impl Script {
    /// Reads a script (TOML).
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        let script: Self = toml::from_str(text).map_err(|e| e.to_string())?;
        script.check()?;
        Ok(script)
    }

    fn check(&self) -> Result<(), String> {
        if self.conversations.is_empty() {
            return Err("a script needs at least one [[conversation]]".to_owned());
        }
        for (index, conversation) in self.conversations.iter().enumerate() {
            let name = conversation.shown(index);
            if conversation.turns.is_empty() {
                return Err(format!("conversation {name} has no [[conversation.turn]]"));
            }
            for (number, turn) in conversation.turns.iter().enumerate() {
                turn.check().map_err(|what| format!("conversation {name}, turn {}: {what}", number + 1))?;
            }
        }
        Ok(())
    }

    /// The models it lists.
    #[must_use]
    pub fn model_names(&self) -> Vec<String> {
        if self.models.is_empty() { vec!["scripted".to_owned()] } else { self.models.clone() }
    }
}

impl Conversation {
    /// What it is called.
    #[must_use]
    pub fn shown(&self, index: usize) -> String {
        if self.name.is_empty() { format!("#{}", index + 1) } else { self.name.clone() }
    }

    /// The turn for a request with `before` answers in it and this last message; its index.
    #[must_use]
    pub fn turn(&self, before: usize, last: &str) -> Option<usize> {
        let applies = |turn: &Turn| !turn.when.is_empty() && turn.when.iter().all(|text| last.contains(text));
        if let Some(index) = self.turns.iter().position(applies) {
            return Some(index);
        }
        let mut passed = 0;
        for (index, turn) in self.turns.iter().enumerate().filter(|(_, turn)| turn.when.is_empty()) {
            passed += turn.repeat.unwrap_or(1) as usize;
            if turn.forever || before < passed {
                return Some(index);
            }
        }
        None
    }
}

impl Turn {
    fn check(&self) -> Result<(), String> {
        if self.text.is_some() && self.json.is_some() {
            return Err("say `text` or `json`, not both".to_owned());
        }
        if self.repeat == Some(0) {
            return Err("`repeat = 0` is never: leave the turn out".to_owned());
        }
        for call in &self.calls {
            if call.tool.is_empty() {
                return Err("a call names no `tool`".to_owned());
            }
            if call.raw.is_some() && call.input.is_some() {
                return Err(format!("call of {}: give `input` or `raw`, not both", call.tool));
            }
            if let Some(Value::String(text)) = &call.input
                && let Err(e) = serde_json::from_str::<Value>(text)
            {
                return Err(format!(
                    "call of {}: the text of `input` is not JSON ({e}); use `raw` for that",
                    call.tool
                ));
            }
        }
        for fault in &self.faults {
            let status = fault.status.unwrap_or(0);
            if (fault.kind == Kind::Status) != (300..=599).contains(&status) {
                return Err("a fault of kind `status` has a `status` of 300 to 599, and no other has one".to_owned());
            }
            if fault.kind == Kind::Hang && fault.ms.is_none() {
                return Err("a fault of kind `hang` says how long: `ms`".to_owned());
            }
        }
        Ok(())
    }

    /// What it says.
    #[must_use]
    pub fn said(&self) -> Option<String> {
        self.text.clone().or_else(|| self.json.as_ref().map(Value::to_string)).filter(|text| !text.is_empty())
    }
}

impl Call {
    /// The input as text, the way a model writes it.
    #[must_use]
    pub fn arguments(&self) -> String {
        match (&self.raw, &self.input) {
            (Some(raw), _) => raw.clone(),
            (None, Some(Value::String(text))) => text.clone(),
            (None, Some(input)) => input.to_string(),
            (None, None) => "{}".to_owned(),
        }
    }
}
