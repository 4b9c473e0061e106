//! What a script asserts of the requests it gets.

use std::collections::BTreeMap;

use bus_schemas::v1::agent::Wire;
use serde::Deserialize;

use super::request::Asked;

/// What must hold for a request. Everything that is left out holds.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Expect {
    /// Texts that the last message (what its tools answered included) contains.
    pub last: Vec<String>,
    /// Texts that the last message does not contain.
    pub last_lacks: Vec<String>,
    /// Texts that are somewhere in the request's body.
    pub body: Vec<String>,
    /// Texts that are nowhere in it, headers included: keys, above all.
    pub absent: Vec<String>,
    /// Tools that it offers, among others.
    pub tools: Vec<String>,
    /// The model it names.
    pub model: Option<String>,
    /// Headers it has; an empty value is any.
    pub headers: BTreeMap<String, String>,
    /// Headers it does not have.
    pub no_headers: Vec<String>,
    /// The wire format it speaks.
    pub wire: Option<Wire>,
    /// It wants a stream, or does not.
    pub stream: Option<bool>,
    /// It asks for an answer by a JSON schema, or does not.
    pub schema: Option<bool>,
}

impl Expect {
    /// What does not hold, for people; empty if all does. Never repeats what must be absent.
    #[must_use]
    pub fn broken(&self, asked: &Asked) -> Vec<String> {
        let mut broken = Vec::new();
        let body = asked.body.to_string();
        // In JSON text, what was written over several lines or with quotes looks different.
        let in_body = |text: &str| {
            let escaped = serde_json::Value::from(text).to_string();
            body.contains(text) || body.contains(escaped.trim_matches('"'))
        };
        for text in self.last.iter().filter(|text| !asked.last.contains(text.as_str())) {
            broken.push(format!("the last message does not contain {text:?}; it is {:?}", clip(&asked.last)));
        }
        for text in self.last_lacks.iter().filter(|text| asked.last.contains(text.as_str())) {
            broken.push(format!("the last message contains {text:?}"));
        }
        for text in self.body.iter().filter(|text| !in_body(text)) {
            broken.push(format!("the request does not contain {text:?}"));
        }
        for (number, text) in self.absent.iter().enumerate() {
            let header = asked.headers.iter().find(|(_, value)| value.contains(text.as_str()));
            if let Some((name, _)) = header {
                broken.push(format!("header {name} contains entry {} of `absent`", number + 1));
            }
            if in_body(text) {
                broken.push(format!("the body contains entry {} of `absent`", number + 1));
            }
        }
        for tool in self.tools.iter().filter(|tool| !asked.tools.contains(tool)) {
            broken.push(format!("tool {tool} is not offered; these are: {}", asked.tools.join(", ")));
        }
        if let Some(model) = self.model.as_ref().filter(|model| **model != asked.model) {
            broken.push(format!("the model is {:?}, not {model:?}", asked.model));
        }
        for (name, value) in &self.headers {
            match asked.headers.get(&name.to_lowercase()) {
                None => broken.push(format!("header {name} is missing")),
                Some(found) if !value.is_empty() && found != value => {
                    broken.push(format!("header {name} is not {value:?}"));
                }
                Some(_) => {}
            }
        }
        for name in self.no_headers.iter().filter(|name| asked.headers.contains_key(&name.to_lowercase())) {
            broken.push(format!("header {name} is there"));
        }
        if let Some(wire) = self.wire.filter(|wire| *wire != asked.wire) {
            broken.push(format!("the wire format is {:?}, not {wire:?}", asked.wire));
        }
        if let Some(stream) = self.stream.filter(|stream| *stream != asked.stream) {
            broken.push(format!("stream is {}, not {stream}", asked.stream));
        }
        if let Some(schema) = self.schema.filter(|schema| *schema != asked.schema) {
            broken.push(format!("an answer by schema is asked for: {}, not {schema}", asked.schema));
        }
        broken
    }
}

fn clip(text: &str) -> String {
    let end = text.char_indices().nth(600).map_or(text.len(), |(at, _)| at);
    text[..end].to_owned()
}
