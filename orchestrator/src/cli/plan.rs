//! `baton plan check`, `baton plan show`

use std::path::Path;

use bus_schemas::v1::api::Severity;

use super::{
    CliError, Context, Exit,
    args::PlanCommand,
    render::{self, count},
    run::read_plan,
};

pub(super) async fn plan(context: &Context, command: PlanCommand) -> Result<Exit, CliError> {
    match command {
        PlanCommand::Check { file, folder } => check(context, &file, folder.as_deref()).await,
    }
}

async fn check(context: &Context, file: &Path, folder: Option<&Path>) -> Result<Exit, CliError> {
    let ui = context.ui;
    let mut source = read_plan(&file.to_string_lossy())?;
    source.folder = folder.map(|folder| folder.to_string_lossy().into_owned());
    let report = context.client()?.check_plan(&source).await?;
    let sound = report.findings.iter().all(|finding| finding.severity != Severity::Error);
    if ui.json {
        ui.json_line(&report)?;
    } else {
        if !report.findings.is_empty() {
            ui.data(&render::findings(ui.out, &report.findings))?;
        }
        if let Some(plan) = report.plan.as_ref().filter(|_| sound) {
            let (tasks, layers) = (count(plan.tasks.len(), "task"), count(report.layers.len(), "layer"));
            ui.say(&format!("{}: sound, {tasks} in {layers}", source.file));
        }
    }
    Ok(if sound { Exit::Ok } else { Exit::Invalid })
}
