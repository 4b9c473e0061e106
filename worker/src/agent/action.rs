//! Actions written as JSON in a model's text, for models that call no tools: found, mended, read.

use serde_json::{Value, json};

use super::message::{Call, Input};

/// Places in a text at which an action is looked for.
const PLACES: usize = 64;

/// What a text asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Action {
    /// What is said beside it.
    pub thought: String,
    /// The calls.
    pub calls: Vec<Call>,
}

/// The JSON Schema of an action: one of the tools, by name, with its input.
#[must_use]
pub fn schema(tools: &[(String, Value)]) -> Value {
    let one = |(name, input): &(String, Value)| {
        json!({
            "type": "object",
            "properties": { "thought": {"type": "string", "maxLength": 600}, "tool": {"const": name, "type": "string"}, "input": input },
            "required": ["thought", "tool", "input"],
            "additionalProperties": false,
        })
    };
    json!({ "anyOf": tools.iter().map(one).collect::<Vec<_>>() })
}

/// What a text asks for. Text without JSON is a thought without a call; JSON that cannot be mended is a call with a broken input, and so
/// is JSON whose end was `cut` off.
#[must_use]
pub fn read(text: &str, cut: bool) -> Action {
    let Some(start) = text.find(['{', '[']) else {
        return Action { thought: text.trim().to_owned(), calls: Vec::new() };
    };
    // The first place at which an action can be read; a brace in prose is none.
    let mut at = start;
    for _ in 0..PLACES {
        let (piece, rest) = balanced(&text[at..]);
        let mend = |error| if cut { Err(error) } else { serde_json::from_str(&mended(piece)) };
        let value = serde_json::from_str::<Value>(piece).or_else(mend).ok();
        if let Some(mut action) = value.as_ref().and_then(from_value) {
            if action.thought.is_empty() {
                action.thought =
                    text[..start].trim().trim_end_matches("```json").trim_end_matches("```").trim().to_owned();
            }
            return action;
        }
        let next = if value.is_some() { text.len() - rest.len() } else { at + 1 };
        match text.get(next..).and_then(|tail| tail.find(['{', '['])) {
            Some(offset) => at = next + offset,
            None => break,
        }
    }
    if text.contains("\"tool\"") {
        let broken = Call {
            id: String::new(),
            name: tool_name(text).unwrap_or_default(),
            input: Input::Broken(text[start..].to_owned()),
        };
        return Action { thought: String::new(), calls: vec![broken] };
    }
    Action { thought: text.trim().to_owned(), calls: Vec::new() }
}

/// The name after `"tool":`, in text that is no JSON.
fn tool_name(text: &str) -> Option<String> {
    let rest = text.split_once("\"tool\"")?.1.split_once('"')?.1;
    Some(rest.split_once('"')?.0.to_owned())
}

/// An action however models write it: `{tool, input}`, `{name, arguments}`, a list of these, or `{tool_calls: […]}`.
fn from_value(value: &Value) -> Option<Action> {
    match value {
        Value::Array(items) if !items.is_empty() => {
            let actions: Option<Vec<Action>> = items.iter().map(from_value).collect();
            actions.map(|actions| Action {
                thought: actions
                    .iter()
                    .map(|action| action.thought.as_str())
                    .find(|thought| !thought.is_empty())
                    .unwrap_or_default()
                    .to_owned(),
                calls: actions.into_iter().flat_map(|action| action.calls).collect(),
            })
        }
        Value::Object(fields) => {
            if let Some(calls) = fields.get("tool_calls").or_else(|| fields.get("actions")) {
                return from_value(calls);
            }
            if let Some(function) = fields.get("function").filter(|function| function.is_object()) {
                return from_value(function);
            }
            let text = |name: &str| fields.get(name).and_then(Value::as_str);
            let name = text("tool").or_else(|| text("name")).or_else(|| text("action"))?;
            let input = ["input", "arguments", "args", "parameters"].iter().find_map(|name| fields.get(*name));
            let input = match input {
                None => Input::Json(json!({})),
                Some(Value::String(text)) => match serde_json::from_str::<Value>(text) {
                    Ok(value) => Input::Json(value),
                    Err(_) => Input::Broken(text.clone()),
                },
                Some(value) => Input::Json(value.clone()),
            };
            let thought = text("thought").unwrap_or_default().to_owned();
            Some(Action { thought, calls: vec![Call { id: String::new(), name: name.to_owned(), input }] })
        }
        _ => None,
    }
}

