//! A mail's content and its headers as a mail: text and HTML beside each other, files behind them. Whatever names and subjects hold,
//! no line is longer than a server takes and none becomes a header. The same content and headers give the same mail, to the byte.

use std::time::{Duration, UNIX_EPOCH};

use bus_schemas::time::UnixMs;
use lettre::{
    Address,
    message::{
        Mailbox, Mailboxes, MultiPart, SinglePart,
        header::{
            ContentDisposition, ContentTransferEncoding, ContentType, Date, From, HeaderName, HeaderValue, Headers,
            ReplyTo, Subject, To,
        },
    },
};

use super::view::Content;
use crate::digest;

/// A subject, a name beside an address.
const SUBJECT: usize = 200;
const NAME: usize = 80;
/// A name of a file.
const FILE: usize = 120;
/// The longest id of a mail that is named; longer ones fit into no line.
const ID: usize = 250;
/// Ids of a thread that are named: the first and the last ones.
const REFERENCES: usize = 20;
/// The last instant that can be written (the year 9999).
const LAST_MS: i64 = 253_402_300_799_000;

/// Why a mail goes out (RFC 3834): programs do not answer either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Auto {
    /// Of ourselves.
    #[default]
    Generated,
    /// As an answer to a mail.
    Replied,
}

/// What stands above a mail. Ids are without angle brackets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heads {
    /// The name beside our address, and our address.
    pub from: (String, String),
    /// To whom.
    pub to: String,
    /// Where answers go: our address with a token.
    pub reply_to: Option<String>,
    /// Its id.
    pub message_id: String,
    /// The mail it answers.
    pub in_reply_to: Option<String>,
    /// The thread it is in, the oldest first.
    pub references: Vec<String>,
    /// Why it goes out.
    pub auto: Auto,
    /// Where one asks for no more of them: an address, and a page that does it with one POST (RFC 8058).
    pub list_unsubscribe: Option<(String, Option<String>)>,
    /// When it was written.
    pub date: UnixMs,
}

/// The whole mail.
#[must_use]
pub fn build(content: &Content, heads: &Heads) -> Vec<u8> {
    let mut mail = headers(content, heads).to_string().into_bytes();
    // Nobody who writes a text knows the id beforehand, so no text has the boundary in it.
    let seed = digest::of_bytes(heads.message_id.as_bytes());
    let boundary = |number: u32| format!("baton-{}-{number}", seed.get(..40).unwrap_or_default());
    let text = part(ContentType::TEXT_PLAIN, &content.text);
    let html = part(ContentType::TEXT_HTML, &content.html);
    let both = MultiPart::alternative().boundary(boundary(1)).singlepart(text).singlepart(html);
    let whole = if content.attachments.is_empty() {
        both
    } else {
        let mixed = MultiPart::mixed().boundary(boundary(2)).multipart(both);
        content.attachments.iter().fold(mixed, |mixed, (name, media_type, bytes)| {
            mixed.singlepart(
                SinglePart::builder()
                    .header(ContentType::parse(media_type).unwrap_or(ContentType::TEXT_PLAIN))
                    .header(ContentDisposition::attachment(&file_name(name)))
                    .header(ContentTransferEncoding::Base64)
                    .body(bytes.clone()),
            )
        })
    };
    mail.extend(whole.formatted());
    mail
}

fn part(kind: ContentType, text: &str) -> SinglePart {
    let text = text.replace("\r\n", "\n").replace('\r', "\n").replace('\n', "\r\n");
    SinglePart::builder().header(kind).header(ContentTransferEncoding::QuotedPrintable).body(text)
}

