//! The bridge's memory, in memory.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use bus_schemas::{id::ProjectId, time::UnixMs};

use super::{
    super::{Desk, InboxRow, Kept, Posting, Thread},
    lock,
};
use crate::{adapter::slack::Place, port::journal::DeadLetter};

#[derive(Debug, Default)]
pub(super) struct Memory {
    pub inbox: Vec<(InboxRow, Option<String>)>,
    pub postings: BTreeMap<(String, String), Posting>,
    pub threads: BTreeMap<ProjectId, Thread>,
    pub links: BTreeMap<Place, ProjectId>,
    pub batches: BTreeMap<String, String>,
    pub letters: Vec<DeadLetter>,
    pub position: u64,
    pub tidied: Vec<UnixMs>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct MemoryDesk(Arc<Mutex<Memory>>);

impl MemoryDesk {
    pub(super) fn with<T>(&self, look: impl FnOnce(&mut Memory) -> T) -> T {
        look(&mut lock(&self.0))
    }

    /// What came of what came in.
    pub(super) fn outcomes(&self) -> Vec<Option<String>> {
        self.with(|memory| memory.inbox.iter().map(|(_, outcome)| outcome.clone()).collect())
    }
}

impl Desk for MemoryDesk {
    async fn keep(&self, row: InboxRow) -> Kept<bool> {
        Ok(self.with(|memory| {
            let new = memory.inbox.iter().all(|(known, _)| known.key != row.key);
            if new {
                memory.inbox.push((row, None));
            }
            new
        }))
    }

    async fn kept(&self, key: &str) -> Kept<Option<InboxRow>> {
        Ok(self.with(|memory| memory.inbox.iter().find(|(row, _)| row.key == key).map(|(row, _)| row.clone())))
    }

    async fn unfinished(&self) -> Kept<Vec<InboxRow>> {
        Ok(self.with(|memory| {
            memory.inbox.iter().filter(|(_, done)| done.is_none()).map(|(row, _)| row.clone()).collect()
        }))
    }

    async fn finish(&self, key: &str, outcome: &str, _: UnixMs) -> Kept<()> {
        self.with(|memory| {
            if let Some((_, done)) = memory.inbox.iter_mut().find(|(row, _)| row.key == key) {
                done.get_or_insert_with(|| outcome.to_owned());
            }
        });
        Ok(())
    }

    async fn drop_words(&self, key: &str) -> Kept<()> {
        self.with(|memory| {
            let found = memory.inbox.iter_mut().find(|(row, done)| row.key == key && done.is_some());
            found.into_iter().for_each(|(row, _)| row.raw = serde_json::Value::Null);
        });
        Ok(())
    }

    async fn tidy(&self, before: UnixMs) -> Kept<()> {
        self.with(|memory| memory.tidied.push(before));
        Ok(())
    }

    async fn intend(&self, posting: Posting) -> Kept<Option<Posting>> {
        Ok(self.with(|memory| {
            let key = (posting.name.clone(), posting.target.clone());
            let known = memory.postings.get(&key).cloned();
            memory.postings.entry(key).or_insert(posting);
            known
        }))
    }

    async fn posted(&self, posting: Posting) -> Kept<()> {
        self.with(|memory| memory.postings.insert((posting.name.clone(), posting.target.clone()), posting));
        Ok(())
    }

    async fn forget(&self, name: &str, target: &str) -> Kept<()> {
        self.with(|memory| memory.postings.remove(&(name.to_owned(), target.to_owned())));
        Ok(())
    }

    async fn copies(&self, name: &str) -> Kept<Vec<Posting>> {
        Ok(self.with(|memory| memory.postings.values().filter(|posting| posting.name == name).cloned().collect()))
    }

    async fn open_postings(&self, prefix: &str) -> Kept<Vec<Posting>> {
        let open = |posting: &&Posting| !posting.closed && posting.name.starts_with(prefix);
        Ok(self.with(|memory| memory.postings.values().filter(open).cloned().collect()))
    }

    async fn set_thread(&self, project_id: ProjectId, thread: Thread) -> Kept<()> {
        self.with(|memory| {
            if let Some(ts) = thread.thread_ts.clone() {
                memory.links.insert(Place { channel: thread.channel.clone(), ts }, project_id);
            }
            memory.threads.insert(project_id, thread)
        });
        Ok(())
    }

    async fn thread(&self, project_id: ProjectId) -> Kept<Option<Thread>> {
        Ok(self.with(|memory| memory.threads.get(&project_id).cloned()))
    }

    async fn open_threads(&self) -> Kept<Vec<(ProjectId, Thread)>> {
        Ok(self
            .with(|memory| memory.threads.iter().filter(|(_, t)| !t.closed).map(|(id, t)| (*id, t.clone())).collect()))
    }

    async fn link(&self, place: Place, project_id: ProjectId) -> Kept<()> {
        self.with(|memory| memory.links.insert(place, project_id));
        Ok(())
    }

    async fn project_of(&self, place: Place) -> Kept<Option<ProjectId>> {
        Ok(self.with(|memory| memory.links.get(&place).copied()))
    }

    async fn set_batch(&self, name: &str, items: String) -> Kept<()> {
        self.with(|memory| memory.batches.insert(name.to_owned(), items));
        Ok(())
    }

    async fn drop_batch(&self, name: &str) -> Kept<()> {
        self.with(|memory| memory.batches.remove(name));
        Ok(())
    }

    async fn batches(&self) -> Kept<Vec<(String, String)>> {
        Ok(self.with(|memory| memory.batches.clone().into_iter().collect()))
    }

    async fn set_aside(&self, letter: DeadLetter) -> Kept<()> {
        self.with(|memory| memory.letters.push(letter));
        Ok(())
    }

    async fn position(&self) -> Kept<u64> {
        Ok(self.with(|memory| memory.position))
    }

    async fn set_position(&self, sequence: u64) -> Kept<()> {
        self.with(|memory| memory.position = sequence);
        Ok(())
    }
}
