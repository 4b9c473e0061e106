//! Requests that go on with a secret, to real servers.

use std::path::PathBuf;

use bus_schemas::secrets::SecretSetup;
use tokio::io::{AsyncRead, AsyncWrite};

use super::*;

const VALUE: &str = "canary-7f3a91d0c2";

/// The secrets there are, those that are granted, and where these go as it was agreed to.
type Lendable = (Secrets, Vec<String>, BTreeMap<String, String>);

/// A server that answers each connection's request, which it keeps, with what it is given, piece by piece.
struct Target {
    port: u16,
    seen: Arc<Mutex<Vec<String>>>,
    /// Its certificate, if it speaks TLS.
    ca: Option<(tempfile::TempDir, PathBuf)>,
}

impl Target {
    /// `answer` makes the pieces of the answer from the request's head.
    async fn plain(answer: impl Fn(&str) -> Vec<String> + Send + Sync + 'static) -> Self {
        Self::start(None, answer).await
    }

    async fn secure(name: &str, answer: impl Fn(&str) -> Vec<String> + Send + Sync + 'static) -> Self {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key.into())
            .unwrap();
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ca.pem");
        std::fs::write(&file, made.cert.pem()).unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        Self { ca: Some((dir, file)), ..Self::start(Some(acceptor), answer).await }
    }

    async fn start(
        tls: Option<tokio_rustls::TlsAcceptor>,
        answer: impl Fn(&str) -> Vec<String> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, seen) = (listener.local_addr().unwrap().port(), Arc::<Mutex<Vec<String>>>::default());
        let kept = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                match &tls {
                    None => serve_one(stream, &kept, &answer).await,
                    Some(tls) => match tls.accept(stream).await {
                        Ok(stream) => serve_one(stream, &kept, &answer).await,
                        Err(error) => kept.lock().unwrap().push(format!("no handshake: {error}")),
                    },
                }
            }
        });
        Self { port, seen, ca: None }
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

async fn serve_one(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    seen: &Mutex<Vec<String>>,
    answer: &(impl Fn(&str) -> Vec<String> + Send + Sync),
) {
    let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
    while !all.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut buffer).await {
            Ok(read) if read > 0 => all.extend_from_slice(&buffer[..read]),
            _ => return,
        }
        // A handshake, to which there is nothing to say.
        if all.first() == Some(&0x16) {
            return seen.lock().unwrap().push(String::from_utf8_lossy(&all).into_owned());
        }
    }
    let text = String::from_utf8_lossy(&all).into_owned();
    let pieces = answer(&text);
    seen.lock().unwrap().push(text);
    for piece in pieces {
        stream.write_all(piece.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        tokio::task::yield_now().await;
    }
    let _ = stream.shutdown().await;
}

