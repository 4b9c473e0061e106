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

use super::{
    evidence,
    sheet::{Block, Item, Section, Tone},
    text::{block, code, line, quote},
};
use crate::words::{
    effect,
    figures::{bare, count, estimate, name},
    graph,
};

/// Longest texts of the parts.
const WORDS: usize = 2_000;
const PLAN: usize = 3_500;
const PATCHED: usize = 2_000;
/// An entry of a list.
const ENTRY: usize = 200;
/// Entries named.
const NAMED: usize = 10;
/// Digits of a digest that are shown.
const DIGITS: usize = 12;
/// What is shown of a proposed skill's own text.
const SKILL_LINES: usize = 25;
const SKILL_TEXT: usize = 2_000;

/// The sections that say what is asked.
pub(super) fn sections(approval: &ApprovalView) -> Vec<Section> {
    let mut parts = Vec::new();
    if let Some(patch) = &approval.patch {
        parts.extend(patched(patch, approval.plan.as_ref()));
    } else if let Some(plan) = &approval.plan {
        parts.extend(planned(plan, approval));
    }
    parts.extend(approval.question.as_ref().map(question));
    parts.extend(approval.over_budget.as_ref().map(over_budget));
    if let Some(wanted) = &approval.capability {
        parts.extend(wanted.effect.as_ref().map(outside));
        parts.push(capability(wanted, approval.task_key.as_deref()));
    }
    if let Some(skill) = &approval.skill {
        parts.extend(proposal(skill));
    }
    if let Some(offer) = &approval.apply {
        parts.extend(apply(offer));
    }
    if let Some(handoff) = &approval.handoff {
        parts.extend(evidence::handoff(handoff));
    }
    parts
}

