//! What Postfix asks the test: who has a mailbox, which way mail goes, who is refused. It asks for every mail anew (over
//! `socketmap_table(5)`), so what a test says holds at once and nothing is reloaded.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// The longest question that is read.
const LONGEST: usize = 100_000;

/// One person's account.
#[derive(Clone, Debug)]
pub(super) struct Account {
    pub(super) password: String,
    /// The most bytes the mailbox takes; none: all.
    pub(super) quota: Option<u64>,
}

#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) accounts: BTreeMap<String, Account>,
    /// Domains whose mail is taken here.
    pub(super) domains: BTreeSet<String>,
    /// Postfix tables by name: `routes` (transport(5)), `recipients`, `senders`, `clients` (access(5)).
    pub(super) rules: BTreeMap<(&'static str, String), String>,
    /// Access tokens that are good, with whose they are.
    pub(super) tokens: BTreeMap<String, String>,
    /// Refresh tokens that are good, with whose they are.
    pub(super) refresh: BTreeMap<String, String>,
    /// Each of them is good once, and a new one is given for it.
    pub(super) rotates: bool,
    /// How often the token endpoint was asked.
    pub(super) refreshed: usize,
    /// How many seconds a new access token is said to last.
    pub(super) lasts: u64,
}

impl Held {
    fn answer(&self, table: &str, key: &str) -> Option<String> {
        let key = key.to_lowercase();
        match table {
            "domains" => self.domains.contains(&key).then(|| "ok".to_owned()),
            "mailboxes" => names(&key).iter().any(|name| self.accounts.contains_key(name)).then(|| "ok".to_owned()),
            _ => {
                let rule = |name: &String| self.rules.iter().find(|((t, k), _)| *t == table && k == name);
                names(&key).iter().find_map(rule).map(|(_, rule)| rule.clone())
            }
        }
    }
}

/// What an address is looked up as, the closest first: itself, without `+…`, its domain. (Of tables over the wire, Postfix
/// asks only the first.)
fn names(key: &str) -> Vec<String> {
    let mut names = vec![key.to_owned()];
    if let Some((local, domain)) = key.rsplit_once('@') {
        if let Some((user, _)) = local.split_once('+') {
            names.push(format!("{user}@{domain}"));
        }
        names.push(domain.to_owned());
    }
    names
}

/// Shared by the test and the servers.
#[derive(Clone, Debug, Default)]
pub(super) struct Tables(Arc<Mutex<Held>>);

impl Tables {
    pub(super) fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn serve(self, listener: TcpListener) {
        loop {
            if let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(self.clone().connection(stream));
            }
        }
    }

    async fn connection(self, mut stream: TcpStream) {
        while let Some(question) = read(&mut stream).await {
            let found = question.split_once(' ').and_then(|(table, key)| self.lock().answer(table, key));
            let answer = found.map_or_else(|| "NOTFOUND ".to_owned(), |value| format!("OK {value}"));
            let framed = format!("{}:{answer},", answer.len());
            if stream.write_all(framed.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

/// A netstring: `<length>:<bytes>,`.
async fn read(stream: &mut TcpStream) -> Option<String> {
    let mut length = 0_usize;
    loop {
        match stream.read_u8().await.ok()? {
            b':' => break,
            digit @ b'0'..=b'9' if length < LONGEST => length = length * 10 + usize::from(digit - b'0'),
            _ => return None,
        }
    }
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await.ok()?;
    (stream.read_u8().await.ok()? == b',').then(|| String::from_utf8_lossy(&bytes).into_owned())
}
