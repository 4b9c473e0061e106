//! What must hold after every event, whatever it was.

use std::collections::{BTreeMap, BTreeSet};

use bus_schemas::id::{ClaimNonce, TaskId};

use super::invariants_agents::{check_budgets, check_patch, check_pause, check_spending};
use crate::{
    ledger,
    plan::{Amount, Command, Event, Outcome, Plan, ProjectState, Rejected, Subject, TaskState, event::Fact, timer},
};

/// What was accepted so far, to be compared with what is accepted next.
#[derive(Debug, Default)]
pub(super) struct Known {
    holders: BTreeMap<(TaskId, u32), ClaimNonce>,
    handed: BTreeSet<(TaskId, u32)>,
    offers: BTreeSet<(TaskId, u32)>,
}

/// Compares the plan before and after an event.
pub(super) fn check_step(
    known: &mut Known,
    before: &Plan,
    event: &Event,
    result: &Result<Outcome, Rejected>,
    after: &Plan,
) {
    check_indexes(after);
    check_budgets(after);
    let Ok(outcome) = result else {
        assert_eq!(before, after, "a rejected event changed the plan: {event:?}");
        return;
    };
    if outcome.is_nothing() {
        assert_eq!(before, after, "nothing was said to change: {event:?}");
        return;
    }
    check_spending(before, event, after);
    check_pause(before, event, after);
    check_patch(before, outcome, after);
    for task in before.tasks().iter().filter(|task| !outcome.removed.contains(&task.spec.task_id)) {
        let now = after.task(task.spec.task_id).unwrap();
        if task.state.is_final() {
            assert_eq!(task.state, now.state, "a final task moved");
            assert_eq!(task.commit, now.commit, "a final task's commit changed");
        }
        assert!(now.attempt >= task.attempt, "an attempt number went back");
        if task != now && task.waiting_for == now.waiting_for && task.open_children == now.open_children {
            assert!(outcome.touched.contains(&task.spec.task_id), "changed and not touched: {task:?} {now:?}");
        }
        if task.state != now.state {
            let changed = Command::TaskChanged { task_id: task.spec.task_id };
            assert!(outcome.commands.contains(&changed), "changed and not made known");
        }
    }
    check_requests(before, outcome, after);
    assert!(before.is_settled() == after.is_settled() || outcome.project_changed, "settled, and nobody is told");
    if before.state().is_final() {
        assert_eq!(before.state(), after.state(), "a final project moved");
    }
    assert!(before.state() == after.state() || outcome.project_changed, "the project moved and nobody is told");
    let once: BTreeSet<_> = outcome.touched.iter().collect();
    assert_eq!(once.len(), outcome.touched.len(), "touched twice: {outcome:?}");
    check_fence(known, before, &event.fact);
    for command in &outcome.commands {
        if let Command::Offer { task_id, number } = command {
            assert!(known.offers.insert((*task_id, *number)), "offered twice");
        }
    }
}

/// Requests are decided once, nobody counts twice, whatever changed is named, and nobody answers for what is decided.
fn check_requests(before: &Plan, outcome: &Outcome, after: &Plan) {
    let once: BTreeSet<_> = outcome.approvals.iter().collect();
    assert_eq!(once.len(), outcome.approvals.len(), "named twice: {outcome:?}");
    for now in after.approvals() {
        let id = now.approval_id;
        let was = before.approval(id);
        assert!(was == Some(now) || outcome.approvals.contains(&id), "a request changed and is not named: {now:?}");
        let by: BTreeSet<_> = now.votes.iter().map(|vote| &vote.by).collect();
        assert_eq!(by.len(), now.votes.len(), "somebody counts twice");
        let was_decided = was.and_then(|was| was.decision.as_ref());
        let told = outcome.commands.iter().filter(|command| **command == Command::Tell { approval_id: id }).count();
        match (was_decided, &now.decision) {
            (Some(was), Some(now)) => assert_eq!((was, told), (now, 0), "a decision changed, or is told again"),
            (Some(_), None) => panic!("a decision went away"),
            (None, Some(_)) => assert_eq!(told, usize::from(was.is_some()), "decided, and nobody is told"),
            (None, None) => assert_eq!(told, 0, "told and not decided"),
        }
        for question in &now.questions {
            let clarifier = after.task(question.clarifier).unwrap();
            let waits = question.answer.is_none();
            assert_eq!(waits, !clarifier.state.is_final(), "who answers has nothing to answer: {question:?}");
            assert!(!waits || now.decision.is_none(), "a question about what is decided");
        }
        if let Some(remembered) = &now.remembered {
            assert!(remembered.spec.until > now.decision.as_ref().unwrap().decided_at);
            assert!(now.request.asked.can_remember());
        }
    }
}

