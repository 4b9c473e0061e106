//! Pages and webhooks over the one server, as strangers see it.

use std::sync::{Mutex, PoisonError};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    adapter::{
        clock::SystemClock,
        mail::{
            Kept,
            ingress::{Doors, Fetch, Intake},
            serve,
        },
    },
    config::Webhooks,
    mail::letter::Delivery,
};

#[derive(Clone, Debug, PartialEq)]
enum Call {
    Show(String),
    Decide(String, Filled),
    ShowQuiet(String),
    Quieten(String),
}

#[derive(Clone)]
struct Fake {
    calls: Arc<Mutex<Vec<Call>>>,
    /// Nobody sees a page while this is closed.
    door: tokio::sync::watch::Sender<bool>,
}

impl Default for Fake {
    fn default() -> Self {
        Self { calls: Arc::default(), door: tokio::sync::watch::Sender::new(true) }
    }
}

impl Fake {
    fn told(&self, call: Call) -> Page {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
        Page { answer: Answer::Ok, html: page::message("Hello", "you") }
    }

    fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Deciding for Fake {
    fn is_ours(&self, _: Kind, link: &str) -> bool {
        link != "guessed"
    }

    async fn show(&self, link: &str) -> Page {
        let page = self.told(Call::Show(link.to_owned()));
        self.door.subscribe().wait_for(|open| *open).await.unwrap();
        page
    }

    async fn decide(&self, link: &str, filled: Filled) -> Page {
        self.told(Call::Decide(link.to_owned(), filled))
    }

    async fn show_quiet(&self, link: &str) -> Page {
        self.told(Call::ShowQuiet(link.to_owned()))
    }

    async fn quieten(&self, link: &str) -> Page {
        self.told(Call::Quieten(link.to_owned()))
    }
}

impl Intake for Fake {
    async fn keep(&self, _: Bytes, _: Delivery) -> Kept<()> {
        Ok(())
    }
}

struct Nowhere;

impl Fetch for Nowhere {
    async fn get(&self, url: &str) -> Result<Bytes, String> {
        Err(format!("{url} is not asked for"))
    }
}

struct Server {
    url: String,
    address: std::net::SocketAddr,
    fake: Fake,
    http: reqwest::Client,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

async fn start() -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (fake, stop) = (Fake::default(), CancellationToken::new());
    let doors = Doors {
        intake: fake.clone(),
        fetch: Nowhere,
        clock: Arc::new(SystemClock),
        webhooks: Webhooks::default(),
        max_mail: 1 << 20,
    };
    let task = tokio::spawn(serve(listener, doors, stop.clone()));
    let http = crate::adapter::web::http().build().unwrap();
    Server { url: format!("http://{address}"), address, fake, http, stop, task }
}

#[tokio::test]
async fn looking_is_not_deciding() {
    let server = start().await;
    let url = format!("{}/r/abc", server.url);
    let got = server.http.get(&url).send().await.unwrap();
    assert_eq!(got.status(), 200);
    for (name, value) in [
        ("content-type", "text/html; charset=utf-8"),
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("x-frame-options", "DENY"),
        ("x-content-type-options", "nosniff"),
        ("x-robots-tag", "noindex, nofollow, noarchive"),
    ] {
        assert_eq!(got.headers()[name], value, "{name}");
    }
    let policy = got.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains("script-src"), "{policy}");
    assert!(!got.headers().contains_key("set-cookie"));
    let head = server.http.head(&url).send().await.unwrap();
    assert_eq!((head.status().as_u16(), head.text().await.unwrap().as_str()), (200, ""));
    for method in ["PUT", "DELETE", "OPTIONS"] {
        let other = server.http.request(method.parse().unwrap(), &url).send().await.unwrap();
        assert_eq!(other.status(), 405, "{method}");
    }
    server.http.get(format!("{}/q/abc", server.url)).send().await.unwrap();
    let (show, quiet) = (Call::Show("abc".to_owned()), Call::ShowQuiet("abc".to_owned()));
    assert_eq!(server.fake.calls(), [show.clone(), show, quiet]);
}

#[tokio::test]
async fn a_form_is_read_as_it_was_filled_in() {
    let server = start().await;
    let post = |path: &str, body: &'static str| {
        let request = server.http.post(format!("{}{path}", server.url)).body(body);
        request.header("content-type", "application/x-www-form-urlencoded")
    };
    let form = "digest=5f&note=+a%0D%0Ab+%C3%A4+&verdict=reject&verdict=approve&plan=++a:%0D%0A-+b+%0D%0A";
    assert_eq!(post("/r/abc", form).send().await.unwrap().status(), 200);
    let (note, plan) = ("a\nb ä".to_owned(), "  a:\n- b \n".to_owned());
    let filled = Filled { verdict: "reject".to_owned(), note, plan, digest: "5f".to_owned() };
    // The one click of a mail program, and the page's form.
    post("/q/abc", "List-Unsubscribe=One-Click").send().await.unwrap();
    post("/q/abc", "verdict=quiet").send().await.unwrap();
    let quiet = Call::Quieten("abc".to_owned());
    assert_eq!(server.fake.calls(), [Call::Decide("abc".to_owned(), filled), quiet.clone(), quiet]);
    let huge = post("/r/abc", "").body(vec![b'a'; MAX_FORM + 1]).send().await.unwrap();
    assert_eq!((huge.status().as_u16(), server.fake.calls().len()), (413, 3));
}

