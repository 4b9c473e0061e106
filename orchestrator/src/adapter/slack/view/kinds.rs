//! What a request is about, for every kind but the handoff. All of it was written by agents or stands in files.

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
    CardSettings, LEAST_EXCERPT, evidence,
    figures::{bare, count, estimate, name},
    text::{code, fence, line, list, quote},
};
use crate::words::{effect, graph, secrets::redact};

/// Longest texts of the parts.
const WORDS: usize = 1_500;
const PLAN: usize = 2_600;
const PATCHED: usize = 1_600;
const LIST: usize = 900;
/// An entry of a list.
const ENTRY: usize = 200;
/// Entries named.
const NAMED: usize = 10;
/// Digits of a digest that are shown.
const DIGITS: usize = 12;
/// What is shown of a proposed skill's own text.
const SKILL_LINES: usize = 20;
const SKILL_TEXT: usize = 1_500;

/// The paragraphs that say what is asked.
pub(super) fn parts(approval: &ApprovalView, settings: &CardSettings) -> Vec<String> {
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
        parts.extend(proposal(skill, settings.excerpt));
    }
    parts.extend(approval.apply.as_ref().map(|offer| apply(offer, settings)));
    if let Some(handoff) = &approval.handoff {
        parts.extend(evidence::handoff(handoff, settings));
    }
    parts
}

