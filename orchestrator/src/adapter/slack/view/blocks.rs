//! Block Kit's building blocks, as JSON.

use serde_json::{Value, json};

use super::{limits, text};

/// What a button looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// As all the others.
    Plain,
    /// What most people will press.
    Primary,
    /// What cannot be taken back.
    Danger,
}

/// A `plain_text` object of our own words, or of words that [`text::plain`] made safe.
#[must_use]
pub fn plain(words: &str) -> Value {
    json!({"type": "plain_text", "text": words, "emoji": true})
}

/// A `mrkdwn` object that Slack does not look through for addresses, names and channels.
#[must_use]
pub fn mrkdwn(words: &str) -> Value {
    json!({"type": "mrkdwn", "text": words, "verbatim": true})
}

/// The title of a message. The words are made safe and cut.
#[must_use]
pub fn header(words: &str) -> Value {
    json!({"type": "header", "text": plain(&text::plain(words, limits::HEADER))})
}

/// A paragraph.
#[must_use]
pub fn section(words: &str) -> Value {
    json!({"type": "section", "text": mrkdwn(words)})
}

/// A paragraph with something to press beside it.
#[must_use]
pub fn beside(words: &str, accessory: &Value) -> Value {
    json!({"type": "section", "text": mrkdwn(words), "accessory": accessory})
}

/// Small grey facts; empty ones are left out, and without any there is no block.
#[must_use]
pub fn context(facts: &[String]) -> Option<Value> {
    let elements: Vec<Value> =
        facts.iter().filter(|fact| !fact.is_empty()).take(limits::CONTEXT).map(|fact| mrkdwn(fact)).collect();
    (!elements.is_empty()).then(|| json!({"type": "context", "elements": elements}))
}

/// A line.
#[must_use]
pub fn divider() -> Value {
    json!({"type": "divider"})
}

/// A row of things to press.
#[must_use]
pub fn actions(elements: &[Value]) -> Value {
    json!({"type": "actions", "elements": elements})
}

/// A button. The words are our own.
#[must_use]
pub fn button(words: &str, action_id: &str, value: &str, look: Look) -> Value {
    let mut button = json!({"type": "button", "text": plain(words), "action_id": action_id, "value": value});
    let style = match look {
        Look::Plain => return button,
        Look::Primary => "primary",
        Look::Danger => "danger",
    };
    if let Some(fields) = button.as_object_mut() {
        fields.insert("style".to_owned(), style.into());
    }
    button
}

/// The element, with a dialog that asks once more before it counts.
#[must_use]
pub fn confirmed(mut element: Value, title: &str, words: &str, yes: &str) -> Value {
    let dialog = json!({
        "title": plain(title),
        "text": mrkdwn(words),
        "confirm": plain(yes),
        "deny": plain("Go back"),
    });
    if let Some(fields) = element.as_object_mut() {
        fields.insert("confirm".to_owned(), dialog);
    }
    element
}

/// One of several things to choose. The words are our own, or made safe.
#[must_use]
pub fn option(words: &str, value: &str) -> Value {
    json!({"text": plain(words), "value": value})
}

/// A menu behind three dots.
#[must_use]
pub fn overflow(action_id: &str, options: &[Value]) -> Value {
    json!({"type": "overflow", "action_id": action_id, "options": options})
}

/// A part of a modal's form. Its `block_id` names it in the submission, and its element's `action_id` is the same.
#[must_use]
pub fn input(block_id: &str, label: &str, element: &Value, hint: &str, optional: bool) -> Value {
    let mut block = json!({
        "type": "input",
        "block_id": block_id,
        "label": plain(label),
        "element": element,
        "optional": optional,
    });
    if !hint.is_empty()
        && let Some(fields) = block.as_object_mut()
    {
        fields.insert("hint".to_owned(), plain(hint));
    }
    block
}

/// A field for text. What it begins with is shown as it is: nobody parses it.
#[must_use]
pub fn text_field(action_id: &str, lines: bool, initial: &str, placeholder: &str, most: usize) -> Value {
    let mut field = json!({
        "type": "plain_text_input",
        "action_id": action_id,
        "multiline": lines,
        "max_length": most.min(limits::INPUT),
    });
    if let Some(fields) = field.as_object_mut() {
        if !initial.is_empty() {
            fields.insert("initial_value".to_owned(), text::raw(initial, most.min(limits::INPUT)).into());
        }
        if !placeholder.is_empty() {
            fields.insert("placeholder".to_owned(), plain(placeholder));
        }
    }
    field
}
