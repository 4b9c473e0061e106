//! The plan of a project: shown, estimated, edited before it is approved.

use bus_schemas::{
    id::{ApprovalId, ProjectId, TaskId},
    v1::{
        agent::Tokens,
        api::{EditPlanRequest, EstimateView, PlanView, Problem},
        plan::{Budget, Plan},
        skill::SkillReview,
    },
};

use super::{
    orchestrator::Orchestrator,
    problem::{hinted, of_refusal, problem},
};
use crate::{
    driver::{Detail, ProjectDetail, Seen, adopt},
    plan::{ProjectState, TaskGraph, event::Fact},
    planfile::{
        estimate::estimate,
        lower::{budget_of, lower},
    },
};

/// Some task is for an agent.
pub(super) fn has_agents(plan: &Plan) -> bool {
    plan.tasks.iter().any(|task| task.agent.is_some())
}

impl Orchestrator {
    /// A project as it is now.
    pub(super) async fn seen(&self, project_id: ProjectId) -> Result<Seen, Problem> {
        let seen = self.handle.look(project_id).await.map_err(|e| of_refusal(&e))?;
        seen.ok_or_else(|| problem("not_found", 404, format!("there is no project {project_id}")))
    }

    pub(super) async fn plan_view(&self, project_id: ProjectId) -> Result<PlanView, Problem> {
        let seen = self.seen(project_id).await?;
        let plan = seen.project.plan.clone();
        let editable = seen.state == ProjectState::AwaitingApproval;
        Ok(PlanView {
            estimate: has_agents(&plan).then(|| self.estimate(&plan)),
            digest: if editable { seen.plan_digest } else { String::new() },
            editable,
            plan,
        })
    }

    /// What a plan may cost.
    pub(super) fn estimate(&self, plan: &Plan) -> EstimateView {
        let price = |model: &str, tokens: &Tokens| {
            let known = self.models.price(model).filter(|priced| !priced.assumed)?;
            Some(known.price.of(tokens))
        };
        estimate(plan, &layers(plan), &self.models, &price)
    }

    /// Puts another plan in the place of the one that waits for approval.
    pub(super) async fn edit(&self, project_id: ProjectId, request: EditPlanRequest) -> Result<(), Problem> {
        let seen = self.seen(project_id).await?;
        if seen.state != ProjectState::AwaitingApproval {
            let detail = format!("the plan of project {project_id} does not wait for approval: it is {}", seen.state);
            let hint = "what has not started yet can be changed by an agent that may replan; or start another project";
            return Err(hinted("wrong_state", 409, detail, hint));
        }
        let EditPlanRequest { plan: mut source, by, channel: over, digest: instead_of } = request;
        let by = self.insider(project_id, &over, &by).await?;
        let folder = seen.project.folder.clone();
        source.folder = Some(folder.clone());
        // Whoever edits a plan sends its text; the scripts it runs are there already.
        for (name, text) in &seen.project.scripts {
            source.scripts.entry(name.clone()).or_insert_with(|| text.clone());
        }
        let (mut plan, kept) = self.sound(&source, &folder).await?;
        let planner = seen.tasks.iter().find(|task| task.kind.is_helper()).map(|task| task.key.as_str());
        if let Some(key) = planner.filter(|key| plan.tasks.iter().any(|task| task.id == *key)) {
            return Err(problem("plan_invalid", 422, format!("the id `{key}` is the planning task's")));
        }
        if planner.is_some() {
            within(&mut plan, &seen.started.plan.budget)?;
        }
        let scripts = source.scripts;
        stands(&mut plan, &seen.started.plan);
        let mut lowered = lower(&plan, &mut || TaskId::from_uuid(self.ids.next()), &scripts, &self.rules)
            .map_err(|e| problem("plan_invalid", 422, e.to_string()))?;
        let asks = self.rules.always_asks(&lowered.plan_policy.name, &plan.policies);
        let skills = adopt::admitted(&plan, kept, asks);
        // A policy approves a plan, but no skill that a person has not seen as it is.
        lowered.plan_policy.asks |= skills.iter().any(SkillReview::needs_approval);
        let mut edited_by = seen.project.edited_by.clone();
        if !edited_by.contains(&by) {
            edited_by.push(by.clone());
        }
        let (owner, channel) = (seen.project.owner.clone(), seen.project.channel.clone());
        let detail = ProjectDetail { folder, owner, plan, scripts, skills, channel, edited_by, key: None };
        let plan_digest =
            adopt::plan_digest(&detail, &seen.base_commit).map_err(|e| problem("plan_invalid", 422, e.to_string()))?;
        let fact = Fact::PlanProposed {
            task_id: None,
            tasks: lowered.tasks,
            plan_digest,
            policy: lowered.plan_policy,
            approval_id: ApprovalId::from_uuid(self.ids.next()),
            budget: lowered.budget,
            replan_policy: lowered.replan_policy,
            by,
            channel: over,
            route: None,
            offers_result: Some(lowered.offers_result),
            instead_of,
        };
        let detail = Detail::Project(Box::new(detail));
        self.handle.ask(project_id, fact, Some(detail)).await.map_err(|e| of_refusal(&e)).map(drop)
    }
}

