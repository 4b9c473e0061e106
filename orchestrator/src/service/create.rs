//! Starting a project: check the plan, copy the folder in, record.

use std::{path::PathBuf, sync::Arc};

use bus_schemas::{
    id::{ApprovalId, ProjectId, TaskId},
    v1::{
        api::{Finding, NewProject, PlanReport, PlanSource, Problem, Severity},
        plan::{Budget, Plan},
        skill::SkillReview,
    },
};

use super::{
    orchestrator::Orchestrator,
    problem::{hinted, of_refusal, problem},
};
use crate::{
    adapter::shadow::ImportError,
    driver::{Detail, ProjectDetail, adopt},
    plan::event::{Fact, ProjectCreated, TaskKind, Verdict},
    planfile::{
        self,
        lower::{POLICY_ASK, POLICY_AUTO, budget_of, lower},
    },
    port::skills::{NotKept, SkillShelf as _},
};

impl Orchestrator {
    /// Checks a plan with the skills of its folder, and says what keeps it from being worked on here.
    pub(super) async fn report(&self, source: PlanSource) -> Result<PlanReport, Problem> {
        let (shelf, models) = (Arc::clone(&self.shelf), Arc::clone(&self.models));
        blocking(move || {
            let mut report = planfile::check(&source, &shelf.catalog(source.folder.as_deref()));
            if let Some(plan) = &report.plan {
                let mut found = planfile::runnable(plan, &source, &models);
                // A plan may be written here and run elsewhere.
                found.iter_mut().for_each(|finding| finding.severity = Severity::Warning);
                report.findings.extend(found);
            }
            report
        })
        .await
    }

    /// The plan with its skills, if it can be worked on.
    pub(super) async fn sound(&self, source: &PlanSource, folder: &str) -> Result<(Plan, Vec<SkillReview>), Problem> {
        let (shelf, models) = (Arc::clone(&self.shelf), Arc::clone(&self.models));
        let (source, folder) = (source.clone(), folder.to_owned());
        let sound = blocking(move || {
            let catalog = shelf.catalog(Some(&folder));
            let plan = adopt::sound(&source, &catalog, &models, None).map_err(|found| invalid(&source.file, found))?;
            let kept = shelf.keep(&folder, &catalog, &adopt::skill_names(&plan, &catalog));
            Ok((plan, kept.map_err(|error| unkept(&error))?))
        });
        sound.await?
    }

    /// Starts a project and returns its id.
    pub(super) async fn create(&self, new: NewProject) -> Result<ProjectId, Problem> {
        let NewProject { plan: mut source, goal, budget, policy, folder, owner, approve_plan, .. } = new;
        budget_of("the project", &budget).map_err(|e| problem("bad_budget", 422, e.to_string()))?;
        let is_amount = budget.usd.is_none_or(|usd| usd.is_finite() && usd >= 0.0);
        if !is_amount {
            return Err(problem("bad_budget", 422, "the budget is not an amount of US dollars"));
        }
        let is_planning = goal.is_some();
        let (plan, kept) = match goal {
            Some(goal) => self.goal(&goal, budget, policy, &folder).await?,
            None => {
                source.folder = Some(folder.clone());
                let (mut plan, kept) = self.sound(&source, &folder).await?;
                adopt::tighten(&mut plan.budget, &budget);
                (plan, kept)
            }
        };
        let mut lowered = lower(&plan, &mut || TaskId::from_uuid(self.ids.next()), &source.scripts)
            .map_err(|e| problem("plan_invalid", 422, e.to_string()))?;
        if is_planning {
            lowered.tasks.iter_mut().for_each(|task| task.kind = TaskKind::Planner);
        }
        let skills = adopt::admitted(&plan, kept, lowered.plan_policy.asks && !is_planning);
        // A policy approves a plan, but no skill that a person has not seen as it is.
        lowered.plan_policy.asks |= skills.iter().any(SkillReview::needs_approval);
        let project_id = ProjectId::from_uuid(self.ids.next());
        let base_commit = self.import(project_id, PathBuf::from(&folder)).await?;
        let detail = ProjectDetail { folder, owner: owner.clone(), plan, scripts: source.scripts, skills };
        let plan_digest =
            adopt::plan_digest(&detail, &base_commit).map_err(|e| problem("plan_invalid", 422, e.to_string()))?;
        let approval_id = ApprovalId::from_uuid(self.ids.next());
        let asks = lowered.plan_policy.asks && !is_planning;
        let fact = Fact::ProjectCreated(ProjectCreated {
            project_id,
            tasks: lowered.tasks,
            base_commit,
            plan_digest: plan_digest.clone(),
            plan_policy: lowered.plan_policy.clone(),
            approval_id,
            budget: lowered.budget,
            planning: is_planning.then_some(lowered.plan_policy),
            replan_policy: Some(lowered.replan_policy),
            route: None,
            offers_result: false,
        });
        if let Err(refusal) = self.handle.ask(project_id, fact, Some(Detail::Project(Box::new(detail)))).await {
            self.forget(project_id).await;
            return Err(of_refusal(&refusal));
        }
        if approve_plan && asks {
            let fact = Fact::ApprovalDecided {
                approval_id,
                verdict: Verdict::Approved,
                digest: plan_digest,
                by: owner,
                channel: "cli".to_owned(),
                note: String::new(),
                remember: None,
            };
            self.handle.ask(project_id, fact, None).await.map_err(|e| of_refusal(&e))?;
        }
        Ok(project_id)
    }

