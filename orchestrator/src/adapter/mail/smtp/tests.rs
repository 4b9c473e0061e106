//! A small server that does what it is told, and what becomes of mails there.

mod signing;

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};
use tokio_util::task::AbortOnDropHandle;

use super::*;
use crate::config::{Dkim, MailServer};

/// What the server does.
#[derive(Clone, Copy, Debug)]
enum Does {
    /// Answers so.
    Says(&'static str),
    /// Closes the connection instead.
    Closes,
    /// Says nothing.
    Waits,
}

/// What the server does at each step. Steps are counted over all connections where it matters.
#[derive(Clone, Debug)]
struct Script {
    greeting: Does,
    offers: &'static [&'static str],
    auth: Does,
    mail: Does,
    rcpt: Does,
    data: Does,
    /// So much of a mail is read, then the connection is closed.
    reads: usize,
    taken: Does,
    /// After so many mails of a connection it closes it.
    closes_after: usize,
    /// The second `MAIL` of a connection gets this.
    second_mail: Does,
    /// What is said at this step if the sender's address has a `+`.
    plus: Option<(&'static str, &'static str)>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            greeting: Does::Says("220 mx.example ESMTP"),
            offers: &["8BITMIME", "SIZE 10000000"],
            auth: Does::Says("235 2.7.0 welcome"),
            mail: Does::Says("250 2.1.0 ok"),
            rcpt: Does::Says("250 2.1.5 ok"),
            data: Does::Says("354 go on"),
            reads: usize::MAX,
            taken: Does::Says("250 2.0.0 queued"),
            closes_after: usize::MAX,
            second_mail: Does::Says("250 2.1.0 ok"),
            plus: None,
        }
    }
}

/// What it saw.
#[derive(Debug, Default)]
struct Seen {
    connections: AtomicUsize,
    commands: std::sync::Mutex<Vec<String>>,
    mails: std::sync::Mutex<Vec<String>>,
}

struct Server {
    port: u16,
    seen: Arc<Seen>,
    _serves: AbortOnDropHandle<()>,
}

impl Server {
    async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Seen::default());
        let kept = Arc::clone(&seen);
        let serves = tokio::spawn(async move {
            let mut served = Vec::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                kept.connections.fetch_add(1, Ordering::SeqCst);
                let (script, seen) = (script.clone(), Arc::clone(&kept));
                served.push(AbortOnDropHandle::new(tokio::spawn(async move {
                    // An end of the connection ends this.
                    let _ended = serve(stream, &script, &seen).await;
                })));
            }
        });
        Self { port, seen, _serves: AbortOnDropHandle::new(serves) }
    }

    fn mail(&self) -> Mail {
        Mail {
            smtp: MailServer {
                host: "127.0.0.1".to_owned(),
                port: Some(self.port),
                tls: Tls::None,
                ..MailServer::default()
            },
            ..Mail::default()
        }
    }

    fn smtp(&self) -> Smtp {
        Smtp::waiting(&self.mail(), patient()).unwrap()
    }

    fn commands(&self) -> Vec<String> {
        self.seen.commands.lock().unwrap().clone()
    }

    fn mails(&self) -> Vec<String> {
        self.seen.mails.lock().unwrap().clone()
    }

    fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }
}

fn patient() -> Waits {
    let long = Duration::from_secs(30);
    Waits { connect: long, answer: long, taken: long }
}

/// Does a step; `None` if the connection ends with it.
async fn does(stream: &mut BufReader<TcpStream>, step: Does) -> Option<()> {
    match step {
        Does::Says(words) => stream.write_all(format!("{words}\r\n").as_bytes()).await.ok(),
        Does::Closes => None,
        Does::Waits => std::future::pending().await,
    }
}

async fn serve(stream: TcpStream, script: &Script, seen: &Seen) -> Option<()> {
    let mut stream = BufReader::new(stream);
    does(&mut stream, script.greeting).await?;
    let (mut mails, mut is_plus) = (0, false);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_owned();
        seen.commands.lock().unwrap().push(line.clone());
        let step = line.split(' ').next().unwrap_or_default();
        is_plus = if step == "MAIL" { line.contains('+') } else { is_plus };
        if let Some((_, said)) = script.plus.filter(|(refused, _)| is_plus && *refused == step) {
            stream.write_all(format!("{said}\r\n").as_bytes()).await.ok()?;
            continue;
        }
        match step {
            "EHLO" => {
                let offers: String = script.offers.iter().map(|offer| format!("250-{offer}\r\n")).collect();
                stream.write_all(format!("250-mx.example\r\n{offers}250 HELP\r\n").as_bytes()).await.ok()?;
            }
            "AUTH" => does(&mut stream, script.auth).await?,
            "MAIL" => does(&mut stream, if mails > 0 { script.second_mail } else { script.mail }).await?,
            "RCPT" => does(&mut stream, script.rcpt).await?,
            "DATA" => {
                does(&mut stream, script.data).await?;
                if matches!(script.data, Does::Says(words) if words.starts_with('3')) {
                    let mail = body(&mut stream, script.reads).await?;
                    seen.mails.lock().unwrap().push(mail);
                    does(&mut stream, script.taken).await?;
                    mails += 1;
                    if mails == script.closes_after {
                        return None;
                    }
                }
            }
            "QUIT" => {
                stream.write_all(b"221 bye\r\n").await.ok()?;
                return None;
            }
            _ => stream.write_all(b"502 what?\r\n").await.ok()?,
        }
    }
}

