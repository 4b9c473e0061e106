//! Who may speak to the API over TCP. The Unix socket needs no guard: only its owner can open it.

use axum::{
    extract::{Request, State},
    http::header,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
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
