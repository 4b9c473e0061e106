//! Why an attempt ended without a handoff, and what stands behind each word.

use bus_schemas::v1::{guest::RefusalCode, handoff::CheckEvidence, task::FailureReason};

use crate::{
    adapter::{session::SessionError, workspace::WorkspaceError},
    pool::Refusal,
};

/// Why an attempt ended without a handoff.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// The word.
    pub reason: FailureReason,
    /// One or two sentences for people.
    pub detail: String,
    /// The checks that ran.
    pub evidence: Vec<CheckEvidence>,
}

impl Failure {
    /// A failure without evidence.
    #[must_use]
    pub fn new(reason: FailureReason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into(), evidence: Vec::new() }
    }

    /// Something on the host failed; a full disk has its own word.
    pub(super) fn host(error: &std::io::Error, what: &str) -> Self {
        let full = matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded);
        let reason = if full { FailureReason::HostExhausted } else { FailureReason::HostError };
        Self::new(reason, format!("{what}: {error}"))
    }
}

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Self {
        let reason = match &error {
            SessionError::Refused { code: RefusalCode::ChangesTooLarge, .. } => FailureReason::ChangesTooLarge,
            SessionError::Input { .. } => FailureReason::HostError,
            SessionError::Lost { .. }
            | SessionError::TimedOut { .. }
            | SessionError::Protocol { .. }
            | SessionError::Refused { .. } => FailureReason::GuestLost,
        };
        let detail = match &error {
            SessionError::Refused { code: RefusalCode::DiskFull, detail } => {
                format!("the guest's disk is full ({detail}); give the task a larger disk")
            }
            other => other.to_string(),
        };
        Self::new(reason, detail)
    }
}

impl From<WorkspaceError> for Failure {
    fn from(error: WorkspaceError) -> Self {
        let reason = match &error {
            WorkspaceError::Unsafe { .. } | WorkspaceError::BadTar { .. } => FailureReason::UnsafeChanges,
            WorkspaceError::TooLarge { .. } => FailureReason::ChangesTooLarge,
            other if other.is_exhausted() => FailureReason::HostExhausted,
            _ => FailureReason::HostError,
        };
        Self::new(reason, error.to_string())
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::TooLarge { needs_mib, limit_mib } => Self::new(
                FailureReason::NoMachine,
                format!("the task's machine needs {needs_mib} MiB of this host, which gives {limit_mib} MiB to VMs"),
            ),
            Refusal::Broken { detail, exhausted: true } => Self::new(FailureReason::HostExhausted, detail),
            Refusal::Broken { detail, exhausted: false } => {
                Self::new(FailureReason::NoMachine, format!("no VM boots on this host: {detail}"))
            }
            Refusal::Draining => Self::new(FailureReason::HostStopped, "the host is stopping"),
        }
    }
}
