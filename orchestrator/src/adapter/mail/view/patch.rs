//! The difference that goes with a mail, as a file, and as it is drawn on pages.

use bus_schemas::v1::api::DiffView;

use super::{
    File,
    sheet::{Block, Tone},
    text::row,
};
use crate::words::{
    card::Line,
    figures::size,
    secrets::{redact, without},
};

/// The file's name.
pub(super) const NAME: &str = "changes.patch";
/// The most of it that goes with a mail: many servers take no mail of more than 10 MB.
const MOST: usize = 2 << 20;
/// Lines and characters of it on a page.
const LINES: usize = 1_500;
const LINE: usize = 1_000;

/// The difference as a file; nothing if there is none.
pub(super) fn file(diff: &DiffView, known: &[String]) -> Option<File> {
    if diff.text.trim().is_empty() {
        return None;
    }
    let clean = redact(&without(&diff.text, known));
    let text = if clean.len() <= MOST {
        clean
    } else {
        let cut = (0..=MOST).rev().find(|at| clean.is_char_boundary(*at)).unwrap_or_default();
        let head = clean.get(..cut).unwrap_or_default();
        let head = head.rfind('\n').and_then(|end| head.get(..=end)).unwrap_or(head);
        format!("{head}… cut here: `baton diff` on the orchestrator's machine shows all of it\n")
    };
    Some((NAME.to_owned(), "text/x-diff; charset=utf-8".to_owned(), text.into_bytes()))
}

/// What is said about it.
pub(super) fn note(diff: &DiffView) -> Line {
    if diff.text.trim().is_empty() {
        return Line::ours("There is no difference to show.");
    }
    let bytes = u64::try_from(diff.text.len().min(MOST)).unwrap_or(u64::MAX);
    let note = Line::ours("The difference is attached as ").code(NAME, 40).and(format!(" ({})", size(bytes)));
    if diff.truncated || diff.text.len() > MOST {
        note.and("; it is cut: ").code("baton diff", 40).and(" shows all of it.")
    } else {
        note.and(".")
    }
}

/// The difference itself, for a page.
pub(super) fn drawn(diff: &DiffView) -> Block {
    // All of it at once: a key goes over many lines.
    let text = redact(&diff.text);
    let mut lines: Vec<(Tone, String)> = text
        .lines()
        .take(LINES)
        .map(|line| {
            let tone = match line.as_bytes().first() {
                Some(b'+') if !line.starts_with("+++") => Tone::Good,
                Some(b'-') if !line.starts_with("---") => Tone::Bad,
                Some(b'@') => Tone::Odd,
                _ => Tone::Plain,
            };
            (tone, row(line, LINE))
        })
        .collect();
    let left = text.lines().count().saturating_sub(LINES);
    if left > 0 || diff.truncated {
        lines.push((Tone::Odd, format!("… cut here ({left} more lines): `baton diff` shows all of it")));
    }
    Block::Diff { lines }
}
