//! The plan of a project: shown, estimated, edited before it is approved.

use bus_schemas::{
    id::{ApprovalId, ProjectId, TaskId},
    v1::{
        agent::Tokens,
        api::{EditPlanRequest, EstimateView, PlanView, Problem},
        plan::Plan,
    },
};

use super::{
    orchestrator::Orchestrator,
    problem::{hinted, of_refusal, problem},
};
use crate::{
    driver::{Detail, ProjectDetail, Seen, adopt},
    plan::{ProjectState, TaskGraph, event::Fact},
    planfile::{estimate::estimate, lower::lower},
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
        Ok(PlanView {
            editable: seen.state == ProjectState::AwaitingApproval,
            estimate: has_agents(&plan).then(|| self.estimate(&plan)),
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
        let EditPlanRequest { plan: mut source, by } = request;
        let folder = seen.project.folder.clone();
        source.folder = Some(folder.clone());
        let (plan, kept) = self.sound(&source, &folder).await?;
        let planner = seen.tasks.iter().find(|task| task.kind.is_helper()).map(|task| task.key.as_str());
        if let Some(key) = planner.filter(|key| plan.tasks.iter().any(|task| task.id == *key)) {
            return Err(problem("plan_invalid", 422, format!("the id `{key}` is the planning task's")));
        }
        let mut scripts = source.scripts;
        for (name, text) in &seen.project.scripts {
            scripts.entry(name.clone()).or_insert_with(|| text.clone());
        }
        let lowered = lower(&plan, &mut || TaskId::from_uuid(self.ids.next()), &scripts)
            .map_err(|e| problem("plan_invalid", 422, e.to_string()))?;
        let owner = seen.project.owner.clone();
        let detail = ProjectDetail { folder, owner, plan, scripts, skills: kept };
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
        };
        let detail = Detail::Project(Box::new(detail));
        self.handle.ask(project_id, fact, Some(detail)).await.map_err(|e| of_refusal(&e)).map(drop)
    }
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
