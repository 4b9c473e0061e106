//! What a project came to, told to those whose mail began it.

use std::{collections::HashMap, time::Duration};

use bus_schemas::{
    id::{ApprovalId, ProjectId},
    v1::{
        api::{ApprovalView, ProjectView},
        approval::{ApprovalSubject, Verdict},
        project::ProjectState,
    },
};
use tokio::time::Instant;

use super::{super::core::Bridge, Recipient, Say, people::is_lost};
use crate::{
    adapter::mail::{Desk, OutKind, OutMail, Story, Thread, Transport, Verifier, mime::Auto},
    port::Service,
};

/// How long until a project is looked at again after trouble, at first and at most.
const AGAIN: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(60));
/// How long a result waits for the request to put it into the folder, which comes a moment later and says the same.
const GRACE: Duration = Duration::from_secs(3);
/// How long a result waits, after it was agreed to, until it is in the folder.
const APPLYING: Duration = Duration::from_secs(30);

/// What a result waits for, so that one mail says all.
#[derive(Debug)]
struct Hold {
    since: Instant,
    /// The request to put it into the folder.
    apply: Option<ApprovalId>,
    /// When that was seen to be agreed to.
    agreed: Option<Instant>,
}

type Holds = HashMap<ProjectId, Hold>;

impl<S: Service, D: Desk, V: Verifier, T: Transport> Bridge<S, D, V, T> {
    /// Looks at projects that were marked, one after the other.
    pub(in super::super) async fn keep_projects(self) {
        let mut failures: HashMap<ProjectId, u32> = HashMap::new();
        let mut holds = Holds::new();
        loop {
            let project_id = self.0.projects.next().await;
            match self.look_at_project(project_id, &mut holds).await {
                Ok(()) => {
                    failures.remove(&project_id);
                }
                Err(why) => {
                    let failed = failures.entry(project_id).or_default();
                    let wait = (AGAIN.0 * 2_u32.saturating_pow((*failed).min(6))).min(AGAIN.1);
                    *failed += 1;
                    tracing::warn!(project.id = %project_id, %why, wait_s = wait.as_secs(), "mail: a result is not told; tried again");
                    self.0.projects.mark_at(project_id, Instant::now() + wait);
                }
            }
        }
    }

    async fn look_at_project(&self, project_id: ProjectId, holds: &mut Holds) -> Result<(), String> {
        let world = &self.0.world;
        let project = match world.service.project(&project_id.to_string()).await {
            Ok(project) => project,
            Err(problem) if problem.code == "not_found" => return Ok(()),
            Err(problem) => return Err(problem.detail),
        };
        project.pending_approvals.iter().for_each(|id| self.0.requests.mark(*id));
        if !project.state.is_final() {
            return Ok(());
        }
        // The result is merged a moment after the last task; the feed says so.
        if project.state == ProjectState::Completed && project.result_commit.is_none() {
            return Ok(());
        }
        let threads = world.desk.threads(project_id).await.map_err(|e| e.to_string())?;
        let starters: Vec<&str> =
            threads.iter().filter(|(_, thread)| thread.is_start).map(|(person, _)| person.as_str()).collect();
        if starters.is_empty() {
            return Ok(());
        }
        let said = world.desk.out_named(&result_name(project_id)).await.map_err(|e| e.to_string())?;
        let started = world.desk.out_named(&format!("started:{project_id}")).await.map_err(|e| e.to_string())?;
        for person in starters {
            let mine: Vec<OutMail> = said.iter().filter(|mail| mail.person == person).cloned().collect();
            if let Some(told) = mine.iter().find(|mail| !is_lost(mail)) {
                self.tell_applied(&project, told).await?;
                continue;
            }
            if !self.holds_back(&project, person, &threads, holds).await? {
                let begun = started.iter().find(|mail| mail.person == person);
                self.tell_result(&project, person, begun, &mine).await?;
                holds.remove(&project_id);
            }
        }
        Ok(())
    }

