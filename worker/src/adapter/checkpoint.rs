//! Saves an agent's turns on the host: what was said since the last time, and the files, if any changed.

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bus_schemas::v1::guest::{DataHeader, StreamAnswer};
use rustix::time::{ClockId, clock_gettime};
use tokio::io::AsyncWriteExt;

use super::{
    blocking::BlockingWriter,
    changes::{self, Meanwhile, Packing},
    data::{self, Opener, Stream},
    manifest::Manifest,
};

/// A host that has not saved a turn after so long will not.
const ANSWER_WAIT: Duration = Duration::from_secs(180);
/// A file written again within so many milliseconds may look the same: clocks of file systems tick.
const TICK_MS: i64 = 50;

/// Saves the turns of one attempt, one after the other.
#[derive(Debug)]
pub(crate) struct Checkpoints {
    opener: Opener,
    root: PathBuf,
    before: Arc<Manifest>,
    saved: Mutex<Saved>,
}

#[derive(Debug)]
struct Saved {
    /// The tree as it was saved last; `None` if the next look cannot be compared with it.
    tree: Option<Manifest>,
    /// The host has changes: it must hear of it even if there are none any more.
    has_changes: bool,
}

impl Checkpoints {
    /// `before` is the workspace as it came; `restored`: it is another one by now.
    pub(crate) fn new(opener: Opener, root: PathBuf, before: Arc<Manifest>, restored: bool) -> Self {
        Self { opener, root, before, saved: Mutex::new(Saved { tree: None, has_changes: restored }) }
    }

    /// Saves a turn: `transcript` is appended to what is there already. `look`: files may have changed since the last
    /// time; the first time they are looked at anyway. Returns when the host has it for good, and whether files went with it.
    ///
    /// # Errors
    /// The host would not or could not, or is gone. It can be tried again.
    pub(crate) async fn save(&self, turn: u32, transcript: &[u8], look: bool) -> io::Result<bool> {
        let first = self.saved().tree.is_none();
        let looked = if look || first { Some(self.look().await?) } else { None };
        let (packing, now) = looked.map_or((None, None), |(packing, now)| (packing, Some(now)));
        let header =
            DataHeader::Checkpoint { turn, transcript_bytes: transcript.len() as u64, with_changes: packing.is_some() };
        let with_changes = packing.is_some();
        let sent = tokio::time::timeout(ANSWER_WAIT, self.send(&header, transcript, packing));
        match sent.await?? {
            StreamAnswer::Done => {}
            StreamAnswer::Failed { detail } => return Err(io::Error::other(detail)),
        }
        if let Some(now) = now {
            let mut saved = self.saved();
            saved.tree = is_settled(&now).then_some(now);
            saved.has_changes |= with_changes;
        }
        Ok(with_changes)
    }

    fn saved(&self) -> MutexGuard<'_, Saved> {
        self.saved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What there is to send, if anything changed, and the tree it was worked out from.
    async fn look(&self) -> io::Result<(Option<Packing>, Manifest)> {
        let (root, before) = (self.root.clone(), Arc::clone(&self.before));
        let (saved, has_changes) = {
            let mut saved = self.saved();
            (saved.tree.take(), saved.has_changes)
        };
        let looking = tokio::task::spawn_blocking(move || {
            let now = Manifest::take(&root)?;
            let difference = before.difference(&now);
            let is_news = match &saved {
                Some(saved) => !saved.difference(&now).is_empty(),
                None => has_changes || !difference.is_empty(),
            };
            let packing = is_news.then(|| changes::plan(difference, u64::MAX)).transpose();
            Ok::<_, io::Error>((packing.map_err(|error| io::Error::other(error.detail))?, now))
        });
        looking.await.map_err(io::Error::other)?
    }

    async fn send(&self, header: &DataHeader, transcript: &[u8], packing: Option<Packing>) -> io::Result<StreamAnswer> {
        let mut stream: Stream = self.opener.open(header).await?;
        stream.write_all(transcript).await?;
        if let Some(packing) = packing {
            let (root, writer) = (self.root.clone(), BlockingWriter::new(stream));
            let packed = tokio::task::spawn_blocking(move || changes::pack(&root, &packing, Meanwhile::Take, writer));
            stream = packed.await.map_err(io::Error::other)??.into_stream();
        }
        stream.shutdown().await?;
        data::read_answer(&mut stream).await
    }
}

/// Whether a later change is sure to be seen.
fn is_settled(tree: &Manifest) -> bool {
    let now = clock_gettime(ClockId::Realtime);
    let (seconds, nanos) = tree.newest();
    let age_ms =
        now.tv_sec.saturating_sub(seconds).saturating_mul(1000).saturating_add((now.tv_nsec - nanos) / 1_000_000);
    age_ms > TICK_MS
}
