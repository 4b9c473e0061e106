//! Each thing that may be wrong, and what is said about it.

use std::{io::Write as _, sync::Arc, time::Duration};

use tempfile::NamedTempFile;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
};
use tokio_util::task::AbortOnDropHandle;

use super::{Finding, Grade, check_with};
use crate::{
    adapter::mail::{
        auth::testing::{Answer, Key, Zone},
        imap::{
            Timing,
            testing::{PASSWORD, Server},
        },
    },
    config::{Dkim, Mail, MailServer, Secret, Tls},
};

/// A server that takes mail and puts it into a mailbox, unless it drops it.
async fn smtp(into: Arc<Server>, drops: bool) -> (u16, AbortOnDropHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serves = tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let mut wire = BufReader::new(tcp);
            wire.write_all(b"220 ready\r\n").await.unwrap();
            let mut text: Option<String> = None;
            loop {
                let mut line = String::new();
                if wire.read_line(&mut line).await.unwrap_or_default() == 0 {
                    break;
                }
                if let Some(mut mail) = text.take() {
                    if line == ".\r\n" {
                        if !drops {
                            into.deliver(1, &mail);
                        }
                        wire.write_all(b"250 taken\r\n").await.unwrap();
                    } else {
                        mail += &line;
                        text = Some(mail);
                    }
                    continue;
                }
                let answer = match line.get(..4).unwrap_or_default() {
                    "EHLO" => "250-here\r\n250-SIZE 2097152\r\n250 AUTH PLAIN\r\n",
                    // The two of them: `\0baton\0se"cret`.
                    "AUTH" if line.trim_end() == "AUTH PLAIN AGJhdG9uAHNlImNyZXQ=" => "235 in\r\n",
                    "AUTH" => "535 no\r\n",
                    "DATA" => {
                        text = Some(String::new());
                        "354 go on\r\n"
                    }
                    "MAIL" if drops && line.contains('+') => "553 5.7.1 not yours\r\n",
                    "QUIT" => "221 bye\r\n",
                    _ => "250 good\r\n",
                };
                wire.write_all(answer.as_bytes()).await.unwrap();
            }
        }
    });
    (port, AbortOnDropHandle::new(serves))
}

fn txt(text: &str) -> Answer {
    Answer::Txt(text.to_owned())
}

fn server(port: u16) -> MailServer {
    let user = Some("baton".to_owned());
    MailServer { host: "127.0.0.1".to_owned(), port: Some(port), tls: Tls::None, user, ..MailServer::default() }
}

fn mail(zone: &Zone, imap: u16, smtp: u16) -> Mail {
    Mail {
        address: Some("baton@x.org".to_owned()),
        password: Some(Secret::new(PASSWORD.to_owned())),
        imap: server(imap),
        smtp: server(smtp),
        dns: vec![zone.address],
        ..Mail::default()
    }
}

async fn look(mail: &Mail, trip: bool) -> Vec<Finding> {
    let short = Duration::from_millis(500);
    let again = Duration::from_millis(5);
    check_with(mail, trip, Timing { command: short, poll: again, ..Timing::default() }).await
}

#[track_caller]
fn finding<'a>(findings: &'a [Finding], part: &str) -> &'a Finding {
    findings.iter().find(|finding| finding.part == part).unwrap_or_else(|| panic!("no {part} in {findings:#?}"))
}

#[tokio::test]
async fn what_works_is_said_to_work() {
    let imap = Arc::new(Server::start(Tls::None).await);
    let (smtp, _serves) = smtp(Arc::clone(&imap), false).await;
    let records = [
        ("x.org", Answer::Mx(10, "mx.x.org.".to_owned())),
        ("x.org", txt("v=spf1 mx -all")),
        ("_dmarc.x.org", txt("v=DMARC1; p=reject")),
    ];
    let zone = Zone::start(&records).await;
    let findings = look(&mail(&zone, imap.port, smtp), true).await;
    for part in ["mx", "spf", "dmarc", "imap", "folder", "idle", "smtp", "return path", "allow"] {
        let found = finding(&findings, part);
        assert_eq!(found.grade, Grade::Ok, "{found:?}");
    }
    assert_eq!(finding(&findings, "mx").said, "mx.x.org");
    assert!(finding(&findings, "size").said.contains("2 MiB at most"));
    let trip = finding(&findings, "round trip");
    assert!(trip.said.starts_with("it came back, with what stands behind the +"), "{trip:?}");
    assert_eq!(trip.grade, Grade::Warning, "nobody signed it: {trip:?}");
    imap.with(|state| {
        let raw = String::from_utf8(state.mails[&1].clone()).unwrap();
        assert!(raw.contains("Auto-Submitted: auto-generated\r\n") && raw.contains("To: baton+check"), "{raw}");
        assert!(raw.contains("@baton.x.org>\r\n"), "{raw}");
    });
}

