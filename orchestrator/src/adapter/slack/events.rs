//! The other way in: Slack's HTTP Events API, for those who have a public address and want one. One path takes events (JSON),
//! commands (form) and interactivity (form with a `payload`); all of them are signed.

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::post,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    Envelope, Kind, Receiver,
    hand::{ANSWER_WITHIN, hand},
    signature,
};
use crate::{adapter::clock::SystemClock, config::Secret, port::Clock as _};

/// The path at which Slack must be told to call.
pub const PATH: &str = "/slack";
/// The largest body.
pub const MAX_BODY: usize = 1 << 20;
/// A body that has not come in this time does not come.
const BODY_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Clone)]
struct Door<R> {
    receiver: R,
    secret: Secret,
}

/// Serves Slack's requests until `stop`.
///
/// # Errors
/// The listener broke.
pub async fn serve<R: Receiver>(
    listener: TcpListener,
    secret: Secret,
    receiver: R,
    stop: CancellationToken,
) -> std::io::Result<()> {
    axum::serve(listener, router(secret, receiver)).with_graceful_shutdown(stop.cancelled_owned()).await
}

fn router<R: Receiver>(secret: Secret, receiver: R) -> Router {
    Router::new().route(PATH, post(take::<R>)).with_state(Door { receiver, secret })
}

async fn take<R: Receiver>(State(door): State<Door<R>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = match read(&parts.headers, body).await {
        Ok(body) => body,
        Err(status) => return status.into_response(),
    };
    let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let now = SystemClock.now();
    let signed = (text("x-slack-request-timestamp"), text("x-slack-signature"));
    if let Err(error) = signature::check(&door.secret, signed.0, signed.1, &body, now.0 / 1000) {
        tracing::warn!(%error, "a request at the events address was refused");
        // Whoever it is learns nothing.
        return StatusCode::UNAUTHORIZED.into_response();
    }
    if let Some(number) = text("x-slack-retry-num") {
        let reason = text("x-slack-retry-reason").unwrap_or_default();
        tracing::info!(number, reason, "Slack sends an event again");
    }
    let form = text("content-type").is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
    let envelope = match if form { of_form(&body) } else { of_json(&body) } {
        Ok(Said::Envelope(kind, payload)) => Envelope::new(kind, payload, None, now),
        Ok(Said::Probe(answer)) => return answer.into_response(),
        Err(why) => Envelope::unreadable(&String::from_utf8_lossy(&body), why, now),
    };
    let key = envelope.key.clone();
    match hand(&door.receiver, envelope, ANSWER_WITHIN).await {
        Ok(Some(reply)) => axum::Json(reply).into_response(),
        Ok(None) => StatusCode::OK.into_response(),
        Err(why) => {
            tracing::error!(key, why, "a request of Slack was not kept; Slack is asked to send it again");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

async fn read(headers: &HeaderMap, body: Body) -> Result<bytes::Bytes, StatusCode> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > MAX_BODY) {
        return Err(StatusCode::PAYLOAD_TOO_LARGE);
    }
    match timeout(BODY_TIMEOUT, to_bytes(body, MAX_BODY)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(_)) => Err(StatusCode::PAYLOAD_TOO_LARGE),
        Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
    }
}

/// What a signed request says.
enum Said {
    Envelope(Kind, Value),
    /// Slack only looks whether somebody is here.
    Probe(axum::Json<Value>),
}

fn of_json(body: &[u8]) -> Result<Said, String> {
    let payload: Value = serde_json::from_slice(body).map_err(|error| format!("it is not JSON: {error}"))?;
    if payload.get("type").and_then(Value::as_str) == Some("url_verification") {
        let challenge = payload.get("challenge").and_then(Value::as_str).unwrap_or_default();
        return Ok(Said::Probe(axum::Json(json!({ "challenge": challenge }))));
    }
    Ok(Said::Envelope(Kind::Event, payload))
}

fn of_form(body: &[u8]) -> Result<Said, String> {
    let fields: BTreeMap<_, _> = form_urlencoded::parse(body).into_owned().collect();
    if fields.get("ssl_check").is_some_and(|check| check == "1") {
        return Ok(Said::Probe(axum::Json(json!({}))));
    }
    match fields.get("payload") {
        Some(payload) => serde_json::from_str(payload)
            .map(|payload| Said::Envelope(Kind::Interaction, payload))
            .map_err(|error| format!("its payload is not JSON: {error}")),
        None => Ok(Said::Envelope(Kind::Command, fields.into_iter().collect())),
    }
}
