//! From the core's words to the wire's.

use bus_schemas::v1::{
    agent::Resource as WireResource,
    approval,
    project::ProjectState as WireProjectState,
    task::{FailureReason, Stage, TaskState as WireTaskState},
};
use serde::de::DeserializeOwned;

use crate::{
    ledger::Decided,
    plan::{
        Resource,
        request::{Approval, Subject},
        state::ProjectState,
        task::TaskState,
    },
};

pub(super) const fn project_state(state: ProjectState) -> WireProjectState {
    match state {
        ProjectState::Planning => WireProjectState::Planning,
        ProjectState::AwaitingApproval => WireProjectState::AwaitingApproval,
        ProjectState::Working => WireProjectState::Working,
        ProjectState::Completed => WireProjectState::Completed,
        ProjectState::Failed => WireProjectState::Failed,
        ProjectState::Canceled => WireProjectState::Canceled,
        ProjectState::Rejected => WireProjectState::Rejected,
    }
}

pub(super) const fn task_state(state: TaskState) -> WireTaskState {
    match state {
        TaskState::Blocked => WireTaskState::Blocked,
        TaskState::Ready => WireTaskState::Ready,
        TaskState::Submitted => WireTaskState::Submitted,
        TaskState::Working => WireTaskState::Working,
        TaskState::InputRequired => WireTaskState::InputRequired,
        TaskState::Completed => WireTaskState::Completed,
        TaskState::Unverified => WireTaskState::Unverified,
        TaskState::Failed => WireTaskState::Failed,
        TaskState::Canceled => WireTaskState::Canceled,
        TaskState::Rejected => WireTaskState::Rejected,
        TaskState::Skipped => WireTaskState::Skipped,
    }
}

/// A resource in the wire's words.
#[must_use]
pub const fn resource(resource: Resource) -> WireResource {
    match resource {
        Resource::Usd => WireResource::Usd,
        Resource::Tokens => WireResource::Tokens,
        Resource::Turns => WireResource::Turns,
        Resource::VmMs => WireResource::VmMs,
        Resource::WallMs => WireResource::WallMs,
    }
}

pub(super) const fn subject(subject: Subject) -> approval::ApprovalSubject {
    use approval::ApprovalSubject as Wire;
    match subject {
        Subject::Plan => Wire::Plan,
        Subject::Handoff { task_id, number } => Wire::Handoff { task_id, attempt: number },
        Subject::Question { task_id, number } => Wire::Question { task_id, attempt: number },
        Subject::Budget { task_id, number } => Wire::Budget { task_id, attempt: number },
        Subject::Patch { task_id, number } => Wire::Patch { task_id, attempt: number },
        Subject::Skill { task_id, number } => Wire::Skill { task_id, attempt: number },
        Subject::Capability { task_id, number } => Wire::Capability { task_id, attempt: number },
        Subject::Apply => Wire::Apply,
    }
}

/// The decision about a request, if there is one.
pub(super) fn decision(approval: &Approval) -> Option<approval::Decision> {
    let decision = approval.decision.as_ref()?;
    Some(approval::Decision {
        approval_id: approval.approval_id,
        verdict: match decision.verdict {
            Decided::Approved => approval::Verdict::Approved,
            Decided::ChangesRequested => approval::Verdict::ChangesRequested,
            Decided::Rejected => approval::Verdict::Rejected,
            Decided::Expired => approval::Verdict::Expired,
        },
        digest: approval.digest.clone(),
        by: decision.by.clone(),
        channel: decision.channel.clone(),
        note: decision.note.clone(),
        decided_at: decision.decided_at,
        rule: decision.rule.clone(),
    })
}

/// A stage's word, read back.
pub(super) fn stage(word: &str) -> Option<Stage> {
    read(word)
}

/// A failure's word, read back.
pub(super) fn failure_reason(word: &str) -> Option<FailureReason> {
    read(word)
}

/// The word of an enum without content, as serde writes it.
pub(super) fn word<T: serde::Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

fn read<T: DeserializeOwned>(word: &str) -> Option<T> {
    serde_json::from_value(serde_json::Value::String(word.to_owned())).ok()
}
