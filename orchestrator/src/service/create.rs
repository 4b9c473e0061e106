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
    given,
    orchestrator::Orchestrator,
    problem::{hinted, of_refusal, problem},
};
use crate::{
    adapter::shadow::{ImportError, InputFile},
    driver::{Detail, ProjectDetail, Refusal, adopt},
    plan::event::{Fact, ProjectCreated, TaskKind, Verdict},
    planfile::{
        self,
        lower::{LowerError, POLICY_ASK, POLICY_AUTO, budget_of, lower},
    },
    port::skills::{NotKept, SkillShelf as _},
};

/// A project that was started.
#[derive(Clone, Copy, Debug)]
pub(super) struct Started {
    /// Which.
    pub(super) project_id: ProjectId,
    /// It was not there before.
    pub(super) is_new: bool,
}

impl Orchestrator {
    /// Checks a plan with the skills of its folder, and says what keeps it from being worked on here.
    pub(super) async fn report(&self, source: PlanSource) -> Result<PlanReport, Problem> {
        let (shelf, models, rules) = (Arc::clone(&self.shelf), Arc::clone(&self.models), Arc::clone(&self.rules));
        blocking(move || {
            let mut report = planfile::check_under(&source, &shelf.catalog(source.folder.as_deref()), Some(&rules));
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
        let (shelf, models, rules) = (Arc::clone(&self.shelf), Arc::clone(&self.models), Arc::clone(&self.rules));
        let (source, folder) = (source.clone(), folder.to_owned());
        let sound = blocking(move || {
            let catalog = shelf.catalog(Some(&folder));
            let plan = adopt::sound(&source, &catalog, (&models, &rules), None)
                .map_err(|found| invalid(&source.file, found))?;
            let kept = shelf.keep(&folder, &catalog, &adopt::skill_names(&plan, &catalog));
            Ok((plan, kept.map_err(|error| unkept(&error))?))
        });
        sound.await?
    }

    /// Starts a project; under a key that started one before, it is that one. What is begun comes to its end also if nobody waits
    /// for it any more.
    pub(super) async fn create(&self, new: NewProject) -> Result<Started, Problem> {
        let service = self.clone();
        let started = tokio::spawn(async move { service.create_or_find(new).await }).await;
        started.map_err(|error| problem("internal", 500, format!("start the project: {error}")))?
    }

    async fn create_or_find(&self, mut new: NewProject) -> Result<Started, Problem> {
        // Whoever says no channel is the same person when they ask again.
        if new.channel.is_empty() {
            "cli".clone_into(&mut new.channel);
        }
        let anew = async |new| self.create_anew(new).await.map(|project_id| Started { project_id, is_new: true });
        let Some(key) = new.key.clone() else { return anew(new).await };
        given::is_key(&key, &new.channel)?;
        // Whoever asks at the same time waits, and then finds it.
        let _turn = self.starting.turn(key.clone()).await;
        match self.read(self.store.started_by(key).await)? {
            Some(project_id) => {
                let head = self.read(self.store.project_head(project_id).await)?;
                let owner = self.person(&new.channel, &new.owner);
                if head.is_none_or(|head| head.owner == owner) {
                    if new.approve_plan {
                        self.approve_begun(project_id, owner, new.channel).await?;
                    }
                    return Ok(Started { project_id, is_new: false });
                }
                let detail = format!("this key started project {project_id}, which is somebody else's");
                Err(hinted("key_taken", 409, detail, "choose a key of your own"))
            }
            None => anew(new).await,
        }
    }

    /// Whoever started a project approves the plan it began with, should that still wait: the answer may have got lost between
    /// the two. A plan that was edited or worked out since is another one, and is not what they approve.
    async fn approve_begun(&self, project_id: ProjectId, by: String, channel: String) -> Result<(), Problem> {
        match self.read(self.store.begun_with(project_id).await)? {
            Some(created) if created.planning.is_none() => {
                self.approve_own(project_id, (created.approval_id, created.plan_digest), by, channel).await
            }
            _ => Ok(()),
        }
    }

    /// Approves a plan for who started its project.
    async fn approve_own(
        &self,
        project_id: ProjectId,
        (approval_id, digest): (ApprovalId, String),
        by: String,
        channel: String,
    ) -> Result<(), Problem> {
        let (verdict, note) = (Verdict::Approved, String::new());
        let fact = Fact::ApprovalDecided { approval_id, verdict, digest, by, channel, note, remember: None };
        match self.handle.ask(project_id, fact, None).await {
            Ok(_) => Ok(()),
            // Nobody was asked, others must say it, or it is decided: the project is as it would be without the flag.
            Err(Refusal::Rejected(rejected)) => {
                tracing::info!(project.id = %project_id, %rejected, "the plan is not approved by who started it");
                Ok(())
            }
            Err(refusal) => Err(of_refusal(&refusal)),
        }
    }

    async fn create_anew(&self, new: NewProject) -> Result<ProjectId, Problem> {
        let (new, preset_plan) = given::with_preset(new, &self.rules)?;
        let project_id = ProjectId::from_uuid(self.ids.next());
        let NewProject {
            plan: mut source,
            mut goal,
            budget,
            policy,
            mut folder,
            owner,
            approve_plan,
            channel,
            inputs,
            apply,
            key,
            ..
        } = new;
        budget_of("the project", &budget).map_err(|e| problem("bad_budget", 422, e.to_string()))?;
        let is_amount = budget.usd.is_none_or(|usd| usd.is_finite() && usd >= 0.0);
        if !is_amount {
            return Err(problem("bad_budget", 422, "the budget is not an amount of US dollars"));
        }
        let files = given::files(inputs)?;
        if folder.is_empty() {
            folder = self.own_folder(project_id).await?;
        }
        let mut shown_goal = None;
        if let Some(path) = preset_plan {
            source = given::read_plan(path).await?;
            shown_goal = goal.take();
        }
        let owner = self.person(&channel, &owner);
        let is_planning = goal.is_some();
        let (mut plan, kept) = match goal {
            Some(goal) => self.goal(&goal, budget, !files.is_empty(), &folder).await?,
            None => {
                source.folder = Some(folder.clone());
                let (mut plan, kept) = self.sound(&source, &folder).await?;
                adopt::tighten(&mut plan.budget, &budget);
                (plan, kept)
            }
        };
        plan.approval = plan.approval.or(policy);
        plan.apply = plan.apply.or(apply);
        plan.goal = shown_goal.unwrap_or(plan.goal);
        let mut lowered = lower(&plan, &mut || TaskId::from_uuid(self.ids.next()), &source.scripts, &self.rules)
            .map_err(|error| self.unlowered(&error))?;
        if is_planning {
            lowered.tasks.iter_mut().for_each(|task| task.kind = TaskKind::Planner);
        }
        let asks = self.rules.always_asks(&lowered.plan_policy.name, &plan.policies);
        let skills = adopt::admitted(&plan, kept, asks && !is_planning);
        // A policy approves a plan, but no skill that a person has not seen as it is.
        lowered.plan_policy.asks |= skills.iter().any(SkillReview::needs_approval);
        let base_commit = self.import(project_id, PathBuf::from(&folder), files).await?;
        let scripts = source.scripts;
        let detail = ProjectDetail { folder, owner, plan, scripts, skills, channel, edited_by: Vec::new(), key };
        let plan_digest =
            adopt::plan_digest(&detail, &base_commit).map_err(|e| problem("plan_invalid", 422, e.to_string()))?;
        let approval_id = ApprovalId::from_uuid(self.ids.next());
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
            offers_result: lowered.offers_result,
        });
        let (by, channel) = (detail.owner.clone(), detail.channel.clone());
        if let Err(refusal) = self.handle.ask(project_id, fact, Some(Detail::Project(Box::new(detail)))).await {
            self.forget(project_id).await;
            return Err(of_refusal(&refusal));
        }
        if approve_plan && !is_planning {
            self.approve_own(project_id, (approval_id, plan_digest), by, channel).await?;
        }
        Ok(project_id)
    }

