//! Equal requests of low risk in one card: each is decided, and recorded, by itself.

use std::time::Duration;

use bus_schemas::{
    id::ApprovalId,
    v1::api::{ApprovalView, BatchItem, Risk},
};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{
    answers,
    core::{Bridge, Gathering},
    desk::Desk,
    post::{Unsaid, Want},
    work::{Later, unkept},
};
use crate::{
    adapter::slack::{
        SlackWeb,
        inbound::Click,
        view::{self, Card, OfBatch, blocks, figures, text},
    },
    port::{Service, journal::JournalError},
};

/// How long equal requests are waited for.
const GATHER: Duration = Duration::from_secs(2);
/// The most about those that are decided.
const OUTCOMES: usize = 2_500;
/// Requests in one card.
const MOST: usize = 15;

/// What a card of several requests is about, as it is kept.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Shown {
    /// All its requests.
    all: Vec<ApprovalId>,
    /// What its buttons carry.
    digest: String,
    /// Those it showed as waiting, each with the digest that was shown.
    items: Vec<BatchItem>,
}

/// The name of the message of a batch.
pub(super) fn batch_name_of(batch: &str) -> String {
    format!("batch:{batch}")
}

impl<S: Service, W: SlackWeb, D: Desk> Bridge<S, W, D> {
    /// Reads which requests are in which card.
    pub(super) async fn load_batches(&self) {
        let batches = match self.0.desk.batches().await {
            Ok(batches) => batches,
            Err(error) => {
                tracing::warn!(%error, "Slack: the cards of several requests cannot be read");
                return;
            }
        };
        for (batch, items) in batches {
            let shown: Shown = serde_json::from_str(&items).unwrap_or_default();
            for id in shown.all {
                self.0.cards.mark(id);
                self.lock_batched().insert(id, batch.clone());
            }
        }
    }

    /// The card of several requests a request is in.
    pub(super) fn batch_of(&self, approval_id: ApprovalId) -> Option<String> {
        self.lock_batched().get(&approval_id).cloned()
    }

    /// The requests of a card.
    pub(super) fn in_batch(&self, batch: &str) -> Vec<ApprovalId> {
        let batched = self.lock_batched();
        let mut ids: Vec<ApprovalId> = batched.iter().filter(|(_, of)| *of == batch).map(|(id, _)| *id).collect();
        ids.sort();
        ids
    }

    /// Whether a new request waits for others like it. When the time is over, those that came get one card, or it gets
    /// its own.
    pub(super) fn gathers(&self, view: &ApprovalView) -> bool {
        if !self.0.settings.batch || view.route.batch.is_empty() || view.route.risk != Risk::Low {
            return false;
        }
        if self.lock_alone().contains(&view.approval_id) {
            return false;
        }
        let now = Instant::now();
        let mut gathering = self.lock_gathering();
        let group = gathering
            .entry(view.route.batch.clone())
            .or_insert_with(|| Gathering { until: now + GATHER, ids: Vec::new() });
        if !group.ids.contains(&view.approval_id) {
            group.ids.push(view.approval_id);
        }
        if now < group.until && group.ids.len() < MOST {
            self.0.cards.mark_at(view.approval_id, group.until);
            return true;
        }
        let Some(group) = gathering.remove(&view.route.batch) else { return false };
        drop(gathering);
        if group.ids.len() < 2 {
            return false;
        }
        let batch = group.ids.iter().min().map(ToString::to_string).unwrap_or_default();
        let mut batched = self.lock_batched();
        for id in group.ids {
            batched.insert(id, batch.clone());
        }
        drop(batched);
        self.0.cards.mark(view.approval_id);
        true
    }

    /// Brings a card of several requests to what they are now.
    pub(super) async fn show_batch(&self, batch: &str) -> Result<(), String> {
        let core = &*self.0;
        let ids = self.in_batch(batch);
        let mut views = Vec::with_capacity(ids.len());
        for id in &ids {
            views.push(self.request(*id).await.map_err(|problem| problem.detail)?);
        }
        let Some(first) = views.first() else { return Ok(()) };
        let name = batch_name_of(batch);
        let copies = core.desk.copies(&name).await.map_err(|e| e.to_string())?;
        let closed = views.iter().all(|view| view.decision.is_some());
        if copies.is_empty() && closed {
            return self.close_batch(batch).await;
        }
        let project = core.service.project(&first.project_id.to_string()).await.map_err(|problem| problem.detail)?;
        let thread = core.desk.thread(first.project_id).await.map_err(|e| e.to_string())?;
        let waiting: Vec<ApprovalView> = views.iter().filter(|view| view.decision.is_none()).cloned().collect();
        let item = |view: &ApprovalView| BatchItem { approval_id: view.approval_id, digest: view.digest.clone() };
        let shown =
            Shown { all: ids, digest: view::batch::digest(&waiting), items: waiting.iter().map(item).collect() };
        let card = self.batch_card_of(&views, &waiting);
        // Written down first: a card that shows more than is known here decides nothing.
        let items = serde_json::to_string(&shown).map_err(|e| e.to_string())?;
        core.desk.set_batch(batch, items).await.map_err(|e| e.to_string())?;
        let places = match copies.first() {
            Some(copy) => vec![(copy.target.clone(), copy.thread_ts.clone())],
            None => self.places(&project, thread.as_ref()),
        };
        for (target, thread_ts) in places {
            let want = Want {
                name: name.clone(),
                target: target.clone(),
                thread_ts,
                text: card.text.clone(),
                blocks: card.blocks.clone(),
                closed,
            };
            match self.put(&want).await {
                Ok(place) => {
                    if want.thread_ts.is_none() {
                        core.desk.link(place, first.project_id).await.map_err(|e| e.to_string())?;
                    }
                    if closed {
                        self.close_batch(batch).await?;
                    }
                    return Ok(());
                }
                Err(Unsaid::Nowhere(error)) => {
                    tracing::warn!(%error, channel = %target, "Slack: no place for a card; the next is tried");
                    core.desk.forget(&name, &target).await.map_err(|e| e.to_string())?;
                }
                Err(Unsaid::Later(why)) => return Err(why),
            }
        }
        Ok(())
    }

