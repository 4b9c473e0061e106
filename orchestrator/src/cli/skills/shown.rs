//! Findings about skills, in the form of those about plans: the place, what is wrong, the line, the way out.

use std::{collections::HashMap, fs, path::Path};

use ::skills::{Finding, Severity};
use serde::Serialize;

use crate::cli::{
    CliError, Context,
    render::count,
    style::{Paint, Style, clean_line},
};

/// The widest excerpt of a line, in characters.
const EXCERPT_CHARS: usize = 96;
/// A file that is larger is not opened again for an excerpt.
const MAX_BYTES: u64 = 4 << 20;

/// A finding with its skill, for `--json`.
#[derive(Serialize)]
struct Of<'a> {
    skill: &'a str,
    #[serde(flatten)]
    finding: &'a Finding,
}

/// Prints findings of one skill. `folder` is where its files are, for excerpts.
pub(super) fn print(
    context: &Context,
    skill: &str,
    folder: Option<&Path>,
    findings: &[Finding],
) -> Result<(), CliError> {
    if context.ui.json {
        return findings.iter().try_for_each(|finding| context.ui.json_line(&Of { skill, finding }));
    }
    if findings.is_empty() {
        return Ok(());
    }
    context.ui.data(&render(context.ui.out, skill, folder, findings))
}

/// Findings, and a last line that counts them.
pub(super) fn render(style: Style, skill: &str, folder: Option<&Path>, findings: &[Finding]) -> String {
    let mut texts: HashMap<&str, Vec<String>> = HashMap::new();
    let mut out = String::new();
    for finding in findings {
        let lines = texts.entry(&finding.file).or_insert_with(|| lines(folder, &finding.file));
        let line = (finding.line as usize).checked_sub(1).and_then(|at| lines.get(at));
        one(style, skill, finding, line.map(String::as_str), &mut out);
    }
    out.push_str(&summary(findings));
    out.push('\n');
    out
}

fn lines(folder: Option<&Path>, file: &str) -> Vec<String> {
    let path = folder.map(|folder| folder.join(file));
    let path =
        path.filter(|path| fs::symlink_metadata(path).is_ok_and(|about| about.is_file() && about.len() <= MAX_BYTES));
    let bytes = path.and_then(|path| fs::read(path).ok()).unwrap_or_default();
    String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect()
}

fn one(style: Style, skill: &str, finding: &Finding, line: Option<&str>, out: &mut String) {
    let paint = match finding.severity {
        Severity::Error => Paint::Red,
        Severity::Warning => Paint::Yellow,
        Severity::Info => Paint::Cyan,
    };
    let place = match finding.line {
        0 => format!("{}/{}", clean_line(skill), clean_line(&finding.file)),
        line => format!("{}/{}:{line}", clean_line(skill), clean_line(&finding.file)),
    };
    let title = style.paint(paint, format!("{}[{}]", finding.severity, finding.code));
    out.push_str(&format!("{place}: {title}: {}\n", visible(&finding.message)));
    let gutter = " ".repeat(finding.line.to_string().len());
    if let Some(line) = line {
        out.push_str(&format!("{gutter} |\n{} | {}\n{gutter} |\n", finding.line, excerpt(line)));
    }
    if let Some(hint) = &finding.hint {
        out.push_str(&format!("{gutter} = help: {}\n", visible(hint)));
    }
    out.push('\n');
}

fn excerpt(line: &str) -> String {
    let shown = visible(line.trim_end());
    if shown.chars().count() <= EXCERPT_CHARS {
        return shown;
    }
    let head: String = shown.chars().take(EXCERPT_CHARS).collect();
    format!("{head}…")
}

/// What is invisible becomes visible: that is what a person looks for here.
fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let is_hidden = matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e01ef}' | '\u{115f}' | '\u{1160}' | '\u{3164}');
        match c {
            '\t' => out.push(' '),
            c if is_hidden || c.is_control() => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// `2 errors, 1 warning`.
pub(super) fn summary(findings: &[Finding]) -> String {
    let of = |severity, word: &str| {
        let number = findings.iter().filter(|finding| finding.severity == severity).count();
        (number > 0).then(|| count(number, word))
    };
    let parts = [of(Severity::Error, "error"), of(Severity::Warning, "warning"), of(Severity::Info, "remark")];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "no findings".to_owned() } else { parts.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_shows_its_line_and_what_is_hidden_in_it() {
        let room = tempfile::tempdir().unwrap();
        fs::write(room.path().join("SKILL.md"), "one\nt\u{202e}wo\u{200b}\u{1b}[2J\n").unwrap();
        let finding = Finding {
            severity: Severity::Error,
            code: "bidi_control",
            file: "SKILL.md".to_owned(),
            line: 2,
            message: "a character".to_owned(),
            hint: Some("take it out".to_owned()),
        };
        let shown = render(Style { colour: false }, "tidy", Some(room.path()), &[finding]);
        let lines = [
            "tidy/SKILL.md:2: error[bidi_control]: a character",
            "  |",
            "2 | t\\u{202e}wo\\u{200b}\\u{1b}[2J",
            "  |",
            "  = help: take it out",
            "",
            "1 error",
            "",
        ];
        assert_eq!(shown, lines.join("\n"));
    }
}
