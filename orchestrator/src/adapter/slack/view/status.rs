//! The one live message of a project. It holds no running clock (Slack shows "3 minutes ago" by itself), so it changes only
//! when something happened.

use std::collections::BTreeMap;

use bus_schemas::v1::{
    api::{ApprovalView, ProjectView, TaskView},
    project::ProjectState,
    task::{Stage, TaskState},
};

use super::{
    Card,
    blocks::{context, header, section},
    figures::{count, span},
    part, short, subject,
    text::{ago, code, length, line, list, plain},
};
use crate::words::{
    card::next,
    names::{progress, state as word, task_state as task_word},
};

/// Tasks with a line of their own.
const TASKS: usize = 30;
/// All of the tree.
const TREE: usize = 2_900;
/// Other lists.
const LIST: usize = 700;
/// Widest indentation.
const DEPTH: usize = 5;
/// Cells of the bar: with its numbers it is one line on a phone.
const CELLS: u32 = 10;
/// A task's key, as code.
const KEY: usize = 60;
/// A title.
const TITLE: usize = 120;
/// Requests named.
const REQUESTS: usize = 8;

/// The live message: state, progress, tasks, spend, what it waits for.
#[must_use]
pub fn status(project: &ProjectView, approvals: &[ApprovalView]) -> Card {
    let (done, all) = progress(project);
    let mut blocks = vec![header(&format!("{} {}", mark(project.state), project.title))];
    let time = if project.state.is_final() {
        format!("took {}", span(project.changed_at.since(project.created_at)))
    } else {
        format!("started {}", ago(project.created_at))
    };
    blocks.extend(context(&[
        format!("*{}*", word(project.state)),
        format!("project of {}", line(&project.owner, 80)),
        time,
        code(&short(&project.project_id), 20),
    ]));
    if all > 0 {
        blocks.push(section(&format!("{} · {done} of {}", bar(done, all), count(all as usize, "task"))));
    }
    if !project.tasks.is_empty() {
        blocks.push(section(&tree(&project.tasks)));
    }
    blocks.extend(waiting(project, approvals).map(|text| section(&text)));
    blocks.extend(next::spend(&project.spend, None).map(|spent| section(&part::paragraph(&spent, LIST))));
    let text = format!("{}: {}, {done} of {}", project.title, word(project.state), count(all as usize, "task"));
    Card { text: plain(&text, 300), blocks }
}

/// A bar of boxes; full only when all is done.
pub(super) fn bar(done: u32, all: u32) -> String {
    let filled = u64::from(done) * u64::from(CELLS) / u64::from(all.max(1));
    let filled = usize::try_from(filled).unwrap_or(0).min(CELLS as usize);
    let percent = u64::from(done) * 100 / u64::from(all.max(1));
    format!("{}{} {percent} %", "▓".repeat(filled), "░".repeat(CELLS as usize - filled))
}

pub(super) const fn mark(state: ProjectState) -> &'static str {
    match state {
        ProjectState::Planning => "🧭",
        ProjectState::AwaitingApproval => "✋",
        ProjectState::Working => "⚙️",
        ProjectState::Completed => "✅",
        ProjectState::Failed => "❌",
        ProjectState::Canceled => "🚫",
        ProjectState::Rejected => "⛔",
    }
}

const fn task_mark(state: TaskState) -> &'static str {
    match state {
        TaskState::Blocked => "▫️",
        TaskState::Ready | TaskState::Submitted => "⏳",
        TaskState::Working => "⚙️",
        TaskState::InputRequired => "✋",
        TaskState::Completed => "✅",
        TaskState::Unverified => "☑️",
        TaskState::Failed => "❌",
        TaskState::Canceled => "🚫",
        TaskState::Rejected => "⛔",
        TaskState::Skipped => "⏭️",
        TaskState::UnknownOutcome => "❗",
    }
}

/// The tasks, indented by what they need; of many the most interesting ones, the rest as numbers. Fewer and shorter lines
/// are tried until they fit.
fn tree(tasks: &[TaskView]) -> String {
    let depths = depths(tasks);
    let mut text = String::new();
    for (most, words) in [(TASKS, TITLE), (TASKS, TITLE / 3), (TASKS / 2, TITLE / 4)] {
        text = draw(tasks, &depths, most, words);
        if length(&text) <= TREE {
            break;
        }
    }
    text
}

