//! What a person who clicked is told: what happened, by whom, when, where, and what they can do.

use bus_schemas::{
    time::UnixMs,
    v1::{
        api::{ApprovalView, Problem},
        approval::{ApprovalSubject, Decision, Verdict},
    },
};

use super::crew::Crew;
use crate::{adapter::slack::view::text, words::names::is_effect};

/// Requests may wait for so many people by name in one sentence.
const NAMED: usize = 10;
/// A sentence of somebody else's.
const SENTENCE: usize = 300;
/// A title, a key.
const NAME: usize = 100;

/// What a request is about, for people: `the handoff of *build* in _Title_`.
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
    let of = view.task_key.as_ref().map_or_else(String::new, |key| format!(" of {}", text::code(key, NAME)));
    format!("{what}{of} in _{}_", text::line(&view.project_title, NAME))
}

/// A verdict, as what was done to it.
const fn done(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Approved => "approved",
        Verdict::ChangesRequested => "sent back for changes",
        Verdict::Rejected => "rejected",
        Verdict::Expired => "not decided in time, which counts as rejected",
    }
}

/// A channel, for people.
fn over(channel: &str) -> String {
    match channel {
        "cli" => " on the command line".to_owned(),
        "web" => " over the HTTP API".to_owned(),
        "email" => " by email".to_owned(),
        "slack" => " in Slack".to_owned(),
        "policy" => " by the policy".to_owned(),
        "remembered" => " by a remembered decision".to_owned(),
        "cancel" => ": what it is about was stopped".to_owned(),
        "void" => ": something else took its place".to_owned(),
        other => format!(" over {}", text::line(other, NAME)),
    }
}

/// The decision, as a sentence without a full stop: who, what, when, where, why.
pub(super) fn outcome(view: &ApprovalView, decision: &Decision, crew: &Crew) -> String {
    let when = text::date(decision.decided_at);
    let about = about(view);
    if decision.verdict == Verdict::Expired {
        return format!("nobody decided about {about} by {when}, which counts as rejected");
    }
    let who = crew.several(&decision.by);
    let why = if decision.note.is_empty() {
        String::new()
    } else {
        format!(": “{}”", text::line(&decision.note, SENTENCE))
    };
    format!("{who} {} {about} at {when}{}{why}", done(decision.verdict), over(&decision.channel))
}

/// They said yes or no, and it was taken.
pub(super) fn taken(view: &ApprovalView, verdict: Verdict, me: &str, crew: &Crew) -> String {
    let about = about(view);
    match &view.decision {
        Some(decision) if decision.by.split(", ").any(|by| by == me) => {
            let next = match decision.verdict {
                Verdict::Approved if matches!(view.subject, ApprovalSubject::Question { .. }) => {
                    " The agent gets your answer."
                }
                Verdict::Approved => " It goes on.",
                Verdict::ChangesRequested => " The next attempt reads your note.",
                Verdict::Rejected | Verdict::Expired => " It goes no further.",
            };
            let others =
                if decision.by == me { String::new() } else { format!(" Agreed: {}.", crew.several(&decision.by)) };
            format!(":white_check_mark: Done: {about} is {}.{next}{others}", done(decision.verdict))
        }
        Some(decision) => format!("Too late: {}. Your click changed nothing.", outcome(view, decision, crew)),
        None if verdict == Verdict::Approved => {
            format!(":ballot_box_with_check: Your approval of {about} is counted. {}", missing(view, me, crew))
        }
        None => format!("Your decision about {about} is recorded."),
    }
}

/// Who is still needed.
fn missing(view: &ApprovalView, me: &str, crew: &Crew) -> String {
    let voted: Vec<&str> = view.route.votes.iter().map(|vote| vote.by.as_str()).collect();
    let open: Vec<&str> = view
        .route
        .eligible
        .iter()
        .map(String::as_str)
        .filter(|name| *name != me && !voted.contains(name) && !view.route.excluded.iter().any(|out| out == name))
        .collect();
    let needs = if view.route.needs.is_empty() {
        String::new()
    } else {
        format!(" It needs {}.", text::line(&view.route.needs, SENTENCE))
    };
    if open.is_empty() {
        return format!("It waits for somebody else.{needs}");
    }
    format!("Still missing: {}.{needs}", crew.list(&open, NAMED))
}

/// Whether somebody who edited a plan may approve it, and who else must.
pub(super) fn may_approve(view: &ApprovalView, me: &str, crew: &Crew) -> String {
    let route = &view.route;
    if route.excluded.iter().any(|name| name == me) {
        return format!("You edited it, so you cannot approve it yourself. {}", missing(view, me, crew));
    }
    if !route.eligible.is_empty() && !route.eligible.iter().any(|name| name == me) {
        return format!("You have no say in whether it is approved. {}", missing(view, me, crew));
    }
    "You may approve it there.".to_owned()
}

/// Who may decide about it.
fn who_may(view: &ApprovalView, crew: &Crew) -> String {
    if !view.route.eligible.is_empty() {
        let names: Vec<&str> = view.route.eligible.iter().map(String::as_str).collect();
        return format!(" Who may: {}.", crew.list(&names, NAMED));
    }
    if view.route.needs.is_empty() {
        String::new()
    } else {
        format!(" Who may: {}.", text::line(&view.route.needs, SENTENCE))
    }
}

/// Somebody who is no member wanted something.
pub(super) fn stranger(user: &str, crew: &Crew) -> String {
    format!(":no_entry: Nothing was done. {}", outsider(user, crew))
}

