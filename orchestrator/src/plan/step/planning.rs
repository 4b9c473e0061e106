//! Projects that begin with a planner, and plans that are proposed before anything starts.

use std::collections::HashMap;

use bus_schemas::id::{ApprovalId, TaskId};

use crate::{
    ledger::{Decided, Decision},
    plan::{
        budget::BudgetSpec,
        change::Change,
        command::Command,
        event::{PolicySpec, TaskKind, TaskSpec},
        graph::{GraphError, TaskGraph},
        policy::{self, NOTE_BYTES},
        rejected::Rejected,
        request::{Asking, Subject},
        state::ProjectState,
        task::{Asked, Note, Task, TaskState},
    },
};

/// So many unusable plans, and the planner has failed.
pub(super) const UNUSABLE_PLANS: u32 = 3;

/// A plan as it is proposed.
pub(super) struct Proposing<'a> {
    pub(super) task_id: Option<TaskId>,
    pub(super) tasks: &'a [TaskSpec],
    /// The digest is the plan's.
    pub(super) asking: Asking<'a>,
    pub(super) policy: &'a PolicySpec,
    pub(super) offers_result: Option<bool>,
    pub(super) budget: &'a BudgetSpec,
    pub(super) replan_policy: &'a PolicySpec,
    pub(super) by: &'a str,
    /// The digest of the plan it takes the place of; empty: of whichever waits.
    pub(super) instead_of: &'a str,
}

