//! `.agents/skills.lock`: which skills a person admitted, to the byte.

use std::{
    collections::BTreeMap,
    fs,
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    finding::{Class, SkillError},
    pack::Packed,
    tree,
};

/// The format's version.
const VERSION: u32 = 1;
/// The largest lockfile that is read.
const MAX_BYTES: u64 = 16 << 20;

/// The skills that were admitted, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// The format's version: 1.
    pub version: u32,
    /// The skills.
    pub skills: BTreeMap<String, Locked>,
}

impl Default for Lock {
    fn default() -> Self {
        Self { version: VERSION, skills: BTreeMap::new() }
    }
}

/// One admitted skill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Locked {
    /// Where it came from: `folder:PATH`, `archive:FILE#SUB`, `git:URL#SUB@REF`, or `here` for one that was in its place.
    pub source: String,
    /// The commit or the archive's SHA-256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// SHA-256 over `<path>\0<sha256>\n` of every file, in path order, lower-case hex.
    pub digest: String,
    /// SHA-256 of every file, by path.
    pub files: BTreeMap<String, String>,
    /// When, in UTC (RFC 3339).
    pub admitted_at: String,
    /// Who.
    pub admitted_by: String,
    /// Folders it was exported to, with the digest that was written.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub exports: BTreeMap<String, String>,
}

/// How a skill stands to what was admitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Standing {
    /// It is what was admitted.
    Unchanged,
    /// It is not: it needs a new approval.
    Changed {
        /// Paths that were added, changed or removed.
        files: Vec<String>,
        /// Programs that were not there before.
        new_scripts: Vec<String>,
    },
    /// Nobody admitted it.
    NotLocked,
}

impl Locked {
    /// An entry for a skill as it is now.
    #[must_use]
    pub fn of(packed: &Packed, source: String, revision: Option<String>, at: &str, by: &str) -> Self {
        Self {
            source,
            revision,
            digest: packed.digest.clone(),
            files: packed.files.iter().map(|file| (file.path.clone(), file.sha256.clone())).collect(),
            admitted_at: at.to_owned(),
            admitted_by: by.to_owned(),
            exports: BTreeMap::new(),
        }
    }
}

impl Lock {
    /// Reads a lockfile; one that does not exist is empty.
    ///
    /// # Errors
    /// It is not a lockfile, or contradicts itself.
    pub fn load(path: &Path) -> Result<Self, SkillError> {
        let bad = |message: String| {
            let hint = "mend it, or remove it and admit the skills again: `baton skills lock --all`";
            SkillError::new(Class::Invalid, "bad_lock", format!("{}: {message}", path.display())).hint(hint)
        };
        let about = match fs::symlink_metadata(path) {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Ok(Self::default());
            }
            about => about.map_err(|error| bad(error.to_string()))?,
        };
        if !about.is_file() || about.len() > MAX_BYTES {
            return Err(bad("is no plain file, or far too large".to_owned()));
        }
        let text = fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
        let lock: Self = serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?;
        if lock.version != VERSION {
            return Err(bad(format!("is of version {}, this program knows {VERSION}", lock.version)));
        }
        for (name, locked) in &lock.skills {
            if digest_of(&locked.files) != locked.digest {
                return Err(bad(format!("the files of `{name}` do not make its digest")));
            }
        }
        Ok(lock)
    }

    /// Writes the lockfile, whole or not at all.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), SkillError> {
        let failed = || SkillError::io(format!("write {}", path.display()));
        let folder = path.parent().map_or_else(PathBuf::new, Path::to_owned);
        fs::create_dir_all(&folder).map_err(failed())?;
        let mut text = serde_json::to_string_pretty(self).map_err(|error| failed()(error.into()))?;
        text.push('\n');
        let mut file = tempfile::Builder::new().prefix(".skills.lock.").tempfile_in(&folder).map_err(failed())?;
        file.write_all(text.as_bytes()).and_then(|()| file.as_file().sync_all()).map_err(failed())?;
        crate::files::set_mode(file.path(), 0o644).map_err(failed())?;
        file.persist(path).map_err(|error| failed()(error.error))?;
        Ok(())
    }

    /// How a skill stands to its entry.
    #[must_use]
    pub fn compare(&self, packed: &Packed) -> Standing {
        let Some(locked) = self.skills.get(&packed.name) else { return Standing::NotLocked };
        if locked.digest == packed.digest {
            return Standing::Unchanged;
        }
        let now: BTreeMap<&str, &str> =
            packed.files.iter().map(|file| (file.path.as_str(), file.sha256.as_str())).collect();
        let written = now.iter().filter(|(path, sha)| locked.files.get(**path).map(String::as_str) != Some(**sha));
        let removed = locked.files.keys().filter(|path| !now.contains_key(path.as_str()));
        let mut files: Vec<String> =
            written.map(|(path, _)| (*path).to_owned()).chain(removed.map(String::clone)).collect();
        files.sort();
        let is_new = |path: &str| !locked.files.contains_key(path);
        let scripts = packed.files.iter().filter(|file| file.script && is_new(&file.path));
        Standing::Changed { files, new_scripts: scripts.map(|file| file.path.clone()).collect() }
    }
}

/// The digest over a locked skill's files. A map of strings is in the order of its bytes, as the tree's is.
fn digest_of(files: &BTreeMap<String, String>) -> String {
    tree::digest_of(files.iter().map(|(path, sha256)| (path.as_str(), sha256.as_str())))
}
