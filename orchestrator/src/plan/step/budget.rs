//! Budgets: leave for model calls, what they did cost, VM time, warnings.
//!
//! What a task uses counts in its own ledger, in those of the tasks it works for (the `foreach` it is a child of, the task
//! that asked for a clarifier) and in the project's. A call is let through if what is spent and reserved is below each
//! of these limits, so at most one call goes over.

use bus_schemas::id::{ClaimNonce, MessageId, TaskId};

use crate::plan::{
    budget::{Amount, Call, CallState, Ledger, Reached, Resource},
    change::Change,
    command::Command,
    rejected::Rejected,
    task::Task,
};

/// A model call as its host tells it.
pub(super) struct Calling {
    pub(super) number: u32,
    pub(super) nonce: ClaimNonce,
    pub(super) call_id: MessageId,
    pub(super) amount: Amount,
    pub(super) vm_ms: u64,
}

/// Whose limits they are: a task's by its number, or the project's.
pub(super) type Owner = Option<usize>;

impl Change<'_> {
    pub(super) fn spend_reserved(&mut self, task_id: TaskId, calling: &Calling) -> Result<(), Rejected> {
        let Calling { number: attempt, nonce, call_id, vm_ms, .. } = *calling;
        let (number, task) = self.fenced(task_id, attempt, nonce)?;
        if let Some(call) = task.calls.get(&call_id) {
            let known = call.number == attempt;
            return if known { Ok(()) } else { Err(Rejected::UnknownCall { task_id, number: attempt, call_id }) };
        }
        let more_vm_ms = vm_ms.saturating_sub(task.attempt_vm_ms);
        if let Some((owner, reached)) = self.reached(number, more_vm_ms) {
            return Err(self.over_budget(owner, &reached));
        }
        if let Some((owner, Reached { resource, used, limit })) = self.filled(number) {
            return Err(Rejected::Reserved { task_id: self.id_of(owner), resource, used, limit });
        }
        self.heard(number, nonce);
        // A reservation is one call, whatever its host says.
        let amount = Amount { calls: calling.amount.calls.max(1), ..calling.amount };
        let call = Call { number: attempt, nonce, amount, state: CallState::Open };
        self.edit(number, |task| {
            task.calls.insert(call_id, call);
        });
        self.account(number, |ledger| ledger.reserved = ledger.reserved.plus(&amount));
        self.charge_vm(number, vm_ms);
        self.warn(number);
        Ok(())
    }

    /// Taken for as long as the project is remembered: money that was spent does not come back with a stale attempt.
    pub(super) fn spend_settled(&mut self, task_id: TaskId, calling: &Calling) -> Result<(), Rejected> {
        let Calling { number: attempt, nonce, call_id, amount, vm_ms } = *calling;
        let event = self.event;
        let number = self.plan.numbers.get(&task_id).copied().ok_or(Rejected::UnknownTask { task_id, event })?;
        let call = self.task(number).and_then(|task| task.calls.get(&call_id));
        let own = |call: &&Call| call.number == attempt && call.nonce == nonce;
        let unknown = Rejected::UnknownCall { task_id, number: attempt, call_id };
        match call {
            Some(call) => {
                let Call { amount: before, state, .. } = Some(call).filter(own).ok_or(unknown)?.clone();
                match state {
                    CallState::Settled => return Ok(()),
                    CallState::Open => self.account(number, |ledger| ledger.reserved = ledger.reserved.minus(&before)),
                    CallState::Charged => self.account(number, |ledger| ledger.spent = ledger.spent.minus(&before)),
                }
            }
            // It overtook its reservation, which then reserves nothing any more.
            None => {
                self.fenced(task_id, attempt, nonce).map_err(|_| unknown)?;
                self.heard(number, nonce);
            }
        }
        self.account(number, |ledger| ledger.spent = ledger.spent.plus(&amount));
        let settled = Call { number: attempt, nonce, amount, state: CallState::Settled };
        self.edit(number, |task| {
            task.calls.insert(call_id, settled);
        });
        if self.task(number).is_some_and(|task| task.attempt == attempt && task.is_outstanding()) {
            self.charge_vm(number, vm_ms);
        }
        self.warn(number);
        Ok(())
    }

    /// An attempt is over: its open reservations count as spent until they are settled. `vm_ms` is what its host tells;
    /// where nobody tells, the time since its claim is taken.
    pub(in crate::plan) fn attempt_over(&mut self, number: usize, vm_ms: Option<u64>) {
        let Some(task) = self.task(number) else { return };
        let since_claim = task.claim.as_ref().map_or(0, |claim| self.at.since(claim.claimed_at));
        let open = |call: &&Call| call.state == CallState::Open;
        let left = task.calls.values().filter(open).fold(Amount::default(), |sum, call| sum.plus(&call.amount));
        self.charge_vm(number, vm_ms.unwrap_or(since_claim));
        if left != Amount::default() {
            self.edit(number, |task| {
                for call in task.calls.values_mut().filter(|call| call.state == CallState::Open) {
                    call.state = CallState::Charged;
                }
            });
            self.account(number, |ledger| {
                ledger.reserved = ledger.reserved.minus(&left);
                ledger.spent = ledger.spent.plus(&left);
            });
        }
        self.warn(number);
    }

    /// VM time of the current attempt so far; it never goes back.
    fn charge_vm(&mut self, number: usize, vm_ms: u64) {
        let Some(task) = self.task(number) else { return };
        let more = vm_ms.saturating_sub(task.attempt_vm_ms);
        if more > 0 {
            self.edit(number, |task| task.attempt_vm_ms = vm_ms);
            self.account(number, |ledger| ledger.vm_ms = ledger.vm_ms.saturating_add(more));
        }
    }

    /// Everybody whose limits a task draws on: itself, whom it works for, the project.
    fn owners(&self, number: usize) -> Vec<Owner> {
        let mut owners = vec![Some(number)];
        let mut next = self.task(number).and_then(Task::payer);
        while let Some(payer) = next {
            owners.push(Some(payer));
            next = self.task(payer).and_then(Task::payer);
        }
        owners.push(None);
        owners
    }

    pub(super) fn ledger(&self, owner: Owner) -> Option<&Ledger> {
        match owner {
            Some(number) => self.task(number).map(|task| &task.ledger),
            None => Some(&self.plan.ledger),
        }
    }

    pub(super) fn change_ledger(&mut self, owner: Owner, change: impl FnOnce(&mut Ledger)) {
        match owner {
            Some(number) => {
                if let Some(task) = self.plan.tasks.get_mut(number) {
                    change(&mut task.ledger);
                }
                self.touch(number);
            }
            None => {
                change(&mut self.plan.ledger);
                self.spent();
            }
        }
    }

    fn account(&mut self, number: usize, change: impl Fn(&mut Ledger)) {
        for owner in self.owners(number) {
            self.change_ledger(owner, &change);
        }
    }

    pub(super) fn wall_ms(&self, owner: Owner) -> u64 {
        match owner {
            Some(number) => self.task(number).map_or(0, |task| task.wall_ms(self.at)),
            None => self.plan.wall_ms(self.at),
        }
    }

    /// The first limit that leaves no room for a call as long as others are under way.
    fn filled(&self, number: usize) -> Option<(Owner, Reached)> {
        self.owners(number)
            .into_iter()
            .find_map(|owner| Some((owner, self.ledger(owner)?.filled(self.wall_ms(owner))?)))
    }

    /// The first limit that keeps a task from going on: what is reserved does not, it may cost less.
    pub(super) fn reached(&self, number: usize, more_vm_ms: u64) -> Option<(Owner, Reached)> {
        self.owners(number).into_iter().find_map(|owner| {
            let reached = self.ledger(owner)?.reached(self.wall_ms(owner), more_vm_ms)?;
            Some((owner, reached))
        })
    }

    pub(super) fn over_budget(&self, owner: Owner, reached: &Reached) -> Rejected {
        let Reached { resource, used, limit } = *reached;
        Rejected::OverBudget { task_id: self.id_of(owner), resource, used, limit }
    }

    pub(super) fn id_of(&self, owner: Owner) -> Option<TaskId> {
        owner.and_then(|number| self.task(number)).map(|task| task.spec.task_id)
    }

    fn warn(&mut self, number: usize) {
        for owner in self.owners(number) {
            for resource in Resource::ALL {
                let wall_ms = self.wall_ms(owner);
                let Some(ledger) = self.ledger(owner) else { continue };
                let percent = ledger.passed(resource, wall_ms);
                if percent > ledger.warned.get(&resource).copied().unwrap_or(0) {
                    self.change_ledger(owner, |ledger| {
                        ledger.warned.insert(resource, percent);
                    });
                    let task_id = self.id_of(owner);
                    self.command(Command::Warn { task_id, resource, percent });
                }
            }
        }
    }
}