impl Change<'_> {
    /// The planner's handoff is accepted: is it a plan?
    pub(super) fn adopt(&mut self, number: usize) {
        let Some(task) = self.task(number) else { return };
        let task_id = task.spec.task_id;
        self.edit(number, |task| {
            task.state = TaskState::Blocked;
            task.approval_id = None;
            task.claim = None;
            task.asked = Some(Asked::Adopt);
            "its plan is being checked".clone_into(&mut task.reason);
        });
        self.command(Command::AdoptPlan { task_id });
    }

    fn adopting(&self, task_id: TaskId) -> Result<usize, Rejected> {
        let (number, task) = self.open_task(task_id)?;
        if task.asked == Some(Asked::Adopt) { Ok(number) } else { Err(self.wrong_state(task)) }
    }

    pub(super) fn plan_unusable(&mut self, task_id: TaskId, reason: &str) -> Result<(), Rejected> {
        let number = self.adopting(task_id)?;
        let unusable = self.task(number).map_or(0, |task| task.unusable).saturating_add(1);
        self.edit(number, |task| task.unusable = unusable);
        if unusable >= UNUSABLE_PLANS {
            let first = reason.lines().next().unwrap_or_default();
            let reason = policy::bounded(&format!("no usable plan after {unusable} tries: {first}"), NOTE_BYTES);
            self.end(number, TaskState::Failed, &reason);
            self.settle();
            return Ok(());
        }
        let text = policy::bounded(reason, NOTE_BYTES);
        let note = Note { id: format!("plan-{unusable}"), from: "orchestrator".to_owned(), text };
        self.plan_again(number, note);
        Ok(())
    }

    /// The planner goes on, with a note; this counts as no try.
    fn plan_again(&mut self, number: usize, note: Note) {
        let at = self.at;
        self.edit(number, |task| {
            let received_at = task.handoff.take().map_or(at, |handed| handed.received_at);
            task.waited_ms = task.waited_ms.saturating_add(at.since(received_at));
            task.notes.push(note);
            task.max_attempts = task.max_attempts.saturating_add(1);
            task.resume_from = task.attempt;
            task.asked = None;
            task.approval_id = None;
            task.claim = None;
            task.state = TaskState::Ready;
            task.ready_at = at;
            task.reason.clear();
        });
    }

    pub(super) fn plan_proposed(&mut self, proposing: &Proposing<'_>) -> Result<(), Rejected> {
        match proposing.task_id {
            Some(task_id) => drop(self.adopting(task_id)?),
            None if self.plan.state == ProjectState::AwaitingApproval => {}
            None => return Err(Rejected::WrongProjectState { state: self.plan.state, event: self.event }),
        }
        if !proposing.instead_of.is_empty() && proposing.instead_of != self.plan.plan_digest {
            return Err(Rejected::AnotherPlan);
        }
        self.fresh(proposing.asking.approval_id)?;
        let known = |spec: &&TaskSpec| self.plan.numbers.contains_key(&spec.task_id) || spec.kind.is_helper();
        if let Some(spec) = proposing.tasks.iter().find(known) {
            return Err(GraphError::DuplicateTask { key: spec.key.clone() }.into());
        }
        self.install(proposing.tasks, &format!("{} proposes another plan", proposing.by))?;
        proposing.asking.digest.clone_into(&mut self.plan.plan_digest);
        self.plan.offers_result = proposing.offers_result.unwrap_or(self.plan.offers_result);
        self.plan.replan_policy = Some(proposing.replan_policy.clone());
        self.plan.proposed_budget = Some(self.budget_of(proposing));
        // Where a planner was asked for, the project says who approves its plan, whoever changes it.
        let policy = self.plan.planning.as_ref().unwrap_or(proposing.policy).clone();
        let approval_id = proposing.asking.approval_id;
        if self.planner().is_some() {
            self.edit(0, |task| {
                task.state = TaskState::InputRequired;
                task.asked = None;
                task.approval_id = Some(approval_id);
                "its plan waits for a person".clone_into(&mut task.reason);
            });
        }
        if self.request(&proposing.asking, Subject::Plan, &policy) {
            self.set_project(ProjectState::AwaitingApproval, String::new());
        } else {
            self.start_plan();
        }
        Ok(())
    }

    /// A planner's plan can tighten what the project was given, a person's can change it.
    fn budget_of(&self, proposing: &Proposing<'_>) -> BudgetSpec {
        let given = self.plan.given_budget;
        match (proposing.task_id, &self.plan.planning) {
            (Some(_), _) => given.tightest(proposing.budget),
            (None, Some(_)) => proposing.budget.or(&given),
            (None, None) => *proposing.budget,
        }
    }

    /// The plan is approved: the planner has done its part, the tasks start.
    pub(super) fn start_plan(&mut self) {
        if let Some((proven, commit)) = self.planner().and_then(|planner| {
            let handed = planner.handoff.as_ref().filter(|_| !planner.state.is_final())?;
            Some((handed.proven, handed.commit.clone()))
        }) {
            self.complete(0, proven, commit);
        }
        if let Some(budget) = self.plan.proposed_budget.take() {
            self.plan.ledger.set_limits(budget);
            self.spent();
        }
        self.start();
    }

    /// A plan that is to be changed goes back to its planner; where there is none, another plan is another project.
    pub(super) fn carry_out_plan(&mut self, approval_id: ApprovalId, decision: &Decision) {
        let Decision { by, note, .. } = decision;
        let planner = self.planner().is_some_and(|planner| !planner.state.is_final());
        let reason = match decision.verdict {
            Decided::Approved => return self.start_plan(),
            Decided::ChangesRequested if planner => {
                let id = format!("approval-{approval_id}");
                self.plan.proposed_budget = None;
                // An empty plan always makes a graph.
                drop(self.install(&[], ""));
                self.set_project(ProjectState::Planning, format!("{by} requests changes to the plan"));
                return self.plan_again(0, Note { id, from: by.clone(), text: note.clone() });
            }
            Decided::ChangesRequested => format!("{by} requests changes to the plan: {note}"),
            Decided::Rejected => format!("{by} rejects the plan: {note}"),
            Decided::Expired => note.clone(),
        };
        self.set_project(ProjectState::Rejected, reason);
        self.end_all(TaskState::Canceled, "the plan was not approved");
    }

    /// The planner of a project that began with one.
    fn planner(&self) -> Option<&Task> {
        self.task(0).filter(|task| task.spec.kind == TaskKind::Planner)
    }

    /// Puts these tasks in the place of those that were proposed before. Nothing has started, so nothing is lost. The planner
    /// stays, and so do those that answered questions about its plans.
    fn install(&mut self, specs: &[TaskSpec], why: &str) -> Result<(), Rejected> {
        let helpers = self.plan.tasks.iter().map(|task| &task.spec).filter(|spec| spec.kind.is_helper());
        let all: Vec<TaskSpec> = helpers.chain(specs).cloned().collect();
        let graph = TaskGraph::of(&all)?;
        let about_plan =
            |id: &&ApprovalId| self.plan.approvals.get(*id).is_some_and(|request| request.subject == Subject::Plan);
        let pending: Vec<ApprovalId> = self.plan.pending.iter().filter(about_plan).copied().collect();
        for approval_id in pending {
            self.void(approval_id, why);
        }
        // Before tasks get other numbers: a question about the plan may have ended with it.
        self.settle();
        let mut kept = Vec::new();
        for (number, task) in std::mem::take(&mut self.plan.tasks).into_iter().enumerate() {
            if task.spec.kind.is_helper() {
                kept.push(number);
                self.plan.tasks.push(task);
            } else {
                self.plan.open -= usize::from(!task.state.is_final());
                self.removed.push(task.spec.task_id);
            }
        }
        self.renumber(&kept);
        for (place, spec) in specs.iter().enumerate() {
            let needs = graph.needs_count(kept.len() + place);
            self.plan.tasks.push(Task::new(spec.clone(), needs, self.at));
            self.plan.open += 1;
            self.touch(kept.len() + place);
        }
        self.plan.graph = graph;
        let ids = self.plan.tasks.iter().enumerate().map(|(number, task)| (task.spec.task_id, number));
        self.plan.numbers = ids.collect::<HashMap<_, _>>();
        self.touch_project();
        Ok(())
    }

    /// Before the start, a project lives as long as its planner.
    pub(super) fn conclude_planning(&mut self) {
        let Some(planner) = self.planner().filter(|planner| planner.ended_badly()) else { return };
        let reason = format!("task {} is {}", planner.spec.key, planner.state);
        self.set_project(ProjectState::Failed, reason);
        self.end_all(TaskState::Canceled, "there is no plan");
    }
}
