//! What a plan file is made of, as data: every field, its type, its range. One walk compares a text with it.
//! A test holds this table and the wire types together.

use bus_schemas::v1::plan::Span;

use super::{
    finding::{Findings, quote, suggestion},
    policies::{POLICY, WHO_FIELDS},
    tree::{Data, Node, Place},
};

/// The most tasks a plan may have, and the most elements of a `foreach`.
pub(super) const MAX_TASKS: usize = 20_000;
/// The longest attempt: the limit on all attempts together, a week.
const MAX_TIMEOUT_MS: u64 = 7 * 24 * 60 * 60 * 1000;
/// The largest budget, in US dollars: its billionths are counted in 64 bits.
const MAX_DOLLARS: f64 = 1e9;
/// The most turns of one attempt of an agent.
const MAX_TURNS: i64 = 10_000;
/// The longest time a budget may give: a year.
const MAX_WALL_MS: u64 = 365 * 24 * 60 * 60 * 1000;

/// A field of a mapping.
pub(crate) struct Field {
    pub(super) name: &'static str,
    pub(super) shape: &'static Shape,
    pub(super) is_required: bool,
}

/// A value's type.
pub(crate) enum Shape {
    /// Any text, the empty one included.
    Text,
    /// Text with something in it; the code for text without.
    Filled(&'static str),
    /// One of these words; the code for any other.
    Word(&'static str, &'static [&'static str]),
    /// A whole number from, to; the code outside.
    Whole(&'static str, i64, i64),
    /// `true` or `false`.
    Truth,
    /// US dollars.
    Dollars,
    /// A duration from, to, in milliseconds.
    Span(u64, u64),
    /// A list of one shape.
    List(&'static Shape),
    /// A mapping with these fields.
    Map(&'static [Field]),
    /// A mapping from names to one shape.
    Names(&'static Shape),
    /// Text, or a mapping with these fields.
    TextOr(&'static str, &'static [Field]),
    /// One of these words (the code for any other), or a mapping with these fields.
    WordOr(&'static str, &'static [&'static str], &'static [Field]),
    /// Who decides: a tree of people.
    Who,
    /// Anything that JSON can say.
    Json,
    /// Looked at elsewhere.
    Version,
}

pub(crate) const fn field(name: &'static str, shape: &'static Shape) -> Field {
    Field { name, shape, is_required: false }
}

pub(crate) const fn required(name: &'static str, shape: &'static Shape) -> Field {
    Field { name, shape, is_required: true }
}

const TITLE: Shape = Shape::Filled("empty_field");
const SCRIPT: Shape = Shape::Filled("empty_script");
const TIMEOUT: Shape = Shape::Span(1, MAX_TIMEOUT_MS);
const BACKOFF: Shape = Shape::Span(0, MAX_TIMEOUT_MS);
const TEXTS: Shape = Shape::List(&TITLE);
const COUNT: Shape = Shape::Whole("bad_budget", 0, i64::MAX);

/// The harnesses that `agent.harness` may name.
pub(super) const HARNESSES: [&str; 1] = ["builtin"];

/// A plan file.
pub(super) const PLAN: Shape = Shape::Map(&[
    required("version", &Shape::Version),
    required("title", &TITLE),
    field("goal", &Shape::Text),
    field("defaults", &DEFAULTS),
    field("policies", &Shape::Names(&POLICY)),
    field("approval", &TITLE),
    field("replan", &TITLE),
    field("apply", &TITLE),
    field("capabilities", &TITLE),
    field("budget", &BUDGET),
    required("tasks", &Shape::List(&TASK)),
]);

pub(super) const DEFAULTS: Shape = Shape::Map(&[
    field("approval", &TITLE),
    field("retries", &RETRIES),
    field("timeout", &TIMEOUT),
    field("resources", &RESOURCES),
]);

pub(super) const TASK: Shape = Shape::Map(&[
    required("id", &TITLE),
    field("title", &TITLE),
    field("needs", &TEXTS),
    field("run", &Shape::TextOr("empty_script", SCRIPT_FIELDS)),
    field("agent", &AGENT),
    field("inputs", &TEXTS),
    field("outputs", &TEXTS),
    field("checks", &Shape::List(&CHECK)),
    field("approval", &TITLE),
    field("retries", &RETRIES),
    field("timeout", &TIMEOUT),
    field("budget", &BUDGET),
    field("network", &TEXTS),
    field("secrets", &TEXTS),
    field("when", &TITLE),
    field("foreach", &FOREACH),
    field("env", &Shape::Names(&Shape::Text)),
    field("resources", &RESOURCES),
]);

pub(super) const SCRIPT_FIELDS: &[Field] = &[field("bash", &SCRIPT), field("python", &SCRIPT), field("file", &TITLE)];

pub(super) const AGENT: Shape = Shape::Map(&[
    required("instructions", &TITLE),
    field("skills", &TEXTS),
    field("harness", &Shape::Word("unknown_harness", &HARNESSES)),
    field("model", &TITLE),
    field("max_turns", &Shape::Whole("out_of_range", 1, MAX_TURNS)),
    field("may_replan", &Shape::Truth),
]);

pub(super) const CHECK: Shape =
    Shape::TextOr("empty_script", &[required("name", &TITLE), required("run", &SCRIPT), field("timeout", &TIMEOUT)]);

pub(super) const RETRIES: Shape = Shape::Map(&[
    field("max", &Shape::Whole("out_of_range", 0, 20)),
    field("backoff", &BACKOFF),
    field("max_backoff", &BACKOFF),
]);

pub(super) const BUDGET: Shape = Shape::Map(&[
    field("usd", &Shape::Dollars),
    field("tokens", &COUNT),
    field("vm_seconds", &COUNT),
    field("wall", &Shape::Span(1, MAX_WALL_MS)),
    field("turns", &COUNT),
]);

pub(super) const FOREACH: Shape = Shape::Map(&[
    field("list", &Shape::List(&Shape::Json)),
    field("from", &TITLE),
    field("max", &Shape::Whole("out_of_range", 1, MAX_TASKS as i64)),
]);

pub(super) const RESOURCES: Shape = Shape::Map(&[
    field("cpus", &Shape::Whole("out_of_range", 1, 16)),
    field("memory_mib", &Shape::Whole("out_of_range", 128, 65_536)),
    field("disk_mib", &Shape::Whole("out_of_range", 64, 1_048_576)),
    field("image", &Shape::Word("unknown_image", &["base", "build"])),
]);

/// Compares a value with its shape. `name` says what the value is, for messages: `` `title` ``.
pub(crate) fn compare(node: &Node, shape: &Shape, name: &str, findings: &mut Findings) {
    match shape {
        Shape::Text | Shape::Filled(_) | Shape::Word(..) | Shape::Span(..) => text(node, shape, name, findings),
        Shape::Whole(code, from, to) => whole(node, code, *from, *to, name, findings),
        Shape::Dollars => dollars(node, name, findings),
        Shape::Truth => {
            if !matches!(node.data, Data::Bool(_)) {
                wrong_type(node, name, "`true` or `false`", findings);
            }
        }
        Shape::List(element) => match &node.data {
            Data::List(list) => {
                let name = match name {
                    "`tasks`" => "a task".to_owned(),
                    "`checks`" => "a check".to_owned(),
                    "`rules`" => "a rule".to_owned(),
                    "`cases`" => "a case".to_owned(),
                    other => format!("an element of {other}"),
                };
                list.iter().for_each(|node| compare(node, element, &name, findings));
            }
            _ => wrong_type(node, name, "a list", findings),
        },
        Shape::Map(fields) => map(node, fields, name, findings),
        Shape::Names(value) => match &node.data {
            Data::Map(entries) => {
                unique(entries, name, findings);
                for (key, node) in entries {
                    let Some(key) = key.text() else { continue };
                    compare(node, value, &quote(key), findings);
                }
            }
            _ => wrong_type(node, name, "a mapping", findings),
        },
        Shape::TextOr(code, fields) => match &node.data {
            Data::Map(_) => map(node, fields, name, findings),
            Data::Text { .. } => text(node, &Shape::Filled(code), name, findings),
            _ => wrong_type(node, name, "text or a mapping", findings),
        },
        Shape::WordOr(code, words, fields) => match &node.data {
            Data::Map(_) => map(node, fields, name, findings),
            Data::Text { .. } => text(node, &Shape::Word(code, words), name, findings),
            _ => wrong_type(node, name, "text or a mapping", findings),
        },
        Shape::Who => map(node, WHO_FIELDS, name, findings),
        Shape::Json => json(node, findings),
        Shape::Version => version(node, findings),
    }
}

fn wrong_type(node: &Node, name: &str, want: &str, findings: &mut Findings) {
    let hint = match (&node.data, want) {
        (Data::Null, _) => Some("write a value, or remove the line".to_owned()),
        (Data::Bool(_) | Data::Int(_) | Data::Float(_), "text" | "text or a mapping") => {
            Some("put it in quotes".to_owned())
        }
        (Data::Int(value), "a duration") => Some(format!("say the unit: `{value}s`")),
        (Data::Text { .. }, "a list") => Some("write one element per line, each after `- `".to_owned()),
        _ => None,
    };
    findings.error(node.place, "wrong_type", format!("{name} must be {want}, not {}", node.kind()), hint);
}

fn text(node: &Node, shape: &Shape, name: &str, findings: &mut Findings) {
    let Some(text) = node.text() else {
        let want = if matches!(shape, Shape::Span(..)) { "a duration" } else { "text" };
        return wrong_type(node, name, want, findings);
    };
    if text.contains('\0') {
        findings.error(node.place, "bad_text", format!("{name} holds a NUL character"), None);
    }
    match shape {
        Shape::Filled(code) if text.trim().is_empty() => {
            let hint = Some("write something, or remove the line".to_owned());
            findings.error(node.place, code, format!("{name} is empty"), hint);
        }
        Shape::Word(code, words) if !words.contains(&text) => {
            let hint = suggestion(text, words.iter().copied()).unwrap_or_else(|| format!("use {}", one_of(words)));
            findings.error(node.place, code, format!("{name} cannot be {}", quote(text)), Some(hint));
        }
        Shape::Span(from, to) => span(node, text, *from, *to, name, findings),
        _ => {}
    }
}

fn span(node: &Node, text: &str, from: u64, to: u64, name: &str, findings: &mut Findings) {
    let (problem, hint) = match Span(text.to_owned()).as_ms() {
        None => ("is not a duration", "write a number and ms, s, m, h or d, such as `90s` or `1h30m`".to_owned()),
        Some(ms) if ms < from => ("is no time at all", "write a longer duration".to_owned()),
        Some(ms) if ms > to => ("is too long", format!("write at most {}d", to / 86_400_000)),
        Some(_) => return,
    };
    findings.error(node.place, "bad_duration", format!("{name}: {} {problem}", quote(text)), Some(hint));
}

fn whole(node: &Node, code: &str, from: i64, to: i64, name: &str, findings: &mut Findings) {
    let range = if to == i64::MAX { format!("{from} or more") } else { format!("{from} to {to}") };
    match node.data {
        Data::Int(value) if (from..=to).contains(&value) => {}
        Data::Int(value) => {
            findings.error(node.place, code, format!("{name} cannot be {value}"), Some(format!("write {range}")));
        }
        Data::Float(value) => {
            let hint = Some(format!("write a whole number, {range}"));
            findings.error(node.place, code, format!("{name} cannot be {value}"), hint);
        }
        _ => wrong_type(node, name, "a whole number", findings),
    }
}

fn dollars(node: &Node, name: &str, findings: &mut Findings) {
    let value = match node.data {
        #[expect(clippy::cast_precision_loss, reason = "only the sign is looked at")]
        Data::Int(value) => value as f64,
        Data::Float(value) => value,
        _ => return wrong_type(node, name, "a number", findings),
    };
    if !value.is_finite() || !(0.0..=MAX_DOLLARS).contains(&value) {
        let hint = Some("write an amount of US dollars, such as `2.50`".to_owned());
        findings.error(node.place, "bad_budget", format!("{name} cannot be {value}"), hint);
    }
}

fn version(node: &Node, findings: &mut Findings) {
    if !matches!(node.data, Data::Int(1)) {
        let shown = match &node.data {
            Data::Int(value) => format!("`{value}`"),
            Data::Text { text, .. } => quote(text),
            _ => node.kind().to_owned(),
        };
        let message = format!("this program reads plans of version 1, not {shown}");
        findings.error(node.place, "bad_version", message, Some("write `version: 1`".to_owned()));
    }
}

fn json(node: &Node, findings: &mut Findings) {
    match &node.data {
        Data::Float(value) if !value.is_finite() => {
            let hint = Some("write it as text, in quotes".to_owned());
            findings.error(node.place, "wrong_type", format!("JSON has no number {value}"), hint);
        }
        Data::List(list) => list.iter().for_each(|node| json(node, findings)),
        Data::Map(entries) => {
            unique(entries, "the mapping", findings);
            entries.iter().for_each(|(_, node)| json(node, findings));
        }
        _ => {}
    }
}

fn map(node: &Node, fields: &'static [Field], name: &str, findings: &mut Findings) {
    let Data::Map(entries) = &node.data else {
        let hint = format!("its fields: {}", names_of(fields));
        let message = format!("{name} must be a mapping, not {}", node.kind());
        findings.error(node.place, "wrong_type", message, Some(hint));
        return;
    };
    unique(entries, name, findings);
    for (key, value) in entries {
        let Some(text) = key.text() else { continue };
        match fields.iter().find(|field| field.name == text) {
            Some(field) => compare(value, field.shape, &format!("`{}`", field.name), findings),
            None => unknown_key(key.place, text, name, fields, findings),
        }
    }
    for field in fields.iter().filter(|field| field.is_required && node.get(field.name).is_none()) {
        let hint = match field.name {
            "version" => "start the file with `version: 1`".to_owned(),
            other => format!("add `{other}:`"),
        };
        findings.error(node.place, "missing_field", format!("{name} has no `{}`", field.name), Some(hint));
    }
}

fn unknown_key(place: Place, text: &str, name: &str, fields: &[Field], findings: &mut Findings) {
    let hint = match text {
        "<<" => "YAML 1.2 has no merge keys: write the fields out, or use `defaults:`".to_owned(),
        _ => suggestion(text, fields.iter().map(|field| field.name))
            .unwrap_or_else(|| format!("its fields: {}", names_of(fields))),
    };
    findings.error(place, "unknown_key", format!("{name} has no field {}", quote(text)), Some(hint));
}

fn names_of(fields: &[Field]) -> String {
    fields.iter().map(|field| field.name).collect::<Vec<_>>().join(", ")
}

/// Keys must be text, and each there once.
fn unique(entries: &[(Node, Node)], name: &str, findings: &mut Findings) {
    let mut seen: std::collections::HashMap<&str, u32> = std::collections::HashMap::new();
    for (key, _) in entries {
        let Some(text) = key.text() else {
            let hint = Some("put it in quotes".to_owned());
            findings.error(key.place, "wrong_type", format!("a key of {name} must be text, not {}", key.kind()), hint);
            continue;
        };
        if let Some(line) = seen.get(text) {
            let message = format!("{} is there twice; the first is in line {line}", quote(text));
            findings.error(key.place, "duplicate_key", message, Some("remove one of them".to_owned()));
        } else {
            seen.insert(text, key.place.line);
        }
    }
}

fn one_of(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" or ")
}
