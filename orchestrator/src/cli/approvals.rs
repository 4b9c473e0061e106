//! `baton approvals`

use bus_schemas::v1::{api::ApprovalView, approval::ApprovalSubject};

use super::{
    CliError, Context, Exit, decide, ids,
    render::{ago, now, table, verdict},
    style::{Paint, clean_line},
};

pub(super) async fn approvals(context: &Context, all: bool) -> Result<Exit, CliError> {
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
    let every = approvals.iter().map(|approval| approval.approval_id);
    let rows: Vec<Vec<String>> = approvals
        .iter()
        .map(|approval| {
            let state = match &approval.decision {
                None => ui.out.paint(Paint::Yellow, "waits"),
                Some(decision) => {
                    let (name, paint) = verdict(decision.verdict);
                    format!("{} by {}", ui.out.paint(paint, name), clean_line(&decision.by))
                }
            };
            vec![
                ids::short(&approval.approval_id, every.clone()),
                subject(approval),
                state,
                ago(now(), approval.asked_at),
                ids::alone(&approval.project_id),
                clean_line(&approval.project_title),
            ]
        })
        .collect();
    ui.data(&table(ui.out, &["APPROVAL", "SUBJECT", "STATE", "ASKED", "PROJECT", "TITLE"], &rows))?;
    Ok(Exit::Ok)
}

/// Shows one request with all that is needed to decide it.
pub(super) async fn one(context: &Context, id: &str) -> Result<Exit, CliError> {
    let approval = context.client()?.approval(ids::check("approvals", id)?).await?;
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