/// A mail up to its dot, the doubled dots single again; nothing if it is not to be read to the end.
async fn body(stream: &mut BufReader<TcpStream>, most: usize) -> Option<String> {
    let mut mail = Vec::new();
    loop {
        if mail.len() >= most {
            return None;
        }
        let mut line = Vec::new();
        let wanted = u64::try_from(most.saturating_sub(mail.len())).unwrap();
        (&mut *stream).take(wanted).read_until(b'\n', &mut line).await.ok()?;
        if line.is_empty() {
            return None;
        }
        if line == b".\r\n" {
            return String::from_utf8(mail).ok();
        }
        mail.extend(line.strip_prefix(b".").unwrap_or(&line));
    }
}

const RAW: &str = "From: baton@example.org\r\nTo: ann@example.org\r\nSubject: x\r\n\r\nhello\r\n.dot\r\n";

async fn sent(smtp: &Smtp) -> Result<(), TransportError> {
    smtp.send("baton@example.org", "ann@example.org", RAW.as_bytes()).await
}

#[tokio::test]
async fn mails_go_over_one_connection() {
    let server = Server::start(Script::default()).await;
    let smtp = server.smtp();
    assert_eq!(sent(&smtp).await, Ok(()));
    assert_eq!(smtp.send("", "bob@example.org", RAW.as_bytes()).await, Ok(()));
    let commands = server.commands();
    let steps: Vec<&str> = commands.iter().map(String::as_str).filter(|line| !line.starts_with("EHLO")).collect();
    assert_eq!(
        steps,
        [
            "MAIL FROM:<baton@example.org>",
            "RCPT TO:<ann@example.org>",
            "DATA",
            "MAIL FROM:<>",
            "RCPT TO:<bob@example.org>",
            "DATA"
        ]
    );
    assert_eq!(server.mails().iter().map(|mail| mail.trim_end()).collect::<Vec<_>>(), [RAW.trim_end(); 2]);
    assert_eq!(server.connections(), 1);
}

/// `Later`, `Never` or `Unknown`, and what is said.
async fn outcome(script: Script) -> (&'static str, String) {
    let server = Server::start(script).await;
    match sent(&server.smtp()).await {
        Ok(()) => ("sent", String::new()),
        Err(TransportError::Later(why)) => ("later", why),
        Err(TransportError::Never(why)) => ("never", why),
        Err(TransportError::Unknown(why)) => ("unknown", why),
    }
}

#[tokio::test]
async fn what_a_server_says_decides() {
    let plain = Script::default;
    let cases = [
        ("later", "4.7.1 grey", Script { rcpt: Does::Says("450 4.7.1 grey"), ..plain() }),
        ("never", "550 5.1.1 nobody", Script { rcpt: Does::Says("550 5.1.1 nobody"), ..plain() }),
        ("later", "451", Script { mail: Does::Says("451 4.3.0 busy"), ..plain() }),
        ("never", "552", Script { mail: Does::Says("552 5.3.4 too large"), ..plain() }),
        ("later", "553", Script { mail: Does::Says("553 5.7.1 sender not yours"), ..plain() }),
        ("later", "log in", Script { mail: Does::Says("530 5.7.0 log in first"), ..plain() }),
        ("later", "554 no", Script { greeting: Does::Says("554 no service here"), ..plain() }),
        ("later", "421", Script { data: Does::Says("421 4.3.2 going down"), ..plain() }),
        ("never", "554", Script { data: Does::Says("554 5.7.1 no"), ..plain() }),
        ("later", "452", Script { taken: Does::Says("452 4.3.1 disk full"), ..plain() }),
        ("never", "5.7.1 spam", Script { taken: Does::Says("554 5.7.1 spam"), ..plain() }),
    ];
    for (wanted, said, script) in cases {
        let (found, why) = outcome(script.clone()).await;
        assert_eq!(found, wanted, "{script:?}: {why}");
        assert!(why.contains(said) && why.contains("127.0.0.1:"), "{why}");
    }
}

