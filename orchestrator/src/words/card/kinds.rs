//! What a request is about, for every kind. All of it was written by agents or stands in files.

use bus_schemas::{
    secrets::SecretBrief,
    v1::{
        api::{
            ApplyOffer, ApprovalView, Capability, CapabilityView, EffectOrder, Finding, OverBudgetView, QuestionView,
            SkillProposal,
        },
        call::PlanPatch,
        plan::Plan,
        skill::{SkillReview, SkillStatus},
    },
};

use super::{Block, Item, Line, Mark, Room, Section, evidence};
use crate::words::{
    effect,
    figures::{bare, count, estimate, name},
    graph,
    secrets::redact,
};

/// An entry of a list.
const ENTRY: usize = 200;
/// A folder, a host, what something is for.
const LONG: usize = 300;
/// Entries named.
const NAMED: usize = 10;
/// Less of a file than this says nothing.
const LEAST_EXCERPT: usize = 100;
/// Digits of a digest that are shown.
const DIGITS: usize = 12;

/// The sections that say what is asked.
pub(super) fn sections(approval: &ApprovalView, room: &Room) -> Vec<Section> {
    let mut parts = Vec::new();
    if let Some(patch) = &approval.patch {
        parts.extend(patched(patch, approval.plan.as_ref(), room));
    } else if let Some(plan) = &approval.plan {
        parts.extend(planned(plan, approval, room));
    }
    parts.extend(approval.question.as_ref().map(|asked| question(asked, room)));
    parts.extend(approval.over_budget.as_ref().map(over_budget));
    if let Some(wanted) = &approval.capability {
        parts.extend(wanted.effect.as_ref().map(|order| outside(order, room)));
        parts.push(capability(wanted, approval.task_key.as_deref(), room));
    }
    if let Some(skill) = &approval.skill {
        parts.extend(proposal(skill, room));
    }
    if let Some(offer) = &approval.apply {
        parts.extend(apply(offer, room));
    }
    if let Some(handoff) = &approval.handoff {
        parts.extend(evidence::handoff(handoff, room));
    }
    parts
}

fn code(text: &str) -> Line {
    Line::default().code(text, ENTRY)
}

fn planned(plan: &Plan, approval: &ApprovalView, room: &Room) -> Vec<Section> {
    let mut parts = Vec::new();
    if !plan.goal.trim().is_empty() {
        parts.push(Section::new("Goal", "", vec![Block::Quote(plan.goal.clone(), room.quote)]));
    }
    parts.push(Section::new("Plan", "", vec![Block::Code(graph::tree(plan), room.plan)]).needed());
    if let Some(view) = &approval.estimate {
        parts.push(Section::new("May cost", "", Vec::new()).sum(Line::ours(estimate(view))));
    }
    if !approval.scripts.is_empty() {
        let items =
            approval.scripts.iter().map(|(path, sha256)| Item::new(Mark::Entry, code(path)).detail(digest(sha256)));
        let list = Block::items(items, approval.scripts.len(), NAMED);
        parts.push(Section::new("Scripts", "SHA-256", vec![list]));
    }
    if !approval.skills.is_empty() {
        let review = |name: &str| approval.skill_reviews.iter().find(|review| review.name == name);
        let mut items: Vec<Item> = approval
            .skills
            .iter()
            .map(|(name, sha256)| match review(name).filter(|review| review.needs_approval()) {
                Some(odd) => Item::new(Mark::Odd, code(name)).detail(digest(sha256).and(reviewed(odd))),
                None => Item::new(Mark::Good, code(name)).detail(digest(sha256)),
            })
            .collect();
        items.sort_by_key(|item| item.mark != Mark::Odd);
        let list = Block::items(items, approval.skills.len(), NAMED);
        parts.push(Section::new("Skills", "SHA-256", vec![list]));
    }
    parts
}

