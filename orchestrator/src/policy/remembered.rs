//! Decisions people let count for later requests.

use bus_schemas::{
    id::{ApprovalId, ProjectId},
    time::UnixMs,
    v1::ledger::{RememberScope, RememberedView},
};

use super::{Facts, facts::SECRET, kind_word, wire_risk};
use crate::{
    ledger::{Asked, Risk},
    planfile::lower::split_key,
};

/// What a remembered decision is about: a task for handoffs, a host or a secret for capabilities; nothing for any other kind.
#[must_use]
pub fn subject_of(facts: &Facts) -> String {
    let capability = &facts.capability;
    match facts.kind {
        Asked::Handoff => split_key(&facts.task.key).0.to_owned(),
        Asked::Capability if capability.kind == SECRET => secret_subject(&capability.name, &facts.secret_terms),
        Asked::Capability => capability.name.clone(),
        _ => String::new(),
    }
}

/// A secret as decisions about it are remembered, with where it goes: no host can be called so. Without, it is from a record
/// of a time when that was not noted down.
#[must_use]
pub fn secret_subject(name: &str, terms: &str) -> String {
    if terms.is_empty() { format!("secret {name}") } else { format!("secret {name}: {terms}") }
}

/// Who decided like requests before, and where; each person once.
pub(super) fn matching(
    remembered: &[RememberedView],
    facts: &Facts,
    (policy, risk): (&str, Risk),
    project_id: ProjectId,
    now: UnixMs,
) -> Vec<(String, ApprovalId)> {
    if risk == Risk::High || !facts.kind.can_remember() {
        return Vec::new();
    }
    let subject = subject_of(facts);
    let counts = |decision: &&RememberedView| {
        let in_scope = match decision.scope {
            RememberScope::Project => decision.project_id == project_id,
            RememberScope::Folder => !decision.folder.is_empty() && decision.folder == facts.project.folder,
        };
        in_scope
            && decision.kind == kind_word(facts.kind)
            && decision.policy == policy
            && decision.subject == subject
            && wire_risk(risk) <= decision.risk
            && decision.since <= now
            && now < decision.until
            && decision.revoked_by.is_none()
    };
    let mut people: Vec<(String, ApprovalId)> = Vec::new();
    for decision in remembered.iter().filter(counts) {
        if !people.iter().any(|(by, _)| *by == decision.by) {
            people.push((decision.by.clone(), decision.approval_id));
        }
    }
    people
}
