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

/// A mail with a text and a markup part.
fn two_parts(text: &str, markup: &str) -> Vec<u8> {
    format!(
        "From: tom@works.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=x\r\n\r\n\
         --x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n--x\r\n\
         Content-Type: text/html; charset=utf-8\r\n\r\n{markup}\r\n--x--\r\n"
    )
    .into_bytes()
}

const ASKED: &str = "Shall I begin with the second step, or is there anything that you would like to change";

#[test]
fn the_markup_knows_which_lines_of_a_torn_text_are_quoted() {
    let heading = "On Tue, Mar 3, 2026 at 9:12 AM Baton &lt;b@works.example&gt; wrote:";
    let markup = |own: &str| {
        format!(
            "<div>I read it.</div><div class=\"gmail_quote\"><div class=\"gmail_attr\">{heading}</div>\
             <blockquote class=\"gmail_quote\">{ASKED} before?</blockquote><div>{own}</div></div>"
        )
    };
    let text = |below: &str| {
        format!("I read it.\n\nOn Tue, Mar 3, 2026 at 9:12 AM Baton <b@works.example> wrote:\n\n{below}\n")
            .replace('\n', "\r\n")
    };
    // A quoted line that was wrapped without a mark.
    let own = "Please begin with the second step at once.";
    let wrapped = two_parts(&text(&format!("> {ASKED}\nbefore?\n\n{own}")), &markup(own));
    assert_eq!(parse(&wrapped).text(), format!("I read it.\n\n{own}"));
    // An answer whose first line got a mark.
    let own = "I would like to see the names that it has found on the way to this place, and which of them it keeps.";
    let marked = own.replace("and which", "and\nwhich");
    let marked = two_parts(&text(&format!("> {ASKED} before?\n>\n> {marked}")), &markup(own));
    assert_eq!(parse(&marked).text(), format!("I read it.\n\n{own}"));
    // Where the markup does not have all the words, the text counts.
    let lost = two_parts(&text(&format!("> {ASKED}\nbefore?\n\nreject: it is late")), &markup("Yes."));
    assert_eq!(parse(&lost).text(), "I read it.\n\nbefore?\n\nreject: it is late");
}
