//! A small IMAP server, for tests: one folder, and ways to misbehave.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bus_schemas::time::UnixMs;
use bytes::Bytes;
use rustls::{ClientConfig, RootCertStore, ServerConfig, crypto::ring, pki_types::PrivateKeyDer};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
    sync::watch,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::AbortOnDropHandle;

use super::{connect::Wire, mailbox::Inbox};
use crate::{
    adapter::mail::{Kept, Position},
    config::Tls,
    mail::letter::Delivery,
    port::journal::JournalError,
};

/// What the server does.
#[derive(Debug, Default)]
pub(in crate::adapter::mail) struct State {
    pub(in crate::adapter::mail) validity: u32,
    pub(in crate::adapter::mail) mails: BTreeMap<u32, Vec<u8>>,
    pub(in crate::adapter::mail) seen: BTreeSet<u32>,
    pub(in crate::adapter::mail) no_idle: bool,
    /// It hangs up at this command, or is silent from it on; once.
    pub(in crate::adapter::mail) hangs_up_at: Option<&'static str>,
    pub(in crate::adapter::mail) is_silent_at: Option<&'static str>,
    /// A mail it does not hand out.
    pub(in crate::adapter::mail) keeps_back: Option<u32>,
    /// A mail of which it hands out so many bytes and no more: it hangs up.
    pub(in crate::adapter::mail) breaks_at: Option<(u32, usize)>,
    /// It breaks off every second answer with a text, the first one, too: so many were given.
    pub(in crate::adapter::mail) breaks_off: Option<u32>,
    /// It answers without a text when it is asked for a piece behind a mail's end.
    pub(in crate::adapter::mail) ends_with_nothing: bool,
    /// It hands out pieces of so many bytes at most.
    pub(in crate::adapter::mail) shortens_to: Option<usize>,
    /// It hangs up at envelopes.
    pub(in crate::adapter::mail) has_no_envelopes: bool,
    /// A mail that arrives while it answers UID STORE.
    pub(in crate::adapter::mail) arrives_at_store: Option<(u32, Vec<u8>)>,
    /// All commands that came, without tags.
    pub(in crate::adapter::mail) heard: Vec<String>,
    /// Connections so far.
    pub(in crate::adapter::mail) connections: u32,
}

pub(in crate::adapter::mail) struct Server {
    pub(in crate::adapter::mail) port: u16,
    pub(in crate::adapter::mail) state: Arc<Mutex<State>>,
    pub(in crate::adapter::mail) certificates: Arc<ClientConfig>,
    /// Counts changes: whoever idles is told.
    changed: watch::Sender<u64>,
    /// Counts to hang up on everybody.
    hang_up: watch::Sender<u64>,
    _serves: AbortOnDropHandle<()>,
}

pub(in crate::adapter::mail) const PASSWORD: &str = "se\"cret";

impl Server {
    pub(in crate::adapter::mail) async fn start(tls: Tls) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State { validity: 7, ..State::default() }));
        let (changed, _) = watch::channel(0);
        let (hang_up, _) = watch::channel(0);
        let (acceptor, certificates) = certified();
        let shared = (Arc::clone(&state), changed.clone(), hang_up.clone());
        let serves = tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                let (state, changed, hang_up) = shared.clone();
                let acceptor = acceptor.clone();
                state.lock().unwrap().connections += 1;
                let mut end = hang_up.subscribe();
                tokio::spawn(async move {
                    let talk = async move {
                        let wire: Wire = match tls {
                            Tls::Implicit => Box::new(acceptor.accept(tcp).await.ok()?),
                            Tls::None | Tls::Starttls => Box::new(tcp),
                        };
                        let talk = Talk { state, changed };
                        let rest = talk.run(wire, true).await?;
                        let wire: Wire = Box::new(acceptor.accept(rest).await.ok()?);
                        talk.run(wire, false).await.map(drop)
                    };
                    tokio::select! { _ = talk => {}, _ = end.changed() => {} }
                });
            }
        });
        Self { port, state, certificates, changed, hang_up, _serves: AbortOnDropHandle::new(serves) }
    }

    pub(in crate::adapter::mail) fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap())
    }

    /// A mail arrives.
    pub(in crate::adapter::mail) fn deliver(&self, uid: u32, raw: &str) {
        self.with(|state| state.mails.insert(uid, raw.as_bytes().to_vec()));
        self.changed.send_modify(|count| *count += 1);
    }

    /// Everybody is hung up on.
    pub(in crate::adapter::mail) fn hang_up(&self) {
        self.hang_up.send_modify(|count| *count += 1);
    }
}

