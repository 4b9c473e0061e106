//! The server: takes a request, finds the turn, answers or fails as the script says.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::{get, head, post},
};
use bus_schemas::v1::agent::Wire;
use futures::{Stream, stream};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::oneshot};

use super::{
    cache::{self, Cache},
    request::Asked,
    script::{Fault, Kind, Script, Usage},
    speak::{self, Reply},
};

/// The largest request.
const BODY_BYTES: usize = 64 * 1024 * 1024;

/// A running server. Dropping it closes its port.
#[derive(Debug)]
pub struct Running {
    /// Its base URL, without `/v1`.
    pub url: String,
    shared: Arc<Shared>,
    _stop: oneshot::Sender<()>,
}

/// A request and what became of it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The wire format.
    pub wire: Wire,
    /// The conversation that it was part of.
    pub conversation: Option<String>,
    /// The turn it was given, from 1, as the script counts them.
    pub turn: Option<usize>,
    /// Answers of the model that were in it.
    pub answers: usize,
    /// The status that was answered.
    pub status: u16,
    /// What went wrong, because the script wants so.
    pub fault: Option<Kind>,
    /// What the answer said was used.
    pub usage: Option<Usage>,
    /// Its headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Its body.
    pub body: Value,
}

impl Seen {
    /// It got the answer that the script has for it.
    #[must_use]
    pub const fn answered(&self) -> bool {
        self.status == 200 && self.fault.is_none()
    }
}

#[derive(Debug)]
struct Shared {
    script: Script,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    seen: Vec<Seen>,
    failures: Vec<String>,
    /// How often each fault has happened, by conversation, turn and fault.
    faults: HashMap<(usize, usize, usize), u32>,
    cache: Cache,
}

/// Serves a script on a listener.
///
/// # Errors
/// If the listener has no address.
pub fn serve(script: Script, listener: TcpListener) -> io::Result<Running> {
    let address: SocketAddr = listener.local_addr()?;
    let shared = Arc::new(Shared { script, memory: Mutex::default() });
    let wire = |wire: Wire| {
        post(move |State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes| async move {
            shared.answer(wire, &headers, &body).await
        })
    };
    let routes = Router::new()
        .route("/v1/messages", wire(Wire::Messages))
        .route("/v1/chat/completions", wire(Wire::ChatCompletions))
        .route("/v1/responses", wire(Wire::Responses))
        .route("/v1/messages/count_tokens", post(count_tokens))
        .route("/v1/models", get(models))
        .route("/health", get(|| async { Json(json!({"status": "ok"})) }))
        .route("/api/hello", head(|| async { StatusCode::OK }))
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .with_state(Arc::clone(&shared));
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(async move {
        let ended = axum::serve(listener, routes).with_graceful_shutdown(async move {
            let _ = stopped.await;
        });
        if let Err(error) = ended.await {
            tracing::error!(%error, "the scripted model server ended");
        }
    });
    Ok(Running { url: format!("http://{address}"), shared, _stop: stop })
}

impl Running {
    /// Every request so far, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<Seen> {
        self.shared.memory().seen.clone()
    }

    /// Every expectation that was not met, and every request the script has no answer for.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        self.shared.memory().failures.clone()
    }

    /// How often each turn of a conversation was given whole, in the order of the turns.
    #[must_use]
    pub fn given(&self, conversation: &str) -> Vec<(usize, usize)> {
        let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
        for seen in self.requests().iter().filter(|seen| seen.answered()) {
            if let Some(turn) = seen.turn.filter(|_| seen.conversation.as_deref() == Some(conversation)) {
                *counts.entry(turn).or_default() += 1;
            }
        }
        counts.into_iter().collect()
    }
}

async fn models(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let model = |name: String| json!({"id": name, "object": "model", "type": "model", "display_name": name, "created": 0, "owned_by": "script"});
    let list: Vec<Value> = shared.script.model_names().into_iter().map(model).collect();
    Json(json!({"object": "list", "data": list, "has_more": false}))
}

async fn count_tokens(body: Bytes) -> Json<Value> {
    Json(json!({"input_tokens": body.len().div_ceil(4)}))
}

/// What is to be done for a request, decided under the lock and done outside it.
struct Verdict {
    seen: Seen,
    failures: Vec<String>,
    act: Act,
}

enum Act {
    Refuse { status: u16, message: String },
    Fail { fault: Fault, reply: Reply, event_delay: Duration },
    Say { reply: Reply, delay: Duration, event_delay: Duration },
}

