//! What a mail shows, before it is drawn: the same for its text and its HTML. All texts are safe ([`super::text`]); of them only
//! what stands between backticks is drawn otherwise, as code.

use serde::Serialize;

/// How something looks: good, worth a look, bad, or neither.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Tone {
    #[default]
    Plain,
    Good,
    Odd,
    Bad,
}

/// A word or two with a colour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Badge {
    pub(super) tone: Tone,
    pub(super) words: String,
}

/// An entry of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Item {
    /// What stands before it: `✓`.
    pub(super) mark: &'static str,
    pub(super) tone: Tone,
    pub(super) text: String,
    /// More, less important.
    pub(super) detail: String,
}

impl Item {
    pub(super) fn new(text: String) -> Self {
        Self { mark: "•", text, ..Self::default() }
    }

    pub(super) fn marked(mark: &'static str, tone: Tone, text: String, detail: String) -> Self {
        Self { mark, tone, text, detail }
    }
}

/// A piece of a section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Block {
    /// Our own words.
    Words { text: String },
    /// A warning of ours.
    Warning { text: String },
    /// Somebody else's words: every line is marked.
    Quote { lines: Vec<String> },
    /// What a program printed, or a drawing.
    Code { text: String },
    /// A list; so many more are not shown.
    Items { items: Vec<Item>, more: usize },
    /// What is called how, and what it is.
    Facts { rows: Vec<(String, String)> },
    /// A unified difference, its lines with their tones.
    Diff { lines: Vec<(Tone, String)> },
}

impl Block {
    pub(super) fn words(text: impl Into<String>) -> Self {
        Self::Words { text: text.into() }
    }

    pub(super) fn warning(text: impl Into<String>) -> Self {
        Self::Warning { text: text.into() }
    }

    /// The first of the items; `total` counts those that were not even made.
    pub(super) fn items(mut items: Vec<Item>, total: usize, most: usize) -> Self {
        items.truncate(most);
        let more = total.saturating_sub(items.len());
        Self::Items { items, more }
    }

    /// How much room it takes.
    fn length(&self) -> usize {
        let count = |text: &str| text.chars().count();
        match self {
            Self::Words { text } | Self::Warning { text } | Self::Code { text } => count(text),
            Self::Quote { lines } => lines.iter().map(|line| count(line) + 1).sum(),
            Self::Items { items, .. } => items.iter().map(|item| count(&item.text) + count(&item.detail) + 4).sum(),
            Self::Facts { rows } => rows.iter().map(|(name, value)| count(name) + count(value) + 4).sum(),
            Self::Diff { lines } => lines.iter().map(|(_, line)| count(line) + 1).sum(),
        }
    }
}

/// A heading and what stands below it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Section {
    pub(super) title: String,
    /// Beside the title: who says so.
    pub(super) note: String,
    pub(super) blocks: Vec<Block>,
    /// It is shown whatever else there is.
    #[serde(skip)]
    pub(super) is_needed: bool,
}

impl Section {
    pub(super) fn new(title: &str, note: &str, blocks: Vec<Block>) -> Self {
        Self { title: title.to_owned(), note: note.to_owned(), blocks, is_needed: false }
    }

    pub(super) fn needed(self) -> Self {
        Self { is_needed: true, ..self }
    }

    fn length(&self) -> usize {
        self.title.len() + self.note.len() + self.blocks.iter().map(Block::length).sum::<usize>()
    }
}

/// A link that looks like a button.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Button {
    pub(super) words: String,
    pub(super) url: String,
    /// What pressing it does not do.
    pub(super) note: String,
}

/// A mail or a page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Sheet {
    pub(super) subject: String,
    /// What a list of mails shows beside the subject.
    pub(super) preheader: String,
    /// Above the title.
    pub(super) over: String,
    pub(super) title: String,
    /// Below the title.
    pub(super) under: Vec<String>,
    pub(super) badge: Option<Badge>,
    /// What comes first.
    pub(super) lead: Vec<Block>,
    pub(super) button: Option<Button>,
    pub(super) sections: Vec<Section>,
    /// What can be answered.
    pub(super) answer: Option<Section>,
    pub(super) foot: Vec<String>,
    /// Where one asks for no more mails of the kind.
    pub(super) quiet_link: Option<String>,
}

impl Sheet {
    /// Leaves sections out from the end until it has at most so many characters; what is needed stays.
    pub(super) fn fit(&mut self, most: usize, where_all_is: &str) {
        let needed: usize = self.sections.iter().filter(|section| section.is_needed).map(Section::length).sum();
        let mut room = most.saturating_sub(needed);
        let before = self.sections.len();
        self.sections.retain(|section| {
            let fits = section.is_needed || section.length() <= room;
            if fits && !section.is_needed {
                room -= section.length();
            }
            fits
        });
        let left_out = before - self.sections.len();
        if left_out > 0 {
            let text = format!("There is more than a mail holds ({left_out} left out): {where_all_is}");
            self.sections.push(Section { blocks: vec![Block::warning(text)], ..Section::default() });
        }
    }
}
