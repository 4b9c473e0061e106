//! A local name server: it has authority over everything, knows what a test tells it, and fails on demand.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hickory_proto::{
    op::{Edns, Message, MessageType, ResponseCode},
    rr::{
        Name, RData, Record, RecordType,
        rdata::{A, AAAA, CNAME, MX, PTR, SOA, TXT},
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UdpSocket},
    runtime::Runtime,
};

/// The longest piece of a TXT record (RFC 1035, 3.3).
const PIECE: usize = 255;
/// What fits into an answer over UDP if the question says nothing else (RFC 1035, 4.2.1).
const PLAIN_UDP: u16 = 512;

/// How questions about a name go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DnsFault {
    /// The server failed (SERVFAIL).
    ServFail,
    /// The server does not want to answer (REFUSED).
    Refused,
    /// No answer ever.
    Silence,
    /// No answer over UDP fits: the question must come again over TCP.
    Truncated,
}

#[derive(Debug, Default)]
struct Zone {
    records: BTreeMap<Name, Vec<RData>>,
    faults: BTreeMap<Name, DnsFault>,
    asked: Vec<(Name, RecordType)>,
    ttl: u32,
}

/// A name server on a port of the loopback, over UDP and TCP. Dropping it ends it.
#[derive(Debug)]
pub struct Dns {
    zone: Arc<Mutex<Zone>>,
    address: SocketAddr,
    runtime: Option<Runtime>,
}

impl Dns {
    /// Starts a server that knows nothing: every name is NXDOMAIN. Answers may not be cached (their TTL is 0).
    ///
    /// # Panics
    /// If the machine has no ports.
    #[must_use]
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime for the name server");
        let zone = Arc::new(Mutex::new(Zone::default()));
        let entered = runtime.enter();
        let (udp, tcp) = sockets();
        drop(entered);
        let address = udp.local_addr().expect("the name server's address");
        runtime.spawn(datagrams(udp, Arc::clone(&zone)));
        runtime.spawn(connections(tcp, Arc::clone(&zone)));
        Self { zone, address, runtime: Some(runtime) }
    }

    /// Where it answers, over UDP and TCP.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets the name's one TXT record, beside none or others of another type; long text is cut into pieces.
    pub fn txt(&self, name: &str, text: &str) {
        self.txts(name, &[text]);
    }

    /// Sets all of the name's TXT records.
    pub fn txts(&self, name: &str, texts: &[&str]) {
        let record = |text: &&str| RData::TXT(TXT::from_bytes(text.as_bytes().chunks(PIECE).collect()));
        self.set(name, RecordType::TXT, texts.iter().map(record).collect());
    }

    /// Sets the name's addresses, of both families.
    pub fn addresses(&self, name: &str, addresses: &[&str]) {
        let parsed: Vec<IpAddr> = addresses.iter().map(|a| a.parse().expect("an IP address")).collect();
        let v4 = parsed.iter().filter_map(|a| if let IpAddr::V4(a) = a { Some(RData::A(A(*a))) } else { None });
        let v6 = parsed.iter().filter_map(|a| if let IpAddr::V6(a) = a { Some(RData::AAAA(AAAA(*a))) } else { None });
        self.set(name, RecordType::A, v4.collect());
        self.set(name, RecordType::AAAA, v6.collect());
    }

    /// Sets who takes the domain's mail, the first before the second.
    pub fn mx(&self, domain: &str, hosts: &[&str]) {
        let records = hosts.iter().zip(1_u16..).map(|(host, rank)| RData::MX(MX::new(rank * 10, name_of(host))));
        self.set(domain, RecordType::MX, records.collect());
    }

    /// Sets the name an address has.
    pub fn ptr(&self, address: &str, name: &str) {
        let address: IpAddr = address.parse().expect("an IP address");
        self.set(&Name::from(address).to_ascii(), RecordType::PTR, vec![RData::PTR(PTR(name_of(name)))]);
    }

    /// Makes a name another name for a host.
    pub fn cname(&self, name: &str, other: &str) {
        self.set(name, RecordType::CNAME, vec![RData::CNAME(CNAME(name_of(other)))]);
    }

    /// Forgets all about a name: it does not exist any more.
    pub fn forget(&self, name: &str) {
        self.zone().records.remove(&name_of(name));
    }

    /// Questions about this name go wrong from now on.
    pub fn fails(&self, name: &str, fault: DnsFault) {
        self.zone().faults.insert(name_of(name), fault);
    }

    /// Nothing goes wrong from now on.
    pub fn is_well(&self) {
        self.zone().faults.clear();
    }

    /// For how many seconds answers may be cached from now on.
    pub fn ttl(&self, seconds: u32) {
        self.zone().ttl = seconds;
    }

    /// How often this was asked, whatever the answer.
    #[must_use]
    pub fn asked(&self, name: &str, kind: &str) -> usize {
        let wanted = (name_of(name), kind.parse::<RecordType>().expect("a type of records"));
        self.zone().asked.iter().filter(|asked| **asked == wanted).count()
    }

    fn set(&self, name: &str, kind: RecordType, records: Vec<RData>) {
        let mut zone = self.zone();
        let held = zone.records.entry(name_of(name)).or_default();
        held.retain(|record| record.record_type() != kind);
        held.extend(records);
    }

    fn zone(&self) -> MutexGuard<'_, Zone> {
        lock(&self.zone)
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::ZERO);
        }
    }
}

