//! Every mail is read back as it was meant, whatever it says.

use mail_parser::{MessageParser, MimeHeaders};
use proptest::prelude::*;

use super::{
    super::view::{
        self,
        tests::{all_saying, frame, stories},
    },
    *,
};
use crate::words::samples::NOW;

fn heads() -> Heads {
    Heads {
        from: ("Baton".to_owned(), "baton@example.org".to_owned()),
        to: "ann@example.org".to_owned(),
        reply_to: Some(format!("baton+{}@example.org", "a".repeat(40))),
        message_id: "0193abcd000070008000000000000001@baton.example.org".to_owned(),
        in_reply_to: Some("first@mail.example".to_owned()),
        references: vec!["first@mail.example".to_owned(), "second@baton.example.org".to_owned()],
        auto: Auto::Replied,
        list_unsubscribe: Some((
            "baton+quiet@example.org?subject=quiet".to_owned(),
            Some("https://baton.example.org/q/abc".to_owned()),
        )),
        date: NOW,
    }
}

/// The names of the headers above the first empty line, in order.
fn names(raw: &[u8]) -> Vec<String> {
    let text = String::from_utf8(raw.to_vec()).unwrap();
    let (head, _) = text.split_once("\r\n\r\n").unwrap();
    head.split("\r\n")
        .filter(|line| !line.starts_with([' ', '\t']))
        .map(|line| line.split_once(':').unwrap_or_else(|| panic!("no header: {line:?}")).0.to_owned())
        .collect()
}

/// It is read back as it was meant.
fn back(content: &Content, heads: &Heads) {
    let raw = build(content, heads);
    assert!(raw.is_ascii());
    for line in raw.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        assert!(line.len() <= 998, "{}", line.len());
        assert!(line.ends_with(b"\r"), "{:?}", String::from_utf8_lossy(line));
        assert!(!line[..line.len() - 1].contains(&b'\r'), "{:?}", String::from_utf8_lossy(line));
    }
    let allowed = [
        "Date",
        "From",
        "To",
        "Reply-To",
        "Subject",
        "Message-ID",
        "In-Reply-To",
        "References",
        "Auto-Submitted",
        "X-Auto-Response-Suppress",
        "List-Unsubscribe",
        "List-Unsubscribe-Post",
        "MIME-Version",
        "Content-Type",
    ];
    let found = names(&raw);
    for (at, name) in found.iter().enumerate() {
        assert!(allowed.contains(&name.as_str()), "{name}");
        assert!(!found[..at].contains(name), "{name} twice");
    }
    let mail = MessageParser::default().parse(&raw[..]).expect("a mail");
    let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let subject = one_line(&content.subject, SUBJECT);
    assert_eq!(squeezed(mail.subject().unwrap_or_default()), subject);
    let lines = |text: &str| text.replace("\r\n", "\n").replace('\r', "\n").trim_end().to_owned();
    assert_eq!(lines(&mail.body_text(0).unwrap_or_default()), lines(&content.text));
    assert_eq!(lines(&mail.body_html(0).unwrap_or_default()), lines(&content.html));
    let files: Vec<(&str, &[u8])> =
        mail.attachments().map(|file| (file.attachment_name().unwrap_or_default(), file.contents())).collect();
    assert_eq!(files.len(), content.attachments.len());
    for ((name, bytes), (wanted, _, content)) in files.iter().zip(&content.attachments) {
        assert_eq!(*name, file_name(wanted));
        assert_eq!(bytes, &content.as_slice());
    }
}

#[test]
fn every_story_is_read_back() {
    for (_, story) in stories() {
        back(&view::render(&story, &frame()), &heads());
    }
}

#[test]
fn an_answer_above_any_of_our_mails_is_all_that_is_read() {
    for (name, story) in stories() {
        let content = view::render(&story, &frame());
        let marked = content.text.lines().map(|line| format!("> {line}\n")).collect::<String>();
        let bodies = [
            format!("approve\n\nOn Sun, 22 Nov 2026 at 21:05, Baton <baton@example.org> wrote:\n{marked}"),
            format!(
                "approve\n\n________________________________\nFrom: Baton <baton@example.org>\nSent: Sunday, November 22, \
                 2026 21:05\nTo: Ann <ann@example.org>\nSubject: {}\n\n{}",
                content.subject, content.text
            ),
        ];
        for body in bodies {
            let answer = Content { subject: "Re: x".to_owned(), text: body, ..Content::default() };
            let raw = build(&answer, &heads());
            let raw = String::from_utf8(raw).unwrap();
            let reply = crate::mail::reply::parse(raw.as_bytes());
            assert_eq!(reply.text().trim(), "approve", "{name}");
        }
    }
}