impl Shared {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, wire: Wire, headers: &HeaderMap, body: &Bytes) -> Response {
        loop {
            let mut verdict = self.judge(wire, headers, body);
            let hang = match &verdict.act {
                Act::Fail { fault, .. } if fault.kind == Kind::Hang => fault.ms,
                _ => None,
            };
            verdict.seen.status = match &verdict.act {
                Act::Refuse { status, .. } => *status,
                Act::Fail { fault, .. } => fault.status.unwrap_or(200),
                Act::Say { .. } => 200,
            };
            let Verdict { seen, failures, act } = verdict;
            tracing::info!(
                conversation = seen.conversation.as_deref().unwrap_or("-"),
                turn = seen.turn.unwrap_or(0),
                status = seen.status,
                fault = ?seen.fault,
                "model call"
            );
            for failure in &failures {
                tracing::error!("{failure}");
            }
            {
                let mut memory = self.memory();
                memory.seen.push(seen);
                memory.failures.extend(failures);
            }
            if let Some(ms) = hang {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                continue;
            }
            return self.act(wire, body, act).await;
        }
    }

    async fn act(&self, wire: Wire, body: &Bytes, act: Act) -> Response {
        let streams = serde_json::from_slice::<Value>(body).is_ok_and(|body| body["stream"] == true);
        match act {
            Act::Refuse { status, message } => refusal(wire, status, &message, None),
            Act::Say { reply, delay, event_delay } => {
                if !delay.is_zero() {
                    tokio::time::sleep(delay).await;
                }
                if streams {
                    sse(reply.events(wire), event_delay, false)
                } else {
                    Json(reply.body(wire)).into_response()
                }
            }
            Act::Fail { fault, reply, event_delay } => {
                let message = fault.message.as_deref();
                match fault.kind {
                    Kind::Status => {
                        let status = fault.status.unwrap_or(500);
                        refusal(wire, status, message.unwrap_or("the script wants this to fail"), Some(&fault))
                    }
                    Kind::ErrorBodyWith200 => {
                        let message = message.unwrap_or("the provider has failed");
                        Json(speak::error_body(wire, 500, message)).into_response()
                    }
                    Kind::Cut if streams => {
                        let mut events = reply.events(wire);
                        events.truncate(fault.after_events.unwrap_or(3));
                        sse(events, event_delay, true)
                    }
                    Kind::Cut => {
                        let text = reply.body(wire).to_string();
                        let half = text.as_bytes()[..text.len() / 2].to_vec();
                        stream_of("application/json", vec![half], event_delay, true)
                    }
                    Kind::ErrorEvent if streams => {
                        let mut events = reply.events(wire);
                        events.truncate(fault.after_events.unwrap_or(1));
                        events.push(speak::error_event(wire, message.unwrap_or("Overloaded")));
                        sse(events, event_delay, false)
                    }
                    Kind::ErrorEvent => refusal(wire, 529, message.unwrap_or("Overloaded"), None),
                    Kind::Empty | Kind::InvalidToolJson | Kind::Hang => {
                        let reply = match fault.kind {
                            Kind::Empty => reply.emptied(),
                            Kind::InvalidToolJson => reply.with_broken_input(),
                            _ => reply,
                        };
                        if streams {
                            sse(reply.events(wire), event_delay, false)
                        } else {
                            Json(reply.body(wire)).into_response()
                        }
                    }
                }
            }
        }
    }

    /// Finds what the script says to a request.
    fn judge(&self, wire: Wire, headers: &HeaderMap, body: &Bytes) -> Verdict {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers: BTreeMap<String, String> =
            headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
        let parsed = serde_json::from_slice::<Value>(body);
        let mut seen = Seen {
            wire,
            conversation: None,
            turn: None,
            answers: 0,
            status: 0,
            fault: None,
            usage: None,
            headers: headers.clone(),
            body: parsed.as_ref().cloned().unwrap_or_default(),
        };
        let refuse = |seen: Seen, status: u16, message: String, failures: Vec<String>| Verdict {
            seen,
            failures,
            act: Act::Refuse { status, message },
        };
        if let Some(key) = &self.script.require_key {
            let bearer = headers.get("authorization").and_then(|value| value.strip_prefix("Bearer "));
            if headers.get("x-api-key").map(String::as_str).or(bearer) != Some(key.as_str()) {
                return refuse(seen, 401, "invalid API key".to_owned(), Vec::new());
            }
        }
        let asked = parsed.map_err(|e| format!("not JSON: {e}")).and_then(|body| Asked::read(wire, headers, body));
        let asked = match asked {
            Ok(asked) => asked,
            Err(why) => {
                let failure = format!("a request that a provider would refuse: {why}");
                return refuse(seen, 400, why, vec![failure]);
            }
        };
        seen.answers = asked.answers;
        let fits = |matches: &[String]| matches.iter().all(|text| asked.opening.contains(text));
        let found = self.script.conversations.iter().enumerate().find(|(_, c)| fits(&c.matches));
        let Some((c, conversation)) = found else {
            let why = format!("script: no conversation matches {:?}", clip(&asked.opening));
            return refuse(seen, 400, why.clone(), vec![why]);
        };
        let name = conversation.shown(c);
        seen.conversation = Some(name.clone());
        let Some(t) = conversation.turn(asked.answers, &asked.last) else {
            let why = format!(
                "script: conversation {name} ends before answer {}; the last message is {:?}",
                asked.answers + 1,
                clip(&asked.last)
            );
            return refuse(seen, 400, why.clone(), vec![why]);
        };
        let turn = &conversation.turns[t];
        seen.turn = Some(t + 1);
        let expectations = [&self.script.expect, &conversation.expect, &turn.expect];
        let broken: Vec<String> = expectations.iter().flat_map(|expect| expect.broken(&asked)).collect();
        if !broken.is_empty() {
            let at = |what: &String| format!("script: conversation {name}, turn {}: {what}", t + 1);
            let failures: Vec<String> = broken.iter().map(at).collect();
            return refuse(seen, 400, failures.join("; "), failures);
        }

        let mut memory = self.memory();
        let usage = turn.usage.unwrap_or_else(|| {
            if self.script.prompt_cache { memory.cache.usage(&asked, turn) } else { cache::plain(&asked, turn) }
        });
        let id = format!("{c}_{t}_{}", asked.answers);
        let reply = Reply::of(turn, &id, &asked.model, usage, asked.stream_usage);
        let event_delay = Duration::from_millis(turn.event_delay_ms);
        for (f, fault) in turn.faults.iter().enumerate() {
            let happened = memory.faults.entry((c, t, f)).or_default();
            if *happened < fault.times {
                *happened += 1;
                seen.fault = Some(fault.kind);
                return Verdict {
                    seen,
                    failures: Vec::new(),
                    act: Act::Fail { fault: fault.clone(), reply, event_delay },
                };
            }
        }
        seen.usage = Some(usage);
        let act = Act::Say { reply, delay: Duration::from_millis(turn.delay_ms), event_delay };
        Verdict { seen, failures: Vec::new(), act }
    }
}

