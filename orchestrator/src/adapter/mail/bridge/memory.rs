//! A store in memory, for tests: what the API and the pages behind links need of it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bus_schemas::{
    id::{ApprovalId, ProjectId},
    time::UnixMs,
};
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::{
    adapter::mail::{
        Desk, InMail, InState, Kept, LetterFilter, News, OutKind, OutMail, OutText, Position, Thread, Verdict,
    },
    mail::letter::Delivery,
    port::journal::JournalError,
};

#[derive(Default)]
pub(in crate::adapter::mail) struct Memory {
    pub(in crate::adapter::mail) letters: Vec<(InMail, Bytes)>,
    pub(in crate::adapter::mail) outs: Vec<OutMail>,
    pub(in crate::adapter::mail) threads: BTreeMap<(ProjectId, String), Thread>,
    /// The disk is gone.
    pub(in crate::adapter::mail) is_broken: bool,
}

/// Clones share what is in it.
#[derive(Clone, Default)]
pub(in crate::adapter::mail) struct MemoryDesk(Arc<Mutex<Memory>>);

impl MemoryDesk {
    pub(in crate::adapter::mail) fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in crate::adapter::mail) fn put_letter(&self, mail: InMail, text: &'static str) {
        self.lock().letters.push((mail, Bytes::from_static(text.as_bytes())));
    }

    fn whole(&self) -> Kept<MutexGuard<'_, Memory>> {
        let memory = self.lock();
        if memory.is_broken {
            return Err(JournalError::Store { operation: "keep", detail: "the disk is gone".to_owned() });
        }
        Ok(memory)
    }
}

const ELSEWHERE: &str = "the API and the pages do not ask this";

impl Desk for MemoryDesk {
    async fn key(&self) -> Kept<[u8; 32]> {
        unreachable!("{ELSEWHERE}")
    }

    async fn keep(&self, raw: Bytes, delivery: Delivery, at: UnixMs) -> Kept<(InMail, bool)> {
        let mut memory = self.whole()?;
        let id: String = Sha256::digest(&raw).iter().map(|byte| format!("{byte:02x}")).collect();
        if let Some((known, _)) = memory.letters.iter().find(|(known, _)| known.id == id) {
            return Ok((known.clone(), false));
        }
        let mail = InMail { id, size: raw.len() as u64, delivery, received_at: at, ..InMail::default() };
        memory.letters.push((mail.clone(), raw));
        Ok((mail, true))
    }

    async fn keep_all(&self, _: &str, _: Vec<(Bytes, Delivery)>, _: Position, _: UnixMs) -> Kept<Vec<InMail>> {
        unreachable!("{ELSEWHERE}")
    }

    async fn position(&self, _: &str) -> Kept<Option<Position>> {
        unreachable!("{ELSEWHERE}")
    }

    async fn text(&self, id: &str) -> Kept<Option<Bytes>> {
        Ok(self.whole()?.letters.iter().find(|(mail, _)| mail.id == id).map(|(_, text)| text.clone()))
    }

    async fn letter(&self, id: &str) -> Kept<Option<InMail>> {
        Ok(self.whole()?.letters.iter().find(|(mail, _)| mail.id == id).map(|(mail, _)| mail.clone()))
    }

    async fn letters(&self, filter: LetterFilter) -> Kept<Vec<InMail>> {
        let memory = self.whole()?;
        let mails = memory.letters.iter().rev().map(|(mail, _)| mail);
        let wanted = mails.filter(|mail| filter.state.is_none_or(|state| mail.verdict.state == state));
        let most = if filter.limit == 0 { usize::MAX } else { filter.limit as usize };
        Ok(wanted.take(most).cloned().collect())
    }

    async fn unfinished(&self, _: i64, _: u32) -> Kept<Vec<InMail>> {
        unreachable!("{ELSEWHERE}")
    }

    async fn set_tries(&self, _: &str, _: u32, _: &str) -> Kept<()> {
        unreachable!("{ELSEWHERE}")
    }

    async fn finish(&self, _: &str, _: Verdict, _: UnixMs) -> Kept<()> {
        unreachable!("{ELSEWHERE}")
    }

    async fn judge(&self, id: &str, state: InState, by: &str, _: UnixMs) -> Kept<bool> {
        let mut memory = self.whole()?;
        let waits = |mail: &InMail| mail.id == id && mail.verdict.state == InState::Quarantined;
        let Some((mail, _)) = memory.letters.iter_mut().find(|(mail, _)| waits(mail)) else { return Ok(false) };
        mail.verdict.state = state;
        mail.by = Some(by.to_owned());
        Ok(true)
    }

