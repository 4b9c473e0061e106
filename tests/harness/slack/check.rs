//! Slack's documented limits of messages, blocks and views.

use std::collections::BTreeSet;

use serde_json::Value;

use super::elements;

/// Where blocks may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Surface {
    Message,
    Modal,
    Home,
}

/// Collects what is wrong, with the place.
#[derive(Debug, Default)]
pub(super) struct Check {
    pub(super) found: Vec<String>,
}

impl Check {
    pub(super) fn wrong(&mut self, at: &str, what: impl std::fmt::Display) {
        self.found.push(format!("{at}: {what}"));
    }

    /// A string of `min` to `max` characters.
    pub(super) fn length(&mut self, at: &str, value: &Value, min: usize, max: usize) {
        let Some(text) = value.as_str() else { return self.wrong(at, format!("{value} is no text")) };
        let count = text.chars().count();
        if count < min || count > max {
            self.wrong(at, format!("{count} characters, {min} to {max} are allowed"));
        }
    }

    /// The same where the string may be missing.
    pub(super) fn optional(&mut self, at: &str, value: &Value, max: usize) {
        if !value.is_null() {
            self.length(at, value, 1, max);
        }
    }

    /// An array of `min` to `max`.
    pub(super) fn list<'v>(&mut self, at: &str, value: &'v Value, min: usize, max: usize) -> &'v [Value] {
        let Some(list) = value.as_array() else {
            self.wrong(at, format!("{value} is no list"));
            return &[];
        };
        if list.len() < min || list.len() > max {
            self.wrong(at, format!("{} of them, {min} to {max} are allowed", list.len()));
        }
        list
    }

    /// A text object.
    pub(super) fn text(&mut self, at: &str, value: &Value, plain_only: bool, max: usize) {
        let kind = value["type"].as_str().unwrap_or_default();
        if !(kind == "plain_text" || kind == "mrkdwn" && !plain_only) {
            self.wrong(at, format!("a text object of type {kind:?}"));
        }
        if kind == "mrkdwn" && !value["emoji"].is_null() {
            self.wrong(at, "emoji is only for plain_text");
        }
        if kind == "plain_text" && !value["verbatim"].is_null() {
            self.wrong(at, "verbatim is only for mrkdwn");
        }
        self.fields(at, value, &["type", "text", "emoji", "verbatim"]);
        self.length(&format!("{at}.text"), &value["text"], 1, max);
        if kind == "mrkdwn" {
            self.markup(at, value["text"].as_str().unwrap_or_default());
        }
    }

    /// Text with markup must not call a whole channel.
    fn markup(&mut self, at: &str, text: &str) {
        for call in ["<!channel", "<!here", "<!everyone", "<!subteam"] {
            if text.contains(call) {
                self.wrong(at, format!("{call} would call many people"));
            }
        }
    }

    /// Only these keys.
    pub(super) fn fields(&mut self, at: &str, value: &Value, known: &[&str]) {
        let Some(object) = value.as_object() else { return self.wrong(at, format!("{value} is no object")) };
        for key in object.keys().filter(|key| !known.contains(&key.as_str())) {
            self.wrong(at, format!("no field {key:?} is known here"));
        }
    }

    /// The blocks of a surface.
    pub(super) fn blocks(&mut self, at: &str, blocks: &Value, surface: Surface) {
        let max = if surface == Surface::Message { 50 } else { 100 };
        let min = usize::from(surface != Surface::Message);
        let mut ids = BTreeSet::new();
        for (number, block) in self.list(at, blocks, min, max).iter().enumerate() {
            let at = format!("{at}[{number}]");
            if let Some(id) = block["block_id"].as_str() {
                if !ids.insert(id) {
                    self.wrong(&at, format!("block_id {id:?} is there twice"));
                }
                self.length(&format!("{at}.block_id"), &block["block_id"], 1, 255);
            }
            self.block(&at, block, surface);
        }
    }

    fn block(&mut self, at: &str, block: &Value, surface: Surface) {
        match block["type"].as_str().unwrap_or_default() {
            "section" => {
                self.fields(at, block, &["type", "block_id", "text", "fields", "accessory", "expand"]);
                if block["text"].is_null() && block["fields"].is_null() {
                    self.wrong(at, "a section has text or fields");
                }
                if !block["text"].is_null() {
                    self.text(&format!("{at}.text"), &block["text"], false, 3_000);
                }
                if !block["fields"].is_null() {
                    for field in self.list(&format!("{at}.fields"), &block["fields"], 1, 10) {
                        self.text(&format!("{at}.fields"), field, false, 2_000);
                    }
                }
                if !block["accessory"].is_null() {
                    elements::element(self, &format!("{at}.accessory"), &block["accessory"], elements::Place::Section);
                }
            }
            "header" => {
                self.fields(at, block, &["type", "block_id", "text", "level"]);
                self.text(&format!("{at}.text"), &block["text"], true, 150);
            }
            "divider" => self.fields(at, block, &["type", "block_id"]),
            "context" => {
                self.fields(at, block, &["type", "block_id", "elements"]);
                for part in self.list(&format!("{at}.elements"), &block["elements"], 1, 10) {
                    match part["type"].as_str() {
                        Some("image") => self.length(&format!("{at}.alt_text"), &part["alt_text"], 1, 2_000),
                        _ => self.text(&format!("{at}.elements"), part, false, 2_000),
                    }
                }
            }
            "actions" => {
                self.fields(at, block, &["type", "block_id", "elements"]);
                let mut ids = BTreeSet::new();
                for (number, part) in self.list(&format!("{at}.elements"), &block["elements"], 1, 25).iter().enumerate()
                {
                    let at = format!("{at}.elements[{number}]");
                    if !ids.insert(part["action_id"].as_str().unwrap_or_default()) {
                        self.wrong(&at, format!("action_id {} is there twice in the block", part["action_id"]));
                    }
                    elements::element(self, &at, part, elements::Place::Actions);
                }
            }
            "input" => {
                let known = ["type", "block_id", "label", "element", "dispatch_action", "hint", "optional"];
                self.fields(at, block, &known);
                self.text(&format!("{at}.label"), &block["label"], true, 2_000);
                if !block["hint"].is_null() {
                    self.text(&format!("{at}.hint"), &block["hint"], true, 2_000);
                }
                elements::element(self, &format!("{at}.element"), &block["element"], elements::Place::Input);
            }
            "image" => {
                self.length(&format!("{at}.alt_text"), &block["alt_text"], 1, 2_000);
                self.optional(&format!("{at}.image_url"), &block["image_url"], 3_000);
            }
            "markdown" if surface == Surface::Message => self.length(at, &block["text"], 1, 12_000),
            "rich_text" => {
                self.fields(at, block, &["type", "block_id", "elements"]);
                self.list(&format!("{at}.elements"), &block["elements"], 1, 1_000);
                self.rich(at, block);
            }
            other => self.wrong(at, format!("no block of type {other:?} is allowed here")),
        }
    }

    /// Rich text must not call a whole channel either.
    fn rich(&mut self, at: &str, value: &Value) {
        match value {
            Value::Object(map) => {
                if matches!(map.get("type").and_then(Value::as_str), Some("broadcast" | "usergroup")) {
                    self.wrong(at, "it would call many people");
                }
                map.values().for_each(|v| self.rich(at, v));
            }
            Value::Array(list) => list.iter().for_each(|v| self.rich(at, v)),
            _ => {}
        }
    }

    /// The text and blocks of a message.
    pub(super) fn message(&mut self, at: &str, args: &Value) {
        let has_blocks = args["blocks"].as_array().is_some_and(|list| !list.is_empty());
        if args["text"].as_str().is_none_or(str::is_empty) {
            let why = if has_blocks { "notifications and screen readers need it beside blocks" } else { "no_text" };
            self.wrong(&format!("{at}.text"), why);
        } else {
            self.length(&format!("{at}.text"), &args["text"], 1, 4_000);
            self.markup(&format!("{at}.text"), args["text"].as_str().unwrap_or_default());
        }
        if !args["blocks"].is_null() {
            self.blocks(&format!("{at}.blocks"), &args["blocks"], Surface::Message);
        }
        if !args["metadata"].is_null() {
            self.fields(&format!("{at}.metadata"), &args["metadata"], &["event_type", "event_payload"]);
            self.length(&format!("{at}.metadata.event_type"), &args["metadata"]["event_type"], 1, 255);
            if !args["metadata"]["event_payload"].is_object() {
                self.wrong(&format!("{at}.metadata.event_payload"), "it is no object");
            }
            if args["metadata"].to_string().len() > 16_000 {
                self.wrong(&format!("{at}.metadata"), "it is too large");
            }
        }
    }

    /// A modal or a home tab.
    pub(super) fn view(&mut self, at: &str, view: &Value, home: bool) {
        let kind = view["type"].as_str().unwrap_or_default();
        if kind != if home { "home" } else { "modal" } {
            self.wrong(at, format!("a view of type {kind:?}"));
        }
        let known = [
            "type",
            "title",
            "blocks",
            "close",
            "submit",
            "private_metadata",
            "callback_id",
            "clear_on_close",
            "notify_on_close",
            "external_id",
            "submit_disabled",
        ];
        self.fields(at, view, &known);
        self.blocks(&format!("{at}.blocks"), &view["blocks"], if home { Surface::Home } else { Surface::Modal });
        if !view["private_metadata"].is_null() {
            self.length(&format!("{at}.private_metadata"), &view["private_metadata"], 0, 3_000);
        }
        self.optional(&format!("{at}.callback_id"), &view["callback_id"], 255);
        self.optional(&format!("{at}.external_id"), &view["external_id"], 255);
        if home {
            return;
        }
        self.text(&format!("{at}.title"), &view["title"], true, 24);
        for name in ["submit", "close"].iter().filter(|name| !view[**name].is_null()) {
            self.text(&format!("{at}.{name}"), &view[*name], true, 24);
        }
        let asks = view["blocks"].as_array().into_iter().flatten().any(|block| block["type"] == "input");
        if asks && view["submit"].is_null() {
            self.wrong(at, "a modal with inputs needs submit");
        }
    }
}