fn certified() -> (TlsAcceptor, Arc<ClientConfig>) {
    let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(own.cert.der().clone()).unwrap();
    let provider = Arc::new(ring::default_provider());
    let server =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().unwrap();
    let server = server.with_no_client_auth().with_single_cert(vec![own.cert.der().clone()], key).unwrap();
    let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let client = client.with_root_certificates(roots).with_no_client_auth();
    (TlsAcceptor::from(Arc::new(server)), Arc::new(client))
}

/// One conversation.
struct Talk {
    state: Arc<Mutex<State>>,
    changed: watch::Sender<u64>,
}

impl Talk {
    /// Until it ends; gives the connection back when TLS begins on it.
    async fn run(&self, wire: Wire, greets: bool) -> Option<Wire> {
        let mut wire = BufReader::new(wire);
        if greets {
            wire.write_all(b"* OK ready\r\n").await.ok()?;
        }
        // How many mails this conversation heard of.
        let mut told = 0;
        loop {
            let mut line = String::new();
            if wire.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
            let line = line.trim_end();
            let (tag, command) = line.split_once(' ')?;
            let name =
                command.split(' ').take(if command.starts_with("UID") { 2 } else { 1 }).collect::<Vec<_>>().join(" ");
            let (hangs_up, is_silent) = {
                let mut state = self.state.lock().unwrap();
                state.heard.push(command.to_owned());
                let hangs_up = state.hangs_up_at.take_if(|at| *at == name).is_some();
                (hangs_up, state.is_silent_at.take_if(|at| *at == name).is_some())
            };
            if hangs_up {
                return None;
            }
            if is_silent {
                std::future::pending::<()>().await;
            }
            if command == "STARTTLS" {
                wire.write_all(format!("{tag} OK\r\n* OK injected\r\n").as_bytes()).await.ok()?;
                return Some(wire.into_inner());
            }
            match name.as_str() {
                "AUTHENTICATE" => {
                    wire.write_all(b"+ \r\n").await.ok()?;
                    let mut proof = String::new();
                    wire.read_line(&mut proof).await.ok()?;
                    let proof = String::from_utf8(STANDARD.decode(proof.trim()).ok()?).ok()?;
                    if proof.contains("Bearer good") || proof.ends_with("\u{e9}") {
                        wire.write_all(format!("{tag} OK in\r\n").as_bytes()).await.ok()?;
                    } else {
                        wire.write_all(b"+ eyJzdGF0dXMiOiI0MDAifQ==\r\n").await.ok()?;
                        let mut end = String::new();
                        wire.read_line(&mut end).await.ok()?;
                        wire.write_all(format!("{tag} NO [AUTHENTICATIONFAILED] no\r\n").as_bytes()).await.ok()?;
                    }
                }
                "IDLE" => {
                    let mut news = self.changed.subscribe();
                    wire.write_all(b"+ idling\r\n").await.ok()?;
                    let mut done = [0; 6];
                    loop {
                        let now = self.state.lock().unwrap().mails.len();
                        if now != told {
                            told = now;
                            wire.write_all(format!("* {now} EXISTS\r\n").as_bytes()).await.ok()?;
                        }
                        tokio::select! {
                            read = wire.read_exact(&mut done) => { read.ok()?; break }
                            _ = news.changed() => {}
                        }
                    }
                    wire.write_all(format!("{tag} OK idled\r\n").as_bytes()).await.ok()?;
                }
                _ => {
                    if name == "SELECT" {
                        told = self.state.lock().unwrap().mails.len();
                    }
                    let answer = self.answer(tag, &name, command);
                    let end = self.breaks(command, answer.len());
                    wire.write_all(&answer[..end.unwrap_or(answer.len())]).await.ok()?;
                    if end.is_some() {
                        wire.flush().await.ok()?;
                        return None;
                    }
                }
            }
        }
    }

