//! Cards of requests: put up where people see them, and kept as the request is.

use std::{collections::HashMap, sync::atomic::Ordering, time::Duration};

use bus_schemas::{
    id::ApprovalId,
    v1::api::{ApprovalView, ProjectView},
};
use tokio::time::Instant;

use super::{
    core::Bridge,
    desk::{Desk, Posting, Thread},
    post::{Unsaid, Want},
};
use crate::{
    adapter::slack::{Place, SlackWeb},
    port::Service,
};

/// How long until a card is tried again, at first and at most.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// How long until a project that is just being started is looked at again.
const STARTING: Duration = Duration::from_millis(500);
/// So many people get a card of their own in their direct messages; more are told in the channel only.
const DIRECT: usize = 8;

/// The name of a request's cards.
pub(super) fn card_name(approval_id: ApprovalId) -> String {
    format!("card:{approval_id}")
}

impl<S: Service, W: SlackWeb, D: Desk> Bridge<S, W, D> {
    /// Looks at requests that were marked, one after the other.
    pub(super) async fn keep_cards(self) {
        let mut failures: HashMap<ApprovalId, u32> = HashMap::new();
        loop {
            let approval_id = self.0.cards.next().await;
            match self.show(approval_id).await {
                Ok(()) => {
                    failures.remove(&approval_id);
                }
                Err(why) => {
                    let failed = failures.entry(approval_id).or_default();
                    let wait = (AGAIN.0 * 2_u32.saturating_pow((*failed).min(6))).min(AGAIN.1);
                    *failed += 1;
                    tracing::warn!(%approval_id, %why, wait_s = wait.as_secs(), "Slack: a card is not as it should be; tried again");
                    self.0.cards.mark_at(approval_id, Instant::now() + wait);
                }
            }
        }
    }

    /// Brings every copy of a request's card to what the request is now.
    async fn show(&self, approval_id: ApprovalId) -> Result<(), String> {
        let core = &*self.0;
        let view = match self.request(approval_id).await {
            Ok(view) => view,
            Err(problem) if problem.code == "not_found" => {
                self.settled(approval_id);
                return Ok(());
            }
            Err(problem) => return Err(problem.detail),
        };
        if view.decision.is_some() {
            self.settled(approval_id);
        }
        if let Some(batch) = self.batch_of(approval_id) {
            self.show_batch(&batch).await?;
            return self.tell_about(&view).await;
        }
        let copies = core.desk.copies(&card_name(approval_id)).await.map_err(|e| e.to_string())?;
        if copies.is_empty() && (view.decision.is_some() || self.gathers(&view)) {
            return Ok(());
        }
        let project = core.service.project(&view.project_id.to_string()).await.map_err(|problem| problem.detail)?;
        let thread = core.desk.thread(view.project_id).await.map_err(|e| e.to_string())?;
        if copies.is_empty() && self.is_just_starting(thread.as_ref()) {
            core.cards.mark_at(approval_id, Instant::now() + STARTING);
            return Ok(());
        }
        let mut failed = None;
        for copy in &copies {
            if copy.closed {
                continue;
            }
            if let Err(why) = self.put_card(&view, &project, &copy.target, copy.thread_ts.clone()).await {
                failed = failed.or(Some(why));
            }
        }
        // A copy that could not be there is forgotten by now.
        let copies = core.desk.copies(&card_name(approval_id)).await.map_err(|e| e.to_string())?;
        if view.decision.is_none()
            && let Err(why) = self.put_up(&view, &project, thread.as_ref(), &copies).await
        {
            failed = failed.or(Some(why));
        }
        self.tell_about(&view).await?;
        failed.map_or(Ok(()), Err)
    }

    /// Which thread is the project's is not known yet: it was ordered in Slack a moment ago, or its first message in the
    /// default channel is not posted.
    pub(super) fn is_just_starting(&self, thread: Option<&Thread>) -> bool {
        match thread {
            None => self.0.settings.channel.is_some() || self.0.starting.load(Ordering::SeqCst) > 0,
            // Its first message makes the thread.
            Some(thread) => thread.thread_ts.is_none() && !thread.closed,
        }
    }

