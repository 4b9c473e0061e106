//! A project as lines of text: what `status` prints once and `watch` draws again and again.

use std::collections::BTreeMap;

use bus_schemas::{
    time::UnixMs,
    v1::{
        api::{ProjectView, TaskView},
        task::{Stage, TaskState},
    },
};

use super::{
    ids, money,
    render::{done, project_paint, span, task_sign, width, word},
    style::{Paint, Style, clean_line},
};

/// Frames of the sign in front of a working task.
const SPINNER: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
/// Keys and titles longer than this are cut, so that one of them does not push the rest off the screen.
const NAME_COLUMNS: usize = 40;

/// How to draw.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    pub(super) style: Style,
    /// Which frame of the spinner, for a live view.
    pub(super) frame: Option<usize>,
    /// At most so many task lines; the dullest are left out.
    pub(super) max_tasks: usize,
    pub(super) now: UnixMs,
}

/// The lines above the tasks.
pub(super) fn head(project: &ProjectView, view: View) -> Vec<String> {
    let style = view.style;
    let until = if project.state.is_final() { project.changed_at } else { view.now };
    let mut facts = vec![
        style.paint(project_paint(project.state), word(&project.state)),
        format!("{} done", done(project)),
        format!("{} elapsed", span(until.since(project.created_at))),
        format!("{} VM time", span(project.usage.vm_ms.max(project.spend.vm_ms))),
    ];
    let spent = money::spend(style, &project.spend);
    if !spent.is_empty() {
        facts.push(spent);
    }
    vec![
        format!(
            "{}  {}",
            style.paint(Paint::Bold, clean_line(&project.title)),
            style.paint(Paint::Dim, ids::alone(&project.project_id))
        ),
        facts.join(&style.paint(Paint::Dim, " · ")),
    ]
}

/// One line per task; children of a `foreach` task hang below it.
pub(super) fn tasks(project: &ProjectView, view: View) -> Vec<String> {
    let shown = families(select(&project.tasks, view.max_tasks));
    let keys: Vec<(String, String)> = shown.iter().map(|task| names(task, &shown)).collect();
    let key_wide = keys.iter().map(|(key, _)| width(key)).max().unwrap_or(0);
    let title_wide = keys.iter().map(|(_, title)| width(title)).max().unwrap_or(0);
    let mut lines = Vec::new();
    for (task, (key, title)) in shown.iter().zip(&keys) {
        let pad = |text: &str, wide: usize| format!("{text}{}", " ".repeat(wide - width(text)));
        let (sign, paint) = task_sign(task.state);
        let sign = match (task.state, view.frame) {
            (TaskState::Working, Some(frame)) => SPINNER.get(frame % SPINNER.len()).copied().unwrap_or(sign),
            _ => sign,
        };
        let title = if title_wide == 0 { String::new() } else { format!("{}  ", pad(title, title_wide)) };
        let style = view.style;
        let line = format!(
            "  {} {}  {title}{}",
            style.paint(paint, sign),
            style.paint(Paint::Bold, pad(key, key_wide)),
            says(task, view)
        );
        lines.push(line.trim_end().to_owned());
    }
    if shown.len() < project.tasks.len() {
        lines.push(view.style.paint(Paint::Dim, format!("    … and {} more", project.tasks.len() - shown.len())));
    }
    lines
}

/// The same tasks, each child of a `foreach` below its parent (they come into being last, so they are listed last).
fn families(tasks: Vec<&TaskView>) -> Vec<&TaskView> {
    let parents: BTreeMap<&str, usize> = tasks.iter().enumerate().map(|(at, task)| (task.key.as_str(), at)).collect();
    let place = |at: usize, task: &TaskView| {
        let parent = task.key.split_once('[').and_then(|(parent, _)| parents.get(parent));
        (parent.copied().unwrap_or(at), at)
    };
    let mut placed: Vec<((usize, usize), &TaskView)> =
        tasks.iter().enumerate().map(|(at, task)| (place(at, task), *task)).collect();
    placed.sort_by_key(|(place, _)| *place);
    placed.into_iter().map(|(_, task)| task).collect()
}

