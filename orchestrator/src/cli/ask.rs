//! `baton ask`, `baton delegate`: before a decision.

use bus_schemas::v1::api::{AskRequest, DelegateRequest};

use super::{CliError, Context, Exit, ids, style::clean_line};

/// Asks the agent about its work.
pub(super) async fn ask(context: &Context, id: &str, question: String) -> Result<Exit, CliError> {
    if question.trim().is_empty() {
        return Err(CliError::new(Exit::Usage, "usage", "the question is empty", None));
    }
    let request = AskRequest { question, by: context.person(), channel: "cli".to_owned() };
    let after = context.client()?.ask_agent(ids::check("approvals", id)?, &request).await?;
    if context.ui.json {
        context.ui.json_line(&after)?;
    } else {
        let id = ids::alone(&after.approval_id);
        context.ui.say(&format!("asked; the request waits meanwhile, and `baton approvals {id}` shows the answer"));
    }
    Ok(Exit::Ok)
}

/// Hands one's say to somebody else.
pub(super) async fn delegate(context: &Context, id: &str, to: String) -> Result<Exit, CliError> {
    let request = DelegateRequest { to, by: context.person(), channel: "cli".to_owned() };
    let after = context.client()?.delegate(ids::check("approvals", id)?, &request).await?;
    if context.ui.json {
        context.ui.json_line(&after)?;
    } else {
        let to = clean_line(&request.to);
        context.ui.say(&format!("{to} decides for you about the {}", super::approvals::subject(&after)));
    }
    Ok(Exit::Ok)
}
