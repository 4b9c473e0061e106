//! What an apply has to remember of the folder beyond its content, so that the undo is exact: permission bits, and which
//! folders were there.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    path::PathBuf,
};

use serde::{Deserialize, Serialize};

use super::{
    diff::TreeChange,
    error::ApplyError,
    folder::{Current, Folder},
    git::Git,
    path::parents,
};

/// The folder just before an apply.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// Permission bits of the files it touches.
    pub(super) files: BTreeMap<String, u32>,
    /// Permission bits of the folders above what it touches.
    pub(super) dirs: BTreeMap<String, u32>,
    /// The apply was taken back: the folder is as it was. The same apply may begin anew.
    #[serde(default)]
    pub(super) taken_back: bool,
}

impl Record {
    /// Looks at the folder.
    pub(super) fn take(folder: &Folder, changes: &[TreeChange]) -> Result<Self, ApplyError> {
        let mut record = Self::default();
        for TreeChange { path, .. } in changes {
            let error = |source| ApplyError::io("look at", path, source);
            if let Current::File(file) = folder.look(path).map_err(error)? {
                record.files.insert(path.clone(), file.mode());
            }
            for dir in parents(path) {
                if record.dirs.contains_key(dir) {
                    break;
                }
                if let Some(mode) = folder.directory_mode(dir).map_err(error)? {
                    record.dirs.insert(dir.to_owned(), mode);
                }
            }
        }
        Ok(record)
    }

    /// Reads the record of an apply, if there is one.
    pub(super) fn load(git: &Git, before: &str, after: &str) -> Result<Option<Self>, ApplyError> {
        let path = file(git, before, after);
        let error = |source| ApplyError::io("read", &path.display().to_string(), source);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|source| error(source.into())),
            Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(error(source)),
        }
    }

    /// Removes the record of an apply that wrote nothing.
    pub(super) fn remove(git: &Git, before: &str, after: &str) -> Result<(), ApplyError> {
        let path = file(git, before, after);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(ApplyError::io("remove", &path.display().to_string(), source))
            }
            _ => Ok(()),
        }
    }

    /// Writes the record so that it survives a power cut: it must be there before the folder is touched.
    pub(super) fn save(&self, git: &Git, before: &str, after: &str) -> Result<(), ApplyError> {
        let path = file(git, before, after);
        let error = |source| ApplyError::io("write", &path.display().to_string(), source);
        let dir = path.parent().unwrap_or_else(|| git.dir());
        fs::create_dir_all(dir).map_err(error)?;
        let mut temp = tempfile::NamedTempFile::new_in(dir).map_err(error)?;
        temp.write_all(&serde_json::to_vec(self).map_err(|source| error(source.into()))?).map_err(error)?;
        temp.as_file().sync_all().map_err(error)?;
        temp.persist(&path).map_err(|failed| error(failed.error))?;
        fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(error)
    }
}

fn file(git: &Git, before: &str, after: &str) -> PathBuf {
    git.dir().join("baton-applies").join(format!("{before}-{after}.json"))
}
