//! One supervisor per installation: an advisory lock that dies with its process.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
};

use rustix::fs::{FlockOperation, flock};

use crate::paths::Paths;

fn path(paths: &Paths) -> PathBuf {
    paths.runtime_dir.join("supervisor.lock")
}

/// The lock; given back when dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock and writes this process's id into it. `None` if another process has it.
    ///
    /// # Errors
    /// The file cannot be made or locked.
    pub fn take(paths: &Paths) -> io::Result<Option<Self>> {
        let mut file =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(path(paths))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(std::process::id().to_string().as_bytes())?;
        Ok(Some(Self { _file: file }))
    }
}

/// The process that holds the lock, if one does.
#[must_use]
pub fn holder(paths: &Paths) -> Option<u32> {
    let mut file = File::open(path(paths)).ok()?;
    // Shared, so that two askers do not see each other as the holder.
    if flock(&file, FlockOperation::NonBlockingLockShared).is_ok() {
        return None;
    }
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
