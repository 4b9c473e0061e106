//! A skill as one tar, the same bytes wherever and whenever it is made.

use std::path::Path;

use tar::{Builder, EntryType, Header};

use crate::{
    catalog::Skill,
    finding::{Class, SkillError},
    tree::{self, Contents, SkillFile},
};

/// A skill's files, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// The skill's name, which is the folder in the tar.
    pub name: String,
    /// The tar: a folder of the skill's name, files in path order, mode 0644 or 0755, owner 0, time 0.
    pub tar: Vec<u8>,
    /// SHA-256 of the tar, lower-case hex.
    pub sha256: String,
    /// SHA-256 over `<path>\0<sha256>\n` of every file, in path order, lower-case hex.
    pub digest: String,
    /// The files, in path order.
    pub files: Vec<SkillFile>,
}

/// Reads a skill and packs it.
///
/// # Errors
/// It cannot be read, or is too large.
pub fn pack(skill: &Skill) -> Result<Packed, SkillError> {
    pack_contents(&skill.name, &read(&skill.folder)?)
}

pub(crate) fn read(folder: &Path) -> Result<Contents, SkillError> {
    tree::read(folder).map_err(|error| {
        SkillError::new(Class::Invalid, "unusable_files", format!("skill {}: {error}", folder.display()))
    })
}

pub(crate) fn pack_contents(name: &str, contents: &Contents) -> Result<Packed, SkillError> {
    let failed = || SkillError::io(format!("pack skill {name}"));
    let mut tar = Builder::new(Vec::new());
    append(&mut tar, &format!("{name}/"), EntryType::Directory, 0o755, &[]).map_err(failed())?;
    let mut made: Vec<String> = Vec::new();
    for (file, content) in &contents.files {
        for (at, _) in file.path.match_indices('/') {
            let folder = file.path.get(..at).unwrap_or_default();
            if !made.iter().any(|made| made == folder) {
                append(&mut tar, &format!("{name}/{folder}/"), EntryType::Directory, 0o755, &[]).map_err(failed())?;
                made.push(folder.to_owned());
            }
        }
        let mode = if file.executable { 0o755 } else { 0o644 };
        append(&mut tar, &format!("{name}/{}", file.path), EntryType::Regular, mode, content).map_err(failed())?;
    }
    let tar = tar.into_inner().map_err(failed())?;
    let files = contents.files.iter().map(|(file, _)| file.clone()).collect();
    Ok(Packed { name: name.to_owned(), sha256: tree::sha256(&tar), tar, digest: contents.digest(), files })
}

fn append(
    tar: &mut Builder<Vec<u8>>,
    path: &str,
    kind: EntryType,
    mode: u32,
    content: &[u8],
) -> Result<(), std::io::Error> {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(content.len() as u64);
    tar.append_data(&mut header, path, content)
}

#[cfg(test)]
#[path = "pack_tests.rs"]
mod tests;
