//! Everything somebody may try to be believed, each as a row.

use proptest::prelude::{any, prop_assert, proptest};

use super::{
    fields::{self, Field},
    received, results,
    testing::{Answer, Key, Zone, at},
    verifier::MailAuth,
};
use crate::{
    adapter::mail::{Authentic, Verifier as _},
    mail::letter::{Delivery, read},
};

const US: &str = "baton@ours.example";
/// Mon, 23 Nov 2026 00:00:00 UTC.
const NOW: i64 = 1_795_392_000_000;
const ALL: [&str; 5] = ["From", "To", "Subject", "Date", "Message-ID"];

const OURS: &str = "Received: from m.x.org (m.x.org [192.0.2.7]) by mx.ours.example (Postfix) with ESMTPS id 1; x\r\n";
const EVILS: &str =
    "Received: from m.x.org (evil.org [192.0.2.66]) by mx.ours.example (Postfix) with ESMTP id 2; x\r\n";
const FOREIGN: &str = "Received: from m.x.org (m.x.org [192.0.2.7]) by mx.evil.org with ESMTP id 3; x\r\n";
const VOUCHES: &str = "Authentication-Results: mx.ours.example; dmarc=pass header.from=x.org\r\n";

struct Bench {
    key: Key,
    auth: MailAuth,
    zone: Zone,
}

impl Bench {
    async fn new() -> Self {
        let key = Key::new();
        let txt = |text: &str| Answer::Txt(text.to_owned());
        let mut records = vec![
            ("_dmarc.x.org", txt("v=DMARC1; p=reject")),
            ("x.org", txt("v=spf1 ip4:192.0.2.7 -all")),
            ("evil.org", txt("v=spf1 ip4:192.0.2.66 -all")),
            ("_dmarc.evil.org", txt("v=DMARC1; p=none")),
            ("_dmarc.strict.org", txt("v=DMARC1; p=reject; adkim=s; aspf=s")),
            ("m.strict.org", txt("v=spf1 ip4:192.0.2.7 -all")),
            ("bare.org", txt("v=spf1 ip4:192.0.2.7 -all")),
            ("_dmarc.halfdown.org", Answer::Trouble),
            ("s1._domainkey.down.org", Answer::Trouble),
            ("_dmarc.down.org", txt("v=DMARC1; p=reject")),
            ("spfdown.org", Answer::Trouble),
            ("s1._domainkey.broken.org", txt("v=DKIM1; k=ed25519; p=!!!!")),
            ("s1._domainkey.revoked.org", txt("v=DKIM1; k=ed25519; p=")),
            ("s1._domainkey.other.org", Key::new().record()),
        ];
        for domain in [
            "x.org",
            "m.x.org",
            "evil.org",
            "strict.org",
            "m.strict.org",
            "bare.org",
            "m.bare.org",
            "halfdown.org",
            "m.halfdown.org",
            "x0rg.org",
            "xn--x-7eb.org",
        ] {
            records.push((Box::leak(format!("s1._domainkey.{domain}").into_boxed_str()), key.record()));
        }
        let zone = Zone::start(&records).await;
        let trusted = ["mx.ours.example".to_owned()];
        let auth = MailAuth::new(&[zone.address], &trusted, &trusted, US).unwrap().with_clock(at(NOW));
        Self { key, auth, zone }
    }

    async fn look(&self, raw: &str) -> Authentic {
        self.look_with(raw, &Delivery::default()).await
    }

    async fn look_with(&self, raw: &str, delivery: &Delivery) -> Authentic {
        self.auth.verify(raw.as_bytes(), &read(raw.as_bytes()), delivery).await
    }

    fn signed(&self, domain: &str, mail: &str) -> String {
        self.key.sign(domain, &ALL, mail)
    }
}

fn mail(from: &str) -> String {
    mail_to(from, "Baton <baton+tok@ours.example>")
}

