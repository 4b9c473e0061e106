//! A provider that answers as it is told, a purse that remembers, and a guest.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::{Request, State},
    response::Response,
};
use bus_schemas::{
    id::{AttemptRef, MessageId, ProjectId, TaskId},
    settings::{ModelSettings, ModelSetup, Provider, ProviderKind},
    v1::agent::Spend,
};
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderMap, Method, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::super::{Access, Gateway, Meter};
use crate::{
    adapter::governor::Governors,
    governor::Tuning,
    port::{Denied, Purse},
};

/// What must be seen nowhere.
pub(super) const CANARY: &str = "sk-canary-0123456789abcdef";

/// What a provider was asked.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// A provider.
#[derive(Default)]
pub(super) struct Upstream {
    pub(super) replies: Mutex<VecDeque<Response>>,
    pub(super) asked: Mutex<Vec<Asked>>,
}

impl Upstream {
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub(super) fn will(&self, reply: Response) {
        self.replies.lock().unwrap().push_back(reply);
    }
}

async fn answer(State(upstream): State<Arc<Upstream>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    upstream.asked.lock().unwrap().push(Asked { uri: parts.uri, headers: parts.headers, body });
    let reply = upstream.replies.lock().unwrap().pop_front();
    reply.unwrap_or_else(|| reply_with(418, &[], "nothing is scripted"))
}

pub(super) fn reply_with(status: u16, headers: &[(&str, &str)], body: &str) -> Response {
    let mut response = http::Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(axum::body::Body::from(body.to_owned())).unwrap()
}

pub(super) fn json_reply(body: &str) -> Response {
    reply_with(200, &[("content-type", "application/json")], body)
}

/// A stream whose frames are sent by the test; an error breaks it.
pub(super) fn stream_reply() -> (mpsc::UnboundedSender<Result<Bytes, std::io::Error>>, Response) {
    let (frames, rx) = mpsc::unbounded_channel();
    let stream = futures::stream::unfold(rx, |mut rx| async move { rx.recv().await.map(|frame| (frame, rx)) });
    let response = http::Response::builder()
        .header("content-type", "text/event-stream; charset=utf-8")
        .body(axum::body::Body::from_stream(stream))
        .unwrap();
    (frames, response)
}

/// A whole stream at once.
pub(super) fn events(text: &str) -> Response {
    reply_with(200, &[("content-type", "text/event-stream")], text)
}

/// A purse that grants, until it is told not to.
#[derive(Debug)]
pub(super) struct Till {
    pub(super) reserved: Mutex<Vec<(MessageId, Spend)>>,
    pub(super) settled: watch::Sender<Vec<(MessageId, Spend)>>,
    pub(super) denial: Mutex<Option<Denied>>,
}

impl Purse for Till {
    fn reserve(&self, call_id: MessageId, estimate: Spend) -> BoxFuture<'_, Result<(), Denied>> {
        let denial = self.denial.lock().unwrap().clone();
        if denial.is_none() {
            self.reserved.lock().unwrap().push((call_id, estimate));
        }
        Box::pin(std::future::ready(denial.map_or(Ok(()), Err)))
    }

    fn settle(&self, call_id: MessageId, actual: Spend) -> BoxFuture<'_, ()> {
        self.settled.send_modify(|settled| settled.push((call_id, actual)));
        Box::pin(std::future::ready(()))
    }
}

pub(super) struct World {
    pub(super) upstream: Arc<Upstream>,
    pub(super) gateway: Gateway,
    pub(super) till: Arc<Till>,
    pub(super) access: Arc<Access>,
    pub(super) log: mpsc::Receiver<String>,
}

/// Nobody waits for long here.
pub(super) const QUICK: Tuning =
    Tuning { max_concurrent: 16, hold_ms: 60_000, first_backoff_ms: 2, max_backoff_ms: 20 };

pub(super) fn provider(kind: ProviderKind, base_url: &str) -> Provider {
    Provider {
        kind: Some(kind),
        base_url: Some(base_url.to_owned()),
        key_env: Some("CANARY".to_owned()),
        ..Provider::default()
    }
}

pub(super) fn key_of(variable: &str) -> Option<String> {
    (variable == "CANARY").then(|| CANARY.to_owned())
}

