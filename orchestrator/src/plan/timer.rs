//! What has a deadline. The heartbeat limit is not here: the driver keeps it by its monotonic clock and tells
//! `LimitReached` with [`Limit::Heartbeat`].
//!
//! After a restart, take in what the stream holds before asking [`due`]: a handoff that waited there is older than the
//! limit that passed meanwhile.

use bus_schemas::{id::ApprovalId, time::UnixMs};

use super::{
    event::{Event, Fact, Limit},
    state::Plan,
    task::{Task, TaskState},
};

/// A deadline's owner. Tasks by their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// An offer nobody claims.
    ScheduleToStart(usize),
    /// An attempt that takes too long.
    StartToClose(usize),
    /// A task whose attempts take too long together.
    ScheduleToClose(usize),
    /// A request to which something happens by itself.
    Approval(ApprovalId),
}

/// The limits and requests whose deadline is `now` or earlier, the earliest first, as events to step with.
/// One event can make a later one stale; the rejection that follows is harmless.
#[must_use]
pub fn due(plan: &Plan, now: UnixMs) -> Vec<Event> {
    let passed = plan.timers.iter().take_while(|(deadline, _)| *deadline <= now);
    passed.filter_map(|(_, timer)| Some(Event { at: now, fact: fact(plan, *timer)? })).collect()
}

/// The earliest deadline, passed or not.
#[must_use]
pub fn next_deadline(plan: &Plan) -> Option<UnixMs> {
    plan.timers.first().map(|(deadline, _)| *deadline)
}

fn fact(plan: &Plan, timer: Timer) -> Option<Fact> {
    let (number, limit) = match timer {
        Timer::ScheduleToStart(number) => (number, Limit::ScheduleToStart),
        Timer::StartToClose(number) => (number, Limit::StartToClose),
        Timer::ScheduleToClose(number) => (number, Limit::ScheduleToClose),
        Timer::Approval(approval_id) => return Some(Fact::ApprovalDue { approval_id }),
    };
    let task = plan.tasks.get(number)?;
    Some(Fact::LimitReached { task_id: task.spec.task_id, number: task.attempt, limit })
}

/// When the given limit of a task passes, if its clock is running. The heartbeat's is not known here.
pub(super) fn deadline(task: &Task, limit: Limit) -> Option<UnixMs> {
    let limits = &task.spec.limits;
    match (limit, task.state) {
        (Limit::ScheduleToStart, TaskState::Submitted) => {
            task.offered_at.map(|at| at.plus_ms(limits.schedule_to_start_ms))
        }
        (Limit::StartToClose, TaskState::Working) => {
            task.claim.as_ref().map(|claim| claim.claimed_at.plus_ms(limits.start_to_close_ms))
        }
        (Limit::ScheduleToClose, TaskState::Ready | TaskState::Submitted | TaskState::Working) => {
            task.first_offered_at.map(|at| at.plus_ms(limits.schedule_to_close_ms).plus_ms(task.waited_ms))
        }
        _ => None,
    }
}

/// Every running deadline of a task.
pub(super) fn deadlines(number: usize, task: &Task) -> impl Iterator<Item = (UnixMs, Timer)> + use<> {
    [
        deadline(task, Limit::ScheduleToStart).map(|at| (at, Timer::ScheduleToStart(number))),
        deadline(task, Limit::StartToClose).map(|at| (at, Timer::StartToClose(number))),
        deadline(task, Limit::ScheduleToClose).map(|at| (at, Timer::ScheduleToClose(number))),
    ]
    .into_iter()
    .flatten()
}
