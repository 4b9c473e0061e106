//! How a request is decided, in words: risk, who may, who did, until when, what was asked about it.

use bus_schemas::v1::api::{ApprovalView, AskedView, Risk, RouteView, VoteView};

use super::text::{ago, date, line, list, quote};
use crate::words::names::at_deadline;

/// A name.
const NAME: usize = 80;
/// Names of one list.
const NAMES: usize = 12;
/// A sentence.
const SENTENCE: usize = 300;
/// All of a part.
const PART: usize = 900;
/// What was asked and answered, together.
const TALK: usize = 1_200;
/// A question or an answer.
const SAID: usize = 350;
/// Questions shown, the last ones.
const TALKS: usize = 4;

/// The risk and why; a policy's error belongs to it.
pub(super) fn risk(route: &RouteView) -> String {
    let word = match route.risk {
        Risk::Low => "🟢 *Low risk*",
        Risk::Medium => "🟡 *Medium risk*",
        Risk::High => "🔴 *High risk*",
    };
    let reasons: Vec<String> =
        route.risk_reasons.iter().take(NAMES).map(|why| format!("• {}", line(why, SENTENCE))).collect();
    let mut text = word.to_owned();
    if !reasons.is_empty() {
        text.push('\n');
        text.push_str(&list(&reasons, route.risk_reasons.len(), PART - 350));
    }
    if !route.problem.is_empty() {
        text.push_str(&format!(
            "\n⚠️ The policy has an error, therefore people are asked: {}",
            line(&route.problem, SENTENCE)
        ));
    }
    text
}

/// Who decides, who agreed so far, who handed over, until when.
pub(super) fn who(approval: &ApprovalView) -> String {
    let route = &approval.route;
    let needs = if route.needs.is_empty() { "anybody here".to_owned() } else { line(&route.needs, SENTENCE) };
    let mut lines = vec![format!("👥 *Who decides*: {needs}")];
    if !route.eligible.is_empty() {
        lines.push(format!("Can decide now: {}", names(&route.eligible)));
    }
    if !route.excluded.is_empty() {
        lines.push(format!("Cannot: {} (started or edited it)", names(&route.excluded)));
    }
    lines.extend(route.votes.iter().take(NAMES).map(vote));
    lines.extend(
        route
            .delegations
            .iter()
            .take(NAMES)
            .map(|handed| format!("🤝 {} handed over to {}", line(&handed.from, NAME), line(&handed.to, NAME))),
    );
    list(&lines, lines.len(), PART)
}

fn vote(vote: &VoteView) -> String {
    let said =
        if vote.note.trim().is_empty() { String::new() } else { format!(" — “{}”", line(&vote.note, SENTENCE)) };
    format!("✅ {} agreed{}, {}{said}", line(&vote.by, NAME), over(&vote.channel), ago(vote.at))
}

/// A channel, for people.
pub(super) fn over(channel: &str) -> String {
    match channel {
        "cli" => " on the command line".to_owned(),
        "web" => " over the HTTP API".to_owned(),
        "email" => " by email".to_owned(),
        "slack" => " in Slack".to_owned(),
        "remembered" => " by a remembered decision".to_owned(),
        other => format!(" over {}", line(other, NAME)),
    }
}

/// The deadline and what happens then.
pub(super) fn deadline(approval: &ApprovalView) -> Option<String> {
    let at = approval.expires_at?;
    let then = at_deadline(&approval.route);
    Some(format!("⏰ Until {} ({}); then {then}.", date(at), ago(at)))
}

/// What people asked the agent about it, with the answers.
pub(super) fn talk(questions: &[AskedView]) -> Option<String> {
    if questions.is_empty() {
        return None;
    }
    let skipped = questions.len().saturating_sub(TALKS);
    let mut lines: Vec<String> = Vec::new();
    for asked in questions.iter().skip(skipped) {
        lines.push(format!("{} asked: {}", line(&asked.by, NAME), line(&asked.question, SAID)));
        lines.push(match &asked.answer {
            Some(answer) => quote(answer, SAID),
            None => "_waits for the agent's answer_".to_owned(),
        });
    }
    let before = if skipped > 0 { format!(" (and {skipped} before)") } else { String::new() };
    Some(format!("💬 *Asked about it*{before}\n{}", list(&lines, lines.len(), TALK)))
}

/// What rules that only watch would have decided.
pub(super) fn shadow(route: &RouteView) -> String {
    let words: Vec<String> = route.shadow.iter().take(3).map(|said| line(said, 120)).collect();
    if words.is_empty() { String::new() } else { format!("Rules that only watch: {}", words.join("; ")) }
}

/// Names, the first of them.
pub(super) fn names(all: &[String]) -> String {
    let mut shown: Vec<String> = all.iter().take(NAMES).map(|name| line(name, NAME / 2)).collect();
    if all.len() > NAMES {
        shown.push(format!("{} more", all.len() - NAMES));
    }
    shown.join(", ")
}
