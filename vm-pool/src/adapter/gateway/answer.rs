//! The gateway's own answers, in the form of the wire that was asked.

use bus_schemas::{time::UnixMs, v1::agent::Wire};
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use serde_json::{Value, json};

use crate::port::Denied;

/// An answer that broke off.
pub(super) type Broken = Box<dyn std::error::Error + Send + Sync>;
/// The body of an answer.
pub(super) type Body = UnsyncBoxBody<Bytes, Broken>;

/// Tells a client not to try again (both vendors' libraries heed it).
const SHOULD_RETRY: &str = "x-should-retry";

/// Why the gateway answers in the provider's place.
#[derive(Clone, Debug)]
pub(super) enum Own {
    BadRequest(String),
    TooLarge {
        limit: usize,
    },
    ModelUnknown {
        asked: String,
        allowed: Vec<String>,
    },
    /// The provider would reach out by itself.
    ServerTools {
        provider: String,
        what: String,
    },
    Denied(Denied),
    RateLimited {
        provider: String,
        resume_at: UnixMs,
        now: UnixMs,
    },
    /// The provider refused, or this host has no way to it.
    ProviderRefused {
        provider: String,
        status: StatusCode,
        detail: String,
    },
    /// It did not answer in time; what that cost is not known.
    TimedOut {
        provider: String,
    },
}

