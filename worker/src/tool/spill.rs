//! Long output: its beginning and its end are shown, all of it is in a file.

use std::{
    collections::VecDeque,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use super::files::{hex, looks_binary};
use crate::adapter::output::Tail;

/// Shown of an output, in bytes: half from its beginning, half from its end.
pub(super) const SHOWN_BYTES: usize = 16 * 1024;
/// Kept of an output in its file, in bytes.
pub(super) const SPILL_BYTES: u64 = 16 * 1024 * 1024;
/// Kept of all outputs, in bytes: the folder is memory in a guest. The oldest files go first.
const ALL_BYTES: u64 = 64 * 1024 * 1024;
/// Shown of binary output, in bytes.
const HEX_BYTES: usize = 64;

/// The folder with the files.
#[derive(Debug)]
pub(super) struct Spills {
    folder: PathBuf,
    files: Mutex<VecDeque<PathBuf>>,
}

impl Spills {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, files: Mutex::default() }
    }

    fn create(&self, name: &str) -> io::Result<(File, PathBuf)> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        fs::create_dir_all(&self.folder)?;
        let size = |path: &PathBuf| fs::symlink_metadata(path).map_or(0, |metadata| metadata.len());
        let mut kept: u64 = files.iter().map(size).sum();
        while kept + SPILL_BYTES > ALL_BYTES
            && let Some(oldest) = files.pop_front()
        {
            kept = kept.saturating_sub(size(&oldest));
            let _ = fs::remove_file(oldest);
        }
        for count in 0..1000 {
            let suffix = if count == 0 { String::new() } else { format!("-{count}") };
            let path = self.folder.join(format!("{name}{suffix}.txt"));
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => {
                    files.push_back(path.clone());
                    return Ok((file, path));
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("no free name"))
    }
}

/// Takes an output as it comes.
#[derive(Debug)]
pub(super) struct Capture {
    spills: Arc<Spills>,
    name: String,
    /// All of it, up to what is shown.
    head: Vec<u8>,
    tail: Tail,
    total: u64,
    file: Option<(File, PathBuf)>,
    trouble: Option<String>,
}

impl Capture {
    pub(super) fn new(spills: Arc<Spills>, name: String) -> Self {
        let tail = Tail::new(SHOWN_BYTES / 2);
        Self { spills, name, head: Vec::new(), tail, total: 0, file: None, trouble: None }
    }

    /// Another one like this, empty.
    pub(super) fn fresh(&self) -> Self {
        Self::new(Arc::clone(&self.spills), self.name.clone())
    }

    /// Bytes so far.
    pub(super) const fn total(&self) -> u64 {
        self.total
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        let before = self.total;
        self.total += bytes.len() as u64;
        self.tail.push(bytes);
        let room = SHOWN_BYTES.saturating_sub(self.head.len());
        let (first, rest) = bytes.split_at(room.min(bytes.len()));
        self.head.extend_from_slice(first);
        if rest.is_empty() {
            return;
        }
        if self.file.is_none() {
            self.spill();
        }
        let done = before + first.len() as u64;
        let room = usize::try_from(SPILL_BYTES.saturating_sub(done)).unwrap_or(usize::MAX);
        self.write(&rest[..room.min(rest.len())]);
    }

