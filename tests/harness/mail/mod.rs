//! Real mail servers for a test: a Postfix that takes, relays and bounces mail and a Dovecot that keeps mailboxes, both with
//! a configuration, queue and store of their own, on ports of the loopback. Nothing of them is left when the test ends.
//!
//! Mail from the world comes in at [`MailServer::smtp`], users hand theirs in at [`MailServer::submission`] after a login.
//! Who exists, who is refused and which way mail goes is asked of the test for every mail: it holds at once.

mod daemon;
mod dkim;
mod ground;
mod mailbox;
mod power;
mod send;
mod tables;
mod tokens;
mod wire;

#[cfg(test)]
mod tests;

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, UNIX_EPOCH},
};

use tempfile::TempDir;
use tokio::{net::TcpListener, runtime::Runtime};

use self::{
    daemon::Daemon,
    ground::Ports,
    tables::{Account, Tables},
};
pub use self::{
    dkim::{Algorithm, Key, Signer},
    mailbox::Mail,
    send::{Answer, Envelope, Sender},
    tokens::{CLIENT_ID, CLIENT_SECRET},
    wire::{LastWord, Wire},
};
use crate::{dns::Dns, wait};

/// Baton's own mailbox.
pub const BATON: &str = "baton@orch.test";
/// A member of the team.
pub const ANN: &str = "ann@team.test";
/// Another one.
pub const BOB: &str = "bob@team.test";
/// Somebody from elsewhere.
pub const EVE: &str = "eve@elsewhere.test";
/// Everybody's password.
pub const PASSWORD: &str = "open-sesame";

/// Long enough for a busy machine; only a broken test waits for it.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often free ports are looked for: between looking and listening, another process may take one.
const TRIES: u32 = 5;

/// A Postfix and a Dovecot. Dropping it ends them and removes all they kept.
#[derive(Debug)]
pub struct MailServer {
    postfix: Mutex<Daemon>,
    dovecot: Mutex<Daemon>,
    tables: Tables,
    ports: Ports,
    authority: String,
    runtime: Option<Runtime>,
    // Last: the servers are gone when their folder goes.
    folder: TempDir,
}

impl MailServer {
    /// Starts both servers with the mailboxes [`BATON`], [`ANN`], [`BOB`] and [`EVE`].
    ///
    /// # Panics
    /// If they are not installed, or do not start.
    #[must_use]
    pub fn start() -> Self {
        let mut said = String::new();
        for _ in 0..TRIES {
            let server = Self::prepared();
            match server.try_start_dovecot().and_then(|()| server.try_start_postfix()) {
                Ok(()) => return server,
                Err(why) => said = why,
            }
        }
        panic!("the mail servers do not start: {said}");
    }

    /// Everything is laid out, nothing runs but what the servers ask.
    fn prepared() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime for the mail servers' questions");
        let tables = Tables::default();
        let entered = runtime.enter();
        let (asked, tokens) = (listener(), listener());
        drop(entered);
        let port = |listener: &TcpListener| listener.local_addr().expect("its address").port();
        let ports = Ports::find(port(&asked), port(&tokens));
        runtime.spawn(tables.clone().serve(asked));
        runtime.spawn(tokens::serve(tokens, tables.clone()));

