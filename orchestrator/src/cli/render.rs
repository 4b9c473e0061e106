//! Pieces of output that several commands share.

use bus_schemas::{
    time::UnixMs,
    v1::{
        api::{Finding, ProjectView, Severity},
        approval::Verdict,
        handoff::{ChangeKind, ChangedPath},
        project::ProjectState,
        task::TaskState,
    },
};
use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;
use unicode_width::UnicodeWidthStr as _;

use super::{
    ids,
    style::{Paint, Style, clean, clean_line},
};
pub(super) use crate::figures::{count, size, span};
use crate::{adapter::clock::SystemClock, port::Clock as _};

/// Changed paths shown before "and N more".
const PATHS_SHOWN: usize = 20;

/// Now.
pub(super) fn now() -> UnixMs {
    SystemClock.now()
}

/// How long ago.
pub(super) fn ago(now: UnixMs, at: UnixMs) -> String {
    match now.since(at) {
        0..1000 => "now".to_owned(),
        ms @ 1000..10_000 => format!("{}s ago", ms / 1000),
        ms => {
            let text = span(ms);
            format!("{} ago", text.split(' ').next().unwrap_or(&text))
        }
    }
}

/// A local time: with the date, or the time of day alone.
pub(super) fn clock(at: UnixMs, with_date: bool) -> String {
    let Ok(timestamp) = Timestamp::from_millisecond(at.0) else { return at.0.to_string() };
    let zoned = timestamp.to_zoned(TimeZone::system());
    zoned.strftime(if with_date { "%Y-%m-%d %H:%M:%S" } else { "%H:%M:%S" }).to_string()
}

/// A wire enum's own word, for people: `input_required` is `input required`.
pub(super) fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text.replace('_', " "),
        _ => String::new(),
    }
}

/// The sign and colour of a task's state.
pub(super) const fn task_sign(state: TaskState) -> (char, Paint) {
    match state {
        TaskState::Blocked => ('·', Paint::Dim),
        TaskState::Ready | TaskState::Submitted => ('○', Paint::Dim),
        TaskState::Working => ('▶', Paint::Blue),
        TaskState::InputRequired => ('?', Paint::Yellow),
        TaskState::Completed => ('✓', Paint::Green),
        TaskState::Unverified => ('✓', Paint::Yellow),
        TaskState::Failed | TaskState::Rejected => ('✗', Paint::Red),
        TaskState::Canceled => ('⊘', Paint::Red),
        TaskState::Skipped => ('–', Paint::Dim),
        TaskState::UnknownOutcome => ('!', Paint::Red),
    }
}

/// The colour of a project's state.
pub(super) const fn project_paint(state: ProjectState) -> Paint {
    match state {
        ProjectState::AwaitingApproval => Paint::Yellow,
        ProjectState::Planning | ProjectState::Working => Paint::Blue,
        ProjectState::Completed => Paint::Green,
        ProjectState::Failed | ProjectState::Canceled | ProjectState::Rejected => Paint::Red,
    }
}

/// What a verdict is called, and its colour.
pub(super) const fn verdict(verdict: Verdict) -> (&'static str, Paint) {
    match verdict {
        Verdict::Approved => ("approved", Paint::Green),
        Verdict::ChangesRequested => ("changes requested", Paint::Yellow),
        Verdict::Rejected => ("rejected", Paint::Red),
        Verdict::Expired => ("expired", Paint::Red),
    }
}

/// `3 of 7 tasks`: how many ended well, of all.
pub(super) fn done(project: &ProjectView) -> String {
    let of = |name: &str| project.counts.get(name).copied().unwrap_or(0);
    let good = of("completed") + of("unverified") + of("skipped");
    let all: u32 = project.counts.values().sum();
    format!("{good} of {}", count(all as usize, "task"))
}

