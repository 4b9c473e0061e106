//! Home tabs: shown when opened, kept up to date for those who look.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;
use tokio::time::Instant;

use super::{answers, core::Bridge, desk::Desk};
use crate::{
    adapter::slack::{SlackWeb, view},
    port::{Service, waiting::Waiting},
};

/// How long somebody is taken to be looking after they opened it.
const LOOKS: Duration = Duration::from_secs(30 * 60);
/// The least time between two updates for everybody who looks.
const EVERY: Duration = Duration::from_secs(10);
/// Links that are looked up for one page: each costs a call.
const LINKS: usize = 10;

impl<S: Service, W: SlackWeb, D: Desk> Bridge<S, W, D> {
    /// Somebody opened it.
    pub(super) async fn home_opened(&self, user: &str) {
        self.lock_viewers().insert(user.to_owned(), Instant::now());
        self.publish_home(user).await;
    }

    /// Keeps the open ones up to date.
    pub(super) async fn keep_homes(self) {
        loop {
            self.0.homes.next().await;
            let viewers: Vec<String> = {
                let mut viewers = self.lock_viewers();
                viewers.retain(|_, opened| opened.elapsed() < LOOKS);
                viewers.keys().cloned().collect()
            };
            for user in &viewers {
                self.publish_home(user).await;
            }
            if !viewers.is_empty() {
                tokio::time::sleep(EVERY).await;
            }
        }
    }

    async fn publish_home(&self, user: &str) {
        let core = &*self.0;
        let Ok(may) = self.may(user).await else {
            // Left as it is, and looked at again.
            core.homes.mark(());
            return;
        };
        if !may {
            self.publish(user, &view::home::closed(&answers::outsider(user, &core.crew))).await;
            return;
        }
        let me = core.crew.name(user);
        let wanted = Waiting::For(me.clone());
        let found = core.service.waiting(wanted, view::home::REQUESTS).await;
        let (found, projects) = match (found, core.service.projects().await) {
            (Ok(found), Ok(projects)) => (found, projects),
            (Err(problem), _) | (_, Err(problem)) => {
                tracing::warn!(problem = %problem.detail, "Slack: a Home tab cannot be filled");
                return;
            }
        };
        // What cannot be shown safely is not said to be nothing.
        let (Some(approvals), Some(projects)) = (self.hidden(&found.requests), self.hidden(&projects)) else { return };
        let mut links = BTreeMap::new();
        for view in approvals.iter().take(LINKS) {
            if let Some(link) = self.link_of(view).await {
                links.insert(view.approval_id, link);
            }
        }
        let waiting = found.count;
        let shown = view::home::Home { me: &me, approvals: &approvals, waiting, projects: &projects, links: &links };
        self.publish(user, &view::home(&shown)).await;
    }

    async fn publish(&self, user: &str, home: &Value) {
        if let Err(error) = self.0.web.publish_home(user, home).await {
            tracing::warn!(%error, "Slack: a Home tab is not shown");
        }
    }
}
