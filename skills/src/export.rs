//! Copying a skill to where other tools look for it, and taking one away.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    catalog::Skill,
    files,
    finding::{Class, SkillError},
    lock::Lock,
    pack,
    tree::Contents,
};

/// What an export did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// The skill's folder there.
    pub folder: PathBuf,
    /// The digest that is there now.
    pub digest: String,
    /// What became of the folder.
    pub deed: Deed,
}

/// What became of a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// It was not there before.
    Written,
    /// It held something else.
    Replaced,
    /// It was the same already.
    Unchanged,
}

/// Copies a skill below `to`. What is there and not what this skill was when `lock` noted an earlier export is replaced
/// only with `replace`. The export is noted in `lock` if the skill is locked; the files themselves are not touched.
///
/// # Errors
/// It cannot be read or written, or something else is there.
pub fn export(skill: &Skill, to: &Path, lock: &mut Lock, replace: bool) -> Result<Exported, SkillError> {
    let contents = pack::read(&skill.folder)?;
    let place = fs::canonicalize(to).unwrap_or_else(|_| to.to_owned()).display().to_string();
    let entry = lock.skills.get_mut(&skill.name);
    let noted = entry.as_ref().and_then(|entry| entry.exports.get(&place)).cloned();
    let may_replace = |there: &Contents| replace || noted.as_deref() == Some(there.digest().as_str());
    let (folder, deed) = write(&contents, to, &skill.name, may_replace)?;
    let place = fs::canonicalize(to).unwrap_or_else(|_| to.to_owned()).display().to_string();
    if let Some(entry) = entry {
        entry.exports.insert(place, contents.digest());
    }
    Ok(Exported { folder, digest: contents.digest(), deed })
}

/// Writes a skill below `into`, over what is there only if `may_replace` says so.
pub(crate) fn write(
    contents: &Contents,
    into: &Path,
    name: &str,
    may_replace: impl FnOnce(&Contents) -> bool,
) -> Result<(PathBuf, Deed), SkillError> {
    let folder = files::target(into, name)?;
    let Ok(about) = fs::symlink_metadata(&folder) else {
        return Ok((files::put(contents, into, name)?, Deed::Written));
    };
    let refused = |why: String| {
        SkillError::new(Class::Refused, "exists", format!("{} {why}", folder.display()))
            .hint("look at the difference, then say `--replace`")
    };
    if !about.is_dir() {
        return Err(refused("is there and is no folder".to_owned()));
    }
    // What cannot be read is not what we would write.
    let there = pack::read(&folder).unwrap_or_default();
    if there.digest() == contents.digest() && there.left_out.is_empty() {
        return Ok((folder, Deed::Unchanged));
    }
    if !may_replace(&there) {
        let differ = difference(&there, contents);
        return Err(refused(format!("is there and differs: {}", differ.join(", "))));
    }
    Ok((files::put(contents, into, name)?, Deed::Replaced))
}

/// Paths that differ, a few of them.
fn difference(there: &Contents, here: &Contents) -> Vec<String> {
    const SHOWN: usize = 8;
    let has = |side: &Contents, path: &str, sha: &str| {
        side.files.iter().any(|(file, _)| file.path == path && file.sha256 == sha)
    };
    let mut paths: Vec<String> = Vec::new();
    for (one, other) in [(there, here), (here, there)] {
        let differs = one.files.iter().filter(|(file, _)| !has(other, &file.path, &file.sha256));
        paths.extend(differs.map(|(file, _)| file.path.clone()));
    }
    paths.sort();
    paths.dedup();
    let more = paths.len().saturating_sub(SHOWN);
    paths.truncate(SHOWN);
    if more > 0 {
        paths.push(format!("and {more} more"));
    }
    paths
}

/// Removes a skill's folder below `from` and its entry. One that is not as it was admitted goes only with `force`.
///
/// # Errors
/// It is not there, was changed, or cannot be removed.
pub fn remove(name: &str, from: &Path, lock: &mut Lock, force: bool) -> Result<PathBuf, SkillError> {
    let folder = files::target(from, name)?;
    let is_there = fs::symlink_metadata(&folder).is_ok_and(|about| about.is_dir());
    if !is_there && lock.skills.remove(name).is_some() {
        return Ok(folder);
    }
    if !is_there {
        let message = format!("there is no skill {name:?} in {}", from.display());
        return Err(SkillError::new(Class::NotFound, "missing_skill", message).hint("only added skills can be removed"));
    }
    if !force {
        let now = pack::read(&folder)?.digest();
        let why = match lock.skills.get(name) {
            Some(locked) if locked.digest == now => None,
            Some(_) => Some("was changed since it was admitted"),
            None => Some("was never admitted: it may be yours alone"),
        };
        if let Some(why) = why {
            let message = format!("{} {why}", folder.display());
            return Err(SkillError::new(Class::Refused, "changed", message).hint("say `--force` to lose it"));
        }
    }
    fs::remove_dir_all(&folder).map_err(SkillError::io(format!("remove {}", folder.display())))?;
    lock.skills.remove(name);
    Ok(folder)
}
