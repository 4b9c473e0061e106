//! A project's feed as a stream: read from the store in order, woken by the project's bell, so that nothing is missed
//! and nothing comes twice.

use std::collections::VecDeque;

use bus_schemas::{id::ProjectId, v1::api::FeedEvent};
use futures::{Stream, stream};
use tokio::sync::watch;

use crate::{
    adapter::{
        bus::LogEnd,
        sqlite::{FeedPage, Store},
    },
    driver::Bells,
    port::journal::JournalError,
};

/// The feed after `after`; ends when the project is final and everything was given.
pub(super) fn follow(
    store: Store,
    bells: &Bells,
    project_id: ProjectId,
    after: u64,
) -> impl Stream<Item = FeedEvent> + Send + 'static + use<> {
    // Listening begins before the first look, so that nothing falls between.
    let bell = bells.listen(project_id);
    let reader = Reader { store, bell, project_id, after, waiting: VecDeque::new() };
    stream::unfold(reader, |mut reader| async move {
        let event = reader.next().await?;
        Some((event, reader))
    })
}

struct Reader {
    store: Store,
    bell: watch::Receiver<()>,
    project_id: ProjectId,
    after: u64,
    waiting: VecDeque<FeedEvent>,
}

impl Reader {
    async fn next(&mut self) -> Option<FeedEvent> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                self.after = event.sequence;
                return Some(event);
            }
            self.bell.borrow_and_update();
            match self.store.feed(self.project_id, self.after).await {
                Ok(FeedPage { events, ended }) if events.is_empty() => {
                    if ended || self.bell.changed().await.is_err() {
                        return None;
                    }
                }
                Ok(page) => self.waiting.extend(page.events),
                Err(error) => {
                    tracing::warn!(project.id = %self.project_id, %error, "feed ends early");
                    return None;
                }
            }
        }
    }
}

/// The feed of every project after `after`, in the journal's order; ends when the orchestrator does.
pub(super) fn follow_all(
    store: Store,
    bells: &Bells,
    after: u64,
) -> impl Stream<Item = FeedEvent> + Send + 'static + use<> {
    let start = (store, bells.listen_all(), after, VecDeque::<FeedEvent>::new());
    stream::unfold(start, |(store, mut bell, mut after, mut waiting)| async move {
        loop {
            if let Some(event) = waiting.pop_front() {
                after = event.sequence;
                return Some((event, (store, bell, after, waiting)));
            }
            bell.borrow_and_update();
            match store.all_feed(after).await {
                Ok(events) if events.is_empty() => bell.changed().await.ok()?,
                Ok(events) => waiting.extend(events),
                Err(error) => {
                    tracing::warn!(%error, "feed of all projects ends early");
                    return None;
                }
            }
        }
    })
}

/// Output goes on until the project, or one task of it, is final.
pub(super) struct Until {
    store: Store,
    bell: watch::Receiver<()>,
    project_id: ProjectId,
    task: Option<String>,
}

impl Until {
    pub(super) fn new(store: Store, bells: &Bells, project_id: ProjectId, task: Option<String>) -> Self {
        Self { store, bell: bells.listen(project_id), project_id, task }
    }

    async fn is_final(&self) -> Result<bool, JournalError> {
        if let Some(key) = &self.task {
            let task = self.store.task(self.project_id, key.clone()).await?;
            return Ok(task.is_none_or(|task| task.state.is_final()));
        }
        let project = self.store.project_head(self.project_id).await?;
        Ok(project.is_none_or(|project| project.state.is_final()))
    }
}

impl LogEnd for Until {
    async fn ended(&mut self) {
        loop {
            self.bell.borrow_and_update();
            // What cannot be asked is taken as the end: a reader that waits for ever is worse.
            if self.is_final().await.unwrap_or(true) || self.bell.changed().await.is_err() {
                return;
            }
        }
    }
}
