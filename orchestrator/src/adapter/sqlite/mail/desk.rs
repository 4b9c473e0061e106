//! The bridge's port over the store.

use bus_schemas::{
    id::{ApprovalId, ProjectId},
    time::UnixMs,
};
use bytes::Bytes;
use uuid::Uuid;

use super::{MailStore, advance, cursor, key, letters, outgoing, threads};
use crate::{
    adapter::mail::{
        Desk, InMail, InState, Kept, LetterFilter, News, OutMail, OutText, Position, Standing, Thread, Verdict,
    },
    digest,
    mail::letter::Delivery,
    port::journal::JournalError,
};

/// Texts that are cleared at once: between two such steps others get their turn.
const CLEARED: u32 = 500;

/// A mail as it came, with its text.
async fn taken(raw: Bytes, delivery: Delivery, at: UnixMs) -> Kept<(InMail, Bytes)> {
    let size = u64::try_from(raw.len()).unwrap_or(u64::MAX);
    let (id, raw) = digested("keep a mail", raw).await?;
    Ok((InMail { id, size, delivery, received_at: at, ..InMail::default() }, raw))
}

/// The SHA-256 of a text; a large one is not to hold others up.
async fn digested(operation: &'static str, raw: Bytes) -> Kept<(String, Bytes)> {
    const SMALL: usize = 256 * 1024;
    if raw.len() <= SMALL {
        return Ok((digest::of_bytes(&raw), raw));
    }
    tokio::task::spawn_blocking(move || (digest::of_bytes(&raw), raw))
        .await
        .map_err(|error| JournalError::Store { operation, detail: error.to_string() })
}

impl Desk for MailStore {
    async fn key(&self) -> Kept<[u8; 32]> {
        const OPERATION: &str = "make the key of mail's tokens";
        let mut fresh = [0; 32];
        getrandom::fill(&mut fresh)
            .map_err(|error| JournalError::Store { operation: OPERATION, detail: error.to_string() })?;
        self.run(OPERATION, move |connection| key(connection, fresh)).await
    }

    async fn keep(&self, raw: Bytes, delivery: Delivery, at: UnixMs) -> Kept<(InMail, bool)> {
        let (mail, raw) = taken(raw, delivery, at).await?;
        let id = mail.id.clone();
        if let Some(known) = self.letter(&id).await? {
            return Ok((known, false));
        }
        self.texts.put("keep a mail's text", vec![(id, raw)]).await?;
        self.run("keep a mail", move |connection| {
            let is_new = letters::add(connection, &mail)?;
            // Another may have kept the same mail meanwhile.
            Ok((letters::one(connection, &mail.id)?.unwrap_or(mail), is_new))
        })
        .await
    }

    async fn keep_all(
        &self,
        mailbox: &str,
        mails: Vec<(Bytes, Delivery)>,
        position: Position,
        at: UnixMs,
    ) -> Kept<Vec<InMail>> {
        let mut fresh = Vec::with_capacity(mails.len());
        let mut texts = Vec::with_capacity(mails.len());
        for (raw, delivery) in mails {
            let (mail, raw) = taken(raw, delivery, at).await?;
            if self.letter(&mail.id).await?.is_none() {
                texts.push((mail.id.clone(), raw));
            }
            fresh.push(mail);
        }
        self.texts.put("keep a mail's text", texts).await?;
        let mailbox = mailbox.to_owned();
        self.run("keep the mails of a mailbox", move |connection| {
            let mut kept = Vec::with_capacity(fresh.len());
            for mail in fresh {
                letters::add(connection, &mail)?;
                kept.push(letters::one(connection, &mail.id)?.unwrap_or(mail));
            }
            letters::set_position(connection, &mailbox, position)?;
            Ok(kept)
        })
        .await
    }

    async fn position(&self, mailbox: &str) -> Kept<Option<Position>> {
        let mailbox = mailbox.to_owned();
        self.run("read how far a mailbox was read", move |connection| letters::position(connection, &mailbox)).await
    }

    async fn text(&self, id: &str) -> Kept<Option<Bytes>> {
        let owned = id.to_owned();
        let cleared = self.run("look up a mail", move |connection| letters::is_cleared(connection, &owned)).await?;
        match cleared {
            Some(false) => self.texts.get("read a mail's text", id.to_owned()).await.map(Some),
            Some(true) | None => Ok(None),
        }
    }

