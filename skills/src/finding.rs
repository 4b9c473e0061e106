//! What is wrong with a skill, and where; and why something could not be done.

use std::fmt;

use serde::Serialize;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth a look; nothing to mend.
    Info,
    /// Should be mended or looked at by a person.
    Warning,
    /// Against the standard, or dangerous.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// Something a person should know about a place in a skill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad.
    pub severity: Severity,
    /// A stable word, such as `bad_name` or `pipe_to_shell`.
    pub code: &'static str,
    /// The file, relative to the skill's folder.
    pub file: String,
    /// The line, from 1; 0 if the finding is about the whole file.
    pub line: u32,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Finding {
    pub(crate) fn new(
        severity: Severity,
        code: &'static str,
        place: (&str, u32),
        message: impl Into<String>,
        hint: Option<&str>,
    ) -> Self {
        let (file, line) = (place.0.to_owned(), place.1);
        Self { severity, code, file, line, message: message.into(), hint: hint.map(str::to_owned) }
    }
}

/// The worst severity of some findings.
#[must_use]
pub fn worst(findings: &[Finding]) -> Option<Severity> {
    findings.iter().map(|finding| finding.severity).max()
}

/// Worst first, then by place.
pub(crate) fn sort(findings: &mut [Finding]) {
    findings.sort_by(|a, b| {
        (b.severity, &a.file, a.line, a.code, &a.message).cmp(&(a.severity, &b.file, b.line, b.code, &b.message))
    });
}

/// The class of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// The input is wrong.
    Invalid,
    /// It names nothing.
    NotFound,
    /// It must not be done, or not without a word more.
    Refused,
    /// The machine lacks something: a program, a network, a folder that can be written.
    Environment,
}

/// Why something could not be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SkillError {
    /// Its class.
    pub class: Class,
    /// A stable word.
    pub code: &'static str,
    /// What went wrong.
    pub message: String,
    /// The way out.
    pub hint: Option<String>,
}

impl SkillError {
    pub(crate) fn new(class: Class, code: &'static str, message: impl Into<String>) -> Self {
        Self { class, code, message: message.into(), hint: None }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    pub(crate) fn io(what: impl fmt::Display) -> impl FnOnce(std::io::Error) -> Self {
        move |error| Self::new(Class::Environment, "io", format!("{what}: {error}"))
    }
}
