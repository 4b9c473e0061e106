//! What a project has spent, and what follows when a request is approved.

use bus_schemas::v1::{
    agent::Resource,
    api::{ApprovalView, LimitView, ProjectView, SpendView},
    approval::ApprovalSubject,
    handoff::Handoff,
};

use super::{
    sheet::{Block, Item, Section, Tone},
    text::code,
};
use crate::words::{
    figures::{amount, bare, count, name, of_resource, span, usd},
    follow,
    names::{capitalised, is_effect},
};

/// Tasks named.
const NAMED: usize = 8;
/// A task's key, as code.
const KEY: usize = 80;

/// What was spent and what is left of each limit; nothing if nothing was used and nothing is limited.
pub(super) fn spend(project: &SpendView, handoff: Option<&Handoff>) -> Option<Section> {
    let assumed = if project.price_assumed { "about " } else { "" };
    let limit = |resource| project.limits.iter().find(|limit| limit.resource == resource);
    let mut items = Vec::new();
    let mut add = |resource: Resource, used: u64, is_used: bool| match limit(resource) {
        Some(limit) => items.push(of_limit(limit, used, if resource == Resource::Usd { assumed } else { "" })),
        None if is_used => {
            let words = if resource == Resource::Usd { assumed } else { "" };
            items.push(Item::new(format!("{words}{}", of_resource(resource, used))));
        }
        None => {}
    };
    add(Resource::Usd, project.usd_nanos, project.calls > 0);
    add(Resource::Tokens, project.tokens, project.calls > 0);
    add(Resource::VmMs, project.vm_ms, project.vm_ms > 0);
    for other in [Resource::WallMs, Resource::Turns] {
        let used = limit(other).map_or(0, |limit| limit.used);
        add(other, used, false);
    }
    if items.is_empty() {
        return None;
    }
    let total = items.len();
    let mut blocks = vec![Block::items(items, total, total)];
    if let Some(usage) = handoff.map(|handoff| &handoff.usage) {
        let mut own = vec![format!("{} VM time", span(usage.vm_ms))];
        if usage.spend.calls > 0 {
            let calls = count(usize::try_from(usage.spend.calls).unwrap_or(usize::MAX), "model call");
            own.push(format!("{}, {} tokens, {calls}", usd(usage.spend.usd_nanos), amount(usage.spend.tokens.total())));
        }
        blocks.push(Block::words(format!("Of it for this: {}", own.join(", "))));
    }
    Some(Section::new("Spent so far", "the whole project", blocks))
}

fn of_limit(limit: &LimitView, used: u64, assumed: &str) -> Item {
    let used = limit.used.max(used);
    let left = bare(limit.resource, limit.limit.saturating_sub(used));
    let text = format!(
        "{}: {assumed}{} of {}, {left} left",
        capitalised(name(limit.resource)),
        bare(limit.resource, used),
        bare(limit.resource, limit.limit)
    );
    if limit.warned >= 80 { Item::marked("!", Tone::Odd, text, "nearly used up".to_owned()) } else { Item::new(text) }
}

/// What follows when it is approved.
pub(super) fn next(approval: &ApprovalView, project: &ProjectView) -> Section {
    let key = approval.task_key.as_deref().unwrap_or("the task");
    let blocks = match approval.subject {
        ApprovalSubject::Plan => {
            let keys = follow::first(approval, project);
            vec![Block::words(if keys.is_empty() { "The work begins.".to_owned() } else { starts(&keys) })]
        }
        ApprovalSubject::Handoff { .. } => followers(project, key),
        ApprovalSubject::Question { .. } => {
            vec![Block::words(format!("{} goes on with the answer. An answer allows nothing else.", code(key, KEY)))]
        }
        ApprovalSubject::Capability { .. } if is_effect(approval) => {
            let goes_on = format!("The effect is run once, and {} goes on with what came of it.", code(key, KEY));
            vec![Block::words(goes_on), Block::words("Nothing takes it back.")]
        }
        ApprovalSubject::Budget { .. } | ApprovalSubject::Capability { .. } => {
            vec![Block::words(format!("{} goes on.", code(key, KEY)))]
        }
        ApprovalSubject::Patch { .. } => vec![Block::words("The plan changes; what is done stays done.")],
        ApprovalSubject::Skill { .. } => vec![Block::words("The skill is admitted; every project may use it then.")],
        ApprovalSubject::Apply => {
            vec![Block::words("The folder is changed as shown; `baton undo` takes it back.")]
        }
    };
    let title = match approval.subject {
        ApprovalSubject::Question { .. } => "When answered",
        _ => "When approved",
    };
    Section::new(title, "", blocks)
}

/// Which tasks the handoff sets free, and which still wait for others then.
fn followers(project: &ProjectView, key: &str) -> Vec<Block> {
    let follow::After { free, held, open } = follow::after(project, key);
    let mut blocks = Vec::new();
    if !free.is_empty() {
        blocks.push(Block::words(starts(&free)));
    }
    if !held.is_empty() {
        let items = held.iter().take(NAMED).map(|(task, needs)| {
            let needs: Vec<String> = needs.iter().take(3).map(|need| code(need, KEY)).collect();
            Item::new(format!("{} still waits for {}.", code(task, KEY), needs.join(", ")))
        });
        blocks.push(Block::items(items.collect(), held.len(), NAMED));
    }
    if blocks.is_empty() {
        blocks.push(Block::words(match open {
            0 => "Nothing waits for it; the project's result is put together.".to_owned(),
            _ => format!("Nothing waits for it; {} elsewhere are still open.", count(open, "task")),
        }));
    }
    blocks
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
        let limits = vec![limit(Resource::Tokens, 41_000, 100_000), limit(Resource::Turns, 5, 60)];
        let view = SpendView { calls: 5, tokens: 41_000, limits, ..SpendView::default() };
        let shown = serde_json::to_string(&spend(&view, None).unwrap()).unwrap();
        for words in ["\"Tokens: 41k of 100k, 59k left\"", "\"Model calls: 5 of 60, 55 left\""] {
            assert!(shown.contains(words), "{shown}");
        }
    }
}
