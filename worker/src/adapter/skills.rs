//! Puts skills where programs find them, and keeps them as they came.

use std::{
    collections::HashSet,
    ffi::OsString,
    fs::{self, Permissions},
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::{Component, Path},
};

use tar::EntryType;
use walkdir::WalkDir;

use super::unpack::{UnpackError, clean, for_each, write_file};
use crate::port::{Machine, MachineError};

/// All skills of one stream together, in bytes and in files. Hosts send less; a guest's `/run` is memory.
const MAX_BYTES: u64 = 64 * 1024 * 1024;
const MAX_FILES: usize = 20_000;

/// Unpacks `tar` (or several, one behind the other) below [`crate::port::Layout::skills`], one folder per skill; a skill of the same
/// name is replaced. Read-only afterwards. An error leaves what is there already read-only, too. Blocks.
pub(crate) fn unpack(machine: &dyn Machine, tar: impl Read) -> Result<(), UnpackError> {
    let root = &machine.layout().skills;
    fs::create_dir_all(root)?;
    let protected = machine.read_only(root, false).map_err(failed)?;
    if !protected {
        set_writable(root, true)?;
    }
    let unpacked = fill(root, tar);
    if !protected {
        set_writable(root, false)?;
    }
    machine.read_only(root, true).map_err(failed)?;
    unpacked
}

fn failed(error: MachineError) -> UnpackError {
    UnpackError::bad(error.to_string())
}

fn fill(root: &Path, tar: impl Read) -> Result<(), UnpackError> {
    let mut names: HashSet<OsString> = HashSet::new();
    let (mut bytes, mut files) = (0, 0);
    for_each(tar, true, |entry| {
        let path = clean(&entry.path_bytes())?;
        let mut parts = path.components();
        let Some(Component::Normal(name)) = parts.next() else { return Ok(()) };
        if names.insert(name.to_os_string()) {
            match fs::remove_dir_all(root.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                _ => fs::create_dir(root.join(name))?,
            }
        }
        let at = root.join(&path);
        match entry.header().entry_type() {
            // Only regular files and folders are ever made below a skill's folder, so no path leads through a link.
            EntryType::Directory => fs::create_dir_all(&at)?,
            EntryType::Regular | EntryType::Continuous if parts.next().is_some() => {
                files += 1;
                bytes += entry.header().size()?;
                if bytes > MAX_BYTES || files > MAX_FILES {
                    return Err(UnpackError::bad(format!(
                        "more than {MAX_BYTES} bytes or {MAX_FILES} files of skills"
                    )));
                }
                fs::create_dir_all(at.parent().unwrap_or(root))?;
                let mode = if entry.header().mode()? & 0o111 == 0 { 0o644 } else { 0o755 };
                write_file(&at, mode, entry)?;
            }
            EntryType::Regular | EntryType::Continuous => {
                return Err(UnpackError::bad(format!("{}: a file outside a skill's folder", path.display())));
            }
            other => return Err(UnpackError::bad(format!("{}: an entry of kind {other:?}", path.display()))),
        }
        Ok(())
    })
}

fn set_writable(root: &Path, writable: bool) -> io::Result<()> {
    for entry in WalkDir::new(root) {
        let entry = entry?;
        let mode = entry.metadata()?.permissions().mode() & 0o777;
        let mode = if writable { mode | 0o200 } else { mode & !0o222 };
        fs::set_permissions(entry.path(), Permissions::from_mode(mode))?;
    }
    Ok(())
}
