//! Reading the head of a `SKILL.md`, leniently: what is merely untidy is a remark.

use std::{
    fs::{self, File},
    io::Read as _,
    path::Path,
};

use crate::frontmatter::{self, Frontmatter, FrontmatterError};

/// The largest `SKILL.md`: the standard recommends below 500 lines.
pub(crate) const MAX_SKILL_BYTES: u64 = 512 * 1024;
/// The longest name, in characters, that the standard allows.
pub(crate) const MAX_NAME_CHARS: usize = 64;
/// The longest description, in characters, that the standard allows.
pub(crate) const MAX_DESCRIPTION_CHARS: usize = 1024;
/// The longest `compatibility`, in characters, that the standard allows.
pub(crate) const MAX_COMPATIBILITY_CHARS: usize = 500;
/// The longest name, in bytes, that can be a folder's everywhere.
const MAX_NAME_BYTES: usize = 200;

/// What was read, and what was odd about it.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) head: Frontmatter,
    pub(crate) untidy: Vec<String>,
}

/// Reads no more of the file than its head.
pub(crate) fn load(folder: &Path) -> Result<Loaded, String> {
    let head = head(&folder.join("SKILL.md")).map_err(|error| format!("SKILL.md: {error}"))?;
    let description = head.description.clone().ok_or("SKILL.md: no description")?;
    let folder_name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name = head.name.clone().unwrap_or_else(|| folder_name.clone());
    if !is_safe_name(&name) {
        return Err(format!("the name {name:?} cannot be a folder's: it would lead out of the folder of skills"));
    }
    let untidy = untidiness(&head, &name, &folder_name);
    Ok(Loaded { name, description, head, untidy })
}

fn head(path: &Path) -> Result<Frontmatter, String> {
    let about = fs::symlink_metadata(path).map_err(|error| error.to_string())?;
    if about.is_symlink() {
        return Err("is a link, and links are not followed".to_owned());
    }
    if !about.is_file() {
        return Err("is no plain file".to_owned());
    }
    if about.len() > MAX_SKILL_BYTES {
        return Err(format!("longer than {} KiB", MAX_SKILL_BYTES / 1024));
    }
    let file = File::open(path).map_err(|error| error.to_string())?;
    // The head, its two lines, and a byte-order mark.
    let most = frontmatter::MAX_BYTES as u64 + 64;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    let is_cut = bytes.len() as u64 == most;
    let text = match std::str::from_utf8(&bytes) {
        Ok(text) => text,
        // Cut inside a character, or wrong below the head, which is not looked at here.
        Err(error) => {
            let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
            match std::str::from_utf8(good) {
                Ok(text) if frontmatter::split(text).is_some() || (is_cut && error.error_len().is_none()) => text,
                _ => return Err("is not UTF-8".to_owned()),
            }
        }
    };
    Frontmatter::parse(text).map_err(|error| match error {
        FrontmatterError::Missing if is_cut && text.starts_with("---") => FrontmatterError::TooLong.to_string(),
        error => error.to_string(),
    })
}

/// What can be a folder's name and nothing else: one plain part of a path.
pub(crate) fn is_safe_name(name: &str) -> bool {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ');
    !name.is_empty() && name.len() <= MAX_NAME_BYTES && !name.starts_with('.') && name.chars().all(is_plain)
}

/// What the standard calls a name, its length apart.
pub(crate) fn is_standard_name(name: &str) -> bool {
    let plain = |c: char| c == '-' || (c.is_alphanumeric() && !c.is_uppercase());
    !name.is_empty()
        && name.chars().all(plain)
        && !name.contains("--")
        && !name.starts_with('-')
        && !name.ends_with('-')
}

fn untidiness(head: &Frontmatter, name: &str, folder_name: &str) -> Vec<String> {
    let mut found = Vec::new();
    if head.name.is_none() {
        found.push(format!("SKILL.md gives no name; the folder's is taken: `{folder_name}`"));
    } else if name != folder_name {
        found.push(format!("the name `{name}` is not the folder's, `{folder_name}`"));
    }
    if name.chars().count() > MAX_NAME_CHARS {
        found.push(format!("the name is longer than {MAX_NAME_CHARS} characters"));
    }
    if !is_standard_name(name) {
        found.push(format!("the name `{name}` is not made of lower-case letters, digits and single hyphens"));
    }
    if head.description.as_ref().is_some_and(|text| text.chars().count() > MAX_DESCRIPTION_CHARS) {
        found.push(format!("the description is longer than {MAX_DESCRIPTION_CHARS} characters"));
    }
    if head.compatibility.as_ref().is_some_and(|text| text.chars().count() > MAX_COMPATIBILITY_CHARS) {
        found.push(format!("`compatibility` is longer than {MAX_COMPATIBILITY_CHARS} characters"));
    }
    if head.was_mended {
        found.push(
            "the head is not valid YAML (quote values that have a colon in them); it was read all the same".to_owned(),
        );
    }
    found
}
