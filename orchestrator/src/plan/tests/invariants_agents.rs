//! What must hold of budgets, pauses and changes of the plan.

use std::collections::{BTreeMap, BTreeSet};

use super::model_agents::DEAREST;
use crate::plan::{
    Amount, Command, Event, Ledger, Outcome, Plan, Resource, Subject, Task, TaskState, budget::CallState, event::Fact,
};

/// The resources that calls use; nobody goes over them by more than a call.
const CALLED: [(Resource, u64); 3] = [(Resource::Tokens, DEAREST), (Resource::Usd, DEAREST * 10), (Resource::Turns, 1)];

/// The ledgers say what the calls say, nobody is more than one call over, and who waits for a limit is known.
pub(super) fn check_budgets(plan: &Plan) {
    let sums = sums(plan);
    for (number, task) in plan.tasks.iter().enumerate() {
        check_ledger(&task.ledger, sums.get(&Some(number)));
    }
    check_ledger(&plan.ledger, sums.get(&None));
    let mut waiting = BTreeSet::new();
    for (approval_id, wait) in &plan.budget_waits {
        assert!(plan.pending.contains(approval_id), "a wait nobody decides");
        assert_eq!(plan.budgets_asked.get(&(wait.owner, wait.resource)), Some(approval_id));
        assert!(!wait.waiting.is_empty(), "a request nobody waits for");
        for number in &wait.waiting {
            assert_eq!(plan.tasks[*number].approval_id, Some(*approval_id));
            assert!(waiting.insert(*number), "waits for two limits");
        }
    }
    assert_eq!(plan.budget_waits.len(), plan.budgets_asked.len());
    for (number, task) in plan.tasks.iter().enumerate() {
        let request = task.approval_id.and_then(|id| plan.approval(id));
        let waits = request.is_some_and(|request| matches!(request.subject, Subject::Budget { .. }));
        assert_eq!(waits, waiting.contains(&number), "{task:?}");
        assert!(task.failures <= task.spec.max_attempts, "more failures than tries: {task:?}");
        let bounced: BTreeSet<_> = task.bounced.iter().collect();
        assert_eq!(bounced.len(), task.bounced.len(), "bounced twice");
        let clarifier = task.clarifier.and_then(|clarifier| plan.tasks.get(clarifier));
        let waits = clarifier.is_some_and(|clarifier| !clarifier.state.is_final());
        assert!(!waits || task.state == TaskState::Blocked, "it goes on without its clarifier: {task:?}");
        assert!(!task.state.is_final() || !waits, "a clarifier nobody waits for");
    }
}

/// What the calls of all tasks say: spent and reserved by whose ledger it is.
fn sums(plan: &Plan) -> BTreeMap<Option<usize>, (Amount, Amount)> {
    let mut sums = BTreeMap::new();
    for (number, task) in plan.tasks.iter().enumerate().filter(|(_, task)| !task.calls.is_empty()) {
        let (mut spent, mut reserved) = (Amount::default(), Amount::default());
        for call in task.calls.values() {
            let sum = if call.state == CallState::Open { &mut reserved } else { &mut spent };
            *sum = sum.plus(&call.amount);
            let over = call.number != task.attempt || !task.is_outstanding();
            assert!(!over || call.state != CallState::Open, "a call of an attempt that is over is open");
        }
        let mut next = Some(number);
        let mut add = |owner: Option<usize>| {
            let sum: &mut (Amount, Amount) = sums.entry(owner).or_default();
            *sum = (sum.0.plus(&spent), sum.1.plus(&reserved));
        };
        while let Some(owner) = next {
            add(Some(owner));
            next = plan.tasks[owner].payer();
        }
        add(None);
    }
    sums
}

fn check_ledger(ledger: &Ledger, said: Option<&(Amount, Amount)>) {
    let (spent, reserved) = said.copied().unwrap_or_default();
    assert_eq!((ledger.spent, ledger.reserved), (spent, reserved), "a ledger does not say what the calls say");
    for (resource, dearest) in CALLED {
        let used = ledger.used(resource, 0);
        let limit = ledger.limits.limit(resource).unwrap_or(u64::MAX);
        assert!(used < limit.saturating_add(dearest).max(1), "{used} of {limit} {resource}: more than one call over");
    }
}

fn draws_on(plan: &Plan, number: usize, owner: usize) -> bool {
    let mut next = Some(number);
    while let Some(number) = next.filter(|number| *number != owner) {
        next = plan.tasks[number].payer();
    }
    next.is_some()
}

/// A call is let through only below every limit; what it did cost is accepted whenever it comes.
pub(super) fn check_spending(before: &Plan, event: &Event, after: &Plan) {
    let Fact::SpendReserved { task_id, call_id, .. } = &event.fact else { return };
    let number = before.numbers[task_id];
    if before.tasks[number].calls.contains_key(call_id) {
        return;
    }
    for (resource, _) in CALLED {
        let below =
            |ledger: &Ledger| ledger.limits.limit(resource).is_none_or(|limit| ledger.used(resource, 0) < limit);
        assert!(below(before.ledger()), "let through at the project's limit");
        for owner in (0..before.tasks.len()).filter(|owner| draws_on(before, number, *owner)) {
            assert!(below(&before.tasks[owner].ledger), "let through at a task's limit");
        }
    }
    assert_eq!(after.tasks[number].calls[call_id].state, CallState::Open);
}

/// A pause counts as no try, unless it was a question that cannot be put.
pub(super) fn check_pause(before: &Plan, event: &Event, after: &Plan) {
    let Fact::AttemptPaused { task_id, .. } = &event.fact else { return };
    let (before, task) = (before.task(*task_id).unwrap(), after.task(*task_id).unwrap());
    let refused = task.failure.as_ref().is_some_and(|failure| failure.failed_at == event.at);
    if task.failures > before.failures {
        let reason = &task.failure.as_ref().unwrap().reason;
        assert!(refused && ["bounce_refused", "no_progress"].contains(&reason.as_str()));
    } else {
        let left = |task: &Task| task.max_attempts - task.attempt;
        assert!(left(task) == left(before) + 1, "it cost a try");
        assert!(!matches!(task.state, TaskState::Submitted | TaskState::Working), "it is out still");
    }
}

/// A change of the plan leaves a graph without circles, and leaves alone what has started.
pub(super) fn check_patch(before: &Plan, outcome: &Outcome, after: &Plan) {
    if !outcome.commands.iter().any(|command| matches!(command, Command::PatchApplied { .. })) {
        return;
    }
    let layers = after.graph.layers();
    assert_eq!(layers.iter().map(Vec::len).sum::<usize>(), after.tasks.len(), "a circle");
    for (number, task) in before.tasks.iter().enumerate() {
        let now = &after.tasks[number];
        if task.attempt > 0 || task.state.is_final() {
            assert_eq!((&task.spec, task.state), (&now.spec, now.state), "a change of what has started");
            assert_eq!(before.graph.needs(number), after.graph.needs(number));
        }
        let dropped = |need: &usize| after.tasks[*need].dropped;
        let needs_dropped = after.graph.needs(number).iter().any(dropped);
        assert!(now.state.is_final() || !needs_dropped, "it needs what was dropped");
        assert!(!now.state.is_final() || task.state.is_final() || now.dropped, "it ended for what was dropped");
    }
}
