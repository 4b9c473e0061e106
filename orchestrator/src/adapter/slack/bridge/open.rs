//! Modals: opened within three seconds of the press, or not at all.

use std::time::Duration;

use bus_schemas::{id::ApprovalId, v1::api::ApprovalView};
use serde_json::Value;

use super::{answers, core::Bridge, desk::Desk, post::Asker, talk, work::unkept};
use crate::{
    adapter::slack::{
        SlackWeb,
        inbound::{Click, MessageShortcut, Slash},
        view::{
            self, Pressed, action,
            modal::{self, About, Choice, Origin, Prefill},
        },
    },
    port::Service,
};

/// How long the orchestrator may take to say what a form is about: the trigger is good for three seconds.
const LOOK: Duration = Duration::from_millis(1500);

impl<S: Service, W: SlackWeb, D: Desk> Bridge<S, W, D> {
    /// Opens the form of a button.
    pub(super) async fn open_for(&self, click: &Click, key: &str) {
        let asker = Asker {
            user: click.user.clone(),
            channel: click.channel.clone(),
            thread_ts: click.thread_ts.clone(),
            response_url: click.response_url.clone(),
        };
        if click.action_id == action::START {
            let origin = Origin { channel: click.channel.clone().unwrap_or_default(), ..Origin::default() };
            self.show_goal(&asker, &click.trigger_id, Prefill::default(), &origin, key).await;
            return;
        }
        let Ok(pressed) = view::read::<Pressed>(&click.value) else { return };
        let view = match self.look_up(pressed.approval_id).await {
            Ok(view) => view,
            Err(said) => {
                self.whisper(&asker, said).await;
                self.finish(key, "the form could not be opened").await;
                return;
            }
        };
        if let Some(decision) = &view.decision {
            self.0.cards.mark(view.approval_id);
            let outcome = answers::outcome(&view, decision, &self.0.crew);
            self.whisper(
                &asker,
                format!(":information_source: Too late: {outcome}. Nothing more can be said about it."),
            )
            .await;
            self.finish(key, "refused: already decided").await;
            return;
        }
        // The digest is that of the card that was pressed: what is written is about what was seen.
        let about = About {
            approval_id: pressed.approval_id,
            digest: pressed.digest,
            channel: click.channel.clone().unwrap_or_default(),
            ts: click.thread_ts.clone().or_else(|| click.message_ts.clone()).unwrap_or_default(),
        };
        let form = match click.action_id.as_str() {
            action::EDIT => {
                // The text is that of the plan as it is now.
                let about = About { digest: view.digest.clone(), ..about };
                modal::edit_modal(&view, &self.draft(&view), &about)
            }
            action::CHANGES => modal::changes_modal(&view, &about),
            action::REJECT => modal::reject_modal(&view, &about),
            action::ASK => modal::ask_modal(&view, &about),
            action::DELEGATE => modal::delegate_modal(&view, &about),
            _ => modal::answer_modal(&view, &about),
        };
        self.show_form(&asker, &click.trigger_id, &form, key).await;
    }

    /// `/baton` alone.
    pub(super) async fn open_goal(&self, slash: &Slash, key: &str) {
        let asker = Asker {
            user: slash.user.clone(),
            channel: Some(slash.channel.clone()),
            thread_ts: None,
            response_url: slash.response_url.clone(),
        };
        let origin = Origin { channel: slash.channel.clone(), ..Origin::default() };
        self.show_goal(&asker, &slash.trigger_id, Prefill::default(), &origin, key).await;
    }

    /// "Delegate this" in a message's menu.
    pub(super) async fn open_delegate(&self, shortcut: &MessageShortcut, key: &str) {
        let said = &shortcut.message;
        let asker = Asker {
            user: shortcut.user.clone(),
            channel: Some(shortcut.channel.clone()),
            thread_ts: said.thread_ts.clone(),
            response_url: shortcut.response_url.clone(),
        };
        let goal = self.without_known(&talk::unescaped(&said.text));
        let prefill = Prefill { goal, files: said.files.len(), ..Prefill::default() };
        let origin = Origin {
            channel: shortcut.channel.clone(),
            thread_ts: Some(said.thread_ts.clone().unwrap_or_else(|| said.ts.clone())),
            message: (!said.files.is_empty()).then(|| key.to_owned()),
        };
        self.show_goal(&asker, &shortcut.trigger_id, prefill, &origin, key).await;
    }

    async fn show_goal(&self, asker: &Asker, trigger: &str, prefill: Prefill, origin: &Origin, key: &str) {
        let presets = tokio::time::timeout(LOOK, self.0.service.presets()).await;
        let presets: Vec<Choice> = presets
            .ok()
            .and_then(Result::ok)
            .unwrap_or_default()
            .into_iter()
            .map(|preset| Choice { name: preset.name, description: preset.description })
            .collect();
        let form = modal::goal_modal(&presets, &self.0.settings.policies, &prefill, origin);
        self.show_form(asker, trigger, &form, key).await;
    }

    async fn show_form(&self, asker: &Asker, trigger: &str, form: &Value, key: &str) {
        let Some(form) = self.hidden(form) else {
            self.whisper(
                asker,
                ":warning: That form cannot be shown safely, so it stays closed. Nothing was decided.".to_owned(),
            )
            .await;
            self.finish(key, "the form could not be shown").await;
            return;
        };
        match self.0.web.open_view(trigger, &form).await {
            Ok(_) => self.finish(key, "the form was opened").await,
            Err(error) => {
                tracing::warn!(%error, "Slack: a form could not be opened");
                let said = ":warning: Slack did not open the form in time. Nothing was decided: please press it again.";
                self.whisper(asker, said.to_owned()).await;
                self.finish(key, "the form could not be opened").await;
            }
        }
    }

    /// The request, while the trigger lasts.
    async fn look_up(&self, approval_id: ApprovalId) -> Result<ApprovalView, String> {
        match tokio::time::timeout(LOOK, self.request(approval_id)).await {
            Ok(Ok(view)) => Ok(view),
            Ok(Err(problem)) if answers::is_passing(&problem) => Err(cannot_now()),
            Ok(Err(problem)) => Err(self.plain(&problem)),
            Err(_) => {
                Err(answers::plain(&unkept("the orchestrator took too long to say what this is about; press it again")))
            }
        }
    }
}

/// Whether a press wants a form.
pub(super) fn wants_form(click: &Click) -> bool {
    match click.action_id.as_str() {
        action::CHANGES | action::EDIT | action::REJECT | action::ASK | action::DELEGATE => {
            view::read::<Pressed>(&click.value).is_ok()
        }
        action::ANSWER => view::read::<Pressed>(&click.value).is_ok_and(|pressed| pressed.option.is_none()),
        action::START => true,
        _ => false,
    }
}

fn cannot_now() -> String {
    ":hourglass_flowing_sand: Baton cannot open that form right now. Nothing was decided: please press it again in a moment.".to_owned()
}
