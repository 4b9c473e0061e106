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

#[cfg(test)]
mod tests {
    use std::{fs, io::Read};

    use tokio::{
        io::{AsyncReadExt, duplex},
        sync::mpsc,
        task::JoinSet,
    };

    use super::*;

    struct Rig {
        checkpoints: Checkpoints,
        root: tempfile::TempDir,
        streams: mpsc::Receiver<Stream>,
        _drives: JoinSet<()>,
    }

    fn rig(restored: bool) -> Rig {
        let (host, guest) = duplex(64 * 1024);
        let (_, streams, host_drive) = data::start(host, yamux::Mode::Client);
        let (opener, _, guest_drive) = data::start(guest, yamux::Mode::Server);
        let mut drives = JoinSet::new();
        drives.spawn(host_drive);
        drives.spawn(guest_drive);
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("a.txt"), "one").unwrap();
        super::super::manifest::settle(root.path()).unwrap();
        let before = Arc::new(Manifest::take(root.path()).unwrap());
        let checkpoints = Checkpoints::new(opener, root.path().to_path_buf(), before, restored);
        Rig { checkpoints, root, streams, _drives: drives }
    }

    /// What a host got.
    #[derive(Debug, PartialEq, Eq)]
    struct Got {
        turn: u32,
        transcript: String,
        files: Option<Vec<(String, usize)>>,
    }

    impl Rig {
        async fn save(&mut self, turn: u32, text: &str, look: bool, answer: StreamAnswer) -> (io::Result<bool>, Got) {
            let host = async {
                let mut stream = self.streams.recv().await.unwrap();
                let header = data::read_header(&mut stream).await.unwrap();
                let DataHeader::Checkpoint { turn, transcript_bytes, with_changes } = header else {
                    panic!("{header:?}")
                };
                let mut bytes = Vec::new();
                stream.read_to_end(&mut bytes).await.unwrap();
                data::answer(&mut stream, &answer).await.unwrap();
                let tar = bytes.split_off(usize::try_from(transcript_bytes).unwrap());
                assert!(with_changes || tar.is_empty());
                let files = with_changes.then(|| {
                    let mut tar = tar::Archive::new(tar.as_slice());
                    let entries = tar.entries().unwrap().skip(1).map(|entry| {
                        let mut entry = entry.unwrap();
                        let name = entry.path().unwrap().display().to_string();
                        (name, entry.read_to_end(&mut Vec::new()).unwrap())
                    });
                    entries.collect()
                });
                Got { turn, transcript: String::from_utf8(bytes).unwrap(), files }
            };
            tokio::join!(self.checkpoints.save(turn, text.as_bytes(), look), host)
        }

        async fn saved(&mut self, turn: u32, look: bool) -> Option<Vec<(String, usize)>> {
            let (saved, got) = self.save(turn, "line\n", look, StreamAnswer::Done).await;
            assert_eq!((got.turn, got.transcript.as_str()), (turn, "line\n"));
            assert_eq!(saved.unwrap(), got.files.is_some());
            got.files
        }

        fn write(&self, name: &str, content: &str) {
            fs::write(self.root.path().join(name), content).unwrap();
        }

        /// Until the clock of the file system is well past what was written.
        async fn settled(&self) {
            while !is_settled(&Manifest::take(self.root.path()).unwrap()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }

    #[tokio::test]
    async fn files_go_only_with_turns_that_changed_some() {
        let mut rig = rig(false);
        assert_eq!(rig.saved(1, false).await, None);
        rig.write("b.txt", "four");
        rig.settled().await;
        assert_eq!(rig.saved(2, true).await, Some(vec![("b.txt".into(), 4)]));
        assert_eq!(rig.saved(3, true).await, None, "nothing changed since");
        rig.write("a.txt", "two");
        rig.settled().await;
        assert_eq!(rig.saved(4, false).await, None, "nobody said that anything changed");
        assert_eq!(
            rig.saved(5, true).await,
            Some(vec![("a.txt".into(), 3), ("b.txt".into(), 4)]),
            "all changes, every time"
        );
        fs::remove_file(rig.root.path().join("b.txt")).unwrap();
        assert_eq!(rig.saved(6, true).await, Some(vec![("a.txt".into(), 3)]));
    }

    #[tokio::test]
    async fn a_file_written_twice_within_a_tick_of_the_clock_is_not_missed() {
        let mut rig = rig(false);
        for turn in 1..=20 {
            rig.write("b.txt", &format!("{turn:04}"));
            assert_eq!(rig.saved(turn, true).await, Some(vec![("b.txt".into(), 4)]), "turn {turn}");
        }
    }

    #[tokio::test]
    async fn what_was_restored_goes_with_the_first_turn_even_if_it_is_gone() {
        let mut rig = rig(true);
        assert_eq!(rig.saved(7, false).await, Some(Vec::new()));
        rig.settled().await;
        rig.saved(8, true).await;
        assert_eq!(rig.saved(9, true).await, None);
    }

    #[tokio::test]
    async fn a_turn_that_was_not_saved_is_saved_whole_the_next_time() {
        let mut rig = rig(false);
        rig.write("b.txt", "four");
        rig.settled().await;
        let full = StreamAnswer::Failed { detail: "no room".into() };
        let (saved, got) = rig.save(1, "line\n", true, full).await;
        assert_eq!(saved.unwrap_err().to_string(), "no room");
        assert!(got.files.is_some());
        assert_eq!(rig.saved(1, false).await, Some(vec![("b.txt".into(), 4)]));
    }
}
