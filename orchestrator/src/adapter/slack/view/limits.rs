//! Slack's documented limits (docs.slack.dev/reference/block-kit), and a check of everything we show against them.

use std::collections::BTreeSet;

use serde_json::Value;

use super::text::length;

/// Blocks of one message.
pub const MESSAGE_BLOCKS: usize = 50;
/// Blocks of a modal or a home tab.
pub const VIEW_BLOCKS: usize = 100;
/// The text of a message beside its blocks; Slack takes 40,000, what is shown in a notification is far shorter.
pub const MESSAGE_TEXT: usize = 3_000;
/// All texts of a message's blocks together. Slack refuses blocks that are too long altogether.
pub const MESSAGE_TOTAL: usize = 12_000;
/// A header.
pub const HEADER: usize = 150;
/// The text of a section, and of any text object.
pub const SECTION: usize = 3_000;
/// Fields of a section.
pub const FIELDS: usize = 10;
/// One field.
pub const FIELD: usize = 2_000;
/// Elements of a context.
pub const CONTEXT: usize = 10;
/// Elements of a row of actions.
pub const ACTIONS: usize = 25;
/// A button's text, an option's text, an option's description.
pub const LABEL: usize = 75;
/// A button's value.
pub const VALUE: usize = 2_000;
/// An option's value.
pub const OPTION_VALUE: usize = 150;
/// Options of an overflow menu.
pub const OVERFLOW: usize = 5;
/// Options of a select.
pub const OPTIONS: usize = 100;
/// An `action_id`, `block_id` or `callback_id`.
pub const ID: usize = 255;
/// A button's address.
pub const URL: usize = 3_000;
/// A modal's title, and its two buttons.
pub const TITLE: usize = 24;
/// A view's `private_metadata`.
pub const PRIVATE: usize = 3_000;
/// What fits into an input.
pub const INPUT: usize = 3_000;
/// The label or hint of an input.
pub const INPUT_LABEL: usize = 2_000;
/// The placeholder of an input or select.
pub const PLACEHOLDER: usize = 150;
/// The title of a dialog that asks again.
pub const CONFIRM_TITLE: usize = 100;
/// Its text.
pub const CONFIRM_TEXT: usize = 300;
/// Its buttons.
pub const CONFIRM_BUTTON: usize = 30;

/// Says what of a message is beyond a limit.
///
/// # Errors
/// One sentence: where, what, the limit.
pub fn check(text: &str, blocks: &[Value]) -> Result<(), String> {
    within("the message's text", text, 1, MESSAGE_TEXT)?;
    let mut seen = Seen::default();
    check_blocks(blocks, MESSAGE_BLOCKS, false, &mut seen)?;
    if seen.total > MESSAGE_TOTAL {
        return Err(format!("the blocks have {} characters of text, at most {MESSAGE_TOTAL} are sent", seen.total));
    }
    Ok(())
}

/// Says what of a modal or home tab is beyond a limit.
///
/// # Errors
/// One sentence: where, what, the limit.
pub fn check_view(view: &Value) -> Result<(), String> {
    let kind = text_of(view, "type");
    let blocks = view.get("blocks").and_then(Value::as_array).ok_or("the view has no blocks")?;
    let has_input = blocks.iter().any(|block| text_of(block, "type") == "input");
    match kind {
        "home" if has_input => return Err("a home tab has no submit button for its inputs".to_owned()),
        "home" => {}
        "modal" => {
            label(view, "title", TITLE, true)?;
            label(view, "submit", TITLE, has_input)?;
            label(view, "close", TITLE, false)?;
        }
        other => return Err(format!("a view is a modal or a home, not {other:?}")),
    }
    within("the callback_id", text_of(view, "callback_id"), 0, ID)?;
    within("the private_metadata", text_of(view, "private_metadata"), 0, PRIVATE)?;
    check_blocks(blocks, VIEW_BLOCKS, true, &mut Seen::default())
}

#[derive(Default)]
struct Seen {
    blocks: BTreeSet<String>,
    total: usize,
}

fn check_blocks(blocks: &[Value], most: usize, inputs: bool, seen: &mut Seen) -> Result<(), String> {
    if blocks.is_empty() || blocks.len() > most {
        return Err(format!("there are {} blocks, 1 to {most} are allowed", blocks.len()));
    }
    for (number, block) in blocks.iter().enumerate() {
        let id = text_of(block, "block_id");
        within("a block_id", id, 0, ID)?;
        if !id.is_empty() && !seen.blocks.insert(id.to_owned()) {
            return Err(format!("two blocks have the block_id {id:?}"));
        }
        one(block, inputs, seen).map_err(|why| format!("block {number} ({}): {why}", text_of(block, "type")))?;
    }
    Ok(())
}

fn one(block: &Value, inputs: bool, seen: &mut Seen) -> Result<(), String> {
    match text_of(block, "type") {
        "divider" => Ok(()),
        "header" => {
            seen.total += label(block, "text", HEADER, true)?;
            Ok(())
        }
        "section" => section(block, seen),
        "context" => {
            let elements = items(block, "elements", CONTEXT)?;
            elements.iter().try_for_each(|text| {
                seen.total += object(text, SECTION)?;
                Ok(())
            })
        }
        "actions" => {
            let mut ids = BTreeSet::new();
            items(block, "elements", ACTIONS)?.iter().try_for_each(|part| element(part, &mut ids))
        }
        "input" if inputs => {
            label(block, "label", INPUT_LABEL, true)?;
            label(block, "hint", INPUT_LABEL, false)?;
            element(block.get("element").ok_or("it has no element")?, &mut BTreeSet::new())
        }
        other => Err(format!("the type {other:?} is not used here")),
    }
}

