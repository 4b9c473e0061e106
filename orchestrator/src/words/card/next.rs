//! What a project has spent, and what follows when a request is approved.

use bus_schemas::v1::{
    agent::Resource,
    api::{ApprovalView, LimitView, ProjectView, SpendView},
    approval::ApprovalSubject,
    handoff::Handoff,
};

use super::{Block, Item, Line, Mark, Section, Topic};
use crate::words::{
    figures::{self, amount, bare, count, of_resource, span, usd},
    follow,
    names::is_effect,
};

/// Tasks named.
const NAMED: usize = 8;
/// What a task waits for, named.
const NEEDS: usize = 3;
/// A task's key, as code.
const KEY: usize = 80;

/// What was spent and what is left of each limit; nothing if nothing was used and nothing is limited.
#[must_use]
pub fn spend(project: &SpendView, handoff: Option<&Handoff>) -> Option<Section> {
    let limit = |resource| project.limits.iter().find(|limit| limit.resource == resource);
    let used = [
        (Resource::Usd, project.usd_nanos, project.calls > 0),
        (Resource::Tokens, project.tokens, project.calls > 0),
        (Resource::VmMs, project.vm_ms, project.vm_ms > 0),
        (Resource::WallMs, 0, false),
        (Resource::Turns, 0, false),
    ];
    let items: Vec<Item> = used
        .into_iter()
        .filter_map(|(resource, used, is_used)| {
            let before = match resource {
                Resource::Usd if project.price_assumed => "about ",
                Resource::WallMs => "time: ",
                _ => "",
            };
            match limit(resource) {
                Some(limit) => Some(of_limit(limit, used, before)),
                None => is_used
                    .then(|| Item::new(Mark::Entry, Line::ours(format!("{before}{}", of_resource(resource, used))))),
            }
        })
        .collect();
    if items.is_empty() {
        return None;
    }
    let mut blocks = vec![Block::Row(items)];
    if let Some(usage) = handoff.map(|handoff| &handoff.usage) {
        let mut own = vec![format!("{} VM time", span(usage.vm_ms))];
        if usage.spend.calls > 0 {
            let calls = count(usize::try_from(usage.spend.calls).unwrap_or(usize::MAX), "model call");
            own.push(format!("{}, {} tokens, {calls}", usd(usage.spend.usd_nanos), amount(usage.spend.tokens.total())));
        }
        blocks.push(Block::Words(Line::ours(format!("Of that, this attempt: {}", own.join(", ")))));
    }
    Some(Section::new("Spent so far", "the whole project", blocks).about(Topic::Spent))
}

fn of_limit(limit: &LimitView, used: u64, before: &'static str) -> Item {
    let used = limit.used.max(used);
    let left = bare(limit.resource, limit.limit.saturating_sub(used));
    let words = format!("{before}{} ({left} left)", figures::of_limit(limit.resource, used, limit.limit));
    if limit.warned >= 80 {
        Item::new(Mark::Odd, Line::ours(words)).detail(Line::ours("nearly used up"))
    } else {
        Item::new(Mark::Entry, Line::ours(words))
    }
}

/// What follows when it is approved.
pub(super) fn next(approval: &ApprovalView, project: &ProjectView) -> Section {
    let key = approval.task_key.as_deref().unwrap_or("the task");
    let task = Line::default().code(key, KEY);
    let title = match approval.subject {
        ApprovalSubject::Question { .. } => "When answered",
        _ => "When approved",
    };
    let mut blocks = Vec::new();
    let sum = match approval.subject {
        ApprovalSubject::Plan => {
            let keys = follow::first(approval, project);
            if keys.is_empty() { Line::ours("The work begins.") } else { starts(&keys) }
        }
        ApprovalSubject::Handoff { .. } => {
            let after = follow::after(project, key);
            blocks.extend(waiting(&after));
            freed(&after)
        }
        ApprovalSubject::Question { .. } => task.and(" goes on with the answer. An answer allows nothing else."),
        ApprovalSubject::Capability { .. } if is_effect(approval) => Line::ours("The effect is run once, and ")
            .then(task)
            .and(" goes on with what came of it. Nothing takes it back."),
        ApprovalSubject::Budget { .. } | ApprovalSubject::Capability { .. } => task.and(" goes on."),
        ApprovalSubject::Patch { .. } => Line::ours("The plan changes; what is done stays done."),
        ApprovalSubject::Skill { .. } => Line::ours("The skill is admitted; every project may use it then."),
        ApprovalSubject::Apply => {
            Line::ours("The folder is changed as shown; ").code("baton undo", KEY).and(" takes it back.")
        }
    };
    Section::new(title, "", blocks).about(Topic::Next).sum(sum).needed()
}

/// Which tasks the handoff sets free.
fn freed(after: &follow::After<'_>) -> Line {
    match (after.free.is_empty(), after.held.is_empty(), after.open) {
        (false, ..) => starts(&after.free),
        (true, false, _) => Line::default(),
        (true, true, 0) => Line::ours("Nothing waits for it; the project's result is put together."),
        (true, true, open) => {
            Line::ours(format!("Nothing waits for it; {} elsewhere are still open.", count(open, "task")))
        }
    }
}

/// Which tasks still wait for others then.
fn waiting(after: &follow::After<'_>) -> Option<Block> {
    let items = after.held.iter().map(|(task, needs)| {
        let needs = Line::join(needs.iter().take(NEEDS).map(|need| Line::default().code(need, KEY)), ", ");
        Item::new(Mark::Entry, Line::default().code(task, KEY).and(" still waits for ").then(needs).and("."))
    });
    (!after.held.is_empty()).then(|| Block::items(items, after.held.len(), NAMED))
}

fn starts(keys: &[&str]) -> Line {
    let mut named: Vec<Line> = keys.iter().take(NAMED).map(|key| Line::default().code(key, KEY)).collect();
    if keys.len() > NAMED {
        named.push(Line::ours(format!("{} more", keys.len() - NAMED)));
    }
    Line::join(named, ", ").and(if keys.len() == 1 { " starts." } else { " start." })
}
