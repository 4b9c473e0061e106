//! One connection of a guest to the proxy.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, combinators::BoxBody};
use hyper::{body::Incoming, server::conn::http1, service::service_fn, upgrade::OnUpgrade};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    access::{EgressAccess, Entry},
    forward,
    lend::lend,
    resolve::{Allowed, NoAddress, targets},
    rules::Host,
    splice::{Counted, splice},
};

/// The largest head of a request.
const HEAD_BYTES: usize = 16 * 1024;

pub(super) type Body = BoxBody<Bytes, hyper::Error>;

/// What one connection holds on to until it ends.
#[derive(Default)]
pub(super) struct Held<'a> {
    pub(super) entry: Option<Entry<'a>>,
    tunnel: Option<(OnUpgrade, Counted<TcpStream>)>,
    pub(super) forwarding: Option<AbortOnDropHandle<()>>,
}

/// Serves one connection of a guest: one request, one target.
pub async fn serve<S>(stream: S, access: Arc<EgressAccess>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let stop = access.stop.clone();
    tokio::select! {
        () = stop.cancelled() => {}
        () = connection(stream, &access) => {}
    }
}

async fn connection<S>(stream: S, access: &EgressAccess)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let held = Mutex::new(Held::default());
    let service = service_fn(|request| async { Ok::<_, Infallible>(answer(request, access, &held).await) });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(access.waits.head)
        .max_buf_size(HEAD_BYTES)
        .keep_alive(false)
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let served = tokio::select! {
        served = served => served,
        () = nothing_moves(access, &held) => return,
    };
    if let Err(error) = served
        && error.is_parse()
    {
        let _ = access.asked("-", "bad request", false);
    }
    let tunnel = lock(&held).tunnel.take();
    if let Some((upgrade, target)) = tunnel
        && let Ok(client) = upgrade.await
    {
        tokio::select! {
            _ = splice(TokioIo::new(client), target) => {}
            () = nothing_moves(access, &held) => {}
        }
    }
}

/// Returns when a connection that has a target is idle for too long.
async fn nothing_moves(access: &EgressAccess, held: &Mutex<Held<'_>>) {
    loop {
        let counts = lock(held).entry.as_ref().map(|entry| Arc::clone(&entry.counts));
        match counts {
            Some(counts) => return counts.idle(access.waits.idle).await,
            // Until there is a target, other limits hold.
            None => tokio::time::sleep(access.waits.head).await,
        }
    }
}

pub(super) fn lock<'m, 'a>(held: &'m Mutex<Held<'a>>) -> std::sync::MutexGuard<'m, Held<'a>> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A target as a request names it.
struct Target {
    host: Host,
    port: u16,
}

async fn answer<'a>(
    mut request: Request<Incoming>,
    access: &'a EgressAccess,
    held: &Mutex<Held<'a>>,
) -> Response<Body> {
    let target = match target(&request) {
        Ok(target) => target,
        Err(why) => {
            // Whatever stands before an `@` may be a password.
            let asked = request.uri().authority().and_then(|authority| authority.as_str().rsplit('@').next());
            let _ = access.asked(asked.unwrap_or("-"), "bad request", false);
            return say(StatusCode::BAD_REQUEST, &format!("{why}\n"));
        }
    };
    let Target { host, port } = &target;
    let shown = format!("{host}:{port}");
    if request.method() != Method::CONNECT {
        match access.lent.choose(request.headers(), host, *port) {
            Ok(None) => {}
            Ok(Some(loan)) => return lend(request, access, held, &loan).await,
            Err(response) => {
                let _ = access.asked(&shown, "no such secret", false);
                return *response;
            }
        }
    }
    let Some(rule) = access.rules.allowing(host, *port) else {
        let _ = access.asked(&shown, "default deny", false);
        let entry = host.entry(*port);
        let text = format!(
            "{shown} is not on this task's allow-list. The plan's task would need:\n\n    network: [\"{entry}\"]\n{}",
            access.lent.hint(host, *port)
        );
        return say(StatusCode::FORBIDDEN, &text);
    };
    let (entry, stream) = match reach(access, (host, *port), rule, access.allowed(host, *port)).await {
        Ok(reached) => reached,
        Err(response) => return response,
    };
    let counted = Counted { inner: stream, counts: Arc::clone(&entry.counts) };
    lock(held).entry = Some(entry);
    if request.method() == Method::CONNECT {
        lock(held).tunnel = Some((hyper::upgrade::on(&mut request), counted));
        return Response::new(Full::default().map_err(|never: Infallible| match never {}).boxed());
    }
    let named = if *port == 80 { host.to_string() } else { shown.clone() };
    match forward::forward(request, &named, counted).await {
        Ok((response, task)) => {
            lock(held).forwarding = Some(task);
            response.map(http_body_util::BodyExt::boxed)
        }
        Err(error) => say(StatusCode::BAD_GATEWAY, &format!("{shown} did not answer: {error}\n")),
    }
}

