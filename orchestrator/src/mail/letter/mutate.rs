//! Mails as programs write them, and everything that breaks them: for tests.

use std::fmt::Write as _;

use proptest::{prelude::*, sample::Index};

/// What happens to a mail.
#[derive(Clone, Debug)]
pub(crate) enum Harm {
    /// It ends in the middle.
    Cut(Index),
    /// A boundary is called otherwise where it is declared.
    OtherBoundary,
    /// The last boundary is not there.
    Unclosed,
    /// It lies in parts of parts.
    Nested(usize),
    /// Messages in messages.
    Enclosed(usize),
    /// A charset that is none, or another.
    Charset(&'static str),
    /// It says to be encoded so.
    Encoding(&'static str),
    /// Bytes above 127, or zeros, in its header.
    InHeader(&'static [u8]),
    /// The ends of its lines are these.
    Lines(&'static str),
    /// A header of so many KiB.
    Huge(usize),
    /// So many headers.
    Many(usize),
    /// A header a second time, with another value, on top or at the end of the header.
    Twice(&'static str, &'static str, bool),
    /// This instead of a header's value.
    Value(&'static str, &'static str),
    /// A header goes on in the next line, where it should not.
    Folded(&'static str),
    /// Some bytes are others.
    Flipped(Vec<(Index, u8)>),
    /// This is put in somewhere.
    Inserted(Index, &'static [u8]),
}

const HEAD: &str = "Message-ID: <m@example.org>\r\nDate: Mon, 23 Nov 2026 00:00:00 +0000\r\nSubject: Re: The plan\r\nMIME-Version: 1.0\r\n";
const WORDS: [&str; 7] = [
    "=?",
    "=?utf-8?q?=0d=0aFrom:_eve@evil.example?=",
    "=?utf-8?b?////?=",
    "=?no-such-charset?q?x?= =?utf-8?b?",
    "=?utf-8?x?y?=",
    "=?utf-8?q?=?= <eve@evil.example>",
    "\"=?utf-8?q?ann=40example.org?=\" <eve@evil.example>, (a (b (c",
];

/// A mail from one address to another, and how it was broken.
pub(crate) fn mails(from: &'static str, to: String) -> impl Strategy<Value = (Vec<u8>, Vec<Harm>)> {
    let whole = proptest::sample::select(shapes(from, &to));
    (whole, proptest::collection::vec(harm(), 0..4)).prop_map(|(whole, harms)| {
        let mut mail = whole.into_bytes();
        for harm in &harms {
            mail = harm.done_to(mail);
        }
        (mail, harms)
    })
}

/// As programs write them.
fn shapes(from: &str, to: &str) -> Vec<String> {
    let head = format!("From: Ann <{from}>\r\nTo: Baton <{to}>\r\n{HEAD}");
    let quoted = "approve\r\n\r\nOn Mon, 23 Nov 2026 at 10:00, Baton <baton@works.example> wrote:\r\n> May it?\r\n";
    let html =
        "<html><body><div>approve</div><div class=\"gmail_quote\"><blockquote>May it?</blockquote></div></body></html>";
    vec![
        format!("{head}Content-Type: text/plain; charset=utf-8\r\n\r\n{quoted}"),
        format!("{head}Content-Type: text/html; charset=utf-8\r\n\r\n{html}\r\n"),
        format!(
            "{head}Content-Type: multipart/alternative; boundary=\"b1\"\r\n\r\n--b1\r\nContent-Type: text/plain\r\n\r\n{quoted}\r\n--b1\r\n\
             Content-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n{}\r\n--b1--\r\n",
            html.replace('=', "=3D")
        ),
        format!(
            "{head}Content-Type: multipart/mixed; boundary=b1\r\n\r\npreamble\r\n--b1\r\nContent-Type: multipart/alternative; boundary=b2\r\n\r\n\
             --b2\r\nContent-Type: text/plain\r\n\r\nreject: no\r\n--b2\r\nContent-Type: text/html\r\n\r\n<p>reject: no</p>\r\n--b2--\r\n--b1\r\n\
             Content-Type: text/csv; name=\"data.csv\"\r\nContent-Disposition: attachment; filename*=utf-8''d%C3%A4ta.csv\r\n\
             Content-Transfer-Encoding: base64\r\n\r\nYSxiCg==\r\n--b1--\r\n"
        ),
        format!(
            "{head}Content-Type: multipart/mixed; boundary=b1\r\n\r\n--b1\r\nContent-Type: text/plain; charset=utf-16\r\n\
             Content-Transfer-Encoding: base64\r\n\r\n//5hAHAAcAByAG8AdgBlAA==\r\n--b1\r\nContent-Type: message/rfc822\r\n\r\n\
             From: eve@evil.example\r\nSubject: approve\r\n\r\napprove\r\n--b1--\r\n"
        ),
        format!(
            "{head}Content-Type: multipart/signed; boundary=b1; micalg=sha-256\r\n\r\n--b1\r\nContent-Type: text/plain; format=flowed; delsp=yes\r\n\r\n\
             changes: use \r\ntabs\r\n--b1\r\nContent-Type: application/pkcs7-signature; name=smime.p7s\r\n\
             Content-Transfer-Encoding: base64\r\n\r\nMIIB\r\n--b1--\r\n"
        ),
        format!(
            "{head}Content-Type: multipart/mixed; boundary=b1\r\n\r\n--b1\r\nContent-Type: text/calendar; method=REPLY\r\n\r\n\
             BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n--b1\r\nContent-Type: application/ms-tnef; name=winmail.dat\r\n\
             Content-Transfer-Encoding: base64\r\n\r\neJ8+IgAA\r\n--b1--\r\n"
        ),
        format!("{head}\r\nok\r\n-- \r\nAnn\r\n"),
        format!(
            "{head}Content-Type: text/plain\r\nContent-Transfer-Encoding: x-uuencode\r\n\r\nbegin 644 a\r\n#86)C\r\n`\r\nend\r\n"
        ),
    ]
}

fn harm() -> impl Strategy<Value = Harm> {
    let named = proptest::sample::select(vec![
        "From",
        "To",
        "Subject",
        "Message-ID",
        "Content-Type",
        "Date",
        "Cc",
        "In-Reply-To",
    ]);
    let values = proptest::sample::select(vec![
        "eve@evil.example",
        "",
        "ann@example.org, eve@evil.example",
        "<<>>@@",
        "team: ann@example.org;",
        "text/plain; boundary=b1; charset=\"",
        "multipart/mixed; boundary=\"\"",
        "message/rfc822",
    ]);
    let garbage = proptest::sample::select(WORDS.to_vec());
    prop_oneof![
        any::<Index>().prop_map(Harm::Cut),
        Just(Harm::OtherBoundary),
        Just(Harm::Unclosed),
        (1..=200_usize).prop_map(Harm::Nested),
        (1..=200_usize).prop_map(Harm::Enclosed),
        proptest::sample::select(vec!["utf-7", "utf-16", "no-such", "\"", "iso-2022-jp", "utf-8\0"])
            .prop_map(Harm::Charset),
        proptest::sample::select(vec!["base64", "quoted-printable", "x-uuencode", "8bit", "none at all"])
            .prop_map(Harm::Encoding),
        proptest::sample::select(vec![&b"\xff\xfe"[..], b"\0", b"\xc3\x28", b"\x1b$B", b"\r", b"\x80\x80\x80"])
            .prop_map(Harm::InHeader),
        proptest::sample::select(vec!["\r", "\n", "\r\r\n", "\n\r"]).prop_map(Harm::Lines),
        (1..=600_usize).prop_map(Harm::Huge),
        (1..=3_000_usize).prop_map(Harm::Many),
        (named.clone(), values.clone(), any::<bool>()).prop_map(|(name, value, top)| Harm::Twice(name, value, top)),
        (named.clone(), values).prop_map(|(name, value)| Harm::Value(name, value)),
        (named.clone(), garbage).prop_map(|(name, value)| Harm::Value(name, value)),
        named.prop_map(Harm::Folded),
        proptest::collection::vec((any::<Index>(), any::<u8>()), 1..8).prop_map(Harm::Flipped),
        (
            any::<Index>(),
            proptest::sample::select(vec![
                &b"\r\n\r\n"[..],
                b"--b1\r\n",
                b"--b1--",
                b"\0",
                b"From: eve@evil.example\r\n",
                b"=?",
                b"\r\n ",
                b"Content-Type: text/html\r\n\r\n",
            ])
        )
            .prop_map(|(at, bytes)| Harm::Inserted(at, bytes)),
    ]
}

impl Harm {
    fn done_to(&self, mail: Vec<u8>) -> Vec<u8> {
        match self {
            Self::Cut(at) if !mail.is_empty() => mail[..at.index(mail.len())].to_vec(),
            Self::Flipped(bytes) if !mail.is_empty() => {
                let mut mail = mail;
                for (at, byte) in bytes {
                    let at = at.index(mail.len());
                    mail[at] = *byte;
                }
                mail
            }
            Self::Inserted(at, bytes) => {
                let at = at.index(mail.len() + 1);
                [&mail[..at], bytes, &mail[at..]].concat()
            }
            Self::Cut(_) | Self::Flipped(_) => mail,
            Self::OtherBoundary => replaced(&mail, b"boundary=", b"boundary=x"),
            Self::Unclosed => replaced(&mail, b"--b1--", b""),
            Self::Charset(name) => replaced(&mail, b"text/plain", format!("text/plain; charset={name}").as_bytes()),
            Self::Encoding(name) => top(&mail, format!("Content-Transfer-Encoding: {name}\r\n").as_bytes()),
            Self::InHeader(bytes) => replaced(&mail, b"Subject: ", &[b"Subject: ", *bytes].concat()),
            Self::Lines(end) => String::from_utf8(mail)
                .map_or_else(|broken| broken.into_bytes(), |mail| mail.replace("\r\n", end).into_bytes()),
            Self::Huge(kib) => top(&mail, format!("X-Huge: {}\r\n", "y ".repeat(kib * 512)).as_bytes()),
            Self::Many(count) => top(&mail, "X-Many: y\r\n".repeat(*count).as_bytes()),
            Self::Twice(name, value, true) => top(&mail, format!("{name}: {value}\r\n").as_bytes()),
            Self::Twice(name, value, false) => {
                replaced(&mail, b"MIME-Version", format!("{name}: {value}\r\nMIME-Version").as_bytes())
            }
            Self::Value(name, value) => {
                let line = format!("{name}: ");
                let Some(at) = mail.windows(line.len()).position(|window| window == line.as_bytes()) else {
                    return top(&mail, format!("{line}{value}\r\n").as_bytes());
                };
                let end =
                    mail[at..].iter().position(|byte| matches!(byte, b'\r' | b'\n')).map_or(mail.len(), |end| at + end);
                [&mail[..at], line.as_bytes(), value.as_bytes(), &mail[end..]].concat()
            }
            Self::Folded(name) => {
                replaced(&mail, format!("{name}: ").as_bytes(), format!("{name}:\r\n \r\n\t").as_bytes())
            }
            Self::Nested(depth) => {
                let mut outer = String::new();
                for level in 0..*depth {
                    let _ = write!(outer, "Content-Type: multipart/mixed; boundary=n{level}\r\n\r\n--n{level}\r\n");
                }
                replaced(&mail, b"Content-Type: ", format!("{outer}Content-Type: ").as_bytes())
            }
            Self::Enclosed(depth) => {
                let outer = "Content-Type: message/rfc822\r\n\r\n".repeat(*depth);
                replaced(&mail, b"Content-Type: ", format!("{outer}Content-Type: ").as_bytes())
            }
        }
    }
}

fn top(mail: &[u8], line: &[u8]) -> Vec<u8> {
    [line, mail].concat()
}

/// With the first of these replaced.
fn replaced(mail: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    match mail.windows(from.len()).position(|window| window == from) {
        Some(at) => [&mail[..at], to, &mail[at + from.len()..]].concat(),
        None => mail.to_vec(),
    }
}

/// How many lines of a mail's header begin with this name, for somebody who only looks at lines.
pub(crate) fn lines_named(mail: &[u8], name: &str) -> usize {
    let text = String::from_utf8_lossy(mail);
    let end = if text.contains('\n') { '\n' } else { '\r' };
    let lines = text.split(end).map(|line| line.trim_end_matches('\r')).take_while(|line| !line.is_empty());
    let is_it =
        |line: &&str| line.split_once(':').is_some_and(|(known, _)| known.trim_end().eq_ignore_ascii_case(name));
    lines.filter(is_it).count()
}
