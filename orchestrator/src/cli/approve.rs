//! `baton approve`: one request, several that are alike, shown together, or several others, each shown and confirmed by itself.

use bus_schemas::v1::{
    api::{ApprovalView, BatchItem, BatchOutcome, BatchRequest, Remember, RememberScope},
    approval::Verdict,
    plan::Span,
};

use super::{
    CliError, Context, Exit,
    decide::{self, Say},
    ids,
    ledger_args::{ApproveArgs, Scope},
    render::{count, next_lines},
    style::{Paint, clean_line},
};
use crate::adapter::web::Client;

pub(super) async fn approve(context: &Context, args: ApproveArgs) -> Result<Exit, CliError> {
    let usage = |detail: &str| Err(CliError::new(Exit::Usage, "usage", detail, None));
    let remember = match &args.remember {
        Some(span) => {
            let Some(for_ms) = Span(span.clone()).as_ms().filter(|ms| *ms > 0) else {
                return usage(&format!("--remember {span} is not a duration: write 8h or 30d"));
            };
            let scope = match args.scope {
                Scope::Project => RememberScope::Project,
                Scope::Folder => RememberScope::Folder,
            };
            Some(Remember { scope, for_ms })
        }
        None => None,
    };
    if let ([id], None) = (args.ids.as_slice(), &args.batch) {
        let say = Say { verdict: Verdict::Approved, note: args.note, remember };
        return decide::decide(context, id, say, args.digest.as_deref()).await;
    }
    if args.digest.is_some() || remember.is_some() {
        return usage("--digest and --remember are for one request");
    }
    let client = context.client()?;
    let shown = match &args.batch {
        Some(key) => alike(&client, key).await?,
        None => named(&client, &args.ids).await?,
    };
    if are_alike(&shown) {
        return together(context, &client, shown, args.note).await;
    }
    if !context.ui.interactive() {
        let detail = format!("{} are not alike: nothing is approved", count(shown.len(), "request"));
        let hint =
            "only requests that are alike and low in risk are approved together; look at each: `baton approve ID`";
        return Err(CliError::new(Exit::Refused, "not_alike", detail, Some(hint)));
    }
    one_by_one(context, &client, shown, &args.note).await
}

/// They can be approved with one breath.
fn are_alike(shown: &[ApprovalView]) -> bool {
    let Some((first, rest)) = shown.split_first() else { return false };
    let key = first.route.batch.as_str();
    rest.is_empty() || (!key.is_empty() && rest.iter().all(|one| one.route.batch == key))
}

/// Shows each, asks about it, and decides it, before the next.
async fn one_by_one(
    context: &Context,
    client: &Client,
    shown: Vec<ApprovalView>,
    note: &str,
) -> Result<Exit, CliError> {
    let ui = context.ui;
    let mut exit = Exit::Ok;
    for approval in &shown {
        ui.say(&format!("{}\n", decide::show(ui.err, approval).trim_end()));
        decide::seen(context, client, approval).await;
        if !ui.confirm("Approve this one?")? {
            exit = Exit::Negative;
            continue;
        }
        let say = Say { verdict: Verdict::Approved, note: note.to_owned(), remember: None };
        let after = decide::send(context, client, approval, say).await?;
        decide::tell(context, &after)?;
    }
    Ok(exit)
}

/// The requests with a key that wait.
async fn alike(client: &Client, key: &str) -> Result<Vec<ApprovalView>, CliError> {
    let mut found = Vec::new();
    for listed in client.approvals(false).await?.into_iter().filter(|one| one.route.batch == key) {
        found.push(client.approval(&listed.approval_id.to_string()).await?);
    }
    if found.is_empty() {
        let detail = format!("no request with the key {key} waits");
        return Err(CliError::new(Exit::NotFound, "not_found", detail, Some("see `baton approvals`")));
    }
    Ok(found)
}

async fn named(client: &Client, ids: &[String]) -> Result<Vec<ApprovalView>, CliError> {
    let mut found: Vec<ApprovalView> = Vec::new();
    for id in ids {
        let approval = client.approval(ids::check("approvals", id)?).await?;
        if let Some(decision) = &approval.decision {
            return Err(decide::decided(&approval, decision));
        }
        // Named twice is meant once.
        if found.iter().all(|one| one.approval_id != approval.approval_id) {
            found.push(approval);
        }
    }
    Ok(found)
}

