//! The pages behind the links in our mails. Looking at one changes nothing, however often a scanner does it; a form decides. No
//! cookies, no scripts, nothing from elsewhere.

#[cfg(test)]
mod tests;

use std::{collections::HashMap, future::Future, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Path, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use bytes::Bytes;
use tokio::{sync::Semaphore, time::timeout};

use super::view::page;

/// The path of the pages that decide.
pub const REQUEST: &str = "/r/";
/// The path of the pages that end news.
pub const QUIET: &str = "/q/";
/// The largest form: a plan of [`page::MAX_PLAN`] characters, each escaped to nine.
const MAX_FORM: usize = 640 * 1024;
/// A form that has not come in this time does not come.
const FORM_TIMEOUT: Duration = Duration::from_secs(10);
/// Pages that are made at the same time, of each kind: scanners may come in a storm.
const AT_ONCE: usize = 8;
/// So many of a kind wait for their turn; who comes then is told to come again, so that a storm holds few connections.
const WAITING: usize = 64;
/// So long they wait.
const TURN: Duration = Duration::from_secs(10);
/// A link's token, at most.
const LINK: usize = 128;

/// How a page is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// As it was asked for.
    Ok,
    /// There is nothing behind this link.
    Gone,
    /// It was not done, and will not be: it is closed, or changed meanwhile.
    Closed,
    /// It was not done: the form is not filled in as needed.
    Incomplete,
    /// It was not done: this person may not.
    Forbidden,
    /// It cannot be said or done now.
    Later,
}

/// A whole page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// How it is answered.
    pub answer: Answer,
    /// The document.
    pub html: String,
}

/// The kinds of pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// They decide: [`REQUEST`].
    Request,
    /// They end news: [`QUIET`].
    Quiet,
}

/// What a form said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filled {
    /// What was pressed: `approve`, `changes`, `reject`, `ask`, `answer`, `edit`.
    pub verdict: String,
    /// What was written.
    pub note: String,
    /// The plan that was written; every blank as it was.
    pub plan: String,
    /// The digest of what was shown.
    pub digest: String,
}

/// Who knows what is behind links. Only `decide` and `quieten` change anything.
pub trait Deciding: Clone + Send + Sync + 'static {
    /// Whether we signed this link, for one of the two kinds of pages: said from the link alone, at once.
    fn is_ours(&self, kind: Kind, link: &str) -> bool;
    /// The page of a request.
    fn show(&self, link: &str) -> impl Future<Output = Page> + Send;
    /// The person of a link filled in the form.
    fn decide(&self, link: &str, filled: Filled) -> impl Future<Output = Page> + Send;
    /// The page that ends news.
    fn show_quiet(&self, link: &str) -> impl Future<Output = Page> + Send;
    /// The person of a link wants no more news.
    fn quieten(&self, link: &str) -> impl Future<Output = Page> + Send;
}

#[derive(Clone)]
struct House<B> {
    bridge: B,
    /// For those who look, scanners among them.
    looks: Arc<Turns>,
    /// For those who do something: no storm of looks stands in their way.
    deeds: Arc<Turns>,
}

/// Who may come in, and whose turn it is.
struct Turns {
    places: Semaphore,
    turns: Semaphore,
}

impl Turns {
    fn new() -> Arc<Self> {
        Arc::new(Self { places: Semaphore::new(AT_ONCE + WAITING), turns: Semaphore::new(AT_ONCE) })
    }

    /// Makes a page when it is its turn.
    async fn take(&self, made: impl Future<Output = Page> + Send) -> Response {
        let Ok(_place) = self.places.try_acquire() else { return busy() };
        match timeout(TURN, self.turns.acquire()).await {
            Ok(Ok(_turn)) => respond(made.await),
            Ok(Err(_)) | Err(_) => busy(),
        }
    }
}

/// The routes of the pages.
pub fn router<B: Deciding>(bridge: B) -> Router {
    let house = House { bridge, looks: Turns::new(), deeds: Turns::new() };
    Router::new()
        .route("/r/{link}", get(show::<B>).post(decide::<B>))
        .route("/q/{link}", get(show_quiet::<B>).post(quieten::<B>))
        .with_state(house)
}

