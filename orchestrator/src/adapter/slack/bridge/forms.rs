//! What was written in modals: checked while they are open, carried out afterwards.

use bus_schemas::v1::{approval::Verdict, plan::Budget};
use serde_json::Value;

use super::{
    core::Bridge,
    desk::Desk,
    post::Asker,
    start::Order,
    work::{Later, Outcome, unkept},
};
use crate::{
    adapter::slack::{
        Envelope, Inbound, SlackWeb,
        inbound::{SlackFile, Submission},
        view::{
            self, callback, form,
            modal::{About, Origin},
        },
    },
    port::Service,
};

/// What is wrong with a form, as Slack shows it beside its fields; `None` if it can be taken.
pub(super) fn errors(submission: &Submission) -> Option<Value> {
    let wrong = match submission.callback_id.as_str() {
        callback::GOAL => form::goal(&submission.values).err(),
        callback::CHANGES | callback::REJECT | callback::ASK | callback::ANSWER => form::note(&submission.values).err(),
        callback::EDIT => form::plan(&submission.values).err(),
        callback::DELEGATE => form::person(&submission.values).err(),
        _ => None,
    };
    wrong.map(|wrong| wrong.response())
}

/// Who sent a form, and where they are answered: below the card it was opened from.
pub(super) fn asker(submission: &Submission) -> Asker {
    let user = submission.user.clone();
    let place = |channel: String, thread_ts: Option<String>| Asker {
        user: user.clone(),
        channel: Some(channel).filter(|channel| !channel.is_empty()),
        thread_ts: thread_ts.filter(|ts| !ts.is_empty()),
        response_url: None,
    };
    if submission.callback_id == callback::GOAL {
        let origin: Origin = view::read(&submission.private_metadata).unwrap_or_default();
        return place(origin.channel, origin.thread_ts);
    }
    match view::read::<About>(&submission.private_metadata) {
        Ok(about) => place(about.channel, Some(about.ts)),
        Err(_) => place(String::new(), None),
    }
}

impl<S: Service, W: SlackWeb, D: Desk> Bridge<S, W, D> {
    /// A form was sent.
    pub(super) async fn submitted(&self, submission: &Submission, envelope: &Envelope, again: bool) -> Outcome {
        let asker = asker(submission);
        if !self.may(&submission.user).await? {
            return self.turn_away(&asker).await;
        }
        if submission.callback_id == callback::GOAL {
            return match form::goal(&submission.values) {
                Ok(goal) => {
                    let origin: Origin = view::read(&submission.private_metadata).unwrap_or_default();
                    let order = self.order_of(asker, goal, origin, envelope).await?;
                    self.start(order).await
                }
                // Said in the form itself.
                Err(_) => Ok("the form was not complete".to_owned()),
            };
        }
        let Ok(about) = view::read::<About>(&submission.private_metadata) else {
            return Ok("refused: a form of nobody's".to_owned());
        };
        let id = about.approval_id;
        if submission.callback_id == callback::EDIT {
            return match form::plan(&submission.values) {
                Ok(plan) => self.edit(&asker, &about, plan, again).await,
                Err(_) => Ok("the form was not complete".to_owned()),
            };
        }
        if submission.callback_id == callback::DELEGATE {
            return match form::person(&submission.values) {
                Ok(person) => self.delegate(&asker, id, &person, again).await,
                Err(_) => Ok("the form was not complete".to_owned()),
            };
        }
        let Ok(note) = form::note(&submission.values) else { return Ok("the form was not complete".to_owned()) };
        let verdict = match submission.callback_id.as_str() {
            callback::ASK => return self.ask(&asker, id, note, again).await,
            callback::CHANGES => Verdict::ChangesRequested,
            callback::REJECT => Verdict::Rejected,
            callback::ANSWER => Verdict::Approved,
            _ => return Ok("refused: an unknown form".to_owned()),
        };
        self.decide(&asker, id, &about.digest, verdict, note, None, again).await
    }

    async fn order_of(
        &self,
        asker: Asker,
        goal: form::Goal,
        origin: Origin,
        envelope: &Envelope,
    ) -> Result<Order, Later> {
        let files = match &origin.message {
            Some(key) => self.files_of(key).await?,
            None => Vec::new(),
        };
        let fallback = || self.0.settings.channel.clone().unwrap_or_else(|| asker.user.clone());
        let channel = if origin.channel.is_empty() { fallback() } else { origin.channel };
        Ok(Order {
            goal: goal.goal,
            channel,
            thread_ts: origin.thread_ts,
            files,
            preset: goal.preset,
            folder: goal.folder.unwrap_or_default(),
            budget: Budget { usd: goal.usd, ..Budget::default() },
            policy: goal.policy,
            key: envelope.key.clone(),
            asker,
        })
    }

    /// The files of the message whose shortcut was kept.
    async fn files_of(&self, key: &str) -> Result<Vec<SlackFile>, Later> {
        let row = self.0.desk.kept(key).await.map_err(|error| Later(unkept(&error.to_string())))?;
        let Some(row) = row else { return Ok(Vec::new()) };
        Ok(match Envelope::again(row.key, row.raw, row.received_at).inbound {
            Ok(Inbound::Shortcut(shortcut)) => shortcut.message.files,
            _ => Vec::new(),
        })
    }
}