    async fn head(&self, id: &str, most: usize) -> Kept<Option<Bytes>> {
        self.texts.head("read a mail's beginning", id.to_owned(), most).await
    }

    async fn letter(&self, id: &str) -> Kept<Option<InMail>> {
        let id = id.to_owned();
        self.run("look up a mail", move |connection| letters::one(connection, &id)).await
    }

    async fn letters(&self, filter: LetterFilter) -> Kept<Vec<InMail>> {
        self.run("list mails", move |connection| letters::list(connection, &filter)).await
    }

    async fn unfinished(&self, behind: i64, most: u32) -> Kept<Vec<InMail>> {
        self.run("list unfinished mails", move |connection| letters::unfinished(connection, behind, most)).await
    }

    async fn set_tries(&self, id: &str, tries: u32, why: &str) -> Kept<()> {
        let (id, why) = (id.to_owned(), why.to_owned());
        self.run("mark a mail", move |connection| letters::set_tries(connection, &id, tries, &why)).await
    }

    async fn finish(&self, id: &str, verdict: Verdict, at: UnixMs) -> Kept<()> {
        let id = id.to_owned();
        let has_limits = verdict.standing != Standing::Known;
        self.run("finish a mail", move |connection| letters::finish(connection, &id, &verdict, at)).await?;
        if has_limits {
            self.make_room().await;
        }
        Ok(())
    }

    async fn judge(&self, id: &str, state: InState, by: &str, at: UnixMs) -> Kept<bool> {
        let (id, by) = (id.to_owned(), by.to_owned());
        let judged =
            self.run("judge a mail", move |connection| letters::judge(connection, &id, state, &by, at)).await?;
        if judged && state == InState::Dropped {
            self.make_room().await;
        }
        Ok(judged)
    }

    async fn seen(&self, message_id: &str, but: &str) -> Kept<Option<InMail>> {
        let (message_id, but) = (message_id.to_owned(), but.to_owned());
        self.run("look for a mail that was seen", move |connection| letters::seen(connection, &message_id, &but)).await
    }

    async fn count(&self, person: Option<&str>, since: UnixMs) -> Kept<u32> {
        let person = person.map(str::to_owned);
        self.run("count mails", move |connection| letters::count(connection, person.as_deref(), since)).await
    }

    async fn intend(&self, mail: OutMail, text: OutText) -> Kept<bool> {
        let (name, to) = (mail.name.clone(), mail.to.clone());
        if self.run("look for a mail of ours", move |connection| outgoing::is_there(connection, &name, &to)).await? {
            return Ok(false);
        }
        let (sha256, text) = digested("write a mail down", text).await?;
        self.texts.put("write a mail's text down", vec![(sha256.clone(), text)]).await?;
        self.run("write a mail down", move |connection| outgoing::add(connection, &mail, &sha256)).await
    }

    async fn due(&self, now: UnixMs, limit: u32) -> Kept<Vec<OutMail>> {
        self.run("list mails that are due", move |connection| outgoing::due(connection, now, limit)).await
    }

    async fn next_due(&self) -> Kept<Option<UnixMs>> {
        self.run("read when a mail is due", outgoing::next_due).await
    }

    async fn out_text(&self, id: Uuid) -> Kept<Option<OutText>> {
        let sha256 = self.run("look up a mail of ours", move |connection| outgoing::sha256(connection, id)).await?;
        match sha256 {
            Some(sha256) => self.texts.get("read the text of a mail of ours", sha256).await.map(Some),
            None => Ok(None),
        }
    }

    async fn set_out(&self, mail: OutMail) -> Kept<()> {
        self.run("mark a mail of ours", move |connection| outgoing::set(connection, &mail)).await
    }

    async fn use_link(&self, id: Uuid, outcome: &str) -> Kept<bool> {
        let outcome = outcome.to_owned();
        self.run("use a link", move |connection| outgoing::use_link(connection, id, &outcome)).await
    }

    async fn out(&self, id: Uuid) -> Kept<Option<OutMail>> {
        self.run("look up a mail of ours", move |connection| outgoing::one(connection, id)).await
    }