/// Only the current attempt is heard, only its first claim, and only one handoff of it.
fn check_fence(known: &mut Known, before: &Plan, fact: &Fact) {
    let (task_id, number, nonce) = match fact {
        Fact::AttemptClaimed { task_id, number, nonce, .. }
        | Fact::AttemptStaged { task_id, number, nonce, .. }
        | Fact::HandoffReceived { task_id, number, nonce, .. }
        | Fact::AttemptFailed { task_id, number, nonce, .. }
        | Fact::AttemptPaused { task_id, number, nonce, .. }
        | Fact::SpendReserved { task_id, number, nonce, .. }
        | Fact::PatchProposed { task_id, number, nonce, .. }
        | Fact::SkillProposed { task_id, number, nonce, .. } => (*task_id, *number, *nonce),
        _ => return,
    };
    assert_eq!(before.task(task_id).unwrap().attempt, number, "another attempt was heard");
    assert!(known.offers.contains(&(task_id, number)), "an attempt that was never offered was heard");
    let holder = known.holders.entry((task_id, number)).or_insert(nonce);
    assert_eq!(*holder, nonce, "another claim was heard");
    if matches!(fact, Fact::HandoffReceived { .. }) {
        assert!(known.handed.insert((task_id, number)), "two handoffs of one attempt");
    }
    if matches!(fact, Fact::AttemptPaused { .. }) {
        assert!(known.handed.insert((task_id, number)), "an attempt ended twice");
    }
}

/// The indexes say what a scan of all tasks says.
fn check_indexes(plan: &Plan) {
    let mut timers = BTreeSet::new();
    let mut ready = BTreeSet::new();
    for (number, task) in plan.tasks.iter().enumerate() {
        timers.extend(timer::deadlines(number, task));
        if task.state == TaskState::Ready {
            ready.insert((task.ready_at, number));
        }
        assert_eq!(task.state.is_done(), task.commit.is_some(), "done and commit go together");
        assert_eq!(task.state.is_final(), task.ended_at.is_some());
        assert_eq!(task.state == TaskState::InputRequired, task.approval_id.is_some());
        assert!(task.attempt <= task.max_attempts, "more attempts than allowed: {task:?}");
        if task.state.is_final() {
            let mut children = plan.children(task.spec.task_id);
            assert!(children.all(|child| child.state.is_final()), "it ended before its children");
        }
        // Who answers a question about a handoff works while that waits.
        if task.attempt > 0 && task.asked_for.is_none() {
            let needs = task.spec.needs.iter().map(|need| plan.task(*need).unwrap());
            assert!(needs.into_iter().all(|need| need.ended_well()), "started before what it needs was done");
        }
    }
    let pending: Vec<_> = plan.approvals().filter(|request| request.decision.is_none()).collect();
    timers.extend(pending.iter().filter_map(|request| {
        Some((ledger::next_at(&request.request)?, timer::Timer::Approval(request.approval_id)))
    }));
    assert_eq!(plan.timers, timers);
    assert_eq!(plan.ready, ready);
    assert_eq!(plan.pending.len(), pending.len());
    assert_eq!(plan.outstanding() as usize, plan.tasks.iter().filter(|task| task.is_outstanding()).count());
    assert_eq!(plan.open, plan.tasks.iter().filter(|task| !task.state.is_final()).count());
    if plan.state().is_final() {
        assert_eq!(plan.open, 0, "a final project with open tasks");
    }
    assert_eq!(plan.state() == ProjectState::Completed, plan.result_commit().is_some());
}

/// What must hold at the end.
pub(super) fn check_end(plan: &Plan, taken: &[Event]) {
    assert!(plan.state().is_final());
    assert!(plan.tasks().iter().all(|task| task.state.is_final()));
    assert!(plan.pending_approvals().all(|request| matches!(request.subject, Subject::Skill { .. })));
    assert!(plan.ready.is_empty() && plan.timers.is_empty() && plan.is_settled());
    let mut own = plan.tasks().iter().filter(|task| !task.spec.kind.is_helper());
    let well = own.all(crate::plan::Task::ended_well);
    assert_eq!(plan.ledger().reserved, Amount::default(), "reserved for ever");
    if plan.state() == ProjectState::Completed {
        assert!(well, "completed with a task that ended badly");
    }
    assert_eq!(&Plan::fold(taken).unwrap(), plan, "the journal makes another plan");
}
