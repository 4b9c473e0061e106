//! Plans edited in a modal: checked and saved while it is still open, so that what is wrong stands beside the text and nothing of it is
//! lost. What takes longer is done behind it, and its text is given back if it is not taken.

use std::time::Duration;

use bus_schemas::v1::{
    api::{ApprovalView, EditPlanRequest, Finding, PlanSource, Problem, ProjectView},
    approval::{ApprovalSubject, Verdict},
};
use serde_json::Value;

use super::{
    answers,
    core::Bridge,
    desk::Desk,
    forms,
    post::Asker,
    work::{Later, Outcome},
};
use crate::{
    adapter::slack::{
        Envelope, SlackWeb,
        inbound::Submission,
        view::{
            self, form,
            modal::{About, PLAN},
            text,
        },
    },
    port::Service,
    words::draft::Draft,
};

/// The channel all of this comes over.
const SLACK: &str = "slack";
/// What the plan is called in findings.
const FILE: &str = "plan";
/// How long the orchestrator may take while the modal is open: Slack waits for three seconds in all.
const AT_ONCE: Duration = Duration::from_millis(1_800);
/// Findings that are said.
const FINDINGS: usize = 8;
/// What is said beside a field, as far as people read there.
const BESIDE: usize = 1_500;

impl<S: Service, W: SlackWeb, D: Desk> Bridge<S, W, D> {
    /// The plan of a request as people may see it, to be edited.
    pub(super) fn draft(&self, view: &ApprovalView) -> Draft {
        let plan = view.plan.as_ref();
        plan.map_or(Draft::Withheld, |plan| Draft::of(plan, &self.0.settings.secrets, PLAN))
    }

    /// A plan was written by somebody who may: what is wrong with it, for its form; `None` if that can be closed.
    pub(super) async fn edit_now(&self, envelope: Envelope, submission: &Submission) -> Option<Value> {
        let (about, plan) = (view::read::<About>(&submission.private_metadata), form::plan(&submission.values));
        let (Ok(about), Ok(plan)) = (about, plan) else {
            self.line_up(envelope, false);
            return None;
        };
        let (asker, key) = (forms::asker(submission), envelope.key.clone());
        let Ok(saved) = tokio::time::timeout(AT_ONCE, self.save(&asker, &about, plan)).await else {
            // Whether it was saved is not known: it is tried again, which saves nothing twice.
            self.line_up(envelope, true);
            return None;
        };
        match saved {
            Ok(project) => {
                let (bridge, asker) = (self.clone(), asker);
                self.background(async move {
                    bridge.saved(&asker, &about, &project).await;
                    bridge.finish(&key, "edited").await;
                });
                None
            }
            Err(problem) => {
                let why = self.why_not(&about, &problem).await;
                self.finish(&key, &format!("refused: {}", problem.code)).await;
                Some(form::Wrong::field(form::PLAN, &why).response())
            }
        }
    }

    /// The same behind a form that is closed: who wrote it is told.
    pub(super) async fn edit(&self, asker: &Asker, about: &About, plan: String, again: bool) -> Outcome {
        let problem = match self.save(asker, about, plan.clone()).await {
            Ok(project) => {
                self.saved(asker, about, &project).await;
                return Ok("edited".to_owned());
            }
            Err(problem) if answers::is_passing(&problem) => return Err(Later(problem)),
            Err(problem) => problem,
        };
        let me = self.0.crew.name(&asker.user);
        if again
            && let Ok(view) = self.request(about.approval_id).await
            && is_mine(&view, &me)
            && let Ok(project) = self.0.service.project(&view.project_id.to_string()).await
        {
            self.saved(asker, about, &project).await;
            return Ok("was done before".to_owned());
        }
        let why = self.why_not(about, &problem).await;
        let said = format!(
            ":warning: {} Your text, so that it is not lost:\n{}",
            text::line(&why, BESIDE),
            text::fence(&plan, PLAN)
        );
        self.whisper(asker, said).await;
        Ok(format!("refused: {}", problem.code))
    }

