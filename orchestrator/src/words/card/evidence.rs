//! What a handoff is, and what proves it.

use bus_schemas::v1::{
    agent::{EgressRecord, Report},
    handoff::{ChangeKind, ChangedPath, CheckEvidence, Handoff},
};

use super::{Block, Item, Line, Mark, Room, Section, Topic};
use crate::words::{
    figures::{count, size, span},
    names::without_colours,
    secrets::redact,
};

/// Longest entry of a list.
const ENTRY: usize = 240;
/// A path, as code.
const PATH: usize = 160;
/// Entries of a list that are named.
const NAMED: usize = 8;
/// Checks that are named.
const CHECKS: usize = 12;
/// What the host notes where no entry of the task's list fits.
const DENIED: &str = "default deny";

/// The handoff's parts, in the order in which a person wants to read them: what the worker says of it, what the host recorded, and
/// what the worker leaves to others.
pub(super) fn handoff(handoff: &Handoff, room: &Room) -> Vec<Section> {
    let mut parts = Vec::new();
    parts.push(if handoff.summary.trim().is_empty() {
        Section::new("What was done", "", vec![Block::Words(Line::ours("The worker says nothing about it."))])
    } else {
        let quote = Block::Quote(handoff.summary.clone(), room.quote);
        Section::new("What was done", "the worker's own words", vec![quote])
    });
    parts.push(checks(&handoff.evidence, room));
    parts.push(changed(&handoff.changed_paths, handoff.lines_added, handoff.lines_removed, room.paths));
    parts.extend(connections(&handoff.egress));
    parts.extend(handoff.report.iter().flat_map(report));
    parts.extend(open_questions(&handoff.open_questions));
    parts
}

/// What the agent decided and why, and what the next one must know.
fn report(report: &Report) -> Vec<Section> {
    let decided = report.decisions.iter().map(|made| {
        let words = Line::default().said(&made.what, ENTRY).and(" — because ").said(&made.why, ENTRY);
        Item::new(Mark::Entry, words)
    });
    let known = report.must_know.iter().map(|fact| entry(fact));
    let own = "the agent's own words";
    [
        ("Decided, and why", Block::items(decided, report.decisions.len(), NAMED), report.decisions.is_empty()),
        ("The next one must know", Block::items(known, report.must_know.len(), NAMED), report.must_know.is_empty()),
    ]
    .into_iter()
    .filter(|(_, _, is_empty)| !is_empty)
    .map(|(title, list, _)| Section::new(title, own, vec![list]))
    .collect()
}

fn entry(words: &str) -> Item {
    Item::new(Mark::Entry, Line::default().said(words, ENTRY))
}

/// Every check with how it ended; failed ones first, with the end of what they printed.
fn checks(evidence: &[CheckEvidence], room: &Room) -> Section {
    let mut section = Section::new("Evidence", "recorded by the host, in a second VM", Vec::new()).needed();
    if evidence.is_empty() {
        section.blocks.push(Block::Warning(Line::default().strong("No check proves this handoff.")));
        return section;
    }
    let mut sorted: Vec<&CheckEvidence> = evidence.iter().collect();
    sorted.sort_by_key(|check| check.passed);
    let passed = evidence.iter().filter(|check| check.passed).count();
    section.sum = Line::ours(format!("{passed} of {} passed", count(evidence.len(), "check")));
    section.blocks.push(Block::items(sorted.iter().map(|check| one_check(check)), evidence.len(), CHECKS));
    let failed = sorted.first().filter(|check| !check.passed);
    let said = failed.map(|check| tail(&check.output_tail, room.output_lines)).unwrap_or_default();
    if !said.is_empty() {
        section.blocks.push(Block::Words(Line::ours("The end of what the first failed one printed:")));
        section.blocks.push(Block::Code(said, room.output));
    }
    section
}

