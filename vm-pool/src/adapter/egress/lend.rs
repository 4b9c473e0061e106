//! A plain request that goes on with a secret: the header is put in here, on the host, and what comes back is looked
//! through, so that the value does not come into the guest even if the target repeats it.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::{Frame, Incoming};
use rustls::pki_types::{IpAddr as TlsAddress, ServerName};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

use super::{
    access::EgressAccess,
    forward::{self, Upstream},
    resolve::Allowed,
    rules::Host,
    secrets::{Named, Place, Secrets, Value},
    serve::{Body, Held, lock, reach, say},
    splice::Counted,
};
use crate::adapter::gateway::{Redactor, Secret};

/// A guest that has several secrets for a host names one with this header.
pub(super) const CHOICE: HeaderName = HeaderName::from_static("baton-secret");

/// A secret, and where a request goes with it.
#[derive(Debug)]
pub(super) struct Loan {
    pub(super) secret: Arc<Named>,
    pub(super) place: Place,
    /// It goes elsewhere than was agreed to: it is not used.
    is_other: bool,
}

/// What a guest may use.
#[derive(Debug, Default)]
pub(super) struct Lent {
    /// Those its task was granted.
    own: Vec<Arc<Named>>,
    /// Those of them that go elsewhere, on this host, than was agreed to.
    others: Vec<String>,
    /// All there are.
    all: Secrets,
}

impl Lent {
    pub(super) fn new(all: Secrets, names: &[String], terms: &BTreeMap<String, String>) -> Self {
        let others = all.differing(names, terms).into_iter().map(|(name, _)| name.to_owned()).collect();
        Self { own: all.granted(names), others, all }
    }

    /// The secret that a plain request to this target goes on with; `None` if it has none for it.
    ///
    /// # Errors
    /// The answer, if it must choose, or chose what it cannot have.
    pub(super) fn choose(
        &self,
        headers: &HeaderMap,
        host: &Host,
        port: u16,
    ) -> Result<Option<Loan>, Box<Response<Body>>> {
        let fits = |secret: &Arc<Named>| {
            let place = secret.place(host, port)?.clone();
            Some(Loan { secret: Arc::clone(secret), place, is_other: self.others.contains(&secret.name) })
        };
        let mut loans: Vec<Loan> = self.own.iter().filter_map(fits).collect();
        if let Some(wanted) = headers.get(CHOICE) {
            let found = loans.into_iter().find(|loan| wanted.as_bytes() == loan.secret.name.as_bytes());
            let none = "this task has no secret of the name in `baton-secret` for this host\n";
            return found.map(Some).ok_or_else(|| Box::new(say(StatusCode::FORBIDDEN, none)));
        }
        if loans.len() > 1 {
            let names: Vec<&str> = loans.iter().map(|loan| loan.secret.name.as_str()).collect();
            let text = format!("say which secret is meant with the header `baton-secret`: {}\n", names.join(", "));
            return Err(Box::new(say(StatusCode::BAD_REQUEST, &text)));
        }
        Ok(loans.pop())
    }

    /// What a guest is told of a refused target that is a secret's host; empty if it is none's.
    pub(super) fn hint(&self, host: &Host, port: u16) -> String {
        if let Some(own) = self.own.iter().find(|secret| secret.place(host, port).is_some()) {
            return format!(
                "\nWith the secret `{}` it is reached by a plain request: http://{host}/…, not https\n",
                own.name
            );
        }
        match self.all.at(host, port).as_slice() {
            [] => String::new(),
            names => format!("\nIt is a host of the secret {}, which this task may not use\n", names.join(", ")),
        }
    }
}

/// Sends the request on with the secret.
pub(super) async fn lend<'a>(
    request: Request<Incoming>,
    access: &'a EgressAccess,
    held: &Mutex<Held<'a>>,
    loan: &Loan,
) -> Response<Body> {
    let Loan { secret, place: Place { host, port, plain, .. }, is_other } = loan;
    let (rule, shown) = (format!("secret {}", secret.name), format!("{host}:{port}"));
    let refuse = |status, text: &str| {
        let _ = access.asked(&shown, &rule, false);
        say(status, text)
    };
    if *is_other {
        let name = &secret.name;
        let text = format!(
            "the secret `{name}` is not used: [secrets.{name}] of this host has other hosts or another header than was agreed to\n"
        );
        return refuse(StatusCode::BAD_GATEWAY, &text);
    }
    let reader = Arc::clone(secret);
    let value = match tokio::task::spawn_blocking(move || reader.value()).await {
        Ok(Ok(value)) => value,
        Ok(Err(why)) => {
            tracing::warn!(%why, "a guest's request is refused");
            return refuse(StatusCode::BAD_GATEWAY, &format!("{why}\n"));
        }
        Err(_) => return refuse(StatusCode::BAD_GATEWAY, "the secret could not be read\n"),
    };
    let allowed = match plain {
        false => access.allowed(host, *port),
        true if access.private.allowing(host, *port).is_some() => Allowed::Own,
        true => {
            let why = "a secret goes over plain http only to hosts that the host's `pool.private_hosts` names";
            return refuse(StatusCode::FORBIDDEN, &format!("{shown} is refused: {why}\n"));
        }
    };
    let (entry, stream) = match reach(access, (host, *port), &rule, allowed).await {
        Ok(reached) => reached,
        Err(answer) => return answer,
    };
    let counted = Counted { inner: stream, counts: Arc::clone(&entry.counts) };
    lock(held).entry = Some(entry);
    let usual = if *plain { 80 } else { 443 };
    let named = if *port == usual { host.to_string() } else { shown.clone() };
    let request = dressed(request, secret, &value);
    let forwarded = if *plain {
        forward::forward(request, &named, counted).await
    } else {
        match secure(secret, host, counted, access).await {
            Ok(stream) => forward::forward(request, &named, stream).await,
            Err(why) => {
                let text = format!("{shown} cannot be spoken to over https: {why}\n");
                return say(StatusCode::BAD_GATEWAY, &text);
            }
        }
    };
    match forwarded {
        Ok((response, task)) => {
            lock(held).forwarding = Some(task);
            cleaned(response, &value.forms, &shown)
        }
        Err(error) => say(StatusCode::BAD_GATEWAY, &format!("{shown} did not answer: {error}\n")),
    }
}

