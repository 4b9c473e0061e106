//! Output on its way from a guest to the readers of its log.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bus_schemas::{
    id::AttemptRef,
    v1::task::{LogChunk, LogSource},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use crate::{
    adapter::{
        bus::{self, HostBus},
        session::Output,
    },
    driver::now,
};

/// The longest output waits for more of its kind.
const BATCH_WAIT: Duration = Duration::from_millis(100);
/// The longest text of a chunk, in bytes.
const CHUNK_BYTES: usize = 32 * 1024;
/// Chunks kept while the bus is away (8 MiB); older ones are dropped, and the gap in the sequence tells.
const BACKLOG: usize = 256;
/// Lines of the host that wait to be published.
const LINES: usize = 64;
/// The longest line of the host, in bytes.
const LINE_BYTES: usize = 2 * 1024;
/// What is kept of the end of the output, in bytes.
pub const TAIL_BYTES: usize = 4 * 1024;

/// The end of what was printed, shared with whoever reports a failure.
#[derive(Clone, Debug, Default)]
pub struct Tail(Arc<Mutex<VecDeque<u8>>>);

impl Tail {
    fn push(&self, bytes: &[u8]) {
        let mut tail = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let keep = &bytes[bytes.len().saturating_sub(TAIL_BYTES)..];
        let over = (tail.len() + keep.len()).saturating_sub(TAIL_BYTES);
        tail.drain(..over);
        tail.extend(keep);
    }

    /// The text; bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn text(&self) -> String {
        let mut tail = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(tail.make_contiguous()).into_owned()
    }
}

/// Cuts output into chunks and publishes them. One per attempt: its sequence goes on from the program to the checks.
#[derive(Debug)]
pub struct LogPump {
    bus: HostBus,
    attempt: AttemptRef,
    sequence: u64,
    bytes_left: u64,
    pending: BTreeMap<u8, (LogSource, Vec<u8>)>,
    backlog: VecDeque<LogChunk>,
    lines: (mpsc::Sender<String>, mpsc::Receiver<String>),
}

impl LogPump {
    /// A pump that lets `output_bytes` through.
    #[must_use]
    pub fn new(bus: HostBus, attempt: AttemptRef, output_bytes: u64) -> Self {
        let (pending, backlog, lines) = (BTreeMap::new(), VecDeque::new(), mpsc::channel(LINES));
        Self { bus, attempt, sequence: 0, bytes_left: output_bytes, pending, backlog, lines }
    }

    /// Takes lines of the host while the pump runs.
    #[must_use]
    pub fn lines(&self) -> mpsc::Sender<String> {
        self.lines.0.clone()
    }

    /// Adds a line of the host; published when the pump runs next.
    pub fn note(&mut self, line: &str) {
        let end = line.floor_char_boundary(LINE_BYTES.min(line.len()));
        let line: String = line[..end].chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        self.take(&Output { source: LogSource::Host, bytes: format!("{line}\n").into() });
    }

