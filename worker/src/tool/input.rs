//! A call's input, taken apart field by field; whatever does not fit is told in one sentence.

use std::{fmt::Display, ops::RangeInclusive};

use serde_json::{Map, Value};

/// What is left of an input.
#[derive(Debug)]
pub(super) struct Input {
    tool: &'static str,
    fields: Map<String, Value>,
    known: Vec<&'static str>,
}

impl Input {
    pub(super) fn new(tool: &'static str, value: Value) -> Result<Self, String> {
        match value {
            Value::Object(fields) => Ok(Self { tool, fields, known: Vec::new() }),
            other => Err(format!("the input of `{tool}` must be an object, not {}", kind(&other))),
        }
    }

    /// A required text that is not blank.
    pub(super) fn text(&mut self, name: &'static str) -> Result<String, String> {
        let text = self.any_text(name)?;
        if text.trim().is_empty() { Err(format!("`{name}` is empty")) } else { Ok(text) }
    }

    /// A required text, maybe empty.
    pub(super) fn any_text(&mut self, name: &'static str) -> Result<String, String> {
        let tool = self.tool;
        self.optional_text(name)?.ok_or_else(|| format!("`{name}` is missing: `{tool}` needs it, a string"))
    }

    /// An optional text.
    pub(super) fn optional_text(&mut self, name: &'static str) -> Result<Option<String>, String> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(wrong(name, "a string", &other)),
        }
    }

    /// An optional whole number.
    pub(super) fn number(
        &mut self,
        name: &'static str,
        range: RangeInclusive<u64>,
        default: u64,
    ) -> Result<u64, String> {
        let wanted = format!("a whole number from {} to {}", range.start(), range.end());
        match self.value(name) {
            None => Ok(default),
            Some(value) => match value.as_u64() {
                Some(number) if range.contains(&number) => Ok(number),
                _ => Err(wrong(name, &wanted, &value)),
            },
        }
    }

    /// An optional yes or no; no.
    pub(super) fn flag(&mut self, name: &'static str) -> Result<bool, String> {
        match self.value(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(other) => Err(wrong(name, "true or false", &other)),
        }
    }

    /// An optional list.
    pub(super) fn list(&mut self, name: &'static str, most: usize) -> Result<Vec<Value>, String> {
        match self.value(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(list)) if list.len() <= most => Ok(list),
            Some(Value::Array(list)) => Err(format!("`{name}` has {} entries, at most {most} are taken", list.len())),
            Some(other) => Err(wrong(name, "a list", &other)),
        }
    }

    /// An optional list of texts that are not blank.
    pub(super) fn texts(&mut self, name: &'static str, most: usize) -> Result<Vec<String>, String> {
        let list = self.list(name, most)?;
        list.into_iter()
            .enumerate()
            .map(|(at, value)| match value {
                Value::String(text) if !text.trim().is_empty() => Ok(text),
                Value::String(_) => Err(format!("`{name}[{at}]` is empty")),
                other => Err(wrong(format!("{name}[{at}]"), "a string", &other)),
            })
            .collect()
    }

    /// Whatever is there; `null` is nothing.
    pub(super) fn value(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.fields.remove(name).filter(|value| !value.is_null())
    }

    /// Nothing may be left.
    pub(super) fn finish(self) -> Result<(), String> {
        match self.fields.keys().next() {
            None => Ok(()),
            Some(unknown) => {
                let unknown: String = unknown.chars().take(64).collect();
                Err(format!("`{}` has no field `{unknown}`; it takes: {}", self.tool, self.known.join(", ")))
            }
        }
    }
}

/// A value of the wrong kind.
pub(super) fn wrong(name: impl Display, wanted: &str, got: &Value) -> String {
    let shown = match got {
        Value::Bool(_) | Value::Number(_) => got.to_string(),
        Value::String(text) if text.len() <= 40 => got.to_string(),
        other => kind(other).to_string(),
    };
    format!("`{name}` must be {wanted}, not {shown}")
}

const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whatever_does_not_fit_is_named() {
        let input =
            || Input::new("read", json!({"path": 5, "limit": 0, "all": "yes", "tags": ["a", 1], "x": 1})).unwrap();
        assert_eq!(input().text("path").unwrap_err(), "`path` must be a string, not 5");
        assert_eq!(input().text("name").unwrap_err(), "`name` is missing: `read` needs it, a string");
        assert_eq!(input().number("limit", 1..=9, 3).unwrap_err(), "`limit` must be a whole number from 1 to 9, not 0");
        assert_eq!(input().flag("all").unwrap_err(), "`all` must be true or false, not \"yes\"");
        assert_eq!(input().texts("tags", 5).unwrap_err(), "`tags[1]` must be a string, not 1");
        assert_eq!(input().texts("tags", 1).unwrap_err(), "`tags` has 2 entries, at most 1 are taken");
        let mut rest = Input::new("read", json!({"path": "a", "lines": 3, "limit": null})).unwrap();
        assert_eq!(rest.text("path").unwrap(), "a");
        assert_eq!(rest.number("limit", 1..=9, 3).unwrap(), 3);
        assert_eq!(rest.finish().unwrap_err(), "`read` has no field `lines`; it takes: path, limit");
        assert_eq!(Input::new("read", json!(["a"])).unwrap_err(), "the input of `read` must be an object, not a list");
    }
}
