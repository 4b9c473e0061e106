//! Files under whatever path a model gives: found, told apart, read within bounds. Nothing here waits for a pipe or a terminal.

use std::{
    collections::HashMap,
    fs::{self, File, Metadata, OpenOptions},
    io::{self, Read},
    os::unix::fs::{FileTypeExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use rustix::fs::OFlags;
use sha2::{Digest, Sha256};

/// The largest file that is read whole, edited or written, in bytes.
pub(super) const FILE_BYTES: u64 = 8 * 1024 * 1024;
/// Looked at to tell text from the rest, in bytes.
const SAMPLE_BYTES: usize = 8 * 1024;

/// What a file's content was when it was last read, written or edited.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<HashMap<PathBuf, Sha>>);

/// SHA-256 of a file's content.
pub(super) type Sha = [u8; 32];

impl Seen {
    /// Held while files are changed, so that two calls side by side do not change one at once.
    pub(super) fn lock(&self) -> MutexGuard<'_, HashMap<PathBuf, Sha>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file has this content.
    pub(super) fn note(&self, path: &Path, content: &[u8]) {
        note(&mut self.lock(), path, content);
    }
}

/// As [`Seen::note`], for those who hold it.
pub(super) fn note(seen: &mut HashMap<PathBuf, Sha>, path: &Path, content: &[u8]) {
    if let Ok(path) = fs::canonicalize(path) {
        seen.insert(path, Sha256::digest(content).into());
    }
}

/// The file must have been read, and not have changed since.
pub(super) fn check_fresh(
    seen: &HashMap<PathBuf, Sha>,
    path: &Path,
    content: &[u8],
    shown: &str,
) -> Result<(), String> {
    let key = fs::canonicalize(path).map_err(|error| trouble(shown, &error))?;
    match seen.get(&key) {
        None => Err(format!("{shown} was not read yet: `read` it first")),
        Some(sha) if *sha != <Sha>::from(Sha256::digest(content)) => {
            Err(format!("{shown} has changed since it was read: `read` it again"))
        }
        Some(_) => Ok(()),
    }
}

/// One sentence about an error.
pub(super) fn trouble(shown: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => format!("{shown} does not exist"),
        io::ErrorKind::PermissionDenied => format!("{shown}: not allowed"),
        io::ErrorKind::NotADirectory => format!("{shown}: a part of the path is a file, not a folder"),
        io::ErrorKind::IsADirectory => format!("{shown} is a folder"),
        io::ErrorKind::StorageFull => format!("{shown}: the disk is full"),
        io::ErrorKind::ReadOnlyFilesystem => format!("{shown}: read-only"),
        _ if rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::LOOP) => {
            format!("{shown}: symbolic links that lead in a circle")
        }
        _ => format!("{shown}: {error}"),
    }
}

/// What is at a path, links followed.
pub(super) fn look(path: &Path, shown: &str) -> Result<Metadata, String> {
    fs::metadata(path).map_err(|error| match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_symlink() && error.kind() == io::ErrorKind::NotFound => {
            let target = fs::read_link(path).unwrap_or_default();
            format!("{shown} is a symbolic link to {}, which does not exist", target.display())
        }
        _ => trouble(shown, &error),
    })
}

/// Only files can be read; says what else it is.
pub(super) fn must_be_file(metadata: &Metadata, shown: &str) -> Result<(), String> {
    let kind = metadata.file_type();
    let what = if kind.is_file() {
        return Ok(());
    } else if kind.is_dir() {
        "a folder"
    } else if kind.is_fifo() {
        "a named pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    };
    Err(format!("{shown} is {what}, not a file"))
}

/// Opens a file for reading, without side effects on what is none.
pub(super) fn open(path: &Path, shown: &str) -> Result<(File, Metadata), String> {
    must_be_file(&look(path, shown)?, shown)?;
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
        .map_err(|error| trouble(shown, &error))?;
    let metadata = file.metadata().map_err(|error| trouble(shown, &error))?;
    must_be_file(&metadata, shown)?;
    Ok((file, metadata))
}

/// Reads at most `limit` bytes; the second value tells whether that was all. What is not ready yet (some of `/proc`) is not waited for.
pub(super) fn read_up_to(file: &mut File, limit: u64, shown: &str) -> Result<(Vec<u8>, bool), String> {
    let mut bytes = Vec::new();
    match file.take(limit + 1).read_to_end(&mut bytes) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
        Err(error) => return Err(trouble(shown, &error)),
        Ok(_) => {}
    }
    let whole = bytes.len() as u64 <= limit;
    bytes.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok((bytes, whole))
}

/// The text of a file that is to be edited.
pub(super) fn load_text(path: &Path, shown: &str) -> Result<String, String> {
    let (mut file, _) = open(path, shown)?;
    let (bytes, whole) = read_up_to(&mut file, FILE_BYTES, shown)?;
    if !whole {
        return Err(format!("{shown} is larger than {FILE_BYTES} bytes: change it with a program (`exec`)"));
    }
    if looks_binary(&bytes) {
        return Err(binary(shown, &bytes, bytes.len() as u64));
    }
    String::from_utf8(bytes).map_err(|_| format!("{shown} is not UTF-8: change it with a program (`exec`)"))
}

/// Whether a person could read it: no zero byte, hardly anything that is neither a character nor a line's end.
pub(super) fn looks_binary(bytes: &[u8]) -> bool {
    let sample = &bytes[..SAMPLE_BYTES.min(bytes.len())];
    if sample.contains(&0) {
        return true;
    }
    // What was cut at its end is not held against it.
    let odd = String::from_utf8_lossy(sample)
        .chars()
        .filter(|c| {
            *c == char::REPLACEMENT_CHARACTER || (c.is_control() && !"\n\r\t\u{c}\u{8}\u{1b}\u{7}".contains(*c))
        })
        .count();
    odd > 1 && odd * 10 > sample.len()
}

/// Says that a file is binary, and what little can be told.
pub(super) fn binary(shown: &str, begin: &[u8], bytes: u64) -> String {
    let begin = hex(&begin[..32.min(begin.len())]);
    format!("{shown} is a binary file of {bytes} bytes; it begins with {begin}. Look at it with a program (`exec`).")
}

/// Bytes in hex, a blank between them.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}