fn section(block: &Value, seen: &mut Seen) -> Result<(), String> {
    let fields = block.get("fields").is_some();
    if let Some(text) = block.get("text") {
        seen.total += object(text, SECTION)?;
    } else if !fields {
        return Err("it has neither text nor fields".to_owned());
    }
    if fields {
        for field in items(block, "fields", FIELDS)? {
            seen.total += object(field, FIELD)?;
        }
    }
    block.get("accessory").map_or(Ok(()), |accessory| element(accessory, &mut BTreeSet::new()))
}

fn element(element: &Value, ids: &mut BTreeSet<String>) -> Result<(), String> {
    let id = text_of(element, "action_id");
    within("an action_id", id, 1, ID)?;
    if !ids.insert(id.to_owned()) {
        return Err(format!("two elements have the action_id {id:?}"));
    }
    label(element, "placeholder", PLACEHOLDER, false)?;
    if let Some(confirm) = element.get("confirm") {
        label(confirm, "title", CONFIRM_TITLE, true)?;
        object(confirm.get("text").ok_or("a confirm has no text")?, CONFIRM_TEXT)?;
        label(confirm, "confirm", CONFIRM_BUTTON, true)?;
        label(confirm, "deny", CONFIRM_BUTTON, true)?;
    }
    match text_of(element, "type") {
        "button" => {
            label(element, "text", LABEL, true)?;
            within("a button's value", text_of(element, "value"), 0, VALUE)?;
            within("a button's url", text_of(element, "url"), 0, URL)
        }
        "overflow" => items(element, "options", OVERFLOW)?.iter().try_for_each(option),
        "static_select" => items(element, "options", OPTIONS)?.iter().try_for_each(option),
        "users_select" | "number_input" => Ok(()),
        "plain_text_input" => {
            let most = element.get("max_length").and_then(Value::as_u64).unwrap_or(0);
            if most > INPUT as u64 {
                return Err(format!("an input takes {most} characters, at most {INPUT} are allowed"));
            }
            within("an input's initial value", text_of(element, "initial_value"), 0, INPUT)
        }
        other => Err(format!("the element {other:?} is not used here")),
    }
}

fn option(option: &Value) -> Result<(), String> {
    label(option, "text", LABEL, true)?;
    label(option, "description", LABEL, false)?;
    within("an option's value", text_of(option, "value"), 1, OPTION_VALUE)
}

fn items<'a>(of: &'a Value, name: &str, most: usize) -> Result<&'a Vec<Value>, String> {
    let items = of.get(name).and_then(Value::as_array).ok_or_else(|| format!("it has no {name}"))?;
    if items.is_empty() || items.len() > most {
        return Err(format!("it has {} {name}, 1 to {most} are allowed", items.len()));
    }
    Ok(items)
}

/// A `plain_text` object in a field; how long it is.
fn label(of: &Value, name: &str, most: usize, needed: bool) -> Result<usize, String> {
    match of.get(name) {
        None if needed => Err(format!("it has no {name}")),
        None => Ok(0),
        Some(text) if text_of(text, "type") != "plain_text" => Err(format!("its {name} is not plain_text")),
        Some(text) => object(text, most).map_err(|why| format!("its {name}: {why}")),
    }
}

fn object(object: &Value, most: usize) -> Result<usize, String> {
    if !matches!(text_of(object, "type"), "plain_text" | "mrkdwn") {
        return Err("a text object is plain_text or mrkdwn".to_owned());
    }
    let text = text_of(object, "text");
    within("a text", text, 1, most)?;
    Ok(length(text))
}

fn text_of<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn within(what: &str, text: &str, least: usize, most: usize) -> Result<(), String> {
    let long = length(text);
    if long < least || long > most {
        return Err(format!("{what} has {long} characters, {least} to {most} are allowed"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_slack_would_refuse_is_found() {
        let section = |text: String| json!({"type": "section", "text": {"type": "mrkdwn", "text": text}});
        let button = |id: &str, value: &str| json!({"type": "button", "action_id": id, "value": value, "text": {"type": "plain_text", "text": "x"}});
        let bad = [
            (section(String::new()), "0 characters"),
            (section("x".repeat(3001)), "3001 characters"),
            (json!({"type": "header", "text": {"type": "mrkdwn", "text": "x"}}), "not plain_text"),
            (json!({"type": "actions", "elements": [button("a", ""), button("a", "")]}), "two elements"),
            (json!({"type": "actions", "elements": [button("a", &"v".repeat(2001))]}), "2001 characters"),
            (json!({"type": "image"}), "not used here"),
        ];
        for (block, why) in bad {
            let found = check("text", std::slice::from_ref(&block)).expect_err("too much");
            assert!(found.contains(why), "{found}");
        }
        let many = vec![json!({"type": "divider"}); 51];
        assert!(check("text", &many).is_err() && check("text", &many[..50]).is_ok());
        assert!(check("", &many[..1]).is_err());
        assert!(check("text", &vec![section("x".repeat(3000)); 5]).expect_err("too much").contains("12000"));
    }

    #[test]
    fn views_have_limits_of_their_own() {
        let plain = |text: &str| json!({"type": "plain_text", "text": text});
        let blocks = json!([{"type": "divider", "block_id": "a"}]);
        assert!(check_view(&json!({"type": "modal", "title": plain("x"), "blocks": blocks})).is_ok());
        assert!(check_view(&json!({"type": "modal", "title": plain(&"x".repeat(25)), "blocks": blocks})).is_err());
        assert!(check_view(&json!({"type": "home", "blocks": [], "private_metadata": ""})).is_err());
        let twice = json!([{"type": "divider", "block_id": "a"}, {"type": "divider", "block_id": "a"}]);
        assert!(check_view(&json!({"type": "home", "blocks": twice})).expect_err("twice").contains("two blocks"));
    }
}
