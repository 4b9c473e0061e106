//! What agents ask and propose, as text. All of it is untrusted: it is cleaned, and said to be the agent's own words.

use bus_schemas::v1::api::{ApprovalView, OverBudgetView, QuestionView, SkillProposal};

use super::{
    card, draw, ids, money,
    plan::layers,
    render::findings,
    style::{Paint, Style, clean, clean_line},
};

/// Lines of one file of a proposed skill that are shown.
const FILE_LINES: usize = 40;

/// The question, the limit, the change or the skill that a request is about; empty for any other.
pub(super) fn show(style: Style, approval: &ApprovalView) -> String {
    let mut text = String::new();
    if let Some(question) = &approval.question {
        text.push_str(&show_question(style, question, approval));
    }
    if let Some(limit) = &approval.over_budget {
        text.push_str(&show_limit(style, limit, approval));
    }
    if let Some(patch) = &approval.patch {
        let heading = style.paint(Paint::Bold, "The change (proposed by an agent)");
        text.push_str(&format!("\n{heading}\n"));
        for line in clean(patch.reason.trim()).lines() {
            text.push_str(&format!("  {line}\n"));
        }
        for task in &patch.add {
            let title = task.title.as_deref().unwrap_or_default();
            let sign = style.paint(Paint::Green, '+');
            text.push_str(&format!("  {sign} {}  {}\n", clean_line(&task.id), clean_line(title)));
        }
        for id in &patch.drop {
            text.push_str(&format!("  {} {}\n", style.paint(Paint::Red, '-'), clean_line(id)));
        }
        for (id, needs) in &patch.needs {
            let sign = style.paint(Paint::Yellow, '~');
            text.push_str(&format!("  {sign} {} needs {}\n", clean_line(id), clean_line(&needs.join(", "))));
        }
        if !patch.add.is_empty() {
            let mut added = approval.plan.clone();
            if let Some(plan) = &mut added {
                plan.tasks.retain(|task| patch.add.iter().any(|new| new.id == task.id));
                plan.title = "What it adds".to_owned();
                text.push_str(&format!("\n{}", draw::text(plan, &layers(&plan.tasks))));
            }
        }
    }
    if let Some(skill) = &approval.skill {
        text.push_str(&show_skill(style, skill));
    }
    if let Some(capability) = &approval.capability {
        text.push_str(&card::capability(style, capability));
    }
    if let Some(offer) = &approval.apply {
        text.push_str(&card::offer(style, offer));
    }
    text
}

fn show_question(style: Style, question: &QuestionView, approval: &ApprovalView) -> String {
    let heading = match (question.by_baton, question.stuck) {
        (true, _) => "What became of it? (asked by Baton)",
        (_, true) => "It is stuck (said by its worker)",
        _ => "The question (the agent's own words)",
    };
    let mut text = format!("\n{}\n", style.paint(Paint::Bold, heading));
    for line in clean(question.question.trim()).lines() {
        text.push_str(&format!("  {line}\n"));
    }
    for (number, option) in question.options.iter().enumerate() {
        text.push_str(&format!("  {} {}\n", style.paint(Paint::Cyan, format!("{}.", number + 1)), clean_line(option)));
    }
    let id = ids::alone(&approval.approval_id);
    text.push_str(&format!("\n{} baton answer {id} \"…\"\n", style.paint(Paint::Dim, "answer with")));
    text
}

fn show_limit(style: Style, limit: &OverBudgetView, approval: &ApprovalView) -> String {
    let whose = if limit.task_key.is_empty() { "the project".to_owned() } else { clean_line(&limit.task_key) };
    let used = money::bare(limit.resource, limit.used);
    let most = money::bare(limit.resource, limit.limit);
    let mut text = format!(
        "\n{} of {whose} is used up: {used} of {most}\n",
        style.paint(Paint::Yellow, format!("The budget ({})", money::name(limit.resource)))
    );
    let id = ids::alone(&approval.project_id);
    text.push_str(&format!(
        "approving adds the original limit once more; {} sets another one\n",
        style.paint(Paint::Cyan, format!("baton budget {id}"))
    ));
    text
}

fn show_skill(style: Style, skill: &SkillProposal) -> String {
    let heading = format!("The skill {} (written by an agent)", clean_line(&skill.name));
    let mut text = format!("\n{}\n", style.paint(Paint::Bold, heading));
    for (path, content) in &skill.files {
        let lines = content.lines().count();
        text.push_str(&format!("  {} {lines} lines\n", style.paint(Paint::Cyan, clean_line(path))));
        for line in clean(content).lines().take(FILE_LINES) {
            text.push_str(&format!("    {} {line}\n", style.paint(Paint::Dim, "│")));
        }
        if lines > FILE_LINES {
            text.push_str(&format!("    … and {} more lines (`--json` shows all)\n", lines - FILE_LINES));
        }
    }
    text.push_str(&findings(style, &skill.findings));
    text.push_str("admitting puts it into your own skills; every project may use it then\n");
    text
}
