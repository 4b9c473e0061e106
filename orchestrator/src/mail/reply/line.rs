//! One line of a mail, with what is known about it before anything is decided.

use super::fold::{fold, head, quoted};
use std::borrow::Cow;

/// What the markup around a line says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Hint {
    /// Nothing.
    #[default]
    None,
    /// It is in a container of quoted text.
    Quote,
    /// It is the heading of a quote.
    Heading,
    /// It is in a container of forwarded text.
    Forward,
    /// It is in a container of a signature.
    Signature,
    /// From here on everything is quoted.
    Cut,
    /// It is in the box that Outlook draws above a quoted message.
    Box,
    /// A line is drawn here; it has no text.
    Rule,
}

/// One line.
#[derive(Debug, Clone)]
pub(super) struct Line<'a> {
    /// As it was written.
    pub(super) raw: Cow<'a, str>,
    /// Comparable; without its quote marks.
    pub(super) folded: String,
    /// How many `>` it begins with, or how many containers of quotes it is in.
    pub(super) depth: usize,
    /// What the markup says.
    pub(super) hint: Hint,
    /// Whether it begins like an attribution.
    pub(super) opens: bool,
}

impl<'a> Line<'a> {
    /// A line of text.
    pub(super) fn new(raw: impl Into<Cow<'a, str>>, hint: Hint) -> Self {
        let raw = raw.into();
        let (marks, rest) = quoted(&raw);
        // Of a quoted line only its beginning matters.
        let folded = if marks > 0 { fold(head(rest, 256)) } else { fold(rest) };
        let depth = marks + usize::from(hint == Hint::Quote);
        let opens = depth == 0 && super::words::opens(&folded);
        Self { raw, folded, depth, hint, opens }
    }

    /// Whether nothing is on it.
    pub(super) fn blank(&self) -> bool {
        self.depth == 0 && self.folded.is_empty()
    }

    /// Whether it can be part of what a person wrote or of a heading above a quote.
    pub(super) fn free(&self) -> bool {
        self.depth == 0 && matches!(self.hint, Hint::None | Hint::Box)
    }

    /// Whether a sentence ends with it.
    pub(super) fn ends_sentence(&self) -> bool {
        let line = &self.folded;
        match line.chars().next_back() {
            Some('!' | '?' | '。' | '！' | '？' | ';') => true,
            // "jan." and "2020." are abbreviations.
            Some('.') => line[..line.len() - 1].rsplit(' ').next().is_some_and(|word| word.chars().count() > 4),
            _ => false,
        }
    }

    /// Whether it consists of one repeated character that draws a line.
    pub(super) fn rule(&self) -> bool {
        if self.folded.len() >= 10 && self.folded.bytes().all(|byte| byte == b'*') {
            return true;
        }
        let line = self.folded.trim_matches(['*', ' ']);
        (line.len() >= 5 || line == "====")
            && ["_", "-", "="].iter().any(|mark| line.trim_matches(mark.chars().next().unwrap_or('_')).is_empty())
    }
}

/// The lines of a text; every kind of line end counts.
pub(super) fn lines(text: &str) -> Vec<Line<'_>> {
    let mut all = Vec::new();
    for piece in text.split('\n') {
        let piece = piece.strip_suffix('\r').unwrap_or(piece);
        for line in piece.split('\r') {
            let line = line.trim_end_matches('\0');
            match super::marker::shared(line) {
                Some(at) => all.extend([&line[..at], &line[at..]].map(|part| Line::new(part, Hint::None))),
                None => all.push(Line::new(line, Hint::None)),
            }
        }
    }
    while all.last().is_some_and(|line| line.raw.is_empty()) {
        all.pop();
    }
    all
}