    /// The first plan of a project that has only a goal.
    async fn goal(
        &self,
        goal: &str,
        budget: Budget,
        policy: Option<String>,
        folder: &str,
    ) -> Result<(Plan, Vec<SkillReview>), Problem> {
        if goal.trim().is_empty() {
            return Err(problem("empty_goal", 422, "the goal is empty"));
        }
        if let Some((detail, hint)) = planfile::no_planner(&self.models) {
            return Err(hinted("no_model", 422, detail, hint));
        }
        if let Some(name) = policy.as_deref().filter(|name| ![POLICY_ASK, POLICY_AUTO].contains(name)) {
            let detail = format!("a project with only a goal has the policies `ask` and `auto`, not {name:?}");
            return Err(problem("unknown_policy", 422, detail));
        }
        let plan = planfile::planner::first_plan(goal, budget, policy);
        let (shelf, folder, planned) = (Arc::clone(&self.shelf), folder.to_owned(), plan.clone());
        let kept = blocking(move || {
            let catalog = shelf.catalog(Some(&folder));
            shelf.keep(&folder, &catalog, &adopt::skill_names(&planned, &catalog))
        });
        Ok((plan, kept.await?.map_err(|error| unkept(&error))?))
    }

    async fn import(&self, project_id: ProjectId, folder: PathBuf) -> Result<String, Problem> {
        let shadow = Arc::clone(&self.shadow);
        let imported = blocking(move || shadow.import(project_id, &folder)).await?;
        match imported {
            Ok(imported) => {
                for warning in &imported.warnings {
                    tracing::info!(project.id = %project_id, warning, "folder copied with a remark");
                }
                Ok(imported.commit)
            }
            Err(error) => {
                self.forget(project_id).await;
                Err(unimportable(&error))
            }
        }
    }

    /// Removes the repository of a project that did not come to be.
    async fn forget(&self, project_id: ProjectId) {
        let shadow = Arc::clone(&self.shadow);
        if let Ok(Err(error)) = blocking(move || shadow.remove(project_id)).await {
            tracing::warn!(project.id = %project_id, %error, "repository of a project that did not start is left");
        }
    }
}

/// Runs what blocks off the async threads.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|e| problem("internal", 500, e.to_string()))
}

/// Skills could not be kept as they are.
fn unkept(error: &NotKept) -> Problem {
    match error {
        NotKept::Unusable(detail) => problem("skill_unusable", 422, detail.as_str()),
        NotKept::Host(detail) => hinted("storage", 507, detail.as_str(), "make room on the disk and try again"),
    }
}

pub(super) fn invalid(file: &str, findings: Vec<Finding>) -> Problem {
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    let detail = format!("plan {file} cannot be run: {errors} error(s)");
    Problem { findings, ..problem("plan_invalid", 422, detail) }
}

pub(super) fn unimportable(error: &ImportError) -> Problem {
    let detail = error.to_string();
    match error {
        ImportError::Missing { .. } => problem("folder_missing", 422, detail),
        ImportError::NotAbsolute { .. } | ImportError::NotADirectory { .. } => problem("folder_invalid", 422, detail),
        ImportError::FileTooBig { .. } | ImportError::TotalTooBig { .. } | ImportError::TooManyFiles { .. } => {
            problem("folder_too_big", 422, detail)
        }
        ImportError::Repository(_) => hinted("repository", 500, detail, "see the orchestrator's log"),
        _ => problem("folder_unusable", 422, detail),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bus_schemas::v1::skill::SkillStatus;

    use super::*;

    #[test]
    fn a_plans_digest_covers_all_that_decides_what_runs() -> Result<(), serde_json::Error> {
        let digest_of = adopt::plan_digest;
        let plan: Plan = serde_json::from_str(r#"{"version":1,"title":"t","tasks":[{"id":"one","run":"true"}]}"#)?;
        let scripts = BTreeMap::from([("a.sh".to_owned(), "true".to_owned())]);
        let skills = Vec::new();
        let detail = ProjectDetail { folder: "/f".to_owned(), owner: "o".to_owned(), plan, scripts, skills };
        let digest = digest_of(&detail, "base")?;
        assert_eq!(digest, digest_of(&detail, "base")?);
        assert_ne!(digest, digest_of(&detail, "other")?, "another base commit");
        let mut other = detail.clone();
        other.scripts.insert("a.sh".to_owned(), "false".to_owned());
        assert_ne!(digest, digest_of(&other, "base")?, "another script");
        let mut other = detail.clone();
        other.folder = "/g".to_owned();
        assert_ne!(digest, digest_of(&other, "base")?, "another folder");
        let mut other = detail.clone();
        other.skills.push(SkillReview {
            name: "s".to_owned(),
            description: String::new(),
            source: "project".to_owned(),
            sha256: "1".to_owned(),
            bytes: 1,
            status: SkillStatus::Locked,
            changed: Vec::new(),
            new_scripts: Vec::new(),
            findings: Vec::new(),
        });
        let with_skill = digest_of(&other, "base")?;
        assert_ne!(digest, with_skill, "another skill");
        other.skills[0].sha256 = "2".to_owned();
        assert_ne!(with_skill, digest_of(&other, "base")?, "the skill is another");
        let mut other = detail;
        other.plan.title = "u".to_owned();
        assert_ne!(digest, digest_of(&other, "base")?, "another plan");
        Ok(())
    }
}
