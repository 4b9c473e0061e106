//! Requests: those who may decide are asked, reminded, and told what came of it.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use bus_schemas::{
    id::ApprovalId,
    v1::{
        api::{ApprovalView, DiffView, ProjectView},
        approval::ApprovalSubject,
    },
};
use tokio::time::Instant;

use super::{
    super::core::Bridge,
    Recipient, Say,
    people::{Crew, decided_by, fails, has_it, is_lost},
};
use crate::{
    adapter::mail::{Desk, OutKind, OutMail, Story, Transport, Verifier, mime::Auto},
    port::Service,
};

/// How long until a request is looked at again after trouble, at first and at most.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// So much of a digest stands in a name.
const DIGEST: usize = 12;

/// Of whom it is known, in this run, that they were asked when so many reminders had gone: those are not theirs.
pub(super) type Late = HashMap<(ApprovalId, String), u32>;

/// The beginning of the names of the mails that ask.
pub(super) fn request_prefix(approval_id: ApprovalId) -> String {
    format!("request:{approval_id}:")
}

/// The name of the mail that shows a request as it is now.
pub(super) fn request_name(view: &ApprovalView) -> String {
    format!("{}{}", request_prefix(view.approval_id), view.digest.get(..DIGEST).unwrap_or(&view.digest))
}

