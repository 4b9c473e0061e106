//! What the first new line of a reply decides.
//!
//! A decision is a deciding word at the beginning of the line, with nothing around it that could turn it: `approve`,
//! `Approved, thanks!`, `reject: wrong branch`, `changes: rename the file`. Everything that contains such a word and
//! is not that plain is [`Deciding::Ambiguous`], and so is what only sounds like an answer (`ok`, `yes`, `lgtm`, a
//! thumb). Words below the first line never decide; a condition there can still make an approval ambiguous.

use super::farewell::{closing, thanks};
use super::fold::{find, fold, says};
use super::verdicts::{APPROVE, CHANGES, CONDITION, GREETING, HARMLESS, NAMES, NEGATION, REJECT, SOFT};

/// What a reply decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deciding {
    /// It approves.
    Approve,
    /// It refuses; the reason may be empty.
    Reject(String),
    /// It sends back, with what is to be changed.
    Changes(String),
    /// It does not speak about deciding.
    None,
    /// It may mean a decision: ask back, and say why.
    Ambiguous(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Approve,
    Reject,
}

/// Reads the new lines of a reply; the first one decides.
pub(super) fn decide(lines: &[String]) -> Deciding {
    let Some((first, below)) = lines.split_first() else { return Deciding::None };
    let line = fold(first);
    if line.len() > 1000 && find_word(&line[..line.floor_char_boundary(60)]).is_none() {
        return Deciding::None;
    }
    // A greeting may stand between an approval and its condition.
    let next = below.iter().map(|line| fold(line)).find(|line| !closing(line) && !thanks(line));
    match judge(&line, first, below) {
        Deciding::Approve if next.is_some_and(|next| takes_back(&next)) => ambiguous("the next line limits it"),
        Deciding::None if greets(&line) => match below.split_first() {
            Some((next, rest)) if !matches!(judge(&fold(next), next, rest), Deciding::None) => {
                ambiguous("the deciding word is not on the first line")
            }
            _ => Deciding::None,
        },
        decision => decision,
    }
}

fn ambiguous(why: &str) -> Deciding {
    Deciding::Ambiguous(why.to_owned())
}

/// The first deciding word of a line: where, how long, which.
fn find_word(line: &str) -> Option<(usize, usize, Class)> {
    let mut best: Option<(usize, usize, Class)> = None;
    for (class, words) in [(Class::Approve, &*APPROVE), (Class::Reject, &*REJECT)] {
        for word in words {
            if let Some(at) = find(line, word)
                && best.is_none_or(|(found, length, _)| at < found || (at == found && word.len() > length))
            {
                best = Some((at, word.len(), class));
            }
        }
    }
    best
}

fn judge(line: &str, raw: &str, below: &[String]) -> Deciding {
    let open = line.trim_start_matches(['*', '_', '[', '(', ' ', '#']);
    let changes = CHANGES.iter().find_map(|word| {
        let rest = open.strip_prefix(word.as_str())?;
        let rest = rest.trim_start_matches(['*', '_', ']', ')', ' ']);
        (rest.is_empty() || rest.starts_with([':', '-']) || (rest.starts_with(['.', '!', ',']) && rest.len() == 1))
            .then_some(word.len())
    });
    let found = find_word(line);
    if let Some(length) = changes {
        if found.is_some() {
            return ambiguous("it has more than one deciding word");
        }
        let note = reason(line, raw, line.len() - open.len() + length, below);
        return if note.is_empty() { ambiguous("it does not say what to change") } else { Deciding::Changes(note) };
    }
    let Some((at, length, class)) = found else { return soft(line) };
    let (lead, rest) = (&line[..at], &line[at + length..]);
    if [&*APPROVE, &*REJECT]
        .iter()
        .enumerate()
        .any(|(other, words)| (other == 0) != (class == Class::Approve) && words.iter().any(|word| says(line, word)))
    {
        return ambiguous("it has more than one deciding word");
    }
    if lead.ends_with(['"', '\'']) || rest.starts_with(['"', '\'']) || line.starts_with('"') {
        return ambiguous("the deciding word is quoted");
    }
    let (before, tail) = apart(rest);
    let head = format!("{lead} {before}");
    if NEGATION.iter().any(|word| says(&head, word)) {
        return ambiguous("the deciding word is negated");
    }
    if before.contains('?')
        || tail.starts_with('?')
        || lead.contains('?')
        || (class == Class::Approve && line.contains('?'))
    {
        return ambiguous("it is a question");
    }
    if CONDITION.iter().any(|word| says(&head, word)) {
        return ambiguous("it depends on something");
    }
    if !harmless(lead) || !harmless(before) {
        return ambiguous("the deciding word is part of a sentence");
    }
    if class == Class::Reject {
        return Deciding::Reject(reason(line, raw, at + length, below));
    }
    if NEGATION.iter().chain(&*CONDITION).any(|word| says(tail, word)) || CHANGES.iter().any(|word| says(tail, word)) {
        return ambiguous("what follows limits it");
    }
    Deciding::Approve
}