    async fn out_by_message_id(&self, ids: &[String]) -> Kept<Option<OutMail>> {
        let ids = ids.to_vec();
        self.run("look for the mail that is answered", move |connection| outgoing::by_message_id(connection, &ids))
            .await
    }

    async fn out_named(&self, prefix: &str) -> Kept<Vec<OutMail>> {
        let prefix = prefix.to_owned();
        self.run("list mails of ours", move |connection| outgoing::named(connection, &prefix)).await
    }

    async fn asks(&self, approval_id: ApprovalId) -> Kept<Vec<OutMail>> {
        self.run("list mails that ask", move |connection| outgoing::asks(connection, approval_id)).await
    }

    async fn outbox(&self, limit: u32) -> Kept<Vec<OutMail>> {
        self.run("list mails of ours", move |connection| outgoing::newest(connection, limit)).await
    }

    async fn newest_to(&self, person: &str, address: &str) -> Kept<Option<OutMail>> {
        let (person, address) = (person.to_owned(), address.to_owned());
        self.run("look for the newest mail to somebody", move |connection| {
            outgoing::newest_to(connection, &person, &address)
        })
        .await
    }

    async fn sent_since(&self, person: &str, project_id: Option<ProjectId>, since: UnixMs) -> Kept<u32> {
        let person = person.to_owned();
        self.run("count mails of ours", move |connection| outgoing::sent_since(connection, &person, project_id, since))
            .await
    }

    async fn thread(&self, project_id: ProjectId, person: &str) -> Kept<Option<Thread>> {
        let person = person.to_owned();
        self.run("read a thread", move |connection| threads::one(connection, project_id, &person)).await
    }

    async fn set_thread(&self, project_id: ProjectId, person: &str, thread: Thread) -> Kept<()> {
        let person = person.to_owned();
        self.run("mark a thread", move |connection| threads::set(connection, project_id, &person, &thread)).await
    }

    async fn threads(&self, project_id: ProjectId) -> Kept<Vec<(String, Thread)>> {
        self.run("read threads", move |connection| threads::all(connection, project_id)).await
    }

    async fn gather(&self, person: &str, project_id: ProjectId, news: News) -> Kept<()> {
        let person = person.to_owned();
        self.run("keep news", move |connection| threads::gather(connection, &person, project_id, &news)).await
    }

    async fn gathered(&self, before: UnixMs) -> Kept<Vec<String>> {
        self.run("look who is to get news", move |connection| threads::gathered(connection, before)).await
    }

    async fn news(&self, person: &str) -> Kept<Vec<(ProjectId, News)>> {
        let person = person.to_owned();
        self.run("read news", move |connection| threads::news(connection, &person)).await
    }

    async fn intend_digest(&self, mail: OutMail, text: OutText, person: &str, until: UnixMs) -> Kept<()> {
        let person = person.to_owned();
        let (sha256, text) = digested("write a digest down", text).await?;
        self.texts.put("write a digest's text down", vec![(sha256.clone(), text)]).await?;
        self.run("write a digest down", move |connection| {
            outgoing::add(connection, &mail, &sha256)?;
            threads::forget(connection, &person, until)
        })
        .await
    }

    async fn forget_news(&self, person: &str, until: UnixMs) -> Kept<()> {
        let person = person.to_owned();
        self.run("forget news", move |connection| threads::forget(connection, &person, until)).await
    }

    async fn feed_position(&self) -> Kept<u64> {
        self.run("read the place in the feed", cursor).await
    }

    async fn set_feed_position(&self, sequence: u64) -> Kept<()> {
        self.run("mark the place in the feed", move |connection| advance(connection, sequence)).await
    }

    async fn tidy(&self, before: UnixMs) -> Kept<()> {
        const OPERATION: &str = "clear old mails";
        loop {
            let stale = self.run(OPERATION, move |connection| outgoing::stale(connection, before, CLEARED)).await?;
            if stale.is_empty() {
                return Ok(());
            }
            let listed = stale.clone();
            let unneeded =
                self.run(OPERATION, move |connection| outgoing::unneeded(connection, listed, before)).await?;
            // The file first: after a crash it is removed once more.
            self.texts.remove(OPERATION, unneeded).await?;
            self.run(OPERATION, move |connection| outgoing::cleared(connection, &stale, before)).await?;
        }
    }
}
