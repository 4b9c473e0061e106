//! Finds what a folder holds, and refuses what cannot be copied.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fs::{self, Metadata},
    io,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};

use ignore::{Match, WalkBuilder, gitignore::Gitignore};

use super::{
    diff::EntryKind,
    error::ImportError,
    path::{TEMP_PREFIX, is_safe, link_stays_inside, parents},
};

/// The name of the file that lists what is not to be copied, in the way of `.gitignore`.
pub(super) const IGNORE_FILE: &str = ".batonignore";

/// How much a folder may hold. Ignored files do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FolderLimits {
    /// The biggest file, in MiB.
    pub max_file_mib: u64,
    /// All files together, in MiB.
    pub max_total_mib: u64,
    /// The most files and links.
    pub max_files: u64,
}

impl Default for FolderLimits {
    fn default() -> Self {
        Self { max_file_mib: 256, max_total_mib: 2_048, max_files: 200_000 }
    }
}

/// One file or link to copy.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) path: String,
    pub(super) kind: EntryKind,
    pub(super) size: u64,
    pub(super) stamp: Stamp,
    /// A link's target.
    pub(super) target: Vec<u8>,
}

/// Tells whether a file was touched between two looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// What must be copied, or must not, beyond what the ignore rules say.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// Paths that are copied if they exist, whatever is ignored.
    pub(super) always: BTreeSet<String>,
    /// Paths that `.gitignore` does not hide (git tracks them), but `.batonignore` may.
    pub(super) tracked: BTreeSet<String>,
    /// Folders that are left out: submodules.
    pub(super) skipped: BTreeSet<String>,
}

/// Everything to copy, and what a person should know about it.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) items: Vec<Item>,
    pub(super) bytes: u64,
    pub(super) warnings: Vec<String>,
}

/// Checks that the path names a folder.
pub(super) fn check_folder(folder: &Path) -> Result<PathBuf, ImportError> {
    let path = folder.display().to_string();
    if !folder.is_absolute() {
        return Err(ImportError::NotAbsolute { path });
    }
    match fs::canonicalize(folder) {
        Ok(real) if real.is_dir() => Ok(real),
        Ok(_) => Err(ImportError::NotADirectory { path }),
        Err(source) => Err(match source.kind() {
            io::ErrorKind::NotFound => ImportError::Missing { path },
            io::ErrorKind::NotADirectory => ImportError::NotADirectory { path },
            _ => ImportError::Unreadable { path, source },
        }),
    }
}

/// Lists what is to be copied from `folder` (a canonical path).
pub(super) fn scan(folder: &Path, limits: FolderLimits, wanted: &Wanted) -> Result<Scan, ImportError> {
    let mut scanner = Scanner { folder, limits, scan: Scan::default(), seen: HashSet::new() };
    scanner.walk(&wanted.skipped)?;
    let mut rules = BatonRules { folder, by_dir: HashMap::new() };
    for path in &wanted.tracked {
        if !rules.hide(path) {
            scanner.add_hidden(path)?;
        }
    }
    for path in &wanted.always {
        scanner.add_hidden(path)?;
    }
    Ok(scanner.scan)
}

struct Scanner<'a> {
    folder: &'a Path,
    limits: FolderLimits,
    scan: Scan,
    seen: HashSet<String>,
}

