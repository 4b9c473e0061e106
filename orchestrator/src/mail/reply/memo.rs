//! The headings that Lotus Notes and its like put above a quoted message: a name, a moment, and to whom it went.
//!
//! ```text
//! Anna Bell@WORKS                 Anna Bell   03/05/2026 10:01 AM          "Anna Bell"
//! Sent by: Ben Cole                                                        <anna@works       To: …
//! 03/05/2026 10:01 AM             To: …                                    .example>         cc: …
//!                                 cc: …                                                      Subject: …
//!         To: …                   Subject: …                               03/05/2026 10:01
//!         cc: …
//!         Subject: …
//! ```

use super::fold::{When, when};
use super::line::Line;
use super::meter::tick;
use super::words::{self, Field};

/// How many lines may stand above "To:", blank ones included.
const ABOVE: usize = 7;
/// The most lines from "To:" to "Subject:".
const BLOCK: usize = 40;

/// The end of a memo's heading that begins here.
pub(super) fn heading(lines: &[Line<'_>], from: usize) -> Option<usize> {
    let first = &lines[from];
    let open = from == 0 || lines[from - 1].blank() || !lines[from - 1].free() || lines[from - 1].rule();
    // A person's last line is no name: only a moment may follow it directly.
    if !open && !first.folded.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let mut dated = false;
    let mut names = 0;
    for at in from..lines.len().min(from + ABOVE) {
        tick(1);
        let line = &lines[at];
        if !line.free() {
            return None;
        }
        if line.blank() {
            continue;
        }
        match words::label(&line.folded) {
            Some((Field::To, value)) => {
                let whole = dated && (!value.is_empty() || names > 0);
                return block(lines, at, whole, from);
            }
            Some((Field::Other, _)) if names > 0 => continue,
            Some((Field::From, _)) if at == from => {}
            Some(_) => return None,
            None => {}
        }
        if names > 0 && line.folded.starts_with("please respond to") {
            continue;
        }
        // A paragraph of its own is the person's name, and the heading begins later.
        if names > 0 && lines[at - 1].blank() {
            return None;
        }
        if names > 0
            && let Some(end) = columns(lines, at)
        {
            return Some(end);
        }
        if stamped(line) {
            dated = true;
        } else if dated || names >= 3 || !name(line) {
            return None;
        }
        names += 1;
    }
    None
}

/// Whether a line names a moment, with or without a name before it.
fn stamped(line: &Line<'_>) -> bool {
    line.folded.len() <= 140
        && line.folded.split(' ').count() <= 14
        && when(&line.folded) == When { date: true, time: true }
        && !line.ends_sentence()
}

/// Whether a line can be a name or an address; what decides or limits is none.
fn name(line: &Line<'_>) -> bool {
    line.folded.len() <= 80
        && line.folded.split(' ').count() <= 6
        && !line.ends_sentence()
        && !line.folded.ends_with([',', ':', '.', '-'])
        && !super::decide::limits(&line.raw)
        && super::decide::decide(&[super::fold::visible(&line.raw)]) == super::Deciding::None
}

/// The end of the lines "To:", "cc:" and "Subject:" that begin with this one. Without a moment above, all three must be there.
fn block(lines: &[Line<'_>], to: usize, dated: bool, from: usize) -> Option<usize> {
    // Without a moment, own words must stand above, and not announce it: `Send this:`.
    let above = lines[..from].iter().rev().take(8).find(|line| !line.blank());
    if !dated && (above.is_none_or(|line| line.folded.ends_with(':')) || from != to) {
        return None;
    }
    let mut copied = false;
    let mut addressed = false;
    let mut blanks = 0;
    for (at, line) in lines.iter().enumerate().skip(to).take(BLOCK) {
        tick(1);
        if !line.free() {
            return None;
        }
        if line.blank() {
            blanks += 1;
            if blanks > 2 {
                return None;
            }
            continue;
        }
        blanks = 0;
        match words::label(&line.folded) {
            Some((Field::Subject, _)) => return (dated || (copied && addressed)).then_some(at + 1),
            Some((Field::Cc, _)) => copied = true,
            Some((Field::Other | Field::Date, _)) | None => {}
            Some((Field::To, _)) if at == to => {}
            Some((Field::From | Field::To, _)) => return None,
        }
        addressed |= line.folded.contains(['@', '/']);
    }
    None
}

/// The end of a heading in two columns: on this line, after a gap, stands "To:".
fn columns(lines: &[Line<'_>], from: usize) -> Option<usize> {
    // After the last gap of the line, or after the first one.
    let second = |line: &Line<'_>| {
        let raw = super::fold::head(line.raw.trim(), 400);
        [raw.rfind("   "), raw.find("   "), Some(0)].into_iter().flatten().find_map(|gap| {
            let text = super::fold::fold(&raw[gap..]);
            words::label(&text).map(|(field, _)| field)
        })
    };
    if second(&lines[from]) != Some(Field::To) {
        return None;
    }
    let subject = (from + 1..lines.len().min(from + 10)).find(|at| second(&lines[*at]) == Some(Field::Subject))?;
    // The moment stands at the left of it or below.
    let rest = lines[subject + 1..].iter().take(3).take_while(|line| line.free() && !line.blank()).count();
    Some(subject + 1 + rest)
}
