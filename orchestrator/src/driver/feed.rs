//! What readers of a project's feed see of a record: a kind, a line for people, the tasks it moved.

use bus_schemas::id::{ApprovalId, TaskId};

use super::words;
use crate::{
    ledger::Decided,
    plan::{
        Command, Outcome, Plan,
        event::{Fact, Limit, PauseSpec, Verdict},
        policy::bounded,
        request::{Approval, Subject},
    },
    port::journal::{FeedRow, Record},
};

/// The feed row of a record that was taken.
pub(super) fn row(record: &Record, plan: &Plan, outcome: &Outcome, touched: &[TaskId]) -> FeedRow {
    let (mut kind, task_id, mut text) = describe(&record.event.fact, plan);
    for command in &outcome.commands {
        if let Command::Warn { task_id, resource, percent } = command {
            let whose = task_id.map_or_else(|| "the project".to_owned(), |id| key(plan, id));
            text.push_str(&format!("; {percent} % of the {resource} budget of {whose} is used"));
            kind = "budget.warned";
        }
    }
    let asked = outcome.commands.iter().find_map(|command| match command {
        Command::Ask { approval_id } => Some(*approval_id),
        _ => None,
    });
    // A request that was decided by its policy is named in the outcome, too, and nobody looks at it.
    let shown = outcome.commands.iter().find_map(|command| match command {
        Command::Tell { approval_id }
        | Command::Reshow { approval_id }
        | Command::Remind { approval_id }
        | Command::Widen { approval_id } => Some(*approval_id),
        _ => None,
    });
    if asked.is_some() {
        text.push_str("; a person is asked");
    }
    if outcome.project_changed && plan.state().is_final() {
        text.push_str("; the project is ");
        text.push_str(plan.state().word());
    }
    FeedRow {
        seq: record.seq,
        project_id: record.project_id,
        at: record.event.at,
        kind: kind.to_owned(),
        task_key: task_id.map(|id| key(plan, id)),
        project_state: words::project_state(plan.state()),
        text,
        tasks: touched.to_vec(),
        approval_id: asked.or(shown).or_else(|| outcome.approvals.first().copied()),
        project_changed: outcome.project_changed,
    }
}

/// The first line, cut: untrusted text, cleaned where it is shown.
fn first_line(text: &str) -> String {
    bounded(text.lines().next().unwrap_or_default(), 200)
}

fn key(plan: &Plan, task_id: TaskId) -> String {
    plan.task(task_id).map_or_else(|| task_id.to_string(), |task| task.spec.key.clone())
}

