//! Mails that do not arrive: another address, other people who may decide, those who look after the installation.

use std::collections::BTreeSet;

use bus_schemas::v1::api::{ApprovalView, ProjectView};

use super::{
    super::core::Bridge,
    Say,
    people::is_lost,
    requests::{Late, request_name},
};
use crate::{
    adapter::mail::{Desk, Kept, OutKind, OutMail, OutState, Story, Transport, Verifier, mime::Auto},
    mail::{
        bounce::{Action, Bounce},
        token,
    },
    port::Service,
};

impl<S: Service, D: Desk, V: Verifier, T: Transport> Bridge<S, D, V, T> {
    /// A mail is lost, and that is written down: what it was about is looked at again.
    pub(super) fn is_lost(&self, mail: &OutMail) {
        let why = mail.error.as_deref().unwrap_or_default();
        tracing::warn!(name = %mail.name, to = %mail.to, person = %mail.person, %why, "mail: it does not arrive");
        if let Some(approval_id) = mail.approval_id.filter(|_| mail.kind == OutKind::Request) {
            self.0.requests.mark(approval_id);
        } else if let Some(project_id) = mail.project_id {
            self.0.projects.mark(project_id);
        }
    }

    /// A server says what became of a mail of ours; what came of that, for people. Anybody can write such a mail: it counts only if it
    /// names a mail of ours by its id or token, which its recipient alone knows, and that recipient.
    ///
    /// # Errors
    /// [`crate::port::journal::JournalError`].
    pub(in super::super) async fn bounced(&self, bounce: &Bounce) -> Kept<String> {
        let Some(mail) = self.bounced_mail(bounce).await? else {
            return Ok("a bounce of no mail of ours".to_owned());
        };
        let about_it = |address: &str| address.is_empty() || address.eq_ignore_ascii_case(&mail.to);
        let Some(report) = bounce.recipients.iter().find(|report| about_it(&report.address)) else {
            return Ok(format!("a bounce of {} for somebody it was not sent to", mail.name));
        };
        let why = format!("{} {}", report.status, report.diagnostic).trim().to_owned();
        match report.action {
            Action::Failed if matches!(mail.state, OutState::Bounced) => Ok(format!("{} bounced before", mail.name)),
            Action::Failed => {
                let lost = OutMail { state: OutState::Bounced, error: Some(format!("it came back: {why}")), ..mail };
                self.0.world.desk.set_out(lost.clone()).await?;
                self.is_lost(&lost);
                Ok(format!("{} to {} came back: {why}", lost.name, lost.to))
            }
            Action::Delayed => {
                tracing::info!(name = %mail.name, to = %mail.to, %why, "mail: it is on its way, late");
                Ok(format!("{} to {} is late: {why}", mail.name, mail.to))
            }
            Action::Delivered => Ok(format!("{} to {} arrived", mail.name, mail.to)),
        }
    }

    async fn bounced_mail(&self, bounce: &Bounce) -> Kept<Option<OutMail>> {
        let world = &self.0.world;
        for text in &bounce.tokens {
            if let Some(id) = token::read_plus(&world.settings.key, text)
                && let Some(mail) = world.desk.out(id).await?
            {
                return Ok(Some(mail));
            }
        }
        world.desk.out_by_message_id(&bounce.about).await
    }

    /// Those who were asked and are reached at no address: everybody else who may decide is asked, too, and the admins hear of it.
    pub(super) async fn reach_others(
        &self,
        view: &ApprovalView,
        project: &ProjectView,
        asked: &[String],
        before: &[OutMail],
        late: &mut Late,
    ) -> Result<(), String> {
        let name = request_name(view);
        let is_unreached = |person: &&String| {
            let mut theirs = before.iter().filter(|mail| mail.name == name && mail.person == **person).peekable();
            theirs.peek().is_some() && theirs.all(is_lost) && self.crew().recipient(person, before).is_none()
        };
        let unreached: Vec<&String> = asked.iter().filter(is_unreached).collect();
        if unreached.is_empty() {
            return Ok(());
        }
        let route = &view.route;
        let excluded: BTreeSet<&String> = route.excluded.iter().chain(asked).collect();
        let voted = |name: &&String| route.votes.iter().any(|vote| vote.by == **name);
        let others = route.eligible.iter().filter(|name| !excluded.contains(name) && !voted(name));
        let others: Vec<String> = others.cloned().collect();
        self.ask_people(view, project, &others, before, late).await?;
        for person in unreached {
            self.tell_admins(view, person).await?;
        }
        Ok(())
    }

    async fn tell_admins(&self, view: &ApprovalView, person: &str) -> Result<(), String> {
        let name = format!("unreached:{}:{person}", view.approval_id);
        let told = self.0.world.desk.out_named(&name).await.map_err(|e| e.to_string())?;
        let mut is_told = false;
        for admin in self.0.world.people.admins() {
            let before: Vec<OutMail> = told.iter().filter(|mail| mail.person == admin).cloned().collect();
            let Some(to) =
                Some(admin).filter(|admin| *admin != person).and_then(|admin| self.crew().recipient(admin, &before))
            else {
                continue;
            };
            is_told = true;
            let said = Say {
                name: name.clone(),
                to,
                project_id: Some(view.project_id),
                approval_id: Some(view.approval_id),
                digest: String::new(),
                kind: OutKind::Project,
                in_reply_to: None,
                auto: Auto::Generated,
                story: Story::Done { said: self.unreached(view, person) },
            };
            self.say(said).await.map_err(|e| e.to_string())?;
        }
        if !is_told {
            tracing::error!(approval.id = %view.approval_id, %person,
                "mail: somebody who may decide cannot be reached, and no admin can be told: `baton approvals` shows what waits");
        }
        Ok(())
    }

    fn unreached(&self, view: &ApprovalView, person: &str) -> String {
        let addresses = self.crew().addresses(person).join(", ");
        format!(
            "{person} could not be reached at {addresses}: mail to them is refused, or comes back. A request of “{}” waits for a \
             decision; `baton approvals {}` shows it, and `baton delegate` lets somebody else decide. Correct the \
             address in `[members.{person}]`.",
            view.project_title, view.approval_id
        )
    }
}
