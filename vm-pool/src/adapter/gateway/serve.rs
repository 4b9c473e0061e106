//! The HTTP server on a guest's stream.

use std::{convert::Infallible, sync::Arc};

use bus_schemas::v1::agent::Wire;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    access::Access,
    answer::{self, Body, Own},
    forward::Call,
    provider::Gateway,
};

/// The largest body of a request.
pub(super) const MAX_BODY: usize = 32 * 1024 * 1024;
/// The most headers of a request.
const MAX_HEADERS: usize = 128;
/// All headers together, in bytes.
const MAX_HEAD: usize = 64 * 1024;

impl Gateway {
    /// Serves one connection of an attempt until it ends, or until `access.stop`.
    pub async fn serve<S>(&self, stream: S, access: Arc<Access>)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let stop = access.stop.clone();
        let service = service_fn(|request: Request<Incoming>| {
            let (gateway, access) = (self.clone(), access.clone());
            async move { Ok::<_, Infallible>(Box::pin(gateway.route(&access, request)).await) }
        });
        let connection = http1::Builder::new()
            .max_headers(MAX_HEADERS)
            .max_buf_size(MAX_HEAD)
            .serve_connection(TokioIo::new(stream), service);
        tokio::select! {
            ended = connection => if let Err(error) = ended {
                tracing::debug!(%error, attempt = %access.attempt, "a guest's connection to the gateway ended");
            },
            () = stop.cancelled() => {}
        }
    }

    async fn route(&self, access: &Arc<Access>, request: Request<Incoming>) -> Response<Body> {
        let wire = match (request.method(), request.uri().path()) {
            (&Method::POST, "/v1/messages") => Wire::Messages,
            (&Method::POST, "/v1/chat/completions") => Wire::ChatCompletions,
            (&Method::POST, "/v1/responses") => Wire::Responses,
            (&Method::GET, "/v1/responses") => {
                return answer::plain(StatusCode::UPGRADE_REQUIRED, "there is no WebSocket here: use POST\n");
            }
            (&Method::GET, "/v1/models") => return models(access),
            _ => return answer::plain(StatusCode::NOT_FOUND, "no such route\n"),
        };
        let (parts, body) = request.into_parts();
        let query = parts.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        match read(body).await {
            Ok(body) => self.call(access, Call { wire, query, headers: parts.headers, body }).await,
            Err(own) => answer::answer(wire, own),
        }
    }
}

async fn read(body: Incoming) -> Result<Bytes, Own> {
    match Limited::new(body, MAX_BODY).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Own::TooLarge { limit: MAX_BODY }),
        Err(_) => Err(Own::BadRequest("the request's body broke off".to_owned())),
    }
}

/// What the attempt may use, in a form that both vendors' clients read.
fn models(access: &Access) -> Response<Body> {
    let entry = |name: &String| {
        let owner = name.split('/').next().unwrap_or_default();
        json!({
            "id": name, "object": "model", "type": "model", "display_name": name,
            "created": 0, "created_at": "1970-01-01T00:00:00Z", "owned_by": owner
        })
    };
    let data: Vec<_> = access.models.iter().map(entry).collect();
    let (first, last) = (access.models.first(), access.models.last());
    let list = json!({ "object": "list", "data": data, "has_more": false, "first_id": first, "last_id": last });
    answer::json_answer(StatusCode::OK, &list)
}
