//! Reads replies: what a person wrote now, apart from what they quote, sign with or pass on.
//!
//! A mail is cut into [`Fragment`]s, in order and without gaps. The same rules serve text and HTML: markup becomes
//! lines with hints ([`html`]), and lines are judged one by one ([`split`]).
//!
//! Ties are broken like this:
//!
//! 1. A clear mark (an attribution with a date or an address, a block of headers, a heading between dashes, a
//!    container of a mail program) begins a quote. If what follows carries `>` or is in a container, the quote ends
//!    with it and later words are new (inline and bottom posting); if not, everything below is the quote.
//! 2. Where there is no clear mark, text is new: it is better to show too much than to lose a word.
//! 3. A signature is only what a rule names: `-- `, a device's line, a formal greeting with a name, a name behind a dash,
//!    a disclaimer, a card, the footer of a list. "Thanks" is a word of the person. The last words of a mail are never taken for a greeting.
//! 4. A line that may have lost its mark on the way decides nothing, and is not thrown away if it would decide.
//! 5. No rule takes a condition away from an approval: `But only if …` is no device's line and no name, and where it is
//!    taken for a part of a signature all the same, the approval is asked about.
//! 6. Of a text part and an HTML part the text counts, unless it shows no quote and the HTML does, or its marks are torn:
//!    then the HTML says what is quoted, if it has all the other words of the person.
//!
//! Nothing here reads a clock, a file or a header; whether a machine answered is for others to say.

mod armor;
mod cut;
mod decide;
mod farewell;
mod fold;
mod fray;
mod html;
mod line;
mod marker;
mod memo;
mod meter;
mod mime;
mod signature;
mod split;
mod tags;
mod verdicts;
mod words;

#[cfg(test)]
mod tests;

pub use decide::Deciding;
#[cfg(test)]
pub(super) use meter::taken as steps_taken;
pub(super) use mime::of_message;

use std::ops::Range;

/// What a part of a mail is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// What the person wrote now.
    New,
    /// The heading of a quote: `On … wrote:`, a block of headers.
    Attribution,
    /// Older text.
    Quoted,
    /// The person's or their device's signature, with greeting and disclaimer.
    Signature,
    /// What a mailing list or a scanner added.
    Footer,
    /// A message passed on, with its heading.
    Forwarded,
}

impl Kind {
    /// The kind's name, as `--json` prints it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Attribution => "attribution",
            Self::Quoted => "quoted",
            Self::Signature => "signature",
            Self::Footer => "footer",
            Self::Forwarded => "forwarded",
        }
    }
}

/// A run of lines of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fragment {
    /// What they are.
    pub kind: Kind,
    /// The lines, as written, without blank ones around them.
    pub text: String,
    /// Which lines of the text (or of the text made from HTML) they are, from 0.
    pub lines: Range<usize>,
}

/// A mail, understood.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reply {
    /// Its parts, in order.
    pub fragments: Vec<Fragment>,
    /// What is called new may as well be the message that is answered, quoted without a mark: it decides nothing.
    pub unsure: bool,
}

impl Reply {
    /// What the person wrote now: the new parts with a blank line between them.
    #[must_use]
    pub fn text(&self) -> String {
        self.of(Kind::New).collect::<Vec<_>>().join("\n\n")
    }

    /// What was passed on.
    #[must_use]
    pub fn forwarded(&self) -> String {
        self.of(Kind::Forwarded).collect::<Vec<_>>().join("\n\n")
    }

    /// The texts of one kind.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = &str> {
        self.fragments.iter().filter(move |fragment| fragment.kind == kind).map(|fragment| fragment.text.as_str())
    }

    /// The first line that is new and not empty, without invisible characters.
    #[must_use]
    pub fn first_line(&self) -> Option<String> {
        self.new_lines().next()
    }

    /// What the first new line decides.
    #[must_use]
    pub fn decision(&self) -> Deciding {
        let lines: Vec<String> = self.new_lines().collect();
        match decide::decide(&lines) {
            Deciding::None => Deciding::None,
            _ if self.unsure => Deciding::Ambiguous("it may be part of the message that is answered".to_owned()),
            Deciding::Approve if self.limited() => {
                Deciding::Ambiguous("a line below it, read as a signature, may limit it".to_owned())
            }
            decision => decision,
        }
    }

    /// Whether something below the new words was taken for a signature, a footer or the heading of a quote, and limits them.
    fn limited(&self) -> bool {
        let below = self.fragments.iter().skip_while(|part| part.kind != Kind::New).skip(1);
        below.into_iter().any(|part| match part.kind {
            Kind::Signature | Kind::Footer => signature::limits(&armor::without(&part.text)),
            Kind::Attribution => part.text.lines().next().is_some_and(decide::limits),
            Kind::New | Kind::Quoted | Kind::Forwarded => false,
        })
    }

    fn new_lines(&self) -> impl Iterator<Item = String> {
        self.of(Kind::New).flat_map(str::lines).map(fold::visible).filter(|line| !line.is_empty())
    }
}

/// Reads a mail as it came.
#[must_use]
pub fn parse(raw_mime: &[u8]) -> Reply {
    mime::parse(raw_mime)
}

/// Reads a mail's text.
#[must_use]
pub fn of_text(text: &str) -> Reply {
    split::split(&line::lines(text))
}

/// Reads a mail's HTML.
#[must_use]
pub fn of_html(html: &str) -> Reply {
    split::split(&html::lines(html))
}
