//! A request's body: the few members the gateway reads, and the two it may write, byte for byte.

use std::ops::Range;

use bus_schemas::v1::agent::Wire;
use bytes::Bytes;
use serde::de::IgnoredAny;

/// What the gateway knows of a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Scanned {
    /// What was asked for.
    pub(super) model: String,
    /// The answer is to be a stream.
    pub(super) stream: bool,
    /// The most tokens of the answer, if the request says so.
    pub(super) max_output: Option<u64>,
    /// What the provider is asked to do by itself, if it is: the first such thing.
    pub(super) server_tools: Option<String>,
    /// Where the model's value is.
    model_at: Range<usize>,
    /// Where `stream_options` is, and whether it asks for usage.
    stream_options: Option<(Range<usize>, bool)>,
    /// Where the closing brace is.
    end: usize,
}

/// The members that mean something to the gateway. Twice the same would leave open which of them counts.
const READ: [&str; 10] = [
    "model",
    "stream",
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "stream_options",
    "tools",
    "mcp_servers",
    "plugins",
    "web_search_options",
];

/// Tools of Anthropic's that run at the caller's; a date follows.
const CLIENT_TOOLS: [&str; 4] = ["bash_", "text_editor_", "computer_", "memory_"];

/// Of an entry of `tools`, what tells who runs it.
#[derive(serde::Deserialize)]
struct Tool {
    #[serde(default, rename = "type")]
    kind: Option<String>,
}

impl Tool {
    fn runs_at_the_callers(&self) -> bool {
        let is_date = |rest: &str| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit());
        match self.kind.as_deref() {
            None | Some("function" | "custom") => true,
            Some(kind) => CLIENT_TOOLS.iter().any(|name| kind.strip_prefix(name).is_some_and(is_date)),
        }
    }
}

/// Reads the outermost members of a JSON object.
///
/// # Errors
/// What is wrong with it, for the caller.
pub(super) fn scan(body: &[u8]) -> Result<Scanned, String> {
    let mut found = Scanned::default();
    let mut seen = Vec::new();
    let mut at = skip_space(body, 0);
    if body.get(at) != Some(&b'{') {
        return Err("the body is not a JSON object".to_owned());
    }
    at = skip_space(body, at + 1);
    if body.get(at) == Some(&b'}') {
        return Err("the body has no member `model`".to_owned());
    }
    loop {
        let (key, key_at) = value::<String>(body, at)?;
        at = skip_space(body, key_at.end);
        if body.get(at) != Some(&b':') {
            return Err(no_json(at));
        }
        let (_, place) = value::<IgnoredAny>(body, at + 1)?;
        at = skip_space(body, place.end);
        if READ.contains(&key.as_str()) {
            if seen.contains(&key) {
                return Err(format!("the member `{key}` is there twice"));
            }
            take(&mut found, &key, &body[place.clone()], place)?;
            seen.push(key);
        }
        match body.get(at) {
            Some(b',') => at = skip_space(body, at + 1),
            Some(b'}') => break,
            _ => return Err(no_json(at)),
        }
    }
    found.end = at;
    if skip_space(body, at + 1) != body.len() {
        return Err(no_json(at + 1));
    }
    if found.model.is_empty() {
        return Err("the body has no member `model`".to_owned());
    }
    Ok(found)
}

fn take(found: &mut Scanned, key: &str, text: &[u8], place: Range<usize>) -> Result<(), String> {
    match key {
        "model" => {
            found.model = serde_json::from_slice(text).map_err(|_| "`model` is not a string".to_owned())?;
            found.model_at = place;
        }
        "stream" => found.stream = text == b"true",
        "stream_options" => {
            let usage = serde_json::from_slice::<serde_json::Value>(text)
                .is_ok_and(|options| options["include_usage"] == serde_json::Value::Bool(true));
            found.stream_options = Some((place, usage));
        }
        "tools" => {
            let tools = serde_json::from_slice::<Option<Vec<Tool>>>(text)
                .map_err(|_| "`tools` is not a list of tools, each an object with one `type` at most".to_owned())?;
            let foreign = tools.into_iter().flatten().find(|tool| !tool.runs_at_the_callers());
            if let Some(kind) = foreign.and_then(|tool| tool.kind) {
                found.server_tools = Some(kind);
            }
        }
        "mcp_servers" | "plugins" | "web_search_options" => {
            // An empty list asks for nothing; no options may ask for all of it.
            if text != b"null" && (key == "web_search_options" || !is_empty_list(text)) {
                found.server_tools = Some(key.to_owned());
            }
        }
        // One of three names.
        _ => found.max_output = serde_json::from_slice(text).ok().max(found.max_output),
    }
    Ok(())
}

