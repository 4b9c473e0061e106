//! A plan edited behind a link: checked by the service as at the terminal. What was written is never lost: a page that does not save it
//! shows it.

use bus_schemas::v1::{
    api::{ApprovalView, EditPlanRequest, PlanSource, Problem, ProjectView},
    approval::ApprovalSubject,
};

use super::{Behind, Bridge, Closed, EMAIL, HERE, is_passing, sentence};
use crate::{
    adapter::mail::{
        Desk, Transport, Verifier,
        pages::{Answer, Filled, Page},
        view::page::{self, Editing, MAX_PLAN},
    },
    mail::token,
    port::Service,
    words::draft::Draft,
};

/// What the plan is called in findings.
const FILE: &str = "plan";

impl<S: Service, D: Desk, V: Verifier, T: Transport> Bridge<S, D, V, T> {
    /// Whether the plan of a request is edited on its page, by the person of the mail.
    pub(super) fn editing(&self, behind: &Behind, project: &ProjectView) -> Editing {
        let Behind { mail, approval } = behind;
        let people = &self.0.world.people;
        // As the service decides it: it has the last word.
        let may = !people.is_configured() || people.is_member(&mail.person) || project.owner == mail.person;
        match (&approval.subject, may) {
            (ApprovalSubject::Plan, true) => match self.draft(approval) {
                Some(Draft::Text(text)) => Editing::Here { text, findings: Vec::new(), is_tried: false },
                other => Editing::Elsewhere(other.as_ref().and_then(Draft::why_not).unwrap_or_default()),
            },
            _ => Editing::No,
        }
    }

    fn draft(&self, approval: &ApprovalView) -> Option<Draft> {
        let plan = approval.plan.as_ref()?;
        Some(Draft::of(plan, &self.0.world.settings.secrets, MAX_PLAN))
    }

    /// Somebody wrote another plan.
    pub(super) async fn edit(&self, link: &str, filled: &Filled) -> Page {
        let behind = match self.behind(link).await {
            Ok(behind) => behind,
            Err(page) if page.answer == Answer::Later => return not_now(filled),
            Err(page) => return page,
        };
        if let Some(page) = self.too_late(&behind, filled) {
            return page;
        }
        let Behind { mail, approval } = &behind;
        if approval.subject != ApprovalSubject::Plan {
            return self.page(&behind, Answer::Incomplete, Some("Only a plan can be edited.")).await;
        }
        if filled.digest != approval.digest {
            let said = "The form was of another plan than the one that is asked about. Open the link again.";
            return Page { answer: Answer::Closed, html: page::unsaved("Nothing was changed", said, &filled.plan) };
        }
        if filled.plan.trim().is_empty() {
            let said = "There was no plan in the form: nothing was changed.";
            return self.page(&behind, Answer::Incomplete, Some(said)).await;
        }
        if let Some(Draft::Text(text)) = self.draft(approval)
            && text.trim_end() == filled.plan.trim_end()
        {
            let said = "You changed nothing in the plan, so it is asked about as before.";
            return self.page(&behind, Answer::Incomplete, Some(said)).await;
        }
        let plan = PlanSource { file: FILE.to_owned(), text: filled.plan.clone(), ..PlanSource::default() };
        let request =
            EditPlanRequest { plan, by: mail.to.clone(), channel: EMAIL.to_owned(), digest: filled.digest.clone() };
        match self.0.world.service.edit_plan(&approval.project_id.to_string(), request).await {
            Ok(project) => self.edited(&behind, &project).await,
            Err(problem) => self.not_edited(behind, filled, &problem).await,
        }
    }

    /// Nothing can be edited here any more: what came of it, and what was written.
    fn too_late(&self, behind: &Behind, filled: &Filled) -> Option<Page> {
        let html = match self.why_closed(behind)? {
            Closed::Decided => page::edited_late(&behind.approval, &filled.plan, &self.page_frame(&behind.mail)),
            Closed::Otherwise { title, said } => page::unsaved(title, &said, &filled.plan),
        };
        Some(Page { answer: Answer::Closed, html })
    }

