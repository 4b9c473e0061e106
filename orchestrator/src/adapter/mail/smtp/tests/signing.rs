//! Signatures as others check them.

use mail_auth::{
    AuthenticatedMessage, DkimResult, MessageAuthenticator, Parameters, ResolverCache, Txt,
    common::{parse::TxtRecordParser, verify::DomainKey},
    hickory_resolver::config::{ResolverConfig, ResolverOpts},
};

use super::*;

/// A name server that has one key.
struct OneKey(Arc<DomainKey>);

impl ResolverCache<Box<str>, Txt> for OneKey {
    fn get<Q>(&self, _: &Q) -> Option<Txt>
    where
        Box<str>: std::borrow::Borrow<Q>,
        Q: std::hash::Hash + Eq + ?Sized,
    {
        Some(Txt::DomainKey(Arc::clone(&self.0)))
    }

    fn remove<Q>(&self, _: &Q) -> Option<Txt>
    where
        Box<str>: std::borrow::Borrow<Q>,
        Q: std::hash::Hash + Eq + ?Sized,
    {
        None
    }

    fn insert(&self, _: Box<str>, _: Txt, _: std::time::Instant) {}
}

async fn verified(raw: &str, record: &str) -> Vec<bool> {
    let key = OneKey(Arc::new(DomainKey::parse(record.as_bytes()).unwrap()));
    let message = AuthenticatedMessage::parse(raw.as_bytes()).unwrap();
    let nobody = MessageAuthenticator::new(ResolverConfig::default(), ResolverOpts::default()).unwrap();
    let outputs = nobody.verify_dkim(Parameters::from(&message).with_txt_cache(&key)).await;
    outputs.iter().map(|output| *output.result() == DkimResult::Pass).collect()
}

#[tokio::test]
async fn signatures_hold_and_break() {
    let keys = [
        ("rsa.pem", format!("v=DKIM1; k=rsa; p={}", include_str!("../testkeys/rsa.txt"))),
        ("rsa8.pem", format!("v=DKIM1; k=rsa; p={}", include_str!("../testkeys/rsa.txt"))),
        ("ed25519.pem", format!("v=DKIM1; k=ed25519; p={}", include_str!("../testkeys/ed25519.txt"))),
    ];
    let content = crate::adapter::mail::view::Content {
        subject: "Grüße, ein langes Wort und noch eines, damit die Zeile gebrochen wird".to_owned(),
        text: "Zeile  mit   Leerraum \n\n.\n".to_owned(),
        html: "<p>x</p>".to_owned(),
        attachments: vec![("changes.patch".to_owned(), "text/x-diff".to_owned(), b"+x\n".to_vec())],
    };
    let heads = crate::adapter::mail::mime::Heads {
        from: ("Baton".to_owned(), "baton@example.org".to_owned()),
        to: "ann@example.org".to_owned(),
        reply_to: Some("baton+abc@example.org".to_owned()),
        message_id: "1@baton.example.org".to_owned(),
        references: (0..12).map(|n| format!("{n}-a-rather-long-id@mail.example.org")).collect(),
        list_unsubscribe: Some(("baton+q@example.org".to_owned(), Some("https://baton.example.org/q/1".to_owned()))),
        ..Default::default()
    };
    let raw = crate::adapter::mail::mime::build(&content, &heads);
    for (file, record) in keys {
        let server = Server::start(Script::default()).await;
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/adapter/mail/smtp/testkeys").join(file);
        let mut mail = server.mail();
        mail.dkim = Some(Dkim { domain: "example.org".to_owned(), selector: "s1".to_owned(), key: path });
        let smtp = Smtp::waiting(&mail, patient()).unwrap();
        assert_eq!(smtp.send("baton@example.org", "ann@example.org", &raw).await, Ok(()));
        let got = server.mails().remove(0);
        assert!(got.starts_with("DKIM-Signature: "), "{got}");
        assert!(got.lines().all(|line| line.len() <= 998));
        assert_eq!(verified(&got, &record).await, [true], "{file}: {got}");
        // On its way, servers change blanks and put lines above it.
        let moved = format!("Received: from a by b; x\r\n{}", got.replacen("Subject: ", "Subject:   ", 1));
        assert_eq!(verified(&moved, &record).await, [true], "{file}");
        for (before, after) in [
            ("To: ann@", "To: eve@"),
            ("Reply-To: ", "Reply-To: x"),
            ("Auto-Submitted: auto", "Auto-Submitted: no;auto"),
            ("List-Unsubscribe: ", "List-Unsubscribe: <x>,"),
            ("<p>x</p>", "<p>y</p>"),
        ] {
            let forged = got.replacen(before, after, 1);
            assert_ne!(forged, got, "{before}");
            assert_eq!(verified(&forged, &record).await, [false], "{file}: {before}");
        }
    }
}