        let folder = tempfile::Builder::new().prefix("baton-mail").tempdir().expect("a temporary folder");
        let authority = ground::lay(folder.path());
        ground::postfix(folder.path(), &ports);
        ground::dovecot(folder.path(), &ports);
        let path = |name: &str| folder.path().join(name).display().to_string();
        let postfix = Daemon::new(
            "/usr/lib/postfix/sbin/master",
            &["-c", &path("postfix"), "-d"],
            &folder.path().join("master.log"),
        );
        let dovecot = Daemon::new(
            "/usr/sbin/dovecot",
            &["-F", "-c", &path("dovecot/dovecot.conf")],
            &folder.path().join("dovecot-start.log"),
        );
        tables.lock().lasts = 3_600;
        let (postfix, dovecot) = (Mutex::new(postfix), Mutex::new(dovecot));
        let server = Self { postfix, dovecot, tables, ports, authority, runtime: Some(runtime), folder };
        [BATON, ANN, BOB, EVE].into_iter().for_each(|address| server.add_user(address));
        server
    }

    fn try_start_postfix(&self) -> Result<(), String> {
        let port = self.ports.smtp;
        held(&self.postfix).start(|| greets(port, "220 "))
    }

    fn try_start_dovecot(&self) -> Result<(), String> {
        let (port, lmtp) = (self.ports.imap, self.path("dovecot/run/lmtp"));
        held(&self.dovecot).start(|| lmtp.exists() && greets(port, "* OK"))
    }

    /// The port that takes the world's mail.
    #[must_use]
    pub const fn smtp(&self) -> u16 {
        self.ports.smtp
    }

    /// The port that takes users' mail, with STARTTLS and a login.
    #[must_use]
    pub const fn submission(&self) -> u16 {
        self.ports.submission
    }

    /// The port that takes users' mail, with TLS from the first byte and a login.
    #[must_use]
    pub const fn submissions(&self) -> u16 {
        self.ports.submissions
    }

    /// The port of IMAP with STARTTLS.
    #[must_use]
    pub const fn imap(&self) -> u16 {
        self.ports.imap
    }

    /// The port of IMAP with TLS from the first byte.
    #[must_use]
    pub const fn imaps(&self) -> u16 {
        self.ports.imaps
    }

    /// The certificate of the authority behind the servers' certificate (for `localhost`, `127.0.0.1`, `mail.orch.test`).
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The file with [`Self::authority`].
    #[must_use]
    pub fn authority_file(&self) -> PathBuf {
        self.path("tls/ca.pem")
    }

    /// The socket at which mailboxes take mails in (LMTP).
    #[must_use]
    pub fn lmtp(&self) -> PathBuf {
        self.path("dovecot/run/lmtp")
    }

    /// Where a mail program gets an access token for a refresh token.
    #[must_use]
    pub fn token_url(&self) -> String {
        format!("http://127.0.0.1:{}/token", self.ports.tokens)
    }

    /// The beginning of the `[mail]` section of a `baton.toml` for [`BATON`]'s mailbox; further keys may follow it.
    #[must_use]
    pub fn config(&self, dns: &Dns) -> String {
        self.config_of(BATON, dns)
    }

    /// The same for another mailbox.
    #[must_use]
    pub fn config_of(&self, address: &str, dns: &Dns) -> String {
        let server = |port: u16| {
            let ca = self.authority_file();
            format!("{{ host = \"localhost\", port = {port}, tls = \"implicit\", ca = {ca:?}, user = {address:?} }}")
        };
        format!(
            "[mail]\naddress = {address:?}\npassword = {PASSWORD:?}\nimap = {}\nsmtp = {}\ndns = [\"{}\"]\n\
             trusted_received = [\"mx.orch.test\"]\n",
            server(self.imaps()),
            server(self.submissions()),
            dns.address()
        )
    }

    /// What Postfix wrote into its log.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("postfix.log")).unwrap_or_default()
    }

    /// From now on, headers with these names are taken out of every mail on its way, as some gateways do. Postfix is started anew.
    ///
    /// # Panics
    /// If it cannot be told so.
    pub fn strips(&self, headers: &[&str]) {
        let rules: String = headers.iter().map(|name| format!("/^{name}:/ IGNORE\n")).collect();
        fs::write(self.path(ground::STRIPPED), rules).expect("write the headers that are stripped");
        self.stop_postfix();
        self.start_postfix();
    }

    /// Gives an address a mailbox, with [`PASSWORD`]; mail to its domain is taken from now on.
    pub fn add_user(&self, address: &str) {
        self.change_user(address, |account| PASSWORD.clone_into(&mut account.password));
    }

    /// Takes an address's mailbox away: mail from the world is refused with 550, mail of users bounces. What lies in the
    /// mailbox stays.
    pub fn remove_user(&self, address: &str) {
        self.tables.lock().accounts.remove(&address.to_lowercase());
        self.write_users();
    }

    /// Lets an address log in with this password only.
    pub fn password(&self, address: &str, password: &str) {
        self.change_user(address, |account| password.clone_into(&mut account.password));
    }

    /// Lets an address's mailbox hold so many bytes at most: what is beyond that bounces. None: as much as there is.
    pub fn quota(&self, address: &str, bytes: Option<u64>) {
        self.change_user(address, |account| account.quota = bytes);
    }

    fn change_user(&self, address: &str, change: impl FnOnce(&mut Account)) {
        let fresh = || Account { password: PASSWORD.to_owned(), quota: None };
        let address = address.to_lowercase();
        if let Some((_, domain)) = address.split_once('@') {
            self.add_domain(domain);
        }
        change(self.tables.lock().accounts.entry(address).or_insert_with(fresh));
        self.write_users();
    }

    fn write_users(&self) {
        ground::users(self.folder.path(), self.tables.lock().accounts.iter());
        // Dovecot looks at the file at most once a second, and tells versions of it apart by the second they were written in.
        let second = || UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
        let written = second();
        while held(&self.dovecot).runs() && second() == written {
            thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// Takes mail for all addresses of a domain for which there is a mailbox or a route.
    pub fn add_domain(&self, domain: &str) {
        self.tables.lock().domains.insert(domain.to_lowercase());
    }

    /// Sends mail for an address or domain another way, in the words of transport(5): `smtp:[127.0.0.1]:2525` to another
    /// server, `error:5.1.1 no such mailbox` back to its sender, `retry:4.4.1 later` into the queue, `discard:` nowhere.
    /// Postfix remembers the last few ways for half a minute: say it before the address is first written to.
    pub fn route(&self, to: &str, way: &str) {
        self.rule("routes", to, way);
    }

    /// Answers when the world or a user names this recipient (an address or a domain), in the words of access(5):
    /// `450 4.2.1 later`, `550 5.7.1 no`, `PREPEND X-Header: text`, `DISCARD`, `HOLD`.
    pub fn on_recipient(&self, to: &str, answer: &str) {
        self.rule("recipients", to, answer);
    }

    /// The same for the sender of the envelope.
    pub fn on_sender(&self, from: &str, answer: &str) {
        self.rule("senders", from, answer);
    }

    /// The same for the address of the sending machine.
    pub fn on_client(&self, client: &str, answer: &str) {
        self.rule("clients", client, answer);
    }

    fn rule(&self, table: &'static str, key: &str, value: &str) {
        self.tables.lock().rules.insert((table, key.to_lowercase()), value.to_owned());
    }

    /// Forgets every route and every answer.
    pub fn is_well(&self) {
        self.tables.lock().rules.clear();
    }

    /// Makes an access token good (for XOAUTH2 and OAUTHBEARER, with IMAP and submission).
    pub fn grant_token(&self, address: &str, token: &str) {
        self.tables.lock().tokens.insert(token.to_owned(), address.to_owned());
    }

    /// Makes a refresh token good.
    pub fn grant_refresh(&self, address: &str, token: &str) {
        self.tables.lock().refresh.insert(token.to_owned(), address.to_owned());
    }

    /// Says how many seconds a new access token lasts. It stays good until [`Self::revoke_tokens`].
    pub fn tokens_last(&self, seconds: u64) {
        self.tables.lock().lasts = seconds;
    }

    /// Each refresh token is good for one use from now on; a new one comes with every access token.
    pub fn rotates_refresh(&self) {
        self.tables.lock().rotates = true;
    }

    /// No access token is good any more; refresh tokens stay good.
    pub fn revoke_tokens(&self) {
        self.tables.lock().tokens.clear();
    }

    /// No refresh token is good any more.
    pub fn revoke_refresh(&self) {
        self.tables.lock().refresh.clear();
    }

    /// How often the token endpoint was asked.
    #[must_use]
    pub fn tokens_asked(&self) -> usize {
        self.tables.lock().refreshed
    }

    /// A connection to the port that takes the world's mail, for many mails.
    #[must_use]
    pub fn sender(&self, envelope: &Envelope) -> Sender {
        Sender::connect(self.ports.smtp, &envelope.helo, envelope.client)
    }

    /// Sends one mail as the world does. Gives what the server answered.
    pub fn send(&self, envelope: &Envelope, mail: &[u8]) -> Answer {
        self.sender(envelope).send(envelope, mail)
    }

    /// Sends one mail that must be taken.
    ///
    /// # Panics
    /// If it is refused.
    pub fn deliver(&self, envelope: &Envelope, mail: &[u8]) {
        let answer = self.send(envelope, mail);
        assert_eq!(answer.code, 250, "{}", answer.text);
    }

    /// Sends one mail with `swaks`.
    ///
    /// # Errors
    /// What swaks said, if the mail was refused.
    pub fn swaks(&self, envelope: &Envelope, mail: &[u8]) -> Result<String, String> {
        send::swaks(self.ports.smtp, envelope, mail)
    }

    /// All mails in an address's inbox, the oldest first.
    #[must_use]
    pub fn mails(&self, address: &str) -> Vec<Mail> {
        self.folder(address, "INBOX")
    }

    /// All mails in a folder of an address's mailbox, the oldest first.
    #[must_use]
    pub fn folder(&self, address: &str, folder: &str) -> Vec<Mail> {
        mailbox::read(&mailbox::place(&self.home(address), folder))
    }

    /// The first mail in an address's inbox for which this holds, once there is one.
    ///
    /// # Panics
    /// If none comes.
    pub async fn wait_for_mail(&self, address: &str, holds: impl Fn(&Mail) -> bool) -> Mail {
        wait::until(&format!("a mail to {address}"), PATIENCE, || {
            let found = self.mails(address).into_iter().find(|mail| holds(mail));
            async move { found }
        })
        .await
    }

    /// So many mails in an address's inbox for which this holds, once there are as many.
    ///
    /// # Panics
    /// If fewer come.
    pub async fn wait_for_mails(&self, address: &str, count: usize, holds: impl Fn(&Mail) -> bool) -> Vec<Mail> {
        wait::until(&format!("{count} mails to {address}"), PATIENCE, || {
            let found: Vec<Mail> = self.mails(address).into_iter().filter(|mail| holds(mail)).collect();
            async move { (found.len() >= count).then_some(found) }
        })
        .await
    }

    /// How many mails Postfix keeps in its queue.
    #[must_use]
    pub fn queued(&self) -> usize {
        ["incoming", "active", "deferred", "hold"].iter().map(|name| files(&self.path("queue").join(name))).sum()
    }

    /// Waits until Postfix's queue is empty.
    ///
    /// # Panics
    /// If it does not become so.
    pub async fn until_queue_is_empty(&self) {
        wait::until("an empty queue", PATIENCE, || async { (self.queued() == 0).then_some(()) }).await;
    }

    /// Has Postfix try all that waits in its queue at once.
    pub fn flush(&self) {
        let _ = Command::new("/usr/sbin/postqueue").arg("-c").arg(self.path("postfix")).arg("-f").output();
    }

    fn home(&self, address: &str) -> PathBuf {
        self.path("mail").join(address.to_lowercase())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        held(&self.postfix).kill();
        held(&self.dovecot).kill();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::ZERO);
        }
        if thread::panicking() {
            for name in ["postfix.log", "master.log", "dovecot.log", "dovecot-start.log"] {
                let text = fs::read_to_string(self.path(name)).unwrap_or_default();
                let tail: Vec<&str> = text.lines().rev().take(40).collect();
                eprintln!("--- {name}");
                tail.iter().rev().for_each(|line| eprintln!("{line}"));
            }
        }
    }
}

fn held(daemon: &Mutex<Daemon>) -> MutexGuard<'_, Daemon> {
    daemon.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A listener on a free port, within a runtime.
fn listener() -> TcpListener {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.set_nonblocking(true).expect("a listener that does not block");
    TcpListener::from_std(listener).expect("a listener")
}

/// Whether a server greets with these words.
fn greets(port: u16, words: &str) -> bool {
    let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let _ = stream.set_read_timeout(Some(PATIENCE));
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).is_ok() && line.starts_with(words)
}

/// How many files lie in a folder and below it.
fn files(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { 1 }).sum()
}
