//! Long runs of base64 or hex: text that a person cannot read and a program can run.

use crate::finding::{Finding, Severity};

use super::Kind;

/// A run shorter than this is a digest, a key's fingerprint or an identifier.
const RUN_CHARS: usize = 160;
/// Base64 is often written in lines of 64 or 76.
const WRAPPED_CHARS: usize = 60;
const WRAPPED_LINES: u32 = 5;

pub(super) fn look(path: &str, text: &str, kind: Kind, findings: &mut Vec<Finding>) {
    let severity = if kind == Kind::Data { Severity::Info } else { Severity::Warning };
    let mut wrapped = (0_u32, 0_u32);
    for (number, line) in (1_u32..).zip(text.lines()) {
        if let Some((run, start)) = longest_run(line) {
            let is_picture =
                line.get(..start).is_some_and(|head| head.ends_with(";base64,") && head.contains("data:image/"));
            let severity = if is_picture { Severity::Info } else { severity };
            let message = format!("{} characters of encoded data", run.len());
            let hint = "decode it and look at what it is, or ask for a file of its own";
            findings.push(Finding::new(severity, "encoded_blob", (path, number), message, Some(hint)));
            wrapped = (0, 0);
            continue;
        }
        let trimmed = line.trim().trim_matches(['"', '\'', ',', '#', ' ']);
        if trimmed.len() >= WRAPPED_CHARS && trimmed.chars().all(is_base64) && is_mixed(trimmed) {
            wrapped = if wrapped.1 == 0 { (number, 1) } else { (wrapped.0, wrapped.1 + 1) };
            if wrapped.1 == WRAPPED_LINES {
                let message = "lines of encoded data begin here";
                let hint = "decode it and look at what it is";
                findings.push(Finding::new(severity, "encoded_blob", (path, wrapped.0), message, Some(hint)));
            }
        } else {
            wrapped = (0, 0);
        }
    }
}

/// The longest run that looks encoded, and where it starts.
fn longest_run(line: &str) -> Option<(&str, usize)> {
    let mut best: Option<(&str, usize)> = None;
    let mut start = 0;
    for part in line.split_inclusive(|c: char| !is_base64(c)) {
        let run = part.trim_end_matches(|c: char| !is_base64(c));
        if run.len() >= RUN_CHARS && is_mixed(run) && best.is_none_or(|(best, _)| run.len() > best.len()) {
            best = Some((run, start));
        }
        start += part.len();
    }
    best
}

fn is_base64(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '-' | '_')
}

/// Letters of both cases and digits, or hex: not a ruler (`-----`), not a path.
fn is_mixed(run: &str) -> bool {
    let has = |test: fn(&char) -> bool| run.chars().any(|c| test(&c));
    let hex = run.chars().all(|c| c.is_ascii_hexdigit()) && has(char::is_ascii_digit) && has(char::is_ascii_alphabetic);
    let separators = run.chars().filter(|c| matches!(c, '/' | '-' | '_')).count();
    hex || (has(char::is_ascii_uppercase)
        && has(char::is_ascii_lowercase)
        && has(char::is_ascii_digit)
        && separators * 12 < run.len())
}