fn lock(zone: &Mutex<Zone>) -> MutexGuard<'_, Zone> {
    zone.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A name as it is compared: complete, in small letters.
fn name_of(text: &str) -> Name {
    let mut name = Name::from_utf8(text).expect("a DNS name").to_lowercase();
    name.set_fqdn(true);
    name
}

/// The same port over UDP and TCP.
fn sockets() -> (UdpSocket, TcpListener) {
    for _ in 0..100 {
        let udp = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port for the name server");
        let address = udp.local_addr().expect("the name server's address");
        let Ok(tcp) = std::net::TcpListener::bind(address) else { continue };
        udp.set_nonblocking(true).and_then(|()| tcp.set_nonblocking(true)).expect("sockets that do not block");
        return (UdpSocket::from_std(udp).expect("a socket"), TcpListener::from_std(tcp).expect("a listener"));
    }
    panic!("no port is free over both UDP and TCP");
}

async fn datagrams(socket: UdpSocket, zone: Arc<Mutex<Zone>>) {
    let mut buffer = vec![0; usize::from(u16::MAX)];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
        if let Some(answer) = answer(&zone, &buffer[..length], true) {
            let _ = socket.send_to(&answer, from).await;
        }
    }
}

async fn connections(listener: TcpListener, zone: Arc<Mutex<Zone>>) {
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(connection(stream, Arc::clone(&zone)));
        }
    }
}

async fn connection(mut stream: TcpStream, zone: Arc<Mutex<Zone>>) {
    while let Ok(length) = stream.read_u16().await {
        let mut question = vec![0; usize::from(length)];
        if stream.read_exact(&mut question).await.is_err() {
            return;
        }
        if let Some(answer) = answer(&zone, &question, false) {
            let Ok(length) = u16::try_from(answer.len()) else { return };
            if stream.write_u16(length).await.is_err() || stream.write_all(&answer).await.is_err() {
                return;
            }
        }
    }
}

/// The bytes of the answer, unless there is to be none.
fn answer(zone: &Mutex<Zone>, question: &[u8], is_udp: bool) -> Option<Vec<u8>> {
    let question = Message::from_vec(question).ok()?;
    let [query] = question.queries.as_slice() else { return None };
    let (name, kind) = (query.name().to_lowercase(), query.query_type());
    let mut zone = lock(zone);
    zone.asked.push((name.clone(), kind));

    let mut answer = Message::new(question.metadata.id, MessageType::Response, question.metadata.op_code);
    answer.metadata.authoritative = true;
    answer.metadata.recursion_desired = question.metadata.recursion_desired;
    answer.metadata.recursion_available = true;
    answer.add_query(query.clone());
    if question.edns.is_some() {
        let mut edns = Edns::new();
        edns.set_max_payload(u16::MAX);
        answer.set_edns(edns);
    }
    match zone.faults.get(&name) {
        Some(DnsFault::Silence) => return None,
        Some(DnsFault::ServFail) => answer.metadata.response_code = ResponseCode::ServFail,
        Some(DnsFault::Refused) => answer.metadata.response_code = ResponseCode::Refused,
        Some(DnsFault::Truncated) if is_udp => answer.metadata.truncation = true,
        Some(DnsFault::Truncated) | None => fill(&zone, name, kind, &mut answer),
    }
    let bytes = answer.to_vec().ok()?;
    let room = question.edns.as_ref().map_or(PLAIN_UDP, |edns| edns.max_payload().max(PLAIN_UDP));
    if is_udp && bytes.len() > usize::from(room) {
        return answer.truncate().to_vec().ok();
    }
    Some(bytes)
}