    /// A policy that is not there, as far as a checked plan can name one: from the request, not from the plan.
    fn unlowered(&self, error: &LowerError) -> Problem {
        if !matches!(error, LowerError::UnknownPolicy { .. }) {
            return problem("plan_invalid", 422, error.to_string());
        }
        let names = self.rules.policies.keys().map(String::as_str);
        let known = [POLICY_ASK, POLICY_AUTO].into_iter().chain(names).collect::<Vec<_>>().join(", ");
        hinted("unknown_policy", 422, error.to_string(), format!("there are {known}"))
    }

    /// The first plan of a project that has only a goal.
    async fn goal(
        &self,
        goal: &str,
        budget: Budget,
        has_inputs: bool,
        folder: &str,
    ) -> Result<(Plan, Vec<SkillReview>), Problem> {
        if goal.trim().is_empty() {
            return Err(problem("empty_goal", 422, "the goal is empty"));
        }
        if let Some((detail, hint)) = planfile::no_planner(&self.models) {
            return Err(hinted("no_model", 422, detail, hint));
        }
        let plan = planfile::planner::first_plan(goal, budget, has_inputs);
        let (shelf, folder, planned) = (Arc::clone(&self.shelf), folder.to_owned(), plan.clone());
        let kept = blocking(move || {
            let catalog = shelf.catalog(Some(&folder));
            shelf.keep(&folder, &catalog, &adopt::skill_names(&planned, &catalog))
        });
        Ok((plan, kept.await?.map_err(|error| unkept(&error))?))
    }

    /// The commit the project begins with: the folder, and beside it the files that came with the request.
    async fn import(&self, project_id: ProjectId, folder: PathBuf, files: Vec<InputFile>) -> Result<String, Problem> {
        let shadow = Arc::clone(&self.shadow);
        let imported = blocking(move || shadow.import(project_id, &folder)).await?;
        match imported {
            Ok(imported) => {
                for warning in &imported.warnings {
                    tracing::info!(project.id = %project_id, warning, "folder copied with a remark");
                }
                if files.is_empty() {
                    return Ok(imported.commit);
                }
                let shadow = Arc::clone(&self.shadow);
                let put = blocking(move || {
                    shadow.with_inputs(project_id, &imported.commit, &files, &|name, taken| given::unique(name, taken))
                });
                match put.await? {
                    Ok(commit) => Ok(commit),
                    Err(error) => {
                        self.forget(project_id).await;
                        Err(problem("inputs_unusable", 422, error.to_string()))
                    }
                }
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
        let detail = ProjectDetail { scripts, ..ProjectDetail::new("/f", "o", plan) };
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
            admitted: None,
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
