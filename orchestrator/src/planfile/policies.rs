//! Policies as a text has them: in a plan file, in `baton.toml`, in a table of cases. Each is compared with one table of
//! fields, then with what that table cannot say.

use std::collections::BTreeMap;

use bus_schemas::v1::{
    api::{Finding, Severity},
    policy::{Policy, Who},
};
use toml::de::{DeTable, DeValue};

use super::{
    check::to_json,
    condition::place_inside,
    finding::{Findings, quote, suggestion},
    lower::{POLICY_ASK, POLICY_AUTO},
    shape::{self, Field, Shape, field, required},
    tree::{Data, Node, Place},
};
use crate::{
    people::People,
    policy::{Condition, Rules, needs, resolve},
};

/// The longest time a person may take: ten years.
const MAX_DEADLINE_MS: u64 = 3650 * 24 * 60 * 60 * 1000;
/// The most people of a quorum, and the most rules of a policy.
const MOST: i64 = 1000;

const TIME: Shape = Shape::Span(1, MAX_DEADLINE_MS);
const NAME: Shape = Shape::Filled("empty_field");
const DECIDE: Shape = Shape::WordOr("bad_word", &["auto", "ask"], WHO_FIELDS);

/// A policy.
pub(crate) const POLICY: Shape = Shape::Map(&[
    required("decide", &DECIDE),
    field("rules", &Shape::List(&RULE)),
    field("deadline", &TIME),
    field("reminder", &TIME),
    field("at_deadline", &Shape::WordOr("bad_word", &["reject", "approve"], AT_DEADLINE_FIELDS)),
    field("no_self_approval", &Shape::Truth),
    field("shadow", &Shape::Truth),
]);

pub(super) const RULE: Shape = Shape::Map(&[
    required("name", &NAME),
    required("when", &NAME),
    required("decide", &DECIDE),
    field("shadow", &Shape::Truth),
]);

/// Who decides; one of these. [`Shape::Who`] stands for it inside itself.
pub(super) const WHO_FIELDS: &[Field] = &[
    field("person", &NAME),
    field("group", &NAME),
    field("quorum", &QUORUM),
    field("any_of", &Shape::List(&Shape::Who)),
    field("all_of", &Shape::List(&Shape::Who)),
    field("after", &AFTER),
];

pub(super) const QUORUM: Shape =
    Shape::Map(&[required("n", &Shape::Whole("out_of_range", 1, MOST)), required("of", &NAME)]);
pub(super) const AFTER: Shape = Shape::Map(&[required("wait", &TIME), required("who", &Shape::Who)]);
const AT_DEADLINE_FIELDS: &[Field] = &[required("escalate", &ESCALATION)];
pub(super) const ESCALATION: Shape = Shape::Map(&[required("to", &Shape::Who), required("for", &TIME)]);

/// What the policies of a text are looked at beside: what `baton.toml` says, if that is known.
pub(super) fn check(policies: Option<&Node>, rules: Option<&Rules>, findings: &mut Findings) {
    let Some(Node { data: Data::Map(entries), .. }) = policies else { return };
    for (key, policy) in entries {
        let Some(name) = key.text() else { continue };
        if name == POLICY_AUTO || name == POLICY_ASK {
            let message = format!("the policy {} is built in and cannot be defined again", quote(name));
            findings.error(key.place, "policy_redefined", message, Some("give it another name".to_owned()));
        } else if name.trim().is_empty() {
            findings.error(key.place, "empty_field", "a policy's name is empty".to_owned(), None);
        } else if rules.is_some_and(|rules| rules.policies.contains_key(name)) {
            let message = format!("the policy {} is defined in baton.toml, which counts", quote(name));
            let hint = "leave it out here to use that one, or give this one another name".to_owned();
            findings.error(key.place, "policy_redefined", message, Some(hint));
        }
        one(policy, rules.map(|rules| &rules.people), findings);
    }
}

/// As [`check`], for a text that may define policies of `baton.toml` again, with its own people.
pub(crate) fn check_known(policies: Option<&Node>, people: &People, findings: &mut Findings) {
    let Some(Node { data: Data::Map(entries), .. }) = policies else { return };
    entries.iter().for_each(|(_, policy)| one(policy, Some(people), findings));
}

