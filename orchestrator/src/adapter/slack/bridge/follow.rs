//! The feed of all projects, followed; and everything looked at once at the start.

use std::{pin::pin, time::Duration};

use bus_schemas::{time::UnixMs, v1::api::FeedEvent};
use futures::StreamExt as _;
use tokio::time::Instant;

use super::{core::Bridge, desk::Desk};
use crate::{adapter::slack::SlackWeb, port::Service};

/// How long until the feed is asked for again after it ended or failed, at first and at most.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// How long it is known that an envelope came, so that a repeat is not acted on: Slack repeats for hours at most.
const KNOWN_MS: i64 = 14 * 24 * 3600 * 1000;
/// How often what is not needed any more is forgotten.
const TIDY_EVERY: Duration = Duration::from_secs(24 * 3600);
/// How often the position is written down while events come: it only saves work, so it may be behind.
const POSITION_EVERY: Duration = Duration::from_secs(1);
/// How long the Home tabs of those who look at them may be behind.
const HOME_BEHIND: Duration = Duration::from_secs(2);

impl<S: Service, W: SlackWeb, D: Desk> Bridge<S, W, D> {
    /// Marks everything that may not be as it should: what is pending, what is shown as pending, what is worked on.
    pub(super) async fn reconcile(&self) {
        let core = &*self.0;
        self.load_batches().await;
        match core.desk.open_postings("card:").await {
            Ok(postings) => {
                let ids = postings.iter().filter_map(|posting| posting.name.strip_prefix("card:")?.parse().ok());
                ids.for_each(|id| core.cards.mark(id));
            }
            Err(error) => tracing::warn!(%error, "Slack: the open cards cannot be read"),
        }
        match core.desk.open_threads().await {
            Ok(threads) => threads.iter().for_each(|(project_id, _)| core.projects.mark(*project_id)),
            Err(error) => tracing::warn!(%error, "Slack: the open threads cannot be read"),
        }
        let mut wait = AGAIN.0;
        loop {
            match core.service.approvals(false).await {
                Ok(pending) => {
                    tracing::info!(pending = pending.len(), "Slack: requests are reconciled");
                    for view in &pending {
                        core.projects.mark(view.project_id);
                        core.cards.mark(view.approval_id);
                    }
                    return;
                }
                Err(problem) => tracing::warn!(problem = %problem.detail, "Slack: pending requests cannot be read"),
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(AGAIN.1);
        }
    }

    /// Forgets, at the start and then every day, what nobody sends again.
    pub(super) async fn keep_tidy(self) {
        loop {
            if let Err(error) = self.0.desk.tidy(UnixMs(self.now().0 - KNOWN_MS)).await {
                tracing::warn!(%error, "Slack: old envelopes are not forgotten");
            }
            tokio::time::sleep(TIDY_EVERY).await;
        }
    }

    /// Follows the feed for ever.
    pub(super) async fn follow(&self) {
        let core = &*self.0;
        let mut after = loop {
            match core.desk.position().await {
                Ok(position) => break position,
                Err(error) => tracing::warn!(%error, "Slack: the place in the feed cannot be read"),
            }
            tokio::time::sleep(AGAIN.1).await;
        };
        let mut wait = AGAIN.0;
        loop {
            let before = after;
            match core.service.all_feed(after).await {
                Ok(feed) => {
                    let mut feed = pin!(feed);
                    let mut written = Instant::now();
                    while let Some(event) = feed.next().await {
                        after = event.sequence;
                        self.look(&event);
                        if written.elapsed() >= POSITION_EVERY {
                            written = Instant::now();
                            self.remember_position(after).await;
                        }
                    }
                    self.remember_position(after).await;
                }
                Err(problem) => tracing::warn!(problem = %problem.detail, "Slack: the feed cannot be followed"),
            }
            if after != before {
                wait = AGAIN.0;
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(AGAIN.1);
        }
    }

    fn look(&self, event: &FeedEvent) {
        let core = &*self.0;
        if let Some(approval_id) = event.approval_id {
            core.cards.mark(approval_id);
        }
        core.projects.mark(event.project_id);
        core.homes.mark_at((), Instant::now() + HOME_BEHIND);
    }

    async fn remember_position(&self, sequence: u64) {
        if let Err(error) = self.0.desk.set_position(sequence).await {
            tracing::warn!(%error, "Slack: the place in the feed is not written down");
        }
    }
}
