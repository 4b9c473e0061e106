//! The bridge's memory, in memory.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use bus_schemas::{
    id::{ApprovalId, ProjectId},
    time::UnixMs,
};
use bytes::Bytes;
use uuid::Uuid;

use super::lock;
use crate::{
    adapter::mail::{
        Desk, InMail, InState, Kept, LetterFilter, News, OutKind, OutMail, OutState, OutText, Position, Thread, Verdict,
    },
    digest,
    mail::letter::Delivery,
    port::journal::JournalError,
};

#[derive(Debug, Default)]
pub(super) struct Memory {
    pub letters: Vec<(InMail, Bytes)>,
    pub outs: Vec<(OutMail, OutText)>,
    pub threads: BTreeMap<(ProjectId, String), Thread>,
    pub news: BTreeMap<String, Vec<(ProjectId, News)>>,
    pub positions: BTreeMap<String, Position>,
    pub feed: u64,
    /// So many rows were listed as unfinished.
    pub listed: usize,
    /// So many calls of `finish` are lost, as when the program ends right before.
    pub crashes: u32,
}

#[derive(Clone, Debug, Default)]
pub(super) struct MemoryDesk(Arc<Mutex<Memory>>);

impl MemoryDesk {
    pub(super) fn with<T>(&self, look: impl FnOnce(&mut Memory) -> T) -> T {
        look(&mut lock(&self.0))
    }

    fn change<T>(&self, id: &str, change: impl FnOnce(&mut InMail) -> T) -> Option<T> {
        self.with(|memory| memory.letters.iter_mut().find(|(mail, _)| mail.id == id).map(|(mail, _)| change(mail)))
    }

    fn mails(&self, wanted: impl Fn(&InMail) -> bool) -> Vec<InMail> {
        self.with(|memory| memory.letters.iter().map(|(mail, _)| mail).filter(|mail| wanted(mail)).cloned().collect())
    }

    fn outs(&self, wanted: impl Fn(&OutMail) -> bool) -> Vec<OutMail> {
        self.with(|memory| memory.outs.iter().map(|(mail, _)| mail).filter(|mail| wanted(mail)).cloned().collect())
    }
}

impl Desk for MemoryDesk {
    async fn key(&self) -> Kept<[u8; 32]> {
        Ok(super::KEY)
    }

    async fn keep(&self, raw: Bytes, delivery: Delivery, at: UnixMs) -> Kept<(InMail, bool)> {
        let id = digest::of_bytes(&raw);
        if let Some(known) = self.mails(|mail| mail.id == id).pop() {
            return Ok((known, false));
        }
        let mut mail = InMail { id, size: raw.len() as u64, delivery, received_at: at, ..InMail::default() };
        self.with(|memory| {
            mail.place = 1 + i64::try_from(memory.letters.len()).unwrap();
            memory.letters.push((mail.clone(), raw));
        });
        Ok((mail, true))
    }

    async fn keep_all(
        &self,
        mailbox: &str,
        mails: Vec<(Bytes, Delivery)>,
        position: Position,
        at: UnixMs,
    ) -> Kept<Vec<InMail>> {
        let mut kept = Vec::new();
        for (raw, delivery) in mails {
            let (mail, is_new) = self.keep(raw, delivery, at).await?;
            kept.extend(is_new.then_some(mail));
        }
        self.with(|memory| memory.positions.insert(mailbox.to_owned(), position));
        Ok(kept)
    }

    async fn position(&self, mailbox: &str) -> Kept<Option<Position>> {
        Ok(self.with(|memory| memory.positions.get(mailbox).copied()))
    }

    async fn text(&self, id: &str) -> Kept<Option<Bytes>> {
        Ok(self.with(|memory| memory.letters.iter().find(|(mail, _)| mail.id == id).map(|(_, raw)| raw.clone())))
    }

    async fn letter(&self, id: &str) -> Kept<Option<InMail>> {
        Ok(self.mails(|mail| mail.id == id).pop())
    }

