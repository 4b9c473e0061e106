//! A skill's files, their digests, and the digest over all of them.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use walkdir::WalkDir;

/// Folders inside a skill's folder: the standard wants files one level deep; some skills use more.
const MAX_DEPTH: usize = 6;
/// Files of one skill.
const MAX_FILES: usize = 1000;
/// All files of one skill together: 32 MiB; a skill is mounted into every VM that uses it.
const MAX_BYTES: u64 = 32 << 20;

/// One file of a skill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkillFile {
    /// Relative to the skill's folder, `/`-separated.
    pub path: String,
    /// SHA-256 of the content, lower-case hex.
    pub sha256: String,
    /// Its size in bytes.
    pub bytes: u64,
}

/// Why a skill's files could not be listed.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// Reading failed.
    #[error("read {path}")]
    Io {
        /// What was read.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// There are too many files.
    #[error("more than {MAX_FILES} files")]
    TooManyFiles,
    /// The files are too large.
    #[error("more than {} MiB", MAX_BYTES >> 20)]
    TooLarge,
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

/// A skill's files in path order, and what was left out (links and special files), by path.
pub(crate) struct Tree {
    pub(crate) files: Vec<SkillFile>,
    pub(crate) left_out: Vec<String>,
    /// SHA-256 over `<path>\0<sha256>\n` of every file, in path order, lower-case hex.
    pub(crate) digest: String,
}

/// Reads a skill's folder. Links are never followed: what is outside the folder is not part of the skill.
pub(crate) fn read(folder: &Path) -> Result<Tree, TreeError> {
    let mut files = Vec::new();
    let mut left_out = Vec::new();
    let mut total = 0;
    for entry in WalkDir::new(folder).min_depth(1).max_depth(MAX_DEPTH + 1) {
        let entry = entry
            .map_err(|error| TreeError::Io { path: error.path().unwrap_or(folder).to_owned(), source: error.into() })?;
        if entry.depth() > MAX_DEPTH {
            return Err(TreeError::TooDeep);
        }
        let kind = entry.file_type();
        if kind.is_dir() {
            continue;
        }
        let path = relative(folder, entry.path())?;
        if !kind.is_file() {
            left_out.push(path);
            continue;
        }
        if files.len() == MAX_FILES {
            return Err(TreeError::TooManyFiles);
        }
        let (sha256, bytes) = digest_file(entry.path(), MAX_BYTES - total)?;
        total += bytes;
        files.push(SkillFile { path, sha256, bytes });
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    left_out.sort();
    let mut all = Sha256::new();
    for file in &files {
        all.update(format!("{}\0{}\n", file.path, file.sha256));
    }
    Ok(Tree { files, left_out, digest: hex(&all.finalize()) })
}

fn relative(folder: &Path, path: &Path) -> Result<String, TreeError> {
    let bad = || TreeError::BadName { path: path.to_owned() };
    let inside = path.strip_prefix(folder).map_err(|_| bad())?;
    let text = inside.to_str().ok_or_else(bad)?;
    if text.chars().any(char::is_control) { Err(bad()) } else { Ok(text.to_owned()) }
}

fn digest_file(path: &Path, budget: u64) -> Result<(String, u64), TreeError> {
    let failed = |source| TreeError::Io { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.len() > budget {
        return Err(TreeError::TooLarge);
    }
    let mut file = file.take(budget + 1);
    let mut hash = Sha256::new();
    let mut buffer = [0; 16 * 1024];
    let mut bytes = 0;
    loop {
        let count = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(failed(error)),
        };
        hash.update(buffer.get(..count).unwrap_or_default());
        bytes += count as u64;
    }
    if bytes > budget {
        return Err(TreeError::TooLarge);
    }
    Ok((hex(&hash.finalize()), bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
