//! What the gateway adds to the first byte of an answer, and whether a stream flows through it as it comes.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    routing::post,
    serve::ListenerExt as _,
};
use bus_schemas::{
    id::{AttemptRef, MessageId, ProjectId, TaskId},
    settings::{ModelSetup, Models},
    v1::agent::Spend,
};
use futures::{FutureExt as _, future::BoxFuture};
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, client::conn::http1::SendRequest};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream, UnixStream},
    sync::{Mutex, mpsc},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use vm_pool::{
    adapter::{
        gateway::{Access, Gateway, Meter},
        governor::Governors,
    },
    port::{Denied, Purse},
};

use crate::report::{Report, percentile};

const CALLS: usize = 400;
/// Pieces of the stream that is followed.
const PIECES: usize = 50;
const BODY: &str =
    r#"{"model":"bench","stream":true,"max_tokens":100,"messages":[{"role":"user","content":"Say something."}]}"#;

/// A purse that never says no: the orchestrator's part is measured with it.
#[derive(Debug)]
struct Open;

impl Purse for Open {
    fn reserve(&self, _: MessageId, _: Spend) -> BoxFuture<'_, Result<(), Denied>> {
        async { Ok(()) }.boxed()
    }

    fn settle(&self, _: MessageId, _: Spend) -> BoxFuture<'_, ()> {
        async {}.boxed()
    }
}

/// What the provider sends next, piece by piece.
type Pieces = Arc<Mutex<Option<mpsc::Receiver<Result<Bytes, std::io::Error>>>>>;

/// Measures calls to a provider on this machine, directly and through the gateway, in turns.
pub async fn gateway(report: &mut Report) -> Result<()> {
    let pieces = Pieces::default();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let routes = Router::new().route("/v1/chat/completions", post(answer)).with_state(Arc::clone(&pieces));
    // Without it, small pieces of a stream wait for the acknowledgement of the ones before: up to 40 ms.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    let provider = tokio::spawn(async move { axum::serve(listener, routes).await });

    let models =
        Models { endpoint: Some(format!("http://{address}/v1")), default: Some("bench".into()), ..Models::default() };
    let setup = ModelSetup { models, ..ModelSetup::default() };
    let gateway = Arc::new(Gateway::new(&setup, |_| None, &Governors::new(None))?);
    let (ours, theirs) = UnixStream::pair()?;
    let access = Arc::new(access());
    let serving = tokio::spawn({
        let gateway = Arc::clone(&gateway);
        async move { gateway.serve(theirs, access).await }
    });
    let mut through = connected(TokioIo::new(ours)).await?;
    let direct = TcpStream::connect(address).await?;
    direct.set_nodelay(true)?;
    let mut direct = connected(TokioIo::new(direct)).await?;

    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..CALLS {
        without.push(first_byte(&mut direct, &pieces).await?);
        with.push(first_byte(&mut through, &pieces).await?);
    }
    with.sort_unstable();
    without.sort_unstable();
    report.at_most("gateway: first byte without it, p50", percentile(&without, 50), "ms", None);
    report.at_most("gateway: first byte through it, p50", percentile(&with, 50), "ms", None);
    let added = |p| percentile(&with, p) - percentile(&without, p);
    report.at_most("gateway: adds to the first byte, p50", added(50), "ms", Some(1.0));
    report.at_most("gateway: adds to the first byte, p99", added(99), "ms", None);
    let mut flow = follow(&mut through, &pieces).await?;
    report.spread("gateway: a piece of a stream passes", &mut flow, None, None);
    drop(through);
    serving.await?;
    provider.abort();
    Ok(())
}

fn access() -> Access {
    let attempt = AttemptRef {
        project_id: ProjectId::from_uuid(Uuid::from_u128(1)),
        task_id: TaskId::from_uuid(Uuid::from_u128(2)),
        number: 1,
    };
    Access {
        attempt,
        models: vec!["endpoint/bench".into()],
        purse: Arc::new(Open),
        meter: Meter::default(),
        stop: CancellationToken::new(),
        log: mpsc::channel(1).0,
        deadline: None,
    }
}

async fn answer(State(pieces): State<Pieces>) -> axum::response::Response {
    let pieces = pieces.lock().await.take();
    let body = pieces
        .map_or_else(Body::empty, |pieces| Body::from_stream(tokio_stream::wrappers::ReceiverStream::new(pieces)));
    axum::response::Response::builder().header("content-type", "text/event-stream").body(body).unwrap_or_default()
}

async fn connected<I>(io: I) -> Result<SendRequest<Full<Bytes>>>
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (sender, connection) = hyper::client::conn::http1::handshake(io).await?;
    tokio::spawn(connection);
    Ok(sender)
}

fn piece(number: usize) -> Bytes {
    Bytes::from(format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"word {number} \"}}}}]}}\n\n"))
}

async fn call(sender: &mut SendRequest<Full<Bytes>>) -> Result<hyper::Response<hyper::body::Incoming>> {
    sender.ready().await?;
    let request = Request::post("/v1/chat/completions")
        .header("host", "127.0.0.1")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from_static(BODY.as_bytes())))?;
    let response = sender.send_request(request).await?;
    ensure!(response.status().is_success(), "{}", response.status());
    Ok(response)
}

async fn first_byte(sender: &mut SendRequest<Full<Bytes>>, pieces: &Pieces) -> Result<Duration> {
    let (feed, next) = mpsc::channel(2);
    feed.send(Ok(piece(0))).await?;
    feed.send(Ok(Bytes::from_static(b"data: [DONE]\n\n"))).await?;
    drop(feed);
    *pieces.lock().await = Some(next);
    let start = Instant::now();
    let mut body = call(sender).await?.into_body();
    body.frame().await.context("an empty answer")??;
    let elapsed = start.elapsed();
    while let Some(frame) = body.frame().await {
        frame?;
    }
    Ok(elapsed)
}

/// Sends a piece only after the one before has come out at the other end: a gateway that buffers would stand still here.
async fn follow(sender: &mut SendRequest<Full<Bytes>>, pieces: &Pieces) -> Result<Vec<Duration>> {
    let (feed, next) = mpsc::channel(1);
    *pieces.lock().await = Some(next);
    feed.send(Ok(piece(0))).await?;
    let mut body = call(sender).await?.into_body();
    body.frame().await.context("an empty answer")??;
    let mut times = Vec::new();
    for number in 1..=PIECES {
        let start = Instant::now();
        feed.send(Ok(piece(number))).await?;
        body.frame().await.context("the stream ended")??;
        times.push(start.elapsed());
    }
    feed.send(Ok(Bytes::from_static(b"data: [DONE]\n\n"))).await?;
    drop(feed);
    while let Some(frame) = body.frame().await {
        frame?;
    }
    Ok(times)
}