#[tokio::test]
async fn what_is_missing_is_named_with_the_way_out() {
    let imap = Arc::new(Server::start(Tls::None).await);
    imap.with(|state| state.no_idle = true);
    let (smtp, _serves) = smtp(Arc::clone(&imap), true).await;
    let zone = Zone::start(&[]).await;
    let findings = look(&mail(&zone, imap.port, smtp), true).await;
    for (part, grade, said, hint) in [
        ("mx", Grade::Warning, "x.org has no MX record", "x.org MX 10"),
        ("spf", Grade::Warning, "x.org has no SPF record", "v=spf1 mx -all"),
        ("dmarc", Grade::Warning, "x.org has no DMARC record", "_dmarc.x.org TXT"),
        ("idle", Grade::Warning, "is asked every", "another server"),
        ("return path", Grade::Warning, "does not take mail from baton+check@x.org", "found by what it quotes"),
        ("round trip", Grade::Wrong, "and not in INBOX", "recipient_delimiter"),
    ] {
        let found = finding(&findings, part);
        assert_eq!(found.grade, grade, "{found:?}");
        assert!(found.said.contains(said) && found.hint.as_deref().unwrap_or_default().contains(hint), "{found:?}");
    }
    let zone = Zone::start(&[
        ("x.org", txt("v=spf1 include:+all.x.org all")),
        ("_dmarc.x.org", txt("v=DMARC1; p=none")),
        ("_dmarc.x.org", txt("v=DMARC1; p=reject")),
    ])
    .await;
    let mut wrong = mail(&zone, imap.port, smtp);
    wrong.password = Some(Secret::new("other".to_owned()));
    wrong.folder = "Nowhere".to_owned();
    let findings = look(&wrong, true).await;
    for (part, said) in [
        ("spf", "everybody may send"),
        ("dmarc", "2 DMARC records"),
        ("imap", "refuses LOGIN"),
        ("smtp", "does not let us in"),
    ] {
        let found = finding(&findings, part);
        assert_eq!(found.grade, Grade::Wrong, "{found:?}");
        assert!(found.said.contains(said), "{found:?}");
    }
    assert!(!findings.iter().any(|finding| finding.part == "round trip"), "no mail goes where nothing works");
    let findings = look(&Mail::default(), true).await;
    assert!(findings.len() == 1 && findings[0].said.contains("mail.address is not set"), "{findings:?}");
}

#[tokio::test]
async fn a_record_of_a_domain_above_counts_for_those_below_it() {
    for (above, own, grade, said) in [
        ("v=DMARC1; p=reject", None, Grade::Ok, "p=reject (of x.org)"),
        ("v=DMARC1; p=reject; sp=none", None, Grade::Warning, "forged mail in our name pass"),
        ("v=DMARC1; p=none", Some("v=DMARC1; p=quarantine; sp=none"), Grade::Ok, "v=DMARC1; p=quarantine; sp=none"),
        ("v=spf1 -all", None, Grade::Warning, "mail.x.org has no DMARC record"),
    ] {
        let mut records = vec![("_dmarc.x.org", txt(above)), ("mail.x.org", Answer::Mx(0, ".".to_owned()))];
        records.extend(own.map(|own| ("_dmarc.mail.x.org", txt(own))));
        let zone = Zone::start(&records).await;
        let below = Mail { address: Some("baton@mail.x.org".to_owned()), ..mail(&zone, 1, 1) };
        let findings = look(&below, false).await;
        let found = finding(&findings, "dmarc");
        assert!(found.grade == grade && found.said.contains(said), "{found:?}");
        let mx = finding(&findings, "mx");
        assert!(mx.grade == Grade::Wrong && mx.said.contains("takes no mail"), "{mx:?}");
    }
}

#[tokio::test]
async fn without_a_mailbox_it_is_said_what_mail_comes_in_by() {
    let imap = Arc::new(Server::start(Tls::None).await);
    let (smtp, _serves) = smtp(Arc::clone(&imap), false).await;
    let zone = Zone::start(&[]).await;
    let mut mail = Mail { imap: MailServer::default(), ..mail(&zone, 1, smtp) };
    let of = async |mail: &Mail| finding(&look(mail, true).await, "webhooks").clone();
    let found = of(&mail).await;
    assert!(found.grade == Grade::Wrong && found.said.contains("nothing comes in"), "{found:?}");
    mail.webhooks.mailgun = Some(Secret::new("key".to_owned()));
    assert_eq!(of(&mail).await.grade, Grade::Wrong, "nobody listens");
    mail.listen = Some("127.0.0.1:8025".parse().unwrap());
    let found = of(&mail).await;
    assert!(found.grade == Grade::Warning && found.said.contains("mailgun at 127.0.0.1:8025"), "{found:?}");
    mail.webhooks.mailgun = None;
    mail.public_url = Some("https://x.org".to_owned());
    mail.listen = None;
    let findings = look(&mail, false).await;
    let found = finding(&findings, "settings");
    assert!(found.grade == Grade::Warning && found.said.contains("public_url is set and listen is not"), "{found:?}");
}

