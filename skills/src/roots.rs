//! Where skills are looked for.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// Where the project's own and added skills are.
pub const PROJECT_SKILLS: &str = ".agents/skills";
/// The lockfile, in the project's folder or the home.
pub const LOCKFILE: &str = ".agents/skills.lock";
/// Folders of skills in a project, highest precedence first.
const PROJECT_ROOTS: [&str; 3] = [PROJECT_SKILLS, ".claude/skills", "skills"];

/// Where a skill comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The project's folder.
    Project,
    /// The person's home.
    User,
    /// What comes with the program.
    Bundled,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Project => "project",
            Self::User => "user",
            Self::Bundled => "bundled",
        })
    }
}

/// Where skills are looked for, highest precedence first: the project's folder, the home, what is bundled.
#[must_use]
pub fn roots_for(folder: Option<&Path>, home: Option<&Path>, bundled: Option<&Path>) -> Vec<(Source, PathBuf)> {
    roots_with_data(folder, home, None, bundled)
}

/// As [`roots_for`], with `$XDG_DATA_HOME` if that is set.
#[must_use]
pub fn roots_with_data(
    folder: Option<&Path>,
    home: Option<&Path>,
    data_home: Option<&Path>,
    bundled: Option<&Path>,
) -> Vec<(Source, PathBuf)> {
    let project =
        folder.into_iter().flat_map(|folder| PROJECT_ROOTS.map(|place| (Source::Project, folder.join(place))));
    let own = home
        .into_iter()
        .flat_map(|home| [PROJECT_SKILLS, ".claude/skills"].map(|place| (Source::User, home.join(place))));
    let data = data_home.map(Path::to_owned).or_else(|| home.map(|home| home.join(".local/share")));
    let data = data.map(|data| (Source::User, data.join("baton/skills")));
    let bundled = bundled.map(|bundled| (Source::Bundled, bundled.to_owned()));
    project.chain(own).chain(data).chain(bundled).collect()
}

/// A root of a project that is a link, or is reached over one, counts only while it stays in the project's folder.
pub(crate) fn escapes(source: Source, root: &Path) -> bool {
    if source != Source::Project {
        return false;
    }
    let is_nested = PROJECT_ROOTS.iter().any(|place| place.contains('/') && root.ends_with(place));
    let base = root.parent().and_then(|parent| if is_nested { parent.parent() } else { Some(parent) });
    match (fs::canonicalize(root), base.map(fs::canonicalize)) {
        (Ok(real), Some(Ok(base))) => !real.starts_with(base),
        _ => false,
    }
}