/// Prices that are easy to add up: 1, 2, 3, 4 and 5 thousandths of a nano-dollar … per thousand tokens.
pub(super) fn priced() -> ModelSettings {
    ModelSettings {
        usd_per_million_input: Some(0.001),
        usd_per_million_output: Some(0.01),
        usd_per_million_cache_write_5m: Some(0.1),
        usd_per_million_cache_write_1h: Some(1.0),
        usd_per_million_cache_read: Some(10.0),
        ..ModelSettings::default()
    }
}

/// A provider, and its base URL.
pub(super) async fn serving() -> (Arc<Upstream>, String) {
    let upstream = Arc::new(Upstream::default());
    let router = Router::new().fallback(answer).with_state(upstream.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (upstream, url)
}

impl World {
    pub(super) async fn new() -> Self {
        Self::tuned(QUICK).await
    }

    pub(super) async fn tuned(tuning: Tuning) -> Self {
        let (upstream, url) = serving().await;
        let mut setup = ModelSetup::default();
        for (name, kind) in [
            ("claude", ProviderKind::Anthropic),
            ("gpt", ProviderKind::Openai),
            ("lab", ProviderKind::OpenaiCompatible),
        ] {
            let mut provider = provider(kind, &url);
            provider.models = BTreeMap::from([("m-1".to_owned(), priced())]);
            setup.providers.insert(name.to_owned(), provider);
        }
        Self::with(upstream, &setup, tuning, &["claude/m-1", "gpt/m-2", "lab/org/m-3"])
    }

    pub(super) fn with(upstream: Arc<Upstream>, setup: &ModelSetup, tuning: Tuning, models: &[&str]) -> Self {
        let gateway = Gateway::new(setup, key_of, &Governors::default().tuned(tuning)).unwrap();
        let till =
            Arc::new(Till { reserved: Mutex::default(), settled: watch::Sender::default(), denial: Mutex::default() });
        let (lines, log) = mpsc::channel(100);
        let access = Arc::new(Access {
            attempt: AttemptRef {
                project_id: ProjectId::from_uuid(Uuid::from_u128(1)),
                task_id: TaskId::from_uuid(Uuid::from_u128(2)),
                number: 1,
            },
            models: models.iter().map(|&name| name.to_owned()).collect(),
            purse: till.clone(),
            meter: Meter::default(),
            stop: CancellationToken::new(),
            log: lines,
            deadline: None,
        });
        Self { upstream, gateway, till, access, log }
    }

    /// A connection of the guest's, ready for one request.
    pub(super) async fn connect(&self) -> http1::SendRequest<Full<Bytes>> {
        let (guest, host) = tokio::io::duplex(64 * 1024);
        let (gateway, access) = (self.gateway.clone(), self.access.clone());
        tokio::spawn(async move { gateway.serve(host, access).await });
        let (sender, connection) = http1::handshake(TokioIo::new(guest)).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> http::Response<Incoming> {
        let mut request = http::Request::builder().method(method).uri(path).header("host", "127.0.0.1:4100");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).unwrap();
        self.connect().await.send_request(request).await.unwrap()
    }

    /// Asks and reads the whole answer.
    pub(super) async fn post(&self, path: &str, body: &str) -> (StatusCode, HeaderMap, Bytes) {
        let response = self.ask(Method::POST, path, &[], body.to_owned()).await;
        let (parts, body) = response.into_parts();
        (parts.status, parts.headers, body.collect().await.unwrap().to_bytes())
    }

    /// The one settlement there is, once it is there, and only if there was one reservation of the same call.
    pub(super) async fn settled(&self) -> Spend {
        let mut seen = self.till.settled.subscribe();
        let settled = seen.wait_for(|settled| !settled.is_empty()).await.unwrap().clone();
        let reserved = self.till.reserved.lock().unwrap().clone();
        assert_eq!((settled.len(), reserved.len()), (1, 1), "one call, one reservation, one settlement");
        assert_eq!(settled[0].0, reserved[0].0);
        assert_eq!(self.access.meter.spent(), settled[0].1);
        settled[0].1
    }
}

pub(super) fn parsed(body: &Bytes) -> Value {
    serde_json::from_slice(body).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(body)))
}