fn planned(plan: &Plan, approval: &ApprovalView) -> Vec<Section> {
    let mut parts = Vec::new();
    if !plan.goal.trim().is_empty() {
        parts.push(Section::new("Goal", "", vec![Block::Quote { lines: quote(&plan.goal, 1_200) }]));
    }
    parts.push(Section::new("Plan", "", vec![Block::Code { text: block(&graph::tree(plan), PLAN) }]).needed());
    if let Some(view) = &approval.estimate {
        parts.push(Section::new("May cost", "", vec![Block::words(estimate(view))]));
    }
    let digest = |digest: &str| code(&digest.chars().take(DIGITS).collect::<String>(), DIGITS + 2);
    if !approval.scripts.is_empty() {
        let items = approval
            .scripts
            .iter()
            .take(NAMED)
            .map(|(path, sha256)| Item { detail: digest(sha256), ..Item::new(code(path, ENTRY)) })
            .collect();
        parts.push(Section::new("Scripts", "SHA-256", vec![Block::items(items, approval.scripts.len(), NAMED)]));
    }
    if !approval.skills.is_empty() {
        let review = |name: &str| approval.skill_reviews.iter().find(|review| review.name == name);
        let mut items: Vec<(bool, Item)> = approval
            .skills
            .iter()
            .map(|(name, sha256)| {
                let odd = review(name).filter(|review| review.needs_approval());
                let note = odd.map(reviewed).unwrap_or_default();
                let detail = format!("{}{note}", digest(sha256));
                let (mark, tone) = if odd.is_some() { ("!", Tone::Odd) } else { ("✓", Tone::Good) };
                (odd.is_none(), Item::marked(mark, tone, code(name, ENTRY), detail))
            })
            .collect();
        items.sort_by_key(|(admitted, _)| *admitted);
        let items = items.into_iter().map(|(_, item)| item).collect();
        parts.push(Section::new("Skills", "SHA-256", vec![Block::items(items, approval.skills.len(), NAMED)]));
    }
    parts
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

fn patched(patch: &PlanPatch, plan: Option<&Plan>) -> Vec<Section> {
    let mut items: Vec<Item> = patch
        .add
        .iter()
        .map(|task| {
            let title = line(task.title.as_deref().unwrap_or_default(), ENTRY);
            Item::marked("+", Tone::Good, code(&task.id, ENTRY), title)
        })
        .collect();
    items.extend(patch.drop.iter().map(|id| Item::marked("−", Tone::Bad, code(id, ENTRY), "dropped".to_owned())));
    items.extend(patch.needs.iter().map(|(id, needs)| {
        Item::marked(
            "~",
            Tone::Odd,
            format!("{} needs {}", code(id, ENTRY), code(&needs.join(", "), ENTRY)),
            String::new(),
        )
    }));
    let why = Block::Quote { lines: quote(&patch.reason, WORDS / 2) };
    let mut parts = vec![Section::new("Why", "the agent's own words", vec![why])];
    let total = items.len();
    if total > 0 {
        parts.push(Section::new("The change", "", vec![Block::items(items, total, 2 * NAMED)]).needed());
    }
    parts.extend(plan.map(|plan| {
        Section::new("The plan as it would be", "", vec![Block::Code { text: block(&graph::tree(plan), PATCHED) }])
    }));
    parts
}

fn question(question: &QuestionView) -> Section {
    let (title, by) = match (question.by_baton, question.stuck) {
        (true, _) => ("What became of it?", "asked by Baton"),
        (_, true) => ("It is stuck", "said by its worker"),
        _ => ("The question", "the agent's own words"),
    };
    let mut blocks = vec![Block::Quote { lines: quote(&question.question, WORDS) }];
    if !question.options.is_empty() {
        let items = question.options.iter().take(NAMED).map(|option| Item::new(line(option, ENTRY))).collect();
        blocks.push(Block::words("It suggests:"));
        blocks.push(Block::items(items, question.options.len(), NAMED));
    }
    Section::new(title, by, blocks).needed()
}

fn over_budget(limit: &OverBudgetView) -> Section {
    let whose = if limit.task_key.is_empty() { "the project".to_owned() } else { code(&limit.task_key, ENTRY) };
    let used = bare(limit.resource, limit.used);
    let most = bare(limit.resource, limit.limit);
    let blocks = vec![
        Block::warning(format!("The budget ({}) of {whose} is used up: {used} of {most}.", name(limit.resource))),
        Block::words("Approving adds the original limit once more."),
    ];
    Section::new("The budget", "", blocks).needed()
}

fn capability(wanted: &CapabilityView, task: Option<&str>) -> Section {
    let who = task.map_or_else(|| "The agent".to_owned(), |key| format!("The agent of {}", code(key, ENTRY)));
    let what = match &wanted.capability {
        Capability::Host { host } => format!("{who} wants to reach {}.", code(host, 300)),
        Capability::Effect { name, .. } => format!("{who} asks for the effect {}.", code(name, ENTRY)),
        Capability::Secret { name } => format!("{who} wants to use the secret {}.", code(name, ENTRY)),
    };
    let title = if matches!(wanted.capability, Capability::Effect { .. }) { "Why" } else { "Access" };
    let mut blocks = vec![Block::words(what)];
    blocks.extend(wanted.secret.iter().flat_map(goes));
    if wanted.reason.trim().is_empty() {
        blocks.push(Block::words("It gives no reason."));
    } else {
        blocks.push(Block::words("Why, in its own words:"));
        blocks.push(Block::Quote { lines: quote(&wanted.reason, WORDS) });
    }
    Section::new(title, "", blocks).needed()
}

/// What exactly would be run.
fn outside(order: &EffectOrder) -> Section {
    let mut blocks = vec![Block::warning(format!("{} is run once, outside any VM.", code(&order.name, ENTRY)))];
    if !order.about.trim().is_empty() {
        blocks.push(Block::words(line(&order.about, 2 * ENTRY)));
    }
    blocks.push(Block::Code { text: block(&effect::command(&order.argv), PLAN) });
    let rows = effect::facts(order).into_iter().map(|(what, value)| (what.to_owned(), code(&value, 300)));
    blocks.push(Block::Facts { rows: rows.collect() });
    Section::new("The effect", "exactly what is run", blocks).needed()
}

/// What a secret is for, and where it goes.
fn goes(secret: &SecretBrief) -> Vec<Block> {
    let mut blocks = Vec::new();
    let about = line(&secret.about, 300);
    if !about.is_empty() {
        blocks.push(Block::words(format!("What it is for: {about}")));
    }
    let hosts: Vec<String> = secret.hosts.iter().take(NAMED).map(|host| code(host, ENTRY)).collect();
    let more = secret.hosts.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let (hosts, header) = (hosts.join(", "), code(&secret.header, 80));
    blocks.push(Block::words(format!(
        "It goes to {hosts}{more}, in the header {header}. The task never sees its value."
    )));
    blocks
}

fn proposal(skill: &SkillProposal) -> Vec<Section> {
    let files = skill
        .files
        .iter()
        .take(NAMED)
        .map(|(path, text)| Item { detail: count(text.lines().count(), "line"), ..Item::new(code(path, ENTRY)) })
        .collect();
    let blocks = vec![Block::words(code(&skill.name, ENTRY)), Block::items(files, skill.files.len(), NAMED)];
    let mut parts = vec![Section::new("The skill", "written by an agent", blocks).needed()];
    if !skill.findings.is_empty() {
        let items = skill.findings.iter().take(NAMED).map(finding).collect();
        let block = Block::items(items, skill.findings.len(), NAMED);
        parts.push(Section::new("What is odd about it", "", vec![block]).needed());
    }
    if let Some(text) = skill.files.get("SKILL.md") {
        let lines: Vec<&str> = text.lines().take(SKILL_LINES).collect();
        let code = Block::Code { text: block(&lines.join("\n"), SKILL_TEXT) };
        parts.push(Section::new("How it begins", "SKILL.md", vec![code]));
    }
    parts
}

fn finding(finding: &Finding) -> Item {
    let place = if finding.line == 0 { finding.file.clone() } else { format!("{}:{}", finding.file, finding.line) };
    Item::marked("!", Tone::Odd, format!("{} {}", code(&place, 120), line(&finding.message, ENTRY)), String::new())
}

fn apply(offer: &ApplyOffer) -> Vec<Section> {
    let folder = format!("The result is to be put into {}.", code(&offer.folder, 300));
    vec![
        Section::new("The result", "", vec![Block::words(folder)]).needed(),
        evidence::changed(&offer.changed_paths, offer.lines_added, offer.lines_removed).needed(),
    ]
}
