//! What the HTTP API says about a project's result and its folder.

use serde::{Deserialize, Serialize};

use super::handoff::ChangedPath;

/// Put the result into the folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ApplyRequest {
    /// Who asks.
    pub by: String,
    /// Over which channel: who asks may have to be somebody who may approve it.
    #[serde(default = "super::api::cli")]
    pub channel: String,
    /// Only say what would happen.
    #[serde(default)]
    pub dry_run: bool,
}

/// Take the last apply back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UndoRequest {
    /// Who asks.
    pub by: String,
    /// Over which channel.
    #[serde(default = "super::api::cli")]
    pub channel: String,
    /// Also put back files that were changed after the apply (their present content is lost).
    #[serde(default)]
    pub force: bool,
}

/// What applying (or undoing) did, or would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ApplyView {
    /// The folder.
    pub folder: String,
    /// Nothing was written.
    pub dry_run: bool,
    /// The paths that changed in the folder.
    pub changed: Vec<ChangedPath>,
    /// Those of them the person had changed meanwhile, too: both changes are in the file now.
    pub merged_with_yours: Vec<String>,
    /// Paths where both changed the same place. Not empty means nothing was written.
    pub conflicts: Vec<Conflict>,
}

/// Both sides changed the same place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Conflict {
    /// The path.
    pub path: String,
    /// What collided: `content`, `modify/delete`, `binary` …
    pub kind: String,
    /// The text with conflict markers, where there is one (at most 16 KiB).
    #[serde(default)]
    pub text: String,
}

/// A difference between two commits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DiffView {
    /// From.
    pub base_commit: String,
    /// To.
    pub commit: String,
    /// The paths that differ.
    pub changed: Vec<ChangedPath>,
    /// A unified diff in git's format (binary files named only).
    pub text: String,
    /// The text was cut at 4 MiB.
    #[serde(default)]
    pub truncated: bool,
}
