//! What agents do in the model world: they call models, pause, propose changes of the plan; and what people say to them.

use bus_schemas::id::{ClaimNonce, TaskId};

use super::{
    agents::{agent, call, tokens},
    model::Model,
    support::{approval, host, nonce, task},
};
use crate::plan::{
    Amount, BudgetSpec, Rejected, Resource,
    event::{Fact, PatchSpec, PauseSpec, TaskSpec},
};

/// The dearest model call, in tokens.
pub(super) const DEAREST: u64 = 40;

/// The most a call can cost.
pub(super) fn call_of(serial: u128) -> Amount {
    tokens(1 + u64::try_from(serial % u128::from(DEAREST)).unwrap())
}

/// The same tasks under other ids.
pub(super) fn shifted(tasks: &[TaskSpec], by: u128) -> Vec<TaskSpec> {
    let other = |id: TaskId| task(id.as_uuid().as_u128() + by);
    let shift = |spec: &TaskSpec| TaskSpec {
        task_id: other(spec.task_id),
        key: format!("{}-{by}", spec.key),
        needs: spec.needs.iter().copied().map(other).collect(),
        ..spec.clone()
    };
    tasks.iter().map(shift).collect()
}

impl Model {
    /// An attempt calls its models; false if it ran into a limit. What the calls did cost goes onto the bus, where it can be
    /// doubled, late or lost.
    pub(super) fn call_models(&mut self, task_id: TaskId, number: u32, nonce: ClaimNonce) -> bool {
        // Later attempts go on where earlier ones stood, and need fewer calls in the end.
        let calls = if number > 6 { 0 } else { self.serial() % 4 };
        for _ in 0..calls {
            let serial = self.serial();
            let (call_id, amount, vm_ms) = (call(serial), call_of(serial), 10);
            let reserve = Fact::SpendReserved { task_id, number, nonce, call_id, amount, vm_ms };
            match self.tell(reserve) {
                Err(Rejected::OverBudget { .. }) => return false,
                Err(_) => return true,
                Ok(()) => {}
            }
            let amount = tokens(amount.tokens / 2);
            self.messages.push(Fact::SpendSettled { task_id, number, nonce, call_id, amount, vm_ms });
        }
        true
    }

    pub(super) fn pause(&mut self, task_id: TaskId, number: u32, nonce: ClaimNonce, pause: PauseSpec) {
        let approval_id = approval(self.serial());
        let digest = "pause".to_owned();
        let (vm_ms, saved_turn, route) = (15, number, self.route());
        let paused =
            Fact::AttemptPaused { task_id, number, nonce, pause, approval_id, digest, vm_ms, saved_turn, route };
        self.messages.push(paused);
    }

    fn any_task(&self, which: usize) -> Option<TaskId> {
        let tasks = self.plan.tasks();
        tasks.get(which % tasks.len().max(1)).map(|task| task.spec.task_id)
    }

    /// Whoever works proposes something, sensible or not.
    pub(super) fn patch(&mut self, which: usize) {
        let holder = |task: &&crate::plan::Task| task.is_outstanding() && task.claim.is_some();
        let working: Vec<_> = self.plan.tasks().iter().filter(holder).collect();
        let Some(task) = working.get(which % working.len().max(1)) else { return };
        let (task_id, number) = (task.spec.task_id, task.attempt);
        let nonce = task.claim.as_ref().map_or_else(|| nonce(0), |claim| claim.nonce);
        let serial = self.serial();
        let some = |n: usize| self.any_task(which / 3 + n);
        let needs: Vec<TaskId> = [some(1), some(5)].into_iter().flatten().collect();
        let mut patch = PatchSpec::default();
        if which & 1 == 0 {
            patch.add.push(TaskSpec { needs: needs.clone(), ..agent(serial, &[]) });
        }
        if which & 2 == 0 {
            patch.drop.extend(some(2));
        }
        if which & 4 == 0 {
            patch.needs.extend(some(3).map(|id| (id, needs)));
        }
        let digest = "patch".to_owned();
        let approval_id = approval(serial);
        drop(self.tell(Fact::PatchProposed { task_id, number, nonce, patch, approval_id, digest, route: None }));
        let (approval_id, name, digest) = (approval(self.serial()), "skill".to_owned(), "skill".to_owned());
        if which.is_multiple_of(5) {
            drop(self.tell(Fact::SkillProposed { task_id, number, nonce, name, approval_id, digest, route: None }));
        }
    }

    pub(super) fn note(&mut self, which: usize) {
        let Some(task_id) = self.any_task(which) else { return };
        let (note_id, from) = (format!("note-{}", which % 3), "ann".to_owned());
        drop(self.tell(Fact::NoteTold { task_id, note_id, from, text: "hurry".to_owned() }));
    }

    /// Limits only grow here: what is used stays below them.
    pub(super) fn raise(&mut self, which: usize) {
        let task_id = self.any_task(which).filter(|_| which.is_multiple_of(3));
        let ledger = match task_id {
            Some(task_id) => &self.plan.task(task_id).unwrap().ledger,
            None => self.plan.ledger(),
        };
        let mut budget = BudgetSpec::default();
        for resource in Resource::ALL {
            let more = |limit| limit + u64::try_from(which % 50).unwrap();
            budget.set(resource, ledger.limits.limit(resource).map(more));
        }
        let (by, channel) = ("ann".to_owned(), "cli".to_owned());
        drop(self.tell(Fact::BudgetRaised { task_id, budget, by, channel }));
    }

    /// Somebody without a claim speaks.
    pub(super) fn forge(&mut self, which: usize) {
        let number = u32::try_from(which % 4).unwrap();
        let Some(task_id) = self.plan.tasks().get(which % self.plan.tasks().len().max(1)).map(|t| t.spec.task_id)
        else {
            return;
        };
        let serial = self.serial();
        // Only the winner of a claim speaks, so a forger needs one that nobody is going to make any more.
        if !self.claims.contains_key(&(task_id, number)) || self.plan.task(task_id).unwrap().claim.is_none() {
            return;
        }
        self.say(Fact::AttemptClaimed { task_id, number, nonce: nonce(serial), host_id: host(serial) });
        self.say(Fact::HandoffReceived {
            task_id,
            number,
            nonce: nonce(serial),
            commit: "forged".to_owned(),
            proven: true,
            digest: String::new(),
            approval_id: approval(serial),
            vm_ms: 0,
            answer: None,
            route: None,
        });
        assert!(
            self.plan.tasks().iter().all(|task| task.commit.as_deref() != Some("forged")),
            "a forgery was accepted"
        );
    }
}