/// The key (indented below a shown parent) and the title if it says more than the key.
fn names(task: &TaskView, shown: &[&TaskView]) -> (String, String) {
    let parent = task.key.split_once('[').map(|(parent, _)| parent);
    let child = parent.is_some_and(|parent| shown.iter().any(|other| other.key == parent));
    let key = clean_line(&task.key);
    let key = if child { format!("└ {}", key.trim_start_matches(|c| c != '[')) } else { key };
    let title = if task.title == task.key { String::new() } else { clean_line(&task.title) };
    (cut(&key), cut(&title))
}

fn cut(text: &str) -> String {
    if width(text) <= NAME_COLUMNS {
        return text.to_owned();
    }
    let mut kept = String::new();
    for c in text.chars() {
        kept.push(c);
        if width(&kept) >= NAME_COLUMNS - 1 {
            break;
        }
    }
    kept.push('…');
    kept
}

/// The tasks to show, in plan order: if there are too many, those a person wants to see first.
fn select(tasks: &[TaskView], max: usize) -> Vec<&TaskView> {
    if tasks.len() <= max {
        return tasks.iter().collect();
    }
    let dullness = |task: &TaskView| match task.state {
        TaskState::Working | TaskState::InputRequired | TaskState::UnknownOutcome => 0,
        TaskState::Failed | TaskState::Rejected => 1,
        TaskState::Ready | TaskState::Submitted => 2,
        TaskState::Blocked => 3,
        TaskState::Canceled | TaskState::Unverified => 4,
        TaskState::Completed | TaskState::Skipped => 5,
    };
    let mut order: Vec<usize> = (0..tasks.len()).collect();
    order.sort_by_key(|index| tasks.get(*index).map(dullness));
    order.truncate(max);
    order.sort_unstable();
    order.iter().filter_map(|index| tasks.get(*index)).collect()
}

/// What there is to say about a task now.
fn says(task: &TaskView, view: View) -> String {
    let style = view.style;
    let (_, paint) = task_sign(task.state);
    let mut parts = vec![style.paint(paint, state_word(task))];
    if let Some(from) = task.claimed_at
        && (task.state.is_final() || matches!(task.state, TaskState::Working))
    {
        parts.push(span(task.ended_at.unwrap_or(view.now).since(from)));
    }
    if task.attempt > 1 {
        parts.push(style.paint(Paint::Yellow, format!("attempt {}/{}", task.attempt, task.max_attempts)));
    }
    let spent = money::spend(style, &task.spend);
    if !spent.is_empty() {
        parts.push(spent);
    }
    if task.state == TaskState::Blocked && !task.needs.is_empty() && task.reason.is_empty() {
        parts.push(style.paint(Paint::Dim, format!("after {}", clean_line(&task.needs.join(", ")))));
    }
    if !task.reason.is_empty() && task.state != TaskState::Completed {
        parts.push(style.paint(Paint::Dim, clean_line(&task.reason)));
    } else if let (Some(failure), true) = (&task.failure, matches!(task.state, TaskState::Failed | TaskState::Ready)) {
        parts.push(style.paint(Paint::Dim, format!("{}: {}", word(&failure.reason), clean_line(&failure.detail))));
    }
    parts.join("  ")
}

fn state_word(task: &TaskView) -> String {
    match (task.state, task.stage) {
        (TaskState::Working, Some(stage)) => match stage {
            Stage::Booting => "booting",
            Stage::Preparing => "preparing",
            Stage::Running => "running",
            Stage::Collecting => "collecting",
            Stage::Checking => "checking",
        }
        .to_owned(),
        (TaskState::InputRequired, _) => "waits for you".to_owned(),
        (TaskState::Submitted, _) => "waits for a host".to_owned(),
        (state, _) => word(&state),
    }
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
