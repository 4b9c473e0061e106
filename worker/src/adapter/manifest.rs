//! What a tree looks like to `lstat`: taken when it was unpacked, compared when the work is done.
//!
//! One mechanism for every machine: it needs no overlay, no privilege and no record of the program's doings. A file counts as changed if anything
//! that the kernel keeps about it differs; a program cannot set a file's change time, so a rewrite is always seen.

use std::{
    collections::BTreeMap,
    fs::{self, Metadata, OpenOptions},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use walkdir::WalkDir;

/// Paths a tree may have; a manifest of so many takes some 200 MB.
const MAX_ENTRIES: usize = 1_000_000;
/// The file system's clock ticks every 1 to 10 ms (a second on some); after so many milliseconds it stands still.
const TICKS: u32 = 3000;

/// Files and symbolic links of a tree, by their paths below its root. `.git` is no part of it, at any depth; neither are folders, and
/// neither are sockets, pipes and devices (git keeps none of them).
#[derive(Debug, Default)]
pub(crate) struct Manifest(BTreeMap<PathBuf, Stamp>);

/// What tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    mode: u32,
    size: u64,
    mtime: (i64, i64),
    ctime: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            mode: metadata.mode(),
            size: metadata.len(),
            mtime: (metadata.mtime(), metadata.mtime_nsec()),
            ctime: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// The size in bytes; of a symbolic link, of its target's path.
    pub(crate) const fn size(self) -> u64 {
        self.size
    }
}

/// What differs between two manifests, sorted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Paths that are gone, or are folders now.
    pub(crate) deleted: Vec<PathBuf>,
    /// Paths that are new or changed, with their sizes in bytes.
    pub(crate) written: Vec<(PathBuf, u64)>,
}

impl Difference {
    /// Nothing differs.
    pub(crate) const fn is_empty(&self) -> bool {
        self.deleted.is_empty() && self.written.is_empty()
    }
}

impl Manifest {
    /// Walks the tree. Follows no link.
    pub(crate) fn take(root: &Path) -> io::Result<Self> {
        let mut entries = BTreeMap::new();
        let walk = WalkDir::new(root).min_depth(1).into_iter().filter_entry(|entry| entry.file_name() != ".git");
        for entry in walk {
            let entry = match entry {
                Err(error) if gone(error.io_error()) => continue,
                entry => entry?,
            };
            if !entry.file_type().is_file() && !entry.file_type().is_symlink() {
                continue;
            }
            if entries.len() == MAX_ENTRIES {
                return Err(io::Error::other(format!("more than {MAX_ENTRIES} files")));
            }
            let path = entry.path().strip_prefix(root).map_err(io::Error::other)?.to_path_buf();
            match entry.metadata() {
                Err(error) if gone(error.io_error()) => {}
                metadata => drop(entries.insert(path, Stamp::of(&metadata?))),
            }
        }
        Ok(Self(entries))
    }

    /// When the last change was, by the file system's clock: seconds and nanoseconds since 1970.
    pub(crate) fn newest(&self) -> (i64, i64) {
        self.0.values().map(|stamp| stamp.ctime).max().unwrap_or_default()
    }

    /// What happened between this manifest and the `later` one.
    pub(crate) fn difference(&self, later: &Self) -> Difference {
        let deleted = self.0.keys().filter(|path| !later.0.contains_key(*path)).cloned().collect();
        let changed = later.0.iter().filter(|(path, stamp)| self.0.get(*path) != Some(*stamp));
        Difference { deleted, written: changed.map(|(path, stamp)| (path.clone(), stamp.size())).collect() }
    }
}

/// Programs may run while the tree is walked: what vanishes meanwhile is not there.
fn gone(error: Option<&io::Error>) -> bool {
    error.is_some_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// Waits until the clock of `folder`'s file system has moved past everything written there so far. A file rewritten
/// within one tick of its unpacking would look untouched otherwise.
#[expect(clippy::disallowed_methods, reason = "a blocking thread; only time makes the clock tick")]
pub(crate) fn settle(folder: &Path) -> io::Result<()> {
    let scratch = scratch_file(folder)?;
    let first = touch(&scratch)?;
    let mut moved = false;
    for _ in 0..TICKS {
        if touch(&scratch)? > first {
            moved = true;
            break;
        }
        thread::sleep(Duration::from_millis(1));
    }
    fs::remove_file(scratch)?;
    if moved { Ok(()) } else { Err(io::Error::other("the file system's clock stands still")) }
}

/// A new file under a name that nothing has.
fn scratch_file(folder: &Path) -> io::Result<PathBuf> {
    for count in 0_u32.. {
        let path = folder.join(format!(".baton-clock-{count}"));
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(_) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("no free name"))
}

fn touch(path: &Path) -> io::Result<(i64, i64)> {
    fs::write(path, b".")?;
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.ctime(), metadata.ctime_nsec()))
}
