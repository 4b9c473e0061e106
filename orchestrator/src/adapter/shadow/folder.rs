//! Touches a folder without ever following a link in it: every part of a path is opened from the folder above it.

use std::{
    fs::{File, Metadata, ReadDir},
    io::{self, Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::MetadataExt,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, RenameFlags, fchmod, fchown, fsync, mkdirat, openat, readlinkat},
    fs::{renameat, renameat_with, statat, symlinkat, unlinkat},
    io::Errno,
};
use sha2::{Digest, Sha256};

use super::path::{TEMP_PREFIX, parents};

/// A folder that is written to.
#[derive(Debug)]
pub(super) struct Folder {
    root: OwnedFd,
    path: PathBuf,
}

/// What is at a path now.
#[derive(Debug)]
pub(super) enum Current {
    /// Nothing (or the way there is blocked by a file or link).
    Absent,
    File(CurrentFile),
    /// A link with this target.
    Link(Vec<u8>),
    Directory,
    /// A pipe, socket or device.
    Special,
}

/// A file that is there now.
#[derive(Debug)]
pub(super) struct CurrentFile {
    file: File,
    metadata: Metadata,
    bytes: Option<Vec<u8>>,
}

impl CurrentFile {
    pub(super) fn len(&self) -> u64 {
        self.metadata.len()
    }

    /// Permission bits.
    pub(super) fn mode(&self) -> u32 {
        self.metadata.mode() & 0o7777
    }

    /// Changes the permission bits.
    pub(super) fn set_mode(&self, mode: u32) -> io::Result<()> {
        if self.mode() != mode {
            fchmod(&self.file, Mode::from_bits_truncate(mode))?;
        }
        Ok(())
    }

    pub(super) fn bytes(&mut self) -> io::Result<&[u8]> {
        if self.bytes.is_none() {
            let mut bytes = Vec::new();
            self.file.read_to_end(&mut bytes)?;
            self.bytes = Some(bytes);
        }
        Ok(self.bytes.as_deref().unwrap_or_default())
    }
}

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

