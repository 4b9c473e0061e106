//! Checking a plan: one pass over the text that finds everything there is to find.

use bus_schemas::v1::{
    api::{PlanReport, PlanSource, Severity},
    plan::Plan,
};
use serde_json::{Map, Number, Value};
use skills::Catalog;

use super::{
    condition,
    finding::Findings,
    order::Tasks,
    overlap, rules, shape,
    tree::{self, Data, Node, Place},
};
use crate::policy::Rules;

/// Checks a plan's text. The report holds every finding, and the plan if none of them is an error. `source.folder` is
/// not looked at: the caller has discovered `skills` there.
#[must_use]
pub fn check(source: &PlanSource, skills: &Catalog) -> PlanReport {
    check_under(source, skills, None)
}

/// As [`check()`], with what `baton.toml` says about people and policies: a plan may name those, and must not define them again.
#[must_use]
pub fn check_under(source: &PlanSource, skills: &Catalog, site: Option<&Rules>) -> PlanReport {
    let mut findings = Findings::new(&source.file);
    let root = match tree::parse(&source.text) {
        Ok(Some(root)) => root,
        Ok(None) => {
            let hint = Some("start with `version: 1`, `title:` and `tasks:`".to_owned());
            findings.error(Place::default(), "empty_plan", "the plan is empty".to_owned(), hint);
            return report(findings, None, Vec::new());
        }
        Err(error) => {
            findings.error(error.place, error.code, error.message, error.hint.map(str::to_owned));
            return report(findings, None, Vec::new());
        }
    };
    shape::compare(&root, &shape::PLAN, "the plan", &mut findings);
    rules::check_plan(&root, site, &mut findings);
    let layers = check_tasks(&root, &rules::Around { scripts: &source.scripts, skills, site }, &mut findings);
    let plan = if findings.has_errors() { None } else { read(&root, &mut findings) };
    let layers = if plan.is_some() { layers } else { Vec::new() };
    report(findings, plan, layers)
}

/// The files that a plan's `run: { file: … }` name, each once, in order; what is not a plan names none. Paths that
/// lead out of the plan's folder are left out: [`check`] refuses them.
#[must_use]
pub fn script_files(text: &str) -> Vec<String> {
    let root = tree::parse(text).ok().flatten();
    let tasks = root.as_ref().and_then(|root| root.get("tasks")).map(Node::elements).unwrap_or_default();
    let mut files: Vec<String> = Vec::new();
    for task in tasks {
        let Some(file) = task.get("run").and_then(|run| run.get("file")).and_then(Node::text) else { continue };
        let is_inside = !file.is_empty() && !file.starts_with('/') && file.split('/').all(|part| part != "..");
        if is_inside && !files.iter().any(|known| known == file) {
            files.push(file.to_owned());
        }
    }
    files
}

fn check_tasks(root: &Node, around: &rules::Around<'_>, findings: &mut Findings) -> Vec<Vec<String>> {
    let nodes = root.get("tasks").map(Node::elements).unwrap_or_default();
    let tasks = Tasks::read(nodes, findings);
    for number in 0..nodes.len() {
        rules::check_task(root, &tasks, number, around, findings);
        condition::check(&tasks, number, findings);
    }
    let Some(graph) = tasks.graph(findings) else { return Vec::new() };
    overlap::check(&tasks, &graph, findings);
    let id = |number: usize| tasks.ids.get(number).copied().unwrap_or_default().to_owned();
    graph.layers().into_iter().map(|layer| layer.into_iter().map(id).collect()).collect()
}

/// The wire type. The table of fields has accepted the text, so that a failure here is a hole in the table.
fn read(root: &Node, findings: &mut Findings) -> Option<Plan> {
    match serde_json::from_value(to_json(root)) {
        Ok(plan) => Some(plan),
        Err(error) => {
            findings.error(root.place, "not_understood", format!("the plan cannot be read: {error}"), None);
            None
        }
    }
}

pub(crate) fn to_json(node: &Node) -> Value {
    match &node.data {
        Data::Null => Value::Null,
        Data::Bool(value) => Value::Bool(*value),
        Data::Int(value) => Value::Number((*value).into()),
        Data::Float(value) => Number::from_f64(*value).map_or(Value::Null, Value::Number),
        Data::Text { text, .. } => Value::String(text.clone()),
        Data::List(list) => Value::Array(list.iter().map(to_json).collect()),
        Data::Map(entries) => {
            let entries =
                entries.iter().map(|(key, value)| (key.text().unwrap_or_default().to_owned(), to_json(value)));
            Value::Object(entries.collect::<Map<_, _>>())
        }
    }
}

fn report(findings: Findings, plan: Option<Plan>, layers: Vec<Vec<String>>) -> PlanReport {
    let findings = findings.finish();
    debug_assert!(plan.is_none() || findings.iter().all(|finding| finding.severity == Severity::Warning));
    PlanReport { findings, plan, layers }
}