#[tokio::test]
async fn the_mail_that_goes_round_is_signed_as_ours_are() {
    let imap = Arc::new(Server::start(Tls::None).await);
    let (smtp, _serves) = smtp(Arc::clone(&imap), false).await;
    let key = Key::new();
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(key.pem().as_bytes()).unwrap();
    let zone = Zone::start(&[("s1._domainkey.x.org", key.record())]).await;
    let mut mail = mail(&zone, imap.port, smtp);
    let (domain, selector, key) = ("x.org".to_owned(), "s1".to_owned(), file.path().to_owned());
    mail.dkim = Some(Dkim { domain, selector, key });
    let findings = look(&mail, true).await;
    let trip = finding(&findings, "round trip");
    assert!(trip.grade == Grade::Ok && trip.said.contains("DKIM d=x.org"), "{trip:?}");
}

#[tokio::test]
async fn what_keeps_us_from_sending_is_named_with_its_key() {
    let imap = Arc::new(Server::start(Tls::None).await);
    let (smtp, _serves) = smtp(Arc::clone(&imap), false).await;
    let zone = Zone::start(&[("x.org", txt("v=spf1 mx ?all"))]).await;
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let right = mail(&zone, imap.port, smtp);
    let with = |change: fn(&mut Mail, u16)| {
        let mut mail = right.clone();
        change(&mut mail, nobody);
        mail
    };
    for (mail, hint) in [
        (with(|mail, _| mail.password = Some(Secret::new("other".to_owned()))), "BATON_MAIL_PASSWORD"),
        (with(|mail, _| mail.password = None), "BATON_MAIL_PASSWORD"),
        (with(|mail, nobody| mail.smtp.port = Some(nobody)), "mail.smtp.port, and whether this machine may connect"),
        (with(|mail, _| mail.smtp.tls = Tls::Starttls), "implicit is 465, starttls is 587"),
        (with(|mail, _| mail.smtp.tls = Tls::Implicit), "implicit is 465, starttls is 587"),
        (
            with(|mail, _| (mail.smtp.tls, mail.smtp.ca) = (Tls::Implicit, Some("/nowhere.pem".into()))),
            "set mail.smtp.ca",
        ),
    ] {
        let findings = look(&mail, false).await;
        let found = finding(&findings, "smtp");
        assert_eq!(found.grade, Grade::Wrong, "{found:?}");
        assert!(found.hint.as_deref().unwrap_or_default().contains(hint), "{found:?}");
        assert_eq!(finding(&findings, "spf").grade, Grade::Warning);
    }
}

#[tokio::test]
async fn the_key_we_sign_with_must_be_the_one_in_the_record() {
    let key = Key::new();
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(key.pem().as_bytes()).unwrap();
    let zone = Zone::start(&[
        ("s1._domainkey.x.org", key.record()),
        ("s2._domainkey.x.org", Key::new().record()),
        ("s1._domainkey.y.org", key.record()),
    ])
    .await;
    for (domain, selector, grade, said) in [
        ("x.org", "s1", Grade::Ok, "holds our key"),
        ("x.org", "s2", Grade::Wrong, "another key"),
        ("x.org", "s3", Grade::Wrong, "there is no TXT record s3._domainkey.x.org"),
        ("y.org", "s1", Grade::Wrong, "does not speak for us"),
    ] {
        let (domain, selector, path) = (domain.to_owned(), selector.to_owned(), file.path().to_owned());
        let mut mail = mail(&zone, 1, 1);
        mail.dkim = Some(Dkim { domain, selector, key: path });
        let findings = look(&mail, false).await;
        let found = finding(&findings, "dkim");
        assert!(found.grade == grade && found.said.contains(said), "{found:?}");
        if said.contains("no TXT") {
            let Answer::Txt(record) = key.record() else { panic!("a text") };
            assert!(found.hint.as_deref().unwrap().contains(&record), "{found:?}");
        }
    }
    let mut mail = mail(&zone, 1, 1);
    mail.dkim = Some(Dkim { domain: "x.org".to_owned(), selector: "s1".to_owned(), key: "/nowhere".into() });
    assert!(finding(&look(&mail, false).await, "dkim").said.contains("/nowhere"));
}