    /// Whether more about a result is to be known in a moment.
    async fn holds_back(
        &self,
        project: &ProjectView,
        person: &str,
        threads: &[(String, Thread)],
        holds: &mut Holds,
    ) -> Result<bool, String> {
        if project.state != ProjectState::Completed {
            return Ok(false);
        }
        let now = Instant::now();
        let hold = holds.entry(project.project_id).or_insert(Hold { since: now, apply: None, agreed: None });
        let again = |at: Instant| {
            self.0.projects.mark_at(project.project_id, at);
            Ok(true)
        };
        if now < hold.since + GRACE {
            return again(hold.since + GRACE);
        }
        for id in &project.pending_approvals {
            let view = self.approval(*id).await?;
            let offers = view.decision.is_none() && view.subject == ApprovalSubject::Apply;
            if offers && self.crew().asked(&view, project, threads).iter().any(|asked| asked == person) {
                // They are looking at the result already. What comes of it is an event.
                hold.apply = Some(*id);
                return Ok(true);
            }
        }
        let Some(apply) = hold.apply.filter(|_| project.applied_at.is_none()) else { return Ok(false) };
        let decision = self.approval(apply).await?.decision;
        if decision.is_none_or(|decision| decision.verdict != Verdict::Approved) {
            return Ok(false);
        }
        let agreed = *hold.agreed.get_or_insert(now);
        if now < agreed + APPLYING { again(agreed + APPLYING) } else { Ok(false) }
    }

    async fn approval(&self, id: ApprovalId) -> Result<ApprovalView, String> {
        self.0.world.service.approval(&id.to_string()).await.map_err(|problem| problem.detail)
    }

    async fn tell_result(
        &self,
        project: &ProjectView,
        person: &str,
        begun: Option<&OutMail>,
        before: &[OutMail],
    ) -> Result<(), String> {
        let service = &self.0.world.service;
        // Where they wrote from, unless mail is known to be lost there.
        let from = begun.map(|mail| Recipient { person: person.to_owned(), address: mail.to.clone() });
        let from = from.filter(|to| !before.iter().any(|mail| mail.to == to.address));
        let Some(to) = from.or_else(|| self.crew().recipient(person, before)) else {
            tracing::warn!(project.id = %project.project_id, %person, "mail: no address is left for a result; `baton status` shows it");
            return Ok(());
        };
        let diff = match &project.result_commit {
            Some(_) => {
                let diff = service.diff(&project.project_id.to_string(), None).await;
                Some(Box::new(diff.map_err(|problem| problem.detail)?))
            }
            None => None,
        };
        let story = Story::Result { project: Box::new(project.clone()), diff };
        self.tell(project, result_name(project.project_id), to, story).await
    }

    /// The result was put into the folder after it was told.
    async fn tell_applied(&self, project: &ProjectView, told: &OutMail) -> Result<(), String> {
        let Some(at) = project.applied_at.filter(|at| *at > told.created_at) else { return Ok(()) };
        let said = format!(
            "The result of “{}” is in {} now. `baton undo {}` takes it back.",
            project.title, project.folder, project.project_id
        );
        let to = Recipient { person: told.person.clone(), address: told.to.clone() };
        self.tell(project, format!("applied:{}:{}", project.project_id, at.0), to, Story::Done { said }).await
    }

    async fn tell(&self, project: &ProjectView, name: String, to: Recipient, story: Story) -> Result<(), String> {
        let said = Say {
            name,
            to,
            project_id: Some(project.project_id),
            approval_id: None,
            digest: String::new(),
            kind: OutKind::Project,
            in_reply_to: None,
            auto: Auto::Generated,
            story,
        };
        self.say(said).await.map_err(|e| e.to_string())
    }
}

fn result_name(project_id: ProjectId) -> String {
    format!("result:{project_id}")
}
