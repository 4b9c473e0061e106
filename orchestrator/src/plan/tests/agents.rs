//! What agents' attempts say to a plan under test.

use bus_schemas::id::MessageId;
use uuid::Uuid;

use super::support::{World, created, nonce, policy, spec, task};
use crate::plan::{
    Amount, BudgetSpec, Outcome, Rejected, Resource,
    event::{Event, Fact, PatchSpec, PauseSpec, ProjectCreated, TaskKind, TaskSpec},
};

pub(super) fn call(n: u128) -> MessageId {
    MessageId::from_uuid(Uuid::from_u128(n))
}

/// One call of so many tokens.
pub(super) fn tokens(tokens: u64) -> Amount {
    Amount { usd_nanos: tokens * 10, tokens, calls: 1 }
}

pub(super) fn limit(resource: Resource, limit: u64) -> BudgetSpec {
    let mut budget = BudgetSpec::default();
    budget.set(resource, Some(limit));
    budget
}

pub(super) fn agent(n: u128, needs: &[u128]) -> TaskSpec {
    TaskSpec { kind: TaskKind::Agent, ..spec(n, needs) }
}

pub(super) fn clarifier(n: u128) -> TaskSpec {
    TaskSpec { kind: TaskKind::Clarifier, ..spec(n, &[]) }
}

/// The first event, changed.
pub(super) fn created_with(tasks: Vec<TaskSpec>, asks: bool, change: impl FnOnce(&mut ProjectCreated)) -> Event {
    let mut event = created(tasks, asks);
    if let Fact::ProjectCreated(created) = &mut event.fact {
        change(created);
    }
    event
}

impl World {
    pub(super) fn budgeted(tasks: Vec<TaskSpec>, budget: BudgetSpec) -> Self {
        Self::with(&created_with(tasks, false, |created| created.budget = budget))
    }

    /// A project that begins with its planner, task 1.
    pub(super) fn planned(asks: bool, budget: BudgetSpec) -> Self {
        let planner = TaskSpec { kind: TaskKind::Planner, ..spec(1, &[]) };
        Self::with(&created_with(vec![planner], false, |created| {
            created.planning = Some(policy(asks));
            created.budget = budget;
        }))
    }

    pub(super) fn reserve(&mut self, n: u128, by: u128, id: u128, amount: Amount) -> Result<Outcome, Rejected> {
        self.reserve_after(n, by, id, amount, 0)
    }

    pub(super) fn reserve_after(
        &mut self,
        n: u128,
        by: u128,
        id: u128,
        amount: Amount,
        vm_ms: u64,
    ) -> Result<Outcome, Rejected> {
        let number = self.task(n).attempt;
        self.step(Fact::SpendReserved { task_id: task(n), number, nonce: nonce(by), call_id: call(id), amount, vm_ms })
    }

    pub(super) fn settle(
        &mut self,
        n: u128,
        number: u32,
        by: u128,
        id: u128,
        amount: Amount,
    ) -> Result<Outcome, Rejected> {
        self.step(Fact::SpendSettled {
            task_id: task(n),
            number,
            nonce: nonce(by),
            call_id: call(id),
            amount,
            vm_ms: 0,
        })
    }

    pub(super) fn pause(&mut self, n: u128, by: u128, pause: PauseSpec) -> Result<Outcome, Rejected> {
        self.pause_at(n, by, pause, 0)
    }

    pub(super) fn pause_at(
        &mut self,
        n: u128,
        by: u128,
        pause: PauseSpec,
        saved_turn: u32,
    ) -> Result<Outcome, Rejected> {
        let (approval_id, number) = (self.fresh(), self.task(n).attempt);
        self.step(Fact::AttemptPaused {
            task_id: task(n),
            number,
            nonce: nonce(by),
            pause,
            approval_id,
            digest: format!("pause of t{n}"),
            vm_ms: 0,
            saved_turn,
            route: None,
        })
    }

    pub(super) fn ask(&mut self, n: u128, by: u128, question: &str) -> Result<Outcome, Rejected> {
        self.pause(n, by, PauseSpec::Question { question: question.to_owned() })
    }

    pub(super) fn bounce(&mut self, n: u128, by: u128, need: u128, helper: u128) -> Result<Outcome, Rejected> {
        let clarifier = Box::new(clarifier(helper));
        self.pause(n, by, PauseSpec::Bounce { need: task(need), clarifier })
    }

    /// Offers a task that is over its budget, and tells that it is.
    pub(super) fn run_into_limit(&mut self, n: u128) -> Outcome {
        let number = self.task(n).attempt + 1;
        assert!(matches!(self.offer(n, number), Err(Rejected::OverBudget { .. })));
        let approval_id = self.fresh();
        self.step(Fact::BudgetReached { task_id: task(n), approval_id, digest: "limit".to_owned(), route: None })
            .unwrap()
    }

    pub(super) fn raise(&mut self, n: Option<u128>, budget: BudgetSpec) -> Result<Outcome, Rejected> {
        let (by, channel) = ("ann".to_owned(), "cli".to_owned());
        self.step(Fact::BudgetRaised { task_id: n.map(task), budget, by, channel })
    }

    pub(super) fn note(&mut self, n: u128, id: &str, text: &str) -> Result<Outcome, Rejected> {
        let (note_id, from, text) = (id.to_owned(), "ann".to_owned(), text.to_owned());
        self.step(Fact::NoteTold { task_id: task(n), note_id, from, text })
    }

    pub(super) fn propose(&mut self, by: Option<u128>, tasks: Vec<TaskSpec>, asks: bool) -> Result<Outcome, Rejected> {
        self.propose_within(by, tasks, asks, BudgetSpec::default())
    }

    pub(super) fn propose_within(
        &mut self,
        by: Option<u128>,
        tasks: Vec<TaskSpec>,
        asks: bool,
        budget: BudgetSpec,
    ) -> Result<Outcome, Rejected> {
        self.propose_instead("", by, tasks, asks, budget)
    }

    /// A plan in the place of the one with this digest.
    pub(super) fn propose_instead(
        &mut self,
        instead_of: &str,
        by: Option<u128>,
        tasks: Vec<TaskSpec>,
        asks: bool,
        budget: BudgetSpec,
    ) -> Result<Outcome, Rejected> {
        let approval_id = self.fresh();
        self.step(Fact::PlanProposed {
            task_id: by.map(task),
            tasks,
            plan_digest: "another".to_owned(),
            policy: policy(asks),
            approval_id,
            budget,
            replan_policy: policy(false),
            by: "somebody".to_owned(),
            channel: String::new(),
            route: None,
            offers_result: None,
            instead_of: instead_of.to_owned(),
        })
    }

    pub(super) fn patch(&mut self, n: u128, by: u128, patch: PatchSpec) -> Result<Outcome, Rejected> {
        let (approval_id, number) = (self.fresh(), self.task(n).attempt);
        let digest = "patch".to_owned();
        self.step(Fact::PatchProposed {
            task_id: task(n),
            number,
            nonce: nonce(by),
            patch,
            approval_id,
            digest,
            route: None,
        })
    }
}
