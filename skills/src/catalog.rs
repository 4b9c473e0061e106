//! The skills that can be used, by name.

use std::{
    collections::BTreeMap,
    fmt,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use walkdir::WalkDir;

use crate::{
    frontmatter::Frontmatter,
    tree::{self, SkillFile},
};

/// How deep below a root a skill's folder may be.
const MAX_DEPTH: usize = 5;
/// Folders looked at below one root; a root that was mistaken for another folder must not cost minutes.
const MAX_FOLDERS: usize = 2000;
/// The largest `SKILL.md`: the standard recommends below 500 lines.
const MAX_SKILL_BYTES: u64 = 512 * 1024;
/// The longest name, in characters, that the standard allows.
const MAX_NAME_CHARS: usize = 64;
/// The longest description, in characters, that the standard allows.
const MAX_DESCRIPTION_CHARS: usize = 1024;
/// The longest `compatibility`, in characters, that the standard allows.
const MAX_COMPATIBILITY_CHARS: usize = 500;

/// Where a skill comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// Its files, in path order.
    pub files: Vec<SkillFile>,
    /// SHA-256 over `<path>\0<sha256>\n` of every file, in path order, lower-case hex.
    pub digest: String,
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

/// Where skills are looked for, highest precedence first: the project's folder, the home, what is bundled.
#[must_use]
pub fn roots_for(folder: Option<&Path>, home: Option<&Path>, bundled: Option<&Path>) -> Vec<(Source, PathBuf)> {
    let project = folder.into_iter().flat_map(|folder| {
        [".agents/skills", ".claude/skills", "skills"].map(|place| (Source::Project, folder.join(place)))
    });
    let user = home.map(|home| (Source::User, home.join(".agents/skills")));
    let bundled = bundled.map(|bundled| (Source::Bundled, bundled.to_owned()));
    project.chain(user).chain(bundled).collect()
}

impl Catalog {
    /// Reads every skill below the roots, highest precedence first. Roots that do not exist are skipped; whatever is
    /// wrong with a skill becomes a notice, never an error.
    #[must_use]
    pub fn discover(roots: &[(Source, PathBuf)]) -> Self {
        let mut catalog = Self { roots: roots.to_vec(), ..Self::default() };
        for (source, root) in roots {
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
        let text = read_text(&folder.join("SKILL.md")).map_err(|error| format!("read SKILL.md: {error}"))?;
        let head = Frontmatter::parse(&text).map_err(|error| format!("SKILL.md: {error}"))?;
        let description = head.description.clone().ok_or("SKILL.md: no description")?;
        let folder_name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let name = head.name.clone().unwrap_or_else(|| folder_name.clone());
        let tree = tree::read(folder).map_err(|error| match std::error::Error::source(&error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        })?;
        let mut untidy = untidiness(&head, &name, &folder_name);
        untidy.extend(tree.left_out.iter().map(|path| format!("`{path}` is a link or no plain file; it is not read")));
        for message in untidy {
            self.note(NoticeKind::Untidy, folder, message);
        }
        let (files, digest) = (tree.files, tree.digest);
        Ok(Skill { name, description, head, source, folder: folder.to_owned(), files, digest })
    }
}

fn untidiness(head: &Frontmatter, name: &str, folder_name: &str) -> Vec<String> {
    let mut found = Vec::new();
    if head.name.is_none() {
        found.push(format!("SKILL.md gives no name; the folder's is taken: `{folder_name}`"));
    } else if name != folder_name {
        found.push(format!("the name `{name}` is not the folder's, `{folder_name}`"));
    }
    if name.chars().count() > MAX_NAME_CHARS {
        found.push(format!("the name is longer than {MAX_NAME_CHARS} characters"));
    }
    if !is_standard_name(name) {
        found.push(format!("the name `{name}` is not made of lower-case letters, digits and single hyphens"));
    }
    if head.description.as_ref().is_some_and(|text| text.chars().count() > MAX_DESCRIPTION_CHARS) {
        found.push(format!("the description is longer than {MAX_DESCRIPTION_CHARS} characters"));
    }
    if head.compatibility.as_ref().is_some_and(|text| text.chars().count() > MAX_COMPATIBILITY_CHARS) {
        found.push(format!("`compatibility` is longer than {MAX_COMPATIBILITY_CHARS} characters"));
    }
    if head.was_mended {
        found.push(
            "the head is not valid YAML (quote values that have a colon in them); it was read all the same".to_owned(),
        );
    }
    found
}

fn is_standard_name(name: &str) -> bool {
    let plain = |c: char| c == '-' || (c.is_alphanumeric() && !c.is_uppercase());
    !name.is_empty()
        && name.chars().all(plain)
        && !name.contains("--")
        && !name.starts_with('-')
        && !name.ends_with('-')
}

fn read_text(path: &Path) -> Result<String, String> {
    if path.is_symlink() {
        return Err("is a link, and links are not followed".to_owned());
    }
    let mut text = String::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(MAX_SKILL_BYTES + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > MAX_SKILL_BYTES {
        return Err(format!("longer than {} KiB", MAX_SKILL_BYTES / 1024));
    }
    Ok(text)
}

#[cfg(test)]
#[path = "catalog_tests.rs"]
mod tests;
