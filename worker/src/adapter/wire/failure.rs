//! Errors of providers and of the gateway, in the agent's words.

use bus_schemas::time::UnixMs;
use serde_json::Value;

use crate::agent::{Failure, words::one_line};

/// The longest quotation of an error, in bytes.
const QUOTE_BYTES: usize = 400;

/// An answer that is none, by its status and body.
pub(crate) fn failure(status: u16, body: &[u8]) -> Failure {
    let value: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    if let Some(failure) = baton(&value) {
        return failure;
    }
    let said = message(&value).unwrap_or_else(|| String::from_utf8_lossy(&body[..body.len().min(4096)]).into_owned());
    let detail = format!("{status}: {}", one_line(&said, QUOTE_BYTES));
    match status {
        400 | 413 | 422 if is_too_long(&said) => Failure::TooLong { detail },
        408 | 409 | 425 | 429 | 500.. => Failure::Server { detail },
        _ => Failure::Refused { detail },
    }
}

/// An error inside an answer that began well: in the body of a 200, or as an event of a stream.
pub(crate) fn in_body(value: &Value) -> Option<Failure> {
    if let Some(failure) = baton(value) {
        return Some(failure);
    }
    let error = value.get("error").filter(|error| !error.is_null())?;
    let said = message(value).unwrap_or_else(|| error.to_string());
    let detail = one_line(&said, QUOTE_BYTES);
    let kind = error.get("type").and_then(Value::as_str).unwrap_or_default();
    Some(match kind {
        "authentication_error" | "permission_error" | "not_found_error" => Failure::Refused { detail },
        _ if is_too_long(&said) => Failure::TooLong { detail },
        _ => Failure::Server { detail },
    })
}

/// What the gateway says.
fn baton(value: &Value) -> Option<Failure> {
    let baton = value.get("baton").or_else(|| value.get("error")?.get("baton"))?;
    let text = |name: &str| baton.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let number = |name: &str| baton.get(name).and_then(Value::as_u64).unwrap_or_default();
    let said = || one_line(&message(value).unwrap_or_else(|| baton.to_string()), QUOTE_BYTES);
    Some(match baton.get("code").and_then(Value::as_str)? {
        "budget" => Failure::Budget {
            task_key: text("task_key"),
            resource: text("resource"),
            used: number("used"),
            limit: number("limit"),
        },
        "rate_limited" => {
            let resume_at = baton.get("resume_at").cloned().and_then(|at| serde_json::from_value::<UnixMs>(at).ok());
            match resume_at {
                Some(resume_at) => Failure::RateLimited { provider: text("provider"), resume_at },
                None => Failure::Server { detail: said() },
            }
        }
        "provider_refused" | "model_unknown" => Failure::Refused { detail: said() },
        _ => return None,
    })
}

/// The sentence in an error's body.
fn message(value: &Value) -> Option<String> {
    let error = value.get("error");
    let text = error
        .and_then(|error| error.get("message"))
        .or_else(|| error.filter(|error| error.is_string()))
        .or_else(|| value.get("message"))
        .or_else(|| value.get("detail"));
    text.and_then(Value::as_str).map(str::to_owned)
}

/// Whether an error says that the context is larger than the model takes. Every provider has its own words for it.
fn is_too_long(said: &str) -> bool {
    let said = said.to_lowercase();
    [
        "prompt is too long",
        "context length",
        "context_length",
        "context window",
        "maximum context",
        "context size",
        "too many tokens",
        "exceeds the available context",
        "input is too long",
        "reduce the length",
    ]
    .iter()
    .any(|words| said.contains(words))
}