fn digest(sha256: &str) -> Line {
    let digits: String = sha256.chars().take(DIGITS).collect();
    Line::default().code(&digits, DIGITS + 2)
}

/// What is new about a skill that no person admitted as it is.
fn reviewed(review: &SkillReview) -> String {
    let what = match review.status {
        SkillStatus::Changed => "changed since it was admitted",
        SkillStatus::NotLocked | SkillStatus::Bundled | SkillStatus::Locked => "not admitted yet",
    };
    let mut facts = vec![what.to_owned()];
    if !review.new_scripts.is_empty() {
        facts.push(count(review.new_scripts.len(), "new program"));
    }
    if !review.findings.is_empty() {
        facts.push(count(review.findings.len(), "finding"));
    }
    format!(" — {}", facts.join(", "))
}

fn patched(patch: &PlanPatch, plan: Option<&Plan>, room: &Room) -> Vec<Section> {
    let added = patch.add.iter().map(|task| {
        let title = task.title.as_deref().map(str::trim).filter(|title| !title.is_empty());
        let title = title.map(|title| Line::default().said(title, ENTRY)).unwrap_or_default();
        Item::new(Mark::New, code(&task.id)).detail(title)
    });
    let dropped = patch.drop.iter().map(|id| Item::new(Mark::Gone, code(id)).detail(Line::ours("dropped")));
    let changed = patch
        .needs
        .iter()
        .map(|(id, needs)| Item::new(Mark::Changed, code(id).and(" needs ").then(code(&needs.join(", ")))));
    let why = Block::Quote(patch.reason.clone(), room.quote / 2);
    let mut parts = vec![Section::new("Why", "the agent's own words", vec![why])];
    let total = patch.add.len() + patch.drop.len() + patch.needs.len();
    if total > 0 {
        let list = Block::items(added.chain(dropped).chain(changed), total, 2 * NAMED);
        parts.push(Section::new("The change", "", vec![list]).needed());
    }
    parts.extend(
        plan.map(|plan| {
            Section::new("The plan as it would be", "", vec![Block::Code(graph::tree(plan), room.patched)])
        }),
    );
    parts
}

fn question(question: &QuestionView, room: &Room) -> Section {
    let (title, by) = match (question.by_baton, question.stuck) {
        (true, _) => ("What became of it?", "asked by Baton"),
        (_, true) => ("It is stuck", "said by its worker"),
        _ => ("The question", "the agent's own words"),
    };
    let mut blocks = vec![Block::Quote(question.question.clone(), room.quote)];
    if !question.options.is_empty() {
        let items = question
            .options
            .iter()
            .enumerate()
            .map(|(at, option)| Item::new(Mark::Number(at + 1), Line::default().said(option, ENTRY)));
        blocks.push(Block::Heading("It suggests", ""));
        blocks.push(Block::items(items, question.options.len(), NAMED));
    }
    Section::new(title, by, blocks).needed()
}

fn over_budget(limit: &OverBudgetView) -> Section {
    let whose = if limit.task_key.is_empty() { Line::ours("The project") } else { code(&limit.task_key) };
    let used = whose.and(" has used ").strong(bare(limit.resource, limit.used));
    let blocks = vec![
        Block::Warning(used.and(format!(" of {}.", bare(limit.resource, limit.limit)))),
        Block::Words(Line::ours("Approving adds the original limit once more.")),
    ];
    Section::new("The budget is used up", name(limit.resource), blocks).needed()
}

fn capability(wanted: &CapabilityView, task: Option<&str>, room: &Room) -> Section {
    let who = task.map_or_else(|| Line::ours("The agent"), |key| Line::ours("The agent of ").then(code(key)));
    let (title, what) = match &wanted.capability {
        Capability::Host { host } => ("Access", who.and(" wants to reach ").code(host, LONG)),
        Capability::Effect { name, .. } => ("Who asks", who.and(" asks for the effect ").then(code(name))),
        Capability::Secret { name } => ("Access", who.and(" wants to use the secret ").then(code(name))),
    };
    let mut blocks: Vec<Block> = wanted.secret.iter().flat_map(goes).map(Block::Words).collect();
    if wanted.reason.trim().is_empty() {
        blocks.push(Block::Words(Line::ours("It gives no reason.")));
    } else {
        blocks.push(Block::Heading("Why", "its own words"));
        blocks.push(Block::Quote(wanted.reason.clone(), room.quote));
    }
    Section::new(title, "", blocks).sum(what.and(".")).needed()
}

