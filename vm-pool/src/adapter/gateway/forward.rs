//! One model call: reserved, admitted, sent, tried again where that costs nothing, passed down, settled.

use std::{error::Error as _, sync::Arc, time::Duration};

use bus_schemas::{
    id::MessageId,
    time::UnixMs,
    v1::agent::{Spend, Tokens, Wire},
};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    access::{Access, Reservation},
    answer::{self, Body, Own},
    body::{Bill, Through},
    headers,
    provider::{Gateway, Target},
    redact::{Redactor, find},
    request::{self, Scanned},
    signals,
    usage::{BYTES_PER_TOKEN, Tap},
};
use crate::{
    adapter::governor::{self, Ticket},
    governor::{Answer, Signals},
};

/// The longest body of an error that is read.
const MAX_ERROR_BYTES: usize = 1024 * 1024;
/// How long the body of an error may take.
const ERROR_BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// What an attempt needs before its time is up, to pause for a provider that takes no calls.
const PAUSE_TIME: Duration = Duration::from_secs(30);
/// A governor that lets a call through says so within this.
const AT_ONCE: Duration = Duration::from_millis(500);
/// When a call may come again that no governor could give a time for, in milliseconds.
const PUT_OFF_MS: u64 = 60_000;

/// What a guest asks for.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) wire: Wire,
    /// With the question mark.
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// How one try ended.
enum Try {
    /// The provider's answer, good or bad, is for the guest.
    Pass(reqwest::Response),
    /// An error of the provider's that is for the guest, already read.
    Told(StatusCode, HeaderMap, Bytes),
    /// Nothing was done and nothing is owed: once more.
    Again(Answer, String),
    /// Something may be owed, or a repetition changes nothing.
    Lost(Own),
}

impl Gateway {
    /// Answers a model call.
    pub(super) async fn call(&self, access: &Arc<Access>, call: Call) -> Response<Body> {
        let wire = call.wire;
        match self.forward(access, call).await {
            Ok(response) => response,
            Err(own) => answer::answer(wire, own),
        }
    }

    async fn forward(&self, access: &Arc<Access>, call: Call) -> Result<Response<Body>, Own> {
        let scanned = request::scan(&call.body).map_err(Own::BadRequest)?;
        let unknown = || Own::ModelUnknown { asked: scanned.model.clone(), allowed: access.models.clone() };
        let target = self.target(&scanned.model, &access.models).ok_or_else(unknown)?;
        let provider = &target.provider;
        provider.usable().map_err(|detail| Own::ProviderRefused {
            provider: provider.name.clone(),
            status: StatusCode::UNAUTHORIZED,
            detail,
        })?;
        if let Some(what) = scanned.server_tools.clone().filter(|_| !provider.may_reach_out()) {
            return Err(Own::ServerTools { provider: provider.name.clone(), what });
        }
        let estimate = estimate(&call, &scanned, &target);
        let refused = |resume_at| Own::RateLimited { provider: provider.name.clone(), resume_at, now: governor::now() };
        // Admitted first: a call that waits holds no money.
        let admitted = in_time(access, provider.governor.admit(access.attempt.project_id)).await;
        let ticket = admitted.map_err(refused)?;
        let mut bill = reserve(access, &target, estimate).await?;
        let body = request::rewrite(&call.body, &scanned, &target.model, call.wire);
        let up = headers::upwards(call.headers, provider.kind, provider.key.as_ref());
        let path = match call.wire {
            Wire::Messages => "messages",
            Wire::ChatCompletions => "chat/completions",
            Wire::Responses => "responses",
        };
        let url = format!("{}/{path}{}", provider.base_url, call.query);
        loop {
            match attempt(&target, &url, &up, &body).await {
                Try::Pass(response) => {
                    return Ok(pass(call.wire, &target, response, bill, ticket));
                }
                Try::Told(status, headers, body) => {
                    ticket.fine(signals::read(&headers, governor::now()));
                    return Ok(told(call.wire, &target, status, headers, body));
                }
                Try::Again(answer, why) => {
                    access.say(format!("{}: {why}; the call waits and is tried again", provider.name));
                    tracing::debug!(provider = %provider.name, %why, attempt = %access.attempt, "a model call is tried again");
                    in_time(access, ticket.again(answer)).await.map_err(refused)?;
                }
                Try::Lost(own) => {
                    if matches!(own, Own::TimedOut { .. }) {
                        bill.write(&Tap::new(call.wire, false));
                    }
                    ticket.fine(Signals::default());
                    return Err(own);
                }
            }
        }
    }
}

/// Waits for a governor, but only as long as the attempt can still pause for it.
async fn in_time<T>(access: &Access, verdict: impl Future<Output = Result<T, UnixMs>>) -> Result<T, UnixMs> {
    let Some(deadline) = access.deadline else { return verdict.await };
    // What need not wait may go up to the end.
    let patience = deadline.saturating_duration_since(Instant::now()).saturating_sub(PAUSE_TIME).max(AT_ONCE);
    match tokio::time::timeout(patience, verdict).await {
        Ok(verdict) => verdict,
        Err(_) => Err(governor::now().plus_ms(PUT_OFF_MS)),
    }
}

/// What the call can cost at most, as far as its size tells.
fn estimate(call: &Call, scanned: &Scanned, target: &Target) -> Spend {
    let input = (call.body.len() as u64).div_ceil(BYTES_PER_TOKEN);
    let mut tokens = Tokens { output: scanned.max_output.unwrap_or(target.max_output), ..Tokens::default() };
    // What goes into a cache is dearer than what does not.
    let has = |text: &[u8]| find(&call.body, text).is_some();
    if call.wire == Wire::Messages && has(b"\"cache_control\"") {
        if has(b"\"1h\"") { tokens.cache_write_1h = input } else { tokens.cache_write_5m = input }
    } else {
        tokens.input = input;
    }
    Spend { calls: 1, tokens, usd_nanos: target.priced.cost(&tokens), price_assumed: target.priced.assumed }
}

