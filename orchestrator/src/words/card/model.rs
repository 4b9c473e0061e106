//! The pieces of a card.

use std::borrow::Cow;

use bus_schemas::{time::UnixMs, v1::api::Risk};

/// A piece of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Span {
    /// Our own words, without any marks.
    Ours(Cow<'static, str>),
    /// Our own words that weigh more.
    Strong(Cow<'static, str>),
    /// Somebody else's words, on one line of so many characters at most.
    Said(String, usize),
    /// What is written exactly so, on one line of so many characters at most: a path, a command, a host, a key.
    Code(String, usize),
    /// An instant.
    When(UnixMs),
    /// How long ago something was, or in how long it will be.
    Ago(UnixMs),
}

/// A line, or a sentence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line(pub Vec<Span>);

impl Line {
    /// Our own words.
    #[must_use]
    pub fn ours(words: impl Into<Cow<'static, str>>) -> Self {
        Self::default().and(words)
    }

    /// With more words of ours.
    #[must_use]
    pub fn and(self, words: impl Into<Cow<'static, str>>) -> Self {
        self.with(Span::Ours(words.into()))
    }

    /// With words of ours that weigh more.
    #[must_use]
    pub fn strong(self, words: impl Into<Cow<'static, str>>) -> Self {
        self.with(Span::Strong(words.into()))
    }

    /// With somebody else's words.
    #[must_use]
    pub fn said(self, words: &str, most: usize) -> Self {
        self.with(Span::Said(words.to_owned(), most))
    }

    /// With what is written exactly so.
    #[must_use]
    pub fn code(self, text: &str, most: usize) -> Self {
        self.with(Span::Code(text.to_owned(), most))
    }

    /// With a piece.
    #[must_use]
    pub fn with(mut self, span: Span) -> Self {
        self.0.push(span);
        self
    }

    /// With all of another line.
    #[must_use]
    pub fn then(mut self, line: Self) -> Self {
        self.0.extend(line.0);
        self
    }

    /// Lines after each other on one.
    #[must_use]
    pub fn join(lines: impl IntoIterator<Item = Self>, between: &'static str) -> Self {
        lines.into_iter().fold(
            Self::default(),
            |all, line| {
                if all.0.is_empty() { line } else { all.and(between).then(line) }
            },
        )
    }

    /// Nothing is in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What stands before an entry: a channel has its own signs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mark {
    /// Nothing special.
    #[default]
    Entry,
    /// One of several things that are called by their numbers, from 1.
    Number(usize),
    /// It is well.
    Good,
    /// It is not well.
    Bad,
    /// It was refused.
    Refused,
    /// It is worth a look.
    Odd,
    /// It is new.
    New,
    /// It is changed.
    Changed,
    /// It is dropped or deleted.
    Gone,
    /// It went to somebody else.
    Handed,
    /// It ends then.
    Due,
}

/// An entry of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Item {
    /// What stands before it.
    pub mark: Mark,
    /// What it says.
    pub text: Line,
    /// More, less important.
    pub detail: Line,
}

impl Item {
    /// An entry.
    #[must_use]
    pub fn new(mark: Mark, text: Line) -> Self {
        Self { mark, text, detail: Line::default() }
    }

    /// With more that is less important.
    #[must_use]
    pub fn detail(self, detail: Line) -> Self {
        Self { detail, ..self }
    }
}

/// A piece of a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// A sentence or two.
    Words(Line),
    /// A warning of ours.
    Warning(Line),
    /// What comes next, and who says so.
    Heading(&'static str, &'static str),
    /// Somebody else's words, of so many characters at most: every line is to be marked.
    Quote(String, usize),
    /// What a program printed, or a drawing, of so many characters at most.
    Code(String, usize),
    /// A list, and how many more there are. Where room is short, a channel shows fewer.
    Items(Vec<Item>, usize),
    /// A few entries that may stand beside each other.
    Row(Vec<Item>),
    /// What is called how, and what it is.
    Facts(Vec<(&'static str, Line)>),
}

impl Block {
    /// The first of a list; `total` counts those that were not even made.
    #[must_use]
    pub fn items(items: impl IntoIterator<Item = Item>, total: usize, most: usize) -> Self {
        let items: Vec<Item> = items.into_iter().take(most).collect();
        let more = total.saturating_sub(items.len());
        Self::Items(items, more)
    }
}

/// What a section is about, for channels that draw or treat some otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// How risky it is.
    Risk(Risk),
    /// What is asked.
    Asked,
    /// What changed.
    Changes,
    /// What was spent.
    Spent,
    /// What follows.
    Next,
    /// What people asked about it.
    Talk,
    /// Who decides.
    Who,
}

/// A heading and what stands below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// What it is about.
    pub topic: Topic,
    /// The heading.
    pub title: &'static str,
    /// Beside the title: who says so, of what it is. Our own words.
    pub note: Cow<'static, str>,
    /// All of it in a line; may be empty.
    pub sum: Line,
    /// The rest.
    pub blocks: Vec<Block>,
    /// It is shown whatever else there is.
    pub is_needed: bool,
}

impl Section {
    /// A section about what is asked.
    #[must_use]
    pub fn new(title: &'static str, note: impl Into<Cow<'static, str>>, blocks: Vec<Block>) -> Self {
        Self { topic: Topic::Asked, title, note: note.into(), sum: Line::default(), blocks, is_needed: false }
    }

    /// About something else.
    #[must_use]
    pub fn about(self, topic: Topic) -> Self {
        Self { topic, ..self }
    }

    /// With all of it in a line.
    #[must_use]
    pub fn sum(self, sum: Line) -> Self {
        Self { sum, ..self }
    }

    /// Shown whatever else there is.
    #[must_use]
    pub fn needed(self) -> Self {
        Self { is_needed: true, ..self }
    }
}

/// How much a channel has room for, in characters if nothing else is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// Somebody's own words.
    pub quote: usize,
    /// A plan.
    pub plan: usize,
    /// A plan that stands beside its change.
    pub patched: usize,
    /// The output of a failed check.
    pub output: usize,
    /// Its lines.
    pub output_lines: usize,
    /// Changed paths that are named.
    pub paths: usize,
    /// The lines of a proposed skill.
    pub skill_lines: usize,
    /// The most of a file that is shown, in bytes; where that is too little to say anything, nothing is.
    pub excerpt: usize,
    /// Questions and answers about the request that are shown.
    pub talks: usize,
    /// One of them.
    pub said: usize,
}