    /// Where an answer is broken off.
    fn breaks(&self, command: &str, length: usize) -> Option<usize> {
        let mut state = self.state.lock().unwrap();
        if command.contains("ENVELOPE") {
            return state.has_no_envelopes.then_some(0);
        }
        if !command.contains("BODY.PEEK[]") {
            return None;
        }
        if let Some(given) = &mut state.breaks_off {
            *given += 1;
            return (*given % 2 == 1).then_some(length / 2);
        }
        let (uid, limit) = state.breaks_at?;
        let asked = command.rsplit_once('<').and_then(|(_, part)| {
            let (from, count) = part.trim_end_matches(">)").split_once('.')?;
            Some(from.parse::<usize>().ok()? + count.parse::<usize>().ok()?)
        });
        let is_it = command.starts_with(&format!("UID FETCH {uid} "));
        (is_it && asked.is_none_or(|end| end > limit)).then_some(length / 2)
    }

    fn answer(&self, tag: &str, name: &str, command: &str) -> Vec<u8> {
        let mut state = self.state.lock().unwrap();
        let mut out = Vec::new();
        let mut say = |text: &str| out.extend_from_slice(text.as_bytes());
        let mut end = "OK done".to_owned();
        match name {
            "CAPABILITY" => {
                say(if state.no_idle { "* CAPABILITY IMAP4rev1\r\n" } else { "* CAPABILITY IMAP4rev1 IDLE\r\n" })
            }
            "LOGIN" if command != "LOGIN \"baton\" \"se\\\"cret\"" => {
                "NO [AUTHENTICATIONFAILED] no".clone_into(&mut end)
            }
            "SELECT" if command != "SELECT \"INBOX\"" => "NO no such folder".clone_into(&mut end),
            "SELECT" => say(&format!(
                "* {} EXISTS\r\n* FLAGS (\\Seen)\r\n* OK [UIDVALIDITY {}] valid\r\n",
                state.mails.len(),
                state.validity
            )),
            "UID SEARCH" => {
                let query = command.trim_start_matches("UID SEARCH ");
                let highest = state.mails.keys().last().copied().unwrap_or_default();
                if let Some(id) = query.strip_prefix("HEADER Message-ID ") {
                    let has = |raw: &[u8]| String::from_utf8_lossy(raw).contains(id);
                    let found = state.mails.iter().find(|(_, raw)| has(raw)).map(|(uid, _)| uid.to_string());
                    return format!("* SEARCH {}\r\n{tag} OK\r\n", found.unwrap_or_default()).into_bytes();
                }
                let from = query.strip_prefix("UID ").map(|set| set.strip_suffix(":*").map_or(set, |from| from));
                let found: Vec<String> = match from.map(|from| from.parse::<u32>().unwrap()) {
                    None => state.mails.keys().map(u32::to_string).collect(),
                    Some(uid) if query.ends_with(":*") => {
                        let is_in = |known: &&u32| **known >= uid || **known == highest;
                        state.mails.keys().filter(is_in).map(u32::to_string).collect()
                    }
                    Some(uid) => state.mails.keys().filter(|known| **known == uid).map(u32::to_string).collect(),
                };
                say(&format!("* SEARCH {}\r\n", found.join(" ")));
            }
            "UID FETCH" => {
                let words: Vec<&str> = command.splitn(4, ' ').collect();
                for uid in words[2].split(',').map(|uid| uid.parse::<u32>().unwrap()) {
                    let Some(raw) =
                        state.mails.get(&uid).filter(|_| !(state.keeps_back == Some(uid) && words[3].contains("BODY")))
                    else {
                        continue;
                    };
                    let header = raw.windows(4).position(|four| four == b"\r\n\r\n").map_or(raw.len(), |at| at + 4);
                    let (part, bytes) = match words[3] {
                        "(UID RFC822.SIZE)" => (format!("RFC822.SIZE {}", raw.len()), &b""[..]),
                        "(UID BODY.PEEK[])" => (format!("BODY[] {{{}}}\r\n", raw.len()), &raw[..]),
                        "(UID ENVELOPE)" => {
                            let ann = "((NIL NIL \"ann\" \"example.org\"))";
                            let text = format!(
                                "ENVELOPE (NIL \"the subject\" {ann} {ann} {ann} NIL NIL NIL NIL \"<1@example.org>\")"
                            );
                            (text, &b""[..])
                        }
                        "(UID BODY.PEEK[HEADER])" => (format!("BODY[HEADER] {{{header}}}\r\n"), &raw[..header]),
                        part => {
                            let (_, part) = part.trim_end_matches(">)").split_once('<').unwrap();
                            let (from, count) = part.split_once('.').unwrap();
                            let from = from.parse::<usize>().unwrap().min(raw.len());
                            if state.ends_with_nothing && from == raw.len() {
                                continue;
                            }
                            let count = count.parse::<usize>().unwrap().min(state.shortens_to.unwrap_or(usize::MAX));
                            let to = (from + count).min(raw.len());
                            (format!("BODY[]<{from}> {{{}}}\r\n", to - from), &raw[from..to])
                        }
                    };
                    out.extend_from_slice(format!("* 1 FETCH (UID {uid} {part}").as_bytes());
                    out.extend_from_slice(bytes);
                    out.extend_from_slice(b")\r\n");
                }
            }
            "UID STORE" => {
                let set = command.split(' ').nth(2).unwrap();
                let uids: Vec<u32> = set.split(',').map(|uid| uid.parse().unwrap()).collect();
                state.seen.extend(uids);
                if let Some((uid, raw)) = state.arrives_at_store.take() {
                    state.mails.insert(uid, raw);
                    say(&format!("* {} EXISTS\r\n", state.mails.len()));
                }
            }
            _ => {}
        }
        out.extend_from_slice(format!("{tag} {end}\r\n").as_bytes());
        out
    }
}

