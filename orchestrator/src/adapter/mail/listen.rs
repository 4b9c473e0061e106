//! The one server for webhooks and pages. It stands in the open, behind a TLS proxy at best: what is slow is cut off, and there are
//! never more connections than it can hold.

use std::{sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    ingress::{self, Doors, Fetch, Intake},
    pages::{self, Deciding},
};

/// The head of a request must come in this time; so long a connection is kept for the next one, too.
const HEAD: Duration = Duration::from_secs(15);
/// Connections at the same time. More of them wait until others end.
const CONNECTIONS: usize = 512;
/// How long requests under way may take once it is to stop.
const DRAIN: Duration = Duration::from_secs(5);
/// After this, accepting is tried again (there are no more file descriptors, mostly).
const AGAIN: Duration = Duration::from_millis(200);

/// Serves webhooks and pages until `stop`.
pub async fn serve<B: Intake + Deciding, F: Fetch>(listener: TcpListener, doors: Doors<B, F>, stop: CancellationToken) {
    let app = pages::router(doors.intake.clone()).merge(ingress::router(doors)).fallback(pages::nothing);
    run(listener, app, stop).await;
}

async fn run(listener: TcpListener, app: Router, stop: CancellationToken) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener, &room) => accepted,
        };
        let Some((stream, place)) = accepted else { continue };
        let (app, stop) = (app.clone(), stop.clone());
        connections.spawn(async move {
            speak(stream, app, stop).await;
            drop(place);
        });
    }
    connections.close();
    if timeout(DRAIN, connections.wait()).await.is_err() {
        tracing::warn!("mail: some webhooks or pages were still under way when the server stopped");
    }
}

async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(room).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, place)),
        Err(error) => {
            tracing::warn!(%error, "mail: a connection was not accepted");
            sleep(AGAIN).await;
            None
        }
    }
}

async fn speak(stream: TcpStream, app: Router, stop: CancellationToken) {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD);
    let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(app));
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "mail: a connection ended early");
    }
}
