//! What is said about a project: notes to its agents, how it is, stop.

use bus_schemas::{
    id::ProjectId,
    v1::{
        api::{CancelRequest, ProjectView, TellRequest},
        project::ProjectState,
    },
};

use super::{
    Outlet,
    about::Thread,
    act::EMAIL,
    answers,
    judge::Genuine,
    work::{Done, Inward, Later, Outcome},
};
use crate::{
    adapter::mail::{Desk, OutMail, Story, Verifier},
    mail::intent::{About, Wish, of_reply},
    port::Service,
};

impl<S: Service, D: Desk, V: Verifier, O: Outlet> Inward<S, D, V, O> {
    pub(super) async fn about_project(&self, mail: &Genuine, out: &OutMail, project_id: ProjectId) -> Outcome {
        let of = Thread::of(project_id);
        let view = match self.0.service.project(&project_id.to_string()).await {
            Ok(view) => view,
            Err(problem) => return self.refuse(mail, &of, None, &problem, Some(project_id)).await,
        };
        if is_unsubscribing(&mail.letter.subject) && out.person == mail.sender.person {
            self.0.outlet.quieten(project_id, &out.person).await?;
            return Ok(Done::new("they want no more news of it", Some(project_id)));
        }
        let about = if view.state.is_final() { About::Ended } else { About::Project };
        let wish = of_reply(&mail.letter, about);
        if wish == Wish::Nothing {
            return self.without_words(mail, &of, project_id).await;
        }
        if !self.has_part(mail, out, &view) {
            let story = answers::refused(
                "Nothing was done",
                "the mail you answered was sent to somebody else, and you are no member of this Baton",
                Some("ask them to answer it themselves, or write a new mail to begin a project of your own"),
            );
            self.answer(mail, &Thread::default(), story).await?;
            return Ok(Done::new("refused: it answers what was sent to somebody else", Some(project_id)));
        }
        match wish {
            Wish::Status => self.show(mail, view).await,
            Wish::Cancel(reason) => self.cancel(mail, project_id, reason).await,
            Wish::Note(text) => self.note(mail, &view, text).await,
            Wish::Unclear(why) => {
                let story = answers::refused("Nothing was done", &why, None);
                self.answer(mail, &of, story).await?;
                Ok(Done::new(format!("asked back: {why}"), Some(project_id)))
            }
            Wish::Approve
            | Wish::Changes(_)
            | Wish::Reject(_)
            | Wish::Ask(_)
            | Wish::Delegate(_)
            | Wish::Answer(_)
            | Wish::Nothing => Ok(Done::new("no new text", Some(project_id))),
        }
    }

    /// Whether somebody may have their say about a project: members, who began it, and to whom the mail was sent.
    fn has_part(&self, mail: &Genuine, out: &OutMail, view: &ProjectView) -> bool {
        let sender = &mail.sender;
        sender.is_member || out.person == sender.person || view.owner == sender.person
    }

    pub(super) async fn status(&self, mail: &Genuine, project_id: ProjectId) -> Outcome {
        match self.0.service.project(&project_id.to_string()).await {
            Ok(view) => self.show(mail, view).await,
            Err(problem) => self.refuse(mail, &Thread::of(project_id), None, &problem, Some(project_id)).await,
        }
    }

    async fn show(&self, mail: &Genuine, view: ProjectView) -> Outcome {
        let project_id = view.project_id;
        self.answer(mail, &Thread::of(project_id), Story::Status { project: Box::new(view) }).await?;
        Ok(Done::new("its status was sent", Some(project_id)))
    }

    async fn note(&self, mail: &Genuine, view: &ProjectView, text: String) -> Outcome {
        let project_id = view.project_id;
        let of = Thread::of(project_id);
        let said = if mail.again && self.was_told(mail, project_id, &text).await? {
            "The agents were told.".to_owned()
        } else {
            let request = TellRequest { task: None, text, by: mail.sender.handle.clone(), channel: EMAIL.to_owned() };
            match self.0.service.tell(&project_id.to_string(), request).await {
                Ok(told) => answers::told(&told),
                Err(problem) => return self.refuse(mail, &of, None, &problem, Some(project_id)).await,
            }
        };
        let said = answers::with_files(said, &mail.letter.attachments);
        self.answer(mail, &of, Story::Done { said }).await?;
        Ok(Done::new("noted", Some(project_id)))
    }

    /// The note is in the journal: it was told before the program was ended.
    async fn was_told(&self, mail: &Genuine, project_id: ProjectId, text: &str) -> Result<bool, Later> {
        let journal = self.0.service.journal(&project_id.to_string()).await.map_err(Later::Problem)?;
        Ok(journal.iter().rev().take_while(|entry| entry.at >= mail.received_at).any(|entry| {
            let event = serde_json::to_value(&entry.event).unwrap_or_default();
            let fact = event.get("fact").unwrap_or(&event);
            let is = |name: &str, text: &str| fact.get(name).and_then(serde_json::Value::as_str) == Some(text);
            is("from", &mail.sender.person) && is("text", text)
        }))
    }

    /// Stops a project: who began it may, and those who look after the installation.
    pub(super) async fn cancel(&self, mail: &Genuine, project_id: ProjectId, reason: String) -> Outcome {
        let of = Thread::of(project_id);
        let view = match self.0.service.project(&project_id.to_string()).await {
            Ok(view) => view,
            Err(problem) => return self.refuse(mail, &of, None, &problem, Some(project_id)).await,
        };
        let me = &mail.sender.person;
        if view.owner != *me && !self.0.people.admins().contains(&me.as_str()) {
            let why = format!(
                "only {}, who began “{}”, may stop it, and whoever looks after this Baton",
                view.owner, view.title
            );
            let hint = "to refuse what a request is about, answer it with `reject: why`";
            self.answer(mail, &of, answers::refused("Nothing was stopped", &why, Some(hint))).await?;
            return Ok(Done::new("refused: they may not stop it", Some(project_id)));
        }
        let title = view.title.clone();
        if view.state != ProjectState::Canceled {
            let request =
                CancelRequest { task: None, by: mail.sender.handle.clone(), channel: EMAIL.to_owned(), reason };
            if let Err(problem) = self.0.service.cancel(&project_id.to_string(), request).await {
                return self.refuse(mail, &of, None, &problem, Some(project_id)).await;
            }
        }
        self.answer(mail, &of, Story::Done { said: format!("“{title}” is stopped.") }).await?;
        Ok(Done::new("stopped", Some(project_id)))
    }
}

/// What mail programs write for somebody who wants no more: our news name this subject for it.
fn is_unsubscribing(subject: &str) -> bool {
    subject.trim().eq_ignore_ascii_case("unsubscribe")
}
