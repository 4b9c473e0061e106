//! Our mailbox in a real Dovecot: told at once, and nothing lost or read twice whatever breaks.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bus_schemas::time::UnixMs;
use bytes::Bytes;
use harness::{
    dns::Dns,
    mail::{ANN, BATON, CLIENT_ID, CLIENT_SECRET, Envelope, MailServer as Servers, PASSWORD},
    nats::free_port,
};
use orchestrator::{
    adapter::mail::{
        Kept, Position,
        check::{self, Finding, Grade},
        imap::{ImapSettings, ImapState, Inbox, TOO_LARGE, run},
    },
    config::{Mail, MailServer, OAuth, Secret, Tls},
    mail::letter::Delivery,
};
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

/// What was kept, in memory.
#[derive(Clone)]
struct Drawer {
    mails: watch::Sender<Vec<String>>,
    position: Arc<Mutex<Option<Position>>>,
}

impl Drawer {
    fn new() -> Self {
        Self { mails: watch::channel(Vec::new()).0, position: Arc::default() }
    }

    async fn until(&self, count: usize) -> Vec<String> {
        self.mails.subscribe().wait_for(|mails| mails.len() >= count).await.expect("the drawer is open").clone()
    }
}

impl Inbox for Drawer {
    async fn position(&self, _mailbox: &str) -> Kept<Option<Position>> {
        Ok(*self.position.lock().expect("no poison"))
    }

    async fn keep_all(&self, _: &str, mails: Vec<(Bytes, Delivery)>, position: Position, _: UnixMs) -> Kept<()> {
        *self.position.lock().expect("no poison") = Some(position);
        let texts = mails.into_iter().map(|(raw, _)| String::from_utf8_lossy(&raw).into_owned());
        self.mails.send_modify(|kept| kept.extend(texts));
        Ok(())
    }
}

fn settings(servers: &Servers, tls: Tls, port: u16) -> Mail {
    let ca = Some(servers.authority_file());
    let server = |tls, port| {
        let user = Some(BATON.to_owned());
        MailServer { host: "localhost".to_owned(), port: Some(port), tls, ca: ca.clone(), user }
    };
    Mail {
        address: Some(BATON.to_owned()),
        password: Some(Secret::new(PASSWORD.to_owned())),
        imap: server(tls, port),
        smtp: server(Tls::Starttls, servers.submission()),
        ..Mail::default()
    }
}

/// A mailbox being followed.
struct Followed {
    told: watch::Receiver<ImapState>,
    _task: AbortOnDropHandle<()>,
}

impl Followed {
    fn start(mail: &Mail, drawer: &Drawer) -> Self {
        let mut settings = ImapSettings::new(mail).expect("good settings").expect("a mailbox");
        settings.timing.refused = Duration::from_millis(100);
        let (tell, told) = watch::channel(ImapState::default());
        let task = tokio::spawn(run(settings, drawer.clone(), || {}, tell, CancellationToken::new()));
        Self { told, _task: AbortOnDropHandle::new(task) }
    }

    async fn open(&mut self) {
        self.told.wait_for(|state| *state == ImapState::Open { is_told: true }).await.expect("it runs");
    }

    async fn trouble(&mut self) -> String {
        let state = self.told.wait_for(|state| matches!(state, ImapState::Trouble(_))).await.expect("it runs").clone();
        let ImapState::Trouble(why) = state else { panic!("{state:?}") };
        why
    }
}

fn written(subject: &str, text: &str) -> Vec<u8> {
    format!("From: {ANN}\nTo: {BATON}\nSubject: {subject}\nMessage-ID: <{subject}@team.test>\n\n{text}\n").into_bytes()
}

fn deliver(servers: &Servers, subject: &str) {
    servers.deliver(&Envelope::new(ANN, BATON), &written(subject, "Hello."));
}

/// The subjects, in the order in which they were kept.
fn subjects(mails: &[String]) -> Vec<&str> {
    mails.iter().filter_map(|mail| mail.lines().find_map(|line| line.strip_prefix("Subject: "))).collect()
}

#[tokio::test]
async fn a_mailbox_is_followed_through_kills_and_new_numbers() {
    let servers = Servers::start();
    let drawer = Drawer::new();
    deliver(&servers, "before");
    let mut followed = Followed::start(&settings(&servers, Tls::Implicit, servers.imaps()), &drawer);
    followed.open().await;
    drawer.until(1).await;
    deliver(&servers, "pushed");
    assert_eq!(subjects(&drawer.until(2).await), ["before", "pushed"]);

    servers.kill_dovecot();
    followed.trouble().await;
    deliver(&servers, "while-it-was-away");
    servers.start_dovecot();
    servers.flush();
    assert_eq!(subjects(&drawer.until(3).await), ["before", "pushed", "while-it-was-away"]);
    followed.open().await;

    servers.renumber(BATON);
    let again = drawer.until(6).await;
    assert_eq!(again[..3], again[3..6], "the same to the byte: their digest says that they are known");
    deliver(&servers, "after");
    assert_eq!(subjects(&drawer.until(7).await)[6], "after");
}