/// One policy.
fn one(policy: &Node, people: Option<&People>, findings: &mut Findings) {
    let mut names: BTreeMap<&str, Place> = BTreeMap::new();
    for rule in policy.get("rules").map(Node::elements).unwrap_or_default() {
        if let Some((node, name)) = rule.get("name").and_then(|node| Some((node, node.text()?)))
            && let Some(first) = names.insert(name, node.place)
        {
            let message = format!("the rule {} is there already, in line {}", quote(name), first.line);
            findings.error(node.place, "duplicate_rule", message, Some("give it another name".to_owned()));
        }
        if let Some(when) = rule.get("when") {
            condition(when, findings);
        }
        rule.get("decide").into_iter().for_each(|node| who(node, people, findings));
    }
    policy.get("decide").into_iter().for_each(|node| who(node, people, findings));
    let Some((key, at_deadline)) = policy.entry("at_deadline") else { return };
    if policy.get("deadline").is_none() {
        let hint = "add `deadline:`, or remove the line".to_owned();
        findings.error(key.place, "no_deadline", "`at_deadline` without `deadline`".to_owned(), Some(hint));
    }
    if let Some(to) = at_deadline.get("escalate").and_then(|escalation| escalation.get("to")) {
        who(to, people, findings);
    }
}

fn condition(node: &Node, findings: &mut Findings) {
    let Some(text) = node.text().filter(|text| !text.trim().is_empty()) else { return };
    let Err(bad) = Condition::compile(text) else { return };
    let place = bad.offset.map_or(node.place, |offset| place_inside(node, offset));
    let (code, hint) = match &bad.word {
        None => {
            let hint = "conditions are CEL, such as `lines < 200 && risk == \"low\"`".to_owned();
            ("bad_expression", hint)
        }
        Some(word) => {
            let all = || format!("there are {}", bad.known.join(", "));
            ("unknown_reference", suggestion(word, bad.known.iter().copied()).unwrap_or_else(all))
        }
    };
    findings.error(place, code, bad.message, Some(hint));
}

/// Exactly one field, and only people that there are.
fn who(node: &Node, people: Option<&People>, findings: &mut Findings) {
    let Data::Map(entries) = &node.data else { return };
    let before = findings.count();
    branches(node, people, findings);
    if findings.count() > before || entries.is_empty() {
        return;
    }
    let Some(people) = people else { return };
    let Ok(parsed) = serde_json::from_value::<Who>(to_json(node)) else { return };
    match resolve(&parsed, people) {
        Ok(resolved) if resolved.fewest(&[]).is_none() => {
            let message = format!("nobody can satisfy it: it needs {}", needs(&resolved));
            let hint = "name a larger group, or fewer people".to_owned();
            findings.error(node.place, "unsatisfiable", message, Some(hint));
        }
        Ok(_) => {}
        Err(problem) => findings.error(node.place, "unknown_person", problem, None),
    }
}

fn branches(node: &Node, people: Option<&People>, findings: &mut Findings) {
    let Data::Map(entries) = &node.data else { return };
    let known = |key: &Node| key.text().is_some_and(|key| WHO_FIELDS.iter().any(|field| field.name == key));
    let count = entries.iter().filter(|(key, _)| known(key)).count();
    // An unknown field is told of by the table.
    if count != 1 && entries.iter().all(|(key, _)| known(key)) {
        let message = format!("who decides is said in exactly one field, not {count}");
        let hint = "put several into `any_of: [..]` or `all_of: [..]`".to_owned();
        findings.error(node.place, "one_of", message, Some(hint));
    }
    for (key, value) in entries {
        match key.text() {
            Some("any_of" | "all_of") => {
                if matches!(&value.data, Data::List(list) if list.is_empty()) {
                    let hint = Some("name somebody".to_owned());
                    findings.error(
                        value.place,
                        "empty_field",
                        format!("`{}` is empty", key.text().unwrap_or("")),
                        hint,
                    );
                }
                value.elements().iter().for_each(|part| branches(part, people, findings));
            }
            Some("after") => value.get("who").into_iter().for_each(|part| branches(part, people, findings)),
            Some("quorum") => value.get("of").into_iter().for_each(|of| group(of, people, findings)),
            Some("group") => group(value, people, findings),
            Some("person") => person(value, people, findings),
            _ => {}
        }
    }
}

