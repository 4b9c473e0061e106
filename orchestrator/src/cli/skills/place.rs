//! Where `baton skills` works: the project's folder, the home, and what is found from there.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
};

use ::skills::{
    Catalog, Class, LOCKFILE, Lock, Locks, NoticeKind, PROJECT_SKILLS, Resolved, Skill, SkillError, Source, find,
    resolve_one, roots_with_data,
};

use super::args::Here;
use crate::{
    cli::{CliError, Context, Exit, render, style::clean_line},
    paths::{bundled_skills, data_home},
};

/// The surroundings of one command.
pub(super) struct Place {
    pub(super) folder: PathBuf,
    pub(super) home: Option<PathBuf>,
    pub(super) catalog: Catalog,
    pub(super) locks: Locks,
}

impl Place {
    pub(super) fn of(context: &Context, here: &Here) -> Result<Self, CliError> {
        let folder = here.folder.clone().map_or_else(env::current_dir, Ok).and_then(|folder| folder.canonicalize());
        let folder = folder.map_err(|error| {
            let named = here.folder.as_deref().unwrap_or_else(|| Path::new("."));
            let message = format!("there is no folder {}: {error}", named.display());
            CliError::new(Exit::Invalid, "folder_missing", message, None)
        })?;
        let home = context.env.get(OsStr::new("HOME")).map(PathBuf::from).filter(|path| path.is_absolute());
        let bundled = bundled_skills();
        let data = data_home(&context.env);
        let roots = roots_with_data(Some(&folder), home.as_deref(), data.as_deref(), bundled.as_deref());
        let locks = Locks::load(Some(&folder), home.as_deref());
        Ok(Self { catalog: Catalog::discover(&roots), folder, home, locks })
    }

    /// Says what is odd about what was found.
    pub(super) fn notices(&self, context: &Context, kinds: &[NoticeKind]) {
        for notice in self.catalog.notices().iter().filter(|notice| kinds.contains(&notice.kind)) {
            context.ui.say(&format!("warning: {}", clean_line(&notice.to_string())));
        }
        for problem in &self.locks.problems {
            context.ui.say(&format!("warning: {}", clean_line(&problem.message)));
        }
    }

    pub(super) fn skill(&self, name: &str) -> Result<&Skill, CliError> {
        Ok(find(name, &self.catalog)?)
    }

    pub(super) fn resolved(&self, name: &str) -> Result<Resolved, CliError> {
        Ok(resolve_one(self.skill(name)?, &self.locks)?)
    }

    /// Skills of a source, by name.
    pub(super) fn of_source(&self, source: Source) -> Vec<&Skill> {
        self.catalog.iter().filter(|skill| skill.source == source).collect()
    }

    /// The folder that skills are added to, and its lockfile.
    pub(super) fn target(&self, user: bool) -> Result<Target, CliError> {
        let base = if user { self.home.clone() } else { Some(self.folder.clone()) };
        let base = base.ok_or_else(|| CliError::new(Exit::Environment, "paths", "no home folder: set HOME", None))?;
        let lock = base.join(LOCKFILE);
        Ok(Target { skills: base.join(PROJECT_SKILLS), entries: Lock::load(&lock)?, lock })
    }
}

/// Where skills are added, and what was admitted there.
pub(super) struct Target {
    pub(super) skills: PathBuf,
    pub(super) lock: PathBuf,
    pub(super) entries: Lock,
}

impl Target {
    pub(super) fn save(&self) -> Result<(), CliError> {
        Ok(self.entries.save(&self.lock)?)
    }
}

/// Now, for the record.
pub(super) fn at() -> String {
    jiff::Timestamp::from_second(render::now().0 / 1000).map(|time| time.to_string()).unwrap_or_default()
}

impl From<SkillError> for CliError {
    fn from(error: SkillError) -> Self {
        let exit = match error.class {
            Class::Invalid => Exit::Invalid,
            Class::NotFound => Exit::NotFound,
            Class::Refused => Exit::Refused,
            Class::Environment => Exit::Environment,
        };
        Self::new(exit, error.code, clean_line(&error.message), error.hint.as_deref())
    }
}
