//! A saved turn on its way out of a guest.

use std::{io, time::Duration};

use bus_schemas::{frame, v1::guest::StreamAnswer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::Instant,
};

use super::{changes::Changes, inbound::DataStream};

/// The most bytes one turn may append to the transcript.
pub const MAX_TRANSCRIPT_BYTES: u64 = 64 * 1024 * 1024;
/// A guest takes an answer within this, or goes without.
const ANSWER_WAIT: Duration = Duration::from_secs(20);
/// Read at once.
const COPY_BYTES: usize = 64 * 1024;

/// A turn that the guest wants to have saved. Read the transcript, then the changes, then answer; dropped without an
/// answer, the guest sees the stream end.
#[derive(Debug)]
pub struct SavedTurn {
    /// The turn, as the guest says.
    pub turn: u32,
    /// Bytes that follow for the transcript, as the guest says.
    pub transcript_bytes: u64,
    /// A tar of changes comes after them.
    pub with_changes: bool,
    stream: DataStream,
}

impl SavedTurn {
    pub(super) const fn new(turn: u32, transcript_bytes: u64, with_changes: bool, stream: DataStream) -> Self {
        Self { turn, transcript_bytes, with_changes, stream }
    }

    /// Copies what it appends to the transcript to `to`.
    ///
    /// # Errors
    /// `FileTooLarge` if it announced more than [`MAX_TRANSCRIPT_BYTES`], `UnexpectedEof` if it sent less than it announced,
    /// `TimedOut` at the deadline, or what `to` says.
    pub async fn transcript(
        &mut self,
        to: &mut (impl tokio::io::AsyncWrite + Unpin),
        deadline: Instant,
    ) -> io::Result<()> {
        if self.transcript_bytes > MAX_TRANSCRIPT_BYTES {
            let detail = format!("a turn of {} bytes; {MAX_TRANSCRIPT_BYTES} are allowed", self.transcript_bytes);
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, detail));
        }
        let mut left = self.transcript_bytes;
        let mut buffer = vec![0; COPY_BYTES];
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(COPY_BYTES).min(COPY_BYTES);
            let read = tokio::time::timeout_at(deadline, self.stream.read(&mut buffer[..most])).await;
            let count =
                read.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the turn did not come in time"))??;
            if count == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the turn was cut"));
            }
            to.write_all(&buffer[..count]).await?;
            left -= count as u64;
        }
        to.flush().await
    }

    /// The tar of changes, after the transcript: at most `limit_bytes`, whole or an error (see [`Changes`]).
    ///
    /// # Errors
    /// `UnexpectedEof` if there is none, `TimedOut` at the deadline.
    pub async fn changes(&mut self, limit_bytes: u64, deadline: Instant) -> io::Result<Changes<&mut DataStream>> {
        let mut head = [0; 4];
        let read = tokio::time::timeout_at(deadline, self.stream.read_exact(&mut head)).await;
        read.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the changes did not come in time"))??;
        Ok(Changes::new(head, &mut self.stream, limit_bytes, deadline))
    }

    /// Tells the guest what became of it. A guest that does not listen any more is no error.
    pub async fn answer(mut self, answer: &StreamAnswer) {
        let Some(frame) = serde_json::to_vec(answer).ok().and_then(|body| frame::encode(&body).ok()) else { return };
        let say = async {
            self.stream.write_all(&frame).await?;
            self.stream.flush().await?;
            // A guest that is still sending hears the answer when it has sent all, or sees the stream end when that takes long.
            let mut rest = vec![0; COPY_BYTES];
            while self.stream.read(&mut rest).await? > 0 {}
            self.stream.shutdown().await
        };
        if !matches!(tokio::time::timeout(ANSWER_WAIT, say).await, Ok(Ok(()))) {
            tracing::debug!("a checkpoint's answer was not taken");
        }
    }
}