impl Folder {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(path, flags, Mode::empty())?;
        Ok(Self { root, path: path.to_owned() })
    }

    /// Opens the folder that holds `path`, or nothing if it is not there or something else is in its place.
    fn parent<'p>(&self, path: &'p str) -> io::Result<Option<(OwnedFd, &'p str)>> {
        let (dirs, name) = path.rsplit_once('/').unwrap_or(("", path));
        Ok(self.directory(dirs)?.map(|dir| (dir, name)))
    }

    fn directory(&self, path: &str) -> io::Result<Option<OwnedFd>> {
        let mut dir = self.root.try_clone()?;
        for part in path.split('/').filter(|part| !part.is_empty()) {
            dir = match openat(&dir, part, DIRECTORY, Mode::empty()) {
                Ok(next) => next,
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
                Err(errno) => return Err(errno.into()),
            };
        }
        Ok(Some(dir))
    }

    pub(super) fn look(&self, path: &str) -> io::Result<Current> {
        let Some((dir, name)) = self.parent(path)? else { return Ok(Current::Absent) };
        let stat = match statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(Current::Absent),
            Err(errno) => return Err(errno.into()),
        };
        Ok(match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                let file = File::from(openat(&dir, name, flags, Mode::empty())?);
                let metadata = file.metadata()?;
                Current::File(CurrentFile { file, metadata, bytes: None })
            }
            FileType::Symlink => Current::Link(readlinkat(&dir, name, Vec::new())?.into_bytes()),
            FileType::Directory => Current::Directory,
            _ => Current::Special,
        })
    }

    /// The permission bits of a folder below, if it is one.
    pub(super) fn directory_mode(&self, path: &str) -> io::Result<Option<u32>> {
        let Some(dir) = self.directory(path)? else { return Ok(None) };
        Ok(Some(File::from(dir).metadata()?.mode() & 0o7777))
    }

    /// Lists a folder below. Only for looking: links are shown, not followed.
    pub(super) fn list(&self, path: &str) -> io::Result<ReadDir> {
        std::fs::read_dir(self.path.join(path))
    }

    /// Makes the folders above `path`; `mode` knows the permission bits of those that were there once.
    pub(super) fn make_parents(&self, path: &str, mode: impl Fn(&str) -> Option<u32>) -> io::Result<()> {
        let mut missing: Vec<&str> = parents(path).collect();
        missing.reverse();
        for dir in missing {
            if self.directory(dir)?.is_some() {
                continue;
            }
            let Some((above, name)) = self.parent(dir)? else { return Err(Errno::NOTDIR.into()) };
            mkdirat(&above, name, Mode::from_bits_truncate(0o777))?;
            let made = openat(&above, name, DIRECTORY, Mode::empty())?;
            give_to_owner_of(&made, &File::from(above).metadata()?)?;
            if let Some(mode) = mode(dir) {
                fchmod(&made, Mode::from_bits_truncate(mode))?;
            }
        }
        Ok(())
    }

    /// Removes the file or link at `path`, if it is there.
    pub(super) fn remove(&self, path: &str) -> io::Result<()> {
        let Some((dir, name)) = self.parent(path)? else { return Ok(()) };
        absent_is_fine(unlinkat(&dir, name, AtFlags::empty()))
    }

    /// Removes the folder at `path` if it is an empty one, and says whether there is none now.
    pub(super) fn remove_empty(&self, path: &str) -> io::Result<bool> {
        let Some((dir, name)) = self.parent(path)? else { return Ok(true) };
        match unlinkat(&dir, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(true),
            Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Puts a file in place at once: readers see the old one or the new one. `mode` are the permission bits; without it,
    /// the usual ones.
    pub(super) fn put_file(&self, path: &str, bytes: &[u8], new: &NewFile<'_>) -> io::Result<()> {
        let Some((dir, name)) = self.parent(path)? else { return Err(Errno::NOTDIR.into()) };
        let temp = temp_name(path);
        let usual = Mode::from_bits_truncate(if new.executable { 0o777 } else { 0o666 });
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(openat(&dir, &temp, flags, usual)?);
        let written = (|| {
            file.write_all(bytes)?;
            let owner = match new.replaced {
                Some(old) => old.metadata.clone(),
                None => File::from(dir.try_clone()?).metadata()?,
            };
            give_to_owner_of(&file, &owner)?;
            if let Some(mode) = new.mode {
                fchmod(&file, Mode::from_bits_truncate(mode))?;
            }
            file.sync_all()?;
            move_in(&dir, &temp, name, new.must_be_absent)
        })();
        if written.is_err() {
            // The first error is the one to tell; what stays is found by the next try.
            let _ = unlinkat(&dir, &temp, AtFlags::empty());
        }
        written
    }

    /// Puts a link in place at once.
    pub(super) fn put_link(&self, path: &str, target: &[u8], must_be_absent: bool) -> io::Result<()> {
        let Some((dir, name)) = self.parent(path)? else { return Err(Errno::NOTDIR.into()) };
        let temp = temp_name(path);
        symlinkat(target, &dir, &temp)?;
        let moved = move_in(&dir, &temp, name, must_be_absent);
        if moved.is_err() {
            // As above.
            let _ = unlinkat(&dir, &temp, AtFlags::empty());
        }
        moved
    }

    /// Removes what an interrupted write of `path` left behind.
    pub(super) fn sweep(&self, path: &str) -> io::Result<()> {
        let Some((dir, _)) = self.parent(path)? else { return Ok(()) };
        match unlinkat(&dir, temp_name(path), AtFlags::empty()) {
            // No write makes a folder. It is only in the way if the path must be written, and then that says so.
            Err(Errno::ISDIR) => Ok(()),
            other => absent_is_fine(other),
        }
    }

    /// Makes what happened in a folder below survive a power cut.
    pub(super) fn sync(&self, path: &str) -> io::Result<()> {
        match self.directory(path)? {
            Some(dir) => Ok(fsync(dir)?),
            None => Ok(()),
        }
    }
}

/// How a file is put in place.
#[derive(Debug)]
pub(super) struct NewFile<'a> {
    pub(super) executable: bool,
    pub(super) mode: Option<u32>,
    /// The file it replaces, whose owner it gets.
    pub(super) replaced: Option<&'a CurrentFile>,
    /// Nothing may be there.
    pub(super) must_be_absent: bool,
}

fn move_in(dir: &OwnedFd, temp: &str, name: &str, must_be_absent: bool) -> io::Result<()> {
    if must_be_absent {
        match renameat_with(dir, temp, dir, name, RenameFlags::NOREPLACE) {
            // Not every file system can; the look just before has to do then.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
            other => return Ok(other?),
        }
    }
    Ok(renameat(dir, temp, dir, name)?)
}

/// What root writes into somebody's folder belongs to that somebody.
fn give_to_owner_of(made: impl AsFd, owner: &Metadata) -> io::Result<()> {
    if rustix::process::geteuid().is_root() {
        let (uid, gid) = (rustix::fs::Uid::from_raw(owner.uid()), rustix::fs::Gid::from_raw(owner.gid()));
        fchown(made, Some(uid), Some(gid))?;
    }
    Ok(())
}

fn absent_is_fine(result: Result<(), Errno>) -> io::Result<()> {
    match result {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// The same name for the same path, so that the next try finds what a crash left.
pub(super) fn temp_name(path: &str) -> String {
    use std::fmt::Write as _;
    let digest = Sha256::digest(path.as_bytes());
    digest.iter().take(8).fold(TEMP_PREFIX.to_owned(), |mut name, byte| {
        // Writing to a string cannot fail.
        let _ = write!(name, "{byte:02x}");
        name
    })
}