impl<S: Service, D: Desk, V: Verifier, T: Transport> Bridge<S, D, V, T> {
    pub(super) fn crew(&self) -> Crew<'_> {
        Crew { people: &self.0.world.people, settings: &self.0.world.settings }
    }

    /// Looks at requests that were marked, one after the other.
    pub(in super::super) async fn keep_requests(self) {
        let mut failures: HashMap<ApprovalId, u32> = HashMap::new();
        let mut late = Late::new();
        loop {
            let approval_id = self.0.requests.next().await;
            match self.look_at_request(approval_id, &mut late).await {
                Ok(()) => {
                    failures.remove(&approval_id);
                }
                Err(why) => {
                    let failed = failures.entry(approval_id).or_default();
                    let wait = (AGAIN.0 * 2_u32.saturating_pow((*failed).min(6))).min(AGAIN.1);
                    *failed += 1;
                    tracing::warn!(approval.id = %approval_id, %why, wait_s = wait.as_secs(), "mail: a request is not asked as it should be; tried again");
                    self.0.requests.mark_at(approval_id, Instant::now() + wait);
                }
            }
        }
    }

    async fn look_at_request(&self, approval_id: ApprovalId, late: &mut Late) -> Result<(), String> {
        let world = &self.0.world;
        let view = match world.service.approval(&approval_id.to_string()).await {
            Ok(view) => view,
            Err(problem) if problem.code == "not_found" => return Ok(()),
            Err(problem) => return Err(problem.detail),
        };
        let before = world.desk.asks(approval_id).await.map_err(|e| e.to_string())?;
        if view.decision.is_some() {
            late.retain(|(id, _), _| *id != approval_id);
            return self.tell_outcome(&view, &before).await;
        }
        let project = world.service.project(&view.project_id.to_string()).await.map_err(|problem| problem.detail)?;
        let threads = world.desk.threads(view.project_id).await.map_err(|e| e.to_string())?;
        let asked = self.crew().asked(&view, &project, &threads);
        self.ask_people(&view, &project, &asked, &before, late).await?;
        let others = self.reach_others(&view, &project, &asked, &before, late).await?;
        let all: Vec<String> = asked.into_iter().chain(others).collect();
        self.remind(&view, &project, &all, &before, late).await?;
        self.note_what_instead(&view, &before).await
    }

    /// Asks those who were not asked about what the request shows now, or lost the mail that asked them.
    pub(super) async fn ask_people(
        &self,
        view: &ApprovalView,
        project: &ProjectView,
        people: &[String],
        before: &[OutMail],
        late: &mut Late,
    ) -> Result<(), String> {
        let name = request_name(view);
        let mut diff = None;
        for person in people {
            // An address at which a mail is lost, be it a reminder, is followed by the next one.
            if has_it(before, person, &view.digest) {
                continue;
            }
            let Some(to) = self.crew().recipient(person, before) else { continue };
            if view.route.reminders > 0 {
                late.insert((view.approval_id, person.clone()), view.route.reminders);
            }
            self.send_request(view, project, to, &name, 0, &mut diff).await?;
        }
        Ok(())
    }

    /// Writes one mail that asks; what changes is fetched for the first of them.
    pub(super) async fn send_request(
        &self,
        view: &ApprovalView,
        project: &ProjectView,
        to: Recipient,
        name: &str,
        reminder: u32,
        diff: &mut Option<Option<DiffView>>,
    ) -> Result<(), String> {
        if diff.is_none() {
            *diff = Some(self.diff_of(view).await?);
        }
        let story = Story::Request {
            approval: Box::new(view.clone()),
            project: Box::new(project.clone()),
            diff: diff.clone().flatten().map(Box::new),
            reminder,
        };
        let said = Say {
            name: name.to_owned(),
            to,
            project_id: Some(view.project_id),
            approval_id: Some(view.approval_id),
            digest: view.digest.clone(),
            kind: OutKind::Request,
            in_reply_to: None,
            auto: Auto::Generated,
            story,
        };
        self.say(said).await.map_err(|e| e.to_string())
    }

    /// The mail that shows this person a request as it is now, written if it was not before; `None` if no mail reaches them.
    pub(in super::super) async fn asked_now(
        &self,
        view: &ApprovalView,
        project: &ProjectView,
        person: &str,
    ) -> Result<Option<OutMail>, String> {
        let desk = &self.0.world.desk;
        let before = desk.asks(view.approval_id).await.map_err(|e| e.to_string())?;
        if !has_it(&before, person, &view.digest) {
            let Some(to) = self.crew().recipient(person, &before) else { return Ok(None) };
            // Whoever asks people looks at it at the same time: under this name it is written once.
            self.send_request(view, project, to, &request_name(view), 0, &mut None).await?;
        }
        let now = desk.asks(view.approval_id).await.map_err(|e| e.to_string())?;
        Ok(now.into_iter().find(|mail| mail.person == person && mail.digest == view.digest && !is_lost(mail)))
    }

    /// What a request would change, where it is about that.
    async fn diff_of(&self, view: &ApprovalView) -> Result<Option<DiffView>, String> {
        let task = match view.subject {
            ApprovalSubject::Handoff { .. } => view.task_key.as_deref(),
            ApprovalSubject::Apply => None,
            _ => return Ok(None),
        };
        match self.0.world.service.diff(&view.project_id.to_string(), task).await {
            Ok(diff) => Ok(Some(diff)),
            // The daemon is going, or has trouble with its disk: it is looked at again.
            Err(problem) if problem.status >= 500 => Err(problem.detail),
            Err(problem) => {
                tracing::warn!(approval.id = %view.approval_id, problem = %problem.detail, "mail: a request is sent without what changes");
                Ok(None)
            }
        }
    }

    /// Reminds those who were asked and did not answer, once for each time people are reminded.
    async fn remind(
        &self,
        view: &ApprovalView,
        project: &ProjectView,
        people: &[String],
        before: &[OutMail],
        late: &Late,
    ) -> Result<(), String> {
        let number = view.route.reminders;
        if number == 0 {
            return Ok(());
        }
        let name = format!("remind:{}:{number}", view.approval_id);
        let reminded = self.0.world.desk.out_named(&name).await.map_err(|e| e.to_string())?;
        let mut diff = None;
        for person in people {
            let was_asked = before.iter().any(|mail| mail.person == *person);
            let is_late = late.get(&(view.approval_id, person.clone())).is_some_and(|at| *at >= number);
            let is_done = reminded.iter().any(|mail| mail.person == *person && mail.name == name);
            if !was_asked || is_late || is_done {
                continue;
            }
            if let Some(to) = self.crew().recipient(person, before) {
                self.send_request(view, project, to, &name, number, &mut diff).await?;
            }
        }
        Ok(())
    }

    /// Tells those who were asked, and did not decide themselves, what came of it.
    async fn tell_outcome(&self, view: &ApprovalView, before: &[OutMail]) -> Result<(), String> {
        let Some(decision) = &view.decision else { return Ok(()) };
        // The last mail that is not known to have failed, for each person; at an address that still works if there is one.
        let works = |mail: &&OutMail| !fails(before, &mail.to);
        let reached = before.iter().filter(|mail| !is_lost(mail) && !works(mail)).chain(before.iter().filter(works));
        let asked: BTreeMap<&str, &OutMail> = reached.map(|mail| (mail.person.as_str(), mail)).collect();
        for (person, mail) in asked {
            if decided_by(&decision.by).any(|name| name == person) {
                continue;
            }
            let said = Say {
                name: outcome_name(view.approval_id),
                to: Recipient { person: person.to_owned(), address: mail.to.clone() },
                project_id: Some(view.project_id),
                approval_id: Some(view.approval_id),
                digest: view.digest.clone(),
                kind: OutKind::Project,
                in_reply_to: Some(mail.message_id.clone()),
                auto: Auto::Generated,
                story: Story::Outcome { approval: Box::new(view.clone()) },
            };
            self.say(said).await.map_err(|e| e.to_string())?;
        }
        Ok(())
    }
}

/// The name of the mails that say what came of a request.
pub(super) fn outcome_name(approval_id: ApprovalId) -> String {
    format!("outcome:{approval_id}")
}