fn mail_to(from: &str, to: &str) -> String {
    format!(
        "From: {from}\r\nTo: {to}\r\nSubject: Re: Request\r\nDate: Sun, 22 Nov 2026 23:00:00 +0000\r\n\
         Message-ID: <1@x.org>\r\n\r\napprove\r\n"
    )
}

#[track_caller]
fn yes(found: &Authentic, how: &str) {
    assert_eq!(*found, Authentic::Yes(how.to_owned()));
}

#[track_caller]
fn no(found: &Authentic, why: &str) {
    let Authentic::No(said) = found else { panic!("{found:?} should be no, and say {why:?}") };
    assert!(said.contains(why), "{said:?} should say {why:?}");
}

#[tokio::test]
async fn what_its_domain_vouches_for_is_believed() {
    let bench = Bench::new().await;
    let ann = mail("Ann <ann@x.org>");
    yes(&bench.look(&bench.signed("x.org", &ann)).await, "DMARC pass (DKIM d=x.org)");
    yes(&bench.look(&bench.signed("m.x.org", &ann)).await, "DMARC pass (DKIM d=m.x.org)");
    yes(&bench.look(&bench.signed("x.org", &mail("ann@m.x.org"))).await, "DMARC pass (DKIM d=x.org)");
    yes(&bench.look(&bench.signed("bare.org", &mail("ann@bare.org"))).await, "no DMARC record (DKIM d=bare.org)");
    yes(&bench.look(&bench.signed("bare.org", &mail("ann@m.bare.org"))).await, "no DMARC record (DKIM d=bare.org)");
    let halfdown = bench.signed("halfdown.org", &mail("ann@halfdown.org"));
    yes(&bench.look(&halfdown).await, "no DMARC record (DKIM d=halfdown.org)");
    // Added on its way: what every server adds, and a second signature that does not hold.
    let signed = bench.signed("x.org", &ann);
    let second = bench.signed("evil.org", &ann).replace("b=", "b=A");
    yes(&bench.look(&format!("{EVILS}{FOREIGN}X-Spam: no\r\n{signed}")).await, "DMARC pass (DKIM d=x.org)");
    let both = second[..second.find("\r\nFrom:").unwrap() + 2].to_owned() + &signed;
    yes(&bench.look(&both).await, "DMARC pass (DKIM d=x.org)");
    // Addressed to us in Cc, which is covered.
    let in_copy = mail_to("ann@x.org", "bob@x.org").replace("Subject:", "Cc: baton@ours.example\r\nSubject:");
    let covered = [&ALL[..], &["Cc"]].concat();
    yes(&bench.look(&bench.key.sign("x.org", &covered, &in_copy)).await, "DMARC pass (DKIM d=x.org)");
    // What it is about stands behind our `+`, which is covered: the thread need not be.
    let answer = mail_to("ann@x.org", &format!("baton+{}@ours.example", "a".repeat(40)));
    let moved = answer.replace("Subject:", "In-Reply-To: <any@ours.example>\r\nSubject:");
    yes(&bench.look(&bench.signed("x.org", &moved)).await, "DMARC pass (DKIM d=x.org)");
    yes(&bench.look(&bench.key.sign_for(600, "x.org", &ALL, &ann)).await, "DMARC pass (DKIM d=x.org)");
}

