//! What all tools work with.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64},
    },
    time::Duration,
};

use bus_schemas::v1::guest::AttemptAssignment;
use tokio_util::sync::CancellationToken;

use super::{background::Background, call::Ending, files::Seen, spill::Spills, todo::Todo};
use crate::{
    adapter::{calls::Asker, console::Console, exchange},
    port::Machine,
};

/// Reading and writing files takes no longer, or there is something wrong with the file.
const FILE_WAIT: Duration = Duration::from_secs(60);
/// The longest path, in bytes (the kernel's limit).
const PATH_BYTES: usize = 4096;

/// What a [`super::Toolbox`] is made of.
#[derive(Clone)]
pub(crate) struct Bench {
    /// The computer.
    pub(crate) machine: Arc<dyn Machine>,
    /// The task.
    pub(crate) assignment: Arc<AttemptAssignment>,
    /// Asks the orchestrator.
    pub(crate) asker: Asker,
    /// Prints what programs print.
    pub(crate) console: Console,
    /// Where the proxy listens.
    pub(crate) proxy: Option<SocketAddr>,
    /// Begins the names of cages.
    pub(crate) label: String,
}

/// The bench, and what the tools remember.
pub(super) struct Shop {
    pub(super) bench: Bench,
    pub(super) seen: Seen,
    pub(super) todo: Mutex<Todo>,
    pub(super) bounced: Mutex<Vec<String>>,
    pub(super) background: Background,
    pub(super) spills: Arc<Spills>,
    /// Commands started so far.
    pub(super) commands: AtomicU64,
    /// Plans that were handed off and sent back.
    pub(super) plans_refused: AtomicU64,
    /// Files may have changed since the last checkpoint.
    pub(super) changed: AtomicBool,
}

impl Shop {
    pub(super) fn new(bench: Bench) -> Self {
        let spills = Arc::new(Spills::new(exchange::spill_path(bench.machine.layout())));
        Self {
            bench,
            seen: Seen::default(),
            todo: Mutex::default(),
            bounced: Mutex::default(),
            background: Background::default(),
            spills,
            commands: AtomicU64::new(0),
            plans_refused: AtomicU64::new(0),
            changed: AtomicBool::new(false),
        }
    }

    pub(super) fn workspace(&self) -> &Path {
        &self.bench.machine.layout().workspace
    }

    /// A path as a model gives it: relative to the workspace, or anywhere; `~` is the home.
    pub(super) fn path(&self, given: &str) -> Result<PathBuf, String> {
        if given.contains('\0') || given.len() > PATH_BYTES {
            return Err("`path` is no path: it is too long or has a zero byte in it".into());
        }
        let home = &self.bench.machine.layout().home;
        Ok(match given.strip_prefix("~/") {
            Some(rest) => home.join(rest),
            None if given == "~" => home.clone(),
            None => self.workspace().join(given),
        })
    }
}

/// What a call came to.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) text: String,
    pub(super) is_error: bool,
    pub(super) changed: bool,
    pub(super) end: Option<Ending>,
}

impl Reply {
    /// Said, and nothing was touched.
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_error: false, changed: false, end: None }
    }

    /// Files may have changed.
    pub(super) fn changed(text: impl Into<String>) -> Self {
        Self { changed: true, ..Self::text(text) }
    }

    /// The attempt ends.
    pub(super) fn end(ending: Ending) -> Self {
        Self { end: Some(ending), ..Self::text("") }
    }
}

/// Does something with files on a thread that may block, but does not wait for it for ever.
pub(super) async fn with_files<T: Send + 'static>(
    stop: &CancellationToken,
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    tokio::select! {
        done = tokio::time::timeout(FILE_WAIT, tokio::task::spawn_blocking(work)) => match done {
            Ok(Ok(done)) => done,
            Ok(Err(error)) => Err(format!("the tool broke: {error}")),
            Err(_) => Err(format!("given up after {} s: the file system does not answer", FILE_WAIT.as_secs())),
        },
        () = stop.cancelled() => Err("stopped".into()),
    }
}

/// Cut to `bytes`, with a word about it.
pub(super) fn bounded(mut text: String, bytes: usize, advice: &str) -> String {
    if text.len() > bytes {
        let left_out = text.len() - text.floor_char_boundary(bytes);
        text.truncate(text.floor_char_boundary(bytes));
        text.push_str(&format!("\n[{left_out} more bytes are not shown; {advice}]"));
    }
    text
}
