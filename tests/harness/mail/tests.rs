//! The mail servers by themselves: mail goes round, comes back, waits and is refused as the tests will need it.

use std::{
    io::{BufRead as _, BufReader, Read, Write},
    net::TcpStream,
    sync::Arc,
    time::Duration,
};

use mail_parser::MimeHeaders as _;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, pki_types::CertificateDer,
    pki_types::pem::PemObject as _,
};

use super::{ANN, BATON, BOB, CLIENT_ID, CLIENT_SECRET, EVE, Envelope, MailServer, PASSWORD};

/// A TLS connection to one of the ports.
fn tls(server: &MailServer, port: u16) -> StreamOwned<ClientConnection, TcpStream> {
    over_tls(server, TcpStream::connect(("127.0.0.1", port)).unwrap())
}

fn over_tls(server: &MailServer, stream: TcpStream) -> StreamOwned<ClientConnection, TcpStream> {
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(server.authority().as_bytes()).unwrap()).unwrap();
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), stream)
}

/// A conversation by lines.
struct Talk<S: Read + Write>(BufReader<S>);

impl<S: Read + Write> Talk<S> {
    fn new(stream: S) -> Self {
        Self(BufReader::new(stream))
    }

    fn say(&mut self, line: &str) {
        self.0.get_mut().write_all(format!("{line}\r\n").as_bytes()).unwrap();
    }

    /// Reads up to a line for which this holds.
    fn until(&mut self, holds: impl Fn(&str) -> bool) -> String {
        let mut seen = String::new();
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "hung up after {seen:?}");
            seen.push_str(&line);
            if holds(&line) {
                return line;
            }
        }
    }

    /// An IMAP command's answer.
    fn command(&mut self, tag: &str, line: &str) -> String {
        self.say(&format!("{tag} {line}"));
        let tag = format!("{tag} ");
        self.until(|line| line.starts_with(&tag))
    }

    /// An SMTP command's answer.
    fn asked(&mut self, line: &str) -> String {
        self.say(line);
        self.until(|line| line.as_bytes().get(3) == Some(&b' '))
    }
}

fn mail(from: &str, to: &str, subject: &str) -> Vec<u8> {
    format!(
        "From: {from}\nTo: {to}\nSubject: {subject}\nMessage-ID: <{}@client.test>\n\nHello.\n.a dot\n",
        subject.replace(' ', ".")
    )
    .into_bytes()
}

fn sasl(user: &str, token: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(format!("user={user}\x01auth=Bearer {token}\x01\x01"))
}

fn plain(user: &str, password: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(format!("\0{user}\0{password}"))
}

/// Hands in a mail as a user does. Gives the answer to it.
fn submit(server: &MailServer, to: &str, text: &[u8]) -> String {
    let mut plain_text = Talk::new(TcpStream::connect(("127.0.0.1", server.submission())).unwrap());
    plain_text.until(|line| line.starts_with("220 "));
    plain_text.asked("EHLO baton.test");
    assert!(plain_text.asked("STARTTLS").starts_with("220"));
    let mut talk = Talk::new(over_tls(server, plain_text.0.into_inner()));
    talk.asked("EHLO baton.test");
    assert!(talk.asked(&format!("MAIL FROM:<{BATON}>")).starts_with("250"));
    assert!(talk.asked(&format!("RCPT TO:<{to}>")).starts_with("554"), "nobody hands in mail without a login");
    talk.asked("RSET");
    assert!(talk.asked(&format!("AUTH PLAIN {}", plain(BATON, "wrong"))).starts_with("535"));
    assert!(talk.asked(&format!("AUTH PLAIN {}", plain(BATON, PASSWORD))).starts_with("235"));
    assert!(talk.asked(&format!("MAIL FROM:<{BATON}>")).starts_with("250"));
    let answer = talk.asked(&format!("RCPT TO:<{to}>"));
    if !answer.starts_with("250") {
        return answer;
    }
    assert!(talk.asked("DATA").starts_with("354"));
    talk.say(&String::from_utf8_lossy(text).replace('\n', "\r\n"));
    talk.asked(".")
}