/// Parts what follows a deciding word at its first separator.
fn apart(rest: &str) -> (&str, &str) {
    let because =
        ["because", "weil", "parce que", "porque", "perche", "omdat", "since", "as it", "потому", "因为", "因為"];
    let at = rest.find([':', ',', '.', ';', '!', '-', '?', '。', '、']).unwrap_or(rest.len());
    let at = because.iter().filter_map(|word| find(rest, word)).fold(at, usize::min);
    (&rest[..at], &rest[at..])
}

/// Whether words around a deciding word leave it as it is.
fn harmless(words: &str) -> bool {
    words
        .split(|c: char| !(c.is_alphanumeric() || matches!(c, '\'' | '+' | '\u{e31}'..='\u{e4e}')))
        .filter(|word| !word.is_empty())
        .all(|word| HARMLESS.iter().any(|known| known == word))
}

/// What follows a deciding word, as written, with the lines below.
fn reason(line: &str, raw: &str, end: usize, below: &[String]) -> String {
    let separator = |c: char| matches!(fold(&c.to_string()).as_str(), ":" | "," | "." | ";" | "!" | "-" | "。" | "、");
    let before = line[..end].chars().filter(|c| separator(*c)).count();
    let words = line[..end].split_whitespace().count();
    let marked = raw.char_indices().filter(|(_, c)| separator(*c)).nth(before).map(|(at, c)| &raw[at + c.len_utf8()..]);
    // The separator must come before the words of the reason: "reject because it is late, again" has none.
    let (plain, _) = apart(&line[end..]);
    let text = match marked {
        _ if harmless(plain) && plain.len() == line[end..].len() => "",
        Some(text) if harmless(plain) && line[end + plain.len()..].starts_with(separator) => text,
        _ => {
            raw.split_whitespace().nth(words).map_or("", |word| &raw[word.as_ptr() as usize - raw.as_ptr() as usize..])
        }
    };
    let text = text.trim().trim_start_matches(['*', '_', ':', '-', ' ']);
    let mut all = vec![text];
    all.extend(below.iter().map(String::as_str));
    let joined = all.join("\n");
    joined.trim().to_owned()
}

/// Whether a line only sounds like an answer.
fn soft(line: &str) -> Deciding {
    let text =
        line.trim_matches(|c: char| matches!(c, '.' | '!' | ',' | ' ' | '*' | '_' | '"' | '。' | '\'' | '?' | ':'));
    let agrees = SOFT.iter().any(|word| {
        text.strip_prefix(word.as_str()).is_some_and(|rest| {
            let apart = rest.chars().next().is_none_or(|c| !c.is_alphanumeric());
            apart && rest.split_whitespace().count() <= 4 && harmless(rest)
        })
    });
    if agrees {
        return Deciding::Ambiguous(format!("\"{text}\" is not a deciding word"));
    }
    Deciding::None
}

/// Whether a folded line begins by limiting what stands above it.
pub(super) fn takes_back(line: &str) -> bool {
    limiting(line).next().is_some()
}

/// Whether a line that was taken for a part of a signature begins by limiting what stands above it. People are called
/// Ali and Jos, and live at "No. 5".
pub(super) fn limits(raw: &str) -> bool {
    let raw = raw.trim_start_matches(|c: char| !c.is_alphanumeric());
    let named = raw.split_whitespace().count() <= 6
        && raw.split_whitespace().all(|word| {
            word.starts_with(|c: char| c.is_uppercase() || c.is_ascii_digit() || !c.is_alphanumeric()) || word == "es"
        });
    limiting(&fold(raw)).any(|word| {
        let cased = word.chars().all(super::fold::spaced);
        !(NAMES.contains(word) && (named || !cased))
    })
}

/// The words with which a folded line limits what stands above it.
fn limiting(line: &str) -> impl Iterator<Item = &String> {
    let start = line.trim_start_matches(|c: char| !c.is_alphanumeric());
    CONDITION.iter().chain(&*NEGATION).filter(|word| {
        start.strip_prefix(word.as_str()).is_some_and(|rest| {
            !word.chars().all(super::fold::spaced) || rest.chars().next().is_none_or(|c| !super::fold::spaced(c))
        })
    })
}

/// Whether a line is only a greeting.
pub(super) fn greets(line: &str) -> bool {
    line.split_whitespace().count() <= 5
        && GREETING.iter().any(|word| line.starts_with(word.as_str()))
        && !line.ends_with(['?', ':'])
}
