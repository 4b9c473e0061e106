//! Strict checks after the standard: everything there is to mend, by file and line.

mod body;
mod head;

use std::{
    fs::{self, File},
    io::Read as _,
    path::Path,
};

use crate::{
    finding::{self, Finding, Severity},
    frontmatter::{self, Frontmatter, FrontmatterError},
    load::MAX_SKILL_BYTES,
    tree::{self, Listing, TreeError},
};

/// The file a skill is told by.
pub(crate) const SKILL_MD: &str = "SKILL.md";

/// Checks a skill's folder; worst findings first, none if it is as the standard wants it.
#[must_use]
pub fn validate(folder: &Path) -> Vec<Finding> {
    let name = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let name = name.file_name().map(|name| name.to_string_lossy().into_owned());
    validate_as(folder, name.as_deref())
}

/// As [`validate`], for a skill whose folder will get another name.
pub(crate) fn validate_as(folder: &Path, folder_name: Option<&str>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let listing = list(folder, &mut findings);
    if let Some(text) = read(folder, &mut findings) {
        match parse(&text) {
            Ok(head) => head::check(&head, folder_name, &mut findings),
            Err(error) => findings.push(error),
        }
        if let Some((head, body)) = frontmatter::split(&text) {
            // The two lines around the head.
            let first = u32::try_from(head.lines().count()).unwrap_or(u32::MAX).saturating_add(3);
            body::check(body, first, listing.as_ref(), &mut findings);
        }
    }
    finding::sort(&mut findings);
    findings
}

fn problem(code: &'static str, place: (&str, u32), message: impl Into<String>, hint: Option<&str>) -> Finding {
    Finding::new(Severity::Error, code, place, message, hint)
}

fn list(folder: &Path, findings: &mut Vec<Finding>) -> Option<Listing> {
    match tree::list(folder) {
        Ok(listing) => {
            for path in &listing.left_out {
                let message = "is a link or no plain file; no tool reads it";
                findings.push(problem("link", (path, 0), message, Some("put the file itself here")));
            }
            // The standard's own folder of test data is not part of what an agent reads.
            let deep =
                listing.files.iter().filter(|(path, _)| path.matches('/').count() > 1 && !path.starts_with("evals/"));
            for (path, _) in deep.take(8) {
                let message = "is more than one folder deep; agents may not find it";
                findings.push(Finding::new(Severity::Warning, "deep_file", (path, 0), message, None));
            }
            Some(listing)
        }
        Err(error) => {
            let code = match &error {
                TreeError::Io { .. } => "not_readable",
                TreeError::TooManyFiles => "too_many_files",
                TreeError::TooLarge { .. } => "too_large",
                TreeError::TooDeep => "too_deep",
                TreeError::BadName { .. } => "bad_file_name",
            };
            findings.push(problem(code, (".", 0), error.to_string(), None));
            None
        }
    }
}

/// The text of `SKILL.md`, if it is one.
fn read(folder: &Path, findings: &mut Vec<Finding>) -> Option<String> {
    let path = folder.join(SKILL_MD);
    let here = (SKILL_MD, 0);
    let about = match fs::symlink_metadata(&path) {
        Ok(about) => about,
        Err(error) => {
            let hint = "a skill is a folder with a `SKILL.md`";
            findings.push(problem("no_skill_md", here, format!("cannot be read: {error}"), Some(hint)));
            return None;
        }
    };
    if !about.is_file() {
        findings.push(problem("link", here, "is a link or no plain file", Some("put the file itself here")));
        return None;
    }
    if about.len() > MAX_SKILL_BYTES {
        let message = format!("has {} bytes; {MAX_SKILL_BYTES} are the most", about.len());
        findings.push(problem("too_large", here, message, Some("move what is not always needed into `references/`")));
        return None;
    }
    let mut bytes = Vec::new();
    let read = File::open(&path).and_then(|file| file.take(MAX_SKILL_BYTES).read_to_end(&mut bytes));
    if let Err(error) = read {
        findings.push(problem("not_readable", here, format!("cannot be read: {error}"), None));
        return None;
    }
    match String::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) => {
            let good = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
            let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
            let line = u32::try_from(line).unwrap_or(u32::MAX);
            findings.push(problem("not_utf8", (SKILL_MD, line), "is not UTF-8", Some("save it as UTF-8")));
            None
        }
    }
}

fn parse(text: &str) -> Result<Frontmatter, Finding> {
    Frontmatter::parse(text).map_err(|error| {
        let (code, line, hint) = match &error {
            FrontmatterError::Missing => {
                ("no_head", 1, "start with `---`, `name: …`, `description: …` and `---`, a line each")
            }
            FrontmatterError::TooLong => ("long_head", 1, "move text below the second `---`"),
            FrontmatterError::BadYaml { line, .. } => {
                ("bad_yaml", u32::try_from(*line).unwrap_or(u32::MAX), "quote texts that have a `:` or a `#` in them")
            }
            FrontmatterError::NotMapping => ("no_mapping", 1, "write `key: value` lines"),
        };
        problem(code, (SKILL_MD, line), error.to_string(), Some(hint))
    })
}

#[cfg(test)]
#[path = "validate_tests.rs"]
mod tests;