/// What exactly would be run.
fn outside(order: &EffectOrder, room: &Room) -> Section {
    let mut blocks = vec![Block::Warning(code(&order.name).and(" is run once, outside any VM."))];
    if !order.about.trim().is_empty() {
        blocks.push(Block::Words(Line::default().said(&order.about, 2 * ENTRY)));
    }
    blocks.push(Block::Code(effect::command(&order.argv), room.plan));
    let facts = effect::facts(order).into_iter().map(|(what, value)| (what, Line::default().code(&value, LONG)));
    blocks.push(Block::Facts(facts.collect()));
    Section::new("The effect", "exactly what is run", blocks).needed()
}

/// What a secret is for, and where it goes.
fn goes(secret: &SecretBrief) -> Vec<Line> {
    let mut lines = Vec::new();
    if !secret.about.trim().is_empty() {
        lines.push(Line::default().strong("What it is for").and(": ").said(&secret.about, LONG));
    }
    let hosts = Line::join(secret.hosts.iter().take(NAMED).map(|host| code(host)), ", ");
    let more = secret.hosts.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let header = Line::ours(", in the header ").code(&secret.header, 80).and(". The task never sees its value.");
    lines.push(Line::default().strong("It goes to").and(" ").then(hosts).and(more).then(header));
    lines
}

fn proposal(skill: &SkillProposal, room: &Room) -> Vec<Section> {
    let files = skill
        .files
        .iter()
        .map(|(path, text)| Item::new(Mark::Entry, code(path)).detail(Line::ours(count(text.lines().count(), "line"))));
    let list = Block::items(files, skill.files.len(), NAMED);
    let mut parts = vec![Section::new("The skill", "written by an agent", vec![list]).sum(code(&skill.name)).needed()];
    if !skill.findings.is_empty() {
        let list = Block::items(skill.findings.iter().map(finding), skill.findings.len(), NAMED);
        parts.push(Section::new("What is odd about it", "", vec![list]).needed());
    }
    if let Some(text) = skill.files.get("SKILL.md") {
        let lines: Vec<&str> = text.lines().take(room.skill_lines).collect();
        // Before it is cut: half a key is one that nobody recognises.
        let clean = redact(&lines.join("\n"));
        let shown = clean.get(..clean.floor_char_boundary(room.excerpt)).unwrap_or_default();
        let block = if room.excerpt < LEAST_EXCERPT {
            let how = Line::ours("Its text is not shown here; ").code("baton approvals", ENTRY);
            Block::Words(how.and(" with the request's id shows it."))
        } else {
            Block::Code(shown.to_owned(), room.quote)
        };
        parts.push(Section::new("How it begins", "SKILL.md", vec![block]));
    }
    parts
}

fn finding(finding: &Finding) -> Item {
    let place = if finding.line == 0 { finding.file.clone() } else { format!("{}:{}", finding.file, finding.line) };
    Item::new(Mark::Odd, Line::default().code(&place, 120).and(" ").said(&finding.message, ENTRY))
}

fn apply(offer: &ApplyOffer, room: &Room) -> Vec<Section> {
    let folder = Line::ours("It is to be put into ").code(&offer.folder, LONG).and(".");
    vec![
        Section::new("The result", "", Vec::new()).sum(folder).needed(),
        evidence::changed(&offer.changed_paths, offer.lines_added, offer.lines_removed, room.paths),
    ]
}