#[test]
fn headers_say_what_programs_need() {
    let content =
        Content {
            subject: "Grüße: ein langes Wort 👩‍👧".to_owned(), text: "x\n".to_owned(), ..Content::default()
        };
    let raw = String::from_utf8(build(&content, &heads())).unwrap();
    let (head, _) = raw.split_once("\r\n\r\n").unwrap();
    insta::with_settings!({prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!("heads", head.replace("\r\n", "\n"));
    });
    assert_eq!(build(&content, &heads()), raw.into_bytes(), "the same to the byte");
    let plain = Heads {
        reply_to: None,
        in_reply_to: None,
        references: Vec::new(),
        list_unsubscribe: None,
        auto: Auto::Generated,
        ..heads()
    };
    let raw = build(&content, &plain);
    assert_eq!(
        names(&raw),
        [
            "Date",
            "From",
            "To",
            "Subject",
            "Message-ID",
            "Auto-Submitted",
            "X-Auto-Response-Suppress",
            "MIME-Version",
            "Content-Type"
        ]
    );
    assert!(String::from_utf8(raw).unwrap().contains("Auto-Submitted: auto-generated\r\n"));
}

#[test]
fn of_a_long_thread_the_first_and_the_last_are_named() {
    let references: Vec<String> = (0..500).map(|n| format!("{n}@mail.example")).collect();
    let raw = build(&Content::default(), &Heads { references, ..heads() });
    let mail = MessageParser::default().parse(&raw[..]).unwrap();
    let named = mail.references().as_text_list().unwrap().to_vec();
    assert_eq!((named.len(), named[0].as_ref(), named[19].as_ref()), (20, "0@mail.example", "499@mail.example"));
    assert_eq!(named[1].as_ref(), "481@mail.example");
}

#[test]
fn what_is_no_address_and_no_id_becomes_no_header() {
    let heads = Heads {
        from: ("a\r\nBcc: x@y.z".to_owned(), "baton@example.org\r\nBcc: x@y.z".to_owned()),
        to: "ann@example.org>,\r\n <x@y.z".to_owned(),
        reply_to: Some("x@y.z\r\nBcc: x@y.z".to_owned()),
        in_reply_to: Some("a b".to_owned()),
        references: vec!["a\r\nBcc: b".to_owned(), "é".to_owned(), "x".repeat(2_000), "sound@x.y".to_owned()],
        list_unsubscribe: Some(("x@y.z>\r\nBcc: b".to_owned(), Some("http://plain.example".to_owned()))),
        ..heads()
    };
    let raw = build(&Content::default(), &heads);
    assert_eq!(
        names(&raw),
        [
            "Date",
            "From",
            "To",
            "Subject",
            "Message-ID",
            "References",
            "Auto-Submitted",
            "X-Auto-Response-Suppress",
            "List-Unsubscribe",
            "MIME-Version",
            "Content-Type"
        ]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn whatever_is_said_is_read_back(
        subject in hostile(), name in hostile(), file in hostile(), text in hostile(), reference in hostile(),
        number in 0_usize..64,
    ) {
        let all = stories();
        let (_, story) = &all[number % all.len()];
        let mut content = view::render(&all_saying(story, &text), &frame());
        content.subject = subject;
        content.attachments.push((file, "application/x; a=\"b".to_owned(), text.into_bytes()));
        let heads = Heads {
            from: (name, "baton@example.org".to_owned()),
            references: vec![reference.clone(), "sound@x.y".to_owned()],
            in_reply_to: Some(reference),
            ..heads()
        };
        back(&content, &heads);
    }
}

fn hostile() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        prop_oneof![
            "\\PC{0,40}",
            any::<String>(),
            Just("\r\nBcc: everybody@example.org\r\n\r\n".to_owned()),
            Just("=?utf-8?q?x?= \"quoted\" <a@b.c>, (x); \\".to_owned()),
            Just("x".repeat(1_200)),
            Just("--baton-\n.\n\r..\0".to_owned()),
            Just("👩‍👩‍👧 Überraschung 書き込み".to_owned()),
        ],
        0..4,
    )
    .prop_map(|pieces| pieces.concat())
}
