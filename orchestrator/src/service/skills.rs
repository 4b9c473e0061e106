//! The skills of a plan: their bytes as they are now, and what the people who approve it are shown of them.

use std::path::{Path, PathBuf};

use ::skills::{Catalog, Locks, Resolved, SkillError, Source, Status};
use bus_schemas::v1::{
    api::{Finding, Problem, Severity},
    plan::Plan,
    skill::{SkillReview, SkillStatus},
};

use super::{
    create::blocking,
    orchestrator::{Orchestrator, Places},
    problem::problem,
};

/// Findings of one skill that are kept with a request.
const FINDINGS_SHOWN: usize = 50;

impl Places {
    /// Where the skills of a project are looked for.
    pub(super) fn skill_roots(&self, folder: Option<&Path>) -> Vec<(Source, PathBuf)> {
        let (home, data) = (self.home.as_deref(), self.data_home.as_deref());
        ::skills::roots_with_data(folder, home, data, self.bundled_skills.as_deref())
    }
}

impl Orchestrator {
    /// Reads the skills that a plan's agents may use.
    pub(super) async fn skills_of(&self, plan: &Plan, folder: &str) -> Result<Vec<Resolved>, Problem> {
        let names: Vec<String> =
            plan.tasks.iter().filter_map(|task| task.agent.as_ref()).flat_map(|agent| agent.skills.clone()).collect();
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let (places, folder) = (std::sync::Arc::clone(&self.places), folder.to_owned());
        let resolved = blocking(move || {
            let folder = Some(Path::new(&folder));
            let catalog = Catalog::discover(&places.skill_roots(folder));
            ::skills::resolve(names.iter().map(String::as_str), &catalog, &Locks::load(folder, places.home.as_deref()))
        });
        resolved.await?.map_err(|error| of_skill(&error))
    }
}

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
fn finding(skill: &str, found: &::skills::Finding) -> Option<Finding> {
    let severity = match found.severity {
        ::skills::Severity::Info => return None,
        ::skills::Severity::Warning => Severity::Warning,
        ::skills::Severity::Error => Severity::Error,
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

fn of_skill(error: &SkillError) -> Problem {
    Problem { hint: error.hint.clone(), ..problem(error.code, 422, error.message.clone()) }
}
