//! The skills of a plan that no person admitted as they are, as part of a request.

use bus_schemas::v1::skill::{SkillReview, SkillStatus};

use crate::cli::{
    render::{count, findings},
    style::{Paint, Style, clean_line},
};

/// Paths of one skill that are shown.
const PATHS_SHOWN: usize = 12;

/// What a person must know of these skills to decide; empty if there are none.
pub(in crate::cli) fn reviews(style: Style, reviews: &[SkillReview]) -> String {
    if reviews.is_empty() {
        return String::new();
    }
    let mut text = format!("\n{}\n", style.paint(Paint::Yellow, "Skills that nobody admitted as they are:"));
    for review in reviews {
        let sha: String = review.sha256.chars().take(12).collect();
        let state = match review.status {
            SkillStatus::Changed => format!("{} changed since it was admitted", count(review.changed.len(), "file")),
            SkillStatus::NotLocked => "never admitted".to_owned(),
            SkillStatus::Locked | SkillStatus::Bundled => continue,
        };
        let name = style.paint(Paint::Bold, clean_line(&review.name));
        text.push_str(&format!("  {name} ({}, {sha}): {state}\n", clean_line(&review.source)));
        for path in review.changed.iter().take(PATHS_SHOWN) {
            let is_new = review.new_scripts.contains(path);
            let word = if is_new { style.paint(Paint::Red, " new program") } else { String::new() };
            text.push_str(&format!("    {}{word}\n", clean_line(path)));
        }
        if review.changed.len() > PATHS_SHOWN {
            text.push_str(&format!("    … and {} more\n", review.changed.len() - PATHS_SHOWN));
        }
        if review.findings.is_empty() {
            text.push_str(&format!("    {}\n", style.paint(Paint::Dim, "a scan found nothing")));
        }
        for line in findings(style, &review.findings).lines() {
            text.push_str(&format!("    {line}\n"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use bus_schemas::v1::api::{Finding, Severity};

    use super::*;

    #[test]
    fn a_person_sees_what_changed_and_what_is_odd() {
        let review = SkillReview {
            name: "tidy\u{1b}[2J".to_owned(),
            description: "d".to_owned(),
            source: "project".to_owned(),
            sha256: "0123456789abcdef".to_owned(),
            bytes: 1,
            status: SkillStatus::Changed,
            changed: vec!["SKILL.md".to_owned(), "scripts/new.sh".to_owned()],
            new_scripts: vec!["scripts/new.sh".to_owned()],
            findings: vec![Finding {
                severity: Severity::Error,
                code: "pipe_to_shell".to_owned(),
                file: "tidy/scripts/new.sh".to_owned(),
                line: 3,
                column: 1,
                message: "runs what it fetches".to_owned(),
                hint: None,
            }],
            admitted: None,
        };
        let shown = reviews(Style { colour: false }, &[review]);
        for part in
            ["2 files changed", "scripts/new.sh new program", "tidy/scripts/new.sh:3:1: error: runs", "0123456789ab)"]
        {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        assert!(!shown.contains('\u{1b}'), "{shown:?}");
        assert_eq!(reviews(Style { colour: false }, &[]), "");
    }
}
