//! The card of a request that nobody can decide any more: who decided, when, why, over which channel; no buttons.

use bus_schemas::v1::{
    api::{ApprovalView, ProjectView},
    approval::{Decision, Verdict},
};

use super::{
    Card, CardSettings,
    blocks::{context, section},
    card::{body, head},
    part, subject,
    text::{code, date, line, plain, quote},
};
use crate::words::{card::route::over, names::verdict};

/// A note.
const NOTE: usize = 1_000;
/// Names.
const NAME: usize = 200;

/// The card after the decision. One that waits still is shown as withdrawn: it has no buttons either.
#[must_use]
pub fn decided_card(approval: &ApprovalView, project: &ProjectView, settings: &CardSettings) -> Card {
    let Some(decision) = &approval.decision else {
        return void_card(approval, project, settings, "It is no longer asked.");
    };
    let what = match decision.channel.as_str() {
        "void" => "void: something else took its place".to_owned(),
        "cancel" => "withdrawn: what it is about was stopped".to_owned(),
        _ if decision.verdict == Verdict::Expired => "expired: nobody decided in time".to_owned(),
        _ => format!("{} by {}", verdict(approval, decision), decision.by),
    };
    finish(approval, project, settings, &banner(approval, decision), &what)
}

/// The card of a request whose content changed, or that was taken back: what was shown is not decided any more.
#[must_use]
pub fn void_card(approval: &ApprovalView, project: &ProjectView, settings: &CardSettings, why: &str) -> Card {
    let banner = format!("🚫 *Void*: {}\nWhat this card shows can no longer be approved.", line(why, NOTE));
    finish(approval, project, settings, &banner, "void")
}

fn finish(approval: &ApprovalView, project: &ProjectView, settings: &CardSettings, banner: &str, what: &str) -> Card {
    let mut blocks = head(approval, project);
    blocks.insert(1, section(banner));
    blocks.extend(body(approval, project, settings, false));
    blocks.extend(context(&[
        format!("digest {}", code(&approval.digest.chars().take(12).collect::<String>(), 20)),
        "Nothing is to be done here any more.".to_owned(),
    ]));
    let text = format!("{}: {}: {what}", approval.project_title, subject(approval));
    Card { text: plain(&text, 300), blocks }
}

/// Who, what, when, why, over which channel.
fn banner(approval: &ApprovalView, decision: &Decision) -> String {
    let at = date(decision.decided_at);
    let by = line(&decision.by, NAME);
    let mut text = match decision.channel.as_str() {
        "void" => format!("🚫 *Void* since {at}: something else took its place. Nothing of it was approved."),
        "cancel" => format!("🚫 *Withdrawn* at {at} by {by}: what it is about was stopped."),
        _ if decision.verdict == Verdict::Expired => {
            format!("⌛ *Expired* at {at}: nobody decided in time. It counts as rejected.")
        }
        "policy" => format!("{} *{}* by a rule, at {at}", mark(decision.verdict), verdict(approval, decision)),
        "remembered" => {
            format!(
                "{} *{}* by a remembered decision of {by}, at {at}",
                mark(decision.verdict),
                verdict(approval, decision)
            )
        }
        channel => {
            format!(
                "{} *{}* by *{by}* at {at}{}",
                mark(decision.verdict),
                verdict(approval, decision),
                part::words(&over(channel))
            )
        }
    };
    if let Some(rule) = decision.rule.as_deref().filter(|rule| !rule.is_empty()) {
        text.push_str(&format!("\nrule {} of policy {}", code(rule, 120), code(&approval.policy, 80)));
    }
    let votes: Vec<String> = approval
        .route
        .votes
        .iter()
        .take(5)
        .map(|vote| format!("{}{} at {}", line(&vote.by, 80), part::words(&over(&vote.channel)), date(vote.at)))
        .collect();
    if votes.len() > 1 {
        text.push_str(&format!("\nagreed: {}", votes.join("; ")));
    }
    if !decision.note.trim().is_empty() {
        text.push('\n');
        text.push_str(&quote(&decision.note, NOTE));
    }
    text
}

const fn mark(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Approved => "✅",
        Verdict::ChangesRequested => "🔁",
        Verdict::Rejected => "⛔",
        Verdict::Expired => "⌛",
    }
}