    /// Starts the file with what is there.
    fn spill(&mut self) {
        if self.trouble.is_some() {
            return;
        }
        match self.spills.create(&self.name) {
            Ok(file) => {
                self.file = Some(file);
                let head = std::mem::take(&mut self.head);
                self.write(&head);
                self.head = head;
            }
            Err(error) => self.trouble = Some(error.to_string()),
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some((file, _)) = &mut self.file
            && self.trouble.is_none()
            && let Err(error) = file.write_all(bytes)
        {
            self.trouble = Some(error.to_string());
        }
    }

    /// What a model is shown.
    pub(super) fn render(mut self) -> String {
        if self.total == 0 {
            return "(no output)".into();
        }
        if looks_binary(&self.head) {
            if self.file.is_none() {
                self.spill();
            }
            let begin = hex(&self.head[..HEX_BYTES.min(self.head.len())]);
            return format!("binary output of {} bytes{}; it begins with {begin}", self.total, self.place());
        }
        if self.total <= SHOWN_BYTES as u64 {
            return String::from_utf8_lossy(&self.head).into_owned();
        }
        let head = String::from_utf8_lossy(&self.head[..SHOWN_BYTES / 2]);
        let left_out = self.total - SHOWN_BYTES as u64;
        format!(
            "{}\n[… {left_out} of {} bytes are not shown here{} …]\n{}",
            head.trim_end_matches('\u{fffd}'),
            self.total,
            self.place(),
            self.tail.text().trim_start_matches('\u{fffd}')
        )
    }

    fn place(&self) -> String {
        match (&self.file, &self.trouble) {
            (Some((_, path)), None) if self.total > SPILL_BYTES => {
                format!("; the first {SPILL_BYTES} bytes are in {}", path.display())
            }
            (Some((_, path)), None) => format!("; all of it is in {}", path.display()),
            (Some((_, path)), Some(why)) => format!("; its beginning is in {} ({why})", path.display()),
            (None, Some(why)) => format!("; it could not be kept: {why}"),
            (None, None) => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capture(folder: &tempfile::TempDir) -> Capture {
        Capture::new(Arc::new(Spills::new(folder.path().join("spill"))), "exec-1".into())
    }

    #[test]
    fn short_output_is_shown_and_makes_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let mut short = capture(&folder);
        short.push(b"one\n");
        short.push("two \u{1f600}\n".as_bytes());
        assert_eq!(short.render(), "one\ntwo \u{1f600}\n");
        assert_eq!(capture(&folder).render(), "(no output)");
        assert!(!folder.path().join("spill").exists());
    }

    #[test]
    fn ten_megabytes_are_kept_whole_and_shown_in_part() {
        let folder = tempfile::tempdir().unwrap();
        let mut long = capture(&folder);
        let all: Vec<u8> = (0..1_500_000).flat_map(|n| format!("{n:06}\n").into_bytes()).collect();
        for piece in all.chunks(65_536) {
            long.push(piece);
        }
        let text = long.render();
        assert!(text.len() < SHOWN_BYTES + 300, "{}", text.len());
        assert!(text.starts_with("000000\n") && text.ends_with("1499999\n"));
        let path = folder.path().join("spill/exec-1.txt");
        assert!(text.contains(&format!("all of it is in {}", path.display())), "{text:.9000}");
        assert!(fs::read(path).unwrap() == all);
    }

    #[test]
    fn what_is_longer_than_a_file_may_be_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        let mut long = capture(&folder);
        let piece = [b'x'; 65_536];
        for _ in 0..300 {
            long.push(&piece);
        }
        let text = long.render();
        assert!(text.contains("the first 16777216 bytes are in"));
        assert_eq!(fs::metadata(folder.path().join("spill/exec-1.txt")).unwrap().len(), SPILL_BYTES);
    }

    #[test]
    fn the_oldest_files_make_room() {
        let folder = tempfile::tempdir().unwrap();
        let spills = Arc::new(Spills::new(folder.path().join("spill")));
        let piece = vec![b'x'; 12 << 20];
        for number in 0..6 {
            let mut long = Capture::new(Arc::clone(&spills), format!("exec-{number}"));
            long.push(&piece);
            long.render();
        }
        let kept = fs::read_dir(folder.path().join("spill")).unwrap().count();
        assert!(kept < 6 && !folder.path().join("spill/exec-0.txt").exists());
        assert!(folder.path().join("spill/exec-5.txt").exists());
    }

    #[test]
    fn binary_output_is_described() {
        let folder = tempfile::tempdir().unwrap();
        let mut binary = capture(&folder);
        binary.push(b"\x7fELF\x02\x01\x01\x00\x00rest");
        let text = binary.render();
        assert!(text.starts_with("binary output of 13 bytes; all of it is in "), "{text}");
        assert!(text.ends_with("it begins with 7f 45 4c 46 02 01 01 00 00 72 65 73 74"), "{text}");
    }
}
