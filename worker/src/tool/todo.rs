//! `todo`: the agent's own list of what is to be done.

use std::sync::{Arc, PoisonError};

use serde_json::{Value, json};

use super::{
    bench::{Reply, Shop},
    call::ToolSpec,
    input::{Input, wrong},
};

pub(super) const NAME: &str = "todo";
const MAX_ITEMS: usize = 100;
const ITEM_BYTES: usize = 500;
/// The words, and the marks that stand for them.
const STATES: [(&str, &str); 3] = [("open", "[ ]"), ("doing", "[>]"), ("done", "[x]")];

/// The list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Todo(Vec<(String, &'static str)>);

impl Todo {
    /// An item per line.
    pub(super) fn render(&self) -> String {
        let mark = |state: &str| STATES.iter().find(|(word, _)| *word == state).map_or("[ ]", |(_, mark)| mark);
        self.0.iter().map(|(text, state)| format!("{} {text}", mark(state))).collect::<Vec<_>>().join("\n")
    }

    pub(super) fn to_value(&self) -> Value {
        self.0.iter().map(|(text, state)| json!({"text": text, "state": state})).collect()
    }

    pub(super) fn from_value(value: &Value) -> Option<Self> {
        let items = value.as_array()?.iter().enumerate().map(|(at, item)| item_of(at, item.clone()));
        items.collect::<Result<_, _>>().ok().map(Self)
    }
}

pub(super) fn spec() -> ToolSpec {
    ToolSpec {
        name: NAME,
        description: "Keep a list of what is to be done, for work of several steps: give the whole list each time. Without `items` it is \
                      shown."
            .into(),
        input_schema: json!({
            "type": "object",
            "properties": {
                "items": {
                    "type": "array",
                    "maxItems": MAX_ITEMS,
                    "items": {
                        "type": "object",
                        "properties": {
                            "text": {"type": "string"},
                            "state": {"type": "string", "enum": ["open", "doing", "done"]}
                        },
                        "required": ["text", "state"],
                        "additionalProperties": false
                    }
                }
            },
            "additionalProperties": false
        }),
    }
}

pub(super) fn call(shop: &Arc<Shop>, mut input: Input) -> Result<Reply, String> {
    let given = input.value("items");
    input.finish()?;
    let mut todo = shop.todo.lock().unwrap_or_else(PoisonError::into_inner);
    match given {
        None => {}
        Some(Value::Array(items)) if items.len() <= MAX_ITEMS => {
            let items = items.into_iter().enumerate().map(|(at, item)| item_of(at, item));
            *todo = Todo(items.collect::<Result<_, _>>()?);
        }
        Some(Value::Array(items)) => {
            return Err(format!("`items` has {} entries, at most {MAX_ITEMS} are taken", items.len()));
        }
        Some(other) => return Err(wrong("items", "a list", &other)),
    }
    let text = todo.render();
    Ok(Reply::text(if text.is_empty() { "(the list is empty)".into() } else { text }))
}

fn item_of(at: usize, item: Value) -> Result<(String, &'static str), String> {
    let Value::Object(fields) = &item else { return Err(wrong(format!("items[{at}]"), "an object", &item)) };
    if let Some(unknown) = fields.keys().find(|key| !["text", "state"].contains(&key.as_str())) {
        return Err(format!(
            "`items[{at}]` has no field `{}`; it takes: text, state",
            unknown.chars().take(64).collect::<String>()
        ));
    }
    let text = match fields.get("text") {
        Some(Value::String(text)) if !text.trim().is_empty() => text.trim().replace('\n', " "),
        Some(Value::String(_)) => return Err(format!("`items[{at}].text` is empty")),
        Some(other) => return Err(wrong(format!("items[{at}].text"), "a string", other)),
        None => return Err(format!("`items[{at}].text` is missing")),
    };
    if text.len() > ITEM_BYTES {
        return Err(format!("`items[{at}].text` has {} bytes, at most {ITEM_BYTES} are taken", text.len()));
    }
    let state = fields.get("state").unwrap_or(&Value::Null);
    let known = STATES.iter().find(|(word, _)| state.as_str() == Some(word));
    let (state, _) = known.ok_or_else(|| wrong(format!("items[{at}].state"), "open, doing or done", state))?;
    Ok((text, state))
}
