//! The feed of all projects, followed; and everything looked at once at the start.

use std::{collections::BTreeSet, pin::pin, time::Duration};

use bus_schemas::{time::UnixMs, v1::api::FeedEvent};
use futures::StreamExt as _;
use tokio::time::Instant;

use super::{super::core::Bridge, news::Ended};
use crate::{
    adapter::mail::{Desk, OutMail, Transport, Verifier},
    port::{Service, journal::JournalError},
};

/// How long until the feed is asked for again after it ended or failed, at first and at most.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// How often the position is written down while events come that no news came of.
const POSITION_EVERY: Duration = Duration::from_secs(1);
/// How long ago people may have been asked who are told once more what came of it, if nothing says that they were.
const UNTOLD_MS: u64 = 7 * 24 * 3600 * 1000;
/// How often old texts are cleared.
const TIDY_EVERY: Duration = Duration::from_secs(24 * 3600);
/// How long texts of what is finished are kept.
const TEXTS_MS: i64 = 90 * 24 * 3600 * 1000;

impl<S: Service, D: Desk, V: Verifier, T: Transport> Bridge<S, D, V, T> {
    /// Looks at every request that waits.
    pub(in super::super) async fn reconcile(&self) {
        let core = &*self.0;
        let mut wait = AGAIN.0;
        loop {
            match core.world.service.approvals(false).await {
                Ok(pending) => {
                    tracing::info!(pending = pending.len(), "mail: requests are reconciled");
                    for view in &pending {
                        core.requests.mark(view.approval_id);
                    }
                    match self.mark_untold().await {
                        Ok(()) => return,
                        Err(error) => tracing::warn!(%error, "mail: what was not told cannot be read"),
                    }
                }
                Err(problem) => tracing::warn!(problem = %problem.detail, "mail: pending requests cannot be read"),
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(AGAIN.1);
        }
    }

    /// Marks what came to its end a moment before the last run ended: its people may not have heard.
    async fn mark_untold(&self) -> Result<(), JournalError> {
        let core = &*self.0;
        let of_late = |mail: &OutMail| self.now().since(mail.created_at) < UNTOLD_MS;
        let desk = &core.world.desk;
        let told: BTreeSet<_> = desk.out_named("result:").await?.iter().filter_map(|mail| mail.project_id).collect();
        let begun = desk.out_named("started:").await?;
        let open = begun.iter().filter_map(|mail| mail.project_id).filter(|id| !told.contains(id));
        open.for_each(|id| core.projects.mark(id));
        let told: BTreeSet<_> = desk.out_named("outcome:").await?.iter().filter_map(|mail| mail.approval_id).collect();
        let asked = desk.out_named("request:").await?;
        let asked = asked.iter().filter(|mail| of_late(mail)).filter_map(|mail| mail.approval_id);
        asked.filter(|id| !told.contains(id)).for_each(|id| core.requests.mark(id));
        Ok(())
    }

    /// Follows the feed for ever.
    pub(in super::super) async fn follow(&self) {
        let core = &*self.0;
        let mut after = loop {
            match core.world.desk.feed_position().await {
                Ok(position) => break position,
                Err(error) => tracing::warn!(%error, "mail: the place in the feed cannot be read"),
            }
            tokio::time::sleep(AGAIN.1).await;
        };
        let mut wait = AGAIN.0;
        let mut ended = Ended::default();
        loop {
            let before = after;
            match core.world.service.all_feed(after).await {
                Ok(feed) => after = self.follow_on(feed, after, &mut ended).await,
                Err(problem) => tracing::warn!(problem = %problem.detail, "mail: the feed cannot be followed"),
            }
            if after != before {
                wait = AGAIN.0;
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(AGAIN.1);
        }
    }

    /// Follows one feed to its end, or to an event whose news could not be kept: it is read again from there.
    async fn follow_on(
        &self,
        feed: impl futures::Stream<Item = FeedEvent> + Send,
        mut after: u64,
        ended: &mut Ended,
    ) -> u64 {
        let mut feed = pin!(feed);
        let mut written = Instant::now();
        while let Some(event) = feed.next().await {
            self.look_at(&event);
            let has_news = match self.hear(&event, ended).await {
                Ok(has_news) => has_news,
                Err(why) => {
                    tracing::warn!(%why, "mail: news are not kept; the feed is read again from there");
                    break;
                }
            };
            after = event.sequence;
            if has_news || written.elapsed() >= POSITION_EVERY {
                written = Instant::now();
                self.remember_position(after).await;
            }
        }
        self.remember_position(after).await;
        after
    }

    fn look_at(&self, event: &FeedEvent) {
        let core = &*self.0;
        if let Some(approval_id) = event.approval_id {
            core.requests.mark(approval_id);
        }
        if event.project_state.is_final() {
            core.projects.mark(event.project_id);
        }
    }

    async fn remember_position(&self, sequence: u64) {
        if let Err(error) = self.0.world.desk.set_feed_position(sequence).await {
            tracing::warn!(%error, "mail: the place in the feed is not written down");
        }
    }

    /// Clears old texts, for ever.
    pub(in super::super) async fn keep_tidy(self) {
        loop {
            let before = UnixMs(self.now().0 - TEXTS_MS);
            if let Err(error) = self.0.world.desk.tidy(before).await {
                tracing::warn!(%error, "mail: old texts are not cleared");
            }
            tokio::time::sleep(TIDY_EVERY).await;
        }
    }
}