/// Shows all, then decides each by itself.
async fn together(
    context: &Context,
    client: &Client,
    shown: Vec<ApprovalView>,
    note: String,
) -> Result<Exit, CliError> {
    let ui = context.ui;
    for approval in &shown {
        ui.say(&format!("{}\n", decide::show(ui.err, approval).trim_end()));
        decide::seen(context, client, approval).await;
    }
    let items = shown.iter().map(|one| BatchItem { approval_id: one.approval_id, digest: one.digest.clone() });
    let request = BatchRequest {
        requests: items.collect(),
        verdict: Verdict::Approved,
        by: context.person(),
        channel: "cli".to_owned(),
        note,
    };
    let outcomes = client.decide_batch(&request).await?;
    let refused = outcomes.iter().filter(|outcome| outcome.problem.is_some()).count();
    for outcome in &outcomes {
        tell(context, &shown, outcome)?;
    }
    if refused > 0 {
        let detail = format!("{} of {} not decided", count(refused, "request"), outcomes.len());
        return Err(CliError::new(Exit::Refused, "not_all_decided", detail, None));
    }
    Ok(Exit::Ok)
}

fn tell(context: &Context, shown: &[ApprovalView], outcome: &BatchOutcome) -> Result<(), CliError> {
    let ui = context.ui;
    if ui.json {
        return ui.json_line(outcome);
    }
    let about = shown.iter().find(|one| one.approval_id == outcome.approval_id);
    let about = about.map(super::approvals::subject).unwrap_or_default();
    let said = match &outcome.problem {
        None => ui.out.paint(Paint::Green, "approved"),
        Some(problem) => format!("{} {}", ui.out.paint(Paint::Red, "refused:"), clean_line(&problem.detail)),
    };
    ui.data(&format!("{}  {about}  {said}", ids::alone(&outcome.approval_id)))
}

/// After an edit: the new plan is asked about, by those the policy names.
pub(super) async fn offer(
    context: &Context,
    client: &Client,
    project: &bus_schemas::v1::api::ProjectView,
) -> Result<(), CliError> {
    let ui = context.ui;
    let mut asked = None;
    for id in &project.pending_approvals {
        let approval = client.approval(&id.to_string()).await?;
        if approval.plan.is_some() && approval.patch.is_none() {
            asked = Some(approval);
        }
    }
    let Some(approval) = asked else {
        ui.say(next_lines(ui.err, project).trim_end());
        return Ok(());
    };
    let (route, person) = (&approval.route, context.person());
    let is_excluded = route.excluded.contains(&person);
    if is_excluded || !(route.eligible.is_empty() || route.eligible.contains(&person)) {
        let needs = if route.needs.is_empty() { "somebody else" } else { route.needs.as_str() };
        let id = ids::alone(&approval.approval_id);
        ui.say(&format!(
            "you edited it, so the policy wants others to approve it: {} (`baton approvals {id}`)",
            clean_line(needs)
        ));
        return Ok(());
    }
    if !ui.interactive() {
        ui.say(next_lines(ui.err, project).trim_end());
        return Ok(());
    }
    ui.say(&decide::show(ui.err, &approval));
    decide::seen(context, client, &approval).await;
    if ui.confirm("Approve it as it is now?")? {
        let say = Say { verdict: Verdict::Approved, note: String::new(), remember: None };
        let after = decide::send(context, client, &approval, say).await?;
        decide::tell(context, &after)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(number: u8, batch: &str) -> ApprovalView {
        let text = format!(
            r#"{{"approval_id":"00000000-0000-0000-0000-0000000000{number:02}","project_id":"00000000-0000-0000-0000-000000000001",
                "project_title":"t","subject":{{"kind":"plan"}},"digest":"d","policy":"ask","asked_at":1,"route":{{"batch":"{batch}"}}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn only_what_is_alike_and_low_in_risk_is_approved_with_one_breath() {
        assert!(are_alike(&[view(1, "")]), "one is one");
        assert!(are_alike(&[view(1, "k"), view(2, "k")]));
        assert!(!are_alike(&[view(1, ""), view(2, "")]), "not low in risk, or of no such kind");
        assert!(!are_alike(&[view(1, "k"), view(2, "l")]));
        assert!(!are_alike(&[view(1, "k"), view(2, "k"), view(3, "")]));
        assert!(!are_alike(&[]));
    }
}
