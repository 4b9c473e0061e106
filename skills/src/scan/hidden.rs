//! Characters a person does not see, but a model reads.

use crate::finding::{Finding, Severity};

/// Invisible characters in one file, each kind told once with its count.
pub(super) fn look(path: &str, text: &str, findings: &mut Vec<Finding>) {
    let mut found: Vec<(&'static str, Severity, &'static str, u32, usize)> = Vec::new();
    let chars: Vec<char> = text.chars().collect();
    let mut line = 1_u32;
    for (at, &c) in chars.iter().enumerate() {
        if c == '\n' {
            line += 1;
        }
        let before = at.checked_sub(1).and_then(|at| chars.get(at)).copied();
        let after = chars.get(at + 1).copied();
        let Some((code, severity, what)) = judge(&chars, at, c, before, after) else { continue };
        match found.iter_mut().find(|one| one.0 == code) {
            Some(one) => one.4 += 1,
            None => found.push((code, severity, what, line, 1)),
        }
    }
    for (code, severity, what, line, count) in found {
        let message =
            if count == 1 { format!("{what} is here") } else { format!("{what} is here, and {} more", count - 1) };
        let hint = "look at the file with `cat -A`; take out what has no business there";
        findings.push(Finding::new(severity, code, (path, line), message, Some(hint)));
    }
}

fn judge(
    chars: &[char],
    at: usize,
    c: char,
    before: Option<char>,
    after: Option<char>,
) -> Option<(&'static str, Severity, &'static str)> {
    let plain = |c: Option<char>| c.is_none_or(|c| c.is_ascii());
    match c {
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            Some(("bidi_control", Severity::Error, "a character that turns the writing direction around"))
        }
        // Flags of regions are tags behind a black flag.
        '\u{e0000}'..='\u{e007f}' if !is_flag(chars, at) => {
            Some(("tag_character", Severity::Error, "an invisible tag character, which can spell out a whole text,"))
        }
        '\u{e0100}'..='\u{e01ef}' if before.is_none_or(|c| !c.is_alphabetic()) => Some((
            "tag_character",
            Severity::Error,
            "an invisible variation selector, which can spell out a whole text,",
        )),
        '\u{fe00}'..='\u{fe0f}' if before.is_some_and(|c| ('\u{fe00}'..='\u{fe0f}').contains(&c)) => {
            Some(("tag_character", Severity::Error, "a row of variation selectors, which can spell out a whole text,"))
        }
        '\u{feff}' if at == 0 => None,
        '\u{200b}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{180e}' | '\u{115f}' | '\u{1160}' | '\u{3164}' => {
            Some(("zero_width", Severity::Warning, "an invisible character"))
        }
        '\u{200e}' | '\u{200f}' | '\u{61c}' => Some(("zero_width", Severity::Warning, "an invisible direction mark")),
        '\u{ad}' => Some(("zero_width", Severity::Warning, "an invisible hyphen")),
        // Between letters of some scripts and inside emoji they are ordinary.
        '\u{200c}' | '\u{200d}' if plain(before) && plain(after) => {
            Some(("zero_width", Severity::Warning, "an invisible joiner"))
        }
        '\t' | '\n' | '\r' | '\u{c}' => None,
        c if c.is_control() => {
            Some(("control_character", Severity::Warning, "a control character a terminal would obey"))
        }
        _ => None,
    }
}

/// The tag belongs to a row of tags that starts behind U+1F3F4.
fn is_flag(chars: &[char], at: usize) -> bool {
    let start = chars.get(..at).unwrap_or_default().iter().rev().take(8);
    start.copied().find(|c| !('\u{e0020}'..='\u{e007f}').contains(c)) == Some('\u{1f3f4}')
}
