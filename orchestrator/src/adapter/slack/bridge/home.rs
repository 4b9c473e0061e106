//! Home tabs: shown when opened, kept up to date for those who look.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use super::{core::Bridge, desk::Desk};
use crate::{
    adapter::slack::{SlackWeb, view},
    port::Service,
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
        let (approvals, projects) = match (core.service.approvals(false).await, core.service.projects().await) {
            (Ok(approvals), Ok(projects)) => (approvals, projects),
            (Err(problem), _) | (_, Err(problem)) => {
                tracing::warn!(problem = %problem.detail, "Slack: a Home tab cannot be filled");
                return;
            }
        };
        let Ok(may) = self.may(user).await else {
            // Left as it is, and looked at again.
            core.homes.mark(());
            return;
        };
        let me = core.crew.name(user);
        let approvals = if may { self.hidden(&approvals).unwrap_or_default() } else { Vec::new() };
        let projects = if may { self.hidden(&projects).unwrap_or_default() } else { Vec::new() };
        let mut links = BTreeMap::new();
        for view in approvals.iter().filter(|view| view::home::is_for(view, &me)).take(LINKS) {
            if let Some(link) = self.link_of(view).await {
                links.insert(view.approval_id, link);
            }
        }
        let home = view::home(&view::home::Home { me: &me, approvals: &approvals, projects: &projects, links: &links });
        if let Err(error) = core.web.publish_home(user, &home).await {
            tracing::warn!(%error, "Slack: a Home tab is not shown");
        }
    }
}