#[tokio::test]
async fn where_it_came_from_is_believed_if_we_know_it() {
    let bench = Bench::new().await;
    let ann = mail("ann@x.org");
    let path = "Return-Path: <ann@x.org>\r\n";
    yes(&bench.look(&format!("{path}{OURS}{ann}")).await, "DMARC pass (SPF x.org)");
    let delivery = |ip: &str, mail_from: &str| Delivery {
        client_ip: Some(ip.parse().unwrap()),
        mail_from: Some(mail_from.to_owned()),
        helo: Some("m.x.org".to_owned()),
        ..Delivery::default()
    };
    yes(&bench.look_with(&ann, &delivery("192.0.2.7", "bounces@x.org")).await, "DMARC pass (SPF x.org)");
    yes(
        &bench.look_with(&mail("a@bare.org"), &delivery("192.0.2.7", "a@bare.org")).await,
        "no DMARC record (SPF bare.org)",
    );
    // From elsewhere, or with a return path of somebody else's.
    no(&bench.look_with(&ann, &delivery("192.0.2.66", "ann@x.org")).await, "192.0.2.66 may not send for x.org");
    no(
        &bench.look_with(&ann, &delivery("192.0.2.66", "eve@evil.org")).await,
        "SPF could only speak for evil.org, not for it",
    );
    no(&bench.look_with(&ann, &delivery("192.0.2.7", "")).await, "return path is empty");
    no(
        &bench.look_with(&mail("a@strict.org"), &delivery("192.0.2.7", "a@m.strict.org")).await,
        "m.strict.org, not for it",
    );
    // What its sender wrote about its way.
    no(&bench.look(&format!("{path}{EVILS}{OURS}{ann}")).await, "192.0.2.66 may not send");
    no(&bench.look(&format!("{path}{FOREIGN}{OURS}{ann}")).await, "mail.trusted_received");
    no(&bench.look(&format!("{path}{FOREIGN}{ann}")).await, "mail.trusted_received");
    no(&bench.look(&format!("{OURS}{path}{ann}")).await, "its return path is not known");
}

#[tokio::test]
async fn only_servers_we_named_may_vouch() {
    let bench = Bench::new().await;
    let ann = mail("ann@x.org");
    let how = "DMARC pass, says mx.ours.example";
    yes(&bench.look(&format!("{VOUCHES}{OURS}{ann}")).await, how);
    yes(&bench.look(&format!("{VOUCHES}{OURS}{FOREIGN}{ann}")).await, how);
    no(&bench.look(&format!("{OURS}{VOUCHES}{ann}")).await, "no DKIM signature");
    let foreign = VOUCHES.replace("mx.ours.example", "mx.evil.org");
    no(&bench.look(&format!("{foreign}{OURS}{ann}")).await, "no DKIM signature");
    no(&bench.look(&format!("{FOREIGN}{VOUCHES}{ann}")).await, "no DKIM signature");
    no(&bench.look(&format!("{EVILS}{FOREIGN}{VOUCHES}{ann}")).await, "no DKIM signature");
    let fails = VOUCHES.replace("pass", "fail");
    no(&bench.look(&format!("{fails}{VOUCHES}{EVILS}{ann}")).await, "mx.ours.example says dmarc=fail, pass");
    no(&bench.look(&format!("{fails}{EVILS}{VOUCHES}{ann}")).await, "mx.ours.example says dmarc=fail");
    no(&bench.look(&format!("{VOUCHES}{OURS}{}", mail("eve@evil.org"))).await, "says dmarc=pass");
    // What our server does not see through, a signature that holds may still prove.
    yes(&bench.look(&format!("{fails}{OURS}{}", bench.signed("x.org", &ann))).await, "DMARC pass (DKIM d=x.org)");
}