/// A body that is there.
pub(super) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// An answer with a JSON body.
pub(super) fn json_answer(status: StatusCode, value: &Value) -> Response<Body> {
    let mut response = Response::new(full(value.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// An answer of text.
pub(super) fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(full(text));
    *response.status_mut() = status;
    response
}

/// The `baton` object of a refusal by the provider.
pub(super) fn provider_refused(provider: &str, status: StatusCode) -> Value {
    json!({ "code": "provider_refused", "provider": provider, "status": status.as_u16() })
}

/// Marks an answer as one that a repetition does not change.
pub(super) fn no_retry(response: &mut Response<Body>) {
    response.headers_mut().insert(SHOULD_RETRY, HeaderValue::from_static("false"));
}

/// The answer to `own` on `wire`.
pub(super) fn answer(wire: Wire, own: Own) -> Response<Body> {
    let retry = matches!(own, Own::RateLimited { .. } | Own::TimedOut { .. });
    let mut retry_after = None;
    let (status, anthropic, openai, message, baton) = match own {
        Own::BadRequest(message) => {
            let baton = json!({ "code": "bad_request" });
            (StatusCode::BAD_REQUEST, "invalid_request_error", "invalid_request_error", message, baton)
        }
        Own::TooLarge { limit } => {
            let message = format!("the request's body is larger than {} MiB", limit >> 20);
            let baton = json!({ "code": "bad_request", "limit": limit });
            (StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", "invalid_request_error", message, baton)
        }
        Own::ModelUnknown { asked, allowed } => {
            let shown: String = asked.chars().filter(|c| !c.is_control()).take(200).collect();
            let message = format!("model {shown:?} is not one this task may use; allowed: {}", allowed.join(", "));
            let baton = json!({ "code": "model_unknown", "allowed": allowed });
            (StatusCode::NOT_FOUND, "not_found_error", "model_not_found", message, baton)
        }
        Own::ServerTools { provider, what } => {
            let shown: String = what.chars().filter(|c| !c.is_control()).take(200).collect();
            let message = format!(
                "{shown}: what the provider would do or reach by itself is not allowed (providers.{provider}.server_tools)"
            );
            let baton = json!({ "code": "server_tools", "what": shown });
            (StatusCode::BAD_REQUEST, "invalid_request_error", "invalid_request_error", message, baton)
        }
        Own::Denied(Denied::Limit { task_key, resource, used, limit }) => {
            let whose = if task_key.is_empty() { "project".to_owned() } else { format!("task {task_key}") };
            let message = format!("the budget of the {whose} is used up: {resource:?} {used} of {limit}");
            let baton = json!({
                "code": "budget", "task_key": task_key, "resource": resource, "used": used, "limit": limit
            });
            // What ends each client's own retries: see the research on harnesses.
            let status = match wire {
                Wire::Responses => StatusCode::TOO_MANY_REQUESTS,
                Wire::Messages | Wire::ChatCompletions => StatusCode::PAYMENT_REQUIRED,
            };
            (status, "billing_error", "insufficient_quota", message, baton)
        }
        Own::Denied(Denied::Stale) => {
            let message = "this attempt is not the task's current one any more".to_owned();
            (StatusCode::FORBIDDEN, "permission_error", "permission_error", message, json!({ "code": "stale" }))
        }
        Own::Denied(Denied::Failed { detail }) => {
            let message = format!("the call could not be reserved: {detail}");
            let baton = json!({ "code": "not_reserved" });
            (StatusCode::INTERNAL_SERVER_ERROR, "api_error", "server_error", message, baton)
        }
        Own::RateLimited { provider, resume_at, now } => {
            retry_after = Some(resume_at.since(now).div_ceil(1_000));
            let message = format!("{provider} takes no calls now");
            let baton = json!({ "code": "rate_limited", "provider": provider, "resume_at": resume_at });
            (StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", "rate_limit_exceeded", message, baton)
        }
        Own::ProviderRefused { provider, status, detail } => {
            let baton = provider_refused(&provider, status);
            (status, "api_error", "api_error", format!("{provider}: {detail}"), baton)
        }
        Own::TimedOut { provider } => {
            let baton = json!({ "code": "timed_out", "provider": provider });
            let message = format!("{provider} did not answer in time");
            (StatusCode::GATEWAY_TIMEOUT, "timeout_error", "server_error", message, baton)
        }
    };
    let body = match wire {
        Wire::Messages => {
            json!({ "type": "error", "error": { "type": anthropic, "message": message }, "baton": baton })
        }
        Wire::ChatCompletions | Wire::Responses => json!({
            "error": { "message": message, "type": openai, "param": null, "code": openai }, "baton": baton
        }),
    };
    let mut response = json_answer(status, &body);
    if !retry {
        no_retry(&mut response);
    }
    if let Some(value) = retry_after.and_then(|seconds| HeaderValue::from_str(&seconds.to_string()).ok()) {
        response.headers_mut().insert(header::RETRY_AFTER, value);
    }
    response
}

/// The provider's own refusal with the `baton` object in it; a text of its own if the body is no JSON object.
pub(super) fn refused_body(wire: Wire, body: &Bytes, baton: &Value) -> Bytes {
    let object = serde_json::from_slice::<serde_json::Map<String, Value>>(body);
    let Ok(object) = object else {
        let text = String::from_utf8_lossy(body);
        let shown: String = text.chars().filter(|c| !c.is_control()).take(2_000).collect();
        let error = match wire {
            Wire::Messages => json!({ "type": "api_error", "message": shown }),
            Wire::ChatCompletions | Wire::Responses => {
                json!({ "message": shown, "type": "api_error", "param": null, "code": null })
            }
        };
        return json!({ "type": "error", "error": error, "baton": baton }).to_string().into();
    };
    let trimmed = body.trim_ascii_end();
    let comma = if object.is_empty() { "" } else { "," };
    let mut out = trimmed.strip_suffix(b"}").unwrap_or(trimmed).to_vec();
    out.extend_from_slice(format!("{comma}\"baton\":{baton}}}").as_bytes());
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_keeps_the_providers_words() {
        let baton = provider_refused("p", StatusCode::UNAUTHORIZED);
        let body = Bytes::from_static(b"{ \"error\" : {\"type\":\"x\"} }\n");
        let out = refused_body(Wire::Messages, &body, &baton);
        assert!(out.starts_with(b"{ \"error\" : {\"type\":\"x\"} ,\"baton\":{"));
        let parsed: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!((&parsed["error"]["type"], &parsed["baton"]["status"]), (&json!("x"), &json!(401)));
        for body in ["<html>\u{1b}[31mno</html>", "", "{}", "[1]"] {
            let out = refused_body(Wire::Responses, &Bytes::copy_from_slice(body.as_bytes()), &baton);
            let parsed: Value = serde_json::from_slice(&out).unwrap();
            assert_eq!(parsed["baton"]["code"], "provider_refused");
            assert!(!out.contains(&0x1b));
        }
    }
}
