//! The data port: a yamux connection with the guest as server, driven by one task.

use std::{future::poll_fn, io, task::Poll, time::Duration};

use bus_schemas::{
    frame,
    v1::guest::{DataHeader, StreamAnswer},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::{mpsc, oneshot},
};
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt, TokioAsyncReadCompatExt};

/// One stream of the data port.
pub(crate) type Stream = Compat<yamux::Stream>;

/// Streams asked for but not yet opened.
const OPEN_QUEUE: usize = 16;
/// Streams the host opened that the driver has not looked at yet; the host opens one at a time.
const INBOUND_QUEUE: usize = 4;
/// Streams open at once: the connections of [`super::loopback`], and a few for everything else.
const MAX_STREAMS: usize = super::loopback::MAX_CONNECTIONS + 16;
/// What yamux may hold for readers that lag, in bytes: a guest has little memory, and yamux wants so much for every stream.
const RECEIVE_WINDOW: usize = MAX_STREAMS * 256 * 1024;
/// A header is a short line.
const HEADER_BYTES: usize = 1024;
/// An answer may quote an error.
const ANSWER_BYTES: usize = 64 * 1024;
/// The host says at once what a stream is.
const HEADER_WAIT: Duration = Duration::from_secs(20);

/// Opens streams. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Opener(mpsc::Sender<oneshot::Sender<io::Result<yamux::Stream>>>);

impl Opener {
    /// Opens a stream and says what it is.
    pub(crate) async fn open(&self, header: &DataHeader) -> io::Result<Stream> {
        let closed = || io::Error::new(io::ErrorKind::BrokenPipe, "the data port is closed");
        let (sender, opened) = oneshot::channel();
        self.0.send(sender).await.map_err(|_| closed())?;
        let mut stream = opened.await.map_err(|_| closed())??.compat();
        let head = frame::encode(&serde_json::to_vec(header)?).map_err(io::Error::other)?;
        stream.write_all(&head).await?;
        stream.flush().await?;
        Ok(stream)
    }
}

/// Starts the connection as `mode` has it (the guest is the server): what opens streams, what the other side opens, and
/// the future that moves the bytes.
pub(crate) fn start<P>(port: P, mode: yamux::Mode) -> (Opener, mpsc::Receiver<Stream>, impl Future<Output = ()>)
where
    P: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut config = yamux::Config::default();
    config.set_max_num_streams(MAX_STREAMS).set_max_connection_receive_window(Some(RECEIVE_WINDOW));
    let mut connection = yamux::Connection::new(port.compat(), config, mode);
    let (opener, mut opens) = mpsc::channel::<oneshot::Sender<io::Result<yamux::Stream>>>(OPEN_QUEUE);
    let (inbound, arrived) = mpsc::channel(INBOUND_QUEUE);
    let drive = async move {
        let mut opening: Option<oneshot::Sender<_>> = None;
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
                    if let Some(asked) = opening.take() {
                        let _ = asked.send(opened.map_err(io::Error::other));
                    }
                    cx.waker().wake_by_ref();
                }
                connection.poll_next_inbound(cx)
            })
            .await;
            match next {
                // A stream that nobody has room for is dropped, which resets it.
                Some(Ok(stream)) => drop(inbound.try_send(stream.compat())),
                Some(Err(error)) => {
                    tracing::warn!(%error, "data port");
                    return;
                }
                None => return,
            }
        }
    };
    (Opener(opener), arrived, drive)
}

/// Reads what a stream is.
pub(crate) async fn read_header(stream: &mut Stream) -> io::Result<DataHeader> {
    let body = tokio::time::timeout(HEADER_WAIT, read_frame(stream, HEADER_BYTES)).await??;
    Ok(serde_json::from_slice(&body)?)
}

/// Reads how the host answers a stream.
pub(crate) async fn read_answer(stream: &mut Stream) -> io::Result<StreamAnswer> {
    Ok(serde_json::from_slice(&read_frame(stream, ANSWER_BYTES).await?)?)
}

/// Answers a stream and ends it.
pub(crate) async fn answer(stream: &mut Stream, answer: &StreamAnswer) -> io::Result<()> {
    let frame = frame::encode(&serde_json::to_vec(answer)?).map_err(io::Error::other)?;
    stream.write_all(&frame).await?;
    stream.shutdown().await
}

async fn read_frame(stream: &mut Stream, limit: usize) -> io::Result<Vec<u8>> {
    let length = stream.read_u32().await? as usize;
    if length > limit {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a frame of {length} bytes on a stream")));
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(body)
}