fn headers(content: &Content, heads: &Heads) -> Headers {
    let mut headers = Headers::new();
    let at = Duration::from_millis(u64::try_from(heads.date.0.clamp(0, LAST_MS)).unwrap_or(0));
    headers.set(Date::new(UNIX_EPOCH + at));
    match mailbox(&heads.from.0, &heads.from.1) {
        Some(from) => headers.set(From::from(Mailboxes::from(from))),
        None => insert(&mut headers, HeaderName::new_from_ascii_str("From"), bare(&heads.from.1)),
    }
    match mailbox("", &heads.to) {
        Some(to) => headers.set(To::from(Mailboxes::from(to))),
        None => insert(&mut headers, HeaderName::new_from_ascii_str("To"), bare(&heads.to)),
    }
    if let Some(reply_to) = heads.reply_to.as_deref().and_then(|reply_to| mailbox(&heads.from.0, reply_to)) {
        headers.set(ReplyTo::from(Mailboxes::from(reply_to)));
    }
    headers.set(Subject::from(one_line(&content.subject, SUBJECT)));
    let mut add = |name: &'static str, value: String| {
        insert(&mut headers, HeaderName::new_from_ascii_str(name), value);
    };
    if let Some(id) = id(&heads.message_id) {
        add("Message-ID", id);
    }
    if let Some(id) = heads.in_reply_to.as_deref().and_then(id) {
        add("In-Reply-To", id);
    }
    let references: Vec<String> = heads.references.iter().filter_map(|reference| id(reference)).collect();
    if let Some(first) = references.first() {
        let rest = references.iter().skip(1.max(references.len().saturating_sub(REFERENCES - 1)));
        // One to a line: none of them may be broken.
        add("References", rest.fold(first.clone(), |all, one| format!("{all}\r\n {one}")));
    }
    let auto = match heads.auto {
        Auto::Generated => "auto-generated",
        Auto::Replied => "auto-replied",
    };
    add("Auto-Submitted", auto.to_owned());
    // Bounces are wanted, notes of absence are not.
    add("X-Auto-Response-Suppress", "OOF, AutoReply".to_owned());
    if let Some((address, page)) = &heads.list_unsubscribe {
        let address = bare(address);
        let mail = if address.starts_with("mailto:") { format!("<{address}>") } else { format!("<mailto:{address}>") };
        let page = page.as_deref().map(bare).filter(|page| page.starts_with("https://"));
        match page {
            Some(page) => {
                add("List-Unsubscribe", format!("{mail},\r\n <{page}>"));
                add("List-Unsubscribe-Post", "List-Unsubscribe=One-Click".to_owned());
            }
            None => add("List-Unsubscribe", mail),
        }
    }
    add("MIME-Version", "1.0".to_owned());
    headers
}

/// For values that are letters of ASCII already, and broken where they may be.
fn insert(headers: &mut Headers, name: HeaderName, value: String) {
    headers.insert_raw(HeaderValue::dangerous_new_pre_encoded(name, value.clone(), value));
}

fn mailbox(name: &str, address: &str) -> Option<Mailbox> {
    let address: Address = address.trim().parse().ok().filter(|_| address.is_ascii() && address.len() <= ID)?;
    let name = one_line(name, NAME);
    Some(Mailbox::new((!name.is_empty()).then_some(name), address))
}

/// An id in its angle brackets, if it can stand in a header.
fn id(id: &str) -> Option<String> {
    let id = id.trim().trim_start_matches('<').trim_end_matches('>');
    let sound = !id.is_empty()
        && id.len() <= ID
        && id.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b',' | b'"'));
    sound.then(|| format!("<{id}>"))
}

/// What of an address or a link can stand in a header as it is.
fn bare(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic() && !matches!(c, '<' | '>' | ',' | '"')).take(ID * 2).collect()
}

/// One line without what steers, at most so long.
fn one_line(text: &str, max: usize) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(4 * max).collect();
    // What looks encoded would be decoded by readers, into letters nobody looked at.
    let plain = plain.replace("=?", "= ?");
    let line = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= max { line } else { line.chars().take(max - 1).chain(['…']).collect() }
}

/// A file's name without folders.
fn file_name(name: &str) -> String {
    let name: String = one_line(name, FILE).chars().filter(|c| !matches!(c, '/' | '\\' | '"')).collect();
    if name.trim_matches(['.', ' ']).is_empty() { "file".to_owned() } else { name }
}

#[cfg(test)]
mod tests;