    async fn seen(&self, _: &str, _: &str) -> Kept<Option<InMail>> {
        unreachable!("{ELSEWHERE}")
    }

    async fn count(&self, _: Option<&str>, _: UnixMs) -> Kept<u32> {
        unreachable!("{ELSEWHERE}")
    }

    async fn intend(&self, mail: OutMail, _: OutText) -> Kept<bool> {
        let mut memory = self.whole()?;
        let is_new = !memory.outs.iter().any(|known| known.name == mail.name && known.to == mail.to);
        if is_new {
            memory.outs.push(mail);
        }
        Ok(is_new)
    }

    async fn due(&self, _: UnixMs, _: u32) -> Kept<Vec<OutMail>> {
        unreachable!("{ELSEWHERE}")
    }

    async fn next_due(&self) -> Kept<Option<UnixMs>> {
        unreachable!("{ELSEWHERE}")
    }

    async fn out_text(&self, _: Uuid) -> Kept<Option<OutText>> {
        unreachable!("{ELSEWHERE}")
    }

    async fn set_out(&self, _: OutMail) -> Kept<()> {
        unreachable!("{ELSEWHERE}")
    }

    async fn use_link(&self, id: Uuid, outcome: &str) -> Kept<bool> {
        let mut memory = self.whole()?;
        let unused = |mail: &&mut OutMail| mail.id == id && mail.used.is_none();
        let Some(mail) = memory.outs.iter_mut().find(unused) else { return Ok(false) };
        mail.used = Some(outcome.to_owned());
        Ok(true)
    }

    async fn out(&self, id: Uuid) -> Kept<Option<OutMail>> {
        Ok(self.whole()?.outs.iter().find(|mail| mail.id == id).cloned())
    }

    async fn out_by_message_id(&self, _: &[String]) -> Kept<Option<OutMail>> {
        unreachable!("{ELSEWHERE}")
    }

    async fn out_named(&self, _: &str) -> Kept<Vec<OutMail>> {
        unreachable!("{ELSEWHERE}")
    }

    async fn asks(&self, approval_id: ApprovalId) -> Kept<Vec<OutMail>> {
        let memory = self.whole()?;
        let asks = memory.outs.iter().filter(|mail| mail.approval_id == Some(approval_id));
        Ok(asks.filter(|mail| mail.kind == OutKind::Request).cloned().collect())
    }

    async fn outbox(&self, limit: u32) -> Kept<Vec<OutMail>> {
        Ok(self.whole()?.outs.iter().rev().take(limit as usize).cloned().collect())
    }

    async fn newest_to(&self, _: &str, _: &str) -> Kept<Option<OutMail>> {
        unreachable!("{ELSEWHERE}")
    }

    async fn sent_since(&self, _: &str, _: Option<ProjectId>, _: UnixMs) -> Kept<u32> {
        unreachable!("{ELSEWHERE}")
    }

    async fn thread(&self, project_id: ProjectId, person: &str) -> Kept<Option<Thread>> {
        Ok(self.whole()?.threads.get(&(project_id, person.to_owned())).cloned())
    }

    async fn set_thread(&self, project_id: ProjectId, person: &str, thread: Thread) -> Kept<()> {
        self.whole()?.threads.insert((project_id, person.to_owned()), thread);
        Ok(())
    }

    async fn threads(&self, _: ProjectId) -> Kept<Vec<(String, Thread)>> {
        unreachable!("{ELSEWHERE}")
    }

    async fn gather(&self, _: &str, _: ProjectId, _: News) -> Kept<()> {
        unreachable!("{ELSEWHERE}")
    }

    async fn gathered(&self, _: UnixMs) -> Kept<Vec<String>> {
        unreachable!("{ELSEWHERE}")
    }

    async fn news(&self, _: &str) -> Kept<Vec<(ProjectId, News)>> {
        unreachable!("{ELSEWHERE}")
    }

    async fn intend_digest(&self, _: OutMail, _: OutText, _: &str, _: UnixMs) -> Kept<()> {
        unreachable!("{ELSEWHERE}")
    }

    async fn forget_news(&self, _: &str, _: UnixMs) -> Kept<()> {
        unreachable!("{ELSEWHERE}")
    }

    async fn feed_position(&self) -> Kept<u64> {
        unreachable!("{ELSEWHERE}")
    }

    async fn set_feed_position(&self, _: u64) -> Kept<()> {
        unreachable!("{ELSEWHERE}")
    }

    async fn tidy(&self, _: UnixMs) -> Kept<()> {
        unreachable!("{ELSEWHERE}")
    }
}
