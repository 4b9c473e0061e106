//! `baton status`

use bus_schemas::v1::api::{ProjectView, TaskView};

use super::{
    CliError, Context, Exit, ids,
    render::{next_lines, now, word},
    style::{Paint, Style, clean_line, clean_output},
    tree::{self, View},
};

/// Lines of a failed attempt's output that are shown.
const TAIL_LINES: usize = 10;

pub(super) async fn status(context: &Context, id: &str) -> Result<Exit, CliError> {
    let ui = context.ui;
    let project = context.client()?.project(ids::check("ps", id)?).await?;
    if ui.json {
        ui.json_line(&project)?;
    } else {
        ui.data(&whole(ui.out, &project))?;
    }
    Ok(Exit::Ok)
}

/// Head, tasks, failures, what to type next.
pub(super) fn whole(style: Style, project: &ProjectView) -> String {
    let view = View { style, frame: None, max_tasks: usize::MAX, now: now() };
    let mut lines = tree::head(project, view);
    lines.push(format!("{} {}", style.paint(Paint::Dim, "folder"), clean_line(&project.folder)));
    if !project.tasks.is_empty() {
        lines.push(String::new());
        lines.extend(tree::tasks(project, view));
    }
    let mut text = lines.join("\n") + "\n";
    for task in project.tasks.iter().filter(|task| task.state.is_final()) {
        text.push_str(&failure(style, task));
    }
    let next = next_lines(style, project);
    if !next.is_empty() {
        text.push('\n');
        text.push_str(&next);
    }
    text
}

/// How a task's last attempt failed, with the end of what it printed.
fn failure(style: Style, task: &TaskView) -> String {
    let Some(failure) = task.failure.as_ref().filter(|_| task.handoff.is_none()) else { return String::new() };
    let mut text = format!(
        "\n{} attempt {}: {}: {}\n",
        style.paint(Paint::Red, clean_line(&task.key)),
        failure.attempt,
        word(&failure.reason),
        clean_line(&failure.detail)
    );
    let output = clean_output(&failure.output_tail);
    let lines: Vec<&str> = output.lines().collect();
    for line in lines.get(lines.len().saturating_sub(TAIL_LINES)..).unwrap_or_default() {
        text.push_str(&format!("  {} {line}\n", style.paint(Paint::Dim, "│")));
    }
    text
}
