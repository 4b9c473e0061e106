//! `baton ps`

use super::{
    CliError, Context, Exit, ids,
    render::{ago, done, now, project_paint, table, word},
    style::clean_line,
};

pub(super) async fn ps(context: &Context) -> Result<Exit, CliError> {
    let ui = context.ui;
    let projects = context.client()?.projects().await?;
    if ui.json {
        projects.iter().try_for_each(|project| ui.json_line(project))?;
        return Ok(Exit::Ok);
    }
    if projects.is_empty() {
        ui.say("no projects yet: `baton run PLAN.yaml --folder DIR` starts one");
        return Ok(Exit::Ok);
    }
    let all = ids::Listed::of(projects.iter().map(|project| project.project_id));
    let rows: Vec<Vec<String>> = projects
        .iter()
        .map(|project| {
            let waits = match project.pending_approvals.len() {
                0 => String::new(),
                number => format!(" ({number} to approve)"),
            };
            vec![
                all.short(&project.project_id),
                format!("{}{waits}", ui.out.paint(project_paint(project.state), word(&project.state))),
                done(project),
                ago(now(), project.created_at),
                clean_line(&project.title),
                clean_line(&project.folder),
            ]
        })
        .collect();
    ui.data(&table(ui.out, &["PROJECT", "STATE", "DONE", "CREATED", "TITLE", "FOLDER"], &rows))?;
    Ok(Exit::Ok)
}
