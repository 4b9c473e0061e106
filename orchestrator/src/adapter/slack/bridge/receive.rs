//! What comes in: kept first, then what cannot wait, then lined up.

use serde_json::Value;

use super::{
    core::Bridge,
    desk::{Desk, InboxRow},
    forms, open, work,
};
use crate::{
    adapter::slack::{Envelope, Inbound, Receiver, SlackWeb, view::callback},
    port::Service,
};

impl<S: Service, W: SlackWeb, D: Desk> Receiver for Bridge<S, W, D> {
    async fn keep(&self, envelope: &Envelope) -> Result<bool, String> {
        // Slack tells about everything that is said where the app is. What is none of its business is not written down.
        if let Ok(Inbound::Nothing) = envelope.inbound {
            return Ok(false);
        }
        let row = InboxRow { key: envelope.key.clone(), raw: envelope.raw.clone(), received_at: envelope.received_at };
        let mut early = self.0.kept_early.lock().await;
        let Some(keys) = early.as_mut() else {
            drop(early);
            return self.0.desk.keep(row).await.map_err(|error| error.to_string());
        };
        let is_new = self.0.desk.keep(row).await.map_err(|error| error.to_string())?;
        if is_new {
            keys.insert(envelope.key.clone());
        }
        Ok(is_new)
    }

    async fn receive(&self, envelope: Envelope) -> Option<Value> {
        let at_once = match &envelope.inbound {
            Ok(Inbound::Submitted(_) | Inbound::Shortcut(_)) => true,
            Ok(Inbound::Click(click)) => open::wants_form(click),
            Ok(Inbound::Command(slash)) => slash.text.is_empty(),
            Ok(Inbound::Nothing) => return None,
            Ok(Inbound::Closed(_)) => {
                self.finish(&envelope.key, "of no interest").await;
                return None;
            }
            _ => false,
        };
        // For somebody who may not, or of whom Slack does not say who they are, no form opens: the lanes tell them so.
        let may = if at_once { self.may_now(&work::asker(&envelope).user).await } else { Ok(false) };
        // Said in the form itself, while it is still open: also to somebody of whom it is not known yet whether they may.
        if let Ok(Inbound::Submitted(submission)) = &envelope.inbound
            && !matches!(may, Ok(false))
            && let Some(errors) = forms::errors(submission)
        {
            self.finish(&envelope.key, "the form was not complete").await;
            return Some(errors);
        }
        if let Ok(true) = may {
            match &envelope.inbound {
                // What is wrong with a plan is said while its form is still open, and what was written stays in it.
                Ok(Inbound::Submitted(submission)) if submission.callback_id == callback::EDIT => {
                    let submission = submission.clone();
                    return self.edit_now(envelope, &submission).await;
                }
                // A form opens within three seconds or never.
                Ok(Inbound::Click(click)) => {
                    let (bridge, click, key) = (self.clone(), click.clone(), envelope.key);
                    self.background(async move { bridge.open_for(&click, &key).await });
                    return None;
                }
                Ok(Inbound::Command(slash)) => {
                    let (bridge, slash, key) = (self.clone(), slash.clone(), envelope.key);
                    self.background(async move { bridge.open_goal(&slash, &key).await });
                    return None;
                }
                Ok(Inbound::Shortcut(shortcut)) => {
                    let (bridge, shortcut, key) = (self.clone(), shortcut.clone(), envelope.key);
                    self.background(async move { bridge.open_delegate(&shortcut, &key).await });
                    return None;
                }
                _ => {}
            }
        }
        self.line_up(envelope, false);
        None
    }
}
