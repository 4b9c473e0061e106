mod lending;

use std::{
    collections::BTreeMap,
    io,
    net::IpAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bus_schemas::v1::agent::EgressRecord;
use futures::future::BoxFuture;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream},
    net::TcpListener,
    sync::mpsc,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::{EgressAccess, Rules, Secrets, access::Waits, resolve::Resolve, rules::Host, serve};

fn rules(entries: &[&str]) -> Rules {
    Rules::parse(&entries.iter().map(|e| (*e).to_owned()).collect::<Vec<_>>()).unwrap()
}

#[test]
fn the_list_decides_by_host_and_port() {
    let rules =
        rules(&["example.com", "API.example.org:8443", "*.cdn.net", "*.deep.io:22", "93.184.216.34", "[2606::1]:443"]);
    let allowing = |host: &str, port: u16| rules.allowing(&Host::parse(host).unwrap(), port);
    for (host, port, rule) in [
        ("example.com", 443, Some("example.com")),
        ("EXAMPLE.com.", 80, Some("example.com")),
        ("example.com", 22, None),
        ("www.example.com", 443, None),
        ("notexample.com", 443, None),
        ("example.com.evil.net", 443, None),
        ("api.example.org", 8443, Some("API.example.org:8443")),
        ("api.example.org", 443, None),
        ("a.cdn.net", 443, Some("*.cdn.net")),
        ("a.b.cdn.net", 80, Some("*.cdn.net")),
        ("cdn.net", 443, None),
        ("evilcdn.net", 443, None),
        ("x.deep.io", 22, Some("*.deep.io:22")),
        ("x.deep.io", 443, None),
        ("93.184.216.34", 443, Some("93.184.216.34")),
        ("93.184.216.35", 443, None),
        ("[2606::1]", 443, Some("[2606::1]:443")),
        ("[2606::2]", 443, None),
    ] {
        assert_eq!(allowing(host, port), rule, "{host}:{port}");
    }
    assert_eq!(Rules::default().allowing(&Host::parse("example.com").unwrap(), 443), None, "by default nothing passes");
}

#[test]
fn entries_that_make_no_sense_are_named() {
    for (entry, wanted) in [
        ("", "no host name"),
        ("*", "may only stand for everything below a domain"),
        ("*.com", "whole top-level domain"),
        ("a.*.com", "may only stand"),
        ("*.1.2.3.4", "no subdomains"),
        ("https://example.com", "without a scheme"),
        ("example.com/path", "without a scheme or a path"),
        ("example.com:", "1 to 65535"),
        ("example.com:0", "1 to 65535"),
        ("example.com:65536", "1 to 65535"),
        ("example.com:+80", "1 to 65535"),
        ("ex ample.com", "no host name"),
        ("bücher.example", "no host name"),
        ("-a.example", "no host name"),
        ("127.1", "neither a host name nor an address"),
        ("0x7f000001", "neither a host name nor an address"),
        ("::1", "no host name"),
        ("[::1", "no host name"),
        ("[zz]", "no IPv6 address"),
    ] {
        let error = Rules::parse(&[entry.to_owned()]);
        assert!(error.as_ref().is_err_and(|e| e.contains(wanted) && e.contains("network:")), "{entry}: {error:?}");
    }
}

/// Names as the test has them.
#[derive(Clone, Debug, Default)]
struct Names {
    names: BTreeMap<String, Vec<IpAddr>>,
    asked: Arc<AtomicUsize>,
}

impl Resolve for Names {
    fn lookup<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let found = self.names.get(name).cloned().ok_or_else(|| io::Error::other("no such name"));
        Box::pin(async move { found })
    }
}

struct Proxy {
    names: Names,
    allow_private: bool,
    private: Arc<Rules>,
    rules: Rules,
    /// What there is, and what the task was granted.
    secrets: (Secrets, Vec<String>, BTreeMap<String, String>),
    waits: Waits,
    records: Arc<Mutex<Vec<EgressRecord>>>,
    stop: CancellationToken,
    log: mpsc::Receiver<String>,
    log_sender: mpsc::Sender<String>,
}