#[tokio::test]
async fn mail_goes_from_swaks_through_both_servers_and_wakes_who_waits() {
    let server = MailServer::start();
    let mut imap = Talk::new(tls(&server, server.imaps()));
    imap.until(|line| line.starts_with("* OK"));
    assert!(imap.command("a", &format!("LOGIN {BATON} wrong")).starts_with("a NO"));
    assert!(imap.command("b", &format!("LOGIN {BATON} {PASSWORD}")).starts_with("b OK"));
    assert!(imap.command("c", "SELECT INBOX").starts_with("c OK"));
    imap.say("d IDLE");
    imap.until(|line| line.starts_with('+'));

    let to = "baton+appr-tok123@orch.test";
    let envelope = Envelope::new(ANN, to).by("mx.team.test", "127.0.0.5");
    let said = server.swaks(&envelope, &mail(ANN, to, "hello there")).unwrap();
    assert!(said.contains("250 2.0.0 Ok"), "{said}");
    imap.until(|line| line.starts_with("* 1 EXISTS"));
    imap.say("DONE");
    imap.until(|line| line.starts_with("d OK"));

    let mail = server.wait_for_mail(BATON, |mail| mail.subject() == "hello there").await;
    assert_eq!(mail.header("Delivered-To"), "baton+appr-tok123@orch.test");
    assert_eq!(mail.header("Return-Path"), format!("<{ANN}>"));
    assert!(mail.text().ends_with(".a dot\n"), "{mail:?}");
    let received = mail.headers("Received").join("\n");
    assert!(received.contains("from mx.team.test (unknown [127.0.0.5])"), "{received}");
    assert_eq!(server.mails(ANN), []);
}

#[tokio::test]
async fn users_hand_in_mail_and_get_bounces_back() {
    let server = MailServer::start();
    assert!(submit(&server, ANN, &mail(BATON, ANN, "to ann")).starts_with("250"));
    server.wait_for_mail(ANN, |mail| mail.subject() == "to ann").await;

    server.remove_user(BOB);
    server.quota(EVE, Some(10));
    server.route("relay.test", "error:5.4.4 nobody takes it");
    for (to, status) in [(BOB, "5.1.1"), (EVE, "5.2.2"), ("x@relay.test", "5.4.4"), ("x@nowhere.test", "5.1.2")] {
        let subject = format!("bounces {to}");
        assert!(submit(&server, to, &mail(BATON, to, &subject)).starts_with("250"));
        let bounce = server.wait_for_mail(BATON, |mail| mail.text().contains(&format!("<{to}>"))).await;
        let parsed = bounce.parsed();
        assert_eq!(parsed.content_type().and_then(|t| t.subtype()), Some("report"), "{bounce:?}");
        assert_eq!(bounce.header("Return-Path"), "<>");
        assert_eq!(bounce.header("Auto-Submitted"), "auto-replied");
        let report = String::from_utf8_lossy(&bounce.raw).into_owned();
        assert!(report.contains(&format!("Status: {status}")), "{report}");
        assert!(report.contains(&format!("Message-ID: <{}@client.test>", subject.replace(' ', "."))), "{report}");
    }
}

#[tokio::test]
async fn what_a_test_says_about_recipients_and_senders_holds_at_once() {
    let server = MailServer::start();
    let hello = mail(ANN, BATON, "hello");
    let code = |from: &str, to: &str| server.send(&Envelope::new(from, to), &hello).code;
    assert_eq!(code(ANN, BATON), 250);
    assert_eq!(code(ANN, "nobody@orch.test"), 550);
    assert_eq!(code(ANN, "somebody@outside.test"), 554);
    server.on_recipient(BATON, "450 4.2.1 later");
    server.on_sender(EVE, "550 5.7.1 not from you");
    server.on_sender(BOB, "PREPEND Authentication-Results: mx.orch.test; dmarc=pass header.from=team.test");
    assert_eq!(code(ANN, BATON), 450);
    server.is_well();
    server.on_sender(BOB, "PREPEND Authentication-Results: mx.orch.test; dmarc=pass header.from=team.test");
    server.on_sender(EVE, "550 5.7.1 not from you");
    assert_eq!((code(EVE, BATON), code(BOB, BATON)), (550, 250));
    // Both are in the mailbox before it goes: else they would bounce.
    server.wait_for_mails(BATON, 2, |_| true).await;
    server.remove_user(BATON);
    assert_eq!(code(ANN, BATON), 550);
    server.add_user(BATON);
    assert_eq!(code("", BATON), 250);
    let from_bob = server.wait_for_mail(BATON, |mail| mail.header("Return-Path") == format!("<{BOB}>")).await;
    assert_eq!(from_bob.header("Authentication-Results"), "mx.orch.test; dmarc=pass header.from=team.test");
    server.wait_for_mails(BATON, 3, |_| true).await;
}

