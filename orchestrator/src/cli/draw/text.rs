//! A plan as text: its layers, and in each the tasks that can run at the same time.
//!
//! ```text
//! Audit of a repository
//! 3 tasks in 2 layers, at most 2 at the same time
//!
//! ┌ layer 1
//! ├─ inventory  Count the files               [1 check]
//! └─ licences   Find the licences             [×3, 1 check]
//! ┌ layer 2
//! └─ report     Merge everything              [asks, 2 checks]
//!       needs inventory, licences
//! ```

use std::collections::HashMap;

use bus_schemas::v1::plan::{Plan, Task};

use super::{
    super::findings::clean,
    marks::{counted, cut, marks},
};

/// The widest line, in characters.
const WIDTH: usize = 100;
/// The widest column of ids.
const ID_WIDTH: usize = 28;
/// Plans with more tasks are summed up.
const MAX_TASKS: usize = 200;
/// Tasks shown of a layer that is summed up.
const TASKS_PER_LAYER: usize = 5;
/// Layers shown of a plan that is summed up.
const LAYERS: usize = 20;

/// Draws a plan; `layers` are task ids by depth, as in a plan report. Lines are at most 100 characters wide.
#[must_use]
pub fn text(plan: &Plan, layers: &[Vec<String>]) -> String {
    let tasks: HashMap<&str, &Task> = plan.tasks.iter().map(|task| (task.id.as_str(), task)).collect();
    let is_large = plan.tasks.len() > MAX_TASKS;
    let (most_layers, most_tasks) = if is_large { (LAYERS, TASKS_PER_LAYER) } else { (usize::MAX, usize::MAX) };
    let mut lines = head(plan, layers);
    for (number, layer) in layers.iter().enumerate().take(most_layers) {
        let size = if is_large { format!(": {}", counted(layer.len(), "task")) } else { String::new() };
        lines.push(format!("┌ layer {}{size}", number + 1));
        let shown: Vec<&Task> =
            layer.iter().filter_map(|id| tasks.get(id.as_str()).copied()).take(most_tasks).collect();
        let hidden = layer.len() - shown.len();
        let width = shown.iter().map(|task| task.id.chars().count()).max().unwrap_or(0).min(ID_WIDTH);
        for (at, task) in shown.iter().enumerate() {
            let is_last = at + 1 == shown.len() && hidden == 0;
            rows(plan, task, width, is_last, &mut lines);
        }
        if hidden > 0 {
            lines.push(format!("└─ … and {} more", counted(hidden, "task")));
        }
    }
    if layers.len() > most_layers {
        lines.push(format!("… and {} more", counted(layers.len() - most_layers, "layer")));
    }
    lines.iter().map(|line| cut(line.trim_end(), WIDTH) + "\n").collect()
}

fn head(plan: &Plan, layers: &[Vec<String>]) -> Vec<String> {
    let widest = layers.iter().map(Vec::len).max().unwrap_or(0);
    let mut lines = vec![clean(&plan.title)];
    if let Some(goal) = plan.goal.lines().map(str::trim).find(|line| !line.is_empty()) {
        lines.push(clean(goal));
    }
    let (tasks, depth) = (counted(plan.tasks.len(), "task"), counted(layers.len(), "layer"));
    lines.push(format!("{tasks} in {depth}, at most {} at the same time", super::marks::grouped(widest)));
    lines.push(String::new());
    lines
}

fn rows(plan: &Plan, task: &Task, id_width: usize, is_last: bool, lines: &mut Vec<String>) {
    let (branch, stem) = if is_last { ("└─", "  ") } else { ("├─", "│ ") };
    let id = cut(&task.id, id_width);
    let marks = format!("[{}]", clean(&marks(plan, task).join(", ")));
    let marks = cut(&marks, WIDTH / 2);
    let room = WIDTH.saturating_sub(3 + id_width + 2 + 2 + marks.chars().count());
    let title = cut(&clean(task.title.as_deref().unwrap_or_default()), room);
    lines.push(format!("{branch} {id:id_width$}  {title:room$}  {marks}"));
    if !task.needs.is_empty() {
        let indent = format!("{stem}    needs ");
        lines.push(format!("{indent}{}", listed(&task.needs, WIDTH - indent.chars().count())));
    }
}

/// As many names as fit, and how many do not.
fn listed(names: &[String], width: usize) -> String {
    let all = names.join(", ");
    if all.chars().count() <= width {
        return all;
    }
    let more = |count: usize| format!(" and {} more", super::marks::grouped(count));
    let room = width.saturating_sub(more(names.len()).chars().count());
    let mut shown = String::new();
    let mut count = 0;
    for name in names {
        let next = if count == 0 { name.clone() } else { format!("{shown}, {name}") };
        if count > 0 && next.chars().count() > room {
            break;
        }
        shown = next;
        count += 1;
    }
    cut(&format!("{shown}{}", more(names.len() - count)), width)
}
