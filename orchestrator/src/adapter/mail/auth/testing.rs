//! A DNS server and signed mails, for tests.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bus_schemas::time::UnixMs;
use hickory_resolver::proto::{
    op::{Message, MessageType, ResponseCode},
    rr::{
        Name, RData, Record, RecordType,
        rdata::{MX, TXT},
    },
};
use mail_auth::{
    common::{crypto::Ed25519Key, headers::HeaderWriter as _},
    dkim::DkimSigner,
};
use tokio::net::UdpSocket;
use tokio_util::task::AbortOnDropHandle;

use crate::port::Clock;

/// What a name server says.
#[derive(Clone, Debug)]
pub(in crate::adapter::mail) enum Answer {
    Txt(String),
    Mx(u16, String),
    /// It cannot say.
    Trouble,
    /// It says nothing, about this name and all below it.
    Silence,
}

/// A name server on this machine.
pub(in crate::adapter::mail) struct Zone {
    pub(in crate::adapter::mail) address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    _serves: AbortOnDropHandle<()>,
}

impl Zone {
    pub(in crate::adapter::mail) async fn start(records: &[(&str, Answer)]) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let mut known: HashMap<String, Vec<Answer>> = HashMap::new();
        for (name, answer) in records {
            known.entry((*name).to_owned()).or_default().push(answer.clone());
        }
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let counted = Arc::clone(&asked);
        let serves = tokio::spawn(async move {
            let mut buffer = [0; 4_096];
            loop {
                let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
                let (name, answer) = answer(&buffer[..length], &known);
                counted.lock().unwrap().push(name);
                if let Some(answer) = answer {
                    socket.send_to(&answer, from).await.unwrap();
                }
            }
        });
        Self { address, asked, _serves: AbortOnDropHandle::new(serves) }
    }

    /// How often it was asked.
    pub(in crate::adapter::mail) fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    /// How often it was asked about a name or one below it.
    pub(in crate::adapter::mail) fn asked_about(&self, domain: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|name| is_below(name, domain)).count()
    }
}

fn is_below(name: &str, domain: &str) -> bool {
    name.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn answer(asked: &[u8], known: &HashMap<String, Vec<Answer>>) -> (String, Option<Vec<u8>>) {
    let asked = Message::from_vec(asked).unwrap();
    let query = asked.queries[0].clone();
    let name = query.name().to_lowercase().to_ascii().trim_end_matches('.').to_owned();
    let is_silence = |records: &Vec<Answer>| matches!(records.as_slice(), [Answer::Silence]);
    if known.iter().any(|(silent, records)| is_silence(records) && is_below(&name, silent)) {
        return (name, None);
    }
    let mut answer = Message::new(asked.metadata.id, MessageType::Response, asked.metadata.op_code);
    answer.metadata.recursion_desired = true;
    answer.metadata.recursion_available = true;
    answer.add_query(query.clone());
    match known.get(&name) {
        None => answer.metadata.response_code = ResponseCode::NXDomain,
        Some(records) => {
            for record in records {
                let data = match record {
                    Answer::Txt(text) if query.query_type() == RecordType::TXT => {
                        let parts = text.as_bytes().chunks(200).map(|part| String::from_utf8(part.to_vec()).unwrap());
                        RData::TXT(TXT::new(parts.collect()))
                    }
                    Answer::Mx(preference, host) if query.query_type() == RecordType::MX => {
                        RData::MX(MX::new(*preference, Name::from_ascii(host).unwrap()))
                    }
                    Answer::Trouble => {
                        answer.metadata.response_code = ResponseCode::ServFail;
                        continue;
                    }
                    _ => continue,
                };
                answer.add_answer(Record::from_rdata(query.name().clone(), 300, data));
            }
        }
    }
    (name, Some(answer.to_vec().unwrap()))
}

/// A key to sign with.
pub(in crate::adapter::mail) struct Key(Vec<u8>);

impl Key {
    pub(in crate::adapter::mail) fn new() -> Self {
        Self(Ed25519Key::generate_pkcs8().unwrap())
    }

    fn key(&self) -> Ed25519Key {
        Ed25519Key::from_pkcs8_der(&self.0).unwrap()
    }

    /// It, as a file holds it.
    pub(in crate::adapter::mail) fn pem(&self) -> String {
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(&self.0))
    }

    /// Its TXT record.
    pub(in crate::adapter::mail) fn record(&self) -> Answer {
        Answer::Txt(format!("v=DKIM1; k=ed25519; p={}", STANDARD.encode(self.key().public_key())))
    }

    /// The mail with a signature above it.
    pub(in crate::adapter::mail) fn sign(&self, domain: &str, covers: &[&str], mail: &str) -> String {
        let signer = DkimSigner::from_key(self.key()).domain(domain).selector("s1").headers(covers.iter().copied());
        signer.sign(mail.as_bytes()).unwrap().to_header() + mail
    }

    /// The same with the length of the text in it.
    pub(in crate::adapter::mail) fn sign_length(&self, domain: &str, covers: &[&str], mail: &str) -> String {
        let signer = DkimSigner::from_key(self.key()).domain(domain).selector("s1").headers(covers.iter().copied());
        signer.body_length(true).sign(mail.as_bytes()).unwrap().to_header() + mail
    }

    /// The same, valid for so many seconds.
    pub(in crate::adapter::mail) fn sign_for(&self, seconds: u64, domain: &str, covers: &[&str], mail: &str) -> String {
        let signer = DkimSigner::from_key(self.key()).domain(domain).selector("s1").headers(covers.iter().copied());
        signer.expiration(seconds).sign(mail.as_bytes()).unwrap().to_header() + mail
    }
}

/// A clock that stands.
pub(in crate::adapter::mail) struct At(pub(in crate::adapter::mail) UnixMs);

impl Clock for At {
    fn now(&self) -> UnixMs {
        self.0
    }
}

pub(in crate::adapter::mail) fn at(ms: i64) -> Arc<dyn Clock> {
    Arc::new(At(UnixMs(ms)))
}