    async fn letters(&self, filter: LetterFilter) -> Kept<Vec<InMail>> {
        let mut found = self.mails(|mail| filter.state.is_none_or(|state| mail.verdict.state == state));
        found.reverse();
        found.truncate(if filter.limit == 0 { usize::MAX } else { filter.limit as usize });
        Ok(found)
    }

    async fn unfinished(&self, behind: i64, most: u32) -> Kept<Vec<InMail>> {
        let is_open = |mail: &InMail| matches!(mail.verdict.state, InState::Kept | InState::Released);
        let mut found = self.mails(|mail| mail.place > behind && is_open(mail));
        found.truncate(most as usize);
        self.with(|memory| memory.listed += found.len());
        Ok(found)
    }

    async fn set_tries(&self, id: &str, tries: u32, why: &str) -> Kept<()> {
        self.change(id, |mail| (mail.tries, mail.verdict.outcome) = (tries, why.to_owned()));
        Ok(())
    }

    async fn finish(&self, id: &str, verdict: Verdict, at: UnixMs) -> Kept<()> {
        let is_lost = self.with(|memory| {
            let is_lost = memory.crashes > 0;
            memory.crashes = memory.crashes.saturating_sub(1);
            is_lost
        });
        if is_lost {
            return Err(JournalError::Store { operation: "finish", detail: "the program ended".to_owned() });
        }
        self.change(id, |mail| (mail.verdict, mail.done_at) = (verdict, Some(at)));
        Ok(())
    }

    async fn judge(&self, id: &str, state: InState, by: &str, _: UnixMs) -> Kept<bool> {
        let judged = self.change(id, |mail| {
            let waits = mail.verdict.state == InState::Quarantined;
            if waits {
                (mail.verdict.state, mail.by) = (state, Some(by.to_owned()));
            }
            waits
        });
        Ok(judged.unwrap_or(false))
    }

    async fn seen(&self, message_id: &str, but: &str) -> Kept<Option<InMail>> {
        let is_it = |mail: &InMail| {
            mail.verdict.message_id.as_deref() == Some(message_id) && mail.id != but && mail.verdict.trusted
        };
        Ok(self.mails(is_it).pop())
    }

    async fn count(&self, person: Option<&str>, since: UnixMs) -> Kept<u32> {
        let counts = |mail: &InMail| {
            mail.verdict.trusted
                && mail.received_at >= since
                && person.is_none_or(|person| mail.verdict.person == person)
        };
        Ok(u32::try_from(self.mails(counts).len()).unwrap())
    }

    async fn intend(&self, mail: OutMail, text: OutText) -> Kept<bool> {
        Ok(self.with(|memory| {
            let is_known = memory.outs.iter().any(|(known, _)| known.name == mail.name && known.to == mail.to);
            if !is_known {
                memory.outs.push((mail, text));
            }
            !is_known
        }))
    }

    async fn due(&self, now: UnixMs, limit: u32) -> Kept<Vec<OutMail>> {
        let mut due = self.outs(|mail| mail.state == OutState::Queued && mail.next_at <= now);
        due.truncate(limit as usize);
        Ok(due)
    }

    async fn next_due(&self) -> Kept<Option<UnixMs>> {
        Ok(self.outs(|mail| mail.state == OutState::Queued).into_iter().map(|mail| mail.next_at).min())
    }

    async fn out_text(&self, id: Uuid) -> Kept<Option<OutText>> {
        Ok(self.with(|memory| memory.outs.iter().find(|(mail, _)| mail.id == id).map(|(_, text)| text.clone())))
    }

    async fn set_out(&self, mail: OutMail) -> Kept<()> {
        self.with(|memory| {
            if let Some((known, _)) = memory.outs.iter_mut().find(|(known, _)| known.id == mail.id) {
                *known = mail;
            }
        });
        Ok(())
    }

    async fn use_link(&self, id: Uuid, outcome: &str) -> Kept<bool> {
        let used = |memory: &mut Memory| {
            let (mail, _) = memory.outs.iter_mut().find(|(mail, _)| mail.id == id && mail.used.is_none())?;
            mail.used = Some(outcome.to_owned());
            Some(())
        };
        Ok(self.with(used).is_some())
    }

