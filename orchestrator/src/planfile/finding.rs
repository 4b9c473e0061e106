//! Collects findings: with their places, in order, and without drowning a person in equal ones.

use std::collections::BTreeMap;

use bus_schemas::v1::api::{Finding, Severity};

use super::tree::Place;

/// Findings of one code that are listed one by one; the rest is counted.
const MAX_PER_CODE: usize = 50;
/// The longest quotation of a plan's text in a message, in characters.
const MAX_QUOTE_CHARS: usize = 60;

/// What was found so far.
#[derive(Debug)]
pub(crate) struct Findings {
    file: String,
    list: Vec<Finding>,
}

impl Findings {
    pub(crate) fn new(file: &str) -> Self {
        Self { file: file.to_owned(), list: Vec::new() }
    }

    pub(crate) fn error(&mut self, place: Place, code: &str, message: String, hint: Option<String>) {
        self.add(Severity::Error, place, code, message, hint);
    }

    pub(super) fn warning(&mut self, place: Place, code: &str, message: String, hint: Option<String>) {
        self.add(Severity::Warning, place, code, message, hint);
    }

    fn add(&mut self, severity: Severity, place: Place, code: &str, message: String, hint: Option<String>) {
        let (line, column) = (place.line, place.column);
        self.list.push(Finding {
            severity,
            code: code.to_owned(),
            file: self.file.clone(),
            line,
            column,
            message,
            hint,
        });
    }

    pub(super) const fn count(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.list.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// Worst first, then by place; of one code the first [`MAX_PER_CODE`] and the number of the others.
    pub(crate) fn finish(mut self) -> Vec<Finding> {
        self.list.sort_by(|a, b| b.severity.cmp(&a.severity).then((a.line, a.column).cmp(&(b.line, b.column))));
        // An alias repeats what is wrong with its anchor, at the anchor's place.
        self.list.dedup();
        let mut counts: BTreeMap<(Severity, String), usize> = BTreeMap::new();
        let mut kept = Vec::new();
        for finding in self.list {
            let count = counts.entry((finding.severity, finding.code.clone())).or_default();
            *count += 1;
            if *count <= MAX_PER_CODE {
                kept.push(finding);
            }
        }
        let mut more: Vec<_> = counts.into_iter().filter(|(_, count)| *count > MAX_PER_CODE).collect();
        more.sort_by(|a, b| a.0.1.cmp(&b.0.1));
        for ((severity, code), count) in more {
            let message = format!("{} more findings of this kind are not listed", count - MAX_PER_CODE);
            kept.push(Finding { severity, code, file: self.file.clone(), line: 0, column: 0, message, hint: None });
        }
        kept.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        kept
    }
}

/// A piece of the plan's text for a message: in backquotes, cut, control characters made visible.
pub(crate) fn quote(text: &str) -> String {
    let mut shown = String::from("`");
    for (count, c) in text.chars().enumerate() {
        if count == MAX_QUOTE_CHARS {
            shown.push('…');
            break;
        }
        if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown.push('`');
    shown
}

/// `did you mean …?`, if something known is close to `text`.
pub(crate) fn suggestion<'a>(text: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    closest(text, known).map(|near| format!("did you mean `{near}`?"))
}

/// The known word closest to `text`, if it is close enough to be what was meant.
pub(super) fn closest<'a>(text: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = text.to_lowercase();
    let reach = (wanted.chars().count() / 3).clamp(1, 3);
    let length = wanted.chars().count();
    let near = known.into_iter().filter(|word| word.chars().count().abs_diff(length) <= reach);
    let scored = near.map(|word| (strsim::damerau_levenshtein(&wanted, &word.to_lowercase()), word));
    scored.filter(|(distance, _)| *distance <= reach).min_by_key(|(distance, _)| *distance).map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::{Findings, Place, closest, quote};

    #[test]
    fn the_closest_word_must_be_close() {
        let known = ["needs", "outputs", "inputs", "id"];
        assert_eq!(closest("need", known), Some("needs"));
        assert_eq!(closest("ouptuts", known), Some("outputs"));
        assert_eq!(closest("Needs", known), Some("needs"));
        assert_eq!(closest("zzz", known), None);
        assert_eq!(closest("x", ["id"]), None);
    }

    #[test]
    fn quotations_are_harmless() {
        assert_eq!(quote("a\u{1b}[31m\n"), "`a\\u{1b}[31m\\n`");
        assert_eq!(quote(&"x".repeat(100)).chars().count(), 63);
    }

    #[test]
    fn errors_come_first_and_crowds_are_counted() {
        let mut findings = Findings::new("p");
        for line in (1..=60).rev() {
            findings.warning(Place { line, column: 1 }, "w", "w".to_owned(), None);
        }
        findings.error(Place { line: 90, column: 1 }, "e", "e".to_owned(), None);
        let list = findings.finish();
        assert_eq!((list[0].code.as_str(), list[1].line, list.len()), ("e", 1, 52));
        assert_eq!(list[51].message, "10 more findings of this kind are not listed");
    }
}
