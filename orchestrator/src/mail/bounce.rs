//! Mail that says what became of a mail of ours: the standard's reports (RFC 3464), and what servers write instead.

mod report;
#[cfg(test)]
mod tests;
mod text;

use std::panic;

use mail_parser::{Message, MessageParser, PartType};

use super::{
    letter::{Letter, tame, written},
    token,
};

/// The most of a mail that is searched, in bytes.
const SEARCHED: usize = 1 << 20;
/// The most recipients, ids and tokens that are kept.
const MOST: usize = 50;
/// The most of a diagnostic, in characters.
const DIAGNOSTIC: usize = 500;

/// What became of a mail for one recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It did not arrive and will not.
    Failed,
    /// It has not arrived yet; the server goes on trying.
    Delayed,
    /// It arrived, or went on to where nobody reports.
    Delivered,
}

/// One recipient of a mail of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// Their address, as we wrote it if the report says so; empty if it says none.
    pub address: String,
    /// What became of it.
    pub action: Action,
    /// The status: `5.1.1`; empty if there is none.
    pub status: String,
    /// What the server said.
    pub diagnostic: String,
}

/// What a server says about a mail of ours. Anybody can write such a mail: it counts only for a mail of ours that it names by
/// something only its recipient knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bounce {
    /// For whom.
    pub recipients: Vec<Recipient>,
    /// Ids of the mail it is about, without angle brackets.
    pub about: Vec<String>,
    /// What looks like our tokens in it.
    pub tokens: Vec<String>,
}

impl Bounce {
    /// It did not arrive for somebody.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        self.recipients.iter().any(|recipient| recipient.action == Action::Failed)
    }
}

/// Reads such a mail; `None` if it is none, or says nothing that can be used.
#[must_use]
pub fn read(raw: &[u8], letter: &Letter) -> Option<Bounce> {
    // As for every mail: a parser that is not ours, on a stranger's bytes.
    let parsed = panic::catch_unwind(|| {
        let tamed = tame(raw)?;
        MessageParser::default().parse(tamed.as_ref()).map(|message| of_parts(raw, &message))
    });
    let (mut recipients, mut about) = parsed.ok().flatten().unwrap_or_default();
    if recipients.is_empty() {
        recipients = text::recipients(letter);
    }
    let beginning = String::from_utf8_lossy(raw.get(..SEARCHED).unwrap_or(raw));
    about.extend(letter.in_reply_to.iter().chain(&letter.references).cloned());
    about.extend(text::returned_ids(&beginning, letter.message_id.as_deref()));
    unique(&mut about);
    recipients.truncate(MOST);
    (!recipients.is_empty()).then(|| Bounce { recipients, about, tokens: tokens(&beginning) })
}

/// What the parts of a report say: recipients, and ids of the mail it returns.
fn of_parts(raw: &[u8], message: &Message<'_>) -> (Vec<Recipient>, Vec<String>) {
    let (mut recipients, mut about) = (Vec::new(), Vec::new());
    for part in &message.parts {
        let text = || match &part.body {
            PartType::Text(text) | PartType::Html(text) => text.to_string(),
            PartType::Binary(bytes) | PartType::InlineBinary(bytes) => {
                String::from_utf8_lossy(bytes.get(..SEARCHED).unwrap_or(bytes)).into_owned()
            }
            PartType::Message(_) | PartType::Multipart(_) => String::new(),
        };
        match written(raw, part).0.as_str() {
            "message/delivery-status" | "message/global-delivery-status" => recipients.extend(report::read(&text())),
            "message/rfc822" | "message/global" | "text/rfc822-headers" | "message/global-headers" => {
                about.extend(text::message_id(&text()));
            }
            _ => {}
        }
    }
    (recipients, about)
}

/// What has the form of our tokens behind a `+` and before an `@`.
fn tokens(text: &str) -> Vec<String> {
    let behind = text.match_indices('+').filter_map(|(at, _)| text[at + 1..].split_once('@').map(|(token, _)| token));
    let mut found: Vec<String> =
        behind.filter(|token| token::looks_like_plus(token)).map(str::to_lowercase).take(MOST * 4).collect();
    unique(&mut found);
    found
}

/// In order, each once, not too many.
fn unique(list: &mut Vec<String>) {
    let mut seen = std::collections::HashSet::new();
    list.retain(|one| seen.insert(one.clone()));
    list.truncate(MOST);
}