fn is_empty_list(text: &[u8]) -> bool {
    serde_json::from_slice::<Vec<IgnoredAny>>(text).is_ok_and(|list| list.is_empty())
}

fn no_json(at: usize) -> String {
    format!("the body is no JSON (byte {at})")
}

fn skip_space(body: &[u8], from: usize) -> usize {
    let space = body.get(from..).into_iter().flatten().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
    from + space.count()
}

/// Reads one value and says where it is.
fn value<T: serde::de::DeserializeOwned>(body: &[u8], from: usize) -> Result<(T, Range<usize>), String> {
    let from = skip_space(body, from);
    let mut values = serde_json::Deserializer::from_slice(body.get(from..).unwrap_or_default()).into_iter::<T>();
    match values.next() {
        Some(Ok(value)) => Ok((value, from..from + values.byte_offset())),
        Some(Err(error)) => Err(format!("the body is no JSON (byte {}: {})", from + error.column(), kind(&error))),
        None => Err(no_json(from)),
    }
}

fn kind(error: &serde_json::Error) -> &'static str {
    if error.is_eof() { "it ends early" } else { "not a value" }
}

/// The body as the provider gets it: the model's own name, and usage asked for where a stream would not tell.
pub(super) fn rewrite(body: &Bytes, scanned: &Scanned, upstream: &str, wire: Wire) -> Bytes {
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    if scanned.model != upstream {
        edits.push((scanned.model_at.clone(), serde_json::Value::from(upstream).to_string()));
    }
    if wire == Wire::ChatCompletions && scanned.stream {
        match &scanned.stream_options {
            Some((_, true)) => {}
            Some((place, false)) => edits.push((place.clone(), with_usage(&body[place.clone()]))),
            None => {
                edits.push((scanned.end..scanned.end, r#","stream_options":{"include_usage":true}"#.to_owned()));
            }
        }
    }
    if edits.is_empty() {
        return body.clone();
    }
    edits.sort_unstable_by_key(|(place, _)| place.start);
    let mut out = Vec::with_capacity(body.len() + 64);
    let mut from = 0;
    for (place, text) in edits {
        out.extend_from_slice(&body[from..place.start]);
        out.extend_from_slice(text.as_bytes());
        from = place.end;
    }
    out.extend_from_slice(&body[from..]);
    out.into()
}

/// Other options stay, in whatever order.
fn with_usage(options: &[u8]) -> String {
    let mut options = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(options).unwrap_or_default();
    options.insert("include_usage".to_owned(), true.into());
    serde_json::Value::Object(options).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rewritten(body: &str, upstream: &str, wire: Wire) -> String {
        let body = Bytes::copy_from_slice(body.as_bytes());
        String::from_utf8(rewrite(&body, &scan(&body).unwrap(), upstream, wire).to_vec()).unwrap()
    }

    #[test]
    fn only_the_models_value_changes() {
        let body = "{ \"messages\" : [ {\"model\":\"x\", \"n\": 1.50e3 } ],\n\t\"mod\\u0065l\" :  \"p/m\" , \"z\":\"\\u00e9\"}\n";
        let want = body.replace("\"p/m\"", "\"m\\\"1\"");
        assert_eq!(rewritten(body, "m\"1", Wire::Messages), want);
        assert_eq!(rewritten(body, "p/m", Wire::Messages), body);
    }

    #[test]
    fn a_stream_is_asked_for_its_usage() {
        let chat = |body| rewritten(body, "m", Wire::ChatCompletions);
        assert_eq!(
            chat(r#"{"model":"m","stream":true}"#),
            r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#
        );
        assert_eq!(
            chat(r#"{"stream_options":{"x":1},"model":"p/m","stream":true}"#),
            r#"{"stream_options":{"include_usage":true,"x":1},"model":"m","stream":true}"#
        );
        assert!(chat(r#"{"stream_options":null,"model":"m","stream":true}"#).contains(r#"{"include_usage":true}"#));
        let asked = r#"{"stream_options":{"include_usage":true},"model":"m","stream":true}"#;
        assert_eq!(chat(asked), asked);
        for untouched in [r#"{"model":"m","stream":false}"#, r#"{"model":"m"}"#] {
            assert_eq!(chat(untouched), untouched);
        }
        let responses = r#"{"model":"m","stream":true}"#;
        assert_eq!(rewritten(responses, "m", Wire::Responses), responses);
    }

    #[test]
    fn what_the_estimate_needs_is_read() {
        let found = scan(br#"{"max_tokens":7,"stream":true,"model":"a"}"#).unwrap();
        assert_eq!((found.max_output, found.stream, found.model.as_str()), (Some(7), true, "a"));
        assert_eq!(scan(br#"{"max_output_tokens":9,"model":"a"}"#).unwrap().max_output, Some(9));
        assert_eq!(scan(br#"{"max_completion_tokens":null,"model":"a"}"#).unwrap().max_output, None);
    }

    #[test]
    fn what_the_provider_would_do_by_itself_is_seen() {
        let seen = |rest: &str| scan(format!(r#"{{"model":"a",{rest}}}"#).as_bytes()).map(|found| found.server_tools);
        for fine in [
            r#""tools":null"#,
            r#""tools":[]"#,
            r#""tools":[{"name":"x","input_schema":{"type":"web_search"}},{"type":null},{"type":"custom"}]"#,
            r#""tools":[{"type":"function","function":{"name":"web_search"}}]"#,
            r#""tools":[{"type":"bash_20250124"},{"type":"text_editor_20250728"},{"type":"computer_20250124"}]"#,
            r#""tools":[{"type":"memory_20250818"}],"mcp_servers":[],"plugins":[],"web_search_options":null"#,
        ] {
            assert_eq!(seen(fine), Ok(None), "{fine}");
        }
        for kind in [
            "web_search_20250305",
            "web_fetch_20250910",
            "code_execution_20250825",
            "mcp_toolset",
            "web_search",
            "web_search_preview",
            "file_search",
            "code_interpreter",
            "mcp",
            "image_generation",
            "computer_use_preview",
            "bash_",
            "",
        ] {
            let tools = format!(r#""tools":[{{"name":"x"}},{{"t\u0079pe":"{kind}","url":"x"}}]"#);
            assert_eq!(seen(&tools), Ok(Some(kind.to_owned())));
        }
        for (rest, what) in [
            (r#""mcp_servers":[{"url":"https://x"}]"#, "mcp_servers"),
            (r#""web_search_options":{}"#, "web_search_options"),
            (r#""plugins":[{"id":"web"}]"#, "plugins"),
        ] {
            assert_eq!(seen(rest), Ok(Some(what.to_owned())));
        }
        for flaw in [
            r#""tools":{"type":"mcp"}"#,
            r#""tools":["mcp"]"#,
            r#""tools":[{"type":"function","type":"mcp"}]"#,
            r#""tools":[],"tools":[{"type":"mcp"}]"#,
        ] {
            assert!(seen(flaw).is_err(), "{flaw}");
        }
    }

    #[test]
    fn bad_bodies_are_refused() {
        for (body, why) in [
            ("", "not a JSON object"),
            ("[]", "not a JSON object"),
            ("{}", "no member `model`"),
            (r#"{"a":1}"#, "no member `model`"),
            (r#"{"model":7}"#, "not a string"),
            (r#"{"model":"a","model":"b"}"#, "twice"),
            (r#"{"model":"a","mod\u0065l":"b"}"#, "twice"),
            (r#"{"model":"a"#, "ends early"),
            (r#"{"model":"a"} x"#, "no JSON"),
            (r#"{"model" "a"}"#, "no JSON"),
            (r#"{"model":"a",}"#, "no JSON"),
            ("{\"model\":\"\u{1}\"}", "no JSON"),
        ] {
            let found = scan(body.as_bytes());
            assert!(found.as_ref().is_err_and(|e| e.contains(why)), "{body}: {found:?}");
        }
        let deep = format!(r#"{{"x":{}1{},"model":"a"}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(scan(deep.as_bytes()).unwrap().model, "a", "depth is not our business");
    }

    proptest! {
        #[test]
        fn any_object_keeps_its_meaning(
            before in "[a-z]{0,5}", text in "\\PC{0,20}", number in any::<f64>().prop_filter("finite", |n| n.is_finite()),
        ) {
            let object = serde_json::json!({ format!("k{before}"): [text, number], "model": "p/m", "zz": { "model": before } });
            let body = serde_json::to_string_pretty(&object).unwrap();
            let out: serde_json::Value = serde_json::from_str(&rewritten(&body, "m", Wire::Messages)).unwrap();
            let mut want: serde_json::Value = serde_json::from_str(&body).unwrap();
            want["model"] = "m".into();
            prop_assert_eq!(out, want);
        }

        #[test]
        fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = scan(&body);
        }
    }
}
