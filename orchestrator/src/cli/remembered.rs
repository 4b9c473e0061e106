//! `baton remembered`: decisions that count for later requests.

use bus_schemas::v1::api::{RememberScope, RememberedView, RevokeRequest};

use super::{
    CliError, Context, Exit, card, ids,
    ledger_args::RememberedCommand,
    render::{ago, now, span, table},
    style::{Paint, Style, clean_line},
};

pub(super) async fn remembered(context: &Context, command: Option<RememberedCommand>) -> Result<Exit, CliError> {
    match command {
        Some(RememberedCommand::Revoke { id }) => revoke(context, &id).await,
        None => list(context).await,
    }
}

async fn list(context: &Context) -> Result<Exit, CliError> {
    let ui = context.ui;
    let all = context.client()?.remembered().await?;
    if ui.json {
        all.iter().try_for_each(|one| ui.json_line(one))?;
        return Ok(Exit::Ok);
    }
    if all.is_empty() {
        ui.say("no decision is remembered; `baton approve ID --remember 8h` does");
        return Ok(Exit::Ok);
    }
    let every = ids::Listed::of(all.iter().map(|one| one.approval_id));
    let row = |one: &RememberedView| {
        let about = match one.scope {
            RememberScope::Project => format!("project {}", ids::alone(&one.project_id)),
            RememberScope::Folder => clean_line(&one.folder),
        };
        let (risk, paint) = card::risk(one.risk);
        vec![
            every.short(&one.approval_id),
            clean_line(&one.by),
            format!("{} {}", clean_line(&one.kind), clean_line(&one.subject)).trim().to_owned(),
            clean_line(&one.policy),
            about,
            ui.out.paint(paint, risk),
            ago(now(), one.since),
            state(ui.out, one),
            one.used.to_string(),
        ]
    };
    let rows: Vec<Vec<String>> = all.iter().map(row).collect();
    let head = ["APPROVAL", "BY", "ABOUT", "POLICY", "FOR", "RISK", "SINCE", "STATE", "USED"];
    ui.data(&table(ui.out, &head, &rows))?;
    Ok(Exit::Ok)
}

fn state(style: Style, one: &RememberedView) -> String {
    match &one.revoked_by {
        Some(by) => format!("revoked by {}", clean_line(by)),
        None if one.until.0 <= now().0 => "over".to_owned(),
        None => style.paint(Paint::Green, format!("for {}", span(one.until.since(now())))),
    }
}

async fn revoke(context: &Context, id: &str) -> Result<Exit, CliError> {
    let request = RevokeRequest { by: context.person(), channel: "cli".to_owned() };
    let after = context.client()?.revoke(ids::check("remembered", id)?, &request).await?;
    if context.ui.json {
        context.ui.json_line(&after)?;
    } else {
        context.ui.say("taken back: later requests are asked about again");
    }
    Ok(Exit::Ok)
}