/// Who approves the plan, and its result, was said when the project was started: whoever edits it cannot choose that anew.
fn stands(plan: &mut Plan, started: &Plan) {
    plan.approval.clone_from(&started.approval);
    plan.apply.clone_from(&started.apply);
    for name in [&started.approval, &started.apply].into_iter().flatten() {
        if let Some(policy) = started.policies.get(name) {
            plan.policies.insert(name.clone(), policy.clone());
        }
    }
}

/// An edit stays within what a person gave the project at its start: more is given where it is seen and recorded as such.
fn within(plan: &mut Plan, given: &Budget) -> Result<(), Problem> {
    let bad = |e: crate::planfile::lower::LowerError| problem("bad_budget", 422, e.to_string());
    let (own, most) =
        (budget_of("the plan", &plan.budget).map_err(bad)?, budget_of("the project", given).map_err(bad)?);
    if own.or(&most) != own.tightest(&most) {
        let detail = "the plan's budget is above what the project was started with";
        return Err(hinted(
            "over_given",
            422,
            detail,
            "leave it as it was, and raise it with `baton budget` once it runs",
        ));
    }
    adopt::tighten(&mut plan.budget, given);
    Ok(())
}

/// A plan's task ids by depth.
fn layers(plan: &Plan) -> Vec<Vec<String>> {
    let keys: Vec<&str> = plan.tasks.iter().map(|task| task.id.as_str()).collect();
    let places: std::collections::HashMap<&str, usize> = keys.iter().copied().zip(0..).collect();
    let places_of = |needs: &[String]| needs.iter().filter_map(|need| places.get(need.as_str()).copied()).collect();
    let needs: Vec<Vec<usize>> = plan.tasks.iter().map(|task| places_of(&task.needs)).collect();
    let Ok(graph) = TaskGraph::build(&keys, &needs) else { return Vec::new() };
    let key = |number: usize| keys.get(number).map(|key| (*key).to_owned()).unwrap_or_default();
    graph.layers().into_iter().map(|layer| layer.into_iter().map(key).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_does_not_choose_who_approves_it() {
        let plan = |text: &str| serde_json::from_str::<Plan>(text).unwrap();
        let started = plan(
            r#"{"version":1,"title":"t","approval":"leads","policies":{"leads":{"decide":{"group":"leads"}}},"tasks":[]}"#,
        );
        let mut own = plan(
            r#"{"version":1,"title":"t","approval":"auto","apply":"auto","policies":{"leads":{"decide":"auto"}},"tasks":[]}"#,
        );
        stands(&mut own, &started);
        assert_eq!((&own.approval, &own.apply, &own.policies), (&started.approval, &None, &started.policies));
    }

    #[test]
    fn an_edit_gives_a_planned_project_no_more_than_a_person_did() {
        let given = Budget { usd: Some(2.0), ..Budget::default() };
        let after = |budget: &str| {
            let text = format!(r#"{{"version":1,"title":"t","budget":{budget},"tasks":[]}}"#);
            let mut plan: Plan = serde_json::from_str(&text).unwrap();
            within(&mut plan, &given).map(|()| plan.budget)
        };
        assert_eq!(after("{}").unwrap(), given, "what is left out is not lifted");
        assert_eq!(
            after(r#"{"usd":1,"turns":3}"#).unwrap(),
            Budget { usd: Some(1.0), turns: Some(3), ..Budget::default() }
        );
        let refused = after(r#"{"usd":3}"#).unwrap_err();
        assert_eq!((refused.code.as_str(), refused.status), ("over_given", 422));
    }
}
