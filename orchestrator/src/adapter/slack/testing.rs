//! What the tests of the transports share: a Web API that answers as it was told, and a receiver that remembers.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::to_bytes,
    extract::{Request, State},
    http::HeaderMap,
    response::{IntoResponse as _, Response},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Notify};

use super::{Access, Envelope, Morphism, Patience, Receiver};
use crate::config::Secret;

/// Something that was asked of the API.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Asked {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(super) fn bearer(&self) -> &str {
        self.headers.get("authorization").map_or("", |value| value.to_str().unwrap())
    }
}

type Script = HashMap<String, VecDeque<Response>>;

/// A Web API. What was not scripted is answered with `ok`.
#[derive(Clone)]
pub(super) struct Api {
    pub(super) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    script: Arc<Mutex<Script>>,
}

impl Api {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/api", listener.local_addr().unwrap());
        let api = Self { url, asked: Arc::default(), script: Arc::default() };
        let router = Router::new().fallback(answer).with_state(api.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        api
    }

    pub(super) fn will(&self, method: &str, answer: impl axum::response::IntoResponse) {
        let mut script = self.script.lock().unwrap();
        script.entry(method.to_owned()).or_default().push_back(answer.into_response());
    }

    pub(super) fn asked(&self, method: &str) -> Vec<Asked> {
        self.asked.lock().unwrap().iter().filter(|asked| asked.method == method).cloned().collect()
    }

    pub(super) fn client(&self) -> Morphism {
        self.client_with(Patience {
            attempt: Duration::from_secs(5),
            call: Duration::from_secs(10),
            trigger: Duration::from_secs(2),
            backoff: Duration::from_millis(1),
        })
    }

    pub(super) fn client_with(&self, patience: Patience) -> Morphism {
        let secret = |text: &str| Secret::new(text.to_owned());
        let access = Access {
            api_url: self.url.clone(),
            bot_token: secret("xoxb-secret"),
            app_token: Some(secret("xapp-secret")),
            patience,
        };
        Morphism::new(&access).unwrap()
    }
}

async fn answer(State(api): State<Api>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let method = path.strip_prefix("/api/").unwrap_or(path).to_owned();
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let body = to_bytes(body, 1 << 24).await.unwrap().to_vec();
    api.asked.lock().unwrap().push(Asked { method: method.clone(), query, headers: parts.headers, body });
    let told = api.script.lock().unwrap().get_mut(&method).and_then(VecDeque::pop_front);
    told.unwrap_or_else(|| axum::Json(json!({ "ok": true, "channel": "C1", "ts": "1.1" })).into_response())
}

/// Remembers what came.
#[derive(Clone, Default)]
pub(super) struct Remembers {
    inner: Arc<Memory>,
}

#[derive(Default)]
struct Memory {
    kept: Mutex<Vec<Envelope>>,
    acted: AtomicUsize,
    refused: AtomicUsize,
    full: AtomicBool,
    reply: Mutex<Option<Value>>,
    slow: Mutex<Option<Arc<Notify>>>,
    changed: Notify,
}

impl Remembers {
    pub(super) fn replies(&self, reply: Value) {
        *self.inner.reply.lock().unwrap() = Some(reply);
    }

    /// From now on the disk is full, or is not any more.
    pub(super) fn full(&self, full: bool) {
        self.inner.full.store(full, Ordering::SeqCst);
    }

    /// From now on it acts only when it is let.
    pub(super) fn slow(&self) -> Arc<Notify> {
        let gate = Arc::new(Notify::new());
        *self.inner.slow.lock().unwrap() = Some(Arc::clone(&gate));
        gate
    }

    pub(super) fn kept(&self) -> Vec<Envelope> {
        self.inner.kept.lock().unwrap().clone()
    }

    pub(super) fn acted(&self) -> usize {
        self.inner.acted.load(Ordering::SeqCst)
    }

    pub(super) fn refused(&self) -> usize {
        self.inner.refused.load(Ordering::SeqCst)
    }

    pub(super) async fn until(&self, good: impl Fn(&Self) -> bool) {
        let wait = async {
            loop {
                let changed = self.inner.changed.notified();
                if good(self) {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), wait).await.expect("it happens");
    }
}

impl Receiver for Remembers {
    async fn keep(&self, envelope: &Envelope) -> Result<bool, String> {
        if self.inner.full.load(Ordering::SeqCst) {
            self.inner.refused.fetch_add(1, Ordering::SeqCst);
            self.inner.changed.notify_waiters();
            return Err("the disk is full".to_owned());
        }
        let mut kept = self.inner.kept.lock().unwrap();
        let fresh = kept.iter().all(|one| one.key != envelope.key);
        if fresh {
            kept.push(envelope.clone());
        }
        self.inner.changed.notify_waiters();
        Ok(fresh)
    }

    async fn receive(&self, _: Envelope) -> Option<Value> {
        let gate = self.inner.slow.lock().unwrap().clone();
        if let Some(gate) = gate {
            gate.notified().await;
        }
        self.inner.acted.fetch_add(1, Ordering::SeqCst);
        self.inner.changed.notify_waiters();
        self.inner.reply.lock().unwrap().clone()
    }
}
