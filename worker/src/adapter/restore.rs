//! Puts an earlier attempt's changes over the workspace.

use std::{
    fs, io,
    io::Read,
    os::unix::{ffi::OsStrExt, fs::symlink},
    path::{Component, Path},
};

use bus_schemas::v1::guest::DELETIONS_ENTRY;
use tar::EntryType;

use super::unpack::{TarEntry, UnpackError, clean, for_each, write_file};

/// The longest list of deletions, in bytes.
const DELETIONS_BYTES: u64 = 64 * 1024 * 1024;

/// Applies `tar`, as [`bus_schemas::v1::guest::DataHeader::Changes`] has it, to the tree at `root`: deletions first, then files.
/// Nothing is written through a link, nothing leaves the tree. An error leaves the tree half done. Blocks.
pub(crate) fn restore(root: &Path, tar: impl Read) -> Result<(), UnpackError> {
    let mut begun = false;
    for_each(tar, false, |entry| {
        if begun {
            return place(root, entry);
        }
        begun = true;
        delete_listed(root, entry)
    })?;
    if begun { Ok(()) } else { Err(UnpackError::bad("no list of deletions")) }
}

fn delete_listed<R: Read>(root: &Path, entry: &mut TarEntry<'_, '_, R>) -> Result<(), UnpackError> {
    if entry.path_bytes().as_ref() != DELETIONS_ENTRY.as_bytes() {
        return Err(UnpackError::bad("the list of deletions does not come first"));
    }
    let mut list = Vec::new();
    entry.take(DELETIONS_BYTES).read_to_end(&mut list)?;
    let paths: Vec<String> =
        serde_json::from_slice(&list).map_err(|error| UnpackError::bad(format!("the list of deletions: {error}")))?;
    for path in paths {
        let path = inside(path.as_bytes())?;
        if !through_folders(root, &path)? {
            continue;
        }
        match fs::remove_file(root.join(&path)) {
            Err(error) if is_gone(&error) => {}
            removed => removed?,
        }
        prune(root, &path);
    }
    Ok(())
}

fn place<R: Read>(root: &Path, entry: &mut TarEntry<'_, '_, R>) -> Result<(), UnpackError> {
    let path = inside(&entry.path_bytes())?;
    let at = root.join(&path);
    make_folder(root, path.parent().unwrap_or_else(|| Path::new("")))?;
    match fs::symlink_metadata(&at) {
        Ok(metadata) if metadata.is_dir() => remove_empty(&at)?,
        Ok(_) => fs::remove_file(&at)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    match entry.header().entry_type() {
        EntryType::Regular | EntryType::Continuous => {
            let mode = entry.header().mode()? & 0o777;
            write_file(&at, mode, entry)?;
        }
        EntryType::Symlink => {
            let target = entry.link_name_bytes().ok_or_else(|| UnpackError::bad("a link without a target"))?;
            symlink(std::ffi::OsStr::from_bytes(&target), &at)?;
        }
        other => return Err(UnpackError::bad(format!("{}: an entry of kind {other:?}", path.display()))),
    }
    Ok(())
}

/// A path of changes: below the root, and nothing of git's.
fn inside(bytes: &[u8]) -> Result<std::path::PathBuf, UnpackError> {
    let path = clean(bytes)?;
    if path.as_os_str().is_empty() {
        return Err(UnpackError::bad("a file without a name"));
    }
    if path.components().any(|part| part == Component::Normal(".git".as_ref())) {
        return Err(UnpackError::bad(format!("a path that changes do not have: {}", path.display())));
    }
    Ok(path)
}

/// Whether everything above `path` is a folder. If not, there is nothing to delete; a link on the way is not followed.
fn through_folders(root: &Path, path: &Path) -> Result<bool, UnpackError> {
    let mut at = root.to_path_buf();
    for part in path.parent().into_iter().flat_map(Path::components) {
        at.push(part);
        match fs::symlink_metadata(&at) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => return Ok(false),
            Err(error) if is_gone(&error) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

fn make_folder(root: &Path, folder: &Path) -> Result<(), UnpackError> {
    let mut at = root.to_path_buf();
    for part in folder.components() {
        at.push(part);
        match fs::symlink_metadata(&at) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => return Err(UnpackError::bad(format!("{}: a file and a folder", folder.display()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => fs::create_dir(&at)?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Folders are not kept for themselves: one that a deletion emptied goes, too.
fn prune(root: &Path, path: &Path) {
    for folder in path.ancestors().skip(1).take_while(|folder| !folder.as_os_str().is_empty()) {
        if fs::remove_dir(root.join(folder)).is_err() {
            return;
        }
    }
}

/// Removes folders that hold nothing but folders.
fn remove_empty(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_empty(&entry.path())?;
        }
    }
    fs::remove_dir(folder)
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory)
}
