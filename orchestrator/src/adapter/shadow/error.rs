//! What can go wrong between a folder and its shadow repository.

use std::io;

use crate::port::ShadowError;

/// A folder could not be copied in. Every message names the thing and a way out.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The folder's path is relative.
    #[error("folder {path} is not an absolute path: give the full path")]
    NotAbsolute {
        /// As given.
        path: String,
    },
    /// There is no such folder.
    #[error("folder {path} does not exist: create it or correct the path")]
    Missing {
        /// The folder.
        path: String,
    },
    /// It is something else.
    #[error("{path} is not a folder: give the folder that holds it")]
    NotADirectory {
        /// The path.
        path: String,
    },
    /// One file is too big.
    #[error(
        "file {path} is {mib} MiB, more than the {limit_mib} MiB a file may have: list it in .batonignore or raise max_file_mib"
    )]
    FileTooBig {
        /// Relative to the folder.
        path: String,
        /// Its size, rounded up.
        mib: u64,
        /// The limit.
        limit_mib: u64,
    },
    /// All files together are too big.
    #[error(
        "folder {path} holds more than {limit_mib} MiB (over it at {at}): list what is not needed in .batonignore or raise max_total_mib"
    )]
    TotalTooBig {
        /// The folder.
        path: String,
        /// The limit.
        limit_mib: u64,
        /// The file that went over.
        at: String,
    },
    /// Too many files.
    #[error(
        "folder {path} holds more than {limit} files (over it at {at}): list what is not needed in .batonignore or raise max_files"
    )]
    TooManyFiles {
        /// The folder.
        path: String,
        /// The limit.
        limit: u64,
        /// The file that went over.
        at: String,
    },
    /// A symbolic link leads out of the folder.
    #[error("link {path} leads out of the folder to {target}: remove it or list it in .batonignore")]
    LinkLeaves {
        /// Relative to the folder.
        path: String,
        /// Where it points.
        target: String,
    },
    /// A file or folder may not be read.
    #[error("cannot read {path}: give yourself the right to read it or list it in .batonignore")]
    Unreadable {
        /// Relative to the folder.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A pipe, socket or device.
    #[error("{path} is a {kind}, not a file: remove it or list it in .batonignore")]
    Special {
        /// Relative to the folder.
        path: String,
        /// What it is.
        kind: &'static str,
    },
    /// A name that cannot travel.
    #[error("the name {path} {problem}: rename it or list it in .batonignore")]
    BadName {
        /// Relative to the folder, escaped.
        path: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A file changed under our eyes.
    #[error("file {path} changed while it was being read: try again when nothing writes to the folder")]
    Changed {
        /// Relative to the folder.
        path: String,
    },
    /// An ignore file cannot be understood.
    #[error("cannot use the ignore rules of the folder: {detail}")]
    IgnoreRules {
        /// What is wrong, with file and line.
        detail: String,
    },
    /// The repository could not take it.
    #[error(transparent)]
    Repository(#[from] ShadowError),
}

/// A result could not be applied to (or taken back from) a folder.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The folder could not be read.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// The repository failed.
    #[error(transparent)]
    Repository(#[from] ShadowError),
    /// Paths are neither as they were nor as they are to become.
    #[error("changed in the folder meanwhile: {}", paths.join(", "))]
    ChangedMeanwhile {
        /// The paths.
        paths: Vec<String>,
    },
    /// Something that is not ours to move stands where a path must go.
    #[error("in the way in the folder: {}", paths.join(", "))]
    Obstructed {
        /// What stands in the way.
        paths: Vec<String>,
    },
    /// A commit holds a path that must not be written.
    #[error("refused to write {path:?}: not a plain path within the folder")]
    UnsafePath {
        /// The path.
        path: String,
    },
    /// The disk is full. What was written stays; the same call again goes on where it stopped.
    #[error("the disk is full while writing {path}: make room and try again, it goes on where it stopped")]
    DiskFull {
        /// The path.
        path: String,
    },
    /// Reading or writing failed. The same call again goes on where it stopped.
    #[error("failed to {operation} {path}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl ApplyError {
    /// The message with those of its causes.
    #[must_use]
    pub fn with_causes(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        text
    }

    /// An error of the file system at a path; a full disk is a kind of its own.
    pub(super) fn io(operation: &'static str, path: &str, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path: path.to_owned() },
            _ => Self::Io { operation, path: path.to_owned(), source },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ApplyError;

    #[test]
    fn a_full_disk_is_told_apart() {
        let full = std::io::Error::from(rustix::io::Errno::NOSPC);
        assert!(matches!(ApplyError::io("write", "a", full), ApplyError::DiskFull { path } if path == "a"));
        let denied = std::io::Error::from(rustix::io::Errno::ACCESS);
        assert!(matches!(ApplyError::io("write", "a", denied), ApplyError::Io { .. }));
    }
}

/// Files could not be put beside a folder's.
#[derive(Debug, thiserror::Error)]
pub enum InputsError {
    /// The folder has something else in their place.
    #[error("the folder holds a file named `inputs`, where the files the project starts with would be: rename it")]
    Taken,
    /// A name that is no plain file name.
    #[error("{name:?} cannot be the name of a file the project starts with")]
    BadName {
        /// The name.
        name: String,
    },
    /// The repository failed.
    #[error(transparent)]
    Repository(#[from] ShadowError),
}
