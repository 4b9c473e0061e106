use proptest::prelude::*;

use super::*;
use crate::mail::reply;

#[test]
fn a_mail_is_taken_apart() {
    let raw = "\
Return-Path: <Ann@example.org>
Delivered-To: baton+abc@works.example
From: =?utf-8?q?Ann_M=C3=BCller?= <Ann@Example.org>
To: Baton <baton@works.example>, bob@example.org
Cc: team: carl@example.org;
Reply-To: eve@evil.example
Subject: =?utf-8?b?w4RuZGVydW5n?=
 of the plan
Date: Mon, 23 Nov 2026 00:10:00 +0100
Message-ID: <m1@example.org>
In-Reply-To: <0193@baton.works.example>
References: <a@x> <b@y>
 <0193@baton.works.example>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain; charset=utf-8

approve

> Please decide
--b
Content-Type: text/csv; name=\"data.csv\"
Content-Disposition: attachment; filename=\"data.csv\"
Content-Transfer-Encoding: base64

YSxiCg==
--b
Content-Type: message/rfc822

Subject: Inner

inner text
--b--
";
    let letter = read(raw.as_bytes());
    assert_eq!(letter.from, [Address { name: "Ann Müller".to_owned(), address: "ann@example.org".to_owned() }]);
    assert_eq!(letter.author(), Some("ann@example.org"));
    let to: Vec<&str> = letter.to.iter().chain(&letter.cc).map(|one| one.address.as_str()).collect();
    assert_eq!(to, ["baton@works.example", "bob@example.org", "carl@example.org"]);
    assert_eq!(letter.reply_to[0].address, "eve@evil.example");
    assert_eq!((letter.subject.as_str(), letter.date), ("Änderung of the plan", Some(UnixMs(1_795_389_000_000))));
    assert_eq!(letter.message_id.as_deref(), Some("m1@example.org"));
    assert_eq!(letter.in_reply_to, ["0193@baton.works.example"]);
    assert_eq!(letter.references, ["a@x", "b@y", "0193@baton.works.example"]);
    assert_eq!(
        (letter.delivered_to.as_slice(), letter.return_path.as_deref()),
        (&["baton+abc@works.example".to_owned()][..], Some("ann@example.org"))
    );
    assert_eq!(letter.reply.first_line().as_deref(), Some("approve"));
    assert!(letter.text.contains("> Please decide"));
    let files: Vec<(&str, &str, &[u8])> = letter
        .attachments
        .iter()
        .map(|file| (file.name.as_str(), file.media_type.as_str(), file.bytes.as_slice()))
        .collect();
    assert_eq!(files[0], ("data.csv", "text/csv", &b"a,b\n"[..]));
    assert_eq!((files[1].0, files[1].1), ("Inner.eml", "message/rfc822"));
    assert!(String::from_utf8_lossy(files[1].2).starts_with("Subject: Inner"));
    assert_eq!((files.len(), letter.defects.as_slice()), (2, &[][..]));
    assert_eq!(letter.header("subject").next(), Some("Änderung of the plan"));
}

#[test]
fn a_mail_of_markup_alone_has_text() {
    let raw = "From: ann@example.org\nMessage-ID: <a@b>\nContent-Type: text/html\n\n<div>approve</div><blockquote>old</blockquote>\n";
    let letter = read(raw.as_bytes());
    assert_eq!(letter.reply.text(), "approve");
    assert!(letter.text.contains("approve") && !letter.text.contains('<'));
}

#[test]
fn who_wrote_it_is_one_or_nobody() {
    for (headers, wanted) in [
        ("From: ann@example.org", Some("ann@example.org")),
        ("From: \"ann@example.org\" <eve@evil.example>", Some("eve@evil.example")),
        ("From: ann@example.org, eve@evil.example", None),
        ("From: ann@example.org\nFrom: eve@evil.example", None),
        ("From: ann@example.org\nFROM:", None),
        ("From:", None),
        ("From: Ann", None),
        ("From: <>", None),
        ("Sender: ann@example.org", None),
        ("From: ann@\u{2000}example.org", None),
    ] {
        let letter = read(format!("{headers}\nSubject: x\n\ntext\n").as_bytes());
        assert_eq!(letter.author(), wanted, "{headers}: {:?}", letter.from);
        assert_eq!(
            wanted.is_none(),
            letter.defects.iter().any(|defect| defect.contains("wr") || defect.contains("comes from")),
            "{headers}"
        );
    }
}