    async fn save(&self, asker: &Asker, about: &About, text: String) -> Result<ProjectView, Problem> {
        let core = &*self.0;
        let view = core.service.approval(&about.approval_id.to_string()).await?;
        let plan = PlanSource { file: FILE.to_owned(), text, ..PlanSource::default() };
        let request =
            EditPlanRequest { plan, by: asker.user.clone(), channel: SLACK.to_owned(), digest: about.digest.clone() };
        let refused = |code: &str, status, detail: &str| {
            let (code, detail) = (code.to_owned(), detail.to_owned());
            Err(Problem { code, status, detail, hint: None, findings: Vec::new() })
        };
        if view.decision.is_some() {
            return refused("already_decided", 409, "the request is closed");
        }
        if matches!(self.draft(&view), Draft::Text(now) if now.trim_end() == request.plan.text.trim_end()) {
            return refused("unchanged", 422, "the plan is as it was");
        }
        core.service.edit_plan(&view.project_id.to_string(), request).await
    }

    /// It is another plan now: the cards show it, and who wrote it is told what they can do.
    async fn saved(&self, asker: &Asker, about: &About, project: &ProjectView) {
        let core = &*self.0;
        core.cards.mark(about.approval_id);
        let me = core.crew.name(&asker.user);
        let mut asked = None;
        for id in &project.pending_approvals {
            core.cards.mark(*id);
            if let Ok(view) = self.request(*id).await
                && view.subject == ApprovalSubject::Plan
            {
                asked = Some(view);
            }
        }
        let title = text::line(&project.title, 100);
        let next = match asked {
            None => "Nobody needs to approve it: it goes on.".to_owned(),
            Some(view) => format!("It has a card of its own. {}", answers::may_approve(&view, &me, &core.crew)),
        };
        let said = format!(
            ":pencil2: Saved: the plan of _{title}_ is another one now, and what was asked about the one before is void. {next}"
        );
        self.whisper(asker, said).await;
    }

    /// Why it was not saved, as plain text.
    async fn why_not(&self, about: &About, problem: &Problem) -> String {
        let problem = &self.told(problem);
        if answers::is_passing(problem) {
            return "Baton cannot save it right now. Nothing was changed: press Save again in a moment.".to_owned();
        }
        if !problem.findings.is_empty() {
            let found: Vec<String> = problem.findings.iter().take(FINDINGS).map(finding).collect();
            let more = problem.findings.len().saturating_sub(FINDINGS);
            let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
            return text::plain(&format!("{}{more}", found.join(" · ")), BESIDE);
        }
        if let Ok(view) = self.request(about.approval_id).await
            && let Some(decision) = &view.decision
        {
            let what = match decision.channel.as_str() {
                "void" if !decision.note.is_empty() => format!("{}. Open the new card", decision.note),
                _ => format!("{} it over {}", decided(&decision.by, decision.verdict), decision.channel),
            };
            return text::plain(
                &format!("Too late, nothing was changed: {what}. Copy what you need from here."),
                BESIDE,
            );
        }
        let hint = problem.hint.as_deref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        text::plain(&format!("Nothing was changed: {}{hint}.", problem.detail), BESIDE)
    }
}

fn decided(by: &str, verdict: Verdict) -> String {
    let what = match verdict {
        Verdict::Approved => "approved",
        Verdict::ChangesRequested => "requested changes to",
        Verdict::Rejected => "rejected",
        Verdict::Expired => "did not decide in time about",
    };
    format!("{by} {what}")
}

/// A finding in one line, with its place and the way out.
fn finding(finding: &Finding) -> String {
    let place = if finding.line == 0 { String::new() } else { format!("Line {}: ", finding.line) };
    let hint = finding.hint.as_deref().map(|hint| format!(" ({hint})")).unwrap_or_default();
    format!("{place}{}{hint}", finding.message)
}

/// It became void by an edit of theirs.
fn is_mine(view: &ApprovalView, me: &str) -> bool {
    let said = format!("{me} proposes another plan");
    view.decision.as_ref().is_some_and(|decision| decision.channel == "void" && decision.note == said)
}
