//! The data port: a yamux connection with the host as client. One task drives it; the guest's output streams are read by a task each.

use std::{future::poll_fn, sync::Arc, task::Poll, time::Duration};

use bus_schemas::{
    frame,
    v1::{guest::DataHeader, task::LogSource},
};
use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
    time::Instant,
};
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt, TokioAsyncReadCompatExt};

use super::{
    error::{Health, SessionError},
    host::Output,
};

/// Streams open at once, both ways; the protocol needs four.
const MAX_STREAMS: usize = 16;
/// What yamux may hold for readers that lag, over all streams, in bytes.
const RECEIVE_WINDOW: usize = 16 * 1024 * 1024;
/// Pieces of output waiting for the caller; with [`PIECE_BYTES`] 1 MiB, then the guest has to wait.
pub(super) const OUTPUT_QUEUE: usize = 32;
/// The largest piece of output handed over at once, in bytes (the largest log chunk).
const PIECE_BYTES: usize = 32 * 1024;
/// Streams asked for but not yet opened; callers ask one at a time.
const OPEN_QUEUE: usize = 4;
/// A header is a short line.
const HEADER_BYTES: usize = 1024;
/// A guest that opens a stream says at once what it is; generous for emulated guests.
const HEADER_WAIT: Duration = Duration::from_secs(20);

type Opening = oneshot::Sender<Result<yamux::Stream, String>>;

/// The callers' side of the data port.
#[derive(Debug)]
pub(super) struct Data {
    opens: mpsc::Sender<Opening>,
    outputs: Arc<watch::Sender<Outputs>>,
    health: Health,
}

/// What the guest may print, and what it did.
#[derive(Debug, Default)]
struct Outputs {
    streams_allowed: usize,
    streams_opened: usize,
    streams_ended: usize,
    bytes_left: u64,
}

impl Data {
    /// Starts the connection in `tasks`; output goes to `output`.
    pub(super) fn start(
        port: UnixStream,
        output: mpsc::Sender<Output>,
        health: &Health,
        tasks: &mut JoinSet<()>,
    ) -> Self {
        let mut config = yamux::Config::default();
        config.set_max_num_streams(MAX_STREAMS).set_max_connection_receive_window(Some(RECEIVE_WINDOW));
        let connection = yamux::Connection::new(port.compat(), config, yamux::Mode::Client);
        let (opens, queue) = mpsc::channel(OPEN_QUEUE);
        let outputs = Arc::new(watch::Sender::new(Outputs::default()));
        let reader = OutputReader { output, outputs: Arc::clone(&outputs), health: health.clone() };
        tasks.spawn(drive(connection, queue, reader));
        Self { opens, outputs, health: health.clone() }
    }

    /// Allows the output streams of one assignment.
    pub(super) fn expect_output(&self, streams: usize, bytes: u64) {
        self.outputs.send_modify(|outputs| {
            outputs.streams_allowed += streams;
            outputs.bytes_left = outputs.bytes_left.saturating_add(bytes);
        });
    }

    /// Waits until every output stream that was expected came and ended. Cancel safe.
    pub(super) async fn outputs_ended(&self) {
        let mut outputs = self.outputs.subscribe();
        let _ = outputs.wait_for(|outputs| outputs.streams_ended >= outputs.streams_allowed).await;
    }

    /// Opens a stream and says what it is.
    pub(super) async fn open(
        &self,
        header: &DataHeader,
        what: &'static str,
        deadline: Instant,
    ) -> Result<Compat<yamux::Stream>, SessionError> {
        self.health.check()?;
        let body = serde_json::to_vec(header)
            .map_err(|error| SessionError::Input { what: "a stream's header", detail: error.to_string() })?;
        let head = frame::encode(&body)
            .map_err(|error| SessionError::Input { what: "a stream's header", detail: error.to_string() })?;
        let opening = async {
            let (sender, opened) = oneshot::channel();
            let lost = |detail: String| SessionError::Lost { detail };
            self.opens.send(sender).await.map_err(|_| lost("the data port is closed".into()))?;
            let stream = opened.await.map_err(|_| lost("the data port is closed".into()))?.map_err(lost)?;
            let mut stream = stream.compat();
            stream.write_all(&head).await.map_err(|error| lost(format!("write to the data port: {error}")))?;
            stream.flush().await.map_err(|error| lost(format!("write to the data port: {error}")))?;
            Ok(stream)
        };
        tokio::select! {
            biased;
            error = self.health.failed() => Err(error),
            stream = opening => stream,
            () = tokio::time::sleep_until(deadline) => Err(SessionError::TimedOut { what }),
        }
    }
}

