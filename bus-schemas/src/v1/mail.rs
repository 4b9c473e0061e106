//! What the HTTP API says about mail: what came in and what became of it, what went out.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    id::{ApprovalId, ProjectId},
    time::UnixMs,
};

/// How mail is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MailView {
    /// Our address.
    pub address: String,
    /// The mailbox; none where mail comes in over webhooks only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mailbox: Option<MailboxView>,
}

/// How our mailbox is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MailboxView {
    /// Whether it is read.
    pub state: MailboxState,
    /// Why it is not read, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// Whether our mailbox is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum MailboxState {
    /// It was not reached yet.
    #[default]
    Starting,
    /// It is.
    Open,
    /// It is not; that is tried again and again.
    Trouble,
}

/// What became of a mail that came in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LetterState {
    /// Kept and not yet acted on.
    #[default]
    Kept,
    /// Put aside: not from somebody who may write, or not surely from them. Nothing was done.
    Quarantined,
    /// An admin let it pass; it is acted on next.
    Released,
    /// Acted on, or nothing to do (a machine's answer, a bounce).
    Done,
    /// An admin threw it away.
    Dropped,
}

/// A mail that came in. Sender, subject and everything else of its text is what its sender wrote: untrusted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LetterView {
    /// Its id: the SHA-256 of it, in hex.
    pub id: String,
    /// How it came: `imap`, `postmark`, `mailgun`, `sendgrid`, `ses`.
    pub source: String,
    /// When it came.
    pub received_at: UnixMs,
    /// Its size.
    pub size_bytes: u64,
    /// What became of it.
    pub state: LetterState,
    /// Why, for people: the reason it was put aside, or what was done.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub outcome: String,
    /// The address of its From line; empty before it was looked at.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub from: String,
    /// The person it counts as; empty if nobody.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub person: String,
    /// Its subject.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// Its Message-ID, without angle brackets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// The project it began or is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<ProjectId>,
    /// Its sender was genuine and may write.
    #[serde(default)]
    pub trusted: bool,
    /// The envelope's sender, if it is known; empty for the null return path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail_from: Option<String>,
    /// The envelope's recipients, as far as they are known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rcpt_to: Vec<String>,
    /// The admin who released or dropped it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When it was done with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done_at: Option<UnixMs>,
}

/// Which mails that came in, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LetterQuery {
    /// In this state only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<LetterState>,
    /// At most so many; 0 for as many as one answer holds.
    #[serde(default)]
    pub limit: u32,
}

/// An admin decides about a mail that was put aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LetterRequest {
    /// Who.
    pub by: String,
    /// Over which channel.
    pub channel: String,
}

/// What a mail of ours is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum OutKind {
    /// It asks for a decision.
    Request,
    /// It is about a project.
    #[default]
    Project,
    /// It says what came of a mail.
    Answer,
}

/// How far a mail of ours is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum OutState {
    /// To be sent, or sent again.
    #[default]
    Queued,
    /// Handed to a server, which took it.
    Sent,
    /// No server takes it.
    Failed,
    /// It came back.
    Bounced,
}

/// A mail of ours.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OutView {
    /// Its id.
    pub id: Uuid,
    /// What it is, as a name: `request:<approval>:<digest>`, `result:<project>`, `answer:<mail>`.
    pub name: String,
    /// To which address.
    pub to: String,
    /// To which person.
    pub person: String,
    /// What it is.
    pub kind: OutKind,
    /// The project it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<ProjectId>,
    /// The request it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval_id: Option<ApprovalId>,
    /// Its Message-ID, without angle brackets.
    pub message_id: String,
    /// When it was written down.
    pub created_at: UnixMs,
    /// How far it is.
    pub state: OutState,
    /// How often it was tried.
    pub tries: u32,
    /// When it is tried next, while it is queued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<UnixMs>,
    /// The last trouble.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What came of the link in it, once it was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<String>,
}