#[test]
fn headers_that_are_there_twice_are_named() {
    let twice = |header: &str| read(format!("From: a@b.example\n{header}: 1\n{header}: 2\n\nx\n").as_bytes()).doubled();
    assert_eq!(
        (twice("Subject"), twice("In-Reply-To"), twice("content-TYPE")),
        (Some("subject"), Some("in-reply-to"), Some("content-type"))
    );
    assert_eq!((twice("Received"), twice("X-Any")), (None, None));
    let many = "X: y\n".repeat(3_000);
    assert_eq!(read(format!("{many}From: a@b.example\n\nx\n").as_bytes()).author(), None);
}

#[test]
fn values_stay_on_one_line() {
    let letter = read(b"From: a@b.example\nSubject: =?utf-8?q?x=0D=0ABcc:_eve@evil.example?=\nX-Y: a\n\tb\n\nx\n");
    assert_eq!(letter.subject, "x Bcc: eve@evil.example");
    assert_eq!(letter.header("x-y").next(), Some("a b"));
}

#[test]
fn what_is_no_mail_is_read_too() {
    for raw in [&b""[..], b"\n\n", b"approve", &[0xff; 100], b"From: a@b.example"] {
        assert!(!read(raw).defects.is_empty(), "{raw:?}");
    }
    let long = format!("From: a@b.example\n\n{}", "word ".repeat(4 << 20));
    assert!(read(long.as_bytes()).text.len() <= 10 << 20);
}

#[test]
fn what_goes_deep_is_read_and_not_gone_into() {
    let head = "From: a@b.example\nMIME-Version: 1.0\n";
    let nested = format!("{head}{}", "Content-Type: message/rfc822\n\n".repeat(200_000));
    assert_eq!(read(nested.as_bytes()).author(), Some("a@b.example"));
    // Packed once more, where a parser would copy all of it for each of them.
    let packed = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, nested.as_bytes());
    let packed = format!("{head}Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n{packed}\n");
    let letter = read(packed.as_bytes());
    assert_eq!((letter.attachments.len(), letter.attachments[0].media_type.as_str()), (1, "message/rfc822"));
    assert_eq!(letter.attachments[0].bytes, nested.as_bytes());
    // Parts whose end is nowhere.
    let endless = "--b\nContent-Type: multipart/mixed; boundary=c\n\n".repeat(50_000);
    let endless = format!("{head}Content-Type: multipart/mixed; boundary=b\n\n{endless}--b\n\napprove\n");
    assert_eq!(read(endless.as_bytes()).author(), Some("a@b.example"));
}

proptest! {
    #[test]
    fn any_bytes_are_read(raw in proptest::collection::vec(any::<u8>(), 0..3000)) {
        drop(read(&raw));
    }

    #[test]
    fn broken_mails_are_read_with_work_that_grows_with_their_size_only(
        (raw, harms) in mutate::mails("ann@example.org", "baton@works.example".to_owned())
    ) {
        reply::steps_taken();
        let letter = read(&raw);
        let steps = reply::steps_taken();
        prop_assert!(steps <= 40 * raw.len() + 4_000, "{} steps for {} bytes: {:?}", steps, raw.len(), harms);
        // What is handed on is no more than what came, but for letters of other charsets.
        let files: usize = letter.attachments.iter().map(|file| file.bytes.len()).sum();
        prop_assert!(files <= 4 * raw.len() && letter.text.len() <= 4 * raw.len() + 100, "{:?}", harms);
        prop_assert!(letter.reply.text().len() <= letter.text.len() + 1, "{:?}", harms);
        for (name, value) in &letter.headers {
            prop_assert!(!name.contains('\n') && !value.contains(['\n', '\r']));
        }
        // Who is believed to have written it wrote the one line that says so.
        if letter.author().is_some() {
            prop_assert!(mutate::lines_named(&raw, "From") <= 1, "{:?}", harms);
        }
    }

    #[test]
    fn broken_parts_are_read(pieces in proptest::collection::vec(proptest::sample::select(vec![
        "From: ann@example.org\n", "Content-Type: multipart/mixed; boundary=b\n", "Content-Type: message/rfc822\n",
        "Content-Transfer-Encoding: base64\n", "Content-Transfer-Encoding: quoted-printable\n", "\n", "--b\n", "--b--\n", "--", "b",
        "=?utf-8?q?", "?=", "=", "YQ==", "\r\n", "\0", "Subject: x\n", " folded\n", ":", "<", ">", "@", "Content-Type: text/html\n", "<p>",
    ]), 0..40)) {
        let letter = read(pieces.concat().as_bytes());
        for (name, value) in &letter.headers {
            prop_assert!(!name.contains('\n') && !value.contains(['\n', '\r']));
        }
        prop_assert!(!letter.subject.contains(['\n', '\r']));
    }
}
