//! Logs of children, bounded in size.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

/// A log grows to this and then becomes `….log.1`, of which there is one.
const MAX_BYTES: u64 = 8 * 1024 * 1024;
/// How much of a log's end is looked at.
const TAIL_BYTES: u64 = 16 * 1024;

/// A log file.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl LogFile {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), file, bytes })
    }

    pub(super) fn write(&mut self, text: &[u8]) -> io::Result<()> {
        if self.bytes >= MAX_BYTES {
            fs::rename(&self.path, self.path.with_extension("log.1"))?;
            *self = Self::open(&self.path)?;
        }
        self.file.write_all(text)?;
        self.bytes += text.len() as u64;
        Ok(())
    }
}

/// The last lines of a log; empty if there is none.
#[must_use]
pub fn tail(path: &Path, lines: usize) -> Vec<String> {
    let read = || -> io::Result<String> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    all.iter().skip(all.len().saturating_sub(lines)).map(|line| (*line).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_bounded_and_keeps_its_end() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("x.log");
        let mut log = LogFile::open(&path)?;
        let piece = vec![b'x'; 1024 * 1024];
        for _ in 0..20 {
            log.write(&piece)?;
        }
        log.write(b"\nlast but one\nlast\n")?;
        let sizes = [fs::metadata(&path)?.len(), fs::metadata(dir.path().join("x.log.1"))?.len()];
        assert!(sizes.iter().all(|size| *size <= MAX_BYTES + 1024 * 1024), "{sizes:?}");
        assert_eq!(fs::read_dir(dir.path())?.count(), 2);
        assert_eq!(tail(&path, 2), ["last but one", "last"]);
        assert!(tail(&dir.path().join("none"), 2).is_empty());
        Ok(())
    }
}
