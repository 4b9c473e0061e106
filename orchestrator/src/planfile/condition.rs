//! `when` and `foreach.from`: they compile, and look only at what they can see.

use super::{
    expression::{Expression, ExpressionError},
    finding::{Findings, quote, suggestion},
    order::{Tasks, closest_need},
    reference::{FUNCTIONS, Reference},
    tree::{Data, Node, Place},
};

/// What an expression can look at in a needed task.
const FIELDS: [&str; 5] = ["state", "result", "results", "summary", "changed_paths"];

/// Checks the expressions of one task.
pub(super) fn check(tasks: &Tasks<'_>, number: usize, findings: &mut Findings) {
    let Some(task) = tasks.nodes.get(number) else { return };
    let foreach = task.get("foreach");
    if let Some(when) = task.get("when") {
        expression(tasks, number, when, foreach.is_some(), findings);
    }
    if let Some(from) = foreach.and_then(|foreach| foreach.get("from")) {
        expression(tasks, number, from, false, findings);
    }
}

fn expression(tasks: &Tasks<'_>, number: usize, node: &Node, has_item: bool, findings: &mut Findings) {
    let Some(text) = node.text().filter(|text| !text.trim().is_empty()) else { return };
    let compiled = match Expression::compile(text) {
        Ok(compiled) => compiled,
        Err(error) => {
            let place = match &error {
                ExpressionError::Syntax { offset: Some(offset), .. } => place_inside(node, *offset),
                _ => node.place,
            };
            let hint =
                "expressions are CEL, such as `needs.scan.result.count > 0`; ids with a hyphen: `needs[\"a-b\"]`";
            findings.error(place, "bad_expression", error.to_string(), Some(hint.to_owned()));
            return;
        }
    };
    for reference in compiled.references() {
        let field = unknown_field(reference).map(|(message, hint)| (reference.field_offset, message, hint));
        let name = problem(tasks, number, reference, has_item).map(|(message, hint)| (reference.offset, message, hint));
        if let Some((offset, message, hint)) = name.or(field) {
            findings.error(place_inside(node, offset), "unknown_reference", message, hint);
        }
    }
}

fn problem(
    tasks: &Tasks<'_>,
    number: usize,
    reference: &Reference,
    has_item: bool,
) -> Option<(String, Option<String>)> {
    if reference.is_function {
        let known = || FUNCTIONS.into_iter().chain(["all", "exists", "filter", "has", "map"]);
        let hint = suggestion(&reference.root, known());
        let hint = hint.unwrap_or_else(|| format!("there are {}", known().collect::<Vec<_>>().join(", ")));
        return Some((format!("there is no function {}", quote(&reference.root)), Some(hint)));
    }
    match (reference.root.as_str(), &reference.key) {
        ("needs", Some(key)) => need_problem(tasks, number, key),
        ("needs", None) => None,
        ("item", _) if has_item => None,
        ("item", _) => {
            let hint = "`item` is an element of `foreach`, and can be used in the `when` of a task that has one";
            Some(("there is no `item` here".to_owned(), Some(hint.to_owned())))
        }
        (other, _) => {
            let hint = suggestion(other, ["needs", "item"]);
            let hint = hint.unwrap_or_else(|| {
                "an expression can use `needs` and, with `foreach`, `item`; text goes in quotes".to_owned()
            });
            Some((format!("there is no {}", quote(other)), Some(hint)))
        }
    }
}

fn need_problem(tasks: &Tasks<'_>, number: usize, key: &str) -> Option<(String, Option<String>)> {
    let task = tasks.name(number);
    let is_needed = tasks.by_id.get(key).is_some_and(|need| tasks.needs.get(number).is_some_and(|n| n.contains(need)));
    if is_needed {
        return None;
    }
    let message = format!("the expression looks at {}, which {task} does not need", quote(key));
    let hint = match (tasks.by_id.get(key), closest_need(tasks, number, key)) {
        (Some(_), _) => Some(format!("add {} to its `needs`", quote(key))),
        (None, Some(near)) => Some(format!("did you mean `{near}`?")),
        (None, None) if tasks.by_id.keys().any(|id| id.starts_with(&format!("{key}-"))) => {
            Some("write ids with a hyphen as `needs[\"a-b\"]`".to_owned())
        }
        (None, None) => None,
    };
    Some((message, hint))
}

fn unknown_field(reference: &Reference) -> Option<(String, Option<String>)> {
    let field = reference.field.as_deref().filter(|field| reference.root == "needs" && !FIELDS.contains(field))?;
    let hint = suggestion(field, FIELDS).unwrap_or_else(|| format!("a task has {}", FIELDS.join(", ")));
    Some((format!("a needed task has no {}", quote(field)), Some(hint)))
}

/// A place inside an expression, where it is written plainly on one line; else the expression's own.
pub(super) fn place_inside(node: &Node, offset: usize) -> Place {
    let Data::Text { text, is_plain: true } = &node.data else { return node.place };
    let chars = text.get(..offset).map_or(0, |before| before.chars().count());
    Place { column: node.place.column.saturating_add(u32::try_from(chars).unwrap_or(0)), ..node.place }
}