fn describe(fact: &Fact, plan: &Plan) -> (&'static str, Option<TaskId>, String) {
    let name = |task_id: &TaskId| key(plan, *task_id);
    match fact {
        Fact::ProjectCreated(created) => {
            ("project.created", None, format!("project created with {} tasks", created.tasks.len()))
        }
        Fact::ApprovalDecided { approval_id, verdict, by, note, .. } => {
            let verdict = match verdict {
                Verdict::Approved => "approved",
                Verdict::ChangesRequested => "sent back",
                Verdict::Rejected => "rejected",
            };
            let note = if note.is_empty() { String::new() } else { format!(": {note}") };
            let (task, what) = about(plan, *approval_id);
            let waits = plan.approval(*approval_id).is_some_and(|approval| approval.decision.is_none());
            let (kind, more) =
                if waits { ("approval.voted", "; it waits for others") } else { ("approval.decided", "") };
            (kind, task, format!("{by} {verdict} {what}{note}{more}"))
        }
        Fact::ApprovalDue { approval_id } => {
            let (task, what) = about(plan, *approval_id);
            let (kind, text) = due(plan.approval(*approval_id), &what);
            (kind, task, text)
        }
        Fact::ApprovalDelegated { approval_id, by, to, .. } => {
            let (task, what) = about(plan, *approval_id);
            ("approval.delegated", task, format!("{by} lets {to} decide about {what}"))
        }
        Fact::ApprovalViewed { approval_id, by, .. } => {
            let (task, what) = about(plan, *approval_id);
            ("approval.viewed", task, format!("{by} looked at {what}"))
        }
        Fact::ApprovalQuestioned { approval_id, by, question, .. } => {
            let (task, what) = about(plan, *approval_id);
            ("approval.questioned", task, format!("{by} asks about {what}: {}", first_line(question)))
        }
        Fact::RememberedRevoked { approval_id, by, .. } => {
            let (task, what) = about(plan, *approval_id);
            ("remembered.revoked", task, format!("{by} takes back that the decision about {what} is remembered"))
        }
        Fact::ApplyOffered { .. } => ("apply.offered", None, "the result waits to be put into the folder".to_owned()),
        Fact::ApplyWanted { by } => ("apply.wanted", None, format!("{by} wants the result in the folder")),
        Fact::ApplyRefused { detail } => {
            ("apply.refused", None, format!("the result is not put into the folder: {detail}"))
        }
        Fact::TaskPrepared { task_id, when, .. } => {
            let text = if *when { "is prepared" } else { "is not needed: its condition is false" };
            ("task.prepared", Some(*task_id), format!("{} {text}", name(task_id)))
        }
        Fact::TaskExpanded { task_id, children, .. } => {
            ("task.expanded", Some(*task_id), format!("{} becomes {} tasks", name(task_id), children.len()))
        }
        Fact::PrepareFailed { task_id, reason } => {
            ("task.prepare_failed", Some(*task_id), format!("{} cannot start: {reason}", name(task_id)))
        }
        Fact::ChildrenMerged { task_id, .. } => {
            ("task.merged", Some(*task_id), format!("what the tasks of {} handed on is merged", name(task_id)))
        }
        Fact::AttemptOffered { task_id, number } => {
            ("attempt.offered", Some(*task_id), format!("{} attempt {number} is offered", name(task_id)))
        }
        Fact::AttemptClaimed { task_id, number, .. } => {
            ("attempt.claimed", Some(*task_id), format!("{} attempt {number} is taken by a host", name(task_id)))
        }
        Fact::AttemptStaged { task_id, number, stage, .. } => {
            ("attempt.staged", Some(*task_id), format!("{} attempt {number} is {stage}", name(task_id)))
        }
        Fact::HandoffReceived { task_id, number, proven, .. } => {
            let proof = if *proven { "its checks passed" } else { "no check proves it" };
            ("attempt.handoff", Some(*task_id), format!("{} attempt {number} handed on; {proof}", name(task_id)))
        }
        Fact::AttemptFailed { task_id, number, reason, detail, .. } => (
            "attempt.failed",
            Some(*task_id),
            format!(
                "{} attempt {number} failed ({reason}): {}",
                name(task_id),
                detail.lines().next().unwrap_or_default()
            ),
        ),
        Fact::AttemptPaused { task_id, number, pause, .. } => {
            let why = match pause {
                PauseSpec::Question { question } => format!("asks: {}", first_line(question)),
                PauseSpec::Capability { host } => format!("asks for {host}"),
                PauseSpec::Effect { name, problem: None } => format!("asks for the effect {name}"),
                PauseSpec::Effect { name, problem: Some(problem) } => {
                    format!("asks for the effect {name}, which cannot be done: {}", first_line(problem))
                }
                PauseSpec::Secret { name, .. } => format!("asks for the secret {}", first_line(name)),
                PauseSpec::Budget => "waits: its budget is used up".to_owned(),
                PauseSpec::RateLimited { .. } => "waits for its provider, which lets nobody through".to_owned(),
                PauseSpec::Bounce { need, .. } => format!("asks {} back", name(need)),
            };
            ("attempt.paused", Some(*task_id), format!("{} attempt {number} {why}", name(task_id)))
        }
        Fact::SpendReserved { task_id, .. } => {
            ("spend.reserved", Some(*task_id), format!("{} calls a model", name(task_id)))
        }
        Fact::SpendSettled { task_id, .. } => {
            ("spend.settled", Some(*task_id), format!("{} called a model", name(task_id)))
        }
        Fact::BudgetReached { task_id, .. } => {
            ("budget.reached", Some(*task_id), format!("{} waits: its budget is used up", name(task_id)))
        }
        Fact::BudgetRaised { task_id, by, .. } => {
            let what = task_id.as_ref().map_or_else(|| "the project".to_owned(), name);
            ("budget.raised", *task_id, format!("{by} changed the budget of {what}"))
        }
        Fact::NoteTold { task_id, from, .. } => {
            ("task.told", Some(*task_id), format!("{from} said something to {}", name(task_id)))
        }
        Fact::PlanProposed { tasks, by, .. } => {
            ("plan.proposed", None, format!("{by} proposes a plan with {} tasks", tasks.len()))
        }
        Fact::PlanUnusable { task_id, reason } => {
            let first = reason.lines().next().unwrap_or_default();
            ("plan.unusable", Some(*task_id), format!("the plan of {} cannot be used: {first}", name(task_id)))
        }
        Fact::PatchProposed { task_id, .. } => {
            ("patch.proposed", Some(*task_id), format!("{} proposes a change of the plan", name(task_id)))
        }
        Fact::SkillProposed { task_id, .. } => {
            ("skill.proposed", Some(*task_id), format!("{} proposes a skill", name(task_id)))
        }
        Fact::EffectStarted(started) => effect("effect.started", plan, started.approval_id, "is started"),
        Fact::EffectVoided(voided) => {
            let what = format!("is not started, its approval is void: {}", voided.reason);
            effect("effect.voided", plan, voided.approval_id, &what)
        }
        Fact::EffectEnded(ended) => effect("effect.ended", plan, ended.approval_id, &ended.ending.words()),
        Fact::EffectUnknown(unknown) => {
            let what = "was started and its end was not seen: it is not run again";
            effect("effect.unknown", plan, unknown.approval_id, what)
        }
        Fact::LimitReached { task_id, number, limit } => {
            ("attempt.limit", Some(*task_id), format!("{} attempt {number}: {}", name(task_id), limit_text(*limit)))
        }
        Fact::CancelRequested { task_id, by, reason, .. } => {
            let what = task_id.as_ref().map_or_else(|| "the project".to_owned(), name);
            let kind = if task_id.is_some() { "task.cancel" } else { "project.cancel" };
            let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
            (kind, *task_id, format!("{by} stopped {what}{reason}"))
        }
        Fact::ResultMerged { .. } => ("result.merged", None, "the result is merged".to_owned()),
        Fact::ResultMergeFailed { reason } => {
            ("result.merge_failed", None, format!("the result could not be merged: {reason}"))
        }
        Fact::ApplyStarted { by, .. } => {
            ("apply.started", None, format!("{by} applies the result: it is being written to the folder"))
        }
        Fact::ApplyFinished => ("apply.finished", None, "the result is in the folder".to_owned()),
        Fact::ApplyStopped { detail } => {
            ("apply.stopped", None, format!("the result is not applied, nothing was written: {detail}"))
        }
        Fact::ApplyStalled { detail } => {
            ("apply.stalled", None, format!("only some of the result is in the folder: {detail}"))
        }
        Fact::ApplyResumed { by, .. } => ("apply.resumed", None, format!("{by} lets the apply go on")),
        Fact::ApplyUndone { by, .. } => ("apply.undone", None, format!("{by} took the apply back")),
    }
}

