//! What the guest opens: output, connections of its programs, checkpoints of its agent. Each kind only when the assignment allows it.

use std::{sync::Arc, time::Duration};

use bus_schemas::v1::{
    guest::{DataHeader, Service},
    task::LogSource,
};
use bytes::Bytes;
use tokio::{
    io::AsyncReadExt,
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
};
use tokio_util::compat::Compat;

use super::{checkpoint::SavedTurn, error::Health, host::Output};

/// A stream of the data port.
pub type DataStream = Compat<yamux::Stream>;

/// Pieces of output waiting for the caller; with [`PIECE_BYTES`] 1 MiB, then the guest has to wait.
const OUTPUT_QUEUE: usize = 32;
/// The largest piece of output handed over at once, in bytes (the largest log chunk).
const PIECE_BYTES: usize = 32 * 1024;
/// A header is a short line.
const HEADER_BYTES: usize = 1024;
/// A guest that opens a stream says at once what it is; generous for emulated guests.
const HEADER_WAIT: Duration = Duration::from_secs(20);
/// Connections at once; further ones are closed as they come.
pub const MAX_CONNECTIONS: usize = 64;

/// What the guest of one assignment may open.
#[derive(Clone, Debug, Default)]
pub(super) struct Allowance {
    /// Output, exactly one stream each.
    pub(super) sources: Vec<LogSource>,
    /// Output over all of them, in bytes.
    pub(super) output_bytes: u64,
    /// Connections to these; others are closed as they come: it is programs that ask for them, not the worker.
    pub(super) services: Vec<Service>,
    /// Checkpoints.
    pub(super) checkpoints: bool,
}

/// A connection of a program in the guest.
#[derive(Debug)]
pub struct Connection {
    /// To what.
    pub service: Service,
    /// The bytes, both ways.
    pub stream: DataStream,
    /// Counts it among the connections there may be at once.
    pub permit: OwnedSemaphorePermit,
}

/// Where what the guest opened arrives.
#[derive(Debug)]
pub(super) struct Arrivals {
    pub(super) output: mpsc::Receiver<Output>,
    pub(super) connections: mpsc::Receiver<Connection>,
    pub(super) checkpoints: mpsc::Receiver<SavedTurn>,
}

/// What may still come, and what came.
#[derive(Debug, Default)]
struct Books {
    assigned: bool,
    sources: Vec<LogSource>,
    streams_allowed: usize,
    streams_ended: usize,
    bytes_left: u64,
    services: Vec<Service>,
    checkpoints: bool,
}

/// Serves the guest's streams. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Inbound {
    books: Arc<watch::Sender<Books>>,
    output: mpsc::Sender<Output>,
    connections: mpsc::Sender<Connection>,
    permits: Arc<Semaphore>,
    checkpoints: mpsc::Sender<SavedTurn>,
    health: Health,
}

impl Inbound {
    pub(super) fn new(health: &Health) -> (Self, Arrivals) {
        let (output, printed) = mpsc::channel(OUTPUT_QUEUE);
        let (connections, connected) = mpsc::channel(MAX_CONNECTIONS);
        let (checkpoints, saved) = mpsc::channel(1);
        let inbound = Self {
            books: Arc::new(watch::Sender::new(Books::default())),
            output,
            connections,
            permits: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
            checkpoints,
            health: health.clone(),
        };
        (inbound, Arrivals { output: printed, connections: connected, checkpoints: saved })
    }

    /// Whether the guest may open anything at all.
    pub(super) fn is_open(&self) -> bool {
        self.books.borrow().assigned
    }

    pub(super) fn allow(&self, allowance: &Allowance) {
        self.books.send_modify(|books| {
            books.assigned = true;
            books.streams_allowed += allowance.sources.len();
            books.sources.extend(&allowance.sources);
            books.bytes_left = books.bytes_left.saturating_add(allowance.output_bytes);
            books.services.clone_from(&allowance.services);
            books.checkpoints = allowance.checkpoints;
        });
    }

    pub(super) async fn outputs_ended(&self) {
        let mut books = self.books.subscribe();
        let _ = books.wait_for(|books| books.streams_ended >= books.streams_allowed).await;
    }

    /// Reads a stream's header and serves the stream as what it says it is.
    pub(super) async fn serve(self, mut stream: DataStream) {
        let header = match tokio::time::timeout(HEADER_WAIT, read_header(&mut stream)).await {
            Ok(Ok(header)) => header,
            Ok(Err(detail)) => return drop(self.health.protocol(detail)),
            Err(_) => return drop(self.health.protocol("a stream without a header")),
        };
        match header {
            DataHeader::Output { source } if self.admit(source) => {
                self.pass_on(source, stream).await;
                self.books.send_modify(|books| books.streams_ended += 1);
            }
            DataHeader::Connect { service } => self.connect(service, stream).await,
            DataHeader::Checkpoint { turn, transcript_bytes, with_changes } if self.books.borrow().checkpoints => {
                // They are saved one after the other; if nobody takes them, the stream ends unanswered.
                let _ = self.checkpoints.send(SavedTurn::new(turn, transcript_bytes, with_changes, stream)).await;
            }
            other => drop(self.health.protocol(format!("it opened a stream it was not asked for: {other:?}"))),
        }
    }

    /// Whether a stream of this output is still to come.
    fn admit(&self, source: LogSource) -> bool {
        self.books.send_if_modified(|books| match books.sources.iter().position(|&due| due == source) {
            Some(at) => {
                books.sources.swap_remove(at);
                true
            }
            None => false,
        })
    }

    /// Takes `count` bytes out of what the guest may print.
    fn charge(&self, count: usize) -> bool {
        self.books.send_if_modified(|books| match books.bytes_left.checked_sub(count as u64) {
            Some(left) => {
                books.bytes_left = left;
                true
            }
            None => false,
        })
    }

    async fn pass_on(&self, source: LogSource, mut stream: DataStream) {
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

    /// Hands a connection on; one that is not allowed, or too many, just ends.
    async fn connect(&self, service: Service, stream: DataStream) {
        if !self.books.borrow().services.contains(&service) {
            return;
        }
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            let _ = self.connections.send(Connection { service, stream, permit }).await;
        }
    }
}

async fn read_header(stream: &mut DataStream) -> Result<DataHeader, String> {
    let fail = |error: std::io::Error| format!("read a stream's header: {error}");
    let length = stream.read_u32().await.map_err(fail)? as usize;
    if length > HEADER_BYTES {
        return Err(format!("a stream's header of {length} bytes"));
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.map_err(fail)?;
    serde_json::from_slice(&body).map_err(|error| format!("a stream's header is no header: {error}"))
}
