//! Listening: a Unix socket always, TCP if configured.

use std::{
    fs, io,
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use axum::{Router, extract::connect_info::Connected, middleware, serve::IncomingStream};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

use super::{
    guard::{self, Guard},
    peer::Peer,
    router,
};
use crate::{
    paths::{PathsError, check_socket_path, private_dir},
    port::Service,
};

/// How long requests under way may take after shutdown was asked for.
const DRAIN: Duration = Duration::from_secs(5);

/// The API could not be offered.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The socket's folder.
    #[error(transparent)]
    Paths(#[from] PathsError),
    /// Another orchestrator answers there.
    #[error("another orchestrator already serves {}", path.display())]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// Listening failed.
    #[error("listen on {address}")]
    Listen {
        /// The socket or address.
        address: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// The open doors.
#[derive(Debug)]
pub struct Listeners {
    unix: UnixListener,
    socket: PathBuf,
    tcp: Option<TcpListener>,
}

impl Listeners {
    /// Opens them: `socket` with mode 0600 in a folder of mode 0700; one that a dead process left is removed.
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn bind(socket: &Path, tcp: Option<SocketAddr>) -> Result<Self, ServerError> {
        check_socket_path(socket)?;
        if let Some(parent) = socket.parent().filter(|parent| !parent.exists()) {
            private_dir(parent)?;
        }
        let listen_error = |source| ServerError::Listen { address: socket.display().to_string(), source };
        if fs::symlink_metadata(socket).is_ok() {
            if UnixStream::connect(socket).await.is_ok() {
                return Err(ServerError::InUse { path: socket.to_owned() });
            }
            fs::remove_file(socket).map_err(listen_error)?;
        }
        let unix = UnixListener::bind(socket).map_err(listen_error)?;
        fs::set_permissions(socket, fs::Permissions::from_mode(0o600)).map_err(listen_error)?;
        let tcp = match tcp {
            Some(address) => Some(
                TcpListener::bind(address)
                    .await
                    .map_err(|source| ServerError::Listen { address: address.to_string(), source })?,
            ),
            None => None,
        };
        Ok(Self { unix, socket: socket.to_owned(), tcp })
    }

    /// The TCP address, with the port the system chose if 0 was asked for.
    #[must_use]
    pub fn tcp_address(&self) -> Option<SocketAddr> {
        self.tcp.as_ref().and_then(|listener| listener.local_addr().ok())
    }
}

/// Serves the API until `shutdown` is cancelled, then lets requests under way finish and removes the socket.
///
/// # Errors
/// [`ServerError::Listen`] if accepting fails for good.
pub async fn serve<S: Service>(
    listeners: Listeners,
    service: S,
    token: Option<&str>,
    shutdown: CancellationToken,
) -> Result<(), ServerError> {
    let app = router(service, shutdown.clone());
    let guarded = app.clone().layer(middleware::from_fn_with_state(Guard::new(token), guard::check));
    let tcp = async {
        match listeners.tcp {
            Some(listener) => run(listener, guarded, &shutdown).await,
            None => Ok(()),
        }
    };
    let (unix, tcp) = tokio::join!(run(listeners.unix, app, &shutdown), tcp);
    // Gone already is fine: somebody cleaned up.
    let _ = fs::remove_file(&listeners.socket);
    let failed = |address: String| move |source| ServerError::Listen { address, source };
    unix.map_err(failed(listeners.socket.display().to_string()))?;
    tcp.map_err(failed("tcp".to_owned()))
}

async fn run<L>(listener: L, app: Router, shutdown: &CancellationToken) -> io::Result<()>
where
    L: axum::serve::Listener,
    L::Addr: std::fmt::Debug,
    Peer: for<'a> Connected<IncomingStream<'a, L>>,
{
    let app = app.into_make_service_with_connect_info::<Peer>();
    let serving = axum::serve(listener, app).with_graceful_shutdown(shutdown.clone().cancelled_owned());
    let deadline = async {
        shutdown.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        result = serving.into_future() => result,
        () = deadline => Ok(()),
    }
}