/// What became of an effect.
fn effect(
    kind: &'static str,
    plan: &Plan,
    approval_id: ApprovalId,
    what: &str,
) -> (&'static str, Option<TaskId>, String) {
    let Some(effect) = plan.effect(approval_id) else { return (kind, None, format!("an effect {what}")) };
    let text = format!("the effect {} for {} {what}", effect.name, key(plan, effect.task_id));
    (kind, Some(effect.task_id), text)
}

/// What happened to a request by itself.
fn due(approval: Option<&Approval>, what: &str) -> (&'static str, String) {
    let Some(approval) = approval else { return ("approval.due", String::new()) };
    match approval.decision.as_ref().map(|decision| decision.verdict) {
        Some(Decided::Approved) => {
            ("approval.decided", format!("{what} is approved, as its policy says: no more is needed"))
        }
        Some(_) => ("approval.expired", format!("nobody decided about {what} in time")),
        None if approval.escalated_at.is_some() && approval.escalated_at == approval.reminded_at => {
            ("approval.escalated", format!("nobody decided about {what} in time: others may decide, too"))
        }
        None => ("approval.due", format!("people are reminded of {what}, or more of them may decide")),
    }
}

fn about(plan: &Plan, approval_id: ApprovalId) -> (Option<TaskId>, String) {
    match plan.approval(approval_id).map(|approval| approval.subject) {
        Some(Subject::Handoff { task_id, .. }) => (Some(task_id), format!("the handoff of {}", key(plan, task_id))),
        Some(Subject::Plan) | None => (None, "the plan".to_owned()),
        Some(Subject::Apply) => (None, "putting the result into the folder".to_owned()),
        Some(subject) => {
            let task_id = subject.attempt().map(|(task_id, _)| task_id);
            let of = task_id.map_or_else(String::new, |task_id| format!(" of {}", key(plan, task_id)));
            (task_id, format!("the {}{of}", subject.word()))
        }
    }
}

const fn limit_text(limit: Limit) -> &'static str {
    match limit {
        Limit::ScheduleToStart => "no host took it in time",
        Limit::StartToClose => "it took too long",
        Limit::Heartbeat => "its host went silent",
        Limit::ScheduleToClose => "all attempts together took too long",
    }
}
