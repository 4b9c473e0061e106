//! A skill's files: listed without reading them, or read once, with their digests and the digest over all of them.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use serde::Serialize;
use sha2::{Digest, Sha256};
use walkdir::{DirEntry, WalkDir};

/// Folders inside a skill's folder: the standard wants files one level deep; some skills use more.
const MAX_DEPTH: usize = 6;
/// Files of one skill.
const MAX_FILES: usize = 1000;
/// All files of one skill together: 32 MiB; a skill is sent into every VM that uses it.
const MAX_BYTES: u64 = 32 << 20;
/// What tools leave behind; no part of a skill.
const LITTER: [&str; 4] = [".git", "__pycache__", ".DS_Store", ".pytest_cache"];
/// Files that are programs by their name.
const SCRIPT_ENDINGS: [&str; 15] =
    ["sh", "bash", "zsh", "fish", "py", "js", "mjs", "cjs", "ts", "rb", "pl", "php", "lua", "ps1", "bat"];

/// One file of a skill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SkillFile {
    /// Relative to the skill's folder, `/`-separated.
    pub path: String,
    /// SHA-256 of the content, lower-case hex.
    pub sha256: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// It may be executed as it is.
    pub executable: bool,
    /// It is a program: by its name, its first line or its mode.
    pub script: bool,
}

/// Why a skill's files could not be listed.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// Reading failed.
    #[error("read {}: {source}", path.display())]
    Io {
        /// What was read.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// There are too many files.
    #[error("more than {MAX_FILES} files")]
    TooManyFiles,
    /// The files are too large.
    #[error("more than {} MiB, `{path}` is the largest file", MAX_BYTES >> 20)]
    TooLarge {
        /// The largest file that was seen.
        path: String,
    },
    /// The folders go too deep.
    #[error("folders more than {MAX_DEPTH} deep")]
    TooDeep,
    /// A file's name is not UTF-8 or holds a control character.
    #[error("a file's name is not plain text: {path:?}")]
    BadName {
        /// The path.
        path: PathBuf,
    },
}

/// What a skill's folder holds, nothing read yet.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// Paths and sizes, in path order.
    pub(crate) files: Vec<(String, u64)>,
    /// Links and special files, by path.
    pub(crate) left_out: Vec<String>,
}

/// A skill's files, read.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    /// In path order.
    pub(crate) files: Vec<(SkillFile, Vec<u8>)>,
    /// Links and special files, by path.
    pub(crate) left_out: Vec<String>,
}

/// Lists a skill's folder. Links are never followed: what is outside the folder is not part of the skill.
pub(crate) fn list(folder: &Path) -> Result<Listing, TreeError> {
    let mut found = Listing::default();
    let mut total = 0_u64;
    let mut largest = (0, String::new());
    let is_kept = |entry: &DirEntry| entry.depth() == 0 || !LITTER.iter().any(|litter| entry.file_name() == *litter);
    for entry in WalkDir::new(folder).max_depth(MAX_DEPTH + 1).into_iter().filter_entry(is_kept) {
        let failed = |error: walkdir::Error| TreeError::Io {
            path: error.path().unwrap_or(folder).to_owned(),
            source: error.into(),
        };
        let entry = entry.map_err(failed)?;
        if entry.depth() > MAX_DEPTH {
            return Err(TreeError::TooDeep);
        }
        let kind = entry.file_type();
        if kind.is_dir() {
            continue;
        }
        let path = relative(folder, entry.path())?;
        if !kind.is_file() {
            found.left_out.push(path);
            continue;
        }
        if found.files.len() == MAX_FILES {
            return Err(TreeError::TooManyFiles);
        }
        let bytes = entry.metadata().map_err(failed)?.len();
        total = total.saturating_add(bytes);
        if bytes >= largest.0 {
            largest = (bytes, path.clone());
        }
        found.files.push((path, bytes));
    }
    if total > MAX_BYTES {
        return Err(TreeError::TooLarge { path: largest.1 });
    }
    found.files.sort();
    found.left_out.sort();
    Ok(found)
}

/// Reads a skill's folder.
pub(crate) fn read(folder: &Path) -> Result<Contents, TreeError> {
    let listing = list(folder)?;
    let mut files = Vec::with_capacity(listing.files.len());
    let mut budget = MAX_BYTES;
    for (path, _) in listing.files {
        let full = folder.join(&path);
        let failed = |source| TreeError::Io { path: full.clone(), source };
        let file = File::open(&full).map_err(failed)?;
        let mode = file.metadata().map_err(failed)?.permissions().mode();
        let mut content = Vec::new();
        file.take(budget + 1).read_to_end(&mut content).map_err(failed)?;
        let bytes = content.len() as u64;
        // It may have grown since it was listed.
        budget = budget.checked_sub(bytes).ok_or_else(|| TreeError::TooLarge { path: path.clone() })?;
        files.push((file_of(path, &content, mode & 0o111 != 0), content));
    }
    Ok(Contents { files, left_out: listing.left_out })
}

impl Contents {
    /// SHA-256 over `<path>\0<sha256>\n` of every file, in path order, lower-case hex.
    pub(crate) fn digest(&self) -> String {
        digest_of(self.files.iter().map(|(file, _)| (file.path.as_str(), file.sha256.as_str())))
    }
}

/// As [`Contents::digest`], over paths (in order) and digests.
pub(crate) fn digest_of<'a>(files: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut all = Sha256::new();
    for (path, sha256) in files {
        all.update(format!("{path}\0{sha256}\n"));
    }
    hex(&all.finalize())
}

/// A file's entry.
pub(crate) fn file_of(path: String, content: &[u8], executable: bool) -> SkillFile {
    let ending = path.rsplit_once('.').map_or("", |(_, ending)| ending).to_lowercase();
    let script = executable || content.starts_with(b"#!") || SCRIPT_ENDINGS.contains(&ending.as_str());
    SkillFile { sha256: sha256(content), bytes: content.len() as u64, executable, script, path }
}

/// SHA-256, lower-case hex.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn relative(folder: &Path, path: &Path) -> Result<String, TreeError> {
    let bad = || TreeError::BadName { path: path.to_owned() };
    let inside = path.strip_prefix(folder).map_err(|_| bad())?;
    let text = inside.to_str().ok_or_else(bad)?;
    if text.is_empty() || text.chars().any(char::is_control) { Err(bad()) } else { Ok(text.to_owned()) }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