async fn reserve(access: &Arc<Access>, target: &Target, estimate: Spend) -> Result<Bill, Own> {
    // What the last call did cost is known before the next one is asked for.
    access.meter.settled().await;
    let call_id = MessageId::from_uuid(Uuid::now_v7());
    // There before it is granted: a guest that goes away meanwhile must not leave it behind.
    let mut reservation = Reservation::new(access, call_id);
    if let Err(denied) = access.purse.reserve(call_id, estimate).await {
        reservation.was_denied();
        return Err(Own::Denied(denied));
    }
    let tokens = &estimate.tokens;
    let estimated_input = tokens.input + tokens.cache_write_5m + tokens.cache_write_1h;
    Ok(Bill { reservation, priced: target.priced, estimated_input })
}

/// Asks the provider once.
async fn attempt(target: &Target, url: &str, headers: &HeaderMap, body: &Bytes) -> Try {
    let provider = &target.provider;
    let name = || provider.name.clone();
    let sent = provider.client.post(url).headers(headers.clone()).body(body.clone()).send().await;
    let response = match sent {
        Ok(response) => response,
        Err(error) if error.is_timeout() && !error.is_connect() => {
            return Try::Lost(Own::TimedOut { provider: name() });
        }
        Err(error) => {
            let why = cause(&error);
            // Trying again does not make a certificate valid.
            if error.is_builder() || why.contains("certificate") {
                return Try::Lost(Own::ProviderRefused {
                    provider: name(),
                    status: StatusCode::BAD_GATEWAY,
                    detail: why,
                });
            }
            return Try::Again(Answer::Failed(Signals::default()), why);
        }
    };
    let status = response.status();
    if status.is_success() {
        return Try::Pass(response);
    }
    if status.is_redirection() {
        let detail =
            format!("it redirects ({status}), which is not followed: correct providers.{}.base_url", provider.name);
        return Try::Lost(Own::ProviderRefused { provider: name(), status, detail });
    }
    let signals = signals::read(response.headers(), governor::now());
    let headers = response.headers().clone();
    let body = read_error(response, &mut Redactor::new(provider.key.as_ref())).await;
    let again = |answer| Try::Again(answer, format!("answered {status}"));
    match status.as_u16() {
        429 if is_final(&headers, &body) => Try::Told(status, headers, body),
        429 => again(Answer::Limited(signals)),
        503 | 529 => again(Answer::Overloaded(signals)),
        501 | 505 => Try::Told(status, headers, body),
        500.. => again(Answer::Failed(signals)),
        _ => Try::Told(status, headers, body),
    }
}

/// A refusal that time does not heal: no money at the provider.
fn is_final(headers: &HeaderMap, body: &Bytes) -> bool {
    headers.get("x-should-retry").is_some_and(|value| value == "false")
        || ["\"insufficient_quota\"", "\"billing_error\""].iter().any(|word| find(body, word.as_bytes()).is_some())
}

/// The innermost reason; the outer ones repeat the URL.
fn cause(error: &reqwest::Error) -> String {
    let mut inner = error.source();
    while let Some(deeper) = inner.and_then(std::error::Error::source) {
        inner = Some(deeper);
    }
    inner.map_or_else(|| "the connection failed".to_owned(), ToString::to_string)
}

/// The body of an error, as much of it as comes in time, without the key.
async fn read_error(mut response: reqwest::Response, redactor: &mut Redactor) -> Bytes {
    let mut body = BytesMut::new();
    let read = async {
        while let Ok(Some(piece)) = response.chunk().await {
            body.extend_from_slice(&piece);
            if body.len() > MAX_ERROR_BYTES {
                body.truncate(MAX_ERROR_BYTES);
                break;
            }
        }
    };
    let _ = tokio::time::timeout(ERROR_BODY_TIMEOUT, read).await;
    redactor.whole(body.freeze())
}

/// An error of the provider's, for the guest. It cost nothing: the reservation is settled with that.
fn told(wire: Wire, target: &Target, status: StatusCode, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let provider = &target.provider;
    let mut headers = headers::downwards(headers, provider.key.as_ref());
    headers.remove(header::CONTENT_LENGTH);
    let refused = matches!(status.as_u16(), 401..=404 | 429);
    let body = if refused {
        headers.remove(header::CONTENT_ENCODING);
        headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
        answer::refused_body(wire, &body, &answer::provider_refused(&provider.name, status))
    } else {
        body
    };
    let mut response = Response::new(answer::full(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    if refused {
        answer::no_retry(&mut response);
    }
    response
}

/// A good answer, on its way as it comes.
fn pass(wire: Wire, target: &Target, response: reqwest::Response, bill: Bill, ticket: Ticket) -> Response<Body> {
    let provider = &target.provider;
    let (status, headers) = (response.status(), response.headers().clone());
    ticket.fine(signals::read(&headers, governor::now()));
    let named = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let events = named.trim_start().to_ascii_lowercase().starts_with("text/event-stream");
    let framed = [header::CONTENT_LENGTH, header::TRANSFER_ENCODING].iter().any(|name| headers.contains_key(name));
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let through = Through {
        upstream: Box::pin(response.bytes_stream()),
        tap: Tap::new(wire, events),
        redactor: Redactor::new(provider.key.as_ref()),
        bill: Some(bill),
        ticket: Some(ticket),
        until_closed: !framed,
        left: length,
    };
    let mut down = Response::new(through.boxed_unsync());
    *down.status_mut() = status;
    *down.headers_mut() = headers::downwards(headers, provider.key.as_ref());
    down
}
