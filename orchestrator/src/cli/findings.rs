//! Findings as a person reads them: the place, what is wrong, the line with a mark, the way out.
//!
//! ```text
//! plan.yaml:4:15: error[unknown_need]: task `report` needs `scna`, which is not in the plan
//!   |
//! 4 |     needs: [scna]
//!   |             ^
//!   = help: did you mean `scan`?
//! ```

use bus_schemas::v1::api::{Finding, Severity};

/// The widest excerpt of a line, in characters; longer lines are shown around the mark.
const MAX_EXCERPT_CHARS: usize = 96;
/// What is shown before the mark, where a line is cut.
const BEFORE_MARK_CHARS: usize = 40;

/// Renders findings about one text, and a last line that counts them; empty if there are none. `text` is the file's
/// content, for excerpts. With `colour`, severities and marks are coloured for a terminal.
#[must_use]
pub fn render(findings: &[Finding], text: &str, colour: bool) -> String {
    if findings.is_empty() {
        return String::new();
    }
    let lines: Vec<&str> = text.lines().collect();
    let paint = Paint { colour };
    let mut out = String::new();
    for finding in findings {
        one(finding, &lines, paint, &mut out);
        out.push('\n');
    }
    out.push_str(&summary(findings));
    out.push('\n');
    out
}

/// `2 errors, 1 warning`.
#[must_use]
pub fn summary(findings: &[Finding]) -> String {
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let words = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    match (count(Severity::Error), count(Severity::Warning)) {
        (0, warnings) => words(warnings, "warning"),
        (errors, 0) => words(errors, "error"),
        (errors, warnings) => format!("{}, {}", words(errors, "error"), words(warnings, "warning")),
    }
}

/// Colours, or none.
#[derive(Clone, Copy)]
struct Paint {
    colour: bool,
}

impl Paint {
    fn over(self, code: &str, text: &str) -> String {
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    fn severity(self, severity: Severity, text: &str) -> String {
        self.over(if severity == Severity::Error { "1;31" } else { "1;33" }, text)
    }
}

fn one(finding: &Finding, lines: &[&str], paint: Paint, out: &mut String) {
    let word = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let place = match finding.line {
        0 => clean(&finding.file),
        line => format!("{}:{line}:{}", clean(&finding.file), finding.column),
    };
    let title = paint.severity(finding.severity, &format!("{word}[{}]", finding.code));
    out.push_str(&format!("{place}: {title}: {}\n", clean(&finding.message)));
    let index = (finding.line as usize).checked_sub(1);
    let line = index.and_then(|index| lines.get(index));
    let gutter = finding.line.to_string().len();
    if let Some(line) = line {
        let (excerpt, mark) = excerpt(line, finding.column);
        let blank = " ".repeat(gutter);
        let caret = paint.severity(finding.severity, "^");
        out.push_str(&format!("{blank} |\n{} | {excerpt}\n{blank} | {}{caret}\n", finding.line, " ".repeat(mark)));
    }
    if let Some(hint) = &finding.hint {
        let indent = if line.is_some() { " ".repeat(gutter) } else { String::new() };
        out.push_str(&format!("{indent} = help: {}\n", clean(hint)));
    }
}

/// A line, and where the mark goes, in characters from 0.
fn excerpt(line: &str, column: u32) -> (String, usize) {
    let chars: Vec<char> = line.chars().map(visible).collect();
    let mark = (column.saturating_sub(1) as usize).min(chars.len());
    if chars.len() <= MAX_EXCERPT_CHARS {
        return (chars.into_iter().collect(), mark);
    }
    let start = mark.saturating_sub(BEFORE_MARK_CHARS).min(chars.len() - MAX_EXCERPT_CHARS);
    let shown: String = chars.iter().skip(start).take(MAX_EXCERPT_CHARS).collect();
    let (head, tail) =
        (if start > 0 { "…" } else { "" }, if start + MAX_EXCERPT_CHARS < chars.len() { "…" } else { "" });
    (format!("{head}{shown}{tail}"), mark - start + head.chars().count())
}

/// Text of a plan may hold anything; a terminal must not act on it.
fn visible(c: char) -> char {
    match c {
        '\t' => ' ',
        c if c.is_control() || is_direction(c) => '\u{fffd}',
        c => c,
    }
}

/// Characters that turn the writing direction around, and with it what a line seems to say.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Text of a plan, safe to print: no control characters, nothing that turns the writing direction around.
pub(super) fn clean(text: &str) -> String {
    text.chars().map(visible).collect()
}

#[cfg(test)]
#[path = "findings_tests.rs"]
mod bad_plans;

#[cfg(test)]
mod tests {
    use bus_schemas::v1::api::{Finding, Severity};

    use super::render;

    fn finding(line: u32, column: u32, hint: Option<&str>) -> Finding {
        Finding {
            severity: Severity::Error,
            code: "code".to_owned(),
            file: "plan.yaml".to_owned(),
            line,
            column,
            message: "what is wrong".to_owned(),
            hint: hint.map(str::to_owned),
        }
    }

    #[test]
    fn the_mark_is_under_the_column() {
        let shown = render(&[finding(2, 5, Some("mend it"))], "a: 1\nbé: x\n", false);
        let lines = [
            "plan.yaml:2:5: error[code]: what is wrong",
            "  |",
            "2 | bé: x",
            "  |     ^",
            "  = help: mend it",
            "",
            "1 error",
            "",
        ];
        assert_eq!(shown, lines.join("\n"));
    }

    #[test]
    fn long_lines_are_cut_around_the_mark() {
        let text = format!("{}X{}", "a".repeat(200), "b".repeat(200));
        let shown = render(&[finding(1, 201, None)], &text, false);
        let lines: Vec<_> = shown.lines().collect();
        assert!(lines.iter().all(|line| line.chars().count() <= 110), "{shown}");
        let mark = lines[3].chars().position(|c| c == '^');
        assert_eq!(lines[2].chars().position(|c| c == 'X'), mark);
    }

    #[test]
    fn a_plan_cannot_speak_to_the_terminal() {
        let shown = render(&[finding(1, 1, None)], "a\u{1b}[2J\u{202e}b", false);
        assert!(!shown.contains('\u{1b}') && !shown.contains('\u{202e}'), "{shown:?}");
        let painted = render(&[finding(0, 0, Some("h"))], "", true);
        assert!(
            painted.starts_with("plan.yaml: \u{1b}[1;31merror[code]\u{1b}[0m: what is wrong\n = help: h\n"),
            "{painted:?}"
        );
        assert_eq!(render(&[], "x", false), "");
    }
}
