//! What is said once about a request, in the thread of its card: reminders, who may decide now, what the agent answered.

use bus_schemas::v1::api::ApprovalView;

use super::{
    answers,
    batches::batch_name_of,
    cards::card_name,
    core::Bridge,
    desk::{Desk, Posting},
    post::{Unsaid, Want},
};
use crate::{
    adapter::slack::{SlackWeb, view::text},
    digest,
    port::Service,
};

/// People named in one message.
const NAMED: usize = 20;
/// The most of a question or an answer that is shown.
const QUOTED: usize = 2_500;

impl<S: Service, W: SlackWeb, D: Desk> Bridge<S, W, D> {
    /// Says what was not said yet.
    pub(super) async fn tell_about(&self, view: &ApprovalView) -> Result<(), String> {
        let Some(copy) = self.main_copy(view).await? else { return Ok(()) };
        if view.decision.is_none() {
            self.remind(view, &copy).await?;
            self.tell_who(view, &copy).await?;
        }
        for (number, asked) in view.route.questions.iter().enumerate() {
            let Some(answer) = &asked.answer else { continue };
            let who = self.0.crew.mention(&asked.by);
            let text = format!(
                "{who} asked about {}:\n{}\nThe agent answers (this decides nothing):\n{}",
                answers::about(view),
                text::quote(&asked.question, QUOTED),
                text::quote(answer, QUOTED)
            );
            self.say_below(&copy, format!("answer:{}:{number}", view.approval_id), text).await?;
        }
        Ok(())
    }

    async fn remind(&self, view: &ApprovalView, copy: &Posting) -> Result<(), String> {
        let number = view.route.reminders;
        if number == 0 {
            return Ok(());
        }
        let voted = |name: &&str| view.route.votes.iter().any(|vote| vote.by == *name);
        let waited: Vec<&str> = view.route.eligible.iter().map(String::as_str).filter(|name| !voted(name)).collect();
        let whom =
            if waited.is_empty() { "somebody who may decide".to_owned() } else { self.0.crew.list(&waited, NAMED) };
        let until = view.expires_at.map_or_else(String::new, |at| format!(" It ends {}.", text::date(at)));
        let text = format!(":alarm_clock: {} still waits for {whom}.{until}", capital(&answers::about(view)));
        self.say_below(copy, format!("reminder:{}:{number}", view.approval_id), text).await
    }

    /// Those who may decide have changed: more after a while, others because somebody handed their say on.
    async fn tell_who(&self, view: &ApprovalView, copy: &Posting) -> Result<(), String> {
        let desk = &self.0.desk;
        let prefix = format!("who:{}:", view.approval_id);
        let name = format!("{prefix}{}", digest::of_bytes(view.route.eligible.join(",").as_bytes()));
        // The first ones are on the card; those who come later are told.
        let first =
            Posting { name: format!("{prefix}first"), target: name.clone(), closed: true, ..Posting::default() };
        let known = desk.copies(&first.name).await.map_err(|e| e.to_string())?;
        match known.first() {
            None => desk.intend(first).await.map(drop).map_err(|e| e.to_string()),
            Some(known) if known.target == name => Ok(()),
            Some(_) => {
                let names: Vec<&str> = view.route.eligible.iter().map(String::as_str).collect();
                if names.is_empty() {
                    return Ok(());
                }
                let text = format!(
                    ":busts_in_silhouette: These people may decide about {} now: {}.",
                    answers::about(view),
                    self.0.crew.list(&names, NAMED)
                );
                self.say_below(copy, name, text).await
            }
        }
    }

    /// Says something in the thread of a card, once.
    async fn say_below(&self, copy: &Posting, name: String, text: String) -> Result<(), String> {
        let Some(place) = &copy.place else { return Ok(()) };
        let want = Want {
            name,
            target: place.channel.clone(),
            thread_ts: Some(copy.thread_ts.clone().unwrap_or_else(|| place.ts.clone())),
            text,
            ..Want::default()
        };
        match self.say(want).await {
            Ok(_) => Ok(()),
            Err(Unsaid::Nowhere(error)) => {
                tracing::warn!(%error, "Slack: nothing can be said below a card");
                Ok(())
            }
            Err(Unsaid::Later(why)) => Err(why),
        }
    }

    /// The copy of its card that most people see.
    pub(super) async fn main_copy(&self, view: &ApprovalView) -> Result<Option<Posting>, String> {
        let name =
            self.batch_of(view.approval_id).map_or_else(|| card_name(view.approval_id), |batch| batch_name_of(&batch));
        let copies = self.0.desk.copies(&name).await.map_err(|e| e.to_string())?;
        let mut there: Vec<Posting> = copies.into_iter().filter(|copy| copy.place.is_some()).collect();
        there.sort_by_key(|copy| copy.target.starts_with(['U', 'W']));
        Ok(there.into_iter().next())
    }
}

/// The first letter large.
fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
