//! The tar of changes as it comes out of a guest.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, ReadBuf},
    time::{Instant, Sleep},
};

use super::inbound::DataStream;

/// A tar ends in two empty blocks; without them it was cut.
const TRAILER_BYTES: u64 = 1024;

/// Reads the tar of changes. Errors: `TimedOut` at the deadline, `FileTooLarge` when the guest sends more than it was
/// allowed, `UnexpectedEof` when the tar was cut. What is inside is the guest's word: paths, kinds and
/// sizes must be validated by whoever unpacks it.
#[derive(Debug)]
pub struct Changes<S = DataStream> {
    head: [u8; 4],
    head_read: usize,
    stream: S,
    deadline: Pin<Box<Sleep>>,
    left: u64,
    zeros: u64,
}

impl<S> Changes<S> {
    pub(super) fn new(head: [u8; 4], stream: S, limit_bytes: u64, deadline: Instant) -> Self {
        let deadline = Box::pin(tokio::time::sleep_until(deadline));
        Self { head, head_read: 0, stream, deadline, left: limit_bytes, zeros: 0 }
    }

    /// Counts what was read, and the zeros at its end.
    fn account(&mut self, bytes: &[u8]) -> io::Result<()> {
        let count = bytes.len() as u64;
        self.left = self.left.checked_sub(count).ok_or_else(|| {
            io::Error::new(io::ErrorKind::FileTooLarge, "more changes than the guest was allowed to send")
        })?;
        let zeros = bytes.iter().rev().take_while(|byte| **byte == 0).count() as u64;
        self.zeros = if zeros == count { self.zeros.saturating_add(zeros) } else { zeros };
        Ok(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Changes<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if this.head_read < this.head.len() {
            let count = buf.remaining().min(this.head.len() - this.head_read);
            let head = this.head;
            let piece = &head[this.head_read..this.head_read + count];
            this.head_read += count;
            this.account(piece)?;
            buf.put_slice(piece);
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        match Pin::new(&mut this.stream).poll_read(cx, buf) {
            Poll::Ready(Ok(())) if buf.filled().len() == before => {
                if this.zeros < TRAILER_BYTES {
                    let cut = io::Error::new(io::ErrorKind::UnexpectedEof, "the tar of changes was cut");
                    return Poll::Ready(Err(cut));
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Ok(())) => {
                let counted = this.account(&buf.filled()[before..]);
                if counted.is_err() {
                    buf.set_filled(before);
                }
                Poll::Ready(counted)
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => match this.deadline.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the guest did not send its changes in time",
                ))),
                Poll::Pending => Poll::Pending,
            },
        }
    }
}