#[tokio::test]
async fn forged_mails_are_not_believed() {
    let bench = Bench::new().await;
    let ann = mail("Ann <ann@x.org>");
    let signed = bench.signed("x.org", &ann);
    let signed_to_bob = bench.signed("x.org", &mail_to("ann@x.org", "bob@x.org"));
    let rows: Vec<(&str, String, &str)> = vec![
        ("a forged From", ann.clone(), "nothing proves that it is from x.org: it has no DKIM signature"),
        ("a forged From, signed by its sender", bench.signed("evil.org", &ann), "evil.org does not speak for x.org"),
        ("a domain that ends alike", bench.signed("x.org", &mail("a@evilx.org")), "x.org does not speak for evilx.org"),
        ("a domain that begins alike", bench.signed("evil.org", &mail("a@x.org.evil.net")), "does not speak for"),
        (
            "strict alignment",
            bench.signed("m.strict.org", &mail("a@strict.org")),
            "m.strict.org does not speak for strict.org",
        ),
        ("a child without a record", bench.signed("m.bare.org", &mail("a@bare.org")), "publish a DMARC record"),
        ("a changed text", signed.replace("approve\r\n", "approve all\r\n"), "does not match the text"),
        ("a changed subject", signed.replace("Re: Request", "Re: Another"), "does not match the headers"),
        ("a changed From", signed.replace("Ann <ann@", "Bob <bob@"), "does not match the headers"),
        ("a subject put above", format!("Subject: Re: Another\r\n{signed}"), "2 Subject lines"),
        ("a From put above", format!("From: bob@x.org\r\n{signed}"), "2 From lines"),
        ("a To put above", format!("To: {US}\r\n{signed_to_bob}"), "2 To lines"),
        (
            "another form put above",
            format!("Content-Type: a/b\r\nContent-Type: c/d\r\n{signed}"),
            "2 Content-Type lines",
        ),
        (
            "a copy to us added",
            signed_to_bob.replace("\r\nSubject:", "\r\nCc: baton@ours.example\r\nSubject:"),
            "not cover Cc",
        ),
        (
            "moved to another thread",
            bench
                .signed("x.org", &mail_to("ann@x.org", US))
                .replace("\r\nSubject:", "\r\nIn-Reply-To: <any@ours.example>\r\nSubject:"),
            "not cover In-Reply-To",
        ),
        ("sent on as it was", signed_to_bob.clone(), "not addressed to us: To and Cc name bob@x.org"),
        ("sent on with another To", signed_to_bob.replace("bob@x.org", US), "does not match the headers"),
        (
            "To not covered",
            bench.key.sign("x.org", &["From", "Subject", "Date", "Message-ID"], &ann),
            "does not cover To",
        ),
        (
            "Subject not covered",
            bench.key.sign("x.org", &["From", "To", "Date", "Message-ID"], &ann),
            "not cover Subject",
        ),
        ("From not covered", bench.key.sign("x.org", &["To", "Subject", "Date", "Message-ID"], &ann), "not cover From"),
        ("Date not covered", bench.key.sign("x.org", &["From", "To", "Subject", "Message-ID"], &ann), "not cover Date"),
        ("id not covered", bench.key.sign("x.org", &["From", "To", "Subject", "Date"], &ann), "not cover Message-ID"),
        ("a length", bench.key.sign_length("x.org", &ALL, &ann) + "and delete it all\r\n", "l="),
        ("expired", expired(&bench.key.sign_for(60, "x.org", &ALL, &ann)), "has expired"),
        ("the signature stripped", signed[signed.find("\r\nFrom:").unwrap() + 2..].to_owned(), "no DKIM signature"),
        (
            "a key that is not there",
            bench.signed("gone.org", &mail("a@gone.org")),
            "publish the TXT record s1._domainkey.gone.org",
        ),
        (
            "a broken key",
            bench.signed("broken.org", &mail("a@broken.org")),
            "look at the TXT record s1._domainkey.broken.org",
        ),
        ("a withdrawn key", bench.signed("revoked.org", &mail("a@revoked.org")), "s1._domainkey.revoked.org"),
        ("another key", bench.signed("other.org", &mail("a@other.org")), "does not match the headers"),
        ("a signature that is none", format!("DKIM-Signature: v=1; a=nope; d=x.org\r\n{ann}"), "cannot be used"),
        ("two Froms in a line", bench.signed("x.org", &mail("ann@x.org, bob@x.org")), "2 From addresses"),
        ("no From", bench.signed("x.org", &ann.replace("From:", "X-From:")), "0 From addresses"),
        ("an empty From", bench.signed("x.org", &mail("")), "From"),
        ("From without a domain", bench.signed("x.org", &mail("root@localhost")), "no domain that could vouch"),
        ("another alphabet", bench.signed("evil.org", &mail("ann@\u{445}.org")), "nothing proves that it is from xn--"),
        ("old", bench.signed("x.org", &ann.replace("22 Nov", "10 Nov")), "12 days ago"),
        ("in the future", bench.signed("x.org", &ann.replace("22 Nov", "26 Nov")), "in the future"),
        ("no date", bench.signed("x.org", &ann.replace("Date:", "X-Date:")), "has no Date"),
        ("a line that is none", format!("garbage\r\n{signed}"), "not well-formed"),
        ("a name with a blank", format!("Subject : x\r\n{signed}"), "not well-formed"),
        ("nothing at all", String::new(), "no header"),
    ];
    let mut wrong = Vec::new();
    for (name, raw, why) in rows {
        match bench.look(&raw).await {
            Authentic::No(said) if said.contains(why) => {}
            other => wrong.push(format!("{name}: {other:?} should be no, and say {why:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn expired(signed: &str) -> String {
    let at = signed.find("x=").unwrap() + 2;
    let end = at + signed[at..].find(|c: char| !c.is_ascii_digit()).unwrap();
    format!("{}1000000000{}", &signed[..at], &signed[end..])
}

#[tokio::test]
async fn trouble_of_name_servers_is_no_verdict() {
    let bench = Bench::new().await;
    let delivery = Delivery {
        client_ip: Some("192.0.2.7".parse().unwrap()),
        mail_from: Some("a@spfdown.org".to_owned()),
        ..Delivery::default()
    };
    for (raw, delivery, why) in [
        (bench.signed("down.org", &mail("a@down.org")), Delivery::default(), "signature of down.org"),
        (bench.signed("m.halfdown.org", &mail("a@halfdown.org")), Delivery::default(), "DMARC record of halfdown.org"),
        (mail("a@spfdown.org"), delivery, "SPF record of spfdown.org"),
    ] {
        match bench.look_with(&raw, &delivery).await {
            Authentic::Unknown(said) => assert!(said.contains(why), "{said:?} should say {why:?}"),
            other => panic!("{other:?} should be unknown: {why}"),
        }
    }
}

#[tokio::test]
async fn any_number_of_signatures_costs_a_few_questions() {
    let bench = Bench::new().await;
    let ann = mail("ann@x.org");
    let signed = bench.signed("x.org", &ann);
    let one = &signed[..signed.find("\r\nFrom:").unwrap() + 2];
    let many: String = (0..500).map(|n| one.replace("s=s1;", &format!("s=k{n};"))).collect();
    no(&bench.look(&format!("{many}{ann}")).await, "publish the TXT record k0._domainkey.x.org");
    let asked = bench.zone.asked();
    assert!(asked <= 40, "{asked} questions");
}

proptest! {
    /// Headers are written by strangers: whatever stands in them, they are read or refused.
    #[test]
    fn any_header_is_read_or_refused(
        raw in proptest::collection::vec(any::<u8>(), 0..300),
        line in "[ -~]{0,80}",
        made in "(from|by|with|LMTP|;|\\(|\\)|\\[|\\]|=|\"|\\\\|dmarc=pass|header.from=x.org|mx.a.org| ){0,30}",
    ) {
        let mail = [format!("Received: {made}\r\nAuthentication-Results: {made}\r\n{line}\r\n").as_bytes(), &raw].concat();
        if let Ok(fields) = fields::read(&mail) {
            prop_assert!(fields.iter().all(|field| field.name.bytes().all(|byte| byte.is_ascii_graphic())));
            prop_assert!(received::border(&fields, &[]).is_none(), "nobody is trusted");
            prop_assert!(results::judge(&fields, &[], &[], "x.org").is_none(), "nobody is trusted");
        }
        let trusted = ["mx.a.org".to_owned()];
        let field = |name: &str| Field { name: name.to_owned(), value: made.clone() };
        received::border(&[field("received")], &trusted);
        results::judge(&[field("authentication-results")], &trusted, &trusted, "x.org");
    }
}
