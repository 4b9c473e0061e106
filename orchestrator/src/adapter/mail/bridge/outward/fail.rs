//! Mails that do not arrive: another address, other people who may decide, those who look after the installation.

use std::collections::BTreeSet;

use bus_schemas::v1::api::{ApprovalView, ProjectView};

use super::{
    super::core::Bridge,
    Recipient, Say,
    people::{fails, has_it, is_lost},
    requests::Late,
};
use crate::{
    adapter::mail::{Desk, Kept, OutKind, OutMail, OutState, Story, Transport, Verifier, mime::Auto},
    mail::{
        address::{normal, one_line},
        bounce::{Action, Bounce, Recipient as Report},
        letter, token,
    },
    port::Service,
};

/// What stands between why a mail is lost and who is asked instead.
const INSTEAD: &str = "; instead: ";
/// How the names of answers to mails begin.
const ANSWER: &str = "answer:";
/// How the names of mails begin that say that somebody cannot be reached.
pub(super) const UNREACHED: &str = "unreached:";
/// The most that is shown of a subject, in characters.
const SUBJECT: usize = 150;

impl<S: Service, D: Desk, V: Verifier, T: Transport> Bridge<S, D, V, T> {
    /// A mail is lost: that is written down, and what it was about is looked at again.
    pub(super) async fn lose(&self, mail: OutMail) -> Kept<()> {
        let why = mail.error.as_deref().unwrap_or_default();
        tracing::warn!(name = %mail.name, to = %mail.to, person = %mail.person, %why, "mail: it does not arrive");
        if mail.name.starts_with(ANSWER) && mail.approval_id.is_none() {
            self.answer_is_lost(&mail).await?;
        }
        self.0.world.desk.set_out(mail.clone()).await?;
        if let Some(approval_id) = mail.approval_id {
            self.0.requests.mark(approval_id);
        }
        if let Some(project_id) = mail.project_id.filter(|_| mail.kind != OutKind::Request) {
            self.0.projects.mark(project_id);
        }
        Ok(())
    }