/// Splits behind the bracket that closes the first one, or at the end.
fn balanced(text: &str) -> (&str, &str) {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '{' | '[' if !quoted => depth += 1,
            '}' | ']' if !quoted => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return text.split_at(at + 1);
                }
            }
            _ => {}
        }
    }
    (text, "")
}

/// Mends what small models get wrong: line ends inside strings, commas before a closing bracket, brackets and quotes that are not closed.
fn mended(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let (mut open, mut quoted, mut escaped) = (Vec::new(), false, false);
    for c in text.chars() {
        if quoted {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => quoted = false,
                '\n' => {
                    out.push_str("\\n");
                    continue;
                }
                '\t' => {
                    out.push_str("\\t");
                    continue;
                }
                _ => {}
            }
            out.push(c);
            continue;
        }
        match c {
            '"' => quoted = true,
            '{' => open.push('}'),
            '[' => open.push(']'),
            '}' | ']' => {
                let kept = out.trim_end().trim_end_matches(',').len();
                out.truncate(kept);
                if open.last() == Some(&c) {
                    open.pop();
                }
            }
            _ => {}
        }
        out.push(c);
    }
    if quoted {
        if escaped {
            out.pop();
        }
        out.push('"');
    }
    let kept = out.trim_end().trim_end_matches([',', ':']).len();
    out.truncate(kept);
    out.extend(open.iter().rev());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> (String, String, Input) {
        let action = read(text, false);
        assert_eq!(action.calls.len(), 1, "{text}: {action:?}");
        (action.thought, action.calls[0].name.clone(), action.calls[0].input.clone())
    }

    #[test]
    fn actions_are_found_wherever_they_are() {
        let input = Input::Json(json!({"command": "ls {a}"}));
        for text in [
            r#"{"thought":"look","tool":"exec","input":{"command":"ls {a}"}}"#,
            "look\n```json\n{\"tool\":\"exec\",\"input\":{\"command\":\"ls {a}\"}}\n```\nThat is all.",
            r#"look {"name":"exec","arguments":"{\"command\":\"ls {a}\"}"}"#,
            r#"look [{"function":{"name":"exec","arguments":{"command":"ls {a}"}}}]"#,
        ] {
            assert_eq!(one(text), ("look".into(), "exec".into(), input.clone()), "{text}");
        }
        let (_, name, found) =
            one("In {braces} there is: {\"tool\": \"exec\", \"input\": {\"command\": \"ls {a}\",},}");
        assert_eq!((name.as_str(), found), ("exec", input), "prose with braces, and commas too many");
        let two = read(r#"[{"tool":"read","input":{"path":"a"}},{"tool":"read","input":{"path":"b"}}]"#, false);
        assert_eq!(two.calls.len(), 2);
    }

    #[test]
    fn what_was_cut_is_mended_and_what_makes_no_sense_is_said_to_be_broken() {
        let (_, name, input) = one("{\"tool\":\"write\",\"input\":{\"path\":\"a\",\"content\":\"line 1\nline 2");
        assert_eq!((name.as_str(), input), ("write", Input::Json(json!({"path": "a", "content": "line 1\nline 2"}))));
        let cut = read("{\"tool\":\"write\",\"input\":{\"path\":\"a\",\"content\":\"line 1", true);
        assert!(matches!(cut.calls[0].input, Input::Broken(_)), "half a file is not written");
        let (_, name, input) = one(r#"{"tool":"exec","input":{"command" ls}}"#);
        assert!(name == "exec" && matches!(input, Input::Broken(_)));
        assert_eq!(read("I am done.", false).calls, []);
        assert_eq!(read("a set {1, 2} and [x]", false).calls, []);
        assert_eq!(read("", false).thought, "");
    }
}
