//! The skills that can be used, by name.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs, io,
    path::{Path, PathBuf},
};

use walkdir::WalkDir;

use crate::{
    frontmatter::Frontmatter,
    load::{self, Loaded},
    roots::{self, Source},
    tree,
};

/// How deep below a root a skill's folder may be.
const MAX_DEPTH: usize = 5;
/// Folders looked at below one root; a root that was mistaken for another folder must not cost minutes.
const MAX_FOLDERS: usize = 2000;
/// A skill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skill {
    /// Its name.
    pub name: String,
    /// What it does and when to use it.
    pub description: String,
    /// What else its head says.
    pub head: Frontmatter,
    /// Where it comes from.
    pub source: Source,
    /// Its folder.
    pub folder: PathBuf,
}

/// Something a person should know about a skill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// How it was dealt with.
    pub kind: NoticeKind,
    /// The skill's folder, or the root.
    pub path: PathBuf,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dealt = match self.kind {
            NoticeKind::Untidy => "",
            NoticeKind::Shadowed => "shadowed: ",
            NoticeKind::LeftOut => "left out: ",
        };
        write!(f, "{}: {dealt}{}", self.path.display(), self.message)
    }
}

/// How a notice's skill was dealt with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeKind {
    /// It can be used all the same.
    Untidy,
    /// Another skill of the same name comes first.
    Shadowed,
    /// It cannot be used.
    LeftOut,
}

/// The skills that can be used, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalog {
    skills: BTreeMap<String, Skill>,
    notices: Vec<Notice>,
    roots: Vec<(Source, PathBuf)>,
}

impl Catalog {
    /// Reads every skill below the roots, highest precedence first. Roots that do not exist are skipped; whatever is
    /// wrong with a skill becomes a notice, never an error.
    #[must_use]
    pub fn discover(roots: &[(Source, PathBuf)]) -> Self {
        let mut catalog = Self { roots: roots.to_vec(), ..Self::default() };
        let mut seen = BTreeSet::new();
        for (source, root) in roots {
            // Two roots may be one folder, over a link.
            if fs::canonicalize(root).is_ok_and(|real| !seen.insert(real)) {
                continue;
            }
            if roots::escapes(*source, root) {
                let message = "leads out of the project's folder over a link; it is not read".to_owned();
                catalog.note(NoticeKind::LeftOut, root, message);
                continue;
            }
            for folder in catalog.folders(root) {
                match catalog.load(*source, &folder) {
                    Ok(skill) => catalog.add(skill),
                    Err(message) => catalog.note(NoticeKind::LeftOut, &folder, message),
                }
            }
        }
        catalog
    }

    /// The skill with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Skill> {
        self.skills.get(name)
    }

    /// Every skill, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Skill> {
        self.skills.values()
    }

    /// What was odd about the skills that were found.
    #[must_use]
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// Where skills were looked for, highest precedence first.
    #[must_use]
    pub fn roots(&self) -> &[(Source, PathBuf)] {
        &self.roots
    }

    fn note(&mut self, kind: NoticeKind, path: &Path, message: String) {
        self.notices.push(Notice { kind, path: path.to_owned(), message });
    }

    fn add(&mut self, skill: Skill) {
        if let Some(first) = self.skills.get(&skill.name) {
            let message = format!("skill `{}` is also in {}, which comes first", skill.name, first.folder.display());
            self.note(NoticeKind::Shadowed, &skill.folder, message);
        } else {
            self.skills.insert(skill.name.clone(), skill);
        }
    }

    /// Folders with a `SKILL.md`, in path order; nothing inside a skill's folder is a skill of its own.
    fn folders(&mut self, root: &Path) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut seen = 0;
        let mut walk = WalkDir::new(root).min_depth(1).max_depth(MAX_DEPTH).sort_by_file_name().into_iter();
        while let Some(entry) = walk.next() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) if error.io_error().is_some_and(|error| error.kind() == io::ErrorKind::NotFound) => continue,
                Err(error) => {
                    self.note(NoticeKind::LeftOut, error.path().unwrap_or(root), error.to_string());
                    continue;
                }
            };
            if entry.path_is_symlink() && entry.path().join("SKILL.md").is_file() {
                self.note(NoticeKind::LeftOut, entry.path(), "is a link, and links are not followed".to_owned());
            }
            if !entry.file_type().is_dir() {
                continue;
            }
            seen += 1;
            if seen > MAX_FOLDERS {
                self.note(NoticeKind::LeftOut, root, format!("more than {MAX_FOLDERS} folders; the rest was not read"));
                break;
            }
            if entry.path().join("SKILL.md").is_file() {
                found.push(entry.path().to_owned());
                walk.skip_current_dir();
            }
        }
        found
    }

    fn load(&mut self, source: Source, folder: &Path) -> Result<Skill, String> {
        let Loaded { name, description, head, untidy } = load::load(folder)?;
        let listing = tree::list(folder).map_err(|error| error.to_string())?;
        let links = listing.left_out.iter().map(|path| format!("`{path}` is a link or no plain file; it is not read"));
        for message in untidy.into_iter().chain(links) {
            self.note(NoticeKind::Untidy, folder, message);
        }
        Ok(Skill { name, description, head, source, folder: folder.to_owned() })
    }
}

#[cfg(test)]
#[path = "catalog_tests.rs"]
mod tests;
