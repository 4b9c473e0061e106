//! The host's services at loopback addresses: every connection that a program makes becomes a stream of the data port.
//!
//! What is said on it is none of the worker's business. The gateway and the proxy are the host's; so are keys and rules.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use bus_schemas::v1::guest::{DataHeader, Service};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
};

use super::data::Opener;
use crate::port::Services;

/// Connections at once, both services together; more wait to be accepted. The host takes 64: a few are left for the agent itself.
pub(crate) const MAX_CONNECTIONS: usize = 60;
/// Copied at once, in bytes.
const COPY_BYTES: usize = 32 * 1024;
/// When nothing can be accepted (no descriptors left), something must end first.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// Both services, open as long as this lives.
#[derive(Debug)]
pub(crate) struct Loopback {
    /// Where the model gateway is.
    pub(crate) models: SocketAddr,
    /// Where the proxy is.
    pub(crate) proxy: SocketAddr,
    /// Dropping it ends every connection.
    _tasks: JoinSet<()>,
}

impl Loopback {
    /// Listens.
    pub(crate) async fn open(opener: &Opener, services: Services) -> io::Result<Self> {
        let models = TcpListener::bind(("127.0.0.1", services.models)).await?;
        let proxy = TcpListener::bind(("127.0.0.1", services.proxy)).await?;
        let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let addresses = (models.local_addr()?, proxy.local_addr()?);
        let mut tasks = JoinSet::new();
        for (listener, service) in [(models, Service::Models), (proxy, Service::Proxy)] {
            tasks.spawn(accept(listener, service, opener.clone(), Arc::clone(&room)));
        }
        Ok(Self { models: addresses.0, proxy: addresses.1, _tasks: tasks })
    }
}

async fn accept(listener: TcpListener, service: Service, opener: Opener, room: Arc<Semaphore>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((connection, _)) => {
                // Only now: a service that nobody uses keeps no room from the other one.
                let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
                let opener = opener.clone();
                connections.spawn(async move {
                    if let Err(error) = splice(connection, service, &opener).await {
                        tracing::debug!(%error, ?service, "a connection broke");
                    }
                    drop(permit);
                });
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// Moves bytes both ways; when one side has said all it has to say, the other one hears of it and may go on.
async fn splice(mut connection: TcpStream, service: Service, opener: &Opener) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let mut stream = opener.open(&DataHeader::Connect { service }).await?;
    tokio::io::copy_bidirectional_with_sizes(&mut connection, &mut stream, COPY_BYTES, COPY_BYTES).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, duplex},
        sync::mpsc,
    };

    use super::*;
    use crate::adapter::data::{self, Stream, read_header};

    struct Rig {
        loopback: Loopback,
        streams: mpsc::Receiver<Stream>,
        _drives: JoinSet<()>,
    }

    async fn rig() -> Rig {
        let (host, guest) = duplex(64 * 1024);
        let (_, streams, host_drive) = data::start(host, yamux::Mode::Client);
        let (opener, _, guest_drive) = data::start(guest, yamux::Mode::Server);
        let mut drives = JoinSet::new();
        drives.spawn(host_drive);
        drives.spawn(guest_drive);
        let loopback = Loopback::open(&opener, Services { models: 0, proxy: 0 }).await.unwrap();
        Rig { loopback, streams, _drives: drives }
    }

    #[tokio::test]
    async fn bytes_go_both_ways_and_each_way_ends_alone() {
        let mut rig = rig().await;
        for (address, service) in [(rig.loopback.models, Service::Models), (rig.loopback.proxy, Service::Proxy)] {
            let mut program = TcpStream::connect(address).await.unwrap();
            let mut stream = rig.streams.recv().await.unwrap();
            assert_eq!(read_header(&mut stream).await.unwrap(), DataHeader::Connect { service });
            program.write_all(b"a question").await.unwrap();
            program.shutdown().await.unwrap();
            let mut question = Vec::new();
            stream.read_to_end(&mut question).await.unwrap();
            assert_eq!(question, b"a question");
            // The program has ended its side; the answer still comes, in pieces and at once.
            for piece in ["one ", "two"] {
                stream.write_all(piece.as_bytes()).await.unwrap();
                let mut got = vec![0; piece.len()];
                program.read_exact(&mut got).await.unwrap();
                assert_eq!(got, piece.as_bytes());
            }
            stream.shutdown().await.unwrap();
            assert_eq!(program.read_to_end(&mut Vec::new()).await.unwrap(), 0);
        }
    }

    #[tokio::test]
    async fn megabytes_pass() {
        let mut rig = rig().await;
        let program = TcpStream::connect(rig.loopback.models).await.unwrap();
        let mut stream = rig.streams.recv().await.unwrap();
        read_header(&mut stream).await.unwrap();
        let (mut read, mut write) = program.into_split();
        let sent: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 253) as u8).collect();
        let echo = async move {
            let (mut from, mut to) = tokio::io::split(stream);
            tokio::io::copy(&mut from, &mut to).await.unwrap();
            to.shutdown().await.unwrap();
        };
        let send = async {
            write.write_all(&sent).await.unwrap();
            write.shutdown().await.unwrap();
        };
        let mut got = Vec::new();
        let (_, (), read) = tokio::join!(echo, send, read.read_to_end(&mut got));
        read.unwrap();
        assert!(got == sent);
    }

    #[tokio::test]
    async fn more_connections_than_allowed_wait_their_turn() {
        let mut rig = rig().await;
        let mut programs = Vec::new();
        let mut streams = Vec::new();
        for _ in 0..MAX_CONNECTIONS {
            programs.push(TcpStream::connect(rig.loopback.proxy).await.unwrap());
            streams.push(rig.streams.recv().await.unwrap());
        }
        // The listener's queue takes it, nobody serves it.
        let mut late = TcpStream::connect(rig.loopback.proxy).await.unwrap();
        late.write_all(b"x").await.unwrap();
        assert!(rig.streams.try_recv().is_err());
        programs.clear();
        streams.clear();
        let mut stream = rig.streams.recv().await.unwrap();
        read_header(&mut stream).await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), b'x');
    }

    #[tokio::test]
    async fn the_end_of_the_attempt_ends_every_connection() {
        let mut rig = rig().await;
        let mut program = TcpStream::connect(rig.loopback.models).await.unwrap();
        let mut stream = rig.streams.recv().await.unwrap();
        read_header(&mut stream).await.unwrap();
        let address = rig.loopback.models;
        drop(rig.loopback);
        assert!(matches!(program.read(&mut [0; 8]).await, Ok(0) | Err(_)));
        assert!(matches!(stream.read(&mut [0; 8]).await, Ok(0) | Err(_)));
        assert!(TcpStream::connect(address).await.is_err());
    }
}
