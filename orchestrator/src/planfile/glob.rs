//! Globs of `inputs` and `outputs`: whether one is sound, and whether two can name the same path.

use globset::GlobBuilder;

/// Alternatives of `{a,b}` that are looked at one by one; with more, two globs are taken not to meet.
const MAX_ALTERNATIVES: usize = 16;

/// What is wrong with a glob, and how to mend it.
pub(super) fn problem(glob: &str) -> Option<(String, String)> {
    let say = |problem: &str, hint: String| Some((problem.to_owned(), hint));
    if glob.starts_with('/') {
        return say("is absolute", format!("paths start in the folder: `{}`", glob.trim_start_matches('/')));
    }
    if glob.split('/').any(|part| part == "..") {
        return say("leads out of the folder", "remove the `..`".to_owned());
    }
    if glob.split('/').any(|part| part == "." || part.is_empty()) {
        let hint = match glob.trim_end_matches('/') {
            folder if folder != glob => format!("for everything in a folder write `{folder}/**`"),
            _ => "remove `./` and `//`".to_owned(),
        };
        return say("has an empty or `.` part", hint);
    }
    if glob.chars().any(char::is_control) {
        return say("holds a control character", "remove it".to_owned());
    }
    match GlobBuilder::new(glob).literal_separator(true).build() {
        Ok(_) => None,
        Err(error) => Some((format!("is not a glob: {}", error.kind()), "escape `[` and `{` with `\\`".to_owned())),
    }
}

/// A piece of a glob.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Piece {
    /// This character.
    Char(char),
    /// One character that is no `/`: `?`, and sets, which are not looked into.
    Any,
    /// Any characters but `/`.
    Star,
    /// Any characters.
    Tree,
}

/// A glob, ready to be compared.
pub(super) struct Pattern {
    alternatives: Vec<Vec<Piece>>,
}

impl Pattern {
    /// Reads a sound glob.
    pub(super) fn new(glob: &str) -> Self {
        let alternatives = expand(glob);
        Self { alternatives: alternatives.iter().map(|text| pieces(text)).collect() }
    }

    /// The characters that every path of the glob starts with.
    pub(super) fn prefix(&self) -> String {
        let mut prefixes = self.alternatives.iter().map(|pieces| literal_prefix(pieces));
        let first = prefixes.next().unwrap_or_default();
        prefixes.fold(first, |a, b| a.chars().zip(b.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a).collect())
    }

    /// Whether a path could match both. Sets such as `[ab]` count as any character, so the answer can be yes too often.
    pub(super) fn meets(&self, other: &Self) -> bool {
        self.alternatives.iter().any(|a| other.alternatives.iter().any(|b| meet(a, b)))
    }
}

fn literal_prefix(pieces: &[Piece]) -> String {
    let chars = pieces.iter().map_while(|piece| match piece {
        Piece::Char(c) => Some(*c),
        _ => None,
    });
    chars.collect()
}

/// Whether two patterns have a path in common: both are walked together, from every pair of positions once.
fn meet(a: &[Piece], b: &[Piece]) -> bool {
    let width = b.len() + 1;
    let mut seen = vec![false; (a.len() + 1) * width];
    let mut open = vec![(0, 0)];
    while let Some((i, j)) = open.pop() {
        let Some(mark) = seen.get_mut(i * width + j) else { continue };
        if std::mem::replace(mark, true) {
            continue;
        }
        let (left, right) = (a.get(i).copied(), b.get(j).copied());
        if left.is_none() && right.is_none() {
            return true;
        }
        if matches!(left, Some(Piece::Star | Piece::Tree)) {
            open.push((i + 1, j));
        }
        if matches!(right, Some(Piece::Star | Piece::Tree)) {
            open.push((i, j + 1));
        }
        if let (Some(left), Some(right)) = (left, right)
            && share_a_character(left, right)
        {
            let after = |piece, at: usize| if matches!(piece, Piece::Star | Piece::Tree) { at } else { at + 1 };
            open.push((after(left, i), after(right, j)));
        }
    }
    false
}

fn share_a_character(a: Piece, b: Piece) -> bool {
    match (a, b) {
        (Piece::Char(a), Piece::Char(b)) => a == b,
        (Piece::Char(c), Piece::Any | Piece::Star) | (Piece::Any | Piece::Star, Piece::Char(c)) => c != '/',
        _ => true,
    }
}

