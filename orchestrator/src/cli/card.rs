//! How a request is decided, as text: the part of its card that is the same for everything that can be asked.

use bus_schemas::v1::api::{ApplyOffer, ApprovalView, Capability, CapabilityView, EffectOrder, Risk};

use super::{
    render::{ago, changed, clock, count, now, span},
    style::{Paint, Style, clean, clean_line},
};
use crate::words::effect::{command, facts};

/// Risk, who must agree, the deadline, votes, questions: a line for each that has something to say.
pub(super) fn route(style: Style, approval: &ApprovalView) -> String {
    let label = |text: &str| style.paint(Paint::Dim, text);
    let route = &approval.route;
    let (name, paint) = risk(route.risk);
    let reasons = clean_line(&route.risk_reasons.join("; "));
    let reasons = if reasons.is_empty() { String::new() } else { format!(": {reasons}") };
    let mut text = format!("{} {}{reasons}\n", label("risk"), style.paint(paint, name));
    if !route.needs.is_empty() {
        text.push_str(&format!("{} {}\n", label("needs"), clean_line(&route.needs)));
    }
    if !route.excluded.is_empty() {
        let who = clean_line(&route.excluded.join(", "));
        text.push_str(&format!("{} {who} started or edited it and cannot approve it\n", label("not")));
    }
    if let Some(at) = approval.expires_at.filter(|_| approval.decision.is_none()) {
        let then = match route.at_deadline.as_str() {
            "approve" => "then it is approved if the risk is low, else rejected",
            "escalate" => "then others may decide, too",
            _ => "then it is rejected",
        };
        let left = if at.0 > now().0 { format!("in {}", span(at.since(now()))) } else { "over".to_owned() };
        text.push_str(&format!("{} {} ({left}): {then}\n", label("deadline"), clock(at, true)));
    }
    for vote in &route.votes {
        let note = if vote.note.is_empty() { String::new() } else { format!(": {}", clean_line(&vote.note)) };
        let (by, channel) = (clean_line(&vote.by), clean_line(&vote.channel));
        let sign = style.paint(Paint::Green, "✓");
        text.push_str(&format!("{} {sign} {by} over {channel} {}{note}\n", label("vote"), ago(now(), vote.at)));
    }
    for one in &route.delegations {
        text.push_str(&format!(
            "{} {} decides for {}\n",
            label("delegated"),
            clean_line(&one.to),
            clean_line(&one.from)
        ));
    }
    for asked in &route.questions {
        text.push_str(&format!(
            "{} {} asks: {}\n",
            label("question"),
            clean_line(&asked.by),
            clean_line(&asked.question)
        ));
        let answer = asked.answer.as_deref().map_or_else(|| "(no answer yet)".to_owned(), clean);
        for line in answer.trim().lines() {
            text.push_str(&format!("  {} {line}\n", style.paint(Paint::Dim, "│")));
        }
    }
    if !route.problem.is_empty() {
        let heading = style.paint(Paint::Yellow, "the policy has an error, therefore you are asked:");
        text.push_str(&format!("{heading} {}\n", clean_line(&route.problem)));
    }
    for shadow in &route.shadow {
        text.push_str(&format!("{} {}\n", label("would have"), clean_line(shadow)));
    }
    if !route.batch.is_empty() {
        text.push_str(&format!(
            "{} {} (`baton approve --batch` decides all that are alike)\n",
            label("batch"),
            clean_line(&route.batch)
        ));
    }
    text
}

/// What a risk is called, and its colour.
pub(super) const fn risk(risk: Risk) -> (&'static str, Paint) {
    match risk {
        Risk::Low => ("low", Paint::Green),
        Risk::Medium => ("medium", Paint::Yellow),
        Risk::High => ("high", Paint::Red),
    }
}

/// What an agent asks for.
pub(super) fn capability(style: Style, view: &CapabilityView) -> String {
    let (what, name, follows) = match &view.capability {
        Capability::Host { host } => (
            "It asks to reach the host",
            host,
            "approved, this task may reach it from now on; rejected, it goes on without\n",
        ),
        Capability::Secret { name } => (
            "It asks for the use of the secret",
            name,
            "approved, the proxy uses it for this task from now on; rejected, it goes on without\n",
        ),
        Capability::Effect { name, .. } => (
            "It asks for the effect",
            name,
            "approved, exactly this is run once, outside any VM; rejected, it goes on without\n",
        ),
    };
    let mut text = format!("\n{} {}\n", style.paint(Paint::Bold, what), clean_line(name));
    if let Some(order) = &view.effect {
        text.push_str(&outside(style, order));
    }
    if let Some(secret) = &view.secret {
        if !secret.about.trim().is_empty() {
            text.push_str(&format!("{} {}\n", style.paint(Paint::Dim, "for"), clean_line(&secret.about)));
        }
        let (hosts, header) = (clean_line(&secret.hosts.join(", ")), clean_line(&secret.header));
        let goes = style.paint(Paint::Dim, "goes to");
        text.push_str(&format!("{goes} {hosts}, in the header {header}; the task never sees its value\n"));
    }
    text.push_str(&format!("{}\n", style.paint(Paint::Dim, "why (the agent's own words)")));
    for line in clean(view.reason.trim()).lines() {
        text.push_str(&format!("  {line}\n"));
    }
    text.push_str(follows);
    text
}

/// What exactly would be run.
fn outside(style: Style, order: &EffectOrder) -> String {
    let mut text = String::new();
    if !order.about.trim().is_empty() {
        text.push_str(&format!("  {}\n", clean_line(&order.about)));
    }
    text.push_str(&format!("{} {}\n", style.paint(Paint::Dim, "runs"), clean_line(&command(&order.argv))));
    for (what, value) in facts(order) {
        text.push_str(&format!("{} {}\n", style.paint(Paint::Dim, what), clean_line(&value)));
    }
    text
}

/// What comes into the folder.
pub(super) fn offer(style: Style, offer: &ApplyOffer) -> String {
    let lines = format!("+{} −{} lines", offer.lines_added, offer.lines_removed);
    let heading =
        format!("{} in {}  {lines}", count(offer.changed_paths.len(), "changed path"), clean_line(&offer.folder));
    format!("\n{}\n{}", style.paint(Paint::Bold, heading), changed(style, &offer.changed_paths))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::samples;

    #[test]
    fn an_effect_is_shown_as_it_would_be_run() {
        let shown = capability(Style { colour: false }, &samples::effect().capability.unwrap());
        let wanted = r#"
It asks for the effect deploy
  Deploys the site.
runs ./deploy.sh --to=staging "v1 \u{60}id\u{60} <@U1> & \u{202e}x"
in /srv/site
at most 10m 00s
with DEPLOY_TOKEN of Baton's environment
why (the agent's own words)
  Every check passed. Please *hurry*.
approved, exactly this is run once, outside any VM; rejected, it goes on without
"#;
        assert_eq!(shown, wanted);
    }
}