fn one_check(check: &CheckEvidence) -> Item {
    let end = match (check.timed_out, check.exit_code) {
        (true, _) => "ran into its time limit".to_owned(),
        (false, Some(code)) => format!("exit {code}"),
        (false, None) => "ended by a signal".to_owned(),
    };
    let (mark, word) = if check.passed { (Mark::Good, " — passed") } else { (Mark::Bad, " — FAILED") };
    Item::new(mark, Line::default().said(&check.name, ENTRY).and(word))
        .detail(Line::ours(format!("({end}, {})", span(check.wall_ms))))
}

/// The last lines of an output; empty if nothing was printed or none are wanted.
fn tail(output: &str, most: usize) -> String {
    // Before it is cut: a key that has lost its beginning looks like nothing.
    let plain = redact(&without_colours(output));
    let lines: Vec<&str> = plain.lines().filter(|line| !line.trim().is_empty()).collect();
    lines.get(lines.len().saturating_sub(most)..).unwrap_or_default().join("\n")
}

/// What changed, the first paths by name.
#[must_use]
pub fn changed(paths: &[ChangedPath], added: u64, removed: u64, most: usize) -> Section {
    let section = Section::new("Changes", "", Vec::new()).about(Topic::Changes).needed();
    if paths.is_empty() {
        return section.sum(Line::ours("No file is changed."));
    }
    let of = |kind| paths.iter().filter(|path| path.kind == kind).count();
    let kinds: Vec<String> =
        [(ChangeKind::Added, "new"), (ChangeKind::Modified, "changed"), (ChangeKind::Deleted, "gone")]
            .into_iter()
            .filter(|(kind, _)| of(*kind) > 0)
            .map(|(kind, word)| format!("{} {word}", of(kind)))
            .collect();
    let sum = format!("{} ({}), +{added} −{removed} lines", count(paths.len(), "file"), kinds.join(", "));
    let list = Block::items(paths.iter().map(one_path), paths.len(), most);
    Section { blocks: vec![list], ..section.sum(Line::ours(sum)) }
}

fn one_path(path: &ChangedPath) -> Item {
    let (mark, detail) = match path.kind {
        ChangeKind::Added => (Mark::New, size(path.bytes)),
        ChangeKind::Modified => (Mark::Changed, size(path.bytes)),
        ChangeKind::Deleted => (Mark::Gone, "gone".to_owned()),
    };
    Item::new(mark, Line::default().code(&path.path, PATH)).detail(Line::ours(detail))
}

/// The connections it asked for, refused ones first.
fn connections(records: &[EgressRecord]) -> Option<Section> {
    if records.is_empty() {
        return None;
    }
    let mut sorted: Vec<&EgressRecord> = records.iter().collect();
    sorted.sort_by_key(|record| record.allowed);
    let items = sorted.iter().map(|record| {
        let mark = if record.allowed { Mark::Good } else { Mark::Refused };
        let why = match (record.allowed, record.rule.as_str()) {
            (true, rule) => Line::ours("— allowed by ").code(rule, ENTRY),
            (false, DENIED) => Line::ours("— refused: nobody allowed it"),
            (false, rule) => Line::ours("— refused: ").said(rule, ENTRY),
        };
        Item::new(mark, Line::default().code(&record.target, ENTRY)).detail(why)
    });
    let refused = records.iter().filter(|record| !record.allowed).count();
    let refused = if refused > 0 { format!(", {refused} refused") } else { String::new() };
    let sum = Line::ours(format!("{}{refused}", count(records.len(), "connection")));
    let list = Block::items(items, records.len(), NAMED);
    Some(Section::new("Network", "recorded by the host", vec![list]).sum(sum))
}

fn open_questions(questions: &[String]) -> Option<Section> {
    let list = Block::items(questions.iter().map(|asked| entry(asked)), questions.len(), NAMED);
    (!questions.is_empty()).then(|| Section::new("Open questions", "the worker's", vec![list]))
}
