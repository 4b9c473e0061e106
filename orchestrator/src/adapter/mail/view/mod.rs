//! What mails say: pure functions from a [`Story`] to subject, text and HTML. No clock, no input or output: the same story and
//! frame give the same mail, to the byte.
//!
//! A story becomes a sheet first; text and HTML are drawn from it by templates, so neither says what the other does not. What a
//! request says comes from `words::card`, as on every channel. What agents and files say goes through [`text`], always; known
//! secrets are taken out before.

mod draw;
mod edit;
mod lay;
mod news;
pub mod page;
mod patch;
mod request;
mod sheet;
pub mod text;

use bus_schemas::time::UnixMs;
use serde::{Serialize, de::DeserializeOwned};

use self::sheet::Sheet;
use super::story::Story;
use crate::words::secrets;

/// A file that goes with a mail: its name, its media type, its content.
pub type File = (String, String, Vec<u8>);

/// A mail's content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// The subject, one line.
    pub subject: String,
    /// The text part.
    pub text: String,
    /// The HTML part.
    pub html: String,
    /// The files.
    pub attachments: Vec<File>,
}

/// What a mail must know beside its story.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// Our address.
    pub address: String,
    /// The page on which this request can be seen and decided.
    pub link: Option<String>,
    /// The page on which this person asks for no more news.
    pub quiet_link: Option<String>,
    /// An answer to this mail is read: it decides, or goes to the project.
    pub can_reply: bool,
    /// Now.
    pub now: UnixMs,
    /// What must never be seen.
    pub secrets: Vec<String>,
    /// Who gets it: a member's name, or `email:address`.
    pub person: String,
}

/// Texts of one mail, together, in characters: programs cut long mails.
const BODY: usize = 14_000;
/// A subject.
const SUBJECT: usize = 140;

/// The mail that tells a story.
#[must_use]
pub fn render(story: &Story, frame: &Frame) -> Content {
    let Some(story) = hidden(story, &frame.secrets) else {
        tracing::error!("mail: something cannot be shown safely, so it is not shown");
        let said = "Something cannot be shown safely in a mail. `baton` on the orchestrator's machine shows it.";
        return content(news::done(said), Vec::new(), frame);
    };
    let (sheet, attachments) = match &story {
        Story::Started { project, left_out } => (news::started(project, left_out, frame), Vec::new()),
        Story::Request { approval, project, diff, reminder } => {
            let files = diff.as_deref().and_then(|diff| patch::file(diff, &frame.secrets));
            let sheet = request::request(approval, project, diff.as_deref(), *reminder, frame);
            (sheet, files.into_iter().collect())
        }
        Story::Outcome { approval } => (news::outcome(approval, frame), Vec::new()),
        Story::AskBack { approval, why } => (news::ask_back(approval.as_deref(), why, frame), Vec::new()),
        Story::Refused { what, why, hint } => (news::refused(what, why, hint.as_deref()), Vec::new()),
        Story::Done { said } => (news::done(said), Vec::new()),
        Story::Status { project } => (news::status(project, frame), Vec::new()),
        Story::Result { project, diff } => {
            let files = diff.as_deref().and_then(|diff| patch::file(diff, &frame.secrets));
            (news::result(project, diff.as_deref(), frame), files.into_iter().collect())
        }
        Story::Digest { news } => (news::digest(news, frame), Vec::new()),
    };
    content(sheet, attachments, frame)
}

fn content(mut sheet: Sheet, attachments: Vec<File>, frame: &Frame) -> Content {
    sheet.subject = text::plain(&sheet.subject, SUBJECT);
    sheet.fit(BODY, "`baton approvals` and `baton status` on the orchestrator's machine show all of it.");
    let person = frame.person.strip_prefix("email:").unwrap_or(&frame.person);
    let mut foot = format!("Sent by Baton ({})", text::plain(&frame.address, 120));
    if !person.is_empty() {
        foot.push_str(&format!(" to {}", text::plain(person, 120)));
    }
    foot.push('.');
    if sheet.quiet_link.is_none() {
        sheet.quiet_link.clone_from(&frame.quiet_link);
    }
    sheet.foot.push(foot);
    Content { text: draw::text(&sheet), html: draw::html(&sheet), subject: sheet.subject, attachments }
}

/// The story without the secrets that are known by heart; `None` if it does not survive that.
fn hidden(story: &Story, known: &[String]) -> Option<Story> {
    if known.is_empty() {
        return Some(story.clone());
    }
    let words = |text: &String| secrets::without(text, known);
    Some(match story {
        Story::Started { project, left_out } => {
            Story::Started { project: without(project, known)?, left_out: left_out.iter().map(words).collect() }
        }
        Story::Request { approval, project, diff, reminder } => Story::Request {
            approval: without(approval, known)?,
            project: without(project, known)?,
            diff: without(diff, known)?,
            reminder: *reminder,
        },
        Story::Outcome { approval } => Story::Outcome { approval: without(approval, known)? },
        Story::AskBack { approval, why } => Story::AskBack { approval: without(approval, known)?, why: words(why) },
        Story::Refused { what, why, hint } => {
            Story::Refused { what: words(what), why: words(why), hint: hint.as_ref().map(words) }
        }
        Story::Done { said } => Story::Done { said: words(said) },
        Story::Status { project } => Story::Status { project: without(project, known)? },
        Story::Result { project, diff } => {
            Story::Result { project: without(project, known)?, diff: without(diff, known)? }
        }
        Story::Digest { news } => Story::Digest { news: without(news, known)? },
    })
}

fn without<T: Serialize + DeserializeOwned>(value: &T, known: &[String]) -> Option<T> {
    secrets::hide(value, known).ok()
}

#[cfg(test)]
pub(super) mod tests;
