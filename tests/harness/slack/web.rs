//! The Web API: arguments, tokens, rate limits and faults of every call, whatever its method.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Path, Request, State as From},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::{any, get, post},
};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

use super::{APP_TOKEN, BOT_TOKEN, Fault, Shared, files, state::Call};

/// The largest body that is read.
const MAX_BODY: usize = 64 * 1024 * 1024;
/// Calls that were on their way when the limit was announced are no fault of the caller.
const ON_THEIR_WAY: Duration = Duration::from_millis(250);
/// Methods that take no JSON.
const FORM_ONLY: [&str; 9] = [
    "users.info",
    "users.list",
    "users.lookupByEmail",
    "conversations.info",
    "conversations.list",
    "conversations.history",
    "conversations.replies",
    "chat.getPermalink",
    "files.getUploadURLExternal",
];
/// Arguments that are JSON even in a form.
const JSON_ARGUMENTS: [&str; 5] = ["blocks", "view", "metadata", "files", "attachments"];

/// Serves everything.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let router = Router::new()
        .route("/api/{method}", any(api))
        .route("/response/{id}", post(super::methods::respond))
        .route("/upload/{id}", post(files::upload))
        .route("/files-pri/{file}/{name}", get(files::download))
        .with_state(shared);
    let _ = axum::serve(listener, router).await;
}

async fn api(From(shared): From<Arc<Shared>>, Path(method): Path<String>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY).await else { return StatusCode::PAYLOAD_TOO_LARGE.into_response() };
    let query = parts.uri.query().unwrap_or_default();
    let args = arguments(&shared, &method, &parts.method, &parts.headers, query, &body);
    shared.call(&method, &parts.headers, args).await
}

/// The arguments, from wherever they are.
fn arguments(shared: &Shared, method: &str, verb: &Method, headers: &HeaderMap, query: &str, body: &Bytes) -> Value {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let mut args = form(query);
    if verb == Method::GET || body.is_empty() {
        return Value::Object(args);
    }
    if kind.starts_with("application/json") {
        if FORM_ONLY.contains(&method) {
            shared.state().violation(format!("{method}: it takes no JSON, only a form"));
        }
        match serde_json::from_slice::<Value>(body) {
            Ok(Value::Object(map)) => args.extend(map),
            _ => shared.state().violation(format!("{method}: the body is no JSON object")),
        }
    } else if kind.starts_with("application/x-www-form-urlencoded") {
        args.extend(form(&String::from_utf8_lossy(body)));
    } else {
        shared.state().violation(format!("{method}: the content type is {kind:?}"));
    }
    Value::Object(args)
}

/// `application/x-www-form-urlencoded`.
pub(super) fn form(text: &str) -> Map<String, Value> {
    let mut map = Map::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (key, value) = (decode(key), decode(value));
        let json = JSON_ARGUMENTS.contains(&key.as_str()).then(|| serde_json::from_str(&value).ok()).flatten();
        map.insert(key, json.unwrap_or(Value::String(value)));
    }
    map
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits =
                    [rest.next(), rest.next()].map(|d| d.and_then(|d| char::from(d).to_digit(16)).unwrap_or(0));
                bytes.push(u8::try_from(digits[0] * 16 + digits[1]).unwrap_or(b'?'));
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The bearer token of a request.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

impl Shared {
    async fn call(self: &Arc<Self>, method: &str, headers: &HeaderMap, mut args: Value) -> Response {
        let token = bearer(headers).map(str::to_owned).or_else(|| args["token"].as_str().map(str::to_owned));
        if let Some(object) = args.as_object_mut() {
            object.remove("token");
        }
        let fault = self.fault_of(method);
        if let Some(seconds) = self.is_limited(&limit_of(method, &args), fault.as_ref()) {
            self.note(method, args, "ratelimited");
            let wait = [(header::RETRY_AFTER, seconds.to_string())];
            let body = json!({ "ok": false, "error": "ratelimited" }).to_string();
            return (StatusCode::TOO_MANY_REQUESTS, wait, body).into_response();
        }
        match fault {
            Some(Fault::Status(status)) => {
                self.note(method, args, &status.to_string());
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                return (status, "<html>sorry</html>").into_response();
            }
            Some(Fault::Refused(error)) => {
                self.note(method, args, &error);
                return answer(Err(error), "");
            }
            Some(Fault::Hang) => {
                self.note(method, args, "hangs");
                return std::future::pending().await;
            }
            _ => {}
        }
        let wanted = if method == "apps.connections.open" { APP_TOKEN } else { BOT_TOKEN };
        let outcome = match token.as_deref() {
            Some(token) if token == wanted => self.perform(method, &args),
            Some(_) => self.refused(method, "invalid_auth"),
            None => self.refused(method, "not_authed"),
        };
        self.flush();
        if fault == Some(Fault::LostAnswer) {
            self.note(method, args, "the answer is lost");
            let broken = futures::stream::once(async { Err::<Bytes, _>(std::io::Error::other("cut")) });
            return Response::new(Body::from_stream(broken));
        }
        self.note(method, args, outcome.as_ref().err().map_or("ok", String::as_str));
        let scopes = self.state().scopes.clone();
        answer(outcome, &scopes)
    }

    fn refused(&self, method: &str, error: &str) -> Result<Value, String> {
        self.state().violation(format!("{method}: the token is missing or is not the one for it ({error})"));
        Err(error.to_owned())
    }

    fn note(&self, method: &str, args: Value, outcome: &str) {
        let call = Call { at: Instant::now(), method: method.to_owned(), args, outcome: outcome.to_owned() };
        self.state().calls.push(call);
    }

    /// The fault that is planned for this call; it is used up.
    fn fault_of(&self, method: &str) -> Option<Fault> {
        let mut state = self.state();
        let planned = state.faults.iter_mut().find(|p| p.left > 0 && (p.method == method || p.method == "*"))?;
        planned.left -= 1;
        Some(planned.fault.clone())
    }

    /// For how many more seconds what is limited must not be called, if it must not.
    fn is_limited(&self, limit: &str, fault: Option<&Fault>) -> Option<u64> {
        let now = Instant::now();
        let mut state = self.state();
        if let Some((until, since)) = state.cooldowns.get(limit).copied().filter(|(until, _)| *until > now) {
            if now.duration_since(since) > ON_THEIR_WAY {
                let early = until.duration_since(now);
                state.violation(format!("{limit}: called {early:?} before Retry-After was over"));
            }
            return Some(until.duration_since(now).as_secs() + 1);
        }
        let Some(Fault::RateLimited(wait)) = fault else { return None };
        state.cooldowns.insert(limit.to_owned(), (now + *wait, now));
        Some(wait.as_secs().max(1))
    }
}

/// What a limit is about: a method; for posting, a method and a channel.
fn limit_of(method: &str, args: &Value) -> String {
    match method {
        "chat.postMessage" => format!("{method} {}", args["channel"].as_str().unwrap_or_default()),
        _ => method.to_owned(),
    }
}

/// An answer as Slack words it.
fn answer(outcome: Result<Value, String>, scopes: &str) -> Response {
    let body = match outcome {
        Ok(mut value) => {
            value["ok"] = true.into();
            value
        }
        Err(error) => json!({ "ok": false, "error": error }),
    };
    let headers = [(header::CONTENT_TYPE.as_str(), "application/json; charset=utf-8"), ("x-oauth-scopes", scopes)];
    (headers, body.to_string()).into_response()
}
