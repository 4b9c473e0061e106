//! What the people who approve a plan are shown of its skills.

use bus_schemas::v1::{
    api::{Finding, Severity},
    skill::{SkillAdmission, SkillReview, SkillStatus},
};
use skills::{Locks, Resolved, Status};

use crate::plan::policy::bounded;

/// Findings of one skill that are kept with a request.
const FINDINGS_SHOWN: usize = 50;

/// What is taken over of a lockfile's word about who and when, in bytes: anybody can write one.
const ADMITTED_BYTES: usize = 200;

/// What people are shown of a skill.
pub(super) fn review(resolved: &Resolved, locks: &Locks) -> SkillReview {
    let (status, changed, new_scripts) = match &resolved.status {
        Status::Bundled => (SkillStatus::Bundled, Vec::new(), Vec::new()),
        Status::Locked => (SkillStatus::Locked, Vec::new(), Vec::new()),
        Status::Changed { files, new_scripts } => (SkillStatus::Changed, files.clone(), new_scripts.clone()),
        Status::NotLocked => (SkillStatus::NotLocked, Vec::new(), Vec::new()),
    };
    let findings = resolved.findings.iter().filter_map(|found| finding(&resolved.name, found));
    SkillReview {
        name: resolved.name.clone(),
        description: resolved.description.clone(),
        source: resolved.source.to_string(),
        sha256: resolved.packed.sha256.clone(),
        bytes: resolved.packed.tar.len() as u64,
        status,
        changed,
        new_scripts,
        findings: findings.take(FINDINGS_SHOWN).collect(),
        admitted: locks.admission(resolved.source, &resolved.packed).map(|entry| SkillAdmission {
            by: bounded(&entry.admitted_by, ADMITTED_BYTES),
            at: bounded(&entry.admitted_at, ADMITTED_BYTES),
        }),
    }
}

/// The API has no remarks below a warning.
pub(super) fn finding(skill: &str, found: &skills::Finding) -> Option<Finding> {
    let severity = match found.severity {
        skills::Severity::Info => return None,
        skills::Severity::Warning => Severity::Warning,
        skills::Severity::Error => Severity::Error,
    };
    Some(Finding {
        severity,
        code: found.code.to_owned(),
        file: format!("{skill}/{}", found.file),
        line: found.line,
        column: u32::from(found.line > 0),
        message: found.message.clone(),
        hint: found.hint.clone(),
    })
}
