//! Ids and `needs`: every id once, every need an id, no circles; and the layers that follow.

use std::collections::HashMap;

use super::{
    finding::{Findings, closest, quote, suggestion},
    tree::{Node, Place},
};
use crate::plan::graph::{GraphError, TaskGraph};

/// Circles that are looked for one by one; a plan with more is broken beyond a list.
const MAX_CYCLES: usize = 10;
/// The longest id.
const MAX_ID_CHARS: usize = 64;

/// The tasks of a plan text: the nodes, and what is known about their ids and needs.
pub(super) struct Tasks<'a> {
    /// The tasks' nodes, in order.
    pub(super) nodes: &'a [Node],
    /// The tasks' ids; empty where a task has none.
    pub(super) ids: Vec<&'a str>,
    /// The first task with each id.
    pub(super) by_id: HashMap<&'a str, usize>,
    /// Which tasks each one needs, unknown ones left out.
    pub(super) needs: Vec<Vec<usize>>,
}

impl<'a> Tasks<'a> {
    /// Reads ids and needs, and reports what is wrong with them.
    pub(super) fn read(nodes: &'a [Node], findings: &mut Findings) -> Self {
        let ids: Vec<_> = nodes.iter().map(|node| node.get("id").and_then(Node::text).unwrap_or_default()).collect();
        let mut tasks = Self { nodes, ids, by_id: HashMap::with_capacity(nodes.len()), needs: Vec::new() };
        for number in 0..nodes.len() {
            tasks.add_id(number, findings);
        }
        tasks.needs = (0..nodes.len()).map(|number| tasks.needs_of(number, findings)).collect();
        tasks
    }

    /// A task for messages: `` task `scan` ``.
    pub(super) fn name(&self, number: usize) -> String {
        match self.ids.get(number).copied().unwrap_or_default() {
            "" => format!("task number {}", number + 1),
            id => format!("task {}", quote(id)),
        }
    }

    /// Where a task's field is; the task's own place if it has no such field.
    pub(super) fn place(&self, number: usize, field: &str) -> Place {
        let node = self.nodes.get(number);
        node.and_then(|node| node.get(field).or(Some(node))).map(|node| node.place).unwrap_or_default()
    }

    fn add_id(&mut self, number: usize, findings: &mut Findings) {
        let Some(id) = self.ids.get(number).copied().filter(|id| !id.is_empty()) else { return };
        let place = self.place(number, "id");
        if !is_id(id) {
            let hint =
                Some(format!("1 to {MAX_ID_CHARS} of a-z, 0-9, _ and -, starting with a letter{}", similar_id(id)));
            findings.error(place, "bad_id", format!("{} is not a task id", quote(id)), hint);
        }
        if let Some(first) = self.by_id.get(id).copied() {
            let line = self.place(first, "id").line;
            let message = format!("the id {} is there twice; the first is in line {line}", quote(id));
            findings.error(place, "duplicate_id", message, Some("give one of the two tasks another id".to_owned()));
        } else {
            self.by_id.insert(id, number);
        }
    }

    fn needs_of(&self, number: usize, findings: &mut Findings) -> Vec<usize> {
        let mut needs = Vec::new();
        let Some(list) = self.nodes.get(number).and_then(|node| node.get("needs")) else { return needs };
        for node in list.elements() {
            let Some(need) = node.text().filter(|need| !need.trim().is_empty()) else { continue };
            match self.by_id.get(need).copied() {
                None => {
                    let message = format!("{} needs {}, which is not in the plan", self.name(number), quote(need));
                    let hint = suggestion(need, self.by_id.keys().copied());
                    findings.error(node.place, "unknown_need", message, hint.or_else(|| self.known_ids()));
                }
                Some(_) if self.ids.get(number) == Some(&need) => {
                    let message = format!("{} needs itself", self.name(number));
                    findings.error(node.place, "self_need", message, Some("remove it from `needs`".to_owned()));
                }
                Some(needed) if needs.contains(&needed) => {
                    let message = format!("{} names {} twice in `needs`", self.name(number), quote(need));
                    findings.warning(node.place, "duplicate_need", message, Some("remove one of them".to_owned()));
                }
                Some(needed) => needs.push(needed),
            }
        }
        needs
    }