#[tokio::test]
async fn a_server_that_takes_no_token_in_the_return_path_gets_the_bare_one() {
    let token = "baton+abc@example.org";
    let froms = |server: &Server| -> Vec<String> {
        server.commands().into_iter().filter(|line| line.starts_with("MAIL")).collect()
    };
    let (with, bare) = ("MAIL FROM:<baton+abc@example.org>", "MAIL FROM:<baton@example.org>");
    for step in ["MAIL", "RCPT", "DATA"] {
        let plus = Some((step, "553 5.7.1 not owned by who logged in"));
        let server = Server::start(Script { plus, ..Script::default() }).await;
        let smtp = server.smtp();
        for _ in 0..2 {
            assert_eq!(smtp.send(token, "ann@example.org", RAW.as_bytes()).await, Ok(()), "{step}");
        }
        assert_eq!(
            (server.mails().len(), froms(&server)),
            (2, [with, bare, bare].map(str::to_owned).to_vec()),
            "{step}"
        );
    }
    // Who takes it once is believed in what it says about others.
    let server = Server::start(Script::default()).await;
    let smtp = server.smtp();
    assert_eq!(smtp.send(token, "ann@example.org", RAW.as_bytes()).await, Ok(()));
    assert_eq!(froms(&server), [with]);
    // Who takes neither means the recipient.
    let server = Server::start(Script { rcpt: Does::Says("550 5.1.1 nobody"), ..Script::default() }).await;
    let error = server.smtp().send(token, "ann@example.org", RAW.as_bytes()).await.unwrap_err();
    assert!(matches!(&error, TransportError::Never(why) if why.contains("5.1.1 nobody")), "{error:?}");
    assert_eq!(froms(&server), [with, bare]);
    // Who did not say whether it has the mail is not asked in another way.
    let server = Server::start(Script { taken: Does::Closes, ..Script::default() }).await;
    let error = server.smtp().send(token, "ann@example.org", RAW.as_bytes()).await.unwrap_err();
    assert!(matches!(error, TransportError::Unknown(_)), "{error:?}");
    assert_eq!((froms(&server).len(), server.mails().len()), (1, 1));
}

#[tokio::test]
async fn a_connection_that_ends_before_the_dot_lost_nothing() {
    let plain = Script::default;
    for script in [
        Script { greeting: Does::Closes, ..plain() },
        Script { mail: Does::Closes, ..plain() },
        Script { rcpt: Does::Closes, ..plain() },
        Script { data: Does::Closes, ..plain() },
    ] {
        let (found, why) = outcome(script.clone()).await;
        assert_eq!(found, "later", "{script:?}: {why}");
    }
    // In the midst of a mail that is larger than what can be on its way.
    let server = Server::start(Script { reads: 10_000, ..plain() }).await;
    let raw = format!("{RAW}{}", "0123456789abcdef\r\n".repeat(2_000_000));
    let error = server.smtp().send("baton@example.org", "ann@example.org", raw.as_bytes()).await.unwrap_err();
    assert!(matches!(error, TransportError::Later(_)), "{error:?}");
    assert_eq!(server.mails(), Vec::<String>::new());
}

#[tokio::test]
async fn no_word_after_the_dot_leaves_it_open() {
    let server = Server::start(Script { taken: Does::Closes, ..Script::default() }).await;
    let error = sent(&server.smtp()).await.unwrap_err();
    assert!(matches!(&error, TransportError::Unknown(why) if why.contains("got all of it")), "{error:?}");
    assert_eq!(server.mails().len(), 1);

    let server = Server::start(Script { taken: Does::Waits, ..Script::default() }).await;
    let waits = Waits { taken: Duration::from_millis(50), ..patient() };
    let smtp = Smtp::waiting(&server.mail(), waits).unwrap();
    let error = sent(&smtp).await.unwrap_err();
    assert!(matches!(&error, TransportError::Unknown(why) if why.contains("in time")), "{error:?}");
}

#[tokio::test]
async fn a_silent_server_is_not_waited_for_for_ever() {
    let short = Duration::from_millis(50);
    for (script, waits) in [
        (Script { greeting: Does::Waits, ..Script::default() }, Waits { connect: short, ..patient() }),
        (Script { rcpt: Does::Waits, ..Script::default() }, Waits { answer: short, ..patient() }),
    ] {
        let server = Server::start(script).await;
        let smtp = Smtp::waiting(&server.mail(), waits).unwrap();
        let error = sent(&smtp).await.unwrap_err();
        assert!(matches!(&error, TransportError::Later(why) if why.contains("in time")), "{error:?}");
    }
}

