//! Starting a project: check the plan, copy the folder in, record.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use bus_schemas::{
    id::{ApprovalId, ProjectId, TaskId},
    v1::{
        api::{Finding, NewProject, PlanReport, PlanSource, Problem, Severity},
        plan::Plan,
        skill::SkillReview,
    },
};
use serde::Serialize;

use super::{
    orchestrator::Orchestrator,
    problem::{hinted, of_refusal, problem},
    skills::review,
};
use crate::{
    adapter::shadow::ImportError,
    digest,
    driver::{Detail, ProjectDetail},
    plan::event::{Fact, ProjectCreated, Verdict},
    planfile::{self, lower::lower},
};

impl Orchestrator {
    /// Checks a plan with the skills of its folder.
    pub(super) async fn report(&self, source: PlanSource) -> Result<PlanReport, Problem> {
        let roots = self.places.skill_roots(source.folder.as_deref().map(Path::new));
        blocking(move || planfile::check(&source, &::skills::Catalog::discover(&roots))).await
    }

    /// The plan, if it can be worked on.
    async fn sound(&self, source: &PlanSource) -> Result<Plan, Problem> {
        let report = self.report(source.clone()).await?;
        let Some(plan) = report.plan else { return Err(invalid(&source.file, report.findings)) };
        let findings = planfile::runnable(&plan, source, &planfile::ModelConfig::default());
        if findings.iter().any(|finding| finding.severity == Severity::Error) {
            return Err(invalid(&source.file, findings));
        }
        Ok(plan)
    }

    /// Starts a project and returns its id.
    pub(super) async fn create(&self, new: NewProject) -> Result<ProjectId, Problem> {
        let NewProject { plan: mut source, folder, owner, approve_plan, .. } = new;
        source.folder = Some(folder.clone());
        let plan = self.sound(&source).await?;
        let mut lowered = lower(&plan, &mut || TaskId::from_uuid(self.ids.next()), &source.scripts)
            .map_err(|e| problem("plan_invalid", 422, e.to_string()))?;
        let project_id = ProjectId::from_uuid(self.ids.next());
        let base_commit = self.import(project_id, PathBuf::from(&folder)).await?;
        let skills: Vec<_> = self.skills_of(&plan, &folder).await?.iter().map(review).collect();
        let detail = ProjectDetail { folder, owner: owner.clone(), plan, scripts: source.scripts, skills };
        let plan_digest = digest_of(&detail, &base_commit).map_err(|e| problem("plan_invalid", 422, e.to_string()))?;
        let approval_id = ApprovalId::from_uuid(self.ids.next());
        // A policy approves a plan, but no skill that a person has not seen as it is.
        lowered.plan_policy.asks |= detail.skills.iter().any(SkillReview::needs_approval);
        let asks = lowered.plan_policy.asks;
        let fact = Fact::ProjectCreated(ProjectCreated {
            project_id,
            tasks: lowered.tasks,
            base_commit,
            plan_digest: plan_digest.clone(),
            plan_policy: lowered.plan_policy,
            approval_id,
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
            };
            self.handle.ask(project_id, fact, None).await.map_err(|e| of_refusal(&e))?;
        }
        Ok(project_id)
    }

    async fn import(&self, project_id: ProjectId, folder: PathBuf) -> Result<String, Problem> {
        let shadow = std::sync::Arc::clone(&self.shadow);
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
        let shadow = std::sync::Arc::clone(&self.shadow);
        if let Ok(Err(error)) = blocking(move || shadow.remove(project_id)).await {
            tracing::warn!(project.id = %project_id, %error, "repository of a project that did not start is left");
        }
    }
}

/// What a decision on the plan is bound to: all that decides what will run, and on what.
fn digest_of(detail: &ProjectDetail, base_commit: &str) -> Result<String, serde_json::Error> {
    #[derive(Serialize)]
    struct Shown<'a> {
        plan: &'a Plan,
        scripts: &'a BTreeMap<String, String>,
        skills: BTreeMap<&'a str, &'a str>,
        folder: &'a str,
        base_commit: &'a str,
    }
    let skills = detail.skills.iter().map(|skill| (skill.name.as_str(), skill.sha256.as_str())).collect();
    let (plan, scripts, folder) = (&detail.plan, &detail.scripts, &detail.folder);
    digest::of(&Shown { plan, scripts, skills, folder, base_commit })
}

/// Runs what blocks off the async threads.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|e| problem("internal", 500, e.to_string()))
}

fn invalid(file: &str, findings: Vec<Finding>) -> Problem {
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
    use bus_schemas::v1::skill::SkillStatus;

    use super::*;

    #[test]
    fn a_plans_digest_covers_all_that_decides_what_runs() -> Result<(), serde_json::Error> {
        let plan: Plan = serde_json::from_str(r#"{"version":1,"title":"t","tasks":[{"id":"one","run":"true"}]}"#)?;
        let scripts = BTreeMap::from([("a.sh".to_owned(), "true".to_owned())]);
        let detail =
            ProjectDetail { folder: "/f".to_owned(), owner: "o".to_owned(), plan, scripts, skills: Vec::new() };
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