#[tokio::test]
async fn where_there_is_nothing_it_looks_like_a_wrong_link() {
    let server = start().await;
    for path in ["/", "/r/", "/r", "/x", "/r/a/b", "/favicon.ico", &format!("/r/{}", "a".repeat(LINK + 1))] {
        let got = server.http.get(format!("{}{path}", server.url)).send().await.unwrap();
        assert_eq!(
            (got.status().as_u16(), got.headers()["cache-control"].as_bytes()),
            (404, &b"no-store"[..]),
            "{path}"
        );
        assert_eq!(got.text().await.unwrap(), page::gone(), "{path}");
    }
    assert_eq!(server.fake.calls(), []);
}

#[tokio::test]
async fn how_it_went_is_in_the_status() {
    let of = |answer| respond(Page { answer, html: String::new() }).status().as_u16();
    let all = [Answer::Ok, Answer::Gone, Answer::Closed, Answer::Incomplete, Answer::Forbidden, Answer::Later];
    assert_eq!(all.map(of), [200, 404, 409, 422, 403, 503]);
}

#[tokio::test]
async fn who_decides_is_served_while_a_storm_of_scanners_is_not() {
    let server = start().await;
    server.fake.door.send_replace(false);
    let url = format!("{}/r/abc", server.url);
    // Each with a connection of its own, and no page is done.
    const STORM: usize = 300;
    let storm: Vec<JoinHandle<u16>> = (0..STORM)
        .map(|_| {
            let request = server.http.get(&url);
            tokio::spawn(async move { request.send().await.unwrap().status().as_u16() })
        })
        .collect();
    let busy = || storm.iter().filter(|look| look.is_finished()).count();
    while busy() < STORM - AT_ONCE - WAITING {
        tokio::task::yield_now().await;
    }
    assert_eq!(server.fake.calls().len(), AT_ONCE, "the others wait for their turn");
    let form = "digest=5f&verdict=approve";
    for (path, status) in [("/r/abc", 200), ("/r/guessed", 404), ("/q/abc", 200)] {
        let post = server.http.post(format!("{}{path}", server.url)).body(form).send().await.unwrap();
        assert_eq!(post.status(), status, "{path}");
    }
    assert!(busy() <= STORM - AT_ONCE, "all of it was done within the storm");
    let decided = server.fake.calls().into_iter().filter(|call| matches!(call, Call::Decide(..))).count();
    assert_eq!(decided, 1);
    server.fake.door.send_replace(true);
    let mut seen = 0;
    for look in storm {
        let status = look.await.unwrap();
        assert!([200, 503].contains(&status), "{status}");
        seen += usize::from(status == 200);
    }
    assert!((AT_ONCE..=AT_ONCE + WAITING).contains(&seen), "who waited sees the page: {seen}");
}

#[tokio::test]
async fn a_look_keeps_no_connection() {
    let server = start().await;
    for (path, kept) in [("/r/abc", false), ("/q/abc", false)] {
        let got = server.http.get(format!("{}{path}", server.url)).send().await.unwrap();
        assert_eq!(got.headers().get("connection").is_none(), kept, "{path}");
    }
    let post = server.http.post(format!("{}/q/abc", server.url)).body("").send().await.unwrap();
    assert!(!post.headers().contains_key("connection"));
}

#[tokio::test]
async fn who_says_nothing_is_not_listened_to() {
    let server = start().await;
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    silent.write_all(b"GET /r/abc HTTP/1.1\r\nHost: x\r\n").await.unwrap();
    // The server's clock is stopped and moved on by the runtime as soon as everybody waits.
    tokio::time::pause();
    let mut answer = Vec::new();
    let ended = timeout(Duration::from_secs(120), silent.read_to_end(&mut answer)).await;
    assert!(ended.is_ok(), "the connection is closed");
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{answer:?}");
    assert_eq!(server.fake.calls(), []);
}

#[tokio::test]
async fn it_ends_when_it_is_told_to() {
    let server = start().await;
    // A connection that is kept for the next request holds nothing up.
    server.http.get(format!("{}/r/abc", server.url)).send().await.unwrap();
    server.stop.cancel();
    timeout(Duration::from_secs(60), server.task).await.unwrap().unwrap();
    assert!(TcpStream::connect(server.address).await.is_err(), "nobody listens");
}