    /// All of its requests are decided, and it says so: it is not looked at again.
    async fn close_batch(&self, batch: &str) -> Result<(), String> {
        self.0.desk.drop_batch(batch).await.map_err(|e| e.to_string())?;
        self.lock_batched().retain(|_, of| of != batch);
        Ok(())
    }

    /// A request waits no more: it is put into no card with others, and how it was shown needs not be remembered.
    pub(super) fn settled(&self, approval_id: ApprovalId) {
        self.lock_alone().remove(&approval_id);
        self.lock_gathering().retain(|_, group| {
            group.ids.retain(|id| *id != approval_id);
            !group.ids.is_empty()
        });
    }

    /// What a card of several requests shows: those that wait, or what became of all of them.
    fn batch_card_of(&self, views: &[ApprovalView], waiting: &[ApprovalView]) -> Card {
        if !waiting.is_empty() {
            let mut card = view::batch_card(waiting);
            let decided: Vec<String> = self.outcomes(views);
            if !decided.is_empty() {
                card.blocks.push(blocks::section(&text::list(&decided, decided.len(), OUTCOMES)));
            }
            return card;
        }
        let title = format!("{} that were alike: all decided", figures::count(views.len(), "request"));
        let lines = self.outcomes(views);
        let blocks = vec![blocks::header(&title), blocks::section(&text::list(&lines, lines.len(), OUTCOMES))];
        Card { text: title, blocks }
    }

    fn outcomes(&self, views: &[ApprovalView]) -> Vec<String> {
        let decided = views.iter().filter_map(|view| view.decision.as_ref().map(|decision| (view, decision)));
        decided.map(|(view, decision)| format!("• {}", answers::outcome(view, decision, &self.0.crew))).collect()
    }

    /// The card of several requests that was pressed, and what it showed; `None` if it showed something else.
    pub(super) async fn shown_batch(
        &self,
        click: &Click,
        of: &OfBatch,
    ) -> Result<Option<(String, Vec<BatchItem>)>, Later> {
        let desk = &self.0.desk;
        let failed = |error: JournalError| Later(unkept(&error.to_string()));
        for (batch, items) in desk.batches().await.map_err(failed)? {
            let copies = desk.copies(&batch_name_of(&batch)).await.map_err(failed)?;
            let mut places = copies.iter().filter_map(|copy| copy.place.as_ref());
            if !places.any(|place| {
                Some(&place.channel) == click.channel.as_ref() && Some(&place.ts) == click.message_ts.as_ref()
            }) {
                continue;
            }
            let shown: Shown = serde_json::from_str(&items).unwrap_or_default();
            if let Some(first) = shown.all.first() {
                self.0.cards.mark(*first);
            }
            let same = shown.digest == of.digest && !shown.items.is_empty();
            return Ok(same.then_some((batch, shown.items)));
        }
        Ok(None)
    }

    /// Takes a card of several requests apart: each gets its own.
    pub(super) async fn dissolve(&self, batch: &str) -> Result<(), String> {
        let core = &*self.0;
        let name = batch_name_of(batch);
        let ids = self.in_batch(batch);
        for copy in core.desk.copies(&name).await.map_err(|e| e.to_string())? {
            let title = format!("{} that are alike: shown one by one", figures::count(ids.len(), "request"));
            let want = Want {
                name: name.clone(),
                target: copy.target,
                thread_ts: copy.thread_ts,
                blocks: vec![blocks::header(&title)],
                text: title,
                closed: true,
            };
            match self.put(&want).await {
                Ok(_) | Err(Unsaid::Nowhere(_)) => {}
                Err(Unsaid::Later(why)) => return Err(why),
            }
        }
        core.desk.drop_batch(batch).await.map_err(|e| e.to_string())?;
        self.lock_batched().retain(|_, of| of != batch);
        self.lock_alone().extend(ids.iter().copied());
        ids.iter().for_each(|id| core.cards.mark(*id));
        Ok(())
    }
}
