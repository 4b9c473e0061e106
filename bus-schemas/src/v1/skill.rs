//! A skill that a plan's agents may use, as people are shown it.

use serde::{Deserialize, Serialize};

use super::{agent::SkillRef, api::Finding};

/// One skill of a plan: which bytes, and whether a person admitted those.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SkillReview {
    /// Its name.
    pub name: String,
    /// What it is for. Untrusted.
    pub description: String,
    /// Where it comes from: `project`, `user` or `bundled`.
    pub source: String,
    /// SHA-256 of its tar, lower-case hex: what an approval is bound to.
    pub sha256: String,
    /// The tar's size.
    pub bytes: u64,
    /// Whether a person admitted it as it is.
    pub status: SkillStatus,
    /// What changed since: paths that were added, changed or removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
    /// Programs that are new since.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub new_scripts: Vec<String>,
    /// What a scan found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// Who admitted it as it is, as the lockfile says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admitted: Option<SkillAdmission>,
}

/// Somebody admitted a skill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SkillAdmission {
    /// Who, as the lockfile says.
    pub by: String,
    /// When, as the lockfile says: in UTC (RFC 3339).
    pub at: String,
}

/// Whether a person admitted a skill as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SkillStatus {
    /// It came with the program.
    Bundled,
    /// Yes: the lockfile names these bytes.
    Locked,
    /// It has changed since.
    Changed,
    /// No.
    NotLocked,
}

impl SkillReview {
    /// A person must look at it before it is used.
    #[must_use]
    pub const fn needs_approval(&self) -> bool {
        matches!(self.status, SkillStatus::Changed | SkillStatus::NotLocked)
    }

    /// As an offer names it.
    #[must_use]
    pub fn reference(&self) -> SkillRef {
        SkillRef {
            name: self.name.clone(),
            description: self.description.clone(),
            sha256: self.sha256.clone(),
            bytes: self.bytes,
        }
    }
}
