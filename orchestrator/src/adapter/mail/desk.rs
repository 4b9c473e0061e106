//! What the mail bridge remembers: every mail that came in, every mail that is to go out.

use std::future::Future;

use bus_schemas::{
    id::{ApprovalId, ProjectId},
    time::UnixMs,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::story::News;
use crate::{mail::letter::Delivery, port::journal::JournalError};

/// What the store answers.
pub type Kept<T> = Result<T, JournalError>;

/// What became of a mail that came in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InState {
    /// Kept and not yet acted on.
    #[default]
    Kept,
    /// Put aside: not from somebody who may, or not surely from them. Nothing was done.
    Quarantined,
    /// An admin let it pass: acted on as if it were genuine, then done.
    Released,
    /// Acted on, or nothing to do (a machine's answer, a bounce).
    Done,
    /// An admin threw it away.
    Dropped,
}

/// Whose mail it is, as far as anybody vouches for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Somebody who may write, or nothing that counts against a limit.
    #[default]
    Known,
    /// Somebody who may not write, or nobody who can be read.
    Stranger,
    /// It says to be from somebody who may write, and that was not proven.
    Claims,
    /// It says so, too, and could not be checked: no name server answered.
    Unchecked,
}

/// What is known of a mail once it was looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// What became of it.
    pub state: InState,
    /// Why, for people: the reason of a quarantine, what was done.
    pub outcome: String,
    /// From.
    pub from: String,
    /// The person it counts as; empty if nobody.
    pub person: String,
    /// Subject.
    pub subject: String,
    /// Its id, without angle brackets.
    pub message_id: Option<String>,
    /// The project it began or is about.
    pub project_id: Option<ProjectId>,
    /// Its sender was genuine and may write. Only such mails count for rates and as seen.
    pub trusted: bool,
    /// Whose mail it is: of those nobody vouches for, only so many texts are kept.
    pub standing: Standing,
}

/// A mail that came in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InMail {
    /// Its id: the SHA-256 of it, in hex.
    pub id: String,
    /// Its size in bytes.
    pub size: u64,
    /// How it came.
    pub delivery: Delivery,
    /// When it came.
    pub received_at: UnixMs,
    /// What is known of it.
    pub verdict: Verdict,
    /// When that was known.
    pub done_at: Option<UnixMs>,
    /// The admin who released or dropped it.
    pub by: Option<String>,
    /// Its text was removed: it is old, or one too many of its kind.
    pub is_cleared: bool,
    /// Its place among all that came, from 1 on; it stays.
    pub place: i64,
    /// How often it could not be found out who wrote it.
    pub tries: u32,
}

/// Which mails.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LetterFilter {
    /// In this state only.
    pub state: Option<InState>,
    /// At most so many, the newest first; 0 for all.
    pub limit: u32,
}

/// How far a mailbox was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The mailbox's UIDVALIDITY.
    pub validity: u32,
    /// The last UID that was kept.
    pub uid: u32,
}

/// What a mail of ours is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutKind {
    /// It asks for a decision: an answer may decide.
    Request,
    /// About a project: an answer is a note.
    #[default]
    Project,
    /// It says what came of a mail; an answer is what that mail's answer would be.
    Answer,
}

/// How far a mail of ours is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
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

/// A mail of ours: written down, whole, before it is sent. What is sent again is the same to the byte.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutMail {
    /// Its id; tokens and the Message-ID are made of it.
    pub id: Uuid,
    /// What it is: `request:<approval>:<digest>`, `result:<project>`, `answer:<mail>` … Unique together with the recipient.
    pub name: String,
    /// To which address.
    pub to: String,
    /// To which person: a member's name, or `email:address`.
    pub person: String,
    /// What it is.
    pub kind: OutKind,
    /// About which project.
    pub project_id: Option<ProjectId>,
    /// About which request.
    pub approval_id: Option<ApprovalId>,
    /// The digest of what was shown: a decision by reply names it.
    pub digest: String,
    /// Without angle brackets.
    pub message_id: String,
    /// Written down.
    pub created_at: UnixMs,
    /// How far it is.
    pub state: OutState,
    /// How often it was tried.
    pub tries: u32,
    /// When it is tried next.
    pub next_at: UnixMs,
    /// The last trouble.
    pub error: Option<String>,
    /// What came of the link in it, once it was used.
    pub used: Option<String>,
}