fn draw(tasks: &[TaskView], depths: &BTreeMap<&str, usize>, most: usize, words: usize) -> String {
    let shown = select(tasks, most);
    let mut lines: Vec<String> = shown
        .iter()
        .map(|task| {
            let depth = depths.get(task.key.as_str()).copied().unwrap_or(0).min(DEPTH);
            let lead = if depth == 0 { String::new() } else { format!("{}└ ", "\u{2003}".repeat(depth)) };
            format!("{lead}{} {}{}", task_mark(task.state), code(&task.key, KEY), says(task, words))
        })
        .collect();
    let mut rest: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
    for task in tasks.iter().filter(|task| !shown.iter().any(|one| std::ptr::eq(*one, *task))) {
        rest.entry(task_word(task.state)).or_insert_with(|| (0, task_mark(task.state))).0 += 1;
    }
    let tail: Vec<String> = rest.iter().map(|(word, (many, mark))| format!("{mark} {many} {word}")).collect();
    if !tail.is_empty() {
        lines.push(format!("and {}", tail.join(", ")));
    }
    lines.join("\n")
}

/// All tasks in plan order if there are few; else those a person wants to see first.
fn select(tasks: &[TaskView], most: usize) -> Vec<&TaskView> {
    if tasks.len() <= most {
        return tasks.iter().collect();
    }
    let dullness = |task: &TaskView| match task.state {
        TaskState::InputRequired | TaskState::UnknownOutcome => 0,
        TaskState::Failed | TaskState::Rejected => 1,
        TaskState::Working => 2,
        TaskState::Ready | TaskState::Submitted => 3,
        TaskState::Blocked => 4,
        TaskState::Canceled | TaskState::Unverified => 5,
        TaskState::Completed | TaskState::Skipped => 6,
    };
    let mut order: Vec<(usize, usize)> = tasks.iter().enumerate().map(|(at, task)| (dullness(task), at)).collect();
    order.sort_unstable();
    order.truncate(most);
    order.sort_unstable_by_key(|(_, at)| *at);
    order.iter().filter_map(|(_, at)| tasks.get(*at)).collect()
}

/// How far from the start each task is. A child of a `foreach` hangs below its parent.
fn depths(tasks: &[TaskView]) -> BTreeMap<&str, usize> {
    let mut depths: BTreeMap<&str, usize> = tasks.iter().map(|task| (task.key.as_str(), 0)).collect();
    // The deepest that is drawn is reached after so many rounds, whatever the order.
    for _ in 0..=DEPTH {
        for task in tasks {
            let parent = task.key.split_once('[').map(|(parent, _)| parent);
            let before = task.needs.iter().map(String::as_str).chain(parent);
            let deepest = before.filter_map(|need| depths.get(need)).max().map_or(0, |depth| depth + 1);
            depths.insert(&task.key, deepest.min(DEPTH));
        }
    }
    depths
}

fn says(task: &TaskView, words: usize) -> String {
    let mut parts = Vec::new();
    if task.title != task.key && !task.title.is_empty() {
        parts.push(line(&task.title, words));
    }
    match (task.state, task.stage) {
        (TaskState::Working, Some(stage)) => parts.push(
            match stage {
                Stage::Booting => "booting",
                Stage::Preparing => "preparing",
                Stage::Running => "running",
                Stage::Collecting => "collecting",
                Stage::Checking => "checking",
            }
            .to_owned(),
        ),
        (TaskState::InputRequired, _) => parts.push("*waits for people*".to_owned()),
        (TaskState::Unverified, _) => parts.push("nothing proves it".to_owned()),
        _ => {}
    }
    if task.attempt > 1 {
        parts.push(format!("attempt {}/{}", task.attempt, task.max_attempts));
    }
    if let (Some(from), Some(to), true) = (task.claimed_at, task.ended_at, task.state.is_final()) {
        parts.push(span(to.since(from)));
    }
    if !task.reason.is_empty() && task.state != TaskState::Completed {
        parts.push(line(&task.reason, words));
    } else if let (Some(failure), TaskState::Failed | TaskState::Ready) = (&task.failure, task.state) {
        parts.push(line(&failure.detail, words));
    }
    if parts.is_empty() { String::new() } else { format!(" {}", parts.join(" · ")) }
}

/// Which requests people are asked about.
fn waiting(project: &ProjectView, approvals: &[ApprovalView]) -> Option<String> {
    let open: Vec<&ApprovalView> = approvals
        .iter()
        .filter(|approval| approval.project_id == project.project_id && approval.decision.is_none())
        .collect();
    let many = open.len().max(project.pending_approvals.len());
    if many == 0 {
        return None;
    }
    let lines: Vec<String> = open
        .iter()
        .take(REQUESTS)
        .map(|approval| {
            let needs = &approval.route.needs;
            let who = if needs.is_empty() { "anybody here".to_owned() } else { line(needs, TITLE) };
            format!("• {} — {who}", line(&subject(approval), TITLE))
        })
        .collect();
    let rest = if lines.is_empty() { String::new() } else { format!("\n{}", list(&lines, many, 1_500)) };
    Some(format!("✋ *Waits for {}*{rest}", count(many, "decision")))
}