    /// Pumps until `stopped` is over (its sender dropped) and the queue is empty, or the queue's sender is gone.
    pub async fn run(&mut self, output: &mut mpsc::Receiver<Output>, mut stopped: oneshot::Receiver<()>, tail: &Tail) {
        let mut due: Option<Instant> = None;
        loop {
            let timer = async {
                match due {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // Output first: whoever says stop has put the last of it into the queue before.
                biased;
                piece = output.recv() => match piece {
                    None => break,
                    Some(piece) => {
                        tail.push(&piece.bytes);
                        if self.take(&piece) {
                            self.flush(false).await;
                        }
                        due = due.or_else(|| Some(Instant::now() + BATCH_WAIT));
                    }
                },
                Some(line) = self.lines.1.recv() => {
                    self.note(&line);
                    due = due.or_else(|| Some(Instant::now() + BATCH_WAIT));
                }
                _ = &mut stopped => break,
                () = timer => {
                    self.flush(false).await;
                    due = (!self.backlog.is_empty()).then(|| Instant::now() + BATCH_WAIT);
                }
            }
        }
        self.flush(true).await;
    }

    /// Publishes the lines that are waiting while the pump does not run.
    pub async fn catch_up(&mut self) {
        while let Ok(line) = self.lines.1.try_recv() {
            self.note(&line);
        }
        self.flush(true).await;
    }

    /// Adds a piece; says whether there is enough for a chunk.
    fn take(&mut self, piece: &Output) -> bool {
        let count = piece.bytes.len().min(usize::try_from(self.bytes_left).unwrap_or(usize::MAX));
        self.bytes_left = self.bytes_left.saturating_sub(count as u64);
        let (_, pending) = self.pending.entry(piece.source as u8).or_insert_with(|| (piece.source, Vec::new()));
        pending.extend_from_slice(&piece.bytes[..count]);
        pending.len() >= CHUNK_BYTES
    }

    async fn flush(&mut self, last: bool) {
        let at = now();
        for (source, pending) in self.pending.values_mut() {
            for text in texts(pending, last) {
                let (attempt, source, sequence) = (self.attempt, *source, self.sequence);
                self.sequence += 1;
                self.backlog.push_back(LogChunk { attempt, source, sequence, received_at: at, text });
            }
        }
        let over = self.backlog.len().saturating_sub(BACKLOG);
        self.backlog.drain(..over);
        while self.bus.is_connected()
            && let Some(chunk) = self.backlog.pop_front()
        {
            if let Err(error) = self.bus.log(chunk, bus::fresh_id()).await {
                tracing::warn!(%error, "output is lost");
            }
        }
    }
}

/// Takes texts of at most [`CHUNK_BYTES`] out of `pending`; a character that is not whole yet stays, unless it is the end.
fn texts(pending: &mut Vec<u8>, last: bool) -> Vec<String> {
    let whole = match std::str::from_utf8(pending) {
        Err(e) if e.error_len().is_none() && !last => e.valid_up_to(),
        _ => whole_prefix(pending, last),
    };
    let ready: Vec<u8> = pending.drain(..whole).collect();
    let mut texts = Vec::new();
    // Replacing a bad byte makes three of one: cut so that the text still fits.
    let mut rest = String::from_utf8_lossy(&ready).into_owned();
    while rest.len() > CHUNK_BYTES {
        let cut = (0..=CHUNK_BYTES).rev().find(|&at| rest.is_char_boundary(at)).unwrap_or(0);
        let tail = rest.split_off(cut);
        texts.push(std::mem::replace(&mut rest, tail));
    }
    if !rest.is_empty() {
        texts.push(rest);
    }
    texts
}

/// How much of bytes that are not (all) UTF-8 can go: all but a character begun at the very end.
fn whole_prefix(bytes: &[u8], last: bool) -> usize {
    if last {
        return bytes.len();
    }
    let tail = bytes.len().saturating_sub(3);
    for at in tail..bytes.len() {
        if matches!(std::str::from_utf8(&bytes[at..]), Err(e) if e.error_len().is_none() && e.valid_up_to() == 0) {
            return at;
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::*;

    proptest! {
        /// However output is cut into pieces, the text is what it would be in one piece, in chunks that fit.
        #[test]
        fn text_survives_any_cut(bytes in proptest::collection::vec(any::<u8>(), 0..400), cut in 1..9_usize, text in "\\PC{0,60}") {
            for whole in [bytes.as_slice(), text.as_bytes()] {
                let mut pending = Vec::new();
                let mut seen = String::new();
                for piece in whole.chunks(cut) {
                    pending.extend_from_slice(piece);
                    seen.extend(texts(&mut pending, false));
                    prop_assert!(pending.len() < 4);
                }
                seen.extend(texts(&mut pending, true));
                prop_assert_eq!(seen, String::from_utf8_lossy(whole));
            }
        }
    }

    #[test]
    fn no_chunk_is_too_long_and_the_tail_is_the_end() {
        let mut pending = vec![0xff; CHUNK_BYTES];
        let chunks = texts(&mut pending, true);
        assert_eq!(chunks.iter().map(|c| c.chars().count()).sum::<usize>(), CHUNK_BYTES);
        assert!(chunks.iter().all(|c| c.len() <= CHUNK_BYTES));

        let tail = Tail::default();
        tail.push(&[b'a'; TAIL_BYTES]);
        tail.push(b"end");
        assert_eq!(tail.text().len(), TAIL_BYTES);
        assert!(tail.text().ends_with("aend"));
    }
}