impl Proxy {
    fn new(entries: &[&str], names: &[(&str, &[&str])], allow_private: bool) -> Self {
        let addresses = |list: &[&str]| list.iter().map(|a| a.parse().unwrap()).collect();
        let names = names.iter().map(|(name, list)| ((*name).to_owned(), addresses(list))).collect();
        let (log_sender, log) = mpsc::channel(1000);
        let minute = Duration::from_secs(60);
        Self {
            names: Names { names, asked: Arc::default() },
            allow_private,
            private: Arc::default(),
            rules: rules(entries),
            secrets: Default::default(),
            waits: Waits { head: minute, connect: minute, idle: minute },
            records: Arc::default(),
            stop: CancellationToken::new(),
            log,
            log_sender,
        }
    }

    fn connect(&self) -> (DuplexStream, JoinHandle<()>) {
        let (client, guest) = tokio::io::duplex(64 * 1024);
        let records = Arc::clone(&self.records);
        let access = EgressAccess::new(self.rules.clone(), records, self.log_sender.clone(), self.stop.clone())
            .with_private(Arc::clone(&self.private))
            .with_secrets(self.secrets.0.clone(), &self.secrets.1, &self.secrets.2)
            .faked(self.names.clone(), self.allow_private, self.waits);
        (client, tokio::spawn(serve(guest, Arc::new(access))))
    }

    /// Sends a whole request and reads until the proxy closes.
    async fn ask(&self, request: &str) -> String {
        let (mut client, task) = self.connect();
        client.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        task.await.unwrap();
        answer
    }

    fn recorded(&self) -> Vec<(String, String, bool)> {
        let records = self.records.lock().unwrap();
        records.iter().map(|r| (r.target.clone(), r.rule.clone(), r.allowed)).collect()
    }
}

/// A server that reads to the end, then answers with what it got, and how many connections it had.
async fn echo() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, connections) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let mut all = Vec::new();
            stream.read_to_end(&mut all).await.unwrap();
            stream.write_all(&all).await.unwrap();
        }
    });
    (port, connections)
}

/// A server that answers one HTTP request per connection with the request itself.
async fn mirror() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
            // A request ends with an empty line, or with the end of a chunked body.
            loop {
                let read = stream.read(&mut buffer).await.unwrap();
                all.extend_from_slice(&buffer[..read]);
                let text = String::from_utf8_lossy(&all);
                let chunked = text.contains("chunked");
                if read == 0 || text.ends_with(if chunked { "0\r\n\r\n" } else { "\r\n\r\n" }) {
                    break;
                }
            }
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nkeep-alive: 5\r\n\r\n", all.len());
            stream.write_all(&[head.as_bytes(), &all].concat()).await.unwrap();
        }
    });
    port
}

