//! What things are called, wherever people read about them. Our own words; of what agents say, nothing here is safe to show.

use bus_schemas::{
    time::UnixMs,
    v1::{
        api::{ApprovalView, Capability, DiffView, ProjectView, Risk, RouteView},
        approval::{ApprovalSubject, Decision, Verdict},
        project::ProjectState,
        task::TaskState,
    },
};

/// What a request is about, in words that are not yet safe to show: `handoff of report, attempt 2`.
#[must_use]
pub fn subject(approval: &ApprovalView) -> String {
    let key = approval.task_key.as_deref().unwrap_or("a task");
    match approval.subject {
        ApprovalSubject::Plan => "plan".to_owned(),
        ApprovalSubject::Handoff { attempt, .. } if attempt > 1 => format!("handoff of {key}, attempt {attempt}"),
        ApprovalSubject::Handoff { .. } => format!("handoff of {key}"),
        ApprovalSubject::Question { .. } => format!("question of {key}"),
        ApprovalSubject::Budget { .. } => format!("budget for {key}"),
        ApprovalSubject::Patch { .. } => format!("change of the plan by {key}"),
        ApprovalSubject::Skill { .. } => format!("skill proposed by {key}"),
        ApprovalSubject::Capability { .. } if is_effect(approval) => format!("effect for {key}"),
        ApprovalSubject::Capability { .. } => format!("access for {key}"),
        ApprovalSubject::Apply => "result for the folder".to_owned(),
    }
}

/// Something is to be done outside.
#[must_use]
pub fn is_effect(approval: &ApprovalView) -> bool {
    let capability = approval.capability.as_ref().map(|wanted| &wanted.capability);
    capability.is_some_and(|capability| matches!(capability, Capability::Effect { .. }))
}

/// An id as the command line takes it.
#[must_use]
pub fn short(id: &impl std::fmt::Display) -> String {
    id.to_string().chars().take(13).collect()
}

/// With a great first letter.
#[must_use]
pub fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// An instant: `2026-11-22 21:05 UTC`.
#[must_use]
pub fn utc(at: UnixMs) -> String {
    jiff::Timestamp::from_millisecond(at.0)
        .map_or_else(|_| "an unknown time".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M UTC").to_string())
}

/// What the verdict means for this kind of request.
#[must_use]
pub const fn verdict(approval: &ApprovalView, decision: &Decision) -> &'static str {
    match (decision.verdict, &approval.subject) {
        (Verdict::Approved, ApprovalSubject::Question { .. }) => "Answered",
        (Verdict::Approved, ApprovalSubject::Budget { .. }) => "Budget added",
        (Verdict::Approved, ApprovalSubject::Capability { .. }) => "Allowed",
        (Verdict::Approved, ApprovalSubject::Skill { .. }) => "Admitted",
        (Verdict::Approved, _) => "Approved",
        (Verdict::ChangesRequested, _) => "Changes requested",
        (Verdict::Rejected, ApprovalSubject::Budget { .. }) => "Stopped",
        (Verdict::Rejected, ApprovalSubject::Capability { .. }) => "Refused",
        (Verdict::Rejected, _) => "Rejected",
        (Verdict::Expired, _) => "Expired",
    }
}

/// A risk.
#[must_use]
pub const fn risk(risk: Risk) -> &'static str {
    match risk {
        Risk::Low => "low",
        Risk::Medium => "medium",
        Risk::High => "high",
    }
}

/// What happens at a request's deadline.
#[must_use]
pub fn at_deadline(route: &RouteView) -> &'static str {
    match route.at_deadline.as_str() {
        "approve" => "it is approved by itself",
        "escalate" => "others are asked as well",
        _ => "it counts as rejected",
    }
}

/// How many tasks ended well, of how many.
#[must_use]
pub fn progress(project: &ProjectView) -> (u32, u32) {
    let of = |name: &str| project.counts.get(name).copied().unwrap_or(0);
    (of("completed") + of("unverified") + of("skipped"), project.counts.values().sum())
}

/// How a project is.
#[must_use]
pub const fn state(state: ProjectState) -> &'static str {
    match state {
        ProjectState::Planning => "the plan is worked out",
        ProjectState::AwaitingApproval => "the plan waits for approval",
        ProjectState::Working => "is worked on",
        ProjectState::Completed => "completed",
        ProjectState::Failed => "failed",
        ProjectState::Canceled => "canceled",
        ProjectState::Rejected => "rejected",
    }
}

/// How a task is.
#[must_use]
pub const fn task_state(state: TaskState) -> &'static str {
    match state {
        TaskState::Blocked => "not ready",
        TaskState::Ready | TaskState::Submitted => "waiting for a host",
        TaskState::Working => "working",
        TaskState::InputRequired => "waiting for people",
        TaskState::Completed => "done",
        TaskState::Unverified => "done, unproven",
        TaskState::Failed => "failed",
        TaskState::Canceled => "canceled",
        TaskState::Rejected => "rejected",
        TaskState::Skipped => "skipped",
        TaskState::UnknownOutcome => "with unknown outcome",
    }
}

/// Colour and cursor sequences taken out whole, so that no `[31m` stays.
#[must_use]
pub fn without_colours(output: &str) -> String {
    let mut kept = String::with_capacity(output.len());
    let mut chars = output.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\x1b' {
            kept.push(c);
        } else if chars.next_if_eq(&'[').is_some() {
            while chars.next_if(|c| !('@'..='~').contains(c)).is_some() {}
            chars.next();
        }
    }
    kept
}

/// Lines that come and go.
#[must_use]
pub fn diff_lines(diff: &DiffView) -> (u64, u64) {
    let count = |mark: char, header: &str| {
        let lines = diff.text.lines().filter(|line| line.starts_with(mark) && !line.starts_with(header)).count();
        u64::try_from(lines).unwrap_or(u64::MAX)
    };
    (count('+', "+++"), count('-', "---"))
}