fn group(node: &Node, people: Option<&People>, findings: &mut Findings) {
    let (Some(name), Some(people)) = (node.text(), people) else { return };
    let groups = people.groups();
    if groups.contains(name) {
        return;
    }
    let hint = if people.is_configured() {
        suggestion(name, groups.iter().copied()).unwrap_or_else(|| {
            format!(
                "there are {}; a member's `groups` in baton.toml name the others",
                groups.into_iter().collect::<Vec<_>>().join(", ")
            )
        })
    } else {
        "no members are configured: add [members.NAME] sections with `groups` to baton.toml".to_owned()
    };
    findings.error(node.place, "unknown_group", format!("there is no group {}", quote(name)), Some(hint));
}

fn person(node: &Node, people: Option<&People>, findings: &mut Findings) {
    let (Some(name), Some(people)) = (node.text(), people) else { return };
    if !people.is_configured() || people.is_member(name) {
        return;
    }
    let hint = suggestion(name, people.names())
        .unwrap_or_else(|| format!("add [members.{name}] to baton.toml, or name one of its members"));
    findings.error(node.place, "unknown_person", format!("there is no member {}", quote(name)), Some(hint));
}

/// The findings about `[policies.NAME]` of a TOML text: shape, conditions and trees, with their places. Who there is, is
/// known only when all files are read.
pub(crate) fn check_toml(file: &str, text: &str, table: &DeTable<'_>) -> Vec<Finding> {
    let mut findings = Findings::new(file);
    let lines = Lines::new(text);
    let entry = table.iter().find(|(key, _)| key.get_ref().as_ref() == "policies");
    if let Some((_, value)) = entry {
        let node = node_of(value.get_ref(), lines.place(value.span().start), &lines);
        shape::compare(&node, &Shape::Names(&POLICY), "`policies`", &mut findings);
        if !findings.has_errors() {
            check(Some(&node), None, &mut findings);
        }
    }
    let mut found = findings.finish();
    found.retain(|finding| finding.severity == Severity::Error);
    found
}

/// Where lines begin.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { text, starts }
    }

    fn place(&self, offset: usize) -> Place {
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let start = self.starts.get(line - 1).copied().unwrap_or(0);
        let column = self.text.get(start..offset).map_or(0, |before| before.chars().count());
        let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        Place { line: number(line), column: number(column).saturating_add(1) }
    }
}

fn node_of(value: &DeValue<'_>, place: Place, lines: &Lines<'_>) -> Node {
    let text = |text: &str| Data::Text { text: text.to_owned(), is_plain: false };
    let data = match value {
        DeValue::String(value) => text(value),
        DeValue::Integer(value) => match i64::from_str_radix(value.as_str(), value.radix()) {
            Ok(number) => Data::Int(number),
            Err(_) => text(value.as_str()),
        },
        DeValue::Float(value) => value.as_str().parse().map_or_else(|_| text(value.as_str()), Data::Float),
        DeValue::Boolean(value) => Data::Bool(*value),
        DeValue::Datetime(value) => text(&value.to_string()),
        DeValue::Array(list) => {
            let nodes = list.iter().map(|item| node_of(item.get_ref(), lines.place(item.span().start), lines));
            Data::List(nodes.collect())
        }
        DeValue::Table(table) => {
            let entries = table.iter().map(|(key, value)| {
                let at = lines.place(key.span().start);
                let name = Node { place: at, data: text(key.get_ref()) };
                (name, node_of(value.get_ref(), lines.place(value.span().start), lines))
            });
            Data::Map(entries.collect())
        }
    };
    Node { place, data }
}

/// The policies of a checked node.
pub(crate) fn read(node: &Node) -> Result<BTreeMap<String, Policy>, String> {
    serde_json::from_value(to_json(node)).map_err(|error| error.to_string())
}
