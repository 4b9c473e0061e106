//! Writing skills into folders: whole or not at all, never through a link.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use crate::{
    finding::{Class, SkillError},
    load::is_safe_name,
    tree::Contents,
};

pub(crate) fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

/// Writes a skill as `into/name`, in place of what is there. The folder is complete before it gets its name.
pub(crate) fn put(contents: &Contents, into: &Path, name: &str) -> Result<PathBuf, SkillError> {
    let folder = target(into, name)?;
    let failed = || SkillError::io(format!("write {}", folder.display()));
    fs::create_dir_all(into).map_err(failed())?;
    let room = tempfile::Builder::new().prefix(".adding-").tempdir_in(into).map_err(failed())?;
    let fresh = room.path().join("new");
    fs::create_dir(&fresh).map_err(failed())?;
    for (file, content) in &contents.files {
        let path = fresh.join(&file.path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed())?;
        }
        fs::write(&path, content).map_err(failed())?;
        set_mode(&path, if file.executable { 0o755 } else { 0o644 }).map_err(failed())?;
    }
    if fs::symlink_metadata(&folder).is_ok() {
        fs::rename(&folder, room.path().join("old")).map_err(failed())?;
    }
    if let Err(error) = fs::rename(&fresh, &folder) {
        // Gives back what was there.
        let _ = fs::rename(room.path().join("old"), &folder);
        return Err(failed()(error));
    }
    Ok(folder)
}

/// The folder of a skill, which must be where it says it is.
pub(crate) fn target(into: &Path, name: &str) -> Result<PathBuf, SkillError> {
    if !is_safe_name(name) {
        let message = format!("the name {name:?} cannot be a folder's: it would lead out of {}", into.display());
        return Err(SkillError::new(Class::Invalid, "name_escapes", message));
    }
    // `.agents` and `.agents/skills` come with a project and may be links to elsewhere.
    let parts = [into.parent().unwrap_or(into), into];
    for part in parts {
        if fs::symlink_metadata(part).is_ok_and(|about| about.is_symlink()) {
            let message = format!("{} is a link; nothing is written over it", part.display());
            return Err(SkillError::new(Class::Refused, "link", message).hint("name the folder itself"));
        }
    }
    Ok(into.join(name))
}
