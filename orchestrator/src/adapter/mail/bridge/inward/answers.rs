//! What people are told: what happened, and what they can do.

use bus_schemas::{
    time::UnixMs,
    v1::{
        api::{ApprovalView, Problem, TellView},
        approval::{ApprovalSubject, Verdict},
    },
};

use super::act::EMAIL;
use crate::{
    adapter::mail::Story,
    mail::{address::one_line, inputs, letter::Attachment},
    words::names::is_effect,
};

/// A title, a key; a sentence of somebody else's.
const LONGEST: (usize, usize) = (100, 500);

/// Something was refused.
pub(super) fn refused(what: &str, why: &str, hint: Option<&str>) -> Story {
    Story::Refused { what: what.to_owned(), why: why.to_owned(), hint: hint.map(str::to_owned) }
}

/// A request was answered by somebody it was not sent to.
pub(super) fn not_yours(view: &ApprovalView) -> Story {
    refused(
        "Nothing was decided",
        &format!("the mail you answered asks somebody else about {}", about(view)),
        Some(
            "who may decide about it gets a mail of their own, and answers that one; `baton approvals` lists what waits",
        ),
    )
}

/// A problem, in words about mail.
pub(super) fn of_problem(problem: &Problem, view: Option<&ApprovalView>) -> Story {
    let what = "Nothing was done";
    let Some(view) = view else { return refused(what, &one_line(&problem.detail, LONGEST.1), problem.hint.as_deref()) };
    let about = about(view);
    let who = if view.route.eligible.is_empty() { view.route.needs.clone() } else { view.route.eligible.join(", ") };
    let who = (!who.is_empty()).then(|| format!("who may: {}", one_line(&who, LONGEST.1)));
    let (why, hint) = match problem.code.as_str() {
        "digest_mismatch" => (
            format!("{about} changed after that mail was sent, and nobody approves what they did not see"),
            Some("answer the newer mail, which shows it as it is now".to_owned()),
        ),
        "request_expired" | "expired" => (format!("the time for {about} ran out"), None),
        "not_eligible" => (format!("you have no say in {about}"), who),
        "self_approval" => (format!("you started or edited {about}, so you cannot approve it yourself"), who),
        "handed_on" => (format!("you handed your say in {about} to somebody else"), who),
        "already_voted" => (format!("you approved {about} before, and nobody counts twice"), who),
        _ => (one_line(&problem.detail, LONGEST.1), problem.hint.clone()),
    };
    refused(what, &why, hint.as_deref())
}

/// It could not be done in a while, and is not tried any more.
pub(super) fn given_up(problem: &Problem) -> Story {
    refused(
        "Nothing was done",
        &format!("it was tried several times: {}", one_line(&problem.detail, LONGEST.1)),
        Some("send it again later"),
    )
}

/// Their yes or no was taken.
pub(super) fn taken(view: &ApprovalView, verdict: Verdict, me: &str) -> String {
    let about = about(view);
    let Some(decision) = &view.decision else {
        if verdict != Verdict::Approved {
            return format!("Your decision about {about} is recorded.");
        }
        let needs = if view.route.needs.is_empty() {
            String::new()
        } else {
            format!(" It needs {}.", one_line(&view.route.needs, LONGEST.1))
        };
        return format!("Your approval of {about} is counted; it waits for somebody else.{needs}");
    };
    let next = match decision.verdict {
        Verdict::Approved if matches!(view.subject, ApprovalSubject::Question { .. }) => "The agent gets your answer.",
        Verdict::Approved => "It goes on.",
        Verdict::ChangesRequested => "The next attempt reads your note.",
        Verdict::Rejected | Verdict::Expired => "It goes no further.",
    };
    let with =
        if decision.by == me { String::new() } else { format!(" Decided by: {}.", one_line(&decision.by, LONGEST.1)) };
    format!("Done: {about} is {}. {next}{with}", word(decision.verdict))
}

/// A verdict, as what was done.
pub(super) const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Approved => "approved",
        Verdict::ChangesRequested => "sent back for changes",
        Verdict::Rejected => "rejected",
        Verdict::Expired => "not decided in time",
    }
}

/// Who hears a note.
pub(super) fn told(told: &TellView) -> String {
    let names = |keys: &[String]| keys.iter().map(|key| one_line(key, LONGEST.0)).collect::<Vec<_>>().join(", ");
    match (told.now.is_empty(), told.later.is_empty()) {
        (false, true) => format!("Told now: {}.", names(&told.now)),
        (true, false) => format!("{} reads it with the next attempt.", names(&told.later)),
        (false, false) => format!("Told now: {}; {} with the next attempt.", names(&told.now), names(&told.later)),
        (true, true) => "It is kept for the next agent that works on it.".to_owned(),
    }
}

/// What is said to a reply, with the files that came with it and went nowhere: nobody is to think that the agent has them.
pub(super) fn with_files(said: String, attachments: &[Attachment]) -> String {
    let files = inputs::names(attachments);
    if files.is_empty() {
        return said;
    }
    format!(
        "{said} Its files were not taken ({}): they come along only with the mail that begins a project.",
        files.join(", ")
    )
}

/// Why nothing comes of a reply that has files and no text.
pub(super) fn only_files(attachments: &[Attachment]) -> Option<String> {
    let files = inputs::names(attachments);
    (!files.is_empty())
        .then(|| format!("your mail has no text of its own, and its files were not taken: {}", files.join(", ")))
}

/// What a request is about, for people: `the handoff of build in “Title”`.
pub(super) fn about(view: &ApprovalView) -> String {
    let what = match view.subject {
        ApprovalSubject::Plan => "the plan",
        ApprovalSubject::Handoff { .. } => "the handoff",
        ApprovalSubject::Question { .. } => "the question",
        ApprovalSubject::Budget { .. } => "more budget",
        ApprovalSubject::Patch { .. } => "the change of the plan",
        ApprovalSubject::Skill { .. } => "the skill",
        ApprovalSubject::Capability { .. } if is_effect(view) => "the effect",
        ApprovalSubject::Capability { .. } => "the access",
        ApprovalSubject::Apply => "putting the result into the folder",
    };
    let of = view.task_key.as_ref().map_or_else(String::new, |key| format!(" of {}", one_line(key, LONGEST.0)));
    format!("{what}{of} in “{}”", one_line(&view.project_title, LONGEST.0))
}

/// This person's own vote or decision of that kind is recorded, by mail, and not from before this mail came.
pub(super) fn was_mine(view: &ApprovalView, verdict: Verdict, me: &str, since: UnixMs) -> bool {
    let mut votes = view.route.votes.iter();
    let voted = votes.any(|vote| vote.by == me && vote.channel == EMAIL && vote.at >= since);
    match &view.decision {
        Some(decision) => {
            let by_me = decision.by.split(',').any(|by| by.trim() == me);
            let by_mail = decision.channel == EMAIL || voted;
            decision.verdict == verdict && by_me && by_mail && decision.decided_at >= since
        }
        None => verdict == Verdict::Approved && voted,
    }
}

/// The same thing may succeed a little later: nothing is wrong with the mail.
pub(super) fn is_passing(problem: &Problem) -> bool {
    matches!(problem.status, 502..=504 | 507) || is_ours(problem)
}

/// The orchestrator itself is in trouble: nobody's mail can be done, and all of them can be afterwards.
pub(super) fn is_ours(problem: &Problem) -> bool {
    matches!(problem.code.as_str(), "shutting_down" | "storage_full" | "storage")
}