/// Reads the head of an answer.
async fn head(client: &mut DuplexStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

#[tokio::test]
async fn a_tunnel_carries_bytes_both_ways_and_one_side_may_end_first() {
    let (port, _) = echo().await;
    let target = format!("echo.example:{port}");
    let mut proxy = Proxy::new(&[&target], &[("echo.example", &["127.0.0.1"])], true);
    let (mut client, task) = proxy.connect();
    client.write_all(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\nearly ").as_bytes()).await.unwrap();
    assert!(head(&mut client).await.starts_with("HTTP/1.1 200 "));
    client.write_all(&vec![b'x'; 100_000]).await.unwrap();
    client.shutdown().await.unwrap();
    let mut back = Vec::new();
    client.read_to_end(&mut back).await.unwrap();
    assert_eq!(
        (back.len(), back.starts_with(b"early xxx")),
        (100_006, true),
        "what is sent before the answer counts, too"
    );
    task.await.unwrap();
    let record = proxy.records.lock().unwrap()[0].clone();
    assert_eq!(
        (record.target.as_str(), record.rule.as_str(), record.allowed),
        (target.as_str(), target.as_str(), true)
    );
    assert_eq!((record.sent_bytes, record.received_bytes), (100_006, 100_006));
    assert!(record.at.0 > 0);
    assert_eq!(proxy.log.recv().await.unwrap(), format!("egress {target} allowed: {target}"));
    assert!(proxy.log.recv().await.unwrap().contains("100006 bytes sent, 100006 received"));
}

#[tokio::test]
async fn what_is_not_on_the_list_is_refused_before_it_is_even_looked_up() {
    let proxy = Proxy::new(&["example.com"], &[("api.other.org", &["127.0.0.1"])], true);
    let refused = proxy.ask("CONNECT api.other.org:443 HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(refused.starts_with("HTTP/1.1 403 "), "{refused}");
    assert!(refused.contains("network: [\"api.other.org\"]"), "{refused}");
    let refused = proxy.ask("GET http://example.com:8080/ HTTP/1.1\r\nHost: example.com\r\n\r\n").await;
    assert!(refused.contains("network: [\"example.com:8080\"]"), "{refused}");
    assert_eq!(proxy.names.asked.load(Ordering::SeqCst), 0);
    let denied = |target: &str| (target.to_owned(), "default deny".to_owned(), false);
    assert_eq!(proxy.recorded(), [denied("api.other.org:443"), denied("example.com:8080")]);
}

#[tokio::test]
async fn a_host_of_ones_own_network_is_reached_where_both_lists_name_it() {
    let (port, (other, others)) = (mirror().await, echo().await);
    let at = |host: &str, port: u16| format!("{host}:{port}");
    let entries = [at("127.0.0.1", port), at("127.0.0.1", other), at("trap.example", port)];
    let names: [(&str, &[&str]); 2] = [("trap.example", &["127.0.0.1"]), ("more.example", &["127.0.0.1"])];
    let mut proxy = Proxy::new(&entries.each_ref().map(String::as_str), &names, false);
    // A name that is let into the network does not lead to this machine.
    let private = [at("127.0.0.1", port), at("trap.example", port), at("more.example", port)];
    proxy.private = Arc::new(Rules::private(&private).unwrap());
    let ask = async |target: &str| proxy.ask(&format!("GET http://{target}/ HTTP/1.1\r\nHost: {target}\r\n\r\n")).await;
    let reached = ask(&entries[0]).await;
    assert!(reached.starts_with("HTTP/1.1 200 "), "{reached}");
    for (target, why) in
        [(&entries[1], "private_hosts"), (&entries[2], "private_hosts"), (&at("more.example", port), "allow-list")]
    {
        let refused = ask(target).await;
        assert!(refused.starts_with("HTTP/1.1 403 ") && refused.contains(why), "{target}: {refused}");
    }
    assert_eq!(others.load(Ordering::SeqCst), 0);
    for bad in ["*.example", "http://a.example", "a.example:x"] {
        assert!(Rules::private(&[bad.to_owned()]).is_err_and(|why| why.contains("pool.private_hosts")), "{bad}");
    }
}

#[tokio::test]
async fn a_name_on_the_list_that_leads_home_is_refused() {
    let (port, connections) = echo().await;
    let entries = ["trap.example", "mapped.example", "127.0.0.1", "metadata.example"].map(|h| format!("{h}:{port}"));
    let proxy = Proxy::new(
        &entries.each_ref().map(String::as_str),
        &[
            ("trap.example", &["127.0.0.1"]),
            ("mapped.example", &["::ffff:127.0.0.1"]),
            ("metadata.example", &["169.254.169.254"]),
        ],
        false,
    );
    for (entry, why) in entries.iter().zip(["loopback", "loopback", "loopback", "link-local"]) {
        let tunnel = proxy.ask(&format!("CONNECT {entry} HTTP/1.1\r\nHost: {entry}\r\n\r\n")).await;
        let plain = proxy.ask(&format!("GET http://{entry}/ HTTP/1.1\r\nHost: {entry}\r\n\r\n")).await;
        for answer in [tunnel, plain] {
            assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains(why), "{entry}: {answer}");
        }
    }
    assert_eq!(connections.load(Ordering::SeqCst), 0);
    assert!(proxy.recorded().iter().all(|(_, rule, allowed)| !allowed && rule.ends_with("address")));
}

#[tokio::test]
async fn of_several_addresses_only_those_that_may_be_reached_are_tried() {
    use super::resolve::{Allowed, NoAddress, targets};
    let proxy = Proxy::new(&[], &[("mixed", &["10.0.0.1", "2606:4700::1", "1.1.1.1"]), ("none", &[])], false);
    let find = |name: &'static str| {
        targets(&proxy.names, Box::leak(Box::new(Host::Name(name.to_owned()))), 443, Allowed::Public)
    };
    let found = find("mixed").await.unwrap();
    assert_eq!(found, ["1.1.1.1:443".parse().unwrap(), "[2606:4700::1]:443".parse().unwrap()]);
    assert_eq!(
        proxy.names.asked.load(Ordering::SeqCst),
        1,
        "resolved once: the address that was checked is the one used"
    );
    let host = Host::Name("mixed".to_owned());
    let in_network = targets(&proxy.names, &host, 443, Allowed::Network).await.unwrap();
    assert_eq!(in_network.len(), 3, "one's own network, where the host lists the name");
    assert!(matches!(find("none").await, Err(NoAddress::Unknown(_))));
    assert!(matches!(find("missing").await, Err(NoAddress::Unknown(_))));
}

#[tokio::test]
async fn a_plain_request_goes_to_its_target_and_to_no_other() {
    let port = mirror().await;
    let target = format!("mirror.example:{port}");
    let proxy = Proxy::new(&[&target], &[("mirror.example", &["127.0.0.1"])], true);
    let request = format!(
        "GET http://{target}/a?b=c HTTP/1.1\r\nHost: inner.example\r\nProxy-Authorization: secret\r\nConnection: x-gone\r\nX-Gone: 1\r\nX-Kept: 1\r\n\r\n\
         GET http://inner.example/second HTTP/1.1\r\nHost: inner.example\r\n\r\n"
    );
    let answer = proxy.ask(&request).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(answer.contains("GET /a?b=c HTTP/1.1\r\n") && answer.contains(&format!("host: {target}\r\n")), "{answer}");
    assert!(answer.contains("x-kept: 1"), "{answer}");
    for gone in ["inner.example", "secret", "x-gone", "second", "keep-alive"] {
        assert!(!answer.to_lowercase().contains(gone), "{gone} went through: {answer}");
    }
    let records = proxy.records.lock().unwrap().clone();
    assert_eq!(records.len(), 1);
    assert!(records[0].sent_bytes > 20 && records[0].received_bytes > records[0].sent_bytes, "{records:?}");
}

#[tokio::test]
async fn a_body_goes_along_whatever_its_length() {
    let port = mirror().await;
    let target = format!("mirror.example:{port}");
    let proxy = Proxy::new(&[&target], &[("mirror.example", &["127.0.0.1"])], true);
    let request = format!(
        "POST http://{target}/ HTTP/1.1\r\nHost: {target}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    );
    let answer = proxy.ask(&request).await;
    assert!(answer.contains("POST / HTTP/1.1") && answer.contains("hello"), "{answer}");
}

#[tokio::test]
async fn everything_else_is_a_bad_request() {
    let proxy = Proxy::new(&["example.com"], &[("example.com", &["127.0.0.1"])], true);
    let long = format!("GET http://example.com/ HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(20_000));
    for (request, status) in [
        ("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n", "400"),
        ("GET https://example.com/ HTTP/1.1\r\nHost: example.com\r\n\r\n", "400"),
        ("GET ftp://example.com/ HTTP/1.1\r\nHost: example.com\r\n\r\n", "400"),
        ("GET http://me:pass@example.com/ HTTP/1.1\r\nHost: example.com\r\n\r\n", "400"),
        ("CONNECT example.com HTTP/1.1\r\nHost: example.com\r\n\r\n", "400"),
        ("CONNECT example.com:0 HTTP/1.1\r\nHost: example.com\r\n\r\n", "400"),
        ("CONNECT 127.1:443 HTTP/1.1\r\nHost: example.com\r\n\r\n", "400"),
        ("CONNECT 2130706433:443 HTTP/1.1\r\nHost: example.com\r\n\r\n", "400"),
        ("\u{16}\u{3}\u{1} hello tls\r\n\r\n", "400"),
        (&long, "431"),
    ] {
        let answer = proxy.ask(request).await;
        let shown: String = request.chars().take(60).collect();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{shown}: {answer}");
        assert!(!answer.contains("pass@"), "{answer}");
    }
    let recorded = proxy.recorded();
    assert_eq!(recorded.len(), 10);
    assert!(recorded.iter().all(|(_, rule, allowed)| rule == "bad request" && !allowed), "{recorded:?}");
    assert!(recorded.iter().all(|(target, ..)| !target.contains("pass")), "{recorded:?}");
    assert_eq!(proxy.names.asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_target_that_is_not_there_is_said_to_be_so() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let entries = [format!("gone.example:{gone}"), "unknown.example".to_owned()];
    let proxy = Proxy::new(&entries.each_ref().map(String::as_str), &[("gone.example", &["127.0.0.1"])], true);
    let answer = proxy.ask(&format!("CONNECT gone.example:{gone} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains("cannot be reached"), "{answer}");
    let answer = proxy.ask("CONNECT unknown.example:443 HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains("cannot be found"), "{answer}");
}

#[tokio::test]
async fn a_stop_and_a_silence_end_a_tunnel() {
    let (port, _) = echo().await;
    let target = format!("echo.example:{port}");
    for silence in [false, true] {
        let mut proxy = Proxy::new(&[&target], &[("echo.example", &["127.0.0.1"])], true);
        if silence {
            proxy.waits.idle = Duration::from_millis(20);
        }
        let (mut client, task) = proxy.connect();
        client.write_all(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n").as_bytes()).await.unwrap();
        assert!(head(&mut client).await.starts_with("HTTP/1.1 200 "));
        if !silence {
            proxy.stop.cancel();
        }
        task.await.unwrap();
        assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0, "the guest sees the end");
    }
}

#[tokio::test]
async fn a_guest_that_sends_no_request_is_not_waited_for() {
    let mut proxy = Proxy::new(&[], &[], false);
    proxy.waits.head = Duration::from_millis(20);
    let (mut client, task) = proxy.connect();
    client.write_all(b"CONNECT exam").await.unwrap();
    task.await.unwrap();
    assert!(proxy.recorded().is_empty());
}

#[tokio::test]
async fn the_first_two_hundred_are_recorded_and_strange_targets_are_cleaned() {
    let proxy = Proxy::new(&[], &[], false);
    for number in 0..210 {
        proxy.ask(&format!("CONNECT h{number}.example:443 HTTP/1.1\r\nHost: x\r\n\r\n")).await;
    }
    assert_eq!(proxy.recorded().len(), 200);
    let access = EgressAccess::new(Rules::default(), Arc::default(), proxy.log_sender.clone(), proxy.stop.clone());
    drop(access.asked("evil\u{1b}[2J\nfake line", "bad request", false));
    let mut log = proxy.log;
    let mut last = String::new();
    while let Ok(line) = log.try_recv() {
        last = line;
    }
    assert_eq!(last, "egress evil?[2J?fake?line refused: bad request");
}