/// The text of a mail of ours, whole.
pub type OutText = Bytes;

/// The thread of a project's mails with one person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Thread {
    /// Its subject, without `Re:`.
    pub subject: String,
    /// The ids of its mails, the oldest first; the first and the last few are enough. Without angle brackets.
    pub references: Vec<String>,
    /// They want no news of it.
    pub is_quiet: bool,
    /// The project began with a mail of this person.
    pub is_start: bool,
}

/// What the bridge needs of its store. Every change is durable when it returns.
pub trait Desk: Clone + Send + Sync + 'static {
    /// The key tokens are signed with, made at the first start.
    fn key(&self) -> impl Future<Output = Kept<[u8; 32]>> + Send;

    // What comes in.

    /// Keeps a mail before anything is done with it. The flag says it is new; one that is known changes nothing.
    fn keep(&self, raw: Bytes, delivery: Delivery, at: UnixMs) -> impl Future<Output = Kept<(InMail, bool)>> + Send;
    /// Keeps the mails of a mailbox, and how far it is read now, in one step.
    fn keep_all(
        &self,
        mailbox: &str,
        mails: Vec<(Bytes, Delivery)>,
        position: Position,
        at: UnixMs,
    ) -> impl Future<Output = Kept<Vec<InMail>>> + Send;
    /// How far a mailbox was read.
    fn position(&self, mailbox: &str) -> impl Future<Output = Kept<Option<Position>>> + Send;
    /// A mail's text, whole.
    fn text(&self, id: &str) -> impl Future<Output = Kept<Option<Bytes>>> + Send;
    /// The beginning of a mail's text, at most so many bytes; whether it is what was kept is not looked at.
    fn head(&self, id: &str, most: usize) -> impl Future<Output = Kept<Option<Bytes>>> + Send {
        async move { Ok(self.text(id).await?.map(|text| text.slice(..text.len().min(most)))) }
    }
    /// A mail.
    fn letter(&self, id: &str) -> impl Future<Output = Kept<Option<InMail>>> + Send;
    /// Mails, the newest first.
    fn letters(&self, filter: LetterFilter) -> impl Future<Output = Kept<Vec<InMail>>> + Send;
    /// What is kept or released and not acted on, behind a place, the oldest first, at most so many.
    fn unfinished(&self, behind: i64, most: u32) -> impl Future<Output = Kept<Vec<InMail>>> + Send;
    /// It could not be found out who wrote a mail, so often, and why the last time.
    fn set_tries(&self, id: &str, tries: u32, why: &str) -> impl Future<Output = Kept<()>> + Send;
    /// What became of a mail.
    fn finish(&self, id: &str, verdict: Verdict, at: UnixMs) -> impl Future<Output = Kept<()>> + Send;
    /// An admin lets a quarantined mail pass, or throws it away; `false` if it is not quarantined.
    fn judge(&self, id: &str, state: InState, by: &str, at: UnixMs) -> impl Future<Output = Kept<bool>> + Send;
    /// A trusted mail with this id that was acted on before, other than `but`.
    fn seen(&self, message_id: &str, but: &str) -> impl Future<Output = Kept<Option<InMail>>> + Send;
    /// How many trusted mails came since an instant, of one person or of all.
    fn count(&self, person: Option<&str>, since: UnixMs) -> impl Future<Output = Kept<u32>> + Send;

    // What goes out.

    /// Writes a mail of ours down, whole, to be sent. `false` if one of that name to that recipient is there.
    fn intend(&self, mail: OutMail, text: OutText) -> impl Future<Output = Kept<bool>> + Send;
    /// What is to be sent now, the oldest first, at most so many.
    fn due(&self, now: UnixMs, limit: u32) -> impl Future<Output = Kept<Vec<OutMail>>> + Send;
    /// When the next mail is due.
    fn next_due(&self) -> impl Future<Output = Kept<Option<UnixMs>>> + Send;
    /// A mail of ours, as it is to be sent.
    fn out_text(&self, id: Uuid) -> impl Future<Output = Kept<Option<OutText>>> + Send;
    /// How far it is now: state, tries, next time, trouble.
    fn set_out(&self, mail: OutMail) -> impl Future<Output = Kept<()>> + Send;
    /// Its link was used: `false` if it was before.
    fn use_link(&self, id: Uuid, outcome: &str) -> impl Future<Output = Kept<bool>> + Send;
    /// A mail of ours.
    fn out(&self, id: Uuid) -> impl Future<Output = Kept<Option<OutMail>>> + Send;
    /// The mail of ours with one of these ids (without angle brackets).
    fn out_by_message_id(&self, ids: &[String]) -> impl Future<Output = Kept<Option<OutMail>>> + Send;
    /// The mails of ours whose name begins so.
    fn out_named(&self, prefix: &str) -> impl Future<Output = Kept<Vec<OutMail>>> + Send;
    /// The mails of ours that ask about a request, the oldest first: the request itself, reminders, what was asked back.
    fn asks(&self, approval_id: ApprovalId) -> impl Future<Output = Kept<Vec<OutMail>>> + Send;
    /// Mails of ours, the newest first, at most so many.
    fn outbox(&self, limit: u32) -> impl Future<Output = Kept<Vec<OutMail>>> + Send;
    /// The newest mail of ours to a person at an address that waits for nothing any more: it went, or failed, or came back.
    fn newest_to(&self, person: &str, address: &str) -> impl Future<Output = Kept<Option<OutMail>>> + Send;
    /// How many mails went to a person about a project (`None`: about none) since an instant.
    fn sent_since(
        &self,
        person: &str,
        project_id: Option<ProjectId>,
        since: UnixMs,
    ) -> impl Future<Output = Kept<u32>> + Send;
    /// The thread of a project with a person.
    fn thread(&self, project_id: ProjectId, person: &str) -> impl Future<Output = Kept<Option<Thread>>> + Send;
    /// Changes it.
    fn set_thread(&self, project_id: ProjectId, person: &str, thread: Thread) -> impl Future<Output = Kept<()>> + Send;
    /// Who has a thread about a project.
    fn threads(&self, project_id: ProjectId) -> impl Future<Output = Kept<Vec<(String, Thread)>>> + Send;
    /// Keeps a piece of news for a person's next digest.
    fn gather(&self, person: &str, project_id: ProjectId, news: News) -> impl Future<Output = Kept<()>> + Send;
    /// The people with news that are older than an instant.
    fn gathered(&self, before: UnixMs) -> impl Future<Output = Kept<Vec<String>>> + Send;
    /// A person's news, taken by the mail that carries them: written down and forgotten in one step.
    fn news(&self, person: &str) -> impl Future<Output = Kept<Vec<(ProjectId, News)>>> + Send;
    /// Writes down the digest mail and forgets the news up to (and with) an instant.
    fn intend_digest(
        &self,
        mail: OutMail,
        text: OutText,
        person: &str,
        until: UnixMs,
    ) -> impl Future<Output = Kept<()>> + Send;
    /// Forgets a person's news up to (and with) an instant: they want none.
    fn forget_news(&self, person: &str, until: UnixMs) -> impl Future<Output = Kept<()>> + Send;
    /// How far the feed was read.
    fn feed_position(&self) -> impl Future<Output = Kept<u64>> + Send;
    /// The feed was read so far.
    fn set_feed_position(&self, sequence: u64) -> impl Future<Output = Kept<()>> + Send;
    /// Clears the texts of what was finished before an instant. The mails themselves stay known.
    fn tidy(&self, before: UnixMs) -> impl Future<Output = Kept<()>> + Send;
}
