//! `baton approve`, `reject`, `request-changes`: shows what is decided, then decides exactly that.

use std::collections::BTreeMap;

use bus_schemas::v1::{
    api::{ApprovalView, DecisionRequest, Remember, ViewedRequest},
    approval::{ApprovalSubject, Decision, Verdict},
    handoff::Handoff,
    plan::Plan,
};

use super::{
    CliError, Context, Exit,
    approvals::subject,
    asked, card, draw, ids, money,
    plan::layers,
    render::{ago, changed, clock, count, now, span, verdict},
    reported,
    style::{Paint, Style, clean, clean_line, clean_output},
};
use crate::adapter::web::Client;

/// The fewest digits of a digest that name it.
const DIGEST_DIGITS: usize = 8;
/// Digits of a script's digest that are shown; `--json` shows all.
const SCRIPT_DIGITS: usize = 16;
/// Lines of a failed check's output that are shown.
const TAIL_LINES: usize = 5;

/// What a person says.
pub(super) struct Say {
    pub(super) verdict: Verdict,
    pub(super) note: String,
    pub(super) remember: Option<Remember>,
}

pub(super) async fn decide(context: &Context, id: &str, say: Say, digest: Option<&str>) -> Result<Exit, CliError> {
    let is_empty = say.note.trim().is_empty();
    if say.verdict != Verdict::Approved && is_empty {
        return Err(CliError::new(
            Exit::Usage,
            "usage",
            "the reason is empty: say why, for those who read it later",
            None,
        ));
    }
    let client = context.client()?;
    let approval = client.approval(ids::check("approvals", id)?).await?;
    if let Some(decision) = &approval.decision {
        return Err(decided(&approval, decision));
    }
    let is_question = matches!(approval.subject, ApprovalSubject::Question { .. });
    if is_question && say.verdict == Verdict::Approved && is_empty {
        context.ui.say(show(context.ui.err, &approval).trim_end());
        let hint = format!("baton answer {} \"…\"", ids::alone(&approval.approval_id));
        return Err(CliError::new(Exit::Usage, "usage", "a question is approved with an answer", Some(&hint)));
    }
    if let Some(wanted) = digest {
        let wanted = wanted.to_lowercase();
        if wanted.len() < DIGEST_DIGITS || !approval.digest.starts_with(&wanted) {
            return Err(CliError::new(
                Exit::Refused,
                "digest_mismatch",
                format!("the request's digest is {}, not {wanted}", approval.digest),
                Some("look at it again: `baton approvals`"),
            ));
        }
    }
    context.ui.say(show(context.ui.err, &approval).trim_end());
    seen(context, &client, &approval).await;
    let after = send(context, &client, &approval, say).await?;
    tell(context, &after)?;
    Ok(Exit::Ok)
}

/// How a request stands after somebody decided.
pub(super) fn tell(context: &Context, after: &ApprovalView) -> Result<(), CliError> {
    let ui = context.ui;
    if ui.json {
        return ui.json_line(after);
    }
    match &after.decision {
        Some(decision) => ui.data(&outcome(ui.out, decision)),
        None => {
            let needs = if after.route.needs.is_empty() { "others" } else { after.route.needs.as_str() };
            ui.data(&format!("your approval counts; it waits for {}", clean_line(needs)))
        }
    }
}

/// Records that a request was shown here.
pub(super) async fn seen(context: &Context, client: &Client, shown: &ApprovalView) {
    let request = ViewedRequest { by: context.person(), channel: "cli".to_owned() };
    // Nobody can mend a view that is not recorded, and what is shown is shown.
    let _ = client.viewed(&shown.approval_id.to_string(), &request).await;
}

/// Decides what was shown: its digest goes with the verdict.
pub(super) async fn send(
    context: &Context,
    client: &Client,
    shown: &ApprovalView,
    say: Say,
) -> Result<ApprovalView, CliError> {
    let request = DecisionRequest {
        verdict: say.verdict,
        digest: shown.digest.clone(),
        by: context.person(),
        channel: "cli".to_owned(),
        note: say.note,
        remember: say.remember,
    };
    Ok(client.decide(&shown.approval_id.to_string(), &request).await?)
}

pub(super) fn decided(approval: &ApprovalView, decision: &Decision) -> CliError {
    let (name, _) = verdict(decision.verdict);
    let detail = format!(
        "the {} was decided already: {name} by {} at {} over {}",
        subject(approval),
        clean_line(&decision.by),
        clock(decision.decided_at, true),
        clean_line(&decision.channel)
    );
    CliError::new(Exit::Refused, "already_decided", detail, None)
}