fn refusal(wire: Wire, status: u16, message: &str, fault: Option<&Fault>) -> Response {
    let mut response = Json(speak::error_body(wire, status, message)).into_response();
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    if let Some(seconds) = fault.and_then(|fault| fault.retry_after) {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    for (name, value) in fault.into_iter().flat_map(|fault| &fault.headers) {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            headers.insert(name, value);
        }
    }
    response
}

fn sse(events: Vec<String>, between: Duration, cut: bool) -> Response {
    stream_of("text/event-stream; charset=utf-8", events.into_iter().map(String::into_bytes).collect(), between, cut)
}

fn stream_of(kind: &'static str, parts: Vec<Vec<u8>>, between: Duration, cut: bool) -> Response {
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")];
    (headers, Body::from_stream(paced(parts, between, cut))).into_response()
}

/// The parts one by one; a cut is an error at the end, which makes the server drop the connection.
fn paced(parts: Vec<Vec<u8>>, between: Duration, cut: bool) -> impl Stream<Item = io::Result<Vec<u8>>> {
    let parts = parts.into_iter().map(Ok).chain(cut.then(|| Err(io::Error::other("the script cuts this answer off"))));
    stream::unfold((parts, true), move |(mut parts, first)| async move {
        let part = parts.next()?;
        // What was said before has to be on its way when the connection breaks.
        let wait = if part.is_err() { between.max(Duration::from_millis(10)) } else { between };
        if !first && !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        Some((part, (parts, false)))
    })
}

fn clip(text: &str) -> String {
    let end = text.char_indices().nth(600).map_or(text.len(), |(at, _)| at);
    text[..end].to_owned()
}
