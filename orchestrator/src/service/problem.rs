//! Problems: what people and programs are told when something did not happen.

use bus_schemas::v1::api::Problem;

use crate::{driver::Refusal, plan::Rejected, port::journal::JournalError};

/// Where it is said who must agree.
const WHO: &str = "`baton approvals ID` shows who must agree";

/// A problem without hint.
pub(super) fn problem(code: &str, status: u16, detail: impl Into<String>) -> Problem {
    Problem { code: code.to_owned(), status, detail: detail.into(), hint: None, findings: Vec::new() }
}

/// A problem with a way out.
pub(super) fn hinted(code: &str, status: u16, detail: impl Into<String>, hint: impl Into<String>) -> Problem {
    Problem { hint: Some(hint.into()), ..problem(code, status, detail) }
}

/// The store did not do it.
pub(super) fn of_journal(error: &JournalError) -> Problem {
    match error {
        JournalError::Full { .. } => hinted(
            "storage_full",
            507,
            format!("{error}; nothing of it happened"),
            "make room on the disk of the state folder and try again",
        ),
        JournalError::Closed { .. } => problem("shutting_down", 503, error.to_string()),
        JournalError::Store { .. } | JournalError::Malformed { .. } => problem("storage", 500, error.to_string()),
    }
}

/// The driver did not do it.
pub(super) fn of_refusal(refusal: &Refusal) -> Problem {
    match refusal {
        Refusal::Journal(error) => of_journal(error),
        Refusal::Stopped => problem("shutting_down", 503, refusal.to_string()),
        Refusal::NoProject(_) => problem("not_found", 404, refusal.to_string()),
        Refusal::Rejected(rejected) => of_rejected(rejected),
    }
}

/// The core did not take it. Bridges turn the codes about requests into sentences of their own.
fn of_rejected(rejected: &Rejected) -> Problem {
    let detail = rejected.to_string();
    match rejected {
        Rejected::DigestMismatch { .. } => {
            hinted("digest_mismatch", 409, detail, "look at it again: it is not what you were shown")
        }
        Rejected::AnotherPlan => {
            hinted("digest_mismatch", 409, detail, "look at the plan as it is now, and edit that one")
        }
        Rejected::NotPending { .. } => problem("already_decided", 409, detail),
        Rejected::Expired { .. } => problem("request_expired", 409, detail),
        Rejected::NoteRequired { .. } => problem("note_required", 422, detail),
        Rejected::UnknownTask { .. } | Rejected::UnknownApproval { .. } => problem("not_found", 404, detail),
        Rejected::Final { .. } | Rejected::WrongProjectState { .. } | Rejected::WrongState { .. } => {
            problem("wrong_state", 409, detail)
        }
        Rejected::NotEligible { .. } => hinted("not_eligible", 403, detail, WHO),
        Rejected::NotYet { by, from, .. } => {
            // The first whole second at which it is so.
            let from = jiff::Timestamp::from_second(from.0.saturating_add(999).div_euclid(1000)).unwrap_or_default();
            let from = from.strftime("%Y-%m-%d %H:%M:%S UTC");
            hinted("not_yet", 403, format!("{by} may decide about this request only from {from} on"), WHO)
        }
        Rejected::SelfApproval { .. } => hinted("self_approval", 403, detail, WHO),
        Rejected::WrongVerdict { .. } => problem("cannot_send_back", 422, detail),
        Rejected::HandedOn { .. } => problem("handed_on", 409, detail),
        Rejected::AlreadyVoted { .. } => problem("already_voted", 409, detail),
        Rejected::BadDelegation { .. } => problem("bad_delegation", 422, detail),
        Rejected::CannotAsk { .. } => problem("cannot_ask", 409, detail),
        Rejected::CannotRemember { .. } => problem("not_remembered", 409, detail),
        Rejected::WrongEffect { .. } => problem("wrong_effect", 409, detail),
        Rejected::WrongApply { .. } => problem("wrong_apply", 409, detail),
        Rejected::BadPlan(error) => problem("plan_invalid", 422, error.to_string()),
        Rejected::NoPlanner
        | Rejected::NotFirst { .. }
        | Rejected::NoEvents
        | Rejected::AlreadyCreated
        | Rejected::BadChildren { .. }
        | Rejected::DuplicateApproval { .. }
        | Rejected::StaleAttempt { .. }
        | Rejected::WrongNonce { .. }
        | Rejected::AlreadyClaimed { .. }
        | Rejected::NotDue { .. }
        | Rejected::OverBudget { .. }
        | Rejected::Reserved { .. }
        | Rejected::WithinBudget { .. }
        | Rejected::UnknownCall { .. }
        | Rejected::BadPatch { .. }
        | Rejected::PatchPending { .. } => problem("not_possible", 409, detail),
    }
}

#[cfg(test)]
mod tests {
    use bus_schemas::{id::ApprovalId, time::UnixMs};
    use uuid::Uuid;

    use super::*;

    #[test]
    fn who_may_decide_later_is_told_from_when_on() {
        let approval_id = ApprovalId::from_uuid(Uuid::nil());
        let rejected = Rejected::NotYet { approval_id, by: "ann".to_owned(), from: UnixMs(1_800_000_000_001) };
        let problem = of_rejected(&rejected);
        assert_eq!((problem.code.as_str(), problem.status), ("not_yet", 403));
        assert_eq!(problem.detail, "ann may decide about this request only from 2027-01-15 08:00:01 UTC on");
    }
}
