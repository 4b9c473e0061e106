//! What can go wrong with a workspace.

use std::{io, path::Path};

/// What can go wrong with a workspace.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// Git could not do it.
    #[error("git {operation}: {detail}")]
    Git {
        /// What was tried.
        operation: &'static str,
        /// What git said.
        detail: String,
    },
    /// Reading or writing failed.
    #[error("{operation} {path}: {source}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The guest handed over something that is not allowed.
    #[error("unsafe change {path}: {reason}")]
    Unsafe {
        /// The path, escaped for display.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The guest changed more than it may.
    #[error("changes are larger than {limit_bytes} bytes")]
    TooLarge {
        /// The limit.
        limit_bytes: u64,
    },
    /// What the guest sent is no tar.
    #[error("read the tar of changes: {detail}")]
    BadTar {
        /// What is wrong.
        detail: String,
    },
    /// A name is not 40 lower-case hex digits.
    #[error("{name:?} is not a commit id")]
    BadCommit {
        /// The name.
        name: String,
    },
    /// A glob cannot be understood.
    #[error("glob {glob:?}: {detail}")]
    BadGlob {
        /// The glob.
        glob: String,
        /// What is wrong.
        detail: String,
    },
}

impl WorkspaceError {
    /// An I/O error on a path.
    pub(crate) fn io(operation: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { operation, path: path.display().to_string(), source }
    }

    /// The host's disk (or quota) is full.
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        match self {
            Self::Io { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            Self::Git { detail, .. } => {
                detail.contains("No space left on device") || detail.contains("Disk quota exceeded")
            }
            _ => false,
        }
    }
}