/// What was kept, in memory.
#[derive(Clone)]
pub(in crate::adapter::mail) struct Kit {
    pub(in crate::adapter::mail) kept: watch::Sender<Vec<String>>,
    pub(in crate::adapter::mail) position: Arc<Mutex<Option<Position>>>,
    /// How many of them stand for mails that did not come.
    pub(in crate::adapter::mail) stubs: Arc<Mutex<usize>>,
    /// So often the store does not take anything.
    pub(in crate::adapter::mail) troubles: Arc<Mutex<u32>>,
}

impl Kit {
    pub(in crate::adapter::mail) fn new() -> Self {
        Self {
            kept: watch::channel(Vec::new()).0,
            position: Arc::default(),
            stubs: Arc::default(),
            troubles: Arc::default(),
        }
    }

    /// Waits until so many mails were kept.
    pub(in crate::adapter::mail) async fn until(&self, count: usize) -> Vec<String> {
        self.kept.subscribe().wait_for(|kept| kept.len() >= count).await.unwrap().clone()
    }
}

impl Inbox for Kit {
    async fn position(&self, _mailbox: &str) -> Kept<Option<Position>> {
        Ok(*self.position.lock().unwrap())
    }

    async fn keep_all(&self, _: &str, mails: Vec<(Bytes, Delivery)>, position: Position, _: UnixMs) -> Kept<()> {
        {
            let mut troubles = self.troubles.lock().unwrap();
            if *troubles > 0 {
                *troubles -= 1;
                return Err(JournalError::Full { operation: "keep" });
            }
        }
        *self.position.lock().unwrap() = Some(position);
        *self.stubs.lock().unwrap() += mails.iter().filter(|(_, delivery)| delivery.is_stub).count();
        let texts = mails.into_iter().map(|(raw, _)| String::from_utf8_lossy(&raw).into_owned());
        self.kept.send_modify(|kept| kept.extend(texts));
        Ok(())
    }
}
