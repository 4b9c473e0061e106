//! What a handoff is, and what proves it.

use bus_schemas::v1::{
    agent::{EgressRecord, Report},
    handoff::{ChangeKind, ChangedPath, CheckEvidence, Handoff},
};

use super::{
    CardSettings,
    figures::{count, size, span},
    text::{code, fence, line, list, quote},
};
use crate::words::{names::without_colours, secrets::redact};

/// Longest texts of the parts: together they leave room for the rest of a card.
const SUMMARY: usize = 1_500;
const REPORT: usize = 1_200;
const CHECKS: usize = 1_500;
const OUTPUT: usize = 500;
const PATHS: usize = 1_300;
const HOSTS: usize = 600;
const QUESTIONS: usize = 600;
/// Longest entry of a list.
const ENTRY: usize = 240;
/// A path, as code.
const PATH: usize = 160;
/// Entries of a list that are named.
const NAMED: usize = 8;
/// What the host notes where no entry of the task's list fits.
const DENIED: &str = "default deny";
/// Checks that are named.
const CHECKS_NAMED: usize = 12;

/// The handoff's parts, each a paragraph, in the order in which a person wants to read them.
#[must_use]
pub fn handoff(handoff: &Handoff, settings: &CardSettings) -> Vec<String> {
    let mut parts = Vec::new();
    if handoff.summary.trim().is_empty() {
        parts.push("*What was done*\nThe worker says nothing about it.".to_owned());
    } else {
        parts.push(format!("*What was done* (the worker's own words)\n{}", quote(&handoff.summary, SUMMARY)));
    }
    parts.extend(handoff.report.as_ref().and_then(report));
    parts.push(checks(&handoff.evidence, settings.output_lines));
    let changes = changed(&handoff.changed_paths, handoff.lines_added, handoff.lines_removed, settings.paths);
    parts.push(changes);
    parts.extend(connections(&handoff.egress));
    parts.extend(open_questions(&handoff.open_questions));
    parts
}

/// What the agent decided and why, and what the next one must know.
fn report(report: &Report) -> Option<String> {
    let decided: Vec<String> = report
        .decisions
        .iter()
        .take(NAMED)
        .map(|made| format!("• {} — because {}", line(&made.what, ENTRY), line(&made.why, ENTRY)))
        .collect();
    let known: Vec<String> =
        report.must_know.iter().take(NAMED).map(|fact| format!("• {}", line(fact, ENTRY))).collect();
    let mut parts = Vec::new();
    for (title, lines, total) in [
        ("*Decided, and why* (the agent's own words)", decided, report.decisions.len()),
        ("*The next one must know*", known, report.must_know.len()),
    ] {
        if total > 0 {
            parts.push(format!("{title}\n{}", list(&lines, total, REPORT / 2)));
        }
    }
    (!parts.is_empty()).then(|| parts.join("\n"))
}

/// Every check with how it ended; failed ones first, with the end of what they printed.
fn checks(evidence: &[CheckEvidence], output_lines: usize) -> String {
    const TITLE: &str = "*Evidence* (recorded by the host, in a second VM)";
    if evidence.is_empty() {
        return format!("{TITLE}\n⚠️ *No check proves this handoff.*");
    }
    let mut sorted: Vec<&CheckEvidence> = evidence.iter().collect();
    sorted.sort_by_key(|check| check.passed);
    let lines: Vec<String> = sorted.iter().take(CHECKS_NAMED).map(|check| one_check(check)).collect();
    let failed: Vec<&&CheckEvidence> = sorted.iter().filter(|check| !check.passed).collect();
    let said = failed.first().map(|check| tail(&check.output_tail, output_lines)).unwrap_or_default();
    let passed = evidence.len() - failed.len();
    let sum = format!("{passed} of {} passed", count(evidence.len(), "check"));
    let text = format!("{TITLE}: {sum}\n{}", list(&lines, evidence.len(), CHECKS));
    if said.is_empty() { text } else { format!("{text}\n{said}") }
}

