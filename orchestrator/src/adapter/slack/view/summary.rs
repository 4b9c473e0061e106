//! The last message of a project: what came of it.

use bus_schemas::v1::{
    api::{ProjectView, TaskView},
    handoff::ChangedPath,
    project::ProjectState,
    task::TaskState,
};

use super::{
    Card, OfProject, action,
    blocks::{Look, actions, button, confirmed, context, header, section},
    figures::{count, span},
    part, short, status,
    text::{code, date, line, list, plain, quote},
    value,
};
use crate::words::{
    card::{evidence, next},
    names,
};

/// Paths named.
const PATHS: usize = 15;
/// The list of them.
const LIST: usize = 1_300;
/// Handoffs whose summary is shown.
const SUMMARIES: usize = 4;
/// Failures named.
const FAILURES: usize = 8;

/// What the project changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The paths.
    pub changed: Vec<ChangedPath>,
    /// Lines that came.
    pub lines_added: u64,
    /// Lines that went.
    pub lines_removed: u64,
    /// The difference is attached in the thread.
    pub attached: bool,
}

/// The summary of a finished project. `outcome` is the difference of its result from its base, if it has one.
#[must_use]
pub fn summary(project: &ProjectView, outcome: Option<&Outcome>) -> Card {
    let (done, all) = names::progress(project);
    let state = names::state(project.state);
    let mut blocks = vec![header(&format!("{} {} {state}", status::mark(project.state), project.title))];
    blocks.extend(context(&[
        format!("project of {}", line(&project.owner, 80)),
        format!("took {}", span(project.changed_at.since(project.created_at))),
        format!("ended {}", date(project.changed_at)),
        code(&short(&project.project_id), 20),
    ]));
    blocks.push(section(&format!("{} {done} of {}", status::bar(done, all), count(all as usize, "task"))));
    blocks.extend(summaries(&project.tasks).map(|text| section(&text)));
    blocks.extend(failures(&project.tasks).map(|text| section(&text)));
    if let Some(outcome) = outcome {
        let changed = evidence::changed(&outcome.changed, outcome.lines_added, outcome.lines_removed, PATHS);
        let attached = if outcome.attached { "\n📎 The difference is in this thread." } else { "" };
        blocks.push(section(&format!("{}{attached}", part::paragraph(&changed, LIST))));
    }
    blocks.extend(next::spend(&project.spend, None).map(|spent| section(&part::paragraph(&spent, LIST))));
    blocks.push(section(&folder(project)));
    if applicable(project) {
        blocks.push(actions(&buttons(project)));
    }
    let text = format!("{} {state}: {done} of {}", project.title, count(all as usize, "task"));
    Card { text: plain(&text, 300), blocks }
}

/// What the last handoffs say: those that nothing else built on.
fn summaries(tasks: &[TaskView]) -> Option<String> {
    let last: Vec<String> = tasks
        .iter()
        .filter(|task| !tasks.iter().any(|other| other.needs.contains(&task.key)))
        .filter(|task| matches!(task.state, TaskState::Completed | TaskState::Unverified))
        .filter_map(|task| task.handoff.as_ref().map(|handoff| (task, handoff)))
        .filter(|(_, handoff)| !handoff.summary.trim().is_empty())
        .map(|(task, handoff)| format!("{}\n{}", code(&task.key, 60), quote(&handoff.summary, 500)))
        .collect();
    let shown: Vec<String> = last.iter().take(SUMMARIES).cloned().collect();
    (!shown.is_empty())
        .then(|| format!("*What was done* (the workers' own words)\n{}", list(&shown, last.len(), 2_600)))
}

fn failures(tasks: &[TaskView]) -> Option<String> {
    let bad: Vec<String> = tasks
        .iter()
        .filter(|task| matches!(task.state, TaskState::Failed | TaskState::Rejected | TaskState::UnknownOutcome))
        .map(|task| {
            let why = task.failure.as_ref().map_or(task.reason.as_str(), |failure| failure.detail.as_str());
            format!("❌ {} {}", code(&task.key, 60), line(why, 200))
        })
        .collect();
    let shown: Vec<String> = bad.iter().take(FAILURES).cloned().collect();
    (!shown.is_empty()).then(|| format!("*What did not end well*\n{}", list(&shown, bad.len(), 1_500)))
}

/// What became of the folder.
fn folder(project: &ProjectView) -> String {
    let folder = code(&project.folder, 300);
    let id = short(&project.project_id);
    match (project.state, project.applied_at, &project.result_commit) {
        (_, Some(at), _) => {
            format!("📂 The result is in {folder} since {}. `baton undo {id}` takes it back.", date(at))
        }
        (ProjectState::Completed, None, Some(_)) => {
            format!("📂 The result is *not yet* in {folder}. `baton apply {id}` puts it there.")
        }
        (ProjectState::Failed, None, _) => {
            format!("📂 {folder} is as it was. `baton logs {id}` shows what was printed.")
        }
        _ => format!("📂 {folder} is as it was."),
    }
}

/// There is a result, it is not in the folder, and nobody is being asked about that already.
fn applicable(project: &ProjectView) -> bool {
    project.state == ProjectState::Completed
        && project.applied_at.is_none()
        && project.result_commit.is_some()
        && project.pending_approvals.is_empty()
}

fn buttons(project: &ProjectView) -> Vec<serde_json::Value> {
    let commit = project.result_commit.clone().unwrap_or_default();
    let carried = value(&OfProject { project_id: project.project_id, commit });
    let apply = button("Put it into the folder", action::APPLY, &carried, Look::Primary);
    let words = format!("{} is changed. `baton undo` takes it back.", code(&project.folder, 150));
    vec![confirmed(apply, "Put the result into the folder?", &words, "Apply")]
}