    fn known_ids(&self) -> Option<String> {
        let known: Vec<_> = self.ids.iter().copied().filter(|id| is_id(id)).collect();
        (known.len() <= 12).then(|| format!("the plan's tasks are {}", known.join(", ")))
    }

    /// The graph; circles are reported and cut.
    pub(super) fn graph(&self, findings: &mut Findings) -> Option<TaskGraph> {
        // Numbers stand for the keys, because ids may be there twice in a plan that is wrong.
        let keys: Vec<String> = (0..self.nodes.len()).map(|number| number.to_string()).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let mut needs = self.needs.clone();
        for _ in 0..MAX_CYCLES {
            match TaskGraph::build(&keys, &needs) {
                Ok(graph) => return Some(graph),
                Err(GraphError::Cycle { keys }) => {
                    let cycle: Vec<usize> = keys.iter().rev().filter_map(|key| key.parse().ok()).collect();
                    self.report_cycle(&cycle, findings);
                    let (first, second) = (*cycle.first()?, *cycle.get(1)?);
                    needs.get_mut(first)?.retain(|need| *need != second);
                }
                Err(_) => return None,
            }
        }
        None
    }

    /// `cycle`: each task needs the next one, and the last needs the first.
    fn report_cycle(&self, cycle: &[usize], findings: &mut Findings) {
        let Some(start) = cycle.iter().enumerate().min_by_key(|(_, number)| **number).map(|(at, _)| at) else { return };
        let round: Vec<usize> = cycle.iter().cycle().skip(start).take(cycle.len() + 1).copied().collect();
        let ids: Vec<_> = round.iter().map(|number| self.ids.get(*number).copied().unwrap_or_default()).collect();
        let links: Vec<_> = round.windows(2).filter_map(|pair| self.link(*pair.first()?, *pair.get(1)?)).collect();
        let place = links.first().map_or_else(Place::default, |(place, _)| *place);
        let lines: Vec<_> = links.into_iter().map(|(_, text)| text).take(MAX_CYCLES).collect();
        let message = format!("tasks need each other in a circle: {}", ids.join(" → "));
        let hint = format!("remove one of these needs: {}", lines.join(", "));
        findings.error(place, "cycle", message, Some(hint));
    }

    /// The place where `task` says that it needs `need`, and that in words.
    fn link(&self, task: usize, need: usize) -> Option<(Place, String)> {
        let (from, to) = (*self.ids.get(task)?, *self.ids.get(need)?);
        let needs = self.nodes.get(task)?.get("needs")?.elements();
        let place = needs.iter().find(|node| node.text() == Some(to))?.place;
        Some((place, format!("{from} → {to} (line {})", place.line)))
    }
}

/// 1 to 64 of `[a-z0-9_-]`, starting with a letter.
fn is_id(id: &str) -> bool {
    let inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    id.len() <= MAX_ID_CHARS && id.starts_with(|c: char| c.is_ascii_lowercase()) && id.chars().all(inside)
}

fn similar_id(id: &str) -> String {
    let lower: String =
        id.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).collect();
    let start = lower.trim_start_matches(|c: char| !c.is_ascii_lowercase());
    let short: String = start.chars().take(MAX_ID_CHARS).collect();
    let short = short.trim_end_matches('-');
    if is_id(short) { format!(": `{short}`") } else { String::new() }
}

/// The id closest to `text` among those that task `number` needs.
pub(super) fn closest_need<'a>(tasks: &Tasks<'a>, number: usize, text: &str) -> Option<&'a str> {
    let needs = tasks.needs.get(number).into_iter().flatten();
    closest(text, needs.filter_map(|need| tasks.ids.get(*need).copied()))
}
