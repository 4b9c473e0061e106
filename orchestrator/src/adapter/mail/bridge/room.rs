//! What the API shows of mail. Holds the store and not the bridge: the orchestrator keeps it for as long as it lives.

use std::sync::{Arc, Weak};

use bus_schemas::v1::api::{self, LetterQuery, LetterState, LetterView, MailView, MailboxState, MailboxView, OutView};
use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::sync::watch;

use super::core::{Bridge, Core};
use crate::{
    adapter::mail::{Desk, InMail, InState, LetterFilter, OutKind, OutMail, OutState, imap::ImapState},
    mail::letter::Source,
    port::{
        Clock,
        mail::{MailError, MailRoom},
    },
};

/// The most one answer holds.
const MOST: u32 = 1000;
/// Digits of a whole id.
const DIGITS: usize = 64;
/// Mails among which the beginning of an id is looked for, the newest first.
const LOOKED_THROUGH: u32 = 20_000;

/// The store as the API sees it.
pub struct Room<D> {
    desk: D,
    clock: Arc<dyn Clock>,
    address: String,
    mailbox: Option<watch::Receiver<ImapState>>,
    /// Tells the bridge, if there still is one, that a mail was released.
    bell: Box<dyn Fn() + Send + Sync>,
}

impl<D> std::fmt::Debug for Room<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Room").finish_non_exhaustive()
    }
}

impl<S, D, V, T> Bridge<S, D, V, T>
where
    S: Send + Sync + 'static,
    D: Desk,
    V: Send + Sync + 'static,
    T: Send + Sync + 'static,
{
    /// What the API shows of this bridge's mail; `mailbox` says how the mailbox is, if there is one.
    #[must_use]
    pub fn room(&self, mailbox: Option<watch::Receiver<ImapState>>) -> Room<D> {
        let core: Weak<Core<S, D, V, T>> = Arc::downgrade(&self.0);
        let bell = move || {
            if let Some(core) = core.upgrade() {
                Bridge(core).ring();
            }
        };
        Room {
            desk: self.0.world.desk.clone(),
            clock: Arc::clone(&self.0.world.clock),
            address: self.address().to_owned(),
            mailbox,
            bell: Box::new(bell),
        }
    }
}

impl<D: Desk> Room<D> {
    /// The mail that is meant.
    async fn find(&self, written: &str) -> Result<InMail, MailError> {
        let id = written.trim().to_ascii_lowercase();
        let missing = || MailError::NotFound(written.to_owned());
        if id.is_empty() || !id.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(missing());
        }
        if id.len() >= DIGITS {
            return self.desk.letter(&id).await?.ok_or_else(missing);
        }
        let all = self.desk.letters(LetterFilter { state: None, limit: LOOKED_THROUGH }).await?;
        let mut found = all.into_iter().filter(|mail| mail.id.starts_with(&id));
        match (found.next(), found.next()) {
            (Some(only), None) => Ok(only),
            (None, _) => Err(missing()),
            (Some(_), Some(_)) => Err(MailError::Ambiguous(written.to_owned())),
        }
    }

    async fn judge(&self, written: &str, state: InState, by: &str) -> Result<LetterView, MailError> {
        let mail = self.find(written).await?;
        let is_judged = self.desk.judge(&mail.id, state, by, self.clock.now()).await?;
        let now = self.desk.letter(&mail.id).await?.unwrap_or(mail);
        if !is_judged {
            return Err(MailError::NotQuarantined { is: became(&now), id: now.id });
        }
        tracing::info!(mail.id = now.id, by, state = ?now.verdict.state, "mail: an admin decided about one that was put aside");
        if state == InState::Released {
            (self.bell)();
        }
        Ok(letter(now))
    }
}

impl<D: Desk> MailRoom for Room<D> {
    fn view(&self) -> MailView {
        let mailbox = self.mailbox.as_ref().map(|told| mailbox(&told.borrow()));
        MailView { address: self.address.clone(), mailbox }
    }