/// Says the request back.
fn echo_back(head: &str) -> Vec<String> {
    vec![format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{head}", head.len())]
}

fn setup(hosts: &[String]) -> SecretSetup {
    SecretSetup { env: Some("TOKEN".to_owned()), hosts: hosts.to_vec(), ..SecretSetup::default() }
}

fn secrets(all: &[(&str, SecretSetup)], granted: &[&str]) -> Lendable {
    let terms = all.iter().map(|(name, setup)| ((*name).to_owned(), setup.brief(name).terms())).collect();
    let all = all.iter().map(|(name, setup)| ((*name).to_owned(), setup.clone())).collect();
    let secrets = Secrets::new(&all, |name| (name == "TOKEN").then(|| VALUE.to_owned())).unwrap();
    (secrets, granted.iter().map(|name| (*name).to_owned()).collect(), terms)
}

/// A proxy for which this port of this machine is somebody's own network, and a host of the secret `lab`.
fn lab(port: u16, granted: &[&str]) -> Proxy {
    let mut proxy = Proxy::new(&[], &[], false);
    proxy.private = Arc::new(Rules::private(&[format!("127.0.0.1:{port}")]).unwrap());
    proxy.secrets = secrets(&[("lab", setup(&[format!("http://127.0.0.1:{port}")]))], granted);
    proxy
}

fn get(url: &str, headers: &str) -> String {
    format!("GET {url} HTTP/1.1\r\nHost: other.example\r\n{headers}\r\n")
}

#[tokio::test]
async fn the_secret_goes_over_https_and_its_echo_does_not_come_back() {
    let target = Target::secure("api.example", echo_back).await;
    let ca_file = target.ca.as_ref().map(|(_, file)| file.display().to_string());
    let entry = format!("api.example:{}", target.port);
    let known = SecretSetup { ca_file, ..setup(std::slice::from_ref(&entry)) };
    let mut proxy = Proxy::new(&[], &[("api.example", &["127.0.0.1"])], true);
    proxy.secrets = secrets(&[("api", known)], &["api"]);
    let own = "Authorization: Bearer of-the-guest\r\nAccept-Encoding: gzip\r\nRange: bytes=0-3\r\nConnection: authorization\r\nBaton-Secret: api\r\nX-Own: 1\r\n";
    let answer = proxy.ask(&get(&format!("http://{entry}/a?b=c"), own)).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    let seen = target.seen();
    assert!(seen[0].contains(&format!("authorization: Bearer {VALUE}\r\n")), "{seen:?}");
    assert!(
        seen[0].starts_with("GET /a?b=c HTTP/1.1\r\n") && seen[0].contains(&format!("host: {entry}\r\n")),
        "{seen:?}"
    );
    assert!(seen[0].contains("accept-encoding: identity\r\n") && seen[0].contains("x-own: 1\r\n"), "{seen:?}");
    for gone in ["of-the-guest", "gzip", "range:", "baton-secret", "other.example"] {
        assert!(!seen[0].contains(gone), "{gone}: {seen:?}");
    }
    assert!(answer.contains(&format!("authorization: Bearer {}\r\n", "x".repeat(VALUE.len()))), "{answer}");
    assert!(!answer.contains("canary"), "{answer}");
    assert_eq!(proxy.recorded(), [(entry, "secret api".to_owned(), true)]);
    assert!(proxy.records.lock().unwrap()[0].received_bytes > 0);
}

#[tokio::test]
async fn a_host_that_cannot_prove_itself_gets_nothing() {
    let target = Target::secure("api.example", echo_back).await;
    let entry = format!("api.example:{}", target.port);
    let mut proxy = Proxy::new(&[], &[("api.example", &["127.0.0.1"])], true);
    // Its certificate is nobody's: `ca_file` is another's.
    let other = Target::secure("api.example", echo_back).await;
    let ca_file = other.ca.as_ref().map(|(_, file)| file.display().to_string());
    proxy.secrets = secrets(&[("api", SecretSetup { ca_file, ..setup(std::slice::from_ref(&entry)) })], &["api"]);
    let answer = proxy.ask(&get(&format!("http://{entry}/"), "")).await;
    assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains("cannot be spoken to over https"), "{answer}");
    let plain = Target::plain(echo_back).await;
    let entry = format!("api.example:{}", plain.port);
    proxy.secrets = secrets(&[("api", SecretSetup { ca_file: None, ..setup(std::slice::from_ref(&entry)) })], &["api"]);
    let answer = proxy.ask(&get(&format!("http://{entry}/"), "")).await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    assert!(target.seen().iter().chain(&plain.seen()).all(|seen| !seen.contains("canary")), "nothing was sent");
}

#[tokio::test]
async fn an_echo_is_blacked_out_wherever_it_is_and_however_it_is_cut() {
    let target = Target::plain(|_| {
        let piece = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
        let mut pieces = vec![format!(
            "HTTP/1.1 200 {VALUE}\r\ntransfer-encoding: chunked\r\ntrailer: x-late\r\nx-echo: <{VALUE}>\r\nX-{VALUE}: 1\r\n\
             set-cookie: session=1\r\nlocation: /?token={VALUE}\r\n\r\n"
        )];
        pieces.extend(VALUE.chars().map(|letter| piece(&letter.to_string())));
        pieces.extend([piece("; in base64 Y2FuYXJ5LTdm"), piece("M2E5MWQwYzI= and can"), piece("ary alone")]);
        pieces.push(format!("0\r\nx-late: {VALUE}\r\n\r\n"));
        pieces
    })
    .await;
    let proxy = lab(target.port, &["lab"]);
    let url = format!("http://127.0.0.1:{}/", target.port);
    let answer = proxy.ask(&get(&url, "TE: trailers\r\n")).await;
    let dark = "x".repeat(VALUE.len());
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(
        answer.contains(&format!("x-echo: <{dark}>")) && answer.contains(&format!("location: /?token={dark}")),
        "{answer}"
    );
    for gone in [VALUE, "set-cookie", "x-late", "x-canary", "Y2FuYXJ5", "M2E5MWQ"] {
        assert!(!answer.contains(gone), "{gone}: {answer}");
    }
    // Without the frames of the chunks.
    let text: String = answer.split("\r\n").filter(|line| u32::from_str_radix(line, 16).is_err()).collect();
    assert!(text.contains(&format!("{dark}; in base64 ")) && text.ends_with("= and canary alone"), "{text}");
}

