//! The body: its size, and the files it names.

use std::sync::LazyLock;

use regex::Regex;

use super::{SKILL_MD, problem};
use crate::{
    finding::{Finding, Severity},
    tree::Listing,
};

/// The standard's advice: a body is read whole when a skill is used.
const MAX_LINES: usize = 500;
/// About 5000 tokens.
const MAX_CHARS: usize = 20_000;

#[expect(clippy::expect_used, reason = "a constant, compiled by a test")]
static LINK: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"\]\(\s*<?([^()<>\s]+)>?(?:\s+["'][^"']*["'])?\s*\)"#).expect("a sound pattern"));
#[expect(clippy::expect_used, reason = "a constant, compiled by a test")]
static MENTION: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?:^|[\s`(\x22'=/])((?:scripts|references|assets)/[A-Za-z0-9_./-]*[A-Za-z0-9_])")
        .expect("a sound pattern")
});

pub(super) fn check(body: &str, first: u32, listing: Option<&Listing>, findings: &mut Vec<Finding>) {
    let advice =
        |code, message: String, hint| Finding::new(Severity::Warning, code, (SKILL_MD, first), message, Some(hint));
    if body.trim().is_empty() {
        findings.push(advice("empty_body", "there are no instructions".to_owned(), "say below the head what to do"));
    }
    let lines = body.lines().count();
    let chars = body.chars().count();
    if lines > MAX_LINES || chars > MAX_CHARS {
        let message =
            format!("the body has {lines} lines and {chars} characters; {MAX_LINES} and {MAX_CHARS} are advised");
        findings.push(advice("long_body", message, "move what is not always needed into `references/`"));
    }
    let Some(listing) = listing else { return };
    let mut is_code = false;
    for (line, text) in (first..).zip(body.lines()) {
        if text.trim_start().starts_with("```") || text.trim_start().starts_with("~~~") {
            is_code = !is_code;
            continue;
        }
        if !is_code {
            let plain = without_code(text);
            let links = LINK.captures_iter(&plain).filter_map(|found| found.get(1));
            findings.extend(links.filter_map(|link| linked(link.as_str(), line, listing)));
        }
        for found in MENTION.captures_iter(text).filter_map(|found| found.get(1)) {
            let is_told = findings.iter().any(|told| told.line == line && told.message.contains(found.as_str()));
            if !is_told && !exists(found.as_str(), listing) {
                let message = format!("names `{}`, which is not in the skill", found.as_str());
                let hint = Some("add the file, or mend its name");
                findings.push(Finding::new(Severity::Warning, "missing_file", (SKILL_MD, line), message, hint));
            }
        }
    }
}

/// What is wrong with a link's target, if it is one to a file.
fn linked(target: &str, line: u32, listing: &Listing) -> Option<Finding> {
    let path = target.split(['#', '?']).next().unwrap_or_default();
    let has_scheme = path.split_once(':').is_some_and(|(scheme, _)| scheme.chars().all(|c| c.is_ascii_alphanumeric()));
    if path.is_empty() || has_scheme {
        return None;
    }
    let shown: String = path.chars().filter(|c| !c.is_control()).take(120).collect();
    let Some(inside) = normal(path) else {
        let message = format!("links to `{shown}`, which is outside the skill");
        return Some(problem("link_outside", (SKILL_MD, line), message, Some("put the file into the skill")));
    };
    let message = format!("links to `{shown}`, which is not in the skill");
    let hint = Some("add the file, or mend its name");
    (!exists(&inside, listing)).then(|| problem("missing_file", (SKILL_MD, line), message, hint))
}

/// The path without `.` and `..`, if it stays inside.
fn normal(path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    if path.starts_with('/') {
        return None;
    }
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/").replace("%20", " "))
}

fn exists(path: &str, listing: &Listing) -> bool {
    let path = path.trim_end_matches('/');
    let is_inside = |file: &str| file.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
    listing.files.iter().any(|(file, _)| file == path || is_inside(file)) || path.is_empty()
}

/// A line without what is between backticks.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join(" ")
}
