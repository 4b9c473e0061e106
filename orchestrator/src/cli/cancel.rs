//! `baton cancel`

use bus_schemas::v1::api::CancelRequest;

use super::{CliError, Context, Exit, ids, render::word, style::clean_line};

pub(super) async fn cancel(
    context: &Context,
    id: &str,
    task: Option<String>,
    reason: String,
) -> Result<Exit, CliError> {
    let client = context.client()?;
    let request = CancelRequest { task: task.clone(), by: context.person(), channel: "cli".to_owned(), reason };
    let project = client.cancel(ids::check("ps", id)?, &request).await?;
    if context.ui.json {
        context.ui.json_line(&project)?;
        return Ok(Exit::Ok);
    }
    let what = task.map_or_else(|| "project".to_owned(), |task| format!("task {}", clean_line(&task)));
    context.ui.data(&format!("{what} canceled; the project is {}", word(&project.state)))?;
    Ok(Exit::Ok)
}