    /// Puts a pending request up: in its project's thread or the default channel, and before the people it names.
    async fn put_up(
        &self,
        view: &ApprovalView,
        project: &ProjectView,
        thread: Option<&Thread>,
        copies: &[Posting],
    ) -> Result<(), String> {
        let is_direct = |copy: &&Posting| copy.target.starts_with(['U', 'W']);
        if copies.iter().all(|copy| is_direct(&copy)) {
            self.put_in_channel(view, project, thread).await?;
        }
        for person in self.addressed(view) {
            if copies.iter().any(|copy| copy.target == person) {
                continue;
            }
            match self.put_card(view, project, &person, None).await {
                Ok(true) => {}
                Ok(false) => tracing::warn!(user = %person, "Slack: no direct message reaches somebody who may decide"),
                Err(why) => return Err(why),
            }
        }
        Ok(())
    }

    /// The places for a card that everybody sees, the best first; the last is a direct message to the owner.
    async fn put_in_channel(
        &self,
        view: &ApprovalView,
        project: &ProjectView,
        thread: Option<&Thread>,
    ) -> Result<(), String> {
        for (target, thread_ts) in self.places(project, thread) {
            if self.put_card(view, project, &target, thread_ts.clone()).await? {
                return Ok(());
            }
            tracing::warn!(channel = %target, approval.id = %view.approval_id,
                "Slack: a card cannot be in this channel (see `baton slack check`); the next place is tried");
        }
        tracing::error!(approval.id = %view.approval_id,
            "Slack: a request has no place: set `[slack] channel`, invite the app there, or give the owner a `slack` id; `baton approvals` shows it");
        Ok(())
    }

    /// Where something about a project can be said, the best place first.
    pub(super) fn places(&self, project: &ProjectView, thread: Option<&Thread>) -> Vec<(String, Option<String>)> {
        let mut places = Vec::new();
        if let Some(thread) = thread {
            places.push((thread.channel.clone(), thread.thread_ts.clone()));
        }
        if let Some(channel) = &self.0.settings.channel
            && places.iter().all(|(known, _)| known != channel)
        {
            places.push((channel.clone(), None));
        }
        let owner = thread.map(|thread| thread.started_by.clone()).filter(|user| !user.is_empty());
        places.extend(owner.or_else(|| self.0.crew.slack_of(&project.owner)).map(|user| (user, None)));
        places
    }

    /// The people a request names, if it does not ask everybody.
    fn addressed(&self, view: &ApprovalView) -> Vec<String> {
        let crew = &self.0.crew;
        let eligible = &view.route.eligible;
        if eligible.is_empty() || eligible.len() > DIRECT || eligible.len() >= crew.len() {
            return Vec::new();
        }
        let voted = |name: &String| view.route.votes.iter().any(|vote| vote.by == *name);
        eligible.iter().filter(|name| !voted(name)).filter_map(|name| crew.slack_of(name)).collect()
    }

    /// Brings one copy to what the request is; `false` if nothing of ours can be there.
    async fn put_card(
        &self,
        view: &ApprovalView,
        project: &ProjectView,
        target: &str,
        thread_ts: Option<String>,
    ) -> Result<bool, String> {
        let core = &*self.0;
        let name = card_name(view.approval_id);
        let Some(card) = self.card_of(view, project) else { return Err("it cannot be shown safely".to_owned()) };
        let want = Want {
            name: name.clone(),
            target: target.to_owned(),
            thread_ts,
            text: card.text,
            blocks: card.blocks,
            closed: view.decision.is_some(),
        };
        match self.put(&want).await {
            Ok(place) => {
                if want.thread_ts.is_none() {
                    // What people answer below it is about this project.
                    core.desk.link(place, view.project_id).await.map_err(|e| e.to_string())?;
                }
                Ok(true)
            }
            Err(Unsaid::Nowhere(error)) => {
                tracing::info!(%error, channel = %target, "Slack: no place for a card");
                core.desk.forget(&name, target).await.map_err(|e| e.to_string())?;
                Ok(false)
            }
            Err(Unsaid::Later(why)) => Err(why),
        }
    }

    /// Somebody used a copy nobody knows of: from now on it is kept up to date, too.
    pub(super) async fn adopt(&self, approval_id: ApprovalId, place: Place, thread_ts: Option<String>) {
        let name = card_name(approval_id);
        let core = &*self.0;
        let Ok(copies) = core.desk.copies(&name).await else { return };
        if self.batch_of(approval_id).is_some() || copies.iter().any(|copy| copy.place.as_ref() == Some(&place)) {
            return;
        }
        let target = if copies.iter().any(|copy| copy.target == place.channel) {
            format!("{}/{}", place.channel, place.ts)
        } else {
            place.channel.clone()
        };
        let posting = Posting { name, target, thread_ts, place: Some(place), ..Posting::default() };
        if let Err(error) = core.desk.posted(posting).await {
            tracing::warn!(%error, "Slack: a copy of a card is not written down");
        }
    }
}