fn fill(zone: &Zone, name: Name, kind: RecordType, answer: &mut Message) {
    let mut name = name;
    // A name that stands for another leads to it; a few steps are enough for every test, and circles end.
    for _ in 0..8 {
        let Some(held) = zone.records.get(&name) else { break };
        let fitting = held.iter().filter(|r| r.record_type() == kind || kind == RecordType::ANY);
        let mut found = false;
        for record in fitting {
            found = true;
            answer.add_answer(Record::from_rdata(name.clone(), zone.ttl, record.clone()));
        }
        let other = held.iter().find_map(|r| if let RData::CNAME(other) = r { Some(other.0.clone()) } else { None });
        let Some(other) = other.filter(|_| !found) else { break };
        answer.add_answer(Record::from_rdata(name, zone.ttl, RData::CNAME(CNAME(other.clone()))));
        name = other.to_lowercase();
    }
    if answer.answers.is_empty() {
        let below = |held: &Name| name.zone_of(held);
        if !zone.records.keys().any(below) {
            answer.metadata.response_code = ResponseCode::NXDomain;
        }
        let authority = SOA::new(name_of("ns.test"), name_of("hostmaster.test"), 1, 1, 1, 1, zone.ttl);
        answer.add_authority(Record::from_rdata(Name::root(), zone.ttl, RData::SOA(authority)));
    }
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::Query;

    use super::*;

    fn question(name: &str, kind: RecordType, room: Option<u16>) -> Vec<u8> {
        let mut message = Message::query();
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(name_of(name), kind));
        if let Some(room) = room {
            let mut edns = Edns::new();
            edns.set_max_payload(room);
            message.set_edns(edns);
        }
        message.to_vec().unwrap()
    }

    async fn over_udp(dns: &Dns, name: &str, kind: RecordType, room: Option<u16>) -> Message {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.send_to(&question(name, kind, room), dns.address()).await.unwrap();
        let mut buffer = vec![0; 65_535];
        let length = socket.recv(&mut buffer).await.unwrap();
        Message::from_vec(&buffer[..length]).unwrap()
    }

    async fn over_tcp(dns: &Dns, name: &str, kind: RecordType) -> Message {
        let mut stream = TcpStream::connect(dns.address()).await.unwrap();
        let question = question(name, kind, None);
        stream.write_u16(question.len().try_into().unwrap()).await.unwrap();
        stream.write_all(&question).await.unwrap();
        let mut answer = vec![0; stream.read_u16().await.unwrap().into()];
        stream.read_exact(&mut answer).await.unwrap();
        Message::from_vec(&answer).unwrap()
    }

    fn told(message: &Message) -> Vec<String> {
        message.answers.iter().map(|record| record.data.to_string()).collect()
    }

    #[tokio::test]
    async fn what_a_test_sets_is_answered_and_nothing_else() {
        let dns = Dns::start();
        dns.txt("orch.test", "v=spf1 ip4:127.0.0.5 -all");
        dns.mx("orch.test", &["mx.orch.test", "mx2.orch.test"]);
        dns.addresses("mx.orch.test", &["127.0.0.5", "::1"]);
        dns.ptr("127.0.0.5", "mx.orch.test");
        dns.cname("www.orch.test", "mx.orch.test");

        assert_eq!(told(&over_udp(&dns, "ORCH.test", RecordType::TXT, None).await), ["v=spf1 ip4:127.0.0.5 -all"]);
        let mx = over_udp(&dns, "orch.test", RecordType::MX, None).await;
        assert_eq!(told(&mx), ["10 mx.orch.test.", "20 mx2.orch.test."]);
        assert_eq!(told(&over_tcp(&dns, "mx.orch.test", RecordType::A).await), ["127.0.0.5"]);
        assert_eq!(told(&over_udp(&dns, "mx.orch.test", RecordType::AAAA, None).await), ["::1"]);
        assert_eq!(told(&over_udp(&dns, "5.0.0.127.in-addr.arpa", RecordType::PTR, None).await), ["mx.orch.test."]);
        assert_eq!(told(&over_udp(&dns, "www.orch.test", RecordType::A, None).await), ["mx.orch.test.", "127.0.0.5"]);

        let missing = over_udp(&dns, "nobody.test", RecordType::TXT, None).await;
        assert_eq!(missing.metadata.response_code, ResponseCode::NXDomain);
        // The name is there, a record of this type is not; nor is a name above one that is there missing.
        for (name, kind) in [("mx.orch.test", RecordType::TXT), ("test", RecordType::TXT)] {
            let empty = over_udp(&dns, name, kind, None).await;
            assert_eq!((empty.metadata.response_code, empty.answers.len()), (ResponseCode::NoError, 0), "{name}");
        }
        assert_eq!(dns.asked("orch.test", "TXT"), 1);
        dns.forget("orch.test");
        dns.forget("nobody.test");
        assert_eq!(told(&over_udp(&dns, "orch.test", RecordType::TXT, None).await), [""; 0]);
    }

    #[tokio::test]
    async fn what_does_not_fit_comes_over_tcp_and_in_pieces() {
        let dns = Dns::start();
        let long = "k".repeat(600);
        dns.txt("s._domainkey.team.test", &long);
        let cut = over_udp(&dns, "s._domainkey.team.test", RecordType::TXT, None).await;
        assert!(cut.metadata.truncation && cut.answers.is_empty());
        let roomy = over_udp(&dns, "s._domainkey.team.test", RecordType::TXT, Some(1_232)).await;
        assert_eq!(told(&roomy).concat().replace(['"', ' '], ""), long);
        let whole = over_tcp(&dns, "s._domainkey.team.test", RecordType::TXT).await;
        let RData::TXT(text) = &whole.answers[0].data else { panic!("{whole:?}") };
        assert_eq!(text.txt_data.iter().map(|piece| piece.len()).collect::<Vec<_>>(), [255, 255, 90]);
    }

    #[tokio::test]
    async fn it_fails_on_demand() {
        let dns = Dns::start();
        dns.txt("team.test", "v=spf1 -all");
        for (fault, code) in [(DnsFault::ServFail, ResponseCode::ServFail), (DnsFault::Refused, ResponseCode::Refused)]
        {
            dns.fails("team.test", fault);
            let answer = over_udp(&dns, "team.test", RecordType::TXT, None).await;
            assert_eq!((answer.metadata.response_code, answer.answers.len()), (code, 0));
        }
        dns.fails("team.test", DnsFault::Truncated);
        assert!(over_udp(&dns, "team.test", RecordType::TXT, None).await.metadata.truncation);
        assert_eq!(told(&over_tcp(&dns, "team.test", RecordType::TXT).await), ["v=spf1 -all"]);

        // A silent server is told from a slow one by the next question, whose answer comes over the same connection.
        dns.fails("team.test", DnsFault::Silence);
        dns.txt("other.test", "there");
        let mut stream = TcpStream::connect(dns.address()).await.unwrap();
        for name in ["team.test", "other.test"] {
            let question = question(name, RecordType::TXT, None);
            stream.write_u16(question.len().try_into().unwrap()).await.unwrap();
            stream.write_all(&question).await.unwrap();
        }
        let mut answer = vec![0; stream.read_u16().await.unwrap().into()];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(told(&Message::from_vec(&answer).unwrap()), ["there"]);
        dns.is_well();
        assert_eq!(told(&over_udp(&dns, "team.test", RecordType::TXT, None).await), ["v=spf1 -all"]);
    }
}
