//! What a plan's skills are at this moment: their bytes, and whether a person admitted those.

use std::path::Path;

use serde::Serialize;

use crate::{
    catalog::{Catalog, Skill},
    finding::{Class, Finding, Severity, SkillError},
    lock::Locked,
    lock::{Lock, Standing},
    pack::{self, Packed},
    roots::{LOCKFILE, Source},
    scan,
};

/// The lockfiles that count for a project: its own, and the person's.
#[derive(Clone, Debug, Default)]
pub struct Locks {
    /// The project's: for every skill that is used in it.
    pub project: Lock,
    /// The person's: for skills in the home.
    pub user: Lock,
    /// Lockfiles that could not be read, and why; they count as empty.
    pub problems: Vec<SkillError>,
}

/// A skill of a plan.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// Its name.
    pub name: String,
    /// What it does and when to use it.
    pub description: String,
    /// Where it comes from.
    pub source: Source,
    /// Its bytes; `packed.sha256` is what an approval is bound to.
    pub packed: Packed,
    /// Whether a person admitted these bytes.
    pub status: Status,
    /// What a scan found, worst first.
    pub findings: Vec<Finding>,
}

/// Whether a person admitted a skill as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Status {
    /// It came with the program.
    Bundled,
    /// Yes.
    Locked,
    /// It has changed since.
    Changed {
        /// Paths that were added, changed or removed.
        files: Vec<String>,
        /// Programs that were not there before.
        new_scripts: Vec<String>,
    },
    /// No.
    NotLocked,
}

impl Status {
    /// A person must look at it before it is used.
    #[must_use]
    pub const fn needs_approval(&self) -> bool {
        matches!(self, Self::Changed { .. } | Self::NotLocked)
    }
}

impl Locks {
    /// Reads both lockfiles. One that cannot be read admits nothing.
    #[must_use]
    pub fn load(folder: Option<&Path>, home: Option<&Path>) -> Self {
        let mut problems = Vec::new();
        let mut read = |base: Option<&Path>| match base.map(|base| Lock::load(&base.join(LOCKFILE))) {
            Some(Ok(lock)) => lock,
            Some(Err(error)) => {
                problems.push(error);
                Lock::default()
            }
            None => Lock::default(),
        };
        let (project, user) = (read(folder), read(home));
        Self { project, user, problems }
    }

    /// What the lockfile that counts for its source says about a skill, if it names these very bytes.
    #[must_use]
    pub fn admission(&self, source: Source, packed: &Packed) -> Option<&Locked> {
        let own = self.project.skills.get(&packed.name);
        let entry = if source == Source::User { own.or_else(|| self.user.skills.get(&packed.name)) } else { own };
        entry.filter(|entry| entry.digest == packed.digest)
    }

    /// How a skill stands, by the lockfiles that count for its source.
    #[must_use]
    pub fn status(&self, source: Source, packed: &Packed) -> Status {
        let own = self.project.compare(packed);
        let standing =
            if source == Source::User && own == Standing::NotLocked { self.user.compare(packed) } else { own };
        match standing {
            Standing::Unchanged => Status::Locked,
            Standing::Changed { files, new_scripts } => Status::Changed { files, new_scripts },
            Standing::NotLocked if source == Source::Bundled => Status::Bundled,
            Standing::NotLocked => Status::NotLocked,
        }
    }
}

/// Reads, packs, scans and compares the skills of these names, each once, by name. What is scanned is what is packed.
///
/// # Errors
/// There is no such skill, or it cannot be read.
pub fn resolve<'a>(
    names: impl IntoIterator<Item = &'a str>,
    catalog: &Catalog,
    locks: &Locks,
) -> Result<Vec<Resolved>, SkillError> {
    let mut names: Vec<&str> = names.into_iter().collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter().map(|name| resolve_one(find(name, catalog)?, locks)).collect()
}

/// As [`resolve`], for one skill.
///
/// # Errors
/// It cannot be read.
pub fn resolve_one(skill: &Skill, locks: &Locks) -> Result<Resolved, SkillError> {
    let contents = pack::read(&skill.folder)?;
    let packed = pack::pack_contents(&skill.name, &contents)?;
    let status = locks.status(skill.source, &packed);
    let mut findings = scan::scan_contents(&contents);
    if status == Status::NotLocked {
        // A broken lockfile is why nothing in it counts.
        findings.extend(locks.problems.iter().map(|error| {
            Finding::new(Severity::Warning, "bad_lock", (LOCKFILE, 0), error.message.clone(), error.hint.as_deref())
        }));
    }
    Ok(Resolved {
        name: skill.name.clone(),
        description: skill.description.clone(),
        source: skill.source,
        packed,
        status,
        findings,
    })
}

/// The skill of this name.
///
/// # Errors
/// There is none.
pub fn find<'a>(name: &str, catalog: &'a Catalog) -> Result<&'a Skill, SkillError> {
    catalog.get(name).ok_or_else(|| {
        let looked: Vec<String> = catalog.roots().iter().map(|(_, root)| root.display().to_string()).collect();
        SkillError::new(Class::NotFound, "missing_skill", format!("there is no skill {name:?}"))
            .hint(format!("looked in {}", looked.join(", ")))
    })
}
