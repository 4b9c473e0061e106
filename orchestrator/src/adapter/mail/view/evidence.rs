//! What a handoff is, and what proves it.

use bus_schemas::v1::{
    agent::{EgressRecord, Report},
    handoff::{ChangeKind, ChangedPath, CheckEvidence, Handoff},
};

use super::{
    sheet::{Block, Item, Section, Tone},
    text::{block, code, line, quote},
};
use crate::words::{
    figures::{count, size, span},
    names::without_colours,
    secrets::redact,
};

/// The section of what changed.
pub(super) const CHANGES: &str = "Changes";
/// Longest texts of the parts.
const SUMMARY: usize = 2_000;
const OUTPUT: usize = 800;
/// Lines of a failed check's output.
const OUTPUT_LINES: usize = 8;
/// Longest entry of a list.
const ENTRY: usize = 240;
/// A path, as code.
const PATH: usize = 160;
/// Entries of a list that are named.
const NAMED: usize = 8;
/// Checks that are named.
const CHECKS: usize = 12;
/// Paths that are named.
const PATHS: usize = 15;

/// The handoff's parts, in the order in which a person wants to read them.
pub(super) fn handoff(handoff: &Handoff) -> Vec<Section> {
    let mut parts = Vec::new();
    parts.push(if handoff.summary.trim().is_empty() {
        Section::new("What was done", "", vec![Block::words("The worker says nothing about it.")])
    } else {
        let lines = quote(&handoff.summary, SUMMARY);
        Section::new("What was done", "the worker's own words", vec![Block::Quote { lines }])
    });
    parts.push(checks(&handoff.evidence).needed());
    parts.push(changed(&handoff.changed_paths, handoff.lines_added, handoff.lines_removed).needed());
    parts.extend(connections(&handoff.egress));
    parts.extend(handoff.report.as_ref().map(report).unwrap_or_default());
    parts.extend(open_questions(&handoff.open_questions));
    parts
}

/// What the agent decided and why, and what the next one must know.
fn report(report: &Report) -> Vec<Section> {
    let decided: Vec<Item> = report
        .decisions
        .iter()
        .take(NAMED)
        .map(|made| Item::new(format!("{} — because {}", line(&made.what, ENTRY), line(&made.why, ENTRY))))
        .collect();
    let known: Vec<Item> = report.must_know.iter().take(NAMED).map(|fact| Item::new(line(fact, ENTRY))).collect();
    [("Decided, and why", decided, report.decisions.len()), ("The next one must know", known, report.must_know.len())]
        .into_iter()
        .filter(|(_, items, _)| !items.is_empty())
        .map(|(title, items, total)| {
            Section::new(title, "the agent's own words", vec![Block::items(items, total, NAMED)])
        })
        .collect()
}

/// Every check with how it ended; failed ones first, with the end of what they printed.
fn checks(evidence: &[CheckEvidence]) -> Section {
    const BY: &str = "recorded by the host, in a second VM";
    if evidence.is_empty() {
        return Section::new("Evidence", BY, vec![Block::warning("No check proves this handoff.")]);
    }
    let mut sorted: Vec<&CheckEvidence> = evidence.iter().collect();
    sorted.sort_by_key(|check| check.passed);
    let items: Vec<Item> = sorted.iter().take(CHECKS).map(|check| one_check(check)).collect();
    let passed = evidence.iter().filter(|check| check.passed).count();
    let mut blocks = vec![
        Block::words(format!("{passed} of {} passed", count(evidence.len(), "check"))),
        Block::items(items, evidence.len(), CHECKS),
    ];
    let failed = sorted.first().filter(|check| !check.passed);
    let said = failed.map(|check| tail(&check.output_tail)).unwrap_or_default();
    if !said.is_empty() {
        blocks.push(Block::words("The end of what the first failed one printed:"));
        blocks.push(Block::Code { text: said });
    }
    Section::new("Evidence", BY, blocks)
}

fn one_check(check: &CheckEvidence) -> Item {
    let end = match (check.timed_out, check.exit_code) {
        (true, _) => "ran into its time limit".to_owned(),
        (false, Some(code)) => format!("exit {code}"),
        (false, None) => "ended by a signal".to_owned(),
    };
    let (mark, tone, word) = if check.passed { ("✓", Tone::Good, "passed") } else { ("✗", Tone::Bad, "FAILED") };
    Item::marked(
        mark,
        tone,
        format!("{} {word}", line(&check.name, ENTRY)),
        format!("({end}, {})", span(check.wall_ms)),
    )
}

/// The last lines of an output; empty if nothing was printed.
fn tail(output: &str) -> String {
    // Before it is cut: a key that has lost its beginning looks like nothing.
    let plain = redact(&without_colours(output));
    let lines: Vec<&str> = plain.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = lines.get(lines.len().saturating_sub(OUTPUT_LINES)..).unwrap_or_default();
    block(&last.join("\n"), OUTPUT)
}

/// What changed, the first paths by name.
pub(super) fn changed(paths: &[ChangedPath], added: u64, removed: u64) -> Section {
    if paths.is_empty() {
        return Section::new(CHANGES, "", vec![Block::words("No file is changed.")]);
    }
    let of = |kind| paths.iter().filter(|path| path.kind == kind).count();
    let kinds: Vec<String> =
        [(ChangeKind::Added, "new"), (ChangeKind::Modified, "changed"), (ChangeKind::Deleted, "gone")]
            .into_iter()
            .filter(|(kind, _)| of(*kind) > 0)
            .map(|(kind, word)| format!("{} {word}", of(kind)))
            .collect();
    let items = paths.iter().take(PATHS).map(one_path).collect();
    let sum = format!("{} ({}), +{added} −{removed} lines", count(paths.len(), "file"), kinds.join(", "));
    Section::new(CHANGES, "", vec![Block::words(sum), Block::items(items, paths.len(), PATHS)])
}

fn one_path(path: &ChangedPath) -> Item {
    let name = code(&path.path, PATH);
    match path.kind {
        ChangeKind::Added => Item::marked("+", Tone::Good, name, size(path.bytes)),
        ChangeKind::Modified => Item::marked("~", Tone::Odd, name, size(path.bytes)),
        ChangeKind::Deleted => Item::marked("−", Tone::Bad, name, "gone".to_owned()),
    }
}

/// The connections it asked for, refused ones first.
fn connections(records: &[EgressRecord]) -> Option<Section> {
    if records.is_empty() {
        return None;
    }
    let mut sorted: Vec<&EgressRecord> = records.iter().collect();
    sorted.sort_by_key(|record| record.allowed);
    let items = sorted
        .iter()
        .take(NAMED)
        .map(|record| {
            let (mark, tone, word) =
                if record.allowed { ("✓", Tone::Good, "allowed") } else { ("✗", Tone::Bad, "refused") };
            Item::marked(mark, tone, code(&record.target, ENTRY), format!("{word}: {}", line(&record.rule, ENTRY)))
        })
        .collect();
    Some(Section::new("Network", "recorded by the host", vec![Block::items(items, records.len(), NAMED)]))
}

fn open_questions(questions: &[String]) -> Option<Section> {
    let items: Vec<Item> = questions.iter().take(NAMED).map(|asked| Item::new(line(asked, ENTRY))).collect();
    (!items.is_empty())
        .then(|| Section::new("Open questions", "the worker's", vec![Block::items(items, questions.len(), NAMED)]))
}
