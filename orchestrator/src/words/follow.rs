//! What follows when a request is approved.

use std::collections::{BTreeMap, BTreeSet};

use bus_schemas::v1::{
    api::{ApprovalView, ProjectView, TaskView},
    task::TaskState,
};

/// What a task's handoff sets free. The keys are an agent's: not yet safe to show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct After<'a> {
    /// Tasks that can start.
    pub free: Vec<&'a str>,
    /// Tasks that still wait, each with what for.
    pub held: Vec<(&'a str, Vec<&'a str>)>,
    /// How many others are not final.
    pub open: usize,
}

/// The tasks a plan begins with.
#[must_use]
pub fn first<'a>(approval: &'a ApprovalView, project: &'a ProjectView) -> Vec<&'a str> {
    match &approval.plan {
        Some(plan) => plan.tasks.iter().filter(|task| task.needs.is_empty()).map(|task| task.id.as_str()).collect(),
        None => project.tasks.iter().filter(|task| task.needs.is_empty()).map(|task| task.key.as_str()).collect(),
    }
}

/// Which tasks the handoff of a task sets free, and which still wait for others then.
#[must_use]
pub fn after<'a>(project: &'a ProjectView, key: &str) -> After<'a> {
    let mut waiting: BTreeMap<&str, usize> = BTreeMap::new();
    let done: BTreeSet<&str> = project
        .tasks
        .iter()
        .filter(|task| matches!(task.state, TaskState::Completed | TaskState::Unverified | TaskState::Skipped))
        .map(|task| task.key.as_str())
        .collect();
    // A need on a task with children is met when all its children are done.
    for task in project.tasks.iter().filter(|task| task.key != key && !done.contains(task.key.as_str())) {
        *waiting.entry(base(&task.key)).or_default() += 1;
    }
    let met = |need: &str| (need == key || base(key) == need || done.contains(need)) && !waiting.contains_key(need);
    let next: Vec<&TaskView> = project
        .tasks
        .iter()
        .filter(|task| matches!(task.state, TaskState::Blocked | TaskState::Ready))
        .filter(|task| task.needs.iter().any(|need| need == key || *need == base(key)))
        .collect();
    let mut after = After::default();
    for task in next {
        let open: Vec<&str> = task.needs.iter().map(String::as_str).filter(|need| !met(need)).collect();
        if open.is_empty() {
            after.free.push(&task.key);
        } else {
            after.held.push((&task.key, open));
        }
    }
    after.open = project.tasks.iter().filter(|task| task.key != key && !task.state.is_final()).count();
    after
}

/// A task's key without its number in a list.
fn base(key: &str) -> &str {
    key.split_once('[').map_or(key, |(parent, _)| parent)
}
