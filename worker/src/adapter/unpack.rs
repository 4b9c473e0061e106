//! Unpacks the tree that the host sends.

use std::{
    collections::HashSet,
    fs::{self, File, OpenOptions, Permissions},
    io::{self, BufReader, Read},
    os::unix::{
        ffi::OsStrExt,
        fs::{OpenOptionsExt, PermissionsExt, symlink},
    },
    path::{Component, Path, PathBuf},
};

use bus_schemas::v1::guest::RefusalCode;
use rustix::fs::{AtFlags, CWD, Gid, Uid};
use tar::{Archive, Entry, EntryType};
use walkdir::WalkDir;

use super::manifest::{self, Manifest};
use crate::port::{Layout, Machine, User, is_disk_full};

/// A tar ends in two empty blocks; without them it was cut.
const TRAILER_BYTES: u64 = 1024;
/// Read from the port at once, in bytes.
const READ_BYTES: usize = 128 * 1024;

/// A tree in its place.
#[derive(Debug)]
pub(crate) struct Unpacked {
    /// What it looked like.
    pub(crate) manifest: Manifest,
    /// Files and links.
    pub(crate) entries: u64,
    /// Bytes in files.
    pub(crate) bytes: u64,
}

/// Why a tree could not be unpacked.
#[derive(Debug, thiserror::Error)]
#[error("unpack the workspace: {detail}")]
pub(crate) struct UnpackError {
    pub(crate) code: RefusalCode,
    pub(crate) detail: String,
}

impl UnpackError {
    pub(super) fn bad(detail: impl Into<String>) -> Self {
        Self { code: RefusalCode::BadMessage, detail: detail.into() }
    }
}

impl From<io::Error> for UnpackError {
    fn from(error: io::Error) -> Self {
        let code = if is_disk_full(&error) { RefusalCode::DiskFull } else { RefusalCode::GuestError };
        Self { code, detail: error.to_string() }
    }
}

/// Prepares the machine and unpacks `tar` into its workspace. Blocks.
pub(crate) fn unpack(machine: &impl Machine, tar: impl Read) -> Result<Unpacked, UnpackError> {
    machine.prepare().map_err(|error| {
        let code = if error.disk_full() { RefusalCode::DiskFull } else { RefusalCode::GuestError };
        UnpackError { code, detail: error.to_string() }
    })?;
    let root = &machine.layout().workspace;
    let mut target = Target { root, folders: HashSet::new(), entries: 0, bytes: 0 };
    for_each(tar, false, |entry| target.place(entry))?;
    let (entries, bytes) = (target.entries, target.bytes);
    manifest::settle(root)?;
    Ok(Unpacked { manifest: Manifest::take(root)?, entries, bytes })
}

/// A tar's entry as [`for_each`] reads it.
pub(super) type TarEntry<'a, 'b, R> = Entry<'a, &'b mut BufReader<Trailed<R>>>;

/// Reads a tar to its end, which must be there. `several`: more tars may follow the first one. Blocks.
pub(super) fn for_each<R: Read>(
    tar: R,
    several: bool,
    mut place: impl FnMut(&mut TarEntry<'_, '_, R>) -> Result<(), UnpackError>,
) -> Result<(), UnpackError> {
    let mut reader = BufReader::with_capacity(READ_BYTES, Trailed { inner: tar, zeros: 0 });
    let mut archive = Archive::new(&mut reader);
    archive.set_ignore_zeros(several);
    for entry in archive.entries()? {
        place(&mut entry?)?;
    }
    // `tar` stops at the first empty block; what is left must be the rest of the end.
    io::copy(&mut reader, &mut io::sink())?;
    if reader.get_ref().zeros < TRAILER_BYTES {
        return Err(UnpackError::bad("the tar was cut"));
    }
    Ok(())
}