#[tokio::test]
async fn a_mail_that_is_too_large_is_known_by_its_header() {
    let servers = Servers::start();
    let drawer = Drawer::new();
    let mut mail = settings(&servers, Tls::Starttls, servers.imap());
    mail.max_mail_mib = 1;
    servers.deliver(
        &Envelope::new(ANN, BATON),
        &written("large", &"seventy characters of nothing in particular\n".repeat(40_000)),
    );
    // Postfix hands mails over side by side: the first one must lie there before the second is sent.
    servers.wait_for_mail(BATON, |_| true).await;
    deliver(&servers, "small");
    servers.wait_for_mails(BATON, 2, |_| true).await;
    let _followed = Followed::start(&mail, &drawer);
    let kept = drawer.until(2).await;
    assert_eq!(subjects(&kept), ["large", "small"]);
    assert!(kept[0].starts_with(TOO_LARGE) && !kept[0].contains("seventy"), "{}", kept[0]);
    assert!(kept[1].contains("Hello."), "over STARTTLS as well");
}

#[tokio::test]
async fn a_server_that_cannot_prove_itself_is_told_nothing() {
    let servers = Servers::start();
    let mut mail = settings(&servers, Tls::Implicit, servers.imaps());
    mail.imap.host = "127.0.0.2".to_owned();
    let mut followed = Followed::start(&mail, &Drawer::new());
    let why = followed.trouble().await;
    assert!(why.contains("127.0.0.2"), "{why}");
    mail.imap.host = "127.0.0.1".to_owned();
    mail.password = Some(Secret::new("wrong".to_owned()));
    let why = Followed::start(&mail, &Drawer::new()).trouble().await;
    assert!(why.contains("BATON_MAIL_PASSWORD") && !why.contains("wrong"), "{why}");
}

#[tokio::test]
async fn access_tokens_are_got_and_got_anew() {
    let servers = Servers::start();
    servers.grant_refresh(BATON, "refresh");
    let mut mail = settings(&servers, Tls::Implicit, servers.imaps());
    mail.password = None;
    mail.oauth =
        Some(OAuth { token_url: servers.token_url(), client_id: CLIENT_ID.to_owned(), scope: "mail".to_owned() });
    mail.oauth_client_secret = Some(Secret::new(CLIENT_SECRET.to_owned()));
    mail.oauth_refresh_token = Some(Secret::new("refresh".to_owned()));
    let drawer = Drawer::new();
    let mut followed = Followed::start(&mail, &drawer);
    followed.open().await;
    assert_eq!(servers.tokens_asked(), 1);
    // The token it remembers is not good any more.
    servers.revoke_tokens();
    servers.kill_dovecot();
    followed.trouble().await;
    servers.start_dovecot();
    followed.open().await;
    assert_eq!(servers.tokens_asked(), 2);
    deliver(&servers, "hello");
    assert_eq!(subjects(&drawer.until(1).await), ["hello"]);
    // Access was withdrawn altogether.
    servers.revoke_tokens();
    servers.revoke_refresh();
    servers.kill_dovecot();
    servers.start_dovecot();
    let why = followed.told.wait_for(|state| matches!(state, ImapState::Trouble(why) if why.contains("refresh token")));
    why.await.expect("it runs");
}

#[tokio::test]
async fn refresh_tokens_that_are_good_once_are_kept_over_a_restart() {
    let servers = Servers::start();
    servers.grant_refresh(BATON, "refresh");
    servers.rotates_refresh();
    let state = tempfile::tempdir().expect("a folder");
    let mut mail = settings(&servers, Tls::Implicit, servers.imaps());
    mail.password = None;
    mail.state_dir = Some(state.path().to_owned());
    mail.oauth =
        Some(OAuth { token_url: servers.token_url(), client_id: CLIENT_ID.to_owned(), scope: "mail".to_owned() });
    mail.oauth_client_secret = Some(Secret::new(CLIENT_SECRET.to_owned()));
    mail.oauth_refresh_token = Some(Secret::new("refresh".to_owned()));
    // Each time as after a restart, with what the configuration says.
    for count in 1..=3 {
        Followed::start(&mail, &Drawer::new()).open().await;
        assert_eq!(servers.tokens_asked(), count);
    }
    let file = state.path().join("mail-oauth.json");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).expect("the file").permissions());
    assert_eq!(mode & 0o777, 0o600);
    // A new one in the configuration counts, whatever is kept of the old one.
    servers.revoke_refresh();
    servers.grant_refresh(BATON, "another");
    mail.oauth_refresh_token = Some(Secret::new("another".to_owned()));
    Followed::start(&mail, &Drawer::new()).open().await;
}

