//! A mail as it came, taken apart. Nothing in it is believed yet.

#[cfg(test)]
pub(crate) mod mutate;
mod read;
mod tame;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use bus_schemas::time::UnixMs;
use serde::{Deserialize, Serialize};

use super::reply::Reply;

pub use read::read;
pub(super) use tame::{tame, written};

/// Headers of which a mail has one at most (RFC 5322). With two of them, programs differ about which counts, and a signature
/// may cover the other one.
const SINGLE: [&str; 12] = [
    "from",
    "sender",
    "reply-to",
    "to",
    "cc",
    "subject",
    "date",
    "message-id",
    "in-reply-to",
    "references",
    "content-type",
    "mime-version",
];

/// Over which way a mail came in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Our mailbox.
    #[default]
    Imap,
    /// A webhook of Postmark.
    Postmark,
    /// A webhook of Mailgun.
    Mailgun,
    /// A webhook of SendGrid.
    Sendgrid,
    /// SES, told by SNS.
    Ses,
}

/// What is known about a mail's way beside its own text: said by who handed it to us, not by its sender.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Delivery {
    /// Over which way.
    pub source: Source,
    /// The envelope's sender; `Some("")` is the null return path.
    pub mail_from: Option<String>,
    /// The envelope's recipients.
    pub rcpt_to: Vec<String>,
    /// The address that handed it to the first server we believe.
    pub client_ip: Option<IpAddr>,
    /// What that one called itself.
    pub helo: Option<String>,
    /// It is no mail: we wrote it in place of one that the mailbox does not hand out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_stub: bool,
}

/// A mail address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Address {
    /// The name beside it. Anybody can write anything here.
    pub name: String,
    /// The address as it is compared: lower case, the domain in A-labels (`xn--…`).
    pub address: String,
}

/// A file that came with a mail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attachment {
    /// Its name, as the sender wrote it; empty if it has none.
    pub name: String,
    /// Its media type, as the sender wrote it: `application/pdf`.
    pub media_type: String,
    /// Its content, decoded.
    pub bytes: Vec<u8>,
    /// It is shown in the text (a picture of a signature, mostly).
    pub inline: bool,
}

/// A mail, taken apart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Letter {
    /// Its id, without angle brackets.
    pub message_id: Option<String>,
    /// The mails it answers, without angle brackets.
    pub in_reply_to: Vec<String>,
    /// The thread it is in, the oldest first.
    pub references: Vec<String>,
    /// Every address of every From line. One is right.
    pub from: Vec<Address>,
    /// Where its sender wants answers. Never followed.
    pub reply_to: Vec<Address>,
    /// To whom.
    pub to: Vec<Address>,
    /// And to whom else.
    pub cc: Vec<Address>,
    /// Addresses under which it was delivered, by its own headers (`Delivered-To`, `X-Original-To`, `Envelope-To`).
    pub delivered_to: Vec<String>,
    /// The return path, by its own header; `Some("")` is the null one.
    pub return_path: Option<String>,
    /// Its subject, decoded, on one line.
    pub subject: String,
    /// When it says it was written.
    pub date: Option<UnixMs>,
    /// What was written, quoted, signed and passed on.
    pub reply: Reply,
    /// The text its new part was read from, whole: what passes on a thread is found here.
    pub text: String,
    /// Its files.
    pub attachments: Vec<Attachment>,
    /// All its headers, decoded as far as that goes: name in lower case, value on one line.
    pub headers: Vec<(String, String)>,
    /// What is wrong with its form, as sentences.
    pub defects: Vec<String>,
}

impl Letter {
    /// The values of a header (its name in lower case), the topmost first.
    pub fn header<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The header that is there twice and must not be: what such a mail says depends on who reads it, so nothing is decided by
    /// it.
    #[must_use]
    pub fn doubled(&self) -> Option<&'static str> {
        SINGLE.into_iter().find(|name| self.header(name).nth(1).is_some())
    }

    /// Who wrote it, if it names one readable address.
    #[must_use]
    pub fn author(&self) -> Option<&str> {
        match self.from.as_slice() {
            [one] if !one.address.is_empty() => Some(&one.address),
            _ => None,
        }
    }
}
