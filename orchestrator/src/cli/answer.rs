//! `baton answer`: an agent's question is answered by approving it with the answer as the note.

use bus_schemas::v1::{
    api::ApprovalView,
    approval::{ApprovalSubject, Verdict},
};

use super::{
    CliError, Context, Exit,
    decide::{self, Say},
    ids,
    style::clean_line,
};

pub(super) async fn answer(context: &Context, id: &str, text: &str) -> Result<Exit, CliError> {
    let ui = context.ui;
    if text.trim().is_empty() {
        return Err(CliError::new(Exit::Usage, "usage", "the answer is empty", None));
    }
    let client = context.client()?;
    let approval = client.approval(ids::check("approvals", id)?).await?;
    if !matches!(approval.subject, ApprovalSubject::Question { .. }) {
        let detail = format!("{id} is not a question: it is about the {}", super::approvals::subject(&approval));
        return Err(CliError::new(Exit::Refused, "not_a_question", detail, Some("use `baton approve`")));
    }
    if let Some(decision) = &approval.decision {
        return Err(decide::decided(&approval, decision));
    }
    let text = chosen(&approval, text);
    let say = Say { verdict: Verdict::Approved, note: text.clone(), remember: None };
    let after = decide::send(context, &client, &approval, say).await?;
    if ui.json {
        ui.json_line(&after)?;
    } else {
        let task = after.task_key.as_deref().map(clean_line).unwrap_or_default();
        ui.say(&format!("answered {task}: {}; it goes on from where it stopped", clean_line(&text)));
    }
    Ok(Exit::Ok)
}

/// `2` is the second of the suggested answers; anything else is the answer itself.
fn chosen(approval: &ApprovalView, text: &str) -> String {
    let options = approval.question.as_ref().map(|question| question.options.as_slice()).unwrap_or_default();
    let number = text.trim().parse::<usize>().ok().and_then(|number| number.checked_sub(1));
    number.and_then(|at| options.get(at)).cloned().unwrap_or_else(|| text.trim().to_owned())
}
