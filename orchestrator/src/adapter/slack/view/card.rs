//! The card of one request: everything that is needed to decide it, and the buttons that do.

use bus_schemas::v1::{
    api::{ApprovalView, Capability, ProjectView, Risk, RouteView},
    approval::ApprovalSubject,
};
use serde_json::Value;

use super::{
    Card, CardSettings, Pressed, action,
    blocks::{Look, actions, button, confirmed, context, header, option, overflow, section},
    capitalised,
    figures::of_resource,
    limits, part, short, sign, subject,
    text::{ago, code, length, line, plain},
    value,
};
use crate::words::{
    card::{self as said, Line, Topic, route},
    names,
};

/// Suggested answers that get a button.
const ANSWERS: usize = 5;
/// A title.
const TITLE: usize = 150;
/// All texts of a card but its head and foot: the rest of [`limits::MESSAGE_TOTAL`] is theirs.
const BODY: usize = 8_500;
/// The list of who agreed and who handed over.
const FOOT: usize = 400;

/// The card of a request that waits.
#[must_use]
pub fn card(approval: &ApprovalView, project: &ProjectView, settings: &CardSettings) -> Card {
    let mut blocks = head(approval, project);
    blocks.extend(body(approval, project, settings, true));
    blocks.push(section(&foot(&approval.route, route::deadline(approval))));
    blocks.push(actions(&buttons(approval, settings)));
    let command = match approval.subject {
        ApprovalSubject::Question { .. } => format!("baton answer {} \"…\"", short(&approval.approval_id)),
        _ => format!("baton approve {}", short(&approval.approval_id)),
    };
    blocks.extend(context(&[
        format!("digest {}", code(&approval.digest.chars().take(12).collect::<String>(), 20)),
        format!("at the terminal: {}", code(&command, 60)),
        part::words(&route::shadow(&approval.route)),
    ]));
    let risk = names::risk(approval.route.risk);
    let text = format!("{}: {} waits for a decision ({risk} risk)", approval.project_title, subject(approval));
    Card { text: plain(&text, 300), blocks }
}

/// Title and origin.
pub(super) fn head(approval: &ApprovalView, project: &ProjectView) -> Vec<Value> {
    let task = approval.task_key.as_deref().and_then(|key| project.tasks.iter().find(|task| task.key == key));
    let title = task.filter(|task| task.title != task.key).map(|task| line(&task.title, TITLE)).unwrap_or_default();
    let attempt =
        task.filter(|task| task.attempt > 1).map(|task| format!("attempt {} of {}", task.attempt, task.max_attempts));
    let rule = &approval.route.rule;
    let rule = if rule.is_empty() { String::new() } else { format!(", rule {}", code(rule, 80)) };
    let mut blocks = vec![header(&format!("{} {}", sign(&approval.subject), capitalised(&subject(approval))))];
    blocks.extend(context(&[
        format!("*{}*", line(&approval.project_title, TITLE)),
        title,
        attempt.unwrap_or_default(),
        format!("asked {} by policy {}{rule}", ago(approval.asked_at), code(&approval.policy, 80)),
        format!("project of {}", line(&project.owner, 80)),
    ]));
    blocks
}

/// Risk, what it is about, what it costs, what follows while it waits, what was asked about it.
pub(super) fn body(approval: &ApprovalView, project: &ProjectView, settings: &CardSettings, waits: bool) -> Vec<Value> {
    let mut sections = said::of(approval, project, &settings.room());
    sections.retain(|section| match section.topic {
        // It stands at the foot.
        Topic::Who => false,
        Topic::Next => waits,
        _ => true,
    });
    part::paragraphs(&sections, BODY).iter().map(|text| section(text)).collect()
}

/// Who decides, until when.
pub(super) fn foot(route: &RouteView, until: Option<Line>) -> String {
    part::paragraph(&route::who(route, until), FOOT)
}