    /// A server says what became of a mail of ours; what came of that, for people. Anybody can write such a mail: it counts only if it
    /// names a mail of ours by its token (which is in its return path, too) or its id, and those its recipient alone knows. Which
    /// address it names says little: servers rewrite them, and there is one recipient for each mail of ours.
    ///
    /// # Errors
    /// [`crate::port::journal::JournalError`].
    pub(in super::super) async fn bounced(&self, bounce: &Bounce) -> Kept<String> {
        let Some(mail) = self.bounced_mail(bounce).await? else {
            return Ok("a bounce of no mail of ours".to_owned());
        };
        let Some(report) = report_of(bounce, &mail.to) else {
            return Ok(format!("a bounce of {} that says nothing of anybody", mail.name));
        };
        let why = format!("{} {}", report.status, report.diagnostic).trim().to_owned();
        let by_another_name = !report.address.is_empty() && !is_same(&report.address, &mail.to);
        let why = if by_another_name { format!("{why} (as {})", report.address) } else { why };
        match report.action {
            Action::Failed if matches!(mail.state, OutState::Bounced) => Ok(format!("{} bounced before", mail.name)),
            Action::Failed => {
                let said = format!("{} to {} came back: {why}", mail.name, mail.to);
                let error = Some(format!("it came back: {why}"));
                self.lose(OutMail { state: OutState::Bounced, error, ..mail }).await?;
                Ok(said)
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
    /// Who was asked in their stead.
    pub(super) async fn reach_others(
        &self,
        view: &ApprovalView,
        project: &ProjectView,
        asked: &[String],
        before: &[OutMail],
        late: &mut Late,
    ) -> Result<Vec<String>, String> {
        let is_unreached = |person: &&String| self.crew().is_unreached(person, before);
        let mut unreached: Vec<String> = asked.iter().filter(is_unreached).cloned().collect();
        if unreached.is_empty() {
            return Ok(Vec::new());
        }
        let route = &view.route;
        let excluded: BTreeSet<&String> = route.excluded.iter().chain(asked).collect();
        let voted = |name: &&String| route.votes.iter().any(|vote| vote.by == **name);
        // Where anybody may decide, it is for those who look after things.
        let eligible: BTreeSet<String> = if route.eligible.is_empty() {
            let admins = self.0.world.people.admins().into_iter().map(str::to_owned);
            admins.chain([project.owner.clone()]).collect()
        } else {
            route.eligible.iter().cloned().collect()
        };
        let others = eligible.iter().filter(|name| !excluded.contains(name) && !voted(name));
        let others: Vec<String> = others.cloned().collect();
        self.ask_people(view, project, &others, before, late).await?;
        unreached.extend(others.iter().filter(is_unreached).cloned());
        for person in &unreached {
            self.tell_keepers(view, project, person).await?;
        }
        Ok(others)
    }

    /// Says beside every mail that asked and is lost who has what it asks instead: `baton mail outbox` shows it.
    pub(super) async fn note_what_instead(&self, view: &ApprovalView, before: &[OutMail]) -> Result<(), String> {
        if !before.iter().any(is_lost) {
            return Ok(());
        }
        let desk = &self.0.world.desk;
        let now = desk.asks(view.approval_id).await.map_err(|e| e.to_string())?;
        let people: BTreeSet<&str> = now.iter().map(|mail| mail.person.as_str()).collect();
        let people = people.into_iter().filter(|person| has_it(&now, person, &view.digest));
        let is_current = |mail: &&OutMail| mail.digest == view.digest && !is_lost(mail) && !fails(&now, &mail.to);
        let places: Vec<(&str, &str)> = people
            .filter_map(|person| {
                let mail = now.iter().filter(is_current).find(|mail| mail.person == person)?;
                Some((person, mail.to.as_str()))
            })
            .collect();
        for mail in now.iter().filter(|mail| is_lost(mail) && mail.digest == view.digest) {
            let own: Vec<&(&str, &str)> = places.iter().filter(|(person, _)| *person == mail.person).collect();
            let instead = if own.is_empty() { places.iter().collect() } else { own };
            let names: Vec<String> = instead.iter().map(|(person, to)| format!("{person} at {to}")).collect();
            let names = if names.is_empty() {
                format!("nobody is left who can be asked by mail: `baton approvals {}`", view.approval_id)
            } else {
                names.join(", ")
            };
            let error = mail.error.as_deref().unwrap_or_default();
            let why = error.split_once(INSTEAD).map_or(error, |(why, _)| why);
            let noted = OutMail { error: Some(format!("{why}{INSTEAD}{names}")), ..mail.clone() };
            if noted.error != mail.error {
                desk.set_out(noted).await.map_err(|e| e.to_string())?;
            }
        }
        Ok(())
    }

    /// Tells the admins that somebody cannot be reached; where there is none who hears it, the project's owner.
    async fn tell_keepers(&self, view: &ApprovalView, project: &ProjectView, person: &str) -> Result<(), String> {
        let name = format!("{UNREACHED}{}:{person}", view.approval_id);
        let told = self.0.world.desk.out_named(&name).await.map_err(|e| e.to_string())?;
        let keepers = self.keepers(&project.owner, person, &told);
        for to in &keepers {
            let said = Say {
                name: name.clone(),
                to: to.clone(),
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
        if keepers.is_empty() {
            tracing::error!(approval.id = %view.approval_id, %person,
                "mail: somebody who may decide cannot be reached, and neither can an admin or the owner be told: `baton approvals` shows what waits");
        }
        Ok(())
    }

    /// Who is told that somebody cannot be reached, and at which address, after these were told: the admins, else the owner.
    fn keepers(&self, owner: &str, unreached: &str, told: &[OutMail]) -> Vec<Recipient> {
        let reach = |person: &str| {
            let before: Vec<OutMail> = told.iter().filter(|mail| mail.person == person).cloned().collect();
            self.crew().recipient(person, &before)
        };
        let others = |person: &&str| !person.is_empty() && *person != unreached;
        let admins: Vec<Recipient> =
            self.0.world.people.admins().into_iter().filter(others).filter_map(reach).collect();
        if admins.is_empty() { Some(owner).filter(others).and_then(reach).into_iter().collect() } else { admins }
    }

    /// An answer of ours is lost that belongs to no request: its person hears at another address that there was one, else the
    /// admins that they did not.
    async fn answer_is_lost(&self, mail: &OutMail) -> Kept<()> {
        let world = &self.0.world;
        let subject = match world.desk.out_text(mail.id).await {
            Ok(Some(raw)) => one_line(&letter::read(&raw).subject, SUBJECT),
            Ok(None) | Err(_) => String::new(),
        };
        let own = self.crew().recipient(&mail.person, std::slice::from_ref(mail));
        // What asks nothing and is about a project is in `baton status`.
        let is_told = own.is_some() || mail.project_id.is_some();
        let others = if is_told { Vec::new() } else { self.keepers("", &mail.person, &[]) };
        for to in own.into_iter().chain(others) {
            let why = mail.error.as_deref().unwrap_or_default();
            let said = format!(
                "An answer to {}, “{subject}”, did not arrive at {}: {why}. What it answered is in `baton mail log`.",
                mail.person, mail.to
            );
            self.say(Say {
                name: format!("lost:{}", mail.id),
                to,
                project_id: mail.project_id,
                approval_id: None,
                digest: String::new(),
                kind: OutKind::Project,
                in_reply_to: None,
                auto: Auto::Generated,
                story: Story::Done { said },
            })
            .await?;
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

/// What a report says of a mail that went to this address: what stands there for it, however it is written; else, since one mail of
/// ours goes to one recipient, what it says of whomever the recipient's server passed it on to. It is lost if nobody has it and
/// nobody will.
fn report_of<'a>(bounce: &'a Bounce, to: &str) -> Option<&'a Report> {
    let reports = &bounce.recipients;
    let with = |action: Action| reports.iter().find(|report| report.action == action);
    let own = reports.iter().find(|report| is_same(&report.address, to));
    own.or_else(|| with(Action::Delivered)).or_else(|| with(Action::Delayed)).or_else(|| with(Action::Failed))
}

/// The same address, whatever the case and however its domain is written.
fn is_same(one: &str, other: &str) -> bool {
    let plain = |text: &str| normal(text).unwrap_or_else(|| text.to_owned()).to_lowercase();
    plain(one) == plain(other)
}
