//! The handoff: one task's typed output, what its successors start from and what a person approves.

use serde::{Deserialize, Serialize};

use super::agent::{EgressRecord, Report, Spend};
use crate::{id::LeaseId, json::Json};

/// What a task hands on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Handoff {
    /// What was done, for people and successors. Untrusted text: it came out of a guest.
    pub summary: String,
    /// The commit that holds the tree (40 lower-case hex digits); equal to the base if nothing changed.
    pub commit: String,
    /// The commit the attempt started from.
    pub base_commit: String,
    /// What changed from the base.
    pub changed_paths: Vec<ChangedPath>,
    /// Lines that came, as git counts them; binary files count none.
    #[serde(default, skip_serializing_if = "is_default")]
    pub lines_added: u64,
    /// Lines that went.
    #[serde(default, skip_serializing_if = "is_default")]
    pub lines_removed: u64,
    /// Files handed on by digest.
    #[serde(default)]
    pub artifacts: Vec<Artifact>,
    /// The typed result the program wrote. Untrusted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Json>,
    /// What the worker could not decide. Untrusted text.
    #[serde(default)]
    pub open_questions: Vec<String>,
    /// What an agent reported. Untrusted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Report>,
    /// The connections it asked for, the first 200.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub egress: Vec<EgressRecord>,
    /// What the host recorded about the checks. Empty means: nothing proves this handoff.
    #[serde(default)]
    pub evidence: Vec<CheckEvidence>,
    /// What the attempt used.
    #[serde(default)]
    pub usage: Usage,
    /// How strongly the VM was isolated.
    pub isolation: Isolation,
}

impl Handoff {
    /// There is at least one check, and every check passed.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        !self.evidence.is_empty() && self.evidence.iter().all(|check| check.passed)
    }
}

/// One changed path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ChangedPath {
    /// Relative to the folder, `/`-separated, without `.` or `..`.
    pub path: String,
    /// What happened to it.
    pub kind: ChangeKind,
    /// The new size in bytes; 0 for a deletion.
    pub bytes: u64,
}

/// What happened to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// Its content, mode or link target changed.
    Modified,
    /// It is gone.
    Deleted,
}

/// A file handed on by digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Artifact {
    /// The path in the handed-off tree.
    pub path: String,
    /// SHA-256 of the content, lower-case hex.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
}

/// What the host itself saw of one check in the second VM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CheckEvidence {
    /// The check's name.
    pub name: String,
    /// The command.
    pub run: String,
    /// Whether it exited 0 within its time.
    pub passed: bool,
    /// The exit code; absent if a signal or the time limit ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// It ran into its time limit.
    #[serde(default)]
    pub timed_out: bool,
    /// How long it took, in milliseconds.
    pub wall_ms: u64,
    /// The end of what it printed (at most 4 KiB).
    pub output_tail: String,
    /// The VM it ran in: never the one that made the handoff.
    pub lease_id: LeaseId,
}

/// What an attempt used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Usage {
    /// Time in which a VM was leased for it, checks included, in milliseconds.
    pub vm_ms: u64,
    /// Time its program ran, in milliseconds.
    pub program_wall_ms: u64,
    /// Processor time of its program, in milliseconds, as the guest says.
    pub program_cpu_ms: u64,
    /// Peak memory of its program in KiB, as the guest says.
    pub program_peak_kib: u64,
    /// Bytes it printed, dropped ones included.
    pub output_bytes: u64,
    /// What its model calls cost, as the gateway metered them.
    #[serde(default, skip_serializing_if = "is_default")]
    pub spend: Spend,
    /// Tool calls of its agent, as the guest says.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tool_calls: u64,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// How strongly a VM is isolated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// Hardware virtualisation (kvm, hvf): what QEMU's security policy covers.
    Hardware,
    /// Emulation (tcg): real separation, but not covered by QEMU's security policy.
    Emulated,
}