    fn letters(&self, query: LetterQuery) -> BoxFuture<'_, Result<Vec<LetterView>, MailError>> {
        Box::pin(async move {
            let filter = LetterFilter { state: query.state.map(state_of), limit: limited(query.limit) };
            Ok(self.desk.letters(filter).await?.into_iter().map(letter).collect())
        })
    }

    fn letter<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<LetterView, MailError>> {
        Box::pin(async move { self.find(id).await.map(letter) })
    }

    fn text<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Bytes, MailError>> {
        Box::pin(async move {
            let mail = self.find(id).await?;
            let text = self.desk.text(&mail.id).await?;
            text.ok_or_else(|| MailError::Cleared { why: cleared(&mail), id: mail.id })
        })
    }

    fn release<'a>(&'a self, id: &'a str, by: &'a str) -> BoxFuture<'a, Result<LetterView, MailError>> {
        Box::pin(self.judge(id, InState::Released, by))
    }

    fn discard<'a>(&'a self, id: &'a str, by: &'a str) -> BoxFuture<'a, Result<LetterView, MailError>> {
        Box::pin(self.judge(id, InState::Dropped, by))
    }

    fn outbox(&self, limit: u32) -> BoxFuture<'_, Result<Vec<OutView>, MailError>> {
        Box::pin(async move { Ok(self.desk.outbox(limited(limit)).await?.into_iter().map(out).collect()) })
    }
}

fn mailbox(state: &ImapState) -> MailboxView {
    match state {
        ImapState::Starting => MailboxView::default(),
        ImapState::Open { .. } => MailboxView { state: MailboxState::Open, trouble: None },
        ImapState::Trouble(why) => MailboxView { state: MailboxState::Trouble, trouble: Some(why.clone()) },
    }
}

const fn limited(limit: u32) -> u32 {
    if limit == 0 || limit > MOST { MOST } else { limit }
}

/// What became of a mail that is not put aside.
fn became(mail: &InMail) -> String {
    let by = mail.by.as_deref().unwrap_or("an admin");
    match mail.verdict.state {
        InState::Kept => "it was not looked at yet".to_owned(),
        InState::Quarantined if mail.is_cleared => cleared(mail),
        InState::Quarantined => "it was put aside this moment".to_owned(),
        InState::Released => format!("{by} released it"),
        InState::Dropped => format!("{by} dropped it"),
        InState::Done if mail.verdict.outcome.is_empty() => "it was acted on".to_owned(),
        InState::Done => format!("it was acted on: {}", mail.verdict.outcome),
    }
}

/// Why a mail has no text any more.
fn cleared(mail: &InMail) -> String {
    match mail.verdict.outcome.rsplit_once("body dropped: ") {
        Some((_, why)) => why.to_owned(),
        None => "texts are removed 90 days after a mail was done".to_owned(),
    }
}

const fn state_of(state: LetterState) -> InState {
    match state {
        LetterState::Kept => InState::Kept,
        LetterState::Quarantined => InState::Quarantined,
        LetterState::Released => InState::Released,
        LetterState::Done => InState::Done,
        LetterState::Dropped => InState::Dropped,
    }
}

fn letter(mail: InMail) -> LetterView {
    let InMail { id, size, delivery, received_at, verdict, done_at, by, .. } = mail;
    LetterView {
        id,
        source: match delivery.source {
            Source::Imap => "imap",
            Source::Postmark => "postmark",
            Source::Mailgun => "mailgun",
            Source::Sendgrid => "sendgrid",
            Source::Ses => "ses",
        }
        .to_owned(),
        received_at,
        size_bytes: size,
        state: match verdict.state {
            InState::Kept => LetterState::Kept,
            InState::Quarantined => LetterState::Quarantined,
            InState::Released => LetterState::Released,
            InState::Done => LetterState::Done,
            InState::Dropped => LetterState::Dropped,
        },
        outcome: verdict.outcome,
        from: verdict.from,
        person: verdict.person,
        subject: verdict.subject,
        message_id: verdict.message_id,
        project_id: verdict.project_id,
        trusted: verdict.trusted,
        mail_from: delivery.mail_from,
        rcpt_to: delivery.rcpt_to,
        by,
        done_at,
    }
}

/// A mail of ours, as the API shows it. Its id is not shown with the key, so no token can be made of it.
fn out(mail: OutMail) -> OutView {
    let state = match mail.state {
        OutState::Queued => api::OutState::Queued,
        OutState::Sent => api::OutState::Sent,
        OutState::Failed => api::OutState::Failed,
        OutState::Bounced => api::OutState::Bounced,
    };
    OutView {
        id: mail.id,
        name: mail.name,
        to: mail.to,
        person: mail.person,
        kind: match mail.kind {
            OutKind::Request => api::OutKind::Request,
            OutKind::Project => api::OutKind::Project,
            OutKind::Answer => api::OutKind::Answer,
        },
        project_id: mail.project_id,
        approval_id: mail.approval_id,
        message_id: mail.message_id,
        created_at: mail.created_at,
        state,
        tries: mail.tries,
        next_at: (state == api::OutState::Queued).then_some(mail.next_at),
        error: mail.error,
        used: mail.used,
    }
}

