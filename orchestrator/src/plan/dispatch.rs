//! Which attempts to offer next: never more than there are free slots, fairly between projects.

use std::{cmp::Reverse, collections::BinaryHeap};

use bus_schemas::{
    id::{ProjectId, TaskId},
    time::UnixMs,
};

use super::state::Plan;

/// The attempts to offer for `free_slots`, in order: as project, task and attempt number. The project with the fewest
/// tasks outstanding goes first, and each pick counts as outstanding, so that projects take turns; among equals the one
/// whose task waits longest. Within a project the task that has been ready longest goes first (then plan order). Tasks
/// whose backoff has not passed at `now` wait; a pick that is rejected as over its budget is told as `BudgetReached`. Costs a look at each project and one at each picked task.
pub fn pick<'a>(plans: impl Iterator<Item = &'a Plan>, free_slots: u32, now: UnixMs) -> Vec<(ProjectId, TaskId, u32)> {
    let mut picked = Vec::new();
    if free_slots == 0 {
        return picked;
    }
    let mut waiting: Vec<_> = plans.map(|plan| (plan, eligible(plan, now).peekable())).collect();
    let mut queue = BinaryHeap::new();
    for (place, (plan, tasks)) in waiting.iter_mut().enumerate() {
        if let Some((ready_at, _)) = tasks.peek() {
            queue.push(Reverse((plan.outstanding, *ready_at, place)));
        }
    }
    while picked.len() < usize::try_from(free_slots).unwrap_or(usize::MAX) {
        let Some(Reverse((outstanding, _, place))) = queue.pop() else { break };
        let Some((plan, tasks)) = waiting.get_mut(place) else { break };
        if let Some(task) = tasks.next().and_then(|(_, number)| plan.tasks.get(number)) {
            picked.push((plan.project_id, task.spec.task_id, task.attempt.saturating_add(1)));
        }
        if let Some((ready_at, _)) = tasks.peek() {
            queue.push(Reverse((outstanding.saturating_add(1), *ready_at, place)));
        }
    }
    picked
}

/// The next instant after `now` at which a task's backoff passes.
#[must_use]
pub fn next_ready_at(plan: &Plan, now: UnixMs) -> Option<UnixMs> {
    plan.ready.range((UnixMs(now.0.saturating_add(1)), 0)..).next().map(|(ready_at, _)| *ready_at)
}

/// Whether a task could be offered at `now`.
#[must_use]
pub fn has_ready(plan: &Plan, now: UnixMs) -> bool {
    eligible(plan, now).next().is_some()
}

fn eligible(plan: &Plan, now: UnixMs) -> impl Iterator<Item = (UnixMs, usize)> {
    // Where the project's own budget is used up and people are asked about it, nobody else needs to run into that.
    let halted = plan.budgets_asked.first_key_value().is_some_and(|((owner, _), _)| owner.is_none());
    // Before the plan is approved, only those are ready that answer a question about it.
    let working = !plan.state.is_final() && !halted;
    plan.ready.iter().copied().take_while(move |(ready_at, _)| working && *ready_at <= now)
}
