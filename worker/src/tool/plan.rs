//! `check_plan` and `propose_patch`: what an agent says about the plan, and what the orchestrator says to that.

use std::sync::Arc;

use bus_schemas::v1::{
    api::{Finding, Severity},
    call::{GuestAnswer, GuestCall, PlanPatch},
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{
    bench::{Reply, Shop},
    call::ToolSpec,
    input::{Input, wrong},
};

pub(super) const CHECK: &str = "check_plan";
pub(super) const PATCH: &str = "propose_patch";
/// Findings told of one plan.
const FINDINGS: usize = 40;

pub(super) fn check_spec() -> ToolSpec {
    ToolSpec {
        name: CHECK,
        description: "Check a draft of the plan without proposing it. Mend what it finds before you hand off.".into(),
        input_schema: json!({
            "type": "object",
            "properties": {"plan": {"type": "object", "description": "The plan: version, title, tasks and so on."}},
            "required": ["plan"],
            "additionalProperties": false
        }),
    }
}

pub(super) async fn check(shop: &Arc<Shop>, mut input: Input, stop: &CancellationToken) -> Result<Reply, String> {
    let plan = input.value("plan").ok_or("`plan` is missing: `check_plan` needs it, an object")?;
    input.finish()?;
    let text = plan_text(&plan)?;
    told(ask(shop, GuestCall::CheckPlan { text }, stop).await?).map(Reply::text)
}

/// A plan as the file it would be: JSON, or what the model wrote if it wrote a text.
pub(super) fn plan_text(plan: &Value) -> Result<String, String> {
    match plan {
        Value::String(text) if !text.trim().is_empty() => Ok(text.clone()),
        Value::Object(_) => Ok(format!("{plan:#}")),
        other => Err(wrong("plan", "an object", other)),
    }
}

pub(super) async fn ask(shop: &Shop, call: GuestCall, stop: &CancellationToken) -> Result<GuestAnswer, String> {
    tokio::select! {
        answer = shop.bench.asker.ask(call) => Ok(answer),
        () = stop.cancelled() => Err("stopped".into()),
    }
}

/// What the orchestrator answered, in words.
pub(super) fn told(answer: GuestAnswer) -> Result<String, String> {
    match answer {
        GuestAnswer::Sound { findings } if findings.is_empty() => Ok("nothing is wrong with it".into()),
        GuestAnswer::Sound { findings } => Ok(format!("it can be used; worth knowing:\n{}", list(&findings))),
        GuestAnswer::Unsound { findings } => Err(format!("it cannot be used as it is:\n{}", list(&findings))),
        GuestAnswer::Proposed { accepted: true, .. } => Ok("accepted; it is in force".into()),
        GuestAnswer::Proposed { accepted: false, .. } => {
            Ok("proposed; people decide about it while you go on with your own task".into())
        }
        GuestAnswer::Refused { detail } => Err(format!("refused: {detail}")),
    }
}

pub(super) fn list(findings: &[Finding]) -> String {
    let line = |finding: &Finding| {
        let severity = if finding.severity == Severity::Warning { "warning" } else { "error" };
        let place = if finding.line == 0 { String::new() } else { format!(" (line {})", finding.line) };
        let hint = finding.hint.as_ref().map(|hint| format!(" — {hint}")).unwrap_or_default();
        format!("- {severity} {}{place}: {}{hint}", finding.code, finding.message)
    };
    let mut lines: Vec<_> = findings.iter().take(FINDINGS).map(line).collect();
    if findings.len() > FINDINGS {
        lines.push(format!("- and {} more", findings.len() - FINDINGS));
    }
    lines.join("\n")
}

pub(super) fn patch_spec() -> ToolSpec {
    ToolSpec {
        name: PATCH,
        description: "Propose a change of the plan that this task is a part of: tasks to add (as in a plan file), ids of tasks to drop, \
                      and what tasks need instead. Only what has not started can be dropped or changed. People may have to agree."
            .into(),
        input_schema: json!({
            "type": "object",
            "properties": {
                "reason": {"type": "string"},
                "add": {"type": "array", "items": {"type": "object"}},
                "drop": {"type": "array", "items": {"type": "string"}},
                "needs": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}},
                    "description": "By a task's id: the ids of all tasks that it needs from now on."}
            },
            "required": ["reason"],
            "additionalProperties": false
        }),
    }
}

pub(super) async fn patch(shop: &Arc<Shop>, mut input: Input, stop: &CancellationToken) -> Result<Reply, String> {
    let reason = input.text("reason")?;
    let added = input.list("add", 200)?;
    let drop = input.texts("drop", 200)?;
    let needs = input.value("needs");
    input.finish()?;
    let mut add = Vec::with_capacity(added.len());
    for (at, task) in added.into_iter().enumerate() {
        add.push(serde_json::from_value(task).map_err(|error| format!("`add[{at}]` is no task: {error}"))?);
    }
    let needs = match needs {
        None => std::collections::BTreeMap::new(),
        Some(needs) => serde_json::from_value(needs)
            .map_err(|error| format!("`needs` must be lists of ids by task id: {error}"))?,
    };
    let patch = PlanPatch { reason, add, drop, needs };
    if patch.add.is_empty() && patch.drop.is_empty() && patch.needs.is_empty() {
        return Err("the patch changes nothing: give `add`, `drop` or `needs`".into());
    }
    told(ask(shop, GuestCall::ProposePatch { patch }, stop).await?).map(Reply::text)
}