#[cfg(test)]
mod tests {
    use bus_schemas::time::UnixMs;

    use super::{super::memory::MemoryDesk, *};
    use crate::adapter::{clock::SystemClock, mail::Verdict};

    fn room(states: &[(char, InState)]) -> (Room<MemoryDesk>, Arc<std::sync::atomic::AtomicU32>) {
        let desk = MemoryDesk::default();
        for (at, (digit, state)) in states.iter().enumerate() {
            let verdict = Verdict { state: *state, outcome: "because".to_owned(), ..Verdict::default() };
            let id = digit.to_string().repeat(10) + &at.to_string().repeat(54);
            desk.put_letter(
                InMail { id, verdict, received_at: UnixMs(1), ..InMail::default() },
                "Subject: hello\r\n\r\nhi",
            );
        }
        let rung = Arc::new(std::sync::atomic::AtomicU32::new(0));
        let bell = Arc::clone(&rung);
        let ring = move || {
            bell.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        };
        let (address, clock) = ("baton@works.example".to_owned(), Arc::new(SystemClock));
        (Room { desk, clock, address, mailbox: None, bell: Box::new(ring) }, rung)
    }

    #[tokio::test]
    async fn a_mail_is_named_by_any_unique_beginning() {
        let (room, _) = room(&[('a', InState::Done), ('b', InState::Done), ('b', InState::Kept)]);
        assert_eq!(room.letter("AA").await.unwrap().state, LetterState::Done);
        assert!(matches!(room.letter("b").await, Err(MailError::Ambiguous(written)) if written == "b"));
        assert_eq!(room.letter("bbbbbbbbbb2").await.unwrap().state, LetterState::Kept);
        let whole = room.letter("a").await.unwrap().id;
        assert_eq!(room.letter(&whole).await.unwrap().id, whole);
        for missing in ["", "c", "../x", &"c".repeat(64), &"a".repeat(65)] {
            assert!(matches!(room.letter(missing).await, Err(MailError::NotFound(written)) if written == missing));
        }
        assert_eq!(room.text("a").await.unwrap(), "Subject: hello\r\n\r\nhi");
    }

    #[tokio::test]
    async fn only_what_is_put_aside_is_judged_and_only_once() {
        let (room, rung) = room(&[('a', InState::Quarantined), ('b', InState::Quarantined), ('c', InState::Done)]);
        let aside = LetterQuery { state: Some(LetterState::Quarantined), limit: 0 };
        assert_eq!(room.letters(aside.clone()).await.unwrap().len(), 2);
        let released = room.release("a", "ann").await.unwrap();
        assert_eq!((released.state, released.by.as_deref()), (LetterState::Released, Some("ann")));
        assert_eq!(rung.load(std::sync::atomic::Ordering::SeqCst), 1, "the bridge hears of it");
        assert_eq!(room.discard("b", "ann").await.unwrap().state, LetterState::Dropped);
        assert_eq!(rung.load(std::sync::atomic::Ordering::SeqCst), 1, "there is nothing to be done");
        assert_eq!(room.letters(aside).await.unwrap(), []);
        let again = room.release("b", "bob").await.unwrap_err().to_string();
        assert!(again.ends_with("is not in quarantine: ann dropped it"), "{again}");
        let done = room.discard("c", "bob").await.unwrap_err().to_string();
        assert!(done.ends_with("it was acted on: because"), "{done}");
    }

    #[tokio::test]
    async fn a_list_has_an_end() {
        assert_eq!([0, 1, 1000, 1001, u32::MAX].map(limited), [1000, 1, 1000, 1000, 1000]);
        let (room, _) = room(&[('a', InState::Done), ('b', InState::Done)]);
        assert_eq!(room.letters(LetterQuery { state: None, limit: 1 }).await.unwrap().len(), 1);
        assert_eq!(room.outbox(0).await.unwrap(), []);
    }
}