/// Moves the connection's bytes until it ends.
async fn drive(
    mut connection: yamux::Connection<Compat<UnixStream>>,
    mut opens: mpsc::Receiver<Opening>,
    reader: OutputReader,
) {
    enum Next {
        Inbound(yamux::Stream),
        Opened(Result<yamux::Stream, String>),
        Ended(String),
    }
    let mut opening: Option<Opening> = None;
    let mut readers = JoinSet::new();
    loop {
        let next = poll_fn(|cx| {
            if opening.is_none()
                && let Poll::Ready(Some(asked)) = opens.poll_recv(cx)
            {
                opening = Some(asked);
            }
            if opening.is_some()
                && let Poll::Ready(opened) = connection.poll_new_outbound(cx)
            {
                return Poll::Ready(Next::Opened(opened.map_err(|error| format!("open a data stream: {error}"))));
            }
            connection.poll_next_inbound(cx).map(|inbound| match inbound {
                Some(Ok(stream)) => Next::Inbound(stream),
                Some(Err(error)) => Next::Ended(format!("the data port: {error}")),
                None => Next::Ended("it closed the data port".into()),
            })
        })
        .await;
        match next {
            Next::Opened(opened) => {
                if let Some(asked) = opening.take() {
                    let _ = asked.send(opened);
                }
            }
            Next::Inbound(stream) => {
                if reader.admit() {
                    readers.spawn(reader.clone().read(stream.compat()));
                } else {
                    reader.health.protocol("it opened a stream it was not asked for");
                    return;
                }
            }
            Next::Ended(detail) => return reader.health.lost(detail),
        }
        while readers.try_join_next().is_some() {}
    }
}

/// Reads output streams.
#[derive(Clone)]
struct OutputReader {
    output: mpsc::Sender<Output>,
    outputs: Arc<watch::Sender<Outputs>>,
    health: Health,
}

impl OutputReader {
    /// Counts a new stream in, if one is still expected.
    fn admit(&self) -> bool {
        self.outputs.send_if_modified(|outputs| {
            let expected = outputs.streams_opened < outputs.streams_allowed;
            outputs.streams_opened += usize::from(expected);
            expected
        })
    }

    /// Takes `count` bytes out of what the guest may print.
    fn charge(&self, count: usize) -> bool {
        self.outputs.send_if_modified(|outputs| match outputs.bytes_left.checked_sub(count as u64) {
            Some(left) => {
                outputs.bytes_left = left;
                true
            }
            None => false,
        })
    }

    async fn read(self, mut stream: Compat<yamux::Stream>) {
        match tokio::time::timeout(HEADER_WAIT, read_header(&mut stream)).await {
            Ok(Ok(source)) => self.pass_on(source, stream).await,
            Ok(Err(detail)) => {
                self.health.protocol(detail);
            }
            Err(_) => {
                self.health.protocol("a stream without a header");
            }
        }
        self.outputs.send_modify(|outputs| outputs.streams_ended += 1);
    }

    async fn pass_on(&self, source: LogSource, mut stream: Compat<yamux::Stream>) {
        let mut buffer = vec![0; PIECE_BYTES];
        loop {
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(count) if self.charge(count) => {
                    // Nobody listening is no reason to stop the guest: it is read and dropped.
                    let _ = self.output.send(Output { source, bytes: Bytes::copy_from_slice(&buffer[..count]) }).await;
                }
                Ok(_) => {
                    self.health.protocol("it sent more output than it was allowed to");
                    return;
                }
            }
        }
    }
}

async fn read_header(stream: &mut Compat<yamux::Stream>) -> Result<LogSource, String> {
    let fail = |error: std::io::Error| format!("read a stream's header: {error}");
    let length = stream.read_u32().await.map_err(fail)? as usize;
    if length > HEADER_BYTES {
        return Err(format!("a stream's header of {length} bytes"));
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.map_err(fail)?;
    match serde_json::from_slice(&body) {
        Ok(DataHeader::Output { source: LogSource::Host }) => Err("output in the host's name".into()),
        Ok(DataHeader::Output { source }) => Ok(source),
        Ok(other) => Err(format!("it opened a stream of the wrong kind: {other:?}")),
        Err(error) => Err(format!("a stream's header is no header: {error}")),
    }
}
