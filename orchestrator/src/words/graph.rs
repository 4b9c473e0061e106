//! A plan's tasks as lines of text, layer by layer: what stands in one layer can run at the same time.

use std::collections::BTreeMap;

use bus_schemas::v1::plan::{Plan, Task};

use super::figures::count;

/// A task's title.
const TITLE: usize = 60;
/// Tasks drawn; a plan may have thousands.
const TASKS: usize = 60;

/// The layers, each task by its longest way from the start. What waits in a circle comes last.
#[must_use]
pub fn layers(tasks: &[Task]) -> Vec<Vec<&Task>> {
    let places: BTreeMap<&str, usize> = tasks.iter().enumerate().map(|(at, task)| (task.id.as_str(), at)).collect();
    let mut open: Vec<usize> = Vec::with_capacity(tasks.len());
    let mut after: Vec<Vec<usize>> = vec![Vec::new(); tasks.len()];
    for (at, task) in tasks.iter().enumerate() {
        let needs: Vec<usize> = task.needs.iter().filter_map(|need| places.get(need.as_str()).copied()).collect();
        open.push(needs.len());
        for need in needs {
            if let Some(list) = after.get_mut(need) {
                list.push(at);
            }
        }
    }
    let mut layers = Vec::new();
    let mut placed = vec![false; tasks.len()];
    let mut now: Vec<usize> = (0..tasks.len()).filter(|at| open.get(*at) == Some(&0)).collect();
    while !now.is_empty() {
        let mut then = Vec::new();
        for at in &now {
            if let Some(mark) = placed.get_mut(*at) {
                *mark = true;
            }
            for next in after.get(*at).into_iter().flatten() {
                if let Some(left) = open.get_mut(*next) {
                    *left -= 1;
                    if *left == 0 {
                        then.push(*next);
                    }
                }
            }
        }
        layers.push(now.iter().filter_map(|at| tasks.get(*at)).collect());
        then.sort_unstable();
        now = then;
    }
    let circle: Vec<&Task> = tasks.iter().zip(&placed).filter(|(_, placed)| !**placed).map(|(task, _)| task).collect();
    if !circle.is_empty() {
        layers.push(circle);
    }
    layers
}

/// The plan as an indented tree. Its texts are an agent's: not yet safe to show.
#[must_use]
pub fn tree(plan: &Plan) -> String {
    let layers = layers(&plan.tasks);
    let widest = layers.iter().map(Vec::len).max().unwrap_or(0);
    let tasks = count(plan.tasks.len(), "task");
    let mut lines = vec![format!("{tasks} in {}, at most {widest} at the same time", count(layers.len(), "layer"))];
    let mut drawn = 0;
    'all: for (depth, layer) in layers.iter().enumerate() {
        lines.push(format!("layer {}", depth + 1));
        for (number, task) in layer.iter().enumerate() {
            if drawn == TASKS {
                lines.push(format!("… and {} more", plan.tasks.len() - drawn));
                break 'all;
            }
            drawn += 1;
            let branch = if number + 1 == layer.len() { "└" } else { "├" };
            lines.push(format!("{branch}─ {}", describe(task)));
        }
    }
    lines.join("\n")
}

fn describe(task: &Task) -> String {
    let title: String = task.title.as_deref().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
    let mut facts = Vec::new();
    if task.agent.is_some() {
        facts.push("agent".to_owned());
    }
    if let Some(foreach) = &task.foreach {
        facts.push(foreach.list.as_ref().map_or_else(|| "×n".to_owned(), |list| format!("×{}", list.len())));
    }
    if task.when.is_some() {
        facts.push("when".to_owned());
    }
    if !task.network.is_empty() {
        facts.push(format!("network {}", task.network.join(" ")));
    }
    if !task.secrets.is_empty() {
        let word = if task.secrets.len() == 1 { "secret" } else { "secrets" };
        facts.push(format!("{word} {}", task.secrets.join(" ")));
    }
    if let Some(policy) = task.approval.as_deref().filter(|policy| *policy != "auto") {
        facts.push(format!("asks {policy}"));
    }
    facts.push(if task.checks.is_empty() { "no checks".to_owned() } else { count(task.checks.len(), "check") });
    let mut text = task.id.clone();
    if !title.is_empty() && title != task.id {
        text.push_str(&format!("  {}", title.chars().take(TITLE).collect::<String>()));
    }
    text.push_str(&format!("  [{}]", facts.join(", ")));
    if !task.needs.is_empty() {
        text.push_str(&format!("  ← {}", task.needs.join(", ")));
    }
    text
}