#[tokio::test]
async fn what_cannot_be_looked_through_does_not_pass() {
    for head in ["content-encoding: gzip", "transfer-encoding: gzip, chunked"] {
        let target = Target::plain(move |_| {
            vec![format!("HTTP/1.1 200 OK\r\n{head}\r\nconnection: close\r\n\r\n5\r\nabcde\r\n0\r\n\r\n")]
        })
        .await;
        let proxy = lab(target.port, &["lab"]);
        let answer = proxy.ask(&get(&format!("http://127.0.0.1:{}/", target.port), "")).await;
        assert!(answer.starts_with("HTTP/1.1 502 ") && !answer.contains("abcde"), "{head}: {answer}");
    }
}

#[tokio::test]
async fn the_guest_does_not_steer_the_request_by_headers() {
    let target = Target::plain(echo_back).await;
    let mut proxy = lab(target.port, &[]);
    let known = SecretSetup { header: "X-Api-Key".to_owned(), ..setup(&[format!("http://127.0.0.1:{}", target.port)]) };
    proxy.secrets = secrets(&[("lab", known)], &["lab"]);
    let names = [
        "Forwarded",
        "X-Forwarded-Host",
        "X_Forwarded_For",
        "X-Original-URL",
        "X-Rewrite-Url",
        "X-HTTP-Method-Override",
        "X_Api_Key",
        "X-Api_Key",
    ];
    let own: String = names.iter().map(|name| format!("{name}: of-the-guest\r\n")).collect();
    let url = format!("http://127.0.0.1:{}/", target.port);
    let answer = proxy.ask(&get(&url, &format!("{own}X-Own: 1\r\n"))).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let seen = target.seen();
    assert!(seen[0].contains("x-own: 1\r\n") && seen[0].contains(&format!("x-api-key: Bearer {VALUE}")), "{seen:?}");
    assert!(!seen[0].contains("of-the-guest"), "{seen:?}");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let other = Target::plain(echo_back).await;
    let to = format!("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:{}/\r\ncontent-length: 0\r\n\r\n", other.port);
    let target = Target::plain(move |_| vec![to.clone()]).await;
    let proxy = lab(target.port, &["lab"]);
    let answer = proxy.ask(&get(&format!("http://127.0.0.1:{}/", target.port), "")).await;
    assert!(answer.starts_with("HTTP/1.1 302 ") && answer.contains("location: "), "{answer}");
    assert!(other.seen().is_empty());
}

#[tokio::test]
async fn without_the_grant_and_anywhere_else_there_is_no_secret() {
    let (target, other) = (Target::plain(echo_back).await, Target::plain(echo_back).await);
    let url = |port: u16| format!("http://127.0.0.1:{port}/");
    let proxy = lab(target.port, &[]);
    let answer = proxy.ask(&get(&url(target.port), "")).await;
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("a host of the secret lab"), "{answer}");
    // One that is granted and not configured here is none.
    let answer = lab(target.port, &["other"]).ask(&get(&url(target.port), "")).await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert!(target.seen().is_empty());

    let mut proxy = lab(target.port, &["lab"]);
    let answer = proxy.ask(&get(&url(other.port), "")).await;
    assert!(answer.starts_with("HTTP/1.1 403 ") && !answer.contains("secret"), "{answer}");
    let list = [format!("127.0.0.1:{}", other.port), format!("127.0.0.1:{}", target.port)];
    proxy.rules = rules(&list.each_ref().map(String::as_str));
    proxy.private = Arc::new(Rules::private(&list).unwrap());
    let answer = proxy.ask(&get(&url(other.port), "")).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let answer = proxy.ask(&get(&url(other.port), "Baton-Secret: lab\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("no secret of the name"), "{answer}");
    // Through a tunnel there is none, even where one is let through.
    let (mut client, task) = proxy.connect();
    client.write_all(format!("CONNECT {} HTTP/1.1\r\nHost: x\r\n\r\n", list[1]).as_bytes()).await.unwrap();
    assert!(head(&mut client).await.starts_with("HTTP/1.1 200 "));
    client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    client.shutdown().await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    task.await.unwrap();
    let seen = [other.seen(), target.seen()].concat();
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert!(seen.iter().all(|seen| !seen.contains("canary") && !seen.contains("authorization")), "{seen:?}");
    // And where none is let through, the guest is told the way.
    let answer =
        lab(target.port, &["lab"]).ask(&format!("CONNECT 127.0.0.1:{} HTTP/1.1\r\nHost: x\r\n\r\n", target.port)).await;
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("by a plain request"), "{answer}");
}

