//! What the audit log has beside requests and their decisions: what people did that changes what was approved, or may be.
//! Derived from the record alone, as everything in the log is.

use bus_schemas::id::{ApprovalId, TaskId};
use serde_json::{Value, json};
use uuid::Uuid;

use super::audit::{Happened, plain};
use crate::{
    plan::event::Fact,
    port::journal::{AuditRow, Change},
};

/// The request of an entry that is about none.
const NONE: ApprovalId = ApprovalId::from_uuid(Uuid::nil());

/// Something somebody did.
struct Deed<'a> {
    kind: &'static str,
    approval_id: ApprovalId,
    subject: String,
    digest: &'a str,
    by: &'a str,
    channel: &'a str,
    detail: Value,
}

/// The entries of a record that are about no request to people.
pub(super) fn entries(happened: &Happened<'_>) -> Vec<Change> {
    let deed = |kind, subject: String, by, channel, detail| Deed {
        kind,
        approval_id: NONE,
        subject,
        digest: "",
        by,
        channel,
        detail,
    };
    let whole = |word: &str| word.to_owned();
    let done = match &happened.record.event.fact {
        Fact::BudgetRaised { task_id, budget, by, channel } => {
            Some(deed("budget.raised", of(happened, *task_id), by, channel, json!(budget)))
        }
        Fact::CancelRequested { task_id, by, channel, reason } => {
            let kind = if task_id.is_some() { "task.canceled" } else { "project.canceled" };
            Some(deed(kind, of(happened, *task_id), by, channel, json!({ "reason": reason })))
        }
        Fact::ApplyStarted { by, channel, before_commit, after_commit } => {
            let detail = json!({ "before": before_commit, "after": after_commit });
            Some(deed("result.applied", whole("result"), by, channel, detail))
        }
        Fact::ApplyResumed { by, channel } => Some(deed("result.resumed", whole("result"), by, channel, json!({}))),
        Fact::ApplyUndone { by, channel } => Some(deed("result.undone", whole("result"), by, channel, json!({}))),
        Fact::EffectStarted(started) => {
            Some(effect(happened, "effect.started", started.approval_id, json!({ "argv": started.argv })))
        }
        Fact::EffectVoided(voided) => {
            Some(effect(happened, "effect.voided", voided.approval_id, json!({ "reason": voided.reason })))
        }
        Fact::EffectEnded(ended) => Some(effect(
            happened,
            "effect.ended",
            ended.approval_id,
            json!({ "ending": ended.ending, "output_sha256": ended.output_sha256, "output_bytes": ended.output_bytes }),
        )),
        Fact::EffectUnknown(unknown) => {
            let question = happened.plan.approval(unknown.question_id).map(|_| unknown.question_id);
            Some(effect(happened, "effect.unknown", unknown.approval_id, json!({ "question": question })))
        }
        Fact::PlanProposed { task_id: None, plan_digest, approval_id, tasks, by, channel, .. } => Some(Deed {
            approval_id: *approval_id,
            digest: plan_digest,
            ..deed("plan.edited", whole("plan"), by, channel, json!({ "tasks": tasks.len() }))
        }),
        _ => None,
    };
    let asked = match &happened.record.event.fact {
        Fact::ProjectCreated(created) => Some(created.approval_id),
        Fact::PlanProposed { approval_id, .. } => Some(*approval_id),
        _ => None,
    };
    let admitted = asked.into_iter().flat_map(|approval_id| {
        let admitted = happened.skills.iter().filter_map(move |skill| skill.admitted.as_ref().map(|by| (skill, by)));
        admitted.map(move |(skill, admitted)| Deed {
            kind: "skill.admitted",
            approval_id,
            subject: format!("skill {}", skill.name),
            digest: &skill.sha256,
            by: &admitted.by,
            channel: "lockfile",
            detail: json!({ "source": skill.source, "at": admitted.at }),
        })
    });
    done.into_iter().chain(admitted).map(|deed| entry(happened, deed)).collect()
}

/// What became of an effect: bound to the request that was approved, and to its digest.
fn effect<'a>(happened: &Happened<'a>, kind: &'static str, approval_id: ApprovalId, detail: Value) -> Deed<'a> {
    let name = happened.plan.effect(approval_id).map(|effect| effect.name.as_str()).unwrap_or_default();
    let digest = happened.plan.approval(approval_id).map(|approval| approval.digest.as_str()).unwrap_or_default();
    let subject = format!("effect {name}");
    Deed { kind, approval_id, subject, digest, by: "orchestrator", channel: "policy", detail }
}

/// The key of the task it is about, or that it is about the project.
fn of(happened: &Happened<'_>, task_id: Option<TaskId>) -> String {
    let Some(task_id) = task_id else { return "project".to_owned() };
    happened.plan.task(task_id).map_or_else(|| task_id.to_string(), |task| format!("task {}", task.spec.key))
}

fn entry(happened: &Happened<'_>, deed: Deed<'_>) -> Change {
    Change::Audited(Box::new(AuditRow {
        seq: happened.record.seq,
        at: happened.record.event.at,
        kind: deed.kind,
        project_id: happened.record.project_id,
        approval_id: deed.approval_id,
        subject: deed.subject,
        digest: deed.digest.to_owned(),
        actor: deed.by.to_owned(),
        channel: deed.channel.to_owned(),
        detail: plain(deed.detail),
    }))
}