/// Finds and connects to a target that `rule` lets through, and records it.
///
/// # Errors
/// The answer that says why it is not reached.
pub(super) async fn reach<'a>(
    access: &'a EgressAccess,
    (host, port): (&Host, u16),
    rule: &str,
    allowed: Allowed,
) -> Result<(Entry<'a>, TcpStream), Response<Body>> {
    let shown = format!("{host}:{port}");
    let found = timeout(access.waits.connect, targets(&*access.resolver, host, port, allowed)).await;
    let addresses = match found {
        Ok(Ok(addresses)) => addresses,
        Ok(Err(NoAddress::Refused(why))) => {
            let _ = access.asked(&shown, why, false);
            let text = format!(
                "{shown} is refused: it has a {why}, and only those are reached that the host's `pool.private_hosts` names\n"
            );
            return Err(say(StatusCode::FORBIDDEN, &text));
        }
        Ok(Err(NoAddress::Unknown(why))) => {
            let _ = access.asked(&shown, rule, true);
            return Err(say(StatusCode::BAD_GATEWAY, &format!("{shown} cannot be found: {why}\n")));
        }
        Err(_) => {
            let _ = access.asked(&shown, rule, true);
            return Err(say(StatusCode::GATEWAY_TIMEOUT, &format!("{shown} cannot be found in time\n")));
        }
    };
    let entry = access.asked(&shown, rule, true);
    let connected = timeout(access.waits.connect, TcpStream::connect(&*addresses)).await;
    let stream = match connected {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(say(StatusCode::BAD_GATEWAY, &format!("{shown} cannot be reached: {error}\n"))),
        Err(_) => return Err(say(StatusCode::GATEWAY_TIMEOUT, &format!("{shown} does not answer\n"))),
    };
    let _ = stream.set_nodelay(true);
    Ok((entry, stream))
}

/// Whom a request is for.
fn target(request: &Request<Incoming>) -> Result<Target, String> {
    const USE: &str = "This is a proxy: it takes `CONNECT host:port` and absolute http:// URLs";
    let uri = request.uri();
    let tunnel = request.method() == Method::CONNECT;
    let authority = uri.authority().ok_or_else(|| USE.to_owned())?;
    if !tunnel && uri.scheme_str() != Some("http") {
        return Err(USE.to_owned());
    }
    if authority.as_str().contains('@') {
        return Err("A target has no user name".to_owned());
    }
    let port = match (authority.port(), tunnel) {
        (Some(port), _) => port.as_u16(),
        (None, false) if !authority.as_str().ends_with(':') => 80,
        (None, _) => return Err("CONNECT needs a port: `CONNECT host:port`".to_owned()),
    };
    if port == 0 {
        return Err("0 is no port".to_owned());
    }
    let host = Host::parse(authority.host()).map_err(|why| format!("{}: {why}", authority.host()))?;
    Ok(Target { host, port })
}

pub(super) fn say(status: StatusCode, text: &str) -> Response<Body> {
    let body = Full::new(Bytes::from(text.to_owned())).map_err(|never| match never {}).boxed();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let kind = http::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