#[tokio::test]
async fn of_several_secrets_the_guest_names_one() {
    let target = Target::plain(echo_back).await;
    let mut proxy = lab(target.port, &[]);
    let at = [format!("http://127.0.0.1:{}", target.port)];
    let all = [("read", setup(&at)), ("write", SecretSetup { format: "token {}".to_owned(), ..setup(&at) })];
    proxy.secrets = secrets(&all, &["read", "write"]);
    let url = format!("http://127.0.0.1:{}/", target.port);
    let answer = proxy.ask(&get(&url, "")).await;
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("`baton-secret`: read, write"), "{answer}");
    let answer = proxy.ask(&get(&url, "Baton-Secret: write\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(target.seen()[0].contains(&format!("authorization: token {VALUE}\r\n")), "{:?}", target.seen());
    let rules: Vec<String> = proxy.recorded().into_iter().map(|(_, rule, _)| rule).collect();
    assert_eq!(rules, ["no such secret", "secret write"]);
}

#[tokio::test]
async fn over_plain_http_it_goes_only_to_a_private_host_that_is_named() {
    let target = Target::plain(echo_back).await;
    let url = format!("http://127.0.0.1:{}/", target.port);
    let mut proxy = lab(target.port, &["lab"]);
    proxy.private = Arc::default();
    let answer = proxy.ask(&get(&url, "")).await;
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("private_hosts"), "{answer}");
    // A name is none: whoever answers for it would get the value.
    let named = BTreeMap::from([("lab".to_owned(), setup(&[format!("http://home.example:{}", target.port)]))]);
    assert!(Secrets::new(&named, |_| None).is_err_and(|why| why.contains("write the address itself")));
    // Nor does https to a private address that is not named.
    let entry = format!("home.example:{}", target.port);
    let mut proxy = Proxy::new(&[], &[("home.example", &["127.0.0.1"])], false);
    proxy.secrets = secrets(&[("lab", setup(std::slice::from_ref(&entry)))], &["lab"]);
    let answer = proxy.ask(&get(&format!("http://{entry}/"), "")).await;
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("loopback"), "{answer}");
    assert!(target.seen().is_empty());
}

#[tokio::test]
async fn a_secret_that_goes_elsewhere_than_was_agreed_to_is_not_used() {
    let target = Target::plain(echo_back).await;
    let url = format!("http://127.0.0.1:{}/", target.port);
    for agreed in [None, Some("authorization to api.example"), Some("x-api-key to http://127.0.0.1:1")] {
        let mut proxy = lab(target.port, &["lab"]);
        proxy.secrets.2 = agreed.map(|terms| ("lab".to_owned(), terms.to_owned())).into_iter().collect();
        let answer = proxy.ask(&get(&url, "")).await;
        assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains("the secret `lab` is not used"), "{answer}");
        assert_eq!(proxy.recorded(), [(format!("127.0.0.1:{}", target.port), "secret lab".to_owned(), false)]);
    }
    assert!(target.seen().is_empty());
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_is_said_to_be_so() {
    let target = Target::plain(echo_back).await;
    let mut proxy = lab(target.port, &[]);
    let missing = SecretSetup { env: Some("NONE".to_owned()), ..setup(&[format!("http://127.0.0.1:{}", target.port)]) };
    proxy.secrets = secrets(&[("lab", missing)], &["lab"]);
    let answer = proxy.ask(&get(&format!("http://127.0.0.1:{}/", target.port), "")).await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    assert!(
        answer.contains("the secret `lab` cannot be used: set NONE in the environment of baton-vm-pool"),
        "{answer}"
    );
    assert_eq!(proxy.recorded(), [(format!("127.0.0.1:{}", target.port), "secret lab".to_owned(), false)]);
    assert!(target.seen().is_empty());
}

#[tokio::test]
async fn a_target_that_goes_silent_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut proxy = lab(listener.local_addr().unwrap().port(), &["lab"]);
    (proxy.waits.head, proxy.waits.idle) = (Duration::from_secs(1), Duration::from_millis(20));
    let url = format!("http://127.0.0.1:{}/", listener.local_addr().unwrap().port());
    let (mut client, task) = proxy.connect();
    client.write_all(get(&url, "").as_bytes()).await.unwrap();
    let (_silent, _) = listener.accept().await.unwrap();
    task.await.unwrap();
    assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0, "the guest sees the end");
}
