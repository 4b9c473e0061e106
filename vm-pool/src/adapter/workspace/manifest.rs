//! Reading a guest's tar of changes for the first time: nothing is written, every entry is judged.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read,
};

use bus_schemas::v1::guest::DELETIONS_ENTRY;
use tar::{Archive, Entry, EntryType};

use super::{
    WorkspaceError,
    listing::{Mode, TreeEntry},
    path::{check, check_target, shown},
};

/// The longest list of deletions, in bytes: a guest must not fill the host's memory with it.
const MAX_DELETIONS_BYTES: u64 = 32 * 1024 * 1024;
/// The most entries: beyond this the host's memory would be the guest's to fill.
const MAX_ENTRIES: usize = 500_000;

/// What a path becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Planned {
    /// A file whose content is the tar's entry number `content`.
    File {
        /// It can be executed.
        executable: bool,
        /// Which entry of the tar holds the bytes.
        content: usize,
    },
    /// A symbolic link to a checked target.
    Symlink {
        /// The target.
        target: String,
    },
    /// A folder. Git does not keep empty ones; it counts only as the end of what was there before.
    Folder,
}

/// What a guest's changes come to.
#[derive(Debug, Default)]
pub(super) struct Manifest {
    /// Paths that go, with everything below.
    pub deleted: BTreeSet<String>,
    /// What is written.
    pub planned: BTreeMap<String, Planned>,
}

impl Manifest {
    /// Reads and judges a tar.
    ///
    /// # Errors
    /// [`WorkspaceError::Unsafe`] naming the path, [`WorkspaceError::TooLarge`], or [`WorkspaceError::BadTar`].
    pub(super) fn read(tar: impl Read, limit_bytes: u64) -> Result<Self, WorkspaceError> {
        let mut manifest = Self::default();
        let mut total: u64 = 0;
        let mut archive = Archive::new(tar);
        for (number, entry) in archive.entries().map_err(bad_tar)?.enumerate() {
            let mut entry = entry.map_err(bad_tar)?;
            let raw = entry.path_bytes().into_owned();
            if number == 0 && raw == DELETIONS_ENTRY.as_bytes() {
                manifest.deleted = deletions(&mut entry)?;
                continue;
            }
            total = total.saturating_add(entry.size());
            if total > limit_bytes {
                return Err(WorkspaceError::TooLarge { limit_bytes });
            }
            if manifest.planned.len() >= MAX_ENTRIES {
                return Err(unsafe_path(&raw, &format!("is one of more than {MAX_ENTRIES} entries")));
            }
            manifest.add(number, &raw, &entry)?;
        }
        manifest.check_nesting()?;
        Ok(manifest)
    }

    fn add(&mut self, number: usize, raw: &[u8], entry: &Entry<'_, impl Read>) -> Result<(), WorkspaceError> {
        let kind = entry.header().entry_type();
        let trimmed = if kind == EntryType::Directory { raw.strip_suffix(b"/").unwrap_or(raw) } else { raw };
        let path = check(trimmed).map_err(|reason| unsafe_path(raw, reason))?;
        let target = entry.link_name_bytes().map(std::borrow::Cow::into_owned).unwrap_or_default();
        let planned = match kind {
            EntryType::Regular => {
                let mode = entry.header().mode().map_err(bad_tar)?;
                Planned::File { executable: mode & 0o100 != 0, content: number }
            }
            EntryType::Directory => Planned::Folder,
            EntryType::Symlink => {
                check_target(path, &target).map_err(|reason| unsafe_path(raw, reason))?;
                Planned::Symlink { target: String::from_utf8_lossy(&target).into_owned() }
            }
            // A second name of a file that came earlier in the same tar: git keeps two files of equal content.
            EntryType::Link => match std::str::from_utf8(&target).ok().and_then(|name| self.planned.get(name)) {
                Some(file @ Planned::File { .. }) => file.clone(),
                _ => return Err(unsafe_path(raw, "is a hard link to something that is not among the changes")),
            },
            EntryType::Char | EntryType::Block => return Err(unsafe_path(raw, "is a device")),
            EntryType::Fifo => return Err(unsafe_path(raw, "is a pipe")),
            _ => return Err(unsafe_path(raw, "is neither file, folder nor link")),
        };
        let is_folder = planned == Planned::Folder;
        match self.planned.insert(path.to_owned(), planned) {
            None => Ok(()),
            Some(Planned::Folder) if is_folder => Ok(()),
            Some(_) => Err(unsafe_path(raw, "is listed twice")),
        }
    }

    /// Nothing may lie below a file or a link of the same tar.
    fn check_nesting(&self) -> Result<(), WorkspaceError> {
        for path in self.planned.keys() {
            for above in ancestors(path) {
                match self.planned.get(above) {
                    Some(Planned::Symlink { .. }) => {
                        return Err(unsafe_path(path.as_bytes(), "goes through a symbolic link"));
                    }
                    Some(Planned::File { .. }) => return Err(unsafe_path(path.as_bytes(), "lies below a file")),
                    Some(Planned::Folder) | None => {}
                }
            }
        }
        Ok(())
    }

    /// Adds what goes without being listed (a file that became a folder), and refuses what would go through a link of
    /// the base that was not replaced.
    ///
    /// # Errors
    /// [`WorkspaceError::Unsafe`].
    pub(super) fn settle(&mut self, base: &[TreeEntry]) -> Result<(), WorkspaceError> {
        let mut replaced = Vec::new();
        let leaves: BTreeMap<&[u8], Mode> = base.iter().map(|entry| (entry.path.as_slice(), entry.mode)).collect();
        for (path, planned) in &self.planned {
            let own = (*planned == Planned::Folder).then_some(path.as_str());
            for above in ancestors(path).chain(own) {
                let Some(mode) = leaves.get(above.as_bytes()) else { continue };
                let declared = self.planned.contains_key(above) || self.is_deleted(above);
                if *mode == Mode::Symlink && !declared {
                    return Err(unsafe_path(path.as_bytes(), "goes through a symbolic link of the base"));
                }
                if *mode != Mode::Submodule || own != Some(above) {
                    replaced.push(above.to_owned());
                }
            }
        }
        self.deleted.extend(replaced);
        Ok(())
    }

    fn is_deleted(&self, path: &str) -> bool {
        self.deleted.contains(path) || ancestors(path).any(|above| self.deleted.contains(above))
    }
}

fn deletions(entry: &mut Entry<'_, impl Read>) -> Result<BTreeSet<String>, WorkspaceError> {
    if entry.size() > MAX_DELETIONS_BYTES {
        return Err(WorkspaceError::TooLarge { limit_bytes: MAX_DELETIONS_BYTES });
    }
    let mut text = Vec::new();
    entry.read_to_end(&mut text).map_err(bad_tar)?;
    let list: Vec<String> = serde_json::from_slice(&text)
        .map_err(|e| WorkspaceError::BadTar { detail: format!("list of deletions: {e}") })?;
    for path in &list {
        check(path.as_bytes()).map_err(|reason| unsafe_path(path.as_bytes(), reason))?;
    }
    Ok(list.into_iter().collect())
}

/// The folders above a path, outermost first.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

pub(super) fn unsafe_path(path: &[u8], reason: &str) -> WorkspaceError {
    WorkspaceError::Unsafe { path: shown(path), reason: reason.to_owned() }
}

#[expect(clippy::needless_pass_by_value, reason = "used as map_err(bad_tar)")]
pub(super) fn bad_tar(e: std::io::Error) -> WorkspaceError {
    WorkspaceError::BadTar { detail: e.to_string() }
}
