//! Outputs of tasks that can run in parallel and could name the same path: their handoffs may not merge.
//!
//! Only tasks that say their `outputs` count: one that may write anything says nothing about what it will write.
//! Children of one `foreach` share their task's outputs by nature, so a task is never compared with itself. Sets such
//! as `[ab]` are not looked into. The work is bounded: a huge plan is compared in part.

use std::collections::{HashMap, HashSet};

use super::{
    finding::{Findings, quote},
    glob::{self, Pattern},
    order::Tasks,
    tree::{Node, Place},
};
use crate::plan::graph::TaskGraph;

/// Pairs of globs that are compared at most.
const MAX_PAIRS: usize = 200_000;
/// Tasks whose place in the graph is walked at most; each walk costs as much as the graph is large.
const MAX_WALKS: usize = 500;

struct Output<'a> {
    task: usize,
    glob: &'a str,
    place: Place,
    pattern: Pattern,
    prefix: String,
}

/// Warns about outputs that meet.
pub(super) fn check(tasks: &Tasks<'_>, graph: &TaskGraph, findings: &mut Findings) {
    let outputs = outputs(tasks);
    let mut by_prefix: HashMap<&str, Vec<usize>> = HashMap::new();
    for (at, output) in outputs.iter().enumerate() {
        by_prefix.entry(&output.prefix).or_default().push(at);
    }
    let mut pairs = 0;
    let mut walks = 0;
    let mut warned = HashSet::new();
    let mut walked: Option<(usize, HashSet<usize>)> = None;
    for (at, output) in outputs.iter().enumerate() {
        for other in candidates(output, &by_prefix) {
            let Some(earlier) = outputs.get(other) else { continue };
            if (earlier.prefix == output.prefix && other >= at) || earlier.task == output.task {
                continue;
            }
            pairs += 1;
            if pairs > MAX_PAIRS {
                return;
            }
            let pair = (earlier.task.min(output.task), earlier.task.max(output.task));
            if warned.contains(&pair) || !output.pattern.meets(&earlier.pattern) {
                continue;
            }
            if walked.as_ref().is_none_or(|(task, _)| *task != output.task) {
                walks += 1;
                if walks > MAX_WALKS {
                    return;
                }
                walked = Some((output.task, related(graph, output.task)));
            }
            if walked.as_ref().is_some_and(|(_, related)| !related.contains(&earlier.task)) {
                warned.insert(pair);
                warn(tasks, earlier, output, findings);
            }
        }
    }
}

fn outputs<'a>(tasks: &Tasks<'a>) -> Vec<Output<'a>> {
    let mut found = Vec::new();
    for (task, node) in tasks.nodes.iter().enumerate() {
        for node in node.get("outputs").map(Node::elements).unwrap_or_default() {
            let Some(text) = node.text().filter(|text| !text.is_empty() && glob::problem(text).is_none()) else {
                continue;
            };
            let pattern = Pattern::new(text);
            let prefix = pattern.prefix();
            found.push(Output { task, glob: text, place: node.place, pattern, prefix });
        }
    }
    found
}

/// Outputs whose prefix is a beginning of this one's: only these, and those found from the other side, can meet it.
fn candidates<'a>(
    output: &'a Output<'_>,
    by_prefix: &'a HashMap<&str, Vec<usize>>,
) -> impl Iterator<Item = usize> + 'a {
    let ends = output.prefix.char_indices().map(|(at, _)| at).chain([output.prefix.len()]);
    ends.filter_map(|end| by_prefix.get(output.prefix.get(..end)?)).flatten().copied()
}

/// The task, what it needs and what needs it, over any distance.
fn related(graph: &TaskGraph, task: usize) -> HashSet<usize> {
    let mut all = HashSet::from([task]);
    for next in [TaskGraph::needs as fn(&TaskGraph, usize) -> Vec<usize>, TaskGraph::successors] {
        let mut open = vec![task];
        while let Some(number) = open.pop() {
            open.extend(next(graph, number).into_iter().filter(|number| all.insert(*number)));
        }
    }
    all
}

fn warn(tasks: &Tasks<'_>, a: &Output<'_>, b: &Output<'_>, findings: &mut Findings) {
    let (first, second) = if a.task < b.task { (a, b) } else { (b, a) };
    let message = format!(
        "{} and {} can run at the same time and may both write {}",
        tasks.name(first.task),
        tasks.name(second.task),
        if first.glob == second.glob {
            quote(first.glob)
        } else {
            format!("{} and {}", quote(first.glob), quote(second.glob))
        },
    );
    let hint =
        format!("let one need the other, or give them different outputs (the first is in line {})", first.place.line);
    findings.warning(second.place, "overlapping_outputs", message, Some(hint));
}
