//! The data port: a yamux connection with the host as client. One task drives it; what the guest opens is served by a task
//! each ([`super::inbound`]).

use std::{future::poll_fn, task::Poll};

use bus_schemas::{frame, v1::guest::DataHeader};
use tokio::{
    io::AsyncWriteExt,
    net::UnixStream,
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::Instant,
};
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt, TokioAsyncReadCompatExt};

use super::{
    error::{Health, SessionError},
    inbound::{Allowance, Inbound},
};

/// Streams open at once, both ways: connections, those that end just now, and the protocol's own.
const MAX_STREAMS: usize = 128;
/// What yamux may hold for readers that lag, over all streams, in bytes.
const RECEIVE_WINDOW: usize = MAX_STREAMS * 256 * 1024;
/// Streams asked for but not yet opened; callers ask one at a time.
const OPEN_QUEUE: usize = 4;

type Opening = oneshot::Sender<Result<yamux::Stream, String>>;

/// The callers' side of the data port.
#[derive(Debug)]
pub(super) struct Data {
    opens: mpsc::Sender<Opening>,
    inbound: Inbound,
    health: Health,
}

impl Data {
    /// Starts the connection in `tasks`; what the guest opens goes to `inbound`.
    pub(super) fn start(port: UnixStream, inbound: Inbound, health: &Health, tasks: &mut JoinSet<()>) -> Self {
        let mut config = yamux::Config::default();
        config.set_max_num_streams(MAX_STREAMS).set_max_connection_receive_window(Some(RECEIVE_WINDOW));
        let connection = yamux::Connection::new(port.compat(), config, yamux::Mode::Client);
        let (opens, queue) = mpsc::channel(OPEN_QUEUE);
        tasks.spawn(drive(connection, queue, inbound.clone(), health.clone()));
        Self { opens, inbound, health: health.clone() }
    }

    /// Allows the streams of one assignment.
    pub(super) fn allow(&self, allowance: &Allowance) {
        self.inbound.allow(allowance);
    }

    /// Waits until every output stream that was expected came and ended. Cancel safe.
    pub(super) async fn outputs_ended(&self) {
        self.inbound.outputs_ended().await;
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
    inbound: Inbound,
    health: Health,
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
                if !inbound.is_open() {
                    health.protocol("it opened a stream it was not asked for");
                    return;
                }
                readers.spawn(inbound.clone().serve(stream.compat()));
            }
            Next::Ended(detail) => return health.lost(detail),
        }
        while readers.try_join_next().is_some() {}
    }
}
