//! What is refused before it is read: bodies that say they are too large, and TCP clients that may not speak. The Unix
//! socket needs no token: only its owner can open it.

use axum::{
    extract::{Request, State},
    http::header,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use bus_schemas::v1::api::Problem;
use sha2::{Digest as _, Sha256};

use super::problem::{ApiError, problem};

/// What a TCP client must show. With a token: the token. Without one (loopback only): not to be a web page, because
/// any page a person opens can reach a loopback port.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    token_sha256: Option<[u8; 32]>,
}

impl Guard {
    pub(super) fn new(token: Option<&str>) -> Self {
        Self { token_sha256: token.map(digest) }
    }
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

pub(super) async fn check(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let refuse = |code, detail, hint| ApiError(problem(code, "not_allowed", detail, Some(hint))).into_response();
    match guard.token_sha256 {
        Some(wanted) => {
            let header = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
            // Digests are compared, not texts, so that the time taken says nothing about the token.
            if header.and_then(|value| value.strip_prefix("Bearer ")).map(digest) != Some(wanted) {
                return refuse(401, "this address needs the API token", "send `authorization: Bearer <token>`");
            }
        }
        None if request.headers().contains_key(header::ORIGIN) => {
            return refuse(403, "a web page may not use the API without a token", "set orchestrator.token");
        }
        None => {}
    }
    next.run(request).await
}

/// A body that says it is too large is refused at once; one that does not say so is cut while it is read.
pub(super) async fn small(State(max_bytes): State<u64>, request: Request, next: Next) -> Response {
    let header = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if header.and_then(|text| text.parse::<u64>().ok()).is_some_and(|bytes| bytes > max_bytes) {
        return ApiError(too_large()).into_response();
    }
    next.run(request).await
}

/// The body is too large.
pub(super) fn too_large() -> Problem {
    problem(413, "too_large", "request body is larger than the API takes", None)
}