#[tokio::test]
async fn without_starttls_nothing_is_said() {
    let server = Server::start(Script { offers: &["AUTH PLAIN"], ..Script::default() }).await;
    let mut mail = server.mail();
    mail.smtp.tls = Tls::Starttls;
    mail.smtp.user = Some("baton".to_owned());
    mail.password = Some(Secret::new("hunter2hunter2".to_owned()));
    let error = sent(&Smtp::waiting(&mail, patient()).unwrap()).await.unwrap_err();
    assert!(matches!(&error, TransportError::Later(why) if why.contains("no STARTTLS")), "{error:?}");
    let commands = server.commands();
    assert!(commands.iter().all(|line| line.starts_with("EHLO") || line == "QUIT"), "{commands:?}");
}

#[tokio::test]
async fn a_login_that_fails_says_nothing_about_the_mail() {
    let offers: &[&str] = &["AUTH PLAIN LOGIN"];
    let plain = Script { offers, ..Script::default() };
    let with = |server: &Server| {
        let mut mail = server.mail();
        mail.smtp.user = Some("baton".to_owned());
        mail.password = Some(Secret::new("not this one".to_owned()));
        mail.smtp_password = Some(Secret::new("hunter2hunter2".to_owned()));
        Smtp::waiting(&mail, patient()).unwrap()
    };
    let server = Server::start(plain.clone()).await;
    assert_eq!(sent(&with(&server)).await, Ok(()));
    // NUL baton NUL hunter2hunter2
    assert!(
        server.commands().contains(&"AUTH PLAIN AGJhdG9uAGh1bnRlcjJodW50ZXIy".to_owned()),
        "{:?}",
        server.commands()
    );

    let server = Server::start(Script { auth: Does::Says("535 5.7.8 wrong"), ..plain }).await;
    let error = sent(&with(&server)).await.unwrap_err();
    assert!(matches!(&error, TransportError::Later(why) if why.contains("535 5.7.8 wrong")), "{error:?}");
    assert!(!error.to_string().contains("hunter2"), "{error:?}");
    assert!(!server.commands().iter().any(|line| line.starts_with("MAIL")));

    let server = Server::start(Script::default()).await;
    let error = sent(&with(&server)).await.unwrap_err();
    assert!(matches!(&error, TransportError::Later(why) if why.contains("mail.smtp.user")), "{error:?}");
}

#[tokio::test]
async fn a_kept_connection_that_is_closed_costs_no_mail() {
    for script in [
        Script { closes_after: 1, ..Script::default() },
        Script { second_mail: Does::Says("421 4.4.2 too long idle"), ..Script::default() },
    ] {
        let server = Server::start(script).await;
        let smtp = server.smtp();
        assert_eq!(sent(&smtp).await, Ok(()));
        assert_eq!(sent(&smtp).await, Ok(()));
        assert_eq!((server.mails().len(), server.connections()), (2, 2));
    }
}

#[tokio::test]
async fn what_is_no_address_is_asked_of_nobody() {
    let server = Server::start(Script::default()).await;
    for to in ["", "ann", "ann@exa mple.org", "ann@example.org>\r\nRCPT TO:<x@y.z", "änn@example.org"] {
        let error = server.smtp().send("baton@example.org", to, RAW.as_bytes()).await.unwrap_err();
        assert!(matches!(error, TransportError::Never(_)), "{to}: {error:?}");
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn what_is_missing_is_said() {
    let mut mail = Mail::default();
    assert!(Smtp::new(&mail).unwrap_err().contains("mail.smtp.host"));
    mail.smtp.host = "mx.example.org".to_owned();
    mail.smtp.user = Some("baton".to_owned());
    assert!(Smtp::new(&mail).unwrap_err().contains("BATON_MAIL_PASSWORD"));
    mail.smtp.user = None;
    mail.smtp.ca = Some("/nowhere/ca.pem".into());
    assert!(Smtp::new(&mail).unwrap_err().contains("/nowhere/ca.pem cannot be read"));
    mail.smtp.ca = None;
    mail.dkim = Some(Dkim { domain: "example.org".to_owned(), selector: "s".to_owned(), key: "/nowhere/key".into() });
    assert!(Smtp::new(&mail).unwrap_err().contains("mail.dkim.key /nowhere/key cannot be read"));
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "no key").unwrap();
    mail.dkim = Some(Dkim { domain: "example.org".to_owned(), selector: "s".to_owned(), key: file.path().into() });
    assert!(Smtp::new(&mail).unwrap_err().contains("openssl genrsa"));
}
