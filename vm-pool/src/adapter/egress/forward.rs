//! A plain HTTP request on its way to a target.

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Uri, Version, header};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::task::AbortOnDropHandle;

/// What a target answers.
pub(super) type Upstream = Incoming;

/// Headers that are between two neighbors, not between the ends.
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
];

/// Sends the request to the connected target, which is called `named`; the task carries the connection for as long as it is held.
pub(super) async fn forward<S>(
    request: Request<Incoming>,
    named: &str,
    stream: S,
) -> Result<(Response<Upstream>, AbortOnDropHandle<()>), hyper::Error>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let task = AbortOnDropHandle::new(tokio::spawn(async move {
        let _ = connection.await;
    }));
    let (mut parts, body) = request.into_parts();
    parts.uri = parts.uri.path_and_query().map_or_else(|| Uri::from_static("/"), |path| Uri::from(path.clone()));
    parts.version = Version::HTTP_11;
    strip(&mut parts.headers);
    // Whoever is let through is the one who is asked: a server of many names must not be led elsewhere.
    if let Ok(named) = HeaderValue::from_str(named) {
        parts.headers.insert(header::HOST, named);
    }
    let response = sender.send_request(Request::from_parts(parts, body)).await?;
    let (mut parts, body) = response.into_parts();
    strip(&mut parts.headers);
    Ok((Response::from_parts(parts, body), task))
}

/// Takes out what is between two neighbors.
pub(super) fn strip(headers: &mut HeaderMap) {
    let listed: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in listed {
        headers.remove(name);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}
