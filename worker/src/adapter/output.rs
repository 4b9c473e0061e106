//! What programs print: counted, kept at its end, and sent to the host up to a limit.

use std::{
    collections::VecDeque,
    io,
    os::fd::OwnedFd,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bus_schemas::v1::{guest::DataHeader, task::LogSource};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::unix::pipe,
};

use super::data::{Opener, Stream};

/// Read from a pipe at once, in bytes (what a pipe holds).
const READ_BYTES: usize = 64 * 1024;
/// The end of a stream may take so long to reach a slow host.
const CLOSE_WAIT: Duration = Duration::from_secs(10);

/// How much may still be sent, shared by the streams of one assignment.
#[derive(Debug)]
pub(crate) struct Budget {
    left: AtomicU64,
    printed: AtomicU64,
}

impl Budget {
    pub(crate) const fn new(bytes: u64) -> Self {
        Self { left: AtomicU64::new(bytes), printed: AtomicU64::new(0) }
    }

    /// Bytes printed so far, sent or not.
    pub(crate) fn printed(&self) -> u64 {
        self.printed.load(Ordering::Relaxed)
    }

    /// Counts `bytes` as printed; returns how many of them may be sent.
    pub(super) fn charge(&self, bytes: usize) -> usize {
        self.printed.fetch_add(bytes as u64, Ordering::Relaxed);
        let take = |left: u64| Some(left.saturating_sub(bytes as u64));
        let before = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).unwrap_or(0);
        usize::try_from(before).unwrap_or(usize::MAX).min(bytes)
    }
}

/// The last bytes of something long.
#[derive(Debug)]
pub(crate) struct Tail {
    bytes: VecDeque<u8>,
    limit: usize,
}

impl Tail {
    pub(crate) const fn new(limit: usize) -> Self {
        Self { bytes: VecDeque::new(), limit }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let bytes = &bytes[bytes.len().saturating_sub(self.limit)..];
        let over = (self.bytes.len() + bytes.len()).saturating_sub(self.limit);
        self.bytes.drain(..over);
        self.bytes.extend(bytes);
    }

    /// As text of at most the limit; what is no UTF-8 (or was cut) is replaced.
    pub(crate) fn text(&self) -> String {
        let bytes: Vec<u8> = self.bytes.iter().copied().collect();
        let text = String::from_utf8_lossy(&bytes);
        // Replacement characters are longer than what they replace.
        text[text.ceil_char_boundary(text.len().saturating_sub(self.limit))..].to_string()
    }

    /// The last line that is not blank.
    pub(crate) fn last_line(&self) -> Option<String> {
        self.text().lines().rev().map(str::trim).find(|line| !line.is_empty()).map(str::to_string)
    }
}

/// An output stream to the host. When the host does not want it any more, the bytes are dropped and the program goes on.
#[derive(Debug)]
pub(crate) struct Sink(Option<Stream>);

impl Sink {
    /// Opens the stream.
    pub(crate) async fn open(opener: &Opener, source: LogSource) -> io::Result<Self> {
        Ok(Self(Some(opener.open(&DataHeader::Output { source }).await?)))
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) {
        if let Some(stream) = &mut self.0
            && stream.write_all(bytes).await.is_err()
        {
            self.0 = None;
        }
    }

    /// Sends a line of the worker's own; it is not counted as printed.
    pub(crate) async fn heading(&mut self, text: &str) {
        self.write(text.as_bytes()).await;
    }

    /// Ends the stream.
    pub(crate) async fn close(mut self) {
        if let Some(stream) = &mut self.0 {
            let _ = tokio::time::timeout(CLOSE_WAIT, stream.shutdown()).await;
        }
    }
}

/// Reads a pipe to its end. A host that lags holds up the program, as a full pipe does; beyond the budget nothing holds it up.
pub(crate) async fn pump(pipe: OwnedFd, sink: &mut Sink, budget: &Budget, tail: &Mutex<Tail>) -> io::Result<()> {
    let mut pipe = pipe::Receiver::from_owned_fd(pipe)?;
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let count = pipe.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        if let Ok(mut tail) = tail.lock() {
            tail.push(&buffer[..count]);
        }
        let send = budget.charge(count);
        if send > 0 {
            sink.write(&buffer[..send]).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_keeps_the_end_within_its_limit() {
        let mut tail = Tail::new(8);
        for piece in ["one\n", "two\n", "three\n", "  \n"] {
            tail.push(piece.as_bytes());
        }
        assert_eq!(tail.text(), "hree\n  \n");
        assert_eq!(tail.last_line().as_deref(), Some("hree"));
        tail.push(&[0xff; 100]);
        assert!(tail.text().len() <= 8, "replacement characters count");
        tail.push("x".repeat(100).as_bytes());
        assert_eq!(tail.text(), "xxxxxxxx");
    }

    #[test]
    fn a_budget_counts_everything_and_lets_its_limit_through() {
        let budget = Budget::new(10);
        assert_eq!([budget.charge(4), budget.charge(4), budget.charge(4), budget.charge(4)], [4, 4, 2, 0]);
        assert_eq!(budget.printed(), 16);
    }
}