/// What is answered where there is nothing.
pub async fn nothing() -> Response {
    respond(Page { answer: Answer::Gone, html: page::gone() })
}

/// Others are served first.
fn busy() -> Response {
    let headers = [(header::RETRY_AFTER, "10"), (header::CONNECTION, "close")];
    (StatusCode::SERVICE_UNAVAILABLE, headers).into_response()
}

async fn show<B: Deciding>(State(house): State<House<B>>, Path(link): Path<String>) -> Response {
    house.look(Kind::Request, &link, house.bridge.show(&link)).await
}

async fn decide<B: Deciding>(State(house): State<House<B>>, Path(link): Path<String>, request: Request) -> Response {
    if !house.is_ours(Kind::Request, &link) {
        return nothing().await;
    }
    let (parts, body) = request.into_parts();
    let form = match read(&parts.headers, body).await {
        Ok(form) => form,
        Err(status) => return status.into_response(),
    };
    let mut fields: HashMap<String, String> = HashMap::new();
    for (name, value) in form_urlencoded::parse(&form).into_owned() {
        fields.entry(name).or_insert(value);
    }
    let mut field = |name: &str| fields.remove(name).unwrap_or_default();
    let filled = Filled {
        verdict: field("verdict"),
        note: field("note").replace("\r\n", "\n").trim().to_owned(),
        plan: field("plan").replace("\r\n", "\n"),
        digest: field("digest"),
    };
    house.deeds.take(house.bridge.decide(&link, filled)).await
}

async fn show_quiet<B: Deciding>(State(house): State<House<B>>, Path(link): Path<String>) -> Response {
    house.look(Kind::Quiet, &link, house.bridge.show_quiet(&link)).await
}

/// The page's form, and the one click of mail programs (RFC 8058): whatever is in it, it means the same.
async fn quieten<B: Deciding>(State(house): State<House<B>>, Path(link): Path<String>, request: Request) -> Response {
    if !house.is_ours(Kind::Quiet, &link) {
        return nothing().await;
    }
    let (parts, body) = request.into_parts();
    if let Err(status) = read(&parts.headers, body).await {
        return status.into_response();
    }
    house.deeds.take(house.bridge.quieten(&link)).await
}

impl<B: Deciding> House<B> {
    /// Guessed links take nobody's turn.
    fn is_ours(&self, kind: Kind, link: &str) -> bool {
        link.len() <= LINK && self.bridge.is_ours(kind, link)
    }

    async fn look(&self, kind: Kind, link: &str, made: impl Future<Output = Page> + Send) -> Response {
        if !self.is_ours(kind, link) {
            return nothing().await;
        }
        let mut response = self.looks.take(made).await;
        // Who only looks keeps no connection that somebody who decides could use.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        response
    }
}

async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, StatusCode> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > MAX_FORM) {
        return Err(StatusCode::PAYLOAD_TOO_LARGE);
    }
    match timeout(FORM_TIMEOUT, to_bytes(body, MAX_FORM)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(_)) => Err(StatusCode::PAYLOAD_TOO_LARGE),
        Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
    }
}

fn respond(page: Page) -> Response {
    let status = match page.answer {
        Answer::Ok => StatusCode::OK,
        Answer::Gone => StatusCode::NOT_FOUND,
        Answer::Closed => StatusCode::CONFLICT,
        Answer::Incomplete => StatusCode::UNPROCESSABLE_ENTITY,
        Answer::Forbidden => StatusCode::FORBIDDEN,
        Answer::Later => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut response = (status, page.html).into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        // Nobody keeps it, nobody finds it, nobody learns the link from it, nobody puts it into a frame.
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, page::policy()),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (HeaderName::from_static("x-robots-tag"), "noindex, nofollow, noarchive"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if page.answer == Answer::Later {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("10"));
    }
    response
}