/// Why somebody who is no member may do nothing, and who can change that.
pub(super) fn outsider(user: &str, crew: &Crew) -> String {
    let user = text::escape(user);
    if crew.takes_everyone() {
        return format!(
            "Only people of this app's own workspace may start or decide anything here, and `{user}` is not one of them. Whoever \
             runs this Baton can make you a member: a section `[members.NAME]` with `slack = \"{user}\"` in `baton.toml`."
        );
    }
    let who = crew.members_in_slack();
    let who = if who.is_empty() { String::new() } else { format!(" Members: {}.", crew.list(&who, NAMED)) };
    format!(
        "Only members of this Baton may start or decide anything here, and `{user}` is the Slack id of none.{who} Whoever runs it \
         adds you to `baton.toml`: a section `[members.NAME]` with `slack = \"{user}\"`."
    )
}

/// It was not taken. `view` is the request as it is now, `card` a link to its newest card.
pub(super) fn refused(
    problem: &Problem,
    view: Option<&ApprovalView>,
    me: &str,
    card: Option<&str>,
    crew: &Crew,
) -> String {
    let Some(view) = view else { return plain(problem) };
    let about = about(view);
    if let Some(decision) = &view.decision
        && matches!(
            problem.code.as_str(),
            "already_decided" | "request_expired" | "expired" | "wrong_state" | "digest_mismatch"
        )
    {
        let mine = decision.channel == "slack" && decision.by == me;
        let opening = if mine { "You were heard before" } else { "Too late" };
        return format!(
            ":information_source: {opening}: {}. This click changed nothing.",
            outcome(view, decision, crew)
        );
    }
    match problem.code.as_str() {
        "request_expired" | "expired" => {
            let when = view.expires_at.map_or_else(String::new, |at| format!(" at {}", text::date(at)));
            format!(":hourglass: Too late: the time for {about} ran out{when}. Your click changed nothing.")
        }
        "digest_mismatch" => {
            let link = card.map_or_else(
                || " Its new card has buttons that work.".to_owned(),
                |link| format!(" <{link}|Here is the card as it is now>."),
            );
            format!(
                ":arrows_counterclockwise: Nothing was decided: {about} changed after this card was posted, and nobody approves what they did not see.{link}"
            )
        }
        "not_eligible" => format!(":no_entry: You have no say in {about}, so nothing was done.{}", who_may(view, crew)),
        "not_yet" => {
            let when = text::line(&problem.detail, SENTENCE);
            format!(":hourglass: Not yet, so nothing was done about {about}: {when}.{}", who_may(view, crew))
        }
        "self_approval" => {
            format!(
                ":no_entry: You started or edited {about}, so you cannot approve it yourself.{}",
                who_may(view, crew)
            )
        }
        "handed_on" => {
            format!(
                ":no_entry: You handed your say in {about} to somebody else: {}.{}",
                text::line(&problem.detail, SENTENCE),
                who_may(view, crew)
            )
        }
        "already_voted" => {
            format!(
                ":information_source: You approved {about} before; nobody counts twice. {}",
                missing(view, me, crew)
            )
        }
        "note_required" => {
            format!("Nothing was done: {about} needs a reason for that. Press the button again and write one.")
        }
        _ => plain(problem),
    }
}

/// A problem in its own words.
pub(super) fn plain(problem: &Problem) -> String {
    let hint = problem.hint.as_ref().map_or_else(String::new, |hint| format!(" ({})", text::line(hint, SENTENCE)));
    format!(":warning: Nothing was done: {}{hint}.", text::line(&problem.detail, SENTENCE))
}

/// It cannot be done now, and will be.
pub(super) fn kept(problem: &Problem, at: UnixMs) -> String {
    format!(
        ":hourglass_flowing_sand: Baton cannot do this right now ({}). What you wanted at {} is kept and is carried out as soon as \
         possible; you are told then.",
        text::line(&problem.detail, SENTENCE),
        text::date(at)
    )
}

/// The same thing may succeed a little later: nothing is wrong with the click.
pub(super) fn is_passing(problem: &Problem) -> bool {
    matches!(problem.status, 502..=504 | 507) || is_ours(problem)
}

/// The orchestrator itself is in trouble: nobody's click can be done, and all of them can be afterwards.
pub(super) fn is_ours(problem: &Problem) -> bool {
    matches!(problem.code.as_str(), "shutting_down" | "storage_full" | "storage")
}

/// Slack does not say who somebody is: only it can, and it will again.
pub(super) fn is_unsure(problem: &Problem) -> bool {
    problem.code == "slack_unsure"
}

/// It could not be done in a while, and is not tried any more: what comes after it has waited.
pub(super) fn given_up(problem: &Problem) -> String {
    format!(
        ":warning: Nothing was done: {}. It was tried several times and is not tried any more: try it again later.",
        text::line(&problem.detail, SENTENCE)
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{people::People, words::samples};

    fn crew() -> Crew {
        Crew::new(Arc::new(People::default()), false)
    }

    #[test]
    fn who_may_decide_later_is_not_told_that_they_have_no_say() {
        let problem = Problem {
            code: "not_yet".to_owned(),
            status: 403,
            detail: "ann may decide about this request only from 2027-01-15 08:00:01 UTC on".to_owned(),
            hint: None,
            findings: Vec::new(),
        };
        let said = refused(&problem, Some(&samples::handoff()), "ann", None, &crew());
        assert!(
            said.contains("Not yet") && said.contains("only from 2027-01-15") && !said.contains("no say"),
            "{said}"
        );
    }

    #[test]
    fn somebody_whose_name_is_a_part_of_anothers_did_not_decide() {
        let view = samples::decided(samples::handoff(), Verdict::Approved, "joann, bob", "cli");
        let said = taken(&view, Verdict::Approved, "ann", &crew());
        assert!(said.starts_with("Too late"), "{said}");
        assert!(taken(&view, Verdict::Approved, "bob", &crew()).contains("Done"));
    }
}