impl Scanner<'_> {
    fn walk(&mut self, skipped: &BTreeSet<String>) -> Result<(), ImportError> {
        let skipped: HashSet<PathBuf> = skipped.iter().map(|path| self.folder.join(path)).collect();
        let walker = WalkBuilder::new(self.folder)
            .standard_filters(false)
            .git_ignore(true)
            .git_exclude(true)
            .require_git(false)
            .add_custom_ignore_filename(IGNORE_FILE)
            .follow_links(false)
            .sort_by_file_name(Ord::cmp)
            .filter_entry(move |entry| {
                !entry.file_name().eq_ignore_ascii_case(".git") && !skipped.contains(entry.path())
            })
            .build();
        for entry in walker {
            let entry = entry.map_err(|error| self.walk_error(error))?;
            if let Some(error) = entry.error() {
                self.scan.warnings.push(format!("ignore rules: {error}"));
            }
            if entry.depth() > 0 {
                let path = self.relative(entry.path())?;
                self.add(path, entry.path())?;
            }
        }
        Ok(())
    }

    /// The path relative to the folder, as text that can travel.
    fn relative(&self, full: &Path) -> Result<String, ImportError> {
        let relative = full.strip_prefix(self.folder).unwrap_or(full);
        let Some(path) = relative.to_str() else {
            return Err(ImportError::BadName { path: format!("{relative:?}"), problem: "is not valid UTF-8" });
        };
        if is_safe(path) {
            Ok(path.to_owned())
        } else {
            Err(ImportError::BadName { path: format!("{path:?}"), problem: "contains control characters" })
        }
    }

    /// Adds a path that the walk did not show, if it is there and no link leads to it.
    fn add_hidden(&mut self, path: &str) -> Result<(), ImportError> {
        if self.seen.contains(path) || !is_safe(path) {
            return Ok(());
        }
        let is_folder = |parent: &str| fs::symlink_metadata(self.folder.join(parent)).is_ok_and(|it| it.is_dir());
        let full = self.folder.join(path);
        if parents(path).all(is_folder) && fs::symlink_metadata(&full).is_ok_and(|it| !it.is_dir()) {
            return self.add(path.to_owned(), &full);
        }
        Ok(())
    }

    fn add(&mut self, path: String, full: &Path) -> Result<(), ImportError> {
        let metadata = match fs::symlink_metadata(full) {
            Ok(metadata) => metadata,
            Err(source) if source.kind() == io::ErrorKind::NotFound => return Err(ImportError::Changed { path }),
            Err(source) => return Err(ImportError::Unreadable { path, source }),
        };
        if metadata.is_dir() {
            return Ok(());
        }
        if path.rsplit('/').next().is_some_and(|name| name.starts_with(TEMP_PREFIX)) {
            self.scan.warnings.push(format!("{path} was left behind by an interrupted apply and is not copied"));
            return Ok(());
        }
        let stamp = Stamp::of(&metadata);
        let item = if metadata.is_symlink() {
            let target = self.link_target(&path, full)?;
            Item { size: target.len() as u64, kind: EntryKind::Link, stamp, target, path }
        } else if metadata.is_file() {
            let kind = if metadata.mode() & 0o100 == 0 { EntryKind::File } else { EntryKind::Executable };
            Item { size: metadata.size(), kind, stamp, target: Vec::new(), path }
        } else {
            return Err(ImportError::Special { path, kind: special_kind(&metadata) });
        };
        self.count(&item)?;
        self.seen.insert(item.path.clone());
        self.scan.items.push(item);
        Ok(())
    }

    fn link_target(&self, path: &str, full: &Path) -> Result<Vec<u8>, ImportError> {
        let target = fs::read_link(full).map_err(|source| ImportError::Unreadable { path: path.to_owned(), source })?;
        let shown = target.display().to_string();
        let target = target.into_os_string().into_encoded_bytes();
        // By its text, and where it really leads (a chain of links may leave although no text does).
        let leaves = !link_stays_inside(path, &target)
            || fs::canonicalize(full).is_ok_and(|real| !real.starts_with(self.folder));
        if leaves { Err(ImportError::LinkLeaves { path: path.to_owned(), target: shown }) } else { Ok(target) }
    }

    fn count(&mut self, item: &Item) -> Result<(), ImportError> {
        const MIB: u64 = 1 << 20;
        let FolderLimits { max_file_mib, max_total_mib, max_files } = self.limits;
        let folder = || self.folder.display().to_string();
        if item.size > max_file_mib.saturating_mul(MIB) {
            return Err(ImportError::FileTooBig {
                path: item.path.clone(),
                mib: item.size.div_ceil(MIB),
                limit_mib: max_file_mib,
            });
        }
        self.scan.bytes = self.scan.bytes.saturating_add(item.size);
        if self.scan.bytes > max_total_mib.saturating_mul(MIB) {
            return Err(ImportError::TotalTooBig { path: folder(), limit_mib: max_total_mib, at: item.path.clone() });
        }
        if self.scan.items.len() as u64 >= max_files {
            return Err(ImportError::TooManyFiles { path: folder(), limit: max_files, at: item.path.clone() });
        }
        Ok(())
    }

    fn walk_error(&self, error: ignore::Error) -> ImportError {
        let path = error_path(&error).map_or_else(
            || self.folder.display().to_string(),
            |path| path.strip_prefix(self.folder).unwrap_or(path).display().to_string(),
        );
        let text = error.to_string();
        match error.into_io_error() {
            Some(source) if source.kind() == io::ErrorKind::NotFound => ImportError::Changed { path },
            Some(source) => ImportError::Unreadable { path, source },
            None => ImportError::IgnoreRules { detail: text },
        }
    }
}

fn error_path(error: &ignore::Error) -> Option<&Path> {
    match error {
        ignore::Error::WithPath { path, .. } => Some(path),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => error_path(err),
        _ => None,
    }
}

fn special_kind(metadata: &Metadata) -> &'static str {
    let kind = metadata.file_type();
    if kind.is_fifo() {
        "named pipe"
    } else if kind.is_socket() {
        "socket"
    } else {
        "device"
    }
}

/// What the `.batonignore` files say about single paths.
struct BatonRules<'a> {
    folder: &'a Path,
    by_dir: HashMap<String, Option<Gitignore>>,
}

impl BatonRules<'_> {
    fn hide(&mut self, path: &str) -> bool {
        let full = self.folder.join(path);
        for dir in parents(path).chain([""]) {
            let rules = self.by_dir.entry(dir.to_owned()).or_insert_with(|| {
                let file = self.folder.join(dir).join(IGNORE_FILE);
                file.is_file().then(|| Gitignore::new(file).0)
            });
            match rules.as_ref().map(|rules| rules.matched_path_or_any_parents(&full, false)) {
                Some(Match::Ignore(_)) => return true,
                Some(Match::Whitelist(_)) => return false,
                _ => {}
            }
        }
        false
    }
}
