//! What the people who approve a plan are shown of its skills.

use bus_schemas::v1::{
    api::{Finding, Severity},
    skill::{SkillReview, SkillStatus},
};
use skills::{Resolved, Status};

/// Findings of one skill that are kept with a request.
const FINDINGS_SHOWN: usize = 50;

/// What people are shown of a skill.
pub(super) fn review(resolved: &Resolved) -> SkillReview {
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