fn one_check(check: &CheckEvidence) -> String {
    let end = match (check.timed_out, check.exit_code) {
        (true, _) => "ran into its time limit".to_owned(),
        (false, Some(code)) => format!("exit {code}"),
        (false, None) => "ended by a signal".to_owned(),
    };
    let mark = if check.passed { "✅" } else { "❌" };
    format!("{mark} {} — {end}, {}", line(&check.name, ENTRY), span(check.wall_ms))
}

/// The last lines of an output, as a block; empty if nothing was printed or none are wanted.
fn tail(output: &str, most: usize) -> String {
    // Before it is cut: a key that has lost its beginning looks like nothing.
    let plain = redact(&without_colours(output));
    let lines: Vec<&str> = plain.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = lines.get(lines.len().saturating_sub(most)..).unwrap_or_default();
    if last.is_empty() { String::new() } else { fence(&last.join("\n"), OUTPUT) }
}

/// What changed, the first paths by name.
#[must_use]
pub fn changed(paths: &[ChangedPath], added: u64, removed: u64, most: usize) -> String {
    if paths.is_empty() {
        return "*Changes*: none".to_owned();
    }
    let of = |kind| paths.iter().filter(|path| path.kind == kind).count();
    let kinds: Vec<String> =
        [(ChangeKind::Added, "new"), (ChangeKind::Modified, "changed"), (ChangeKind::Deleted, "gone")]
            .into_iter()
            .filter(|(kind, _)| of(*kind) > 0)
            .map(|(kind, word)| format!("{} {word}", of(kind)))
            .collect();
    let lines: Vec<String> = paths.iter().take(most).map(one_path).collect();
    let sum = format!("{} ({}), +{added} −{removed} lines", count(paths.len(), "file"), kinds.join(", "));
    format!("*Changes*: {sum}\n{}", list(&lines, paths.len(), PATHS))
}

fn one_path(path: &ChangedPath) -> String {
    match path.kind {
        ChangeKind::Added => format!("➕ {} {}", code(&path.path, PATH), size(path.bytes)),
        ChangeKind::Modified => format!("✏️ {} {}", code(&path.path, PATH), size(path.bytes)),
        ChangeKind::Deleted => format!("🗑️ {}", code(&path.path, PATH)),
    }
}

/// The connections it asked for, refused ones first.
fn connections(records: &[EgressRecord]) -> Option<String> {
    if records.is_empty() {
        return None;
    }
    let mut sorted: Vec<&EgressRecord> = records.iter().collect();
    sorted.sort_by_key(|record| record.allowed);
    let lines: Vec<String> = sorted
        .iter()
        .take(NAMED)
        .map(|record| {
            let mark = if record.allowed { "✅" } else { "⛔" };
            let why = match (record.allowed, record.rule.as_str()) {
                (true, rule) => format!("allowed by {}", code(rule, ENTRY)),
                (false, DENIED) => "refused: nobody allowed it".to_owned(),
                (false, rule) => format!("refused: {}", line(rule, ENTRY)),
            };
            format!("{mark} {} — {why}", code(&record.target, ENTRY))
        })
        .collect();
    let refused = records.iter().filter(|record| !record.allowed).count();
    let sum = if refused > 0 { format!(", {refused} refused") } else { String::new() };
    let many = count(records.len(), "connection");
    Some(format!("*Network* (recorded by the host): {many}{sum}\n{}", list(&lines, records.len(), HOSTS)))
}

fn open_questions(questions: &[String]) -> Option<String> {
    let lines: Vec<String> = questions.iter().take(NAMED).map(|asked| format!("• {}", line(asked, ENTRY))).collect();
    (!lines.is_empty())
        .then(|| format!("*Open questions* (the worker's)\n{}", list(&lines, questions.len(), QUESTIONS)))
}
