//! Who the children are, on disk: what `status`, `doctor` and the next `up` need to know.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};

use super::process::started_at;

/// One child.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its process id while it runs.
    pub pid: Option<u32>,
    /// When that process was started (see proc(5), field 22).
    pub started: Option<u64>,
    /// How often it had to be started again.
    pub restarts: u32,
    /// How it ended the last time.
    pub last_end: Option<String>,
}

/// The children of one supervisor.
#[derive(Debug)]
pub struct Roster {
    path: PathBuf,
    entries: Mutex<BTreeMap<String, Entry>>,
}

impl Roster {
    /// An empty roster that is kept in `path`.
    #[must_use]
    pub const fn new(path: PathBuf) -> Self {
        Self { path, entries: Mutex::new(BTreeMap::new()) }
    }

    /// What a supervisor left in `path`; empty if there is nothing that can be read.
    #[must_use]
    pub fn read(path: &Path) -> BTreeMap<String, Entry> {
        fs::read(path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    /// A child runs.
    pub(super) fn started(&self, name: &str, pid: u32) {
        self.change(name, |entry| {
            entry.pid = Some(pid);
            entry.started = started_at(pid);
        });
    }

    /// A child ended.
    pub(super) fn ended(&self, name: &str, how: &str, again: bool) {
        self.change(name, |entry| {
            entry.pid = None;
            entry.started = None;
            entry.last_end = Some(how.to_owned());
            entry.restarts += u32::from(again);
        });
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Entry)) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        change(entries.entry(name.to_owned()).or_default());
        // A roster that cannot be written costs the next `up` its knowledge of leftovers, nothing now.
        if let Err(error) = write(&self.path, &entries) {
            tracing::warn!(path = %self.path.display(), %error, "write the roster");
        }
    }
}

fn write(path: &Path, entries: &BTreeMap<String, Entry>) -> io::Result<()> {
    let draft = path.with_extension("new");
    fs::write(&draft, serde_json::to_vec(entries)?)?;
    fs::rename(draft, path)
}