fn outcome(style: Style, decision: &Decision) -> String {
    let (name, paint) = verdict(decision.verdict);
    let digest: String = decision.digest.chars().take(12).collect();
    format!("{} by {} (digest {digest})", style.paint(paint, name), clean_line(&decision.by))
}

/// What is decided, as text.
pub(super) fn show(style: Style, approval: &ApprovalView) -> String {
    let label = |text: &str| style.paint(Paint::Dim, text);
    let mut text = format!(
        "{} of {}\n{} {} by policy {}",
        style.paint(Paint::Bold, capitalised(&subject(approval))),
        clean_line(&approval.project_title),
        label("asked"),
        ago(now(), approval.asked_at),
        clean_line(&approval.policy),
    );
    if !approval.route.rule.is_empty() {
        text.push_str(&format!(", rule {}", clean_line(&approval.route.rule)));
    }
    text.push_str(&format!("\n{} {}\n", label("digest"), approval.digest));
    text.push_str(&card::route(style, approval));
    if let Some(plan) = &approval.plan {
        text.push_str(&show_plan(plan));
        if let Some(estimate) = &approval.estimate {
            text.push_str(&format!("\n{} {}\n", label("may cost"), money::estimate(estimate)));
        }
        text.push_str(&show_scripts(style, &approval.scripts));
        text.push_str(&super::skills::reviews(style, &approval.skill_reviews));
    }
    text.push_str(&asked::show(style, approval));
    if let Some(handoff) = &approval.handoff {
        text.push_str(&show_handoff(style, handoff));
    }
    text
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

fn show_plan(plan: &Plan) -> String {
    let goal = if plan.goal.is_empty() { String::new() } else { format!("\n{}\n", clean(plan.goal.trim())) };
    format!("{goal}\n{}", draw::text(plan, &layers(&plan.tasks)))
}

/// Each script file with its digest, as `sha256sum` prints it: what is approved is this content.
fn show_scripts(style: Style, scripts: &BTreeMap<String, String>) -> String {
    if scripts.is_empty() {
        return String::new();
    }
    let mut text = format!("\n{}\n", style.paint(Paint::Bold, "Scripts (SHA-256)"));
    for (path, digest) in scripts {
        let short: String = digest.chars().take(SCRIPT_DIGITS).collect();
        text.push_str(&format!("  {} {}\n", style.paint(Paint::Dim, short), clean_line(path)));
    }
    text
}

fn show_handoff(style: Style, handoff: &Handoff) -> String {
    let heading = |text: String| format!("\n{}\n", style.paint(Paint::Bold, text));
    let mut text = String::new();
    if !handoff.summary.trim().is_empty() {
        text.push_str(&heading("Summary (the worker's own words)".to_owned()));
        for line in clean(handoff.summary.trim()).lines() {
            text.push_str(&format!("  {line}\n"));
        }
    }
    if let Some(report) = &handoff.report {
        text.push_str(&reported::report(style, report));
    }
    text.push_str(&heading(count(handoff.changed_paths.len(), "changed path")));
    text.push_str(&changed(style, &handoff.changed_paths));
    text.push_str(&heading("Evidence (recorded by the host in a second VM)".to_owned()));
    if handoff.evidence.is_empty() {
        text.push_str(&format!("  {} no check proves this handoff\n", style.paint(Paint::Yellow, "!")));
    }
    for check in &handoff.evidence {
        let (sign, paint) = if check.passed { ('✓', Paint::Green) } else { ('✗', Paint::Red) };
        let end = match (check.timed_out, check.exit_code) {
            (true, _) => "timed out".to_owned(),
            (false, Some(code)) => format!("exit {code}"),
            (false, None) => "ended by a signal".to_owned(),
        };
        let facts = style.paint(Paint::Dim, format!("{end}  {}", span(check.wall_ms)));
        text.push_str(&format!("  {} {}  {facts}\n", style.paint(paint, sign), clean_line(&check.name)));
        if !check.passed {
            let output = clean_output(&check.output_tail);
            let lines: Vec<&str> = output.lines().collect();
            for line in lines.get(lines.len().saturating_sub(TAIL_LINES)..).unwrap_or_default() {
                text.push_str(&format!("    {} {line}\n", style.paint(Paint::Dim, "│")));
            }
        }
    }
    if !handoff.open_questions.is_empty() {
        text.push_str(&heading("Open questions".to_owned()));
        for question in &handoff.open_questions {
            text.push_str(&format!("  - {}\n", clean_line(question)));
        }
    }
    text.push_str(&reported::egress(style, &handoff.egress));
    let used = format!("{} VM time{}", span(handoff.usage.vm_ms), reported::spent(&handoff.usage.spend));
    text.push_str(&format!("\n{} {used}\n", style.paint(Paint::Dim, "used")));
    text
}
