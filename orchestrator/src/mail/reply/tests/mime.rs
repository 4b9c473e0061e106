//! Raw mails.

use crate::mail::reply::{Deciding, Kind, parse};

#[test]
fn flowed_text_is_unwrapped() {
    let reply = parse(include_bytes!("fixtures/flowed.eml"));
    assert!(reply.text().ends_with("because it is longer than a line, and it goes on."), "{}", reply.text());
    assert_eq!(reply.decision(), Deciding::Approve);
    assert_eq!(reply.of(Kind::Quoted).count(), 1);
}

#[test]
fn other_character_sets_are_read() {
    let reply = parse(include_bytes!("fixtures/latin.eml"));
    assert_eq!(reply.text(), "Schön, genehmigt.");
    assert_eq!(reply.of(Kind::Signature).collect::<Vec<_>>(), ["Grüße\nAnna"]);
    assert!(matches!(reply.decision(), Deciding::Ambiguous(_)));
}

#[test]
fn html_counts_where_the_text_is_empty() {
    let reply = parse(include_bytes!("fixtures/html_only.eml"));
    assert_eq!(reply.decision(), Deciding::Reject("wrong branch".to_owned()));
}

#[test]
fn parts_are_read_one_after_the_other() {
    let reply = parse(include_bytes!("fixtures/list.eml"));
    assert_eq!(reply.text(), "changes: see file");
    assert_eq!(reply.of(Kind::Footer).count(), 1);
}

#[test]
fn a_subject_decides_nothing() {
    let raw = b"From: a@works.example\r\nSubject: approve\r\n\r\nPlease show me the diff.\r\n";
    assert_eq!(parse(raw).decision(), Deciding::None);
}

#[test]
fn what_is_no_mail_is_read_as_far_as_it_goes() {
    for raw in [
        &b""[..],
        b"\xff\xfe\x00",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n--x\r\n--x--",
        b"Content-Type: text/html; charset=nonsense\r\n\r\n<p>\xff\xc3",
    ] {
        let _ = parse(raw);
    }
}

#[test]
fn broken_quoted_printable_is_read_as_far_as_it_goes() {
    let raw = b"From: a@works.example\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
        Gr=C3=BCn =\r\nund blau, a =gleich b.\r\n\r\nOn Tue, Mar 3, 2026 at 9:12 AM Baton <b@works.example> wrote:\r\n>=20\r\n> What =\r\ncolour?\r\n";
    assert_eq!(parse(raw).text(), "Grün und blau, a =gleich b.");
}

#[test]
fn blank_lines_above_the_headers_do_not_hide_them() {
    let reply = parse(b" \r\n\nFrom: a@works.example\r\nContent-Type: text/plain\r\n\r\napprove\r\n");
    assert_eq!(reply.decision(), Deciding::Approve);
}
