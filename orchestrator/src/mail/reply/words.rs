//! What mail programs write around a quote, language by language. Everything is compared folded.

use super::fold::fold;
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

/// "… wrote": one entry per language and form; `/` and brackets are written out.
const WROTE: &str = include_str!("lists/wrote.txt");

/// What an attribution begins with; a date or a weekday does as well.
const OPENERS: &str = include_str!("lists/openers.txt");

/// Weekdays, as attributions shorten them.
const DAYS: &str = include_str!("lists/days.txt");

/// "Original message", between dashes or above a block of headers.
const ORIGINAL: &str = include_str!("lists/original.txt");

/// "Forwarded message".
const FORWARDED: &str = include_str!("lists/forwarded.txt");

/// What stands above what older programs ask not to be written under.
const ABOVE: &str = include_str!("lists/above.txt");

/// The kinds of header lines that quoting programs write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Field {
    /// Who wrote it.
    From,
    /// When.
    Date,
    /// To whom.
    To,
    /// To whom else.
    Cc,
    /// About what.
    Subject,
    /// Reply-To, importance, attachments.
    Other,
}

const LABELS: &[(Field, &str)] = &[
    (Field::From, include_str!("lists/label_from.txt")),
    (Field::Date, include_str!("lists/label_date.txt")),
    (Field::To, include_str!("lists/label_to.txt")),
    (Field::Cc, include_str!("lists/label_cc.txt")),
    (Field::Subject, include_str!("lists/label_subject.txt")),
    (Field::Other, include_str!("lists/label_other.txt")),
];

static WROTE_FOLDED: LazyLock<Vec<String>> = LazyLock::new(|| folded(WROTE));
static ORIGINAL_FOLDED: LazyLock<HashSet<String>> = LazyLock::new(|| list(ORIGINAL).map(fold).collect());
static FORWARDED_FOLDED: LazyLock<HashSet<String>> = LazyLock::new(|| list(FORWARDED).map(fold).collect());
static ABOVE_FOLDED: LazyLock<Vec<String>> = LazyLock::new(|| folded(ABOVE));
static OPENERS_FOLDED: LazyLock<HashSet<String>> =
    LazyLock::new(|| list(OPENERS).chain(list(DAYS)).map(|word| fold(word).trim_end_matches('.').to_owned()).collect());
static LABELS_FOLDED: LazyLock<HashMap<String, Field>> = LazyLock::new(|| {
    LABELS.iter().rev().flat_map(|(field, words)| list(words).map(|word| (squeezed(&fold(word)), *field))).collect()
});

/// The entries of a list in `lists/`: between bars and line ends.
pub(super) fn list(words: &str) -> impl Iterator<Item = &str> {
    words.split(['|', '\n']).map(str::trim).filter(|word| !word.is_empty())
}

/// The folded forms of a list, without repetitions.
pub(super) fn folded(words: &str) -> Vec<String> {
    let mut all: Vec<String> = list(words).map(fold).collect();
    all.sort();
    all.dedup();
    all
}

/// Labels of scripts without blanks are spread out by some programs: `主 题`.
fn squeezed(label: &str) -> String {
    if label.is_ascii() { label.to_owned() } else { label.chars().filter(|c| !c.is_whitespace()).collect() }
}

/// Whether a folded text says that somebody wrote something.
pub(super) fn wrote(folded: &str) -> bool {
    super::meter::tick(folded.len());
    WROTE_FOLDED.iter().any(|word| super::fold::says(folded, word))
}

/// Whether a folded text ends with "… wrote".
pub(super) fn wrote_last(folded: &str) -> bool {
    WROTE_FOLDED.iter().any(|word| folded.ends_with(word.as_str()) && super::fold::says(folded, word))
}

/// Where in a folded text somebody wrote something, up to the colon: `… wrote:`.
pub(super) fn wrote_colon(folded: &str) -> Option<usize> {
    WROTE_FOLDED
        .iter()
        .filter_map(|word| {
            let at = super::fold::find(folded, word)? + word.len();
            let rest = folded[at..].trim_start_matches([' ', ')']);
            rest.starts_with(':').then(|| folded.len() - rest.len() + 1)
        })
        .min()
}

/// Whether a folded line begins like an attribution: a preposition of dates, a weekday or a digit.
pub(super) fn opens(folded: &str) -> bool {
    let first = folded.trim_start_matches(['"', '\'', '(', '[', '*', '-', ' ']);
    if first.starts_with(|c: char| c.is_ascii_digit()) {
        return true;
    }
    let word: String = first.chars().take_while(|c| c.is_alphabetic() || matches!(c, '\u{e01}'..='\u{e4e}')).collect();
    if OPENERS_FOLDED.contains(&word) {
        return true;
    }
    // Scripts whose words run into the digits that follow.
    ["在", "於", "于", "ב", "ในวันที่", "เมื่อ", "في", "בתאריך", "كتب"].iter().any(|start| first.starts_with(start))
}

/// The kind of header a folded line is, and what stands after its colon.
pub(super) fn label(folded: &str) -> Option<(Field, &str)> {
    let line = folded.trim_start_matches(['*', '_', '|', ' ', '"']);
    let at = line.char_indices().take(40).find(|(_, c)| *c == ':').map(|(at, _)| at)?;
    let name = line[..at].trim_matches(|c: char| c.is_whitespace() || c == '*' || c == '_');
    let field = LABELS_FOLDED.get(squeezed(name).as_str())?;
    Some((*field, line[at + 1..].trim_start_matches(['*', '_', ' '])))
}

/// What a line between dashes says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Banner {
    /// The quoted message follows.
    Original,
    /// A forwarded message follows.
    Forwarded,
}

/// Reads a folded line as the heading of a quoted or forwarded message; `true` if dashes are around it.
pub(super) fn banner(folded: &str) -> Option<(Banner, bool)> {
    if folded.len() > 600 {
        return None;
    }
    let inner = folded.trim_matches(|c: char| {
        matches!(c, '-' | '_' | '=' | '*' | ' ' | '~' | '<' | '>' | '#' | '[' | ']' | ':' | '.')
    });
    let start = folded.trim_start_matches(['*', ' ', '<']);
    let dashed = ["--", "__", "==", "- -"].iter().any(|mark| start.starts_with(mark));
    if ORIGINAL_FOLDED.contains(inner) {
        return Some((Banner::Original, dashed));
    }
    if FORWARDED_FOLDED.contains(inner) {
        return Some((Banner::Forwarded, dashed || folded.ends_with(':')));
    }
    // Some programs write the headers, or the words of another language, on the same line.
    if dashed
        && let Some((head, _)) = inner.split_once(" --")
        && head.len() < 80
    {
        let head = head.trim_end_matches(['-', ' ']);
        if FORWARDED_FOLDED.contains(head) {
            return Some((Banner::Forwarded, true));
        }
        if ORIGINAL_FOLDED.contains(head) {
            return Some((Banner::Original, true));
        }
    }
    if dashed && inner.starts_with("forwarded by ") {
        return Some((Banner::Forwarded, true));
    }
    (dashed && inner.starts_with("original message ") && inner.len() < 80).then_some((Banner::Original, true))
}

/// Whether a folded line asks to reply above it.
pub(super) fn above(folded: &str) -> bool {
    folded.len() < 200
        && ABOVE_FOLDED
            .iter()
            .any(|words| folded.find(words.as_str()).is_some_and(|at| at < 12 && folded.len() - at - words.len() < 12))
}
