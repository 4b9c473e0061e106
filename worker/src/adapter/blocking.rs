//! Streams for code that blocks. Only for threads that may: they wait for the stream on the runtime they came from.

use std::io::{self, BufWriter, Read, Write};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime::Handle,
};

use super::data::Stream;

/// Written at once, in bytes.
const WRITE_BYTES: usize = 128 * 1024;

/// Reads a stream.
#[derive(Debug)]
pub(crate) struct BlockingReader {
    stream: Stream,
    runtime: Handle,
}

impl BlockingReader {
    /// Must be called inside a runtime.
    pub(crate) fn new(stream: Stream) -> Self {
        Self { stream, runtime: Handle::current() }
    }

    /// Gives the stream back.
    pub(crate) fn into_stream(self) -> Stream {
        self.stream
    }
}

impl Read for BlockingReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.runtime.block_on(self.stream.read(buf))
    }
}

/// Writes to a stream, through a buffer.
#[derive(Debug)]
pub(crate) struct BlockingWriter(BufWriter<Unbuffered>);

#[derive(Debug)]
struct Unbuffered {
    stream: Stream,
    runtime: Handle,
}

impl BlockingWriter {
    /// Must be called inside a runtime.
    pub(crate) fn new(stream: Stream) -> Self {
        Self(BufWriter::with_capacity(WRITE_BYTES, Unbuffered { stream, runtime: Handle::current() }))
    }

    /// Gives the stream back. What was not flushed is lost.
    pub(crate) fn into_stream(self) -> Stream {
        self.0.into_parts().0.stream
    }
}

impl Write for BlockingWriter {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Write for Unbuffered {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.runtime.block_on(self.stream.write(buf))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.runtime.block_on(self.stream.flush())
    }
}