fn planned(plan: &Plan, approval: &ApprovalView) -> Vec<String> {
    let mut parts = Vec::new();
    if !plan.goal.trim().is_empty() {
        parts.push(format!("*Goal*\n{}", quote(&plan.goal, 900)));
    }
    parts.push(format!("*Plan*\n{}", fence(&graph::tree(plan), PLAN)));
    if let Some(view) = &approval.estimate {
        parts.push(format!("*May cost*: {}", estimate(view)));
    }
    let digest = |digest: &str| code(&digest.chars().take(DIGITS).collect::<String>(), DIGITS + 2);
    if !approval.scripts.is_empty() {
        let lines: Vec<String> = approval
            .scripts
            .iter()
            .take(NAMED)
            .map(|(path, sha256)| format!("• {} {}", code(path, ENTRY), digest(sha256)))
            .collect();
        parts.push(format!("*Scripts* (SHA-256)\n{}", list(&lines, approval.scripts.len(), LIST)));
    }
    if !approval.skills.is_empty() {
        let review = |name: &str| approval.skill_reviews.iter().find(|review| review.name == name);
        let mut lines: Vec<(bool, String)> = approval
            .skills
            .iter()
            .map(|(name, sha256)| {
                let odd = review(name).filter(|review| review.needs_approval());
                let note = odd.map(reviewed).unwrap_or_default();
                (odd.is_none(), format!("• {} {}{note}", code(name, ENTRY), digest(sha256)))
            })
            .collect();
        lines.sort_by_key(|(admitted, _)| *admitted);
        let lines: Vec<String> = lines.into_iter().map(|(_, line)| line).take(NAMED).collect();
        parts.push(format!("*Skills* (SHA-256)\n{}", list(&lines, approval.skills.len(), LIST)));
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
    format!(" ⚠️ {}", facts.join(", "))
}

fn patched(patch: &PlanPatch, plan: Option<&Plan>) -> Vec<String> {
    let mut lines: Vec<String> = patch
        .add
        .iter()
        .map(|task| format!("➕ {} {}", code(&task.id, ENTRY), line(task.title.as_deref().unwrap_or_default(), ENTRY)))
        .collect();
    lines.extend(patch.drop.iter().map(|id| format!("➖ {}", code(id, ENTRY))));
    lines.extend(
        patch
            .needs
            .iter()
            .map(|(id, needs)| format!("✏️ {} needs {}", code(id, ENTRY), code(&needs.join(", "), ENTRY))),
    );
    let total = lines.len();
    lines.truncate(2 * NAMED);
    let why = quote(&patch.reason, WORDS / 2);
    let mut parts = vec![format!("*Why* (the agent's own words)\n{why}")];
    if total > 0 {
        parts.push(format!("*The change*\n{}", list(&lines, total, WORDS)));
    }
    parts.extend(plan.map(|plan| format!("*The plan as it would be*\n{}", fence(&graph::tree(plan), PATCHED))));
    parts
}

fn question(question: &QuestionView) -> String {
    let title = match (question.by_baton, question.stuck) {
        (true, _) => "*What became of it?* (asked by Baton)",
        (_, true) => "*It is stuck* (said by its worker)",
        _ => "*The question* (the agent's own words)",
    };
    let mut text = format!("{title}\n{}", quote(&question.question, WORDS));
    let options: Vec<String> = question
        .options
        .iter()
        .take(NAMED)
        .enumerate()
        .map(|(number, option)| format!("{}. {}", number + 1, line(option, ENTRY)))
        .collect();
    if !options.is_empty() {
        text.push_str(&format!("\n*It suggests*\n{}", list(&options, question.options.len(), LIST)));
    }
    text
}

fn over_budget(limit: &OverBudgetView) -> String {
    let whose = if limit.task_key.is_empty() { "the project".to_owned() } else { code(&limit.task_key, ENTRY) };
    format!(
        "⚠️ The budget ({}) of {whose} is used up: *{}* of {}.\nApproving adds the original limit once more.",
        name(limit.resource),
        bare(limit.resource, limit.used),
        bare(limit.resource, limit.limit)
    )
}

fn capability(wanted: &CapabilityView, task: Option<&str>) -> String {
    let who = task.map_or_else(|| "The agent".to_owned(), |key| format!("The agent of {}", code(key, ENTRY)));
    let what = match &wanted.capability {
        Capability::Host { host } => format!("{who} wants to reach {}.", code(host, 300)),
        Capability::Effect { name, .. } => format!("{who} asks for the effect {}.", code(name, ENTRY)),
        Capability::Secret { name } => {
            let mut what = format!("{who} wants to use the secret {}.", code(name, ENTRY));
            what.extend(wanted.secret.as_ref().map(goes));
            what
        }
    };
    if wanted.reason.trim().is_empty() {
        return format!("{what}\nIt gives no reason.");
    }
    format!("{what}\n*Why* (its own words)\n{}", quote(&wanted.reason, WORDS))
}

/// What exactly would be run.
fn outside(order: &EffectOrder) -> String {
    let mut text = format!("⚠️ *The effect* {}, once, outside any VM", code(&order.name, ENTRY));
    if !order.about.trim().is_empty() {
        text.push_str(&format!(": {}", line(&order.about, 2 * ENTRY)));
    }
    text.push_str(&format!("\n{}", fence(&effect::command(&order.argv), PLAN)));
    for (what, value) in effect::facts(order) {
        text.push_str(&format!("\n{what} {}", code(&value, 300)));
    }
    text
}

/// What a secret is for, and where it goes.
fn goes(secret: &SecretBrief) -> String {
    let about = line(&secret.about, 300);
    let about = if about.is_empty() { String::new() } else { format!("\n*What it is for*: {about}") };
    let hosts: Vec<String> = secret.hosts.iter().take(NAMED).map(|host| code(host, ENTRY)).collect();
    let more = secret.hosts.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!(
        "{about}\n*It goes to*: {}{more}, in the header {}. The task never sees its value.",
        hosts.join(", "),
        code(&secret.header, 80)
    )
}

fn proposal(skill: &SkillProposal, excerpt: usize) -> Vec<String> {
    let files: Vec<String> = skill
        .files
        .iter()
        .take(NAMED)
        .map(|(path, text)| format!("• {} {}", code(path, ENTRY), count(text.lines().count(), "line")))
        .collect();
    let mut parts = vec![format!(
        "*The skill* {} (written by an agent)\n{}",
        code(&skill.name, ENTRY),
        list(&files, skill.files.len(), LIST)
    )];
    if let Some(text) = skill.files.get("SKILL.md") {
        let lines: Vec<&str> = text.lines().take(SKILL_LINES).collect();
        // Before it is cut: half a key is one that nobody recognises.
        let clean = redact(&lines.join("\n"));
        let shown = clean.get(..clean.floor_char_boundary(excerpt)).unwrap_or_default();
        parts.push(if excerpt < LEAST_EXCERPT {
            "Its text is not shown here; `baton approvals` with the request's id shows it.".to_owned()
        } else {
            format!("How it begins:\n{}", fence(shown, SKILL_TEXT))
        });
    }
    if !skill.findings.is_empty() {
        let lines: Vec<String> = skill.findings.iter().take(NAMED).map(finding).collect();
        parts.push(format!("⚠️ *What is odd about it*\n{}", list(&lines, skill.findings.len(), LIST)));
    }
    parts
}

fn finding(finding: &Finding) -> String {
    let place = if finding.line == 0 { finding.file.clone() } else { format!("{}:{}", finding.file, finding.line) };
    format!("• {} {}", code(&place, 120), line(&finding.message, ENTRY))
}

fn apply(offer: &ApplyOffer, settings: &CardSettings) -> String {
    let changed = evidence::changed(&offer.changed_paths, offer.lines_added, offer.lines_removed, settings.paths);
    format!("The result is to be put into {}.\n{changed}", code(&offer.folder, 300))
}
