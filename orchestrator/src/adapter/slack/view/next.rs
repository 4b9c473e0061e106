//! What a project has spent, and what follows when a request is approved.

use bus_schemas::v1::{
    agent::Resource,
    api::{ApprovalView, LimitView, ProjectView, SpendView},
    approval::ApprovalSubject,
    handoff::Handoff,
};

use super::{
    figures::{self, amount, count, span, usd},
    text::{code, list},
};
use crate::words::{follow, names::is_effect};

/// Tasks named.
const NAMED: usize = 8;
/// A task's key, as code.
const KEY: usize = 80;
/// All of a part.
const PART: usize = 700;

/// What was spent and what is left of each limit; nothing if nothing was used and nothing is limited.
pub(super) fn spend(project: &SpendView, handoff: Option<&Handoff>) -> Option<String> {
    let mut facts = Vec::new();
    let limit = |resource| project.limits.iter().find(|limit| limit.resource == resource);
    let assumed = if project.price_assumed { "~" } else { "" };
    match limit(Resource::Usd) {
        Some(limit) => facts.push(of_limit(limit, project.usd_nanos, assumed)),
        None if project.calls > 0 => facts.push(format!("{assumed}{}", usd(project.usd_nanos))),
        None => {}
    }
    match limit(Resource::Tokens) {
        Some(limit) => facts.push(of_limit(limit, project.tokens, "")),
        None if project.calls > 0 => facts.push(format!("{} tokens", amount(project.tokens))),
        None => {}
    }
    match limit(Resource::VmMs) {
        Some(limit) => facts.push(of_limit(limit, project.vm_ms, "")),
        None if project.vm_ms > 0 => facts.push(format!("{} VM time", span(project.vm_ms))),
        None => {}
    }
    facts.extend(limit(Resource::WallMs).map(|wall| format!("time: {}", of_limit(wall, wall.used, ""))));
    facts.extend(limit(Resource::Turns).map(|turns| of_limit(turns, turns.used, "")));
    if facts.is_empty() {
        return None;
    }
    let mut text = format!("💳 *Spent so far*: {}", facts.join(" · "));
    if let Some(usage) = handoff.map(|handoff| &handoff.usage) {
        let mut own = vec![format!("{} VM time", span(usage.vm_ms))];
        if usage.spend.calls > 0 {
            let calls = count(usize::try_from(usage.spend.calls).unwrap_or(usize::MAX), "model call");
            own.push(format!("{}, {} tokens, {calls}", usd(usage.spend.usd_nanos), amount(usage.spend.tokens.total())));
        }
        text.push_str(&format!("\nof that, this attempt: {}", own.join(" · ")));
    }
    Some(text)
}

fn of_limit(limit: &LimitView, used: u64, assumed: &str) -> String {
    let left = figures::bare(limit.resource, limit.limit.saturating_sub(limit.used.max(used)));
    let mark = if limit.warned >= 80 { "⚠️ " } else { "" };
    format!("{mark}{assumed}{} ({left} left)", figures::of_limit(limit.resource, used, limit.limit))
}

/// What follows when it is approved.
pub(super) fn next(approval: &ApprovalView, project: &ProjectView) -> String {
    let key = approval.task_key.as_deref().unwrap_or("the task");
    let what = match approval.subject {
        ApprovalSubject::Plan => first_tasks(approval, project),
        ApprovalSubject::Handoff { .. } => followers(project, key),
        ApprovalSubject::Question { .. } => {
            format!("{} goes on with the answer. An answer allows nothing else.", code(key, KEY))
        }
        ApprovalSubject::Capability { .. } if is_effect(approval) => {
            format!(
                "the effect is run once, and {} goes on with what came of it. Nothing takes it back.",
                code(key, KEY)
            )
        }
        ApprovalSubject::Budget { .. } | ApprovalSubject::Capability { .. } => format!("{} goes on.", code(key, KEY)),
        ApprovalSubject::Patch { .. } => "The plan changes; what is done stays done.".to_owned(),
        ApprovalSubject::Skill { .. } => "The skill is admitted; every project may use it then.".to_owned(),
        ApprovalSubject::Apply => "The folder is changed as shown; `baton undo` takes it back.".to_owned(),
    };
    let when = match approval.subject {
        ApprovalSubject::Question { .. } => "When answered",
        _ => "When approved",
    };
    format!("▶️ *{when}*: {what}")
}

fn first_tasks(approval: &ApprovalView, project: &ProjectView) -> String {
    let keys = follow::first(approval, project);
    if keys.is_empty() { "the work begins.".to_owned() } else { starts(&keys) }
}

/// Which tasks the handoff sets free, and which still wait for others then.
fn followers(project: &ProjectView, key: &str) -> String {
    let follow::After { free, held, open } = follow::after(project, key);
    let mut lines = Vec::new();
    if !free.is_empty() {
        lines.push(starts(&free));
    }
    for (task, needs) in held.iter().take(NAMED) {
        let needs: Vec<String> = needs.iter().take(3).map(|need| code(need, KEY)).collect();
        lines.push(format!("{} still waits for {}.", code(task, KEY), needs.join(", ")));
    }
    if lines.is_empty() {
        return match open {
            0 => "nothing waits for it; the project's result is put together.".to_owned(),
            _ => format!("nothing waits for it; {} elsewhere are still open.", count(open, "task")),
        };
    }
    list(&lines, free.len().min(1) + held.len(), PART)
}

fn starts(keys: &[&str]) -> String {
    let mut named: Vec<String> = keys.iter().take(NAMED).map(|key| code(key, KEY)).collect();
    if keys.len() > NAMED {
        named.push(format!("{} more", keys.len() - NAMED));
    }
    format!("{} {}.", named.join(", "), if keys.len() == 1 { "starts" } else { "start" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_limit_the_unit_is_said_once() {
        let limit = |resource, used, limit| LimitView { resource, used, limit, warned: 0 };
        let limits = vec![
            limit(Resource::Usd, 1_000_000_000, 2_000_000_000),
            limit(Resource::Tokens, 41_000, 100_000),
            limit(Resource::WallMs, 185_000, 7_800_000),
            limit(Resource::Turns, 5, 60),
        ];
        let view = SpendView {
            calls: 5,
            usd_nanos: 1_000_000_000,
            tokens: 41_000,
            vm_ms: 12_000,
            limits,
            ..SpendView::default()
        };
        assert_eq!(
            spend(&view, None).unwrap(),
            "💳 *Spent so far*: $1.00 of $2.00 ($1.00 left) · 41k of 100k tokens (59k left) · 12s VM time · \
             time: 3m 05s of 2h 10m (2h 06m left) · 5 of 60 model calls (55 left)"
        );
    }
}
