//! At a limit of a budget: the task waits, and people add to the limit or do not.

use std::collections::BTreeSet;

use bus_schemas::id::{ApprovalId, TaskId};

use super::budget::Owner;
use crate::{
    ledger::{self, Decided, Decision},
    plan::{
        budget::{BudgetSpec, Reached, Resource},
        change::Change,
        event::PolicySpec,
        rejected::Rejected,
        request::{Asking, Subject},
        state::{BudgetWait, ProjectState},
        task::TaskState,
    },
};

impl Change<'_> {
    pub(super) fn budget_reached(&mut self, task_id: TaskId, asking: &Asking<'_>) -> Result<(), Rejected> {
        let (number, task) = self.open_task(task_id)?;
        if task.state != TaskState::Ready {
            return Err(self.wrong_state(task));
        }
        self.fresh(asking.approval_id)?;
        let (owner, reached) = self.reached(number, 0).ok_or(Rejected::WithinBudget { task_id })?;
        let at = self.at;
        self.edit(number, |task| task.paused_at = Some(at));
        self.ask_budget(number, owner, &reached, asking);
        Ok(())
    }

    /// A task waits for people at a limit. All that wait for the same limit share one request; where somebody refused to
    /// add to it, it ends.
    pub(super) fn ask_budget(&mut self, number: usize, owner: Owner, reached: &Reached, asking: &Asking<'_>) {
        let Reached { resource, used, limit } = *reached;
        let whose = owner.and_then(|number| self.task(number)).map_or("project", |task| task.spec.key.as_str());
        let reason = format!("budget of {whose}: {used} of {limit} {resource} used");
        if self.ledger(owner).is_some_and(|ledger| ledger.refused.contains(&resource)) {
            self.end(number, TaskState::Failed, &reason);
            return self.settle();
        }
        let Some(task) = self.task(number) else { return };
        let subject = Subject::Budget { task_id: task.spec.task_id, number: task.attempt };
        let spec = person(&task.spec.policy);
        let joined = self.plan.budgets_asked.get(&(owner, resource)).copied();
        let approval_id = joined.unwrap_or(asking.approval_id);
        self.edit(number, |task| {
            task.state = TaskState::InputRequired;
            task.approval_id = Some(approval_id);
            task.reason = reason;
        });
        let task_id = self.id_of(owner);
        let wait = self.plan.budget_waits.entry(approval_id).or_insert_with(|| BudgetWait {
            task_id,
            resource,
            used,
            limit,
            waiting: BTreeSet::new(),
            owner,
        });
        wait.waiting.insert(number);
        if joined.is_none() {
            self.plan.budgets_asked.insert((owner, resource), approval_id);
            self.request(asking, subject, &spec);
        }
    }

    /// The limit grows by what it was first, counted from what is used by now, so that everybody can go on.
    pub(super) fn carry_out_budget(&mut self, wait: &BudgetWait, decision: &Decision) {
        let (owner, resource) = (wait.owner, wait.resource);
        let wall_ms = self.wall_ms(owner);
        if decision.verdict == Decided::Approved {
            let Some(ledger) = self.ledger(owner) else { return };
            let now = ledger.limits.limit(resource).unwrap_or(wait.limit);
            let once_more = ledger.original.limit(resource).unwrap_or(now).max(1);
            let limit = now.max(ledger.used(resource, wall_ms)).saturating_add(once_more);
            self.set_limit(owner, resource, limit);
            for number in &wait.waiting {
                self.go_on(*number);
            }
            return;
        }
        self.change_ledger(owner, |ledger| {
            ledger.refused.insert(resource);
        });
        let reason = format!("budget: {}: {}", decision.by, decision.note);
        for number in &wait.waiting {
            self.end(*number, TaskState::Failed, &reason);
        }
        self.settle();
    }

    /// Sets a limit; one that is set before there is a plan outlives the plan's approval.
    fn set_limit(&mut self, owner: Owner, resource: Resource, limit: u64) {
        let wall_ms = self.wall_ms(owner);
        self.change_ledger(owner, |ledger| ledger.change_limit(resource, limit, wall_ms));
        if owner.is_none() && self.plan.state != ProjectState::Working {
            self.plan.given_budget.set(resource, Some(limit));
            // Raised for the plan that waits as well: its own limit was said before.
            if let Some(proposed) = &mut self.plan.proposed_budget {
                proposed.set(resource, Some(limit));
            }
        }
    }

    pub(super) fn budget_raised(
        &mut self,
        task_id: Option<TaskId>,
        budget: &BudgetSpec,
        by: &str,
        channel: &str,
    ) -> Result<(), Rejected> {
        let owner = task_id.map(|task_id| self.open_task(task_id).map(|(number, _)| number)).transpose()?;
        if self.plan.state.is_final() {
            return Err(Rejected::WrongProjectState { state: self.plan.state, event: self.event });
        }
        let wall_ms = self.wall_ms(owner);
        for resource in Resource::ALL {
            let Some(limit) = budget.limit(resource) else { continue };
            self.set_limit(owner, resource, limit);
            let enough = self.ledger(owner).is_some_and(|ledger| ledger.spent(resource, wall_ms) < limit);
            let asked = self.plan.budgets_asked.get(&(owner, resource)).copied();
            let Some(approval_id) = asked.filter(|_| enough) else { continue };
            let Some(wait) = self.plan.budget_waits.get(&approval_id).cloned() else { continue };
            // Whoever may raise a limit needs nobody's leave; it is pending, so this is taken.
            drop(self.move_request(approval_id, ledger::Fact::Done { by, channel, note: "the limit was raised" }));
            for number in wait.waiting {
                self.go_on(number);
            }
        }
        Ok(())
    }

    /// Takes a task from those that wait for a limit; true if nobody waits for this request any more.
    pub(in crate::plan) fn leave_budget(&mut self, number: usize, approval_id: ApprovalId) -> bool {
        self.plan.budget_waits.get_mut(&approval_id).is_none_or(|wait| {
            wait.waiting.remove(&number);
            wait.waiting.is_empty()
        })
    }
}

/// Who is asked where only a person can answer: the deadline is that of the task's own policy, if it has one.
pub(super) fn person(policy: &PolicySpec) -> PolicySpec {
    let name = if policy.asks { policy.name.clone() } else { "ask".to_owned() };
    PolicySpec { name, asks: true, deadline_ms: policy.deadline_ms }
}