/// Makes [`Machine::user`] the owner of the tree and of its other folders, links themselves and not what they point to. Blocks.
pub(crate) fn give_away(machine: &impl Machine) -> io::Result<()> {
    let Some(User { uid, gid }) = machine.user() else { return Ok(()) };
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    let Layout { workspace, exchange, home, .. } = machine.layout();
    for root in [workspace, exchange, home] {
        for entry in WalkDir::new(root) {
            rustix::fs::chownat(CWD, entry?.path(), Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
        }
    }
    Ok(())
}

/// The folder that is filled. It starts empty, so every folder in it is either one made here or in the way.
struct Target<'a> {
    root: &'a Path,
    folders: HashSet<PathBuf>,
    entries: u64,
    bytes: u64,
}

impl Target<'_> {
    fn place(&mut self, entry: &mut Entry<'_, impl Read>) -> Result<(), UnpackError> {
        let path = clean(&entry.path_bytes())?;
        let kind = entry.header().entry_type();
        if kind == EntryType::Directory {
            self.folder(&path)?;
            if !path.as_os_str().is_empty() {
                let mode = entry.header().mode()? & 0o777 | 0o700;
                fs::set_permissions(self.root.join(&path), Permissions::from_mode(mode))?;
            }
            return Ok(());
        }
        if path.as_os_str().is_empty() {
            return Err(UnpackError::bad("a file without a name"));
        }
        self.folder(path.parent().unwrap_or_else(|| Path::new("")))?;
        let at = self.root.join(&path);
        match kind {
            EntryType::Regular | EntryType::Continuous => {
                let mode = entry.header().mode()? & 0o777;
                self.bytes += write_file(&at, mode, entry)?;
            }
            EntryType::Symlink => {
                let target = entry.link_name_bytes().ok_or_else(|| UnpackError::bad("a link without a target"))?;
                symlink(std::ffi::OsStr::from_bytes(&target), &at)?;
            }
            other => return Err(UnpackError::bad(format!("{}: an entry of kind {other:?}", path.display()))),
        }
        self.entries += 1;
        Ok(())
    }

    /// Makes a folder and those above it. `mkdir` fails where a link or a file is, so nothing is ever written through one.
    fn folder(&mut self, path: &Path) -> Result<(), UnpackError> {
        if path.as_os_str().is_empty() || self.folders.contains(path) {
            return Ok(());
        }
        self.folder(path.parent().unwrap_or_else(|| Path::new("")))?;
        let at = self.root.join(path);
        fs::create_dir(&at).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => UnpackError::bad(format!("{}: a file and a folder", path.display())),
            _ => error.into(),
        })?;
        self.folders.insert(path.to_path_buf());
        Ok(())
    }
}

pub(super) fn write_file(at: &Path, mode: u32, from: &mut impl Read) -> io::Result<u64> {
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(mode | 0o200).open(at)?;
    let bytes = io::copy(from, &mut file)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    Ok(bytes)
}

/// A path below the root: no `..`, not absolute, no zero byte. Empty for the root itself.
pub(super) fn clean(bytes: &[u8]) -> Result<PathBuf, UnpackError> {
    let raw = Path::new(std::ffi::OsStr::from_bytes(bytes));
    let mut path = PathBuf::new();
    for component in raw.components() {
        match component {
            Component::Normal(name) if !name.as_bytes().contains(&0) => path.push(name),
            Component::CurDir => {}
            _ => return Err(UnpackError::bad(format!("a path that leaves the workspace: {}", raw.display()))),
        }
    }
    Ok(path)
}

/// Counts the zeros that what was read ends in.
pub(super) struct Trailed<R> {
    inner: R,
    zeros: u64,
}

impl<R: Read> Read for Trailed<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buf)?;
        let zeros = buf[..count].iter().rev().take_while(|byte| **byte == 0).count();
        self.zeros = if zeros == count { self.zeros + zeros as u64 } else { zeros as u64 };
        Ok(count)
    }
}