async fn secure(
    secret: &Arc<Named>,
    host: &Host,
    stream: Counted<TcpStream>,
    access: &EgressAccess,
) -> Result<tokio_rustls::client::TlsStream<Counted<TcpStream>>, String> {
    let owner = Arc::clone(secret);
    let config = tokio::task::spawn_blocking(move || owner.tls()).await.map_err(|error| error.to_string())??;
    let name = match host {
        Host::Address(address) => ServerName::IpAddress(TlsAddress::from(*address)),
        Host::Name(name) => ServerName::try_from(name.clone()).map_err(|error| error.to_string())?,
    };
    match timeout(access.waits.connect, TlsConnector::from(config).connect(name, stream)).await {
        Ok(connected) => connected.map_err(|error| error.to_string()),
        Err(_) => Err("it does not answer".to_owned()),
    }
}

/// The request with the secret and without what the guest put in its place. Nothing in it lets the answer come in a form,
/// or in pieces, that cannot be looked through.
fn dressed(mut request: Request<Incoming>, secret: &Named, value: &Value) -> Request<Incoming> {
    let headers = request.headers_mut();
    // First, so that `Connection: authorization` takes nothing away that is put in.
    forward::strip(headers);
    for name in [&secret.header, &CHOICE, &header::ACCEPT_ENCODING, &header::RANGE, &header::IF_RANGE] {
        headers.remove(name);
    }
    let steering: Vec<HeaderName> = headers.keys().filter(|name| steers(name, &secret.header)).cloned().collect();
    for name in steering {
        headers.remove(name);
    }
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(secret.header.clone(), value.header.clone());
    request
}

/// Whether a header may lead a server to another host, path or method than the request's own, or stand there for the
/// secret's: many servers take `x_api_key` for `x-api-key`.
fn steers(name: &HeaderName, own: &HeaderName) -> bool {
    let plain = |name: &HeaderName| name.as_str().replace('_', "-");
    let name = plain(name);
    name == plain(own)
        || ["x-forwarded-", "x-original-"].iter().any(|start| name.starts_with(start))
        || ["forwarded", "x-forwarded", "x-rewrite-url", "x-http-method-override"].contains(&name.as_str())
}

/// The answer without the value, whatever form it has there; without cookies, which may be as good as the secret.
fn cleaned(response: Response<Upstream>, forms: &[Secret], shown: &str) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    let is_other = |name: HeaderName, usual: &str| {
        let values = parts.headers.get_all(name);
        values.iter().any(|value| !value.as_bytes().eq_ignore_ascii_case(usual.as_bytes()))
    };
    if is_other(header::CONTENT_ENCODING, "identity") || is_other(header::TRANSFER_ENCODING, "chunked") {
        let text = format!("{shown} answered in an encoding that cannot be looked through for the secret\n");
        return say(StatusCode::BAD_GATEWAY, &text);
    }
    if parts.status.is_informational() {
        return say(StatusCode::BAD_GATEWAY, &format!("{shown} wants to speak another protocol\n"));
    }
    // The words beside the status are the server's own.
    parts.extensions.clear();
    parts.headers = headers(&parts.headers, forms);
    let redactor = Redactor::of(forms.to_vec());
    Response::from_parts(parts, Cleaned { inner: body, redactor, is_over: false }.boxed())
}

fn headers(headers: &HeaderMap, forms: &[Secret]) -> HeaderMap {
    let mut clean = HeaderMap::new();
    for (name, value) in headers {
        // Names come in lower case, whatever the server wrote.
        let holds = |form: &Secret| {
            let form = form.needle().to_ascii_lowercase();
            name.as_str().as_bytes().windows(form.len()).any(|part| part == form)
        };
        if matches!(name.as_str(), "set-cookie" | "set-cookie2") || forms.iter().any(holds) {
            continue;
        }
        let value = Redactor::of(forms.to_vec()).whole(Bytes::copy_from_slice(value.as_bytes()));
        if let Ok(value) = HeaderValue::from_bytes(&value) {
            clean.append(name, value);
        }
    }
    clean
}

/// A body that is looked through as it comes. Trailers do not pass.
#[derive(Debug)]
struct Cleaned {
    inner: Upstream,
    redactor: Redactor,
    is_over: bool,
}

impl hyper::body::Body for Cleaned {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = &mut *self;
        while !this.is_over {
            let piece = match ready!(Pin::new(&mut this.inner).poll_frame(cx)) {
                // Trailers do not pass.
                Some(Ok(frame)) => frame.into_data().map(|data| this.redactor.push(data)).unwrap_or_default(),
                Some(Err(error)) => {
                    this.is_over = true;
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    this.is_over = true;
                    this.redactor.finish()
                }
            };
            if !piece.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
        }
        Poll::Ready(None)
    }
}