#[tokio::test]
async fn restarts_lose_nothing() {
    let server = MailServer::start();
    server.stop_dovecot();
    let envelope = Envelope::new(ANN, BATON);
    let mut sender = server.sender(&envelope);
    for number in 0..5 {
        let answer = sender.send(&envelope, &mail(ANN, BATON, &format!("number {number}")));
        assert_eq!(answer.code, 250, "{}", answer.text);
    }
    assert_eq!(server.queued(), 5);
    server.kill_postfix();
    assert_eq!((server.queued(), server.mails(BATON).len()), (5, 0));
    server.start_postfix();
    server.start_dovecot();
    server.wait_for_mails(BATON, 5, |_| true).await;
    server.until_queue_is_empty().await;
    server.kill_dovecot();
    server.start_dovecot();
    server.restart();
    server.deliver(&envelope, &mail(ANN, BATON, "after all"));
    server.wait_for_mail(BATON, |mail| mail.subject() == "after all").await;
    assert_eq!(server.mails(BATON).len(), 6);
}

#[tokio::test]
async fn tokens_log_in_until_they_are_revoked() {
    let server = MailServer::start();
    server.grant_refresh(BATON, "refresh-1");
    let ask = |refresh: &str| {
        let form = format!(
            "grant_type=refresh_token&client_id={CLIENT_ID}&client_secret={CLIENT_SECRET}&refresh_token={refresh}"
        );
        let _ = rustls::crypto::ring::default_provider().install_default();
        let request = reqwest::Client::new().post(server.token_url()).body(form);
        async move { request.send().await.unwrap().json::<serde_json::Value>().await.unwrap() }
    };
    assert_eq!(ask("other").await["error"], "invalid_grant");
    let answer = ask("refresh-1").await;
    let token = answer["access_token"].as_str().unwrap().to_owned();
    assert_eq!(server.tokens_asked(), 2);

    let login = |user: &str, token: &str| {
        let mut imap = Talk::new(tls(&server, server.imaps()));
        imap.until(|line| line.starts_with("* OK"));
        imap.say(&format!("a AUTHENTICATE XOAUTH2 {}", sasl(user, token)));
        // A refusal comes as a challenge, which is answered by an empty line.
        let answer = imap.until(|line| line.starts_with("a ") || line.starts_with('+'));
        if !answer.starts_with('+') {
            return answer;
        }
        imap.say("");
        imap.until(|line| line.starts_with("a "))
    };
    assert!(login(BATON, &token).starts_with("a OK"));
    assert!(!login(ANN, &token).starts_with("a OK"), "a token is good for its owner only");
    server.revoke_tokens();
    assert!(!login(BATON, &token).starts_with("a OK"));
}

#[tokio::test]
async fn a_renumbered_mailbox_has_its_mails_under_a_new_validity() {
    let server = MailServer::start();
    server.deliver(&Envelope::new(ANN, BATON), &mail(ANN, BATON, "stays"));
    server.wait_for_mail(BATON, |_| true).await;
    let validity = || {
        let mut imap = Talk::new(tls(&server, server.imaps()));
        imap.until(|line| line.starts_with("* OK"));
        imap.command("a", &format!("LOGIN {BATON} {PASSWORD}"));
        imap.say("b SELECT INBOX");
        let line = imap.until(|line| line.contains("[UIDVALIDITY"));
        imap.until(|line| line.starts_with("b OK"));
        line
    };
    let before = validity();
    server.renumber(BATON);
    assert_ne!(validity(), before);
    assert_eq!(server.mails(BATON).len(), 1);
}

#[tokio::test]
async fn several_at_a_time_know_nothing_of_each_other_and_leave_nothing() {
    let (one, two) = (MailServer::start(), MailServer::start());
    one.route("team.test", &format!("smtp:[127.0.0.1]:{}", two.smtp()));
    // What one takes for a domain that it sends on lies in the other's mailbox.
    one.deliver(&Envelope::new(EVE, ANN), &mail(EVE, ANN, "over two"));
    two.wait_for_mail(ANN, |mail| mail.subject() == "over two").await;
    assert_eq!(one.mails(ANN), []);
    let folders = [one.folder.path().to_path_buf(), two.folder.path().to_path_buf()];
    drop((one, two));
    for folder in folders {
        assert!(!folder.exists());
        let marker = folder.display().to_string();
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let names = |entry: &std::fs::DirEntry| {
            let read = |file| std::fs::read(entry.path().join(file)).unwrap_or_default();
            let seen = [read("cmdline"), read("environ")].concat();
            String::from_utf8_lossy(&seen).contains(&marker)
        };
        assert_eq!(processes.filter(names).count(), 0, "something of {marker} still runs");
    }
}