/// Columns, each as wide as its widest cell; the last is not padded. Cells may carry colours.
pub(super) fn table(style: Style, head: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = head.iter().map(|cell| width(cell)).collect();
    for row in rows {
        for (place, cell) in widths.iter_mut().zip(row) {
            *place = (*place).max(width(cell));
        }
    }
    let mut text = String::new();
    let painted: Vec<String> = head.iter().map(|cell| style.paint(Paint::Dim, cell)).collect();
    for row in std::iter::once(&painted).chain(rows) {
        let mut line = String::new();
        for (index, cell) in row.iter().enumerate() {
            line.push_str(cell);
            if index + 1 < row.len() {
                let wide = widths.get(index).copied().unwrap_or(0);
                line.extend(std::iter::repeat_n(' ', wide.saturating_sub(width(cell)) + 2));
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// How many columns a text takes, colours not counted.
pub(super) fn width(text: &str) -> usize {
    let mut columns = 0;
    let mut rest = text;
    while let Some((plain, coloured)) = rest.split_once("\x1b[") {
        columns += plain.width();
        rest = coloured.split_once('m').map_or("", |(_, after)| after);
    }
    columns + rest.width()
}

/// Changed paths, one a line: `+ path  12 KiB`.
pub(super) fn changed(style: Style, paths: &[ChangedPath]) -> String {
    let mut text = String::new();
    for path in paths.iter().take(PATHS_SHOWN) {
        let (sign, paint) = match path.kind {
            ChangeKind::Added => ('+', Paint::Green),
            ChangeKind::Modified => ('~', Paint::Yellow),
            ChangeKind::Deleted => ('-', Paint::Red),
        };
        let bytes = if path.kind == ChangeKind::Deleted { String::new() } else { size(path.bytes) };
        let line =
            format!("  {} {}  {}", style.paint(paint, sign), clean_line(&path.path), style.paint(Paint::Dim, bytes));
        text.push_str(line.trim_end());
        text.push('\n');
    }
    if paths.len() > PATHS_SHOWN {
        text.push_str(&format!("  … and {} more\n", paths.len() - PATHS_SHOWN));
    }
    text
}

/// Findings, one paragraph each: `file:line:column: error: message`, then the way out.
pub(super) fn findings(style: Style, findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let (name, paint) = match finding.severity {
            Severity::Error => ("error", Paint::Red),
            Severity::Warning => ("warning", Paint::Yellow),
        };
        let place = match finding.line {
            0 => clean_line(&finding.file),
            line => format!("{}:{line}:{}", clean_line(&finding.file), finding.column),
        };
        text.push_str(&format!(
            "{} {} {} {}\n",
            style.paint(Paint::Bold, format!("{place}:")),
            style.paint(paint, format!("{name}:")),
            clean(&finding.message),
            style.paint(Paint::Dim, format!("[{}]", finding.code)),
        ));
        if let Some(hint) = &finding.hint {
            text.push_str(&format!("    {}\n", clean(hint)));
        }
    }
    text
}

/// What a person would type next, as whole commands with a word of why.
pub(super) fn next_commands(project: &ProjectView) -> Vec<(String, &'static str)> {
    let id = ids::alone(&project.project_id);
    let pending = ids::Listed::of(project.pending_approvals.iter());
    let mut next: Vec<(String, &str)> = project
        .pending_approvals
        .iter()
        .map(|approval| (format!("baton approve {}", pending.short(approval)), "to go on"))
        .collect();
    match project.state {
        ProjectState::Completed if project.applied_at.is_some() => {
            next.push((format!("baton undo {id}"), "to take the changes back out of the folder"));
        }
        ProjectState::Completed if project.result_commit.is_some() => {
            next.push((format!("baton diff {id}"), "to see the result"));
            next.push((format!("baton apply {id}"), "to put it into the folder"));
        }
        ProjectState::Failed => {
            let failed = project.tasks.iter().find(|task| task.state == TaskState::Failed);
            let task = failed.map(|task| format!(" --task '{}'", clean_line(&task.key))).unwrap_or_default();
            next.push((format!("baton logs {id}{task}"), "to see what was printed"));
        }
        _ => {}
    }
    next
}

/// [`next_commands`] as lines.
pub(super) fn next_lines(style: Style, project: &ProjectView) -> String {
    let next = next_commands(project);
    let wide = next.iter().map(|(command, _)| width(command)).max().unwrap_or(0);
    let mut text = String::new();
    for (index, (command, why)) in next.iter().enumerate() {
        let lead = if index == 0 { "next:" } else { "" };
        let gap = " ".repeat(wide - width(command));
        text.push_str(&format!(
            "{lead:5} {}{gap}  {}\n",
            style.paint(Paint::Cyan, command),
            style.paint(Paint::Dim, why)
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Style = Style { colour: false };

    #[test]
    fn times_and_words_read_well() {
        assert_eq!(ago(UnixMs(200_000), UnixMs(0)), "3m ago");
        assert_eq!(word(&TaskState::InputRequired), "input required");
    }

    #[test]
    fn columns_line_up_whatever_the_colours() {
        let colour = Style { colour: true };
        let rows = vec![vec![colour.paint(Paint::Red, "a"), "1".to_owned()], vec!["bbb".to_owned(), "2".to_owned()]];
        let text = table(PLAIN, &["X", "N"], &rows);
        assert_eq!(text, "X    N\n\u{1b}[31ma\u{1b}[0m    1\nbbb  2\n");
    }
}