fn buttons(approval: &ApprovalView, settings: &CardSettings) -> Vec<Value> {
    let pressed = value(&Pressed::on(approval));
    let plain_button = |words: &str, id: &str| button(words, id, &pressed, Look::Plain);
    let approve = |words: &str| sure(button(words, action::APPROVE, &pressed, Look::Primary), approval, words);
    let reject = |words: &str| button(words, action::REJECT, &pressed, Look::Danger);
    let mut row = match approval.subject {
        ApprovalSubject::Question { .. } => answers(approval, &pressed),
        ApprovalSubject::Budget { .. } => vec![approve(&adds(approval, settings)), reject("Stop")],
        ApprovalSubject::Capability { .. } => vec![approve("Allow"), reject("Refuse")],
        ApprovalSubject::Apply => vec![approve("Apply"), reject("Reject")],
        ApprovalSubject::Skill { .. } => {
            vec![approve("Admit"), plain_button("Request changes", action::CHANGES), reject("Reject")]
        }
        ApprovalSubject::Plan | ApprovalSubject::Handoff { .. } | ApprovalSubject::Patch { .. } => {
            vec![approve("Approve"), plain_button("Request changes", action::CHANGES), reject("Reject")]
        }
    };
    if approval.subject == ApprovalSubject::Plan {
        row.push(plain_button("Edit", action::EDIT));
    }
    if settings.ask && matches!(approval.subject, ApprovalSubject::Plan | ApprovalSubject::Handoff { .. }) {
        row.push(plain_button("Ask", action::ASK));
    }
    if matches!(
        approval.subject,
        ApprovalSubject::Plan
            | ApprovalSubject::Handoff { .. }
            | ApprovalSubject::Patch { .. }
            | ApprovalSubject::Skill { .. }
            | ApprovalSubject::Apply
    ) {
        row.push(plain_button("Open", action::OPEN));
    }
    if settings.delegate {
        row.push(plain_button("Hand over", action::DELEGATE));
    }
    if approval.route.can_remember && approval.route.risk != Risk::High {
        row.push(remember(approval));
    }
    row
}

/// What can go badly wrong is asked once more.
fn sure(button: Value, approval: &ApprovalView, words: &str) -> Value {
    if approval.route.risk != Risk::High {
        return button;
    }
    let why = approval.route.risk_reasons.first().map_or_else(|| "its rules say so".to_owned(), |why| line(why, 150));
    let words = if length(words) > limits::CONFIRM_BUTTON { "Approve" } else { words };
    confirmed(button, "This is high risk", &format!("High risk: {why}. Have you looked at it?"), words)
}

fn answers(approval: &ApprovalView, pressed: &str) -> Vec<Value> {
    let options = approval.question.iter().flat_map(|question| &question.options);
    let mut row: Vec<Value> = options
        .take(ANSWERS)
        .enumerate()
        .map(|(number, words)| {
            let chosen = Pressed { option: Some(number), ..Pressed::on(approval) };
            let words = plain(&format!("{}. {words}", number + 1), limits::LABEL);
            button(&words, &format!("{}.{number}", action::ANSWER), &value(&chosen), Look::Plain)
        })
        .collect();
    row.push(button("Answer", action::ANSWER, pressed, Look::Primary));
    row.push(button("Reject", action::REJECT, pressed, Look::Danger));
    row
}

fn adds(approval: &ApprovalView, settings: &CardSettings) -> String {
    match (&approval.over_budget, settings.adds) {
        (Some(limit), Some(more)) => format!("Add {} more", of_resource(limit.resource, more)),
        _ => "Add the limit again".to_owned(),
    }
}

/// Approve, and the same for later ones that are alike.
fn remember(approval: &ApprovalView) -> Value {
    let thing = match (&approval.subject, &approval.capability) {
        (ApprovalSubject::Capability { .. }, Some(wanted)) => match &wanted.capability {
            Capability::Host { .. } => "this host",
            Capability::Effect { .. } => "this effect",
            Capability::Secret { .. } => "this secret",
        },
        _ => "this task",
    };
    let choices = [
        ("p8h", "project, 8 hours"),
        ("p7d", "project, 7 days"),
        ("f8h", "folder, 8 hours"),
        ("f7d", "folder, 7 days"),
    ];
    let options: Vec<Value> = choices
        .iter()
        .map(|(code, words)| {
            let chosen = Pressed { remember: Some((*code).to_owned()), ..Pressed::on(approval) };
            option(&format!("Approve, and {thing} for this {words}"), &value(&chosen))
        })
        .collect();
    overflow(action::REMEMBER, &options)
}