#[tokio::test]
async fn the_check_sends_a_mail_round() {
    let (servers, dns) = (Servers::start(), Dns::start());
    dns.mx("orch.test", &["mx.orch.test"]);
    dns.txt("orch.test", "v=spf1 ip4:127.0.0.1 -all");
    dns.txt("_dmarc.orch.test", "v=DMARC1; p=reject");
    let mut mail = settings(&servers, Tls::Implicit, servers.imaps());
    mail.dns = vec![dns.address()];
    mail.trusted_received = vec!["mx.orch.test".to_owned()];
    let findings = check::check(&mail, true).await;
    let bad: Vec<&Finding> = findings.iter().filter(|finding| finding.grade != Grade::Ok).collect();
    assert!(bad.is_empty(), "{bad:#?}");
    let trip = findings.iter().find(|finding| finding.part == "round trip").expect("it was made");
    assert!(trip.said.contains("genuine: DMARC pass (SPF orch.test)"), "{trip:?}");
    // Who may not log in learns it, and sends nothing.
    mail.password = Some(Secret::new("wrong".to_owned()));
    let findings = check::check(&mail, true).await;
    assert_eq!(parts(&findings, Grade::Wrong), ["imap", "smtp"]);
}

/// What came out so.
fn parts(findings: &[Finding], grade: Grade) -> Vec<&str> {
    findings.iter().filter(|finding| finding.grade == grade).map(|finding| finding.part).collect()
}

#[tokio::test]
async fn the_check_names_each_thing_that_is_wrong_and_the_way_out() {
    let (servers, dns) = (Servers::start(), Dns::start());
    dns.mx("orch.test", &["mx.orch.test"]);
    dns.txt("orch.test", "v=spf1 ip4:127.0.0.1 -all");
    dns.txt("_dmarc.orch.test", "v=DMARC1; p=reject");
    let mut right = settings(&servers, Tls::Implicit, servers.imaps());
    right.dns = vec![dns.address()];
    let nobody = || format!("127.0.0.1:{}", free_port()).parse().expect("an address");
    let cases: [(&str, Box<dyn Fn(&mut Mail)>, &[&str], &str); 9] = [
        ("no name server", Box::new(move |mail| mail.dns = vec![nobody()]), &["mx", "spf", "dmarc"], "mail.dns"),
        ("another machine", Box::new(|mail| mail.imap.host = "127.0.0.2".to_owned()), &["imap"], "cannot be reached"),
        ("nobody's authority", Box::new(|mail| mail.imap.ca = None), &["imap"], "ca"),
        (
            "TLS where there is none at once",
            Box::new(|mail| mail.imap.port = Some(servers.imap())),
            &["imap"],
            "mail.imap.tls",
        ),
        ("no folder", Box::new(|mail| mail.folder = "Nowhere".to_owned()), &["folder"], "that is there: INBOX"),
        ("another user", Box::new(|mail| mail.imap.user = Some(ANN.to_uppercase() + "x")), &["imap"], "mail.imap.user"),
        (
            "TLS at once where there is STARTTLS",
            Box::new(|mail| mail.smtp.tls = Tls::Implicit),
            &["smtp"],
            "implicit is 465, starttls is 587",
        ),
        ("an unknown authority", Box::new(|mail| mail.smtp.ca = None), &["smtp"], "set mail.smtp.ca to its PEM file"),
        ("no login", Box::new(|mail| mail.smtp.user = None), &["round trip"], "must take mail to our own address"),
    ];
    for (what, change, wrong, way_out) in cases {
        let mut mail = right.clone();
        change(&mut mail);
        let findings = check::check(&mail, true).await;
        assert_eq!(parts(&findings, Grade::Wrong), wrong, "{what}: {findings:#?}");
        let said = findings.iter().filter(|finding| finding.grade == Grade::Wrong);
        let said: Vec<String> =
            said.map(|one| format!("{} {}", one.said, one.hint.as_deref().unwrap_or_default())).collect();
        assert!(said.iter().all(|said| said.contains(way_out)), "{what}: {said:#?}");
        assert_eq!(parts(&findings, Grade::Warning).contains(&"smtp"), what == "no login", "{findings:#?}");
    }
    dns.txt("_dmarc.orch.test", "v=DMARC1; p=none");
    let findings = check::check(&right, false).await;
    assert!(parts(&findings, Grade::Warning).contains(&"dmarc"), "{findings:#?}");
}