    async fn out(&self, id: Uuid) -> Kept<Option<OutMail>> {
        Ok(self.outs(|mail| mail.id == id).pop())
    }

    async fn out_by_message_id(&self, ids: &[String]) -> Kept<Option<OutMail>> {
        Ok(self.outs(|mail| ids.contains(&mail.message_id)).pop())
    }

    async fn out_named(&self, prefix: &str) -> Kept<Vec<OutMail>> {
        Ok(self.outs(|mail| mail.name.starts_with(prefix)))
    }

    async fn asks(&self, approval_id: ApprovalId) -> Kept<Vec<OutMail>> {
        Ok(self.outs(|mail| mail.kind == OutKind::Request && mail.approval_id == Some(approval_id)))
    }

    async fn outbox(&self, limit: u32) -> Kept<Vec<OutMail>> {
        let mut all = self.outs(|_| true);
        all.reverse();
        all.truncate(limit as usize);
        Ok(all)
    }

    async fn newest_to(&self, person: &str, address: &str) -> Kept<Option<OutMail>> {
        let is_it = |mail: &OutMail| mail.person == person && mail.to == address && mail.state != OutState::Queued;
        Ok(self.outs(is_it).pop())
    }

    async fn sent_since(&self, person: &str, project_id: Option<ProjectId>, since: UnixMs) -> Kept<u32> {
        let counts =
            |mail: &OutMail| mail.person == person && mail.project_id == project_id && mail.created_at >= since;
        Ok(u32::try_from(self.outs(counts).len()).unwrap())
    }

    async fn thread(&self, project_id: ProjectId, person: &str) -> Kept<Option<Thread>> {
        Ok(self.with(|memory| memory.threads.get(&(project_id, person.to_owned())).cloned()))
    }

    async fn set_thread(&self, project_id: ProjectId, person: &str, thread: Thread) -> Kept<()> {
        self.with(|memory| memory.threads.insert((project_id, person.to_owned()), thread));
        Ok(())
    }

    async fn threads(&self, project_id: ProjectId) -> Kept<Vec<(String, Thread)>> {
        let all = self.with(|memory| memory.threads.clone());
        Ok(all
            .into_iter()
            .filter(|((id, _), _)| *id == project_id)
            .map(|((_, person), thread)| (person, thread))
            .collect())
    }

    async fn gather(&self, person: &str, project_id: ProjectId, news: News) -> Kept<()> {
        self.with(|memory| memory.news.entry(person.to_owned()).or_default().push((project_id, news)));
        Ok(())
    }

    async fn gathered(&self, before: UnixMs) -> Kept<Vec<String>> {
        let all = self.with(|memory| memory.news.clone());
        let is_old = |news: &[(ProjectId, News)]| news.iter().any(|(_, news)| news.at < before);
        Ok(all.into_iter().filter(|(_, news)| is_old(news)).map(|(person, _)| person).collect())
    }

    async fn news(&self, person: &str) -> Kept<Vec<(ProjectId, News)>> {
        Ok(self.with(|memory| memory.news.get(person).cloned().unwrap_or_default()))
    }

    async fn intend_digest(&self, mail: OutMail, text: OutText, person: &str, until: UnixMs) -> Kept<()> {
        self.intend(mail, text).await?;
        self.forget_news(person, until).await
    }

    async fn forget_news(&self, person: &str, until: UnixMs) -> Kept<()> {
        self.with(|memory| memory.news.entry(person.to_owned()).or_default().retain(|(_, news)| news.at > until));
        Ok(())
    }

    async fn feed_position(&self) -> Kept<u64> {
        Ok(self.with(|memory| memory.feed))
    }

    async fn set_feed_position(&self, sequence: u64) -> Kept<()> {
        self.with(|memory| memory.feed = sequence);
        Ok(())
    }

    async fn tidy(&self, before: UnixMs) -> Kept<()> {
        self.with(|memory| {
            let old = memory.letters.iter_mut().filter(|(mail, _)| mail.done_at.is_some_and(|at| at < before));
            old.for_each(|(_, text)| *text = Bytes::new());
        });
        Ok(())
    }
}