    /// It was not taken: how the request is now, why, and what was written.
    async fn not_edited(&self, behind: Behind, filled: &Filled, problem: &Problem) -> Page {
        if is_passing(problem) {
            return not_now(filled);
        }
        let id = behind.approval.approval_id.to_string();
        let now = match self.0.world.service.approval(&id).await {
            Ok(approval) => Behind { mail: behind.mail, approval },
            Err(_) => return not_now(filled),
        };
        if let Some(page) = self.too_late(&now, filled) {
            return page;
        }
        let why = sentence(problem);
        if problem.status == 422 {
            let written =
                Editing::Here { text: filled.plan.clone(), findings: problem.findings.clone(), is_tried: true };
            let why = format!("The plan was not saved: {why}");
            let page = self.page_with(&now, Answer::Incomplete, Some(&why), Some(written)).await;
            return if page.answer == Answer::Later { not_now(filled) } else { page };
        }
        let answer = if problem.status == 403 { Answer::Forbidden } else { Answer::Closed };
        Page { answer, html: page::unsaved("Nothing was changed", &why, &filled.plan) }
    }

    /// It was taken: what is asked now, and whether this person may decide it.
    async fn edited(&self, behind: &Behind, project: &ProjectView) -> Page {
        let (world, Behind { mail, approval }) = (&self.0.world, behind);
        if let Err(error) = world.desk.use_link(mail.id, "You edited the plan.").await {
            tracing::warn!(%error, "mail: that a link was used could not be written down");
        }
        let said = |html| Page { answer: Answer::Ok, html };
        let Some(now) = self.plan_request(project).await else {
            let words = "What was asked before is void. If the new plan must be approved, a new mail asks for it; if not, it is \
                         worked on.";
            return said(page::message("The plan is edited", words));
        };
        let frame = self.page_frame(mail);
        let route = &now.route;
        let is_excluded = route.excluded.contains(&mail.person);
        let has_say = route.eligible.is_empty() || route.eligible.contains(&mail.person);
        if is_excluded || !has_say {
            let why = if is_excluded {
                "You edited the plan, and its policy keeps those who edited it, or started the project, from approving it."
            } else {
                "You have no say in whether it is approved."
            };
            let problem = if route.problem.is_empty() { String::new() } else { format!(" {}.", route.problem) };
            return said(page::edited(&now, None, &format!("{why} {}{problem}", super::waiting(&now)), &frame));
        }
        let asked = self.asked_now(&now, project, &mail.person).await;
        let asked = asked.unwrap_or_else(|why| {
            tracing::warn!(approval.id = %approval.approval_id, %why, "mail: whoever edited a plan could not be asked about it at once");
            None
        });
        let link = asked.map(|mail| token::link(&world.settings.key, mail.id));
        let why = match &link {
            Some(_) => "You may approve it:",
            None => "You may approve it: a mail that asks for that is on its way.",
        };
        said(page::edited(&now, link.as_deref(), why, &frame))
    }

    /// The request about the plan of a project, if it waits.
    async fn plan_request(&self, project: &ProjectView) -> Option<ApprovalView> {
        for id in &project.pending_approvals {
            let view = self.0.world.service.approval(&id.to_string()).await.ok()?;
            if view.subject == ApprovalSubject::Plan && view.decision.is_none() {
                return Some(view);
            }
        }
        None
    }
}

/// It cannot be saved now: what was written can be sent once more.
fn not_now(filled: &Filled) -> Page {
    let said = "It cannot be saved right now. Nothing was changed; please try again in a minute.";
    let html = page::unsaved_yet("Not now", said, HERE, &filled.digest, &filled.plan);
    Page { answer: Answer::Later, html }
}
