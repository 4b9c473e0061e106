//! `baton tell`

use bus_schemas::v1::{api::TellRequest, project::ProjectState};

use super::{CliError, Context, Exit, ids, style::clean_line};
use crate::adapter::web::Client;

pub(super) async fn tell(context: &Context, target: &str, text: String) -> Result<Exit, CliError> {
    let ui = context.ui;
    if text.trim().is_empty() {
        return Err(CliError::new(Exit::Usage, "usage", "there is nothing to tell: the text is empty", None));
    }
    let client = context.client()?;
    let (project, task) = place(&client, target).await?;
    let request = TellRequest { task, text, by: context.person(), channel: "cli".to_owned() };
    let heard = client.tell(&project, &request).await?;
    if ui.json {
        ui.json_line(&heard)?;
        return Ok(Exit::Ok);
    }
    let list = |keys: &[String]| keys.iter().map(|key| clean_line(key)).collect::<Vec<_>>().join(", ");
    if !heard.now.is_empty() {
        ui.say(&format!("told {}: heard at the next turn", list(&heard.now)));
    }
    if !heard.later.is_empty() {
        ui.say(&format!("noted for {}: its next attempt hears it", list(&heard.later)));
    }
    Ok(Exit::Ok)
}

/// What is meant by `PROJECT`, `PROJECT/TASK` or the key of a task that only one open project has.
pub(super) async fn place(client: &Client, target: &str) -> Result<(String, Option<String>), CliError> {
    if let Some((project, task)) = target.split_once('/') {
        return Ok((ids::check("ps", project)?.to_owned(), Some(task.to_owned())));
    }
    if ids::check("ps", target).is_ok() {
        match client.project(target).await {
            Ok(_) => return Ok((target.to_owned(), None)),
            Err(crate::adapter::web::ClientError::Problem(problem)) if problem.code == "not_found" => {}
            Err(error) => return Err(error.into()),
        }
    }
    let mut found = Vec::new();
    let open = |state: ProjectState| !state.is_final();
    for project in client.projects().await?.into_iter().filter(|project| open(project.state)) {
        let id = project.project_id.to_string();
        if client.project(&id).await?.tasks.iter().any(|task| task.key == target) {
            found.push(id);
        }
    }
    match found.as_slice() {
        [project] => Ok((project.clone(), Some(target.to_owned()))),
        [] => {
            let detail = format!("{target:?} is neither a project nor a task of an open project");
            Err(CliError::new(
                Exit::NotFound,
                "not_found",
                detail,
                Some("write PROJECT or PROJECT/TASK, see `baton ps`"),
            ))
        }
        several => {
            let detail = format!("{} open projects have a task {target:?}: {}", several.len(), several.join(", "));
            Err(CliError::new(Exit::NotFound, "ambiguous", detail, Some("write PROJECT/TASK")))
        }
    }
}