fn pieces(glob: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut chars = glob.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '*' if chars.next_if_eq(&'*').is_some() => {
                pieces.push(Piece::Tree);
                // `**/` also stands for no folder at all.
                if pieces.len() == 1 || matches!(pieces.iter().rev().nth(1), Some(Piece::Char('/'))) {
                    chars.next_if_eq(&'/');
                }
            }
            '*' => pieces.push(Piece::Star),
            '?' => pieces.push(Piece::Any),
            '[' => {
                chars.next_if(|c| *c == '!' || *c == '^');
                chars.next();
                while chars.next().is_some_and(|c| c != ']') {}
                pieces.push(Piece::Any);
            }
            '\\' => pieces.extend(chars.next().map(Piece::Char)),
            other => pieces.push(Piece::Char(other)),
        }
    }
    pieces
}

/// `a{b,c}` as `ab` and `ac`; empty if there are too many.
fn expand(glob: &str) -> Vec<String> {
    let mut done = Vec::new();
    let mut open = vec![glob.to_owned()];
    while let Some(text) = open.pop() {
        if done.len() + open.len() >= MAX_ALTERNATIVES {
            return Vec::new();
        }
        match braces(&text) {
            Some((before, choices, after)) => {
                open.extend(choices.iter().map(|choice| format!("{before}{choice}{after}")))
            }
            None => done.push(text),
        }
    }
    done
}

/// The first outer `{…}`: what is before, its choices, what is after.
fn braces(text: &str) -> Option<(&str, Vec<&str>, &str)> {
    let (mut depth, mut start, mut from) = (0_usize, 0, 0);
    let mut choices = Vec::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => {
                chars.next();
            }
            '{' => {
                depth += 1;
                if depth == 1 {
                    (start, from) = (at, at + 1);
                }
            }
            ',' if depth == 1 => {
                choices.push(text.get(from..at)?);
                from = at + 1;
            }
            '}' if depth > 0 => {
                depth -= 1;
                if depth == 0 {
                    choices.push(text.get(from..at)?);
                    return Some((text.get(..start)?, choices, text.get(at + 1..)?));
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Pattern, problem};

    #[test]
    fn unsound_globs_are_named() {
        for (glob, part) in [
            ("/etc/passwd", "absolute"),
            ("a/../b", "out of the folder"),
            ("..", "out of the folder"),
            ("a/", "empty"),
            ("./a", "empty"),
            ("a//b", "empty"),
            ("a[", "not a glob"),
            ("a\nb", "control"),
        ] {
            assert!(problem(glob).is_some_and(|(message, _)| message.contains(part)), "{glob:?}: {:?}", problem(glob));
        }
        for glob in ["**", "*.md", "a/**/b.{c,d}", "a b", "[ab]?", "..a/b..", "ä"] {
            assert_eq!(problem(glob), None, "{glob}");
        }
    }

    #[test]
    fn globs_meet_where_a_path_matches_both() {
        let meets = |a: &str, b: &str| {
            let (left, right) = (Pattern::new(a), Pattern::new(b));
            assert_eq!(left.meets(&right), right.meets(&left), "{a} {b}");
            left.meets(&right)
        };
        for (a, b) in [
            ("a", "a"),
            ("*.md", "report.*"),
            ("**", "a/b/c"),
            ("out/**", "out/x.json"),
            ("**/x", "x"),
            ("a/**/z", "a/z"),
            ("{a,b}/c", "b/*"),
            ("a/[xy].txt", "a/x.txt"),
            ("*/b", "a/?"),
        ] {
            assert!(meets(a, b), "{a} {b}");
        }
        for (a, b) in [
            ("a", "b"),
            ("*.md", "*.txt"),
            ("*.md", "docs/x.md"),
            ("out/a/**", "out/b/**"),
            ("{a,b}/c", "c/*"),
            ("a?c", "a/c"),
            ("out", "out/x"),
        ] {
            assert!(!meets(a, b), "{a} {b}");
        }
    }

    #[test]
    fn prefixes_are_what_every_path_starts_with() {
        for (glob, prefix) in [("out/x.json", "out/x.json"), ("out/*.json", "out/"), ("{ab,ac}/x", "a"), ("**", "")] {
            assert_eq!(Pattern::new(glob).prefix(), prefix, "{glob}");
        }
    }
}
