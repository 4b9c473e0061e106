//! `baton approvals`

use std::collections::BTreeMap;

use bus_schemas::v1::{api::ApprovalView, approval::ApprovalSubject};

use super::{
    CliError, Context, Exit, card, decide, ids,
    ledger_args::ApprovalsArgs,
    render::{ago, count, now, span, table, verdict},
    style::{Paint, Style, clean_line},
};

pub(super) async fn approvals(context: &Context, args: &ApprovalsArgs) -> Result<Exit, CliError> {
    match &args.id {
        Some(id) => one(context, id).await,
        None if args.stats => stats(context).await,
        None => list(context, args.all).await,
    }
}

async fn list(context: &Context, all: bool) -> Result<Exit, CliError> {
    let ui = context.ui;
    let approvals = context.client()?.approvals(all).await?;
    if ui.json {
        approvals.iter().try_for_each(|approval| ui.json_line(approval))?;
        return Ok(Exit::Ok);
    }
    if approvals.is_empty() {
        ui.say(if all { "nothing was asked yet" } else { "nothing waits for a person" });
        return Ok(Exit::Ok);
    }
    let every = ids::Listed::of(approvals.iter().map(|approval| approval.approval_id));
    let row = |approval: &ApprovalView| {
        let (risk, paint) = card::risk(approval.route.risk);
        vec![
            every.short(&approval.approval_id),
            subject(approval),
            state(ui.out, approval),
            ui.out.paint(paint, risk),
            ago(now(), approval.asked_at),
            deadline(approval),
            ids::alone(&approval.project_id),
            clean_line(&approval.project_title),
        ]
    };
    let rows: Vec<Vec<String>> = approvals.iter().map(row).collect();
    let head = ["APPROVAL", "SUBJECT", "STATE", "RISK", "ASKED", "DEADLINE", "PROJECT", "TITLE"];
    ui.data(&table(ui.out, &head, &rows))?;
    for (key, alike) in batches(&approvals) {
        ui.say(&format!(
            "{alike} requests are alike: `baton approve --batch '{}'` shows and decides them",
            clean_line(key)
        ));
    }
    Ok(Exit::Ok)
}

/// Who must agree, how many did, or what was decided.
fn state(style: Style, approval: &ApprovalView) -> String {
    if let Some(decision) = &approval.decision {
        let (name, paint) = verdict(decision.verdict);
        return format!("{} by {}", style.paint(paint, name), clean_line(&decision.by));
    }
    let route = &approval.route;
    let mut text = style.paint(Paint::Yellow, "waits");
    if !route.needs.is_empty() {
        text.push_str(&format!(" for {}", clean_line(&route.needs)));
    }
    if !route.votes.is_empty() {
        let names: Vec<&str> = route.votes.iter().map(|vote| vote.by.as_str()).collect();
        text.push_str(&format!(" ({} agreed)", clean_line(&names.join(", "))));
    }
    text
}

fn deadline(approval: &ApprovalView) -> String {
    match approval.expires_at.filter(|_| approval.decision.is_none()) {
        Some(at) if at.0 > now().0 => format!("in {}", span(at.since(now()))),
        Some(_) => "over".to_owned(),
        None => "–".to_owned(),
    }
}

/// Keys that several waiting requests share.
fn batches(approvals: &[ApprovalView]) -> BTreeMap<&str, usize> {
    let mut keys: BTreeMap<&str, usize> = BTreeMap::new();
    for approval in approvals.iter().filter(|one| one.decision.is_none() && !one.route.batch.is_empty()) {
        *keys.entry(approval.route.batch.as_str()).or_default() += 1;
    }
    keys.retain(|_, alike| *alike > 1);
    keys
}

/// How often people are asked: who is asked too often stops reading.
async fn stats(context: &Context) -> Result<Exit, CliError> {
    let ui = context.ui;
    let view = context.client()?.fatigue().await?;
    if ui.json {
        ui.json_line(&view)?;
        return Ok(Exit::Ok);
    }
    let permille = view.approved_permille;
    let rows = [
        ("finished projects", view.finished_projects.to_string()),
        ("people were asked", count(usize::try_from(view.prompts).unwrap_or(usize::MAX), "time")),
        ("per project", format!("{} in the middle, {} at most", view.prompts_median, view.prompts_most)),
        ("decided without people", view.automatic.to_string()),
        ("an answer took", format!("{} in the middle", span(view.answered_median_ms))),
        ("nobody answered", view.expired.to_string()),
        ("approved, of what people decided", format!("{}.{} %", permille / 10, permille % 10)),
    ];
    let rows: Vec<Vec<String>> = rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
    ui.data(&table(ui.out, &["FATIGUE", ""], &rows))?;
    Ok(Exit::Ok)
}

/// Shows one request with all that is needed to decide it.
async fn one(context: &Context, id: &str) -> Result<Exit, CliError> {
    let client = context.client()?;
    let approval = client.approval(ids::check("approvals", id)?).await?;
    decide::seen(context, &client, &approval).await;
    if context.ui.json {
        context.ui.json_line(&approval)?;
    } else {
        context.ui.data(decide::show(context.ui.out, &approval).trim_end())?;
    }
    Ok(Exit::Ok)
}

/// `plan`, or `handoff of report, attempt 2`.
pub(super) fn subject(approval: &ApprovalView) -> String {
    match approval.subject {
        ApprovalSubject::Plan => "plan".to_owned(),
        ApprovalSubject::Handoff { attempt, .. } => {
            let key = key(approval);
            let number = if attempt > 1 { format!(", attempt {attempt}") } else { String::new() };
            format!("handoff of {key}{number}")
        }
        ApprovalSubject::Question { .. } => format!("question of {}", key(approval)),
        ApprovalSubject::Budget { .. } => format!("budget for {}", key(approval)),
        ApprovalSubject::Patch { .. } => format!("change of the plan by {}", key(approval)),
        ApprovalSubject::Capability { .. } => format!("request of {}", key(approval)),
        ApprovalSubject::Apply => "apply of the result".to_owned(),
        ApprovalSubject::Skill { .. } => format!("skill proposed by {}", key(approval)),
    }
}

fn key(approval: &ApprovalView) -> String {
    approval.task_key.as_deref().map(clean_line).unwrap_or_default()
}
