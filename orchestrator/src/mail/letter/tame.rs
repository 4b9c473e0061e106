//! Takes the sting out of a mail before a parser that is not ours reads it.
//!
//! Messages in messages make it go as deep as their sender likes, and copy the whole mail at every step; parts in parts that
//! never end make it search the whole mail for each of them. So no message in a message is gone into (it is a file), and only
//! so many parts have parts. What is taken out is one letter of a type, so that every place stays where it is.

use std::borrow::Cow;

use mail_parser::{ContentType, HeaderName, HeaderValue, MessagePart, parsers::MessageStream};

/// The most parts that have parts.
const BRANCHES: usize = 100;
/// The name of the header, and the most of a line that is looked through backwards for it, in bytes.
const NAME: &[u8] = b"content-type";
const BACK: usize = 200;

/// The mail as it may be parsed: as long as it was.
pub(in crate::mail) fn tame(raw: &[u8]) -> Cow<'_, [u8]> {
    let mut tamed = Cow::Borrowed(raw);
    let mut branches = 0;
    let mut at = 0;
    while let Some(colon) = raw.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == b':')) {
        let value = at + colon + 1;
        at = value;
        if is_type(&raw[..value - 1]) {
            branches += usize::from(kind(&raw[value..]).is_some_and(|kind| kind.ctype() == "multipart"));
            while let Some(word) = kind(&tamed[value..]).and_then(|kind| sting(&kind, branches > BRANCHES)) {
                let Some(found) = find(&tamed[value..], word) else { break };
                tamed.to_mut()[value + found] = b'x';
            }
        }
    }
    tamed
}

/// The word of a type that must not be read.
fn sting(kind: &ContentType<'_>, is_too_much: bool) -> Option<&'static [u8]> {
    match (kind.ctype(), kind.subtype()) {
        ("message", Some("rfc822" | "global")) => Some(b"message"),
        ("multipart", Some("digest")) => Some(b"digest"),
        ("multipart", _) if is_too_much => Some(b"multipart"),
        _ => None,
    }
}

/// Whether a line ends with the name of the header. The parser leaves out blanks, wherever they are.
fn is_type(before: &[u8]) -> bool {
    let mut name = NAME.iter().rev().peekable();
    for byte in before.iter().rev().take(BACK) {
        if *byte == b'\n' {
            return false;
        }
        if byte.is_ascii_whitespace() {
            continue;
        }
        match name.next() {
            Some(wanted) if byte.eq_ignore_ascii_case(wanted) => {}
            _ => return false,
        }
        if name.peek().is_none() {
            return true;
        }
    }
    false
}

fn kind(value: &[u8]) -> Option<ContentType<'_>> {
    match MessageStream::new(value).parse_content_type() {
        HeaderValue::ContentType(kind) => Some(kind),
        _ => None,
    }
}

fn find(text: &[u8], word: &[u8]) -> Option<usize> {
    text.windows(word.len()).position(|window| window.eq_ignore_ascii_case(word))
}

/// The type of a part as its sender wrote it, in small letters (`text/plain`; empty if there is none), and the name in it.
pub(in crate::mail) fn written(raw: &[u8], part: &MessagePart<'_>) -> (String, Option<String>) {
    let header = part.headers.iter().find(|header| header.name == HeaderName::ContentType);
    let kind = header.and_then(|header| kind(raw.get(header.offset_start as usize..)?));
    let Some(kind) = kind else { return (String::new(), None) };
    let main = kind.ctype().to_lowercase();
    let whole = kind.subtype().map_or_else(|| main.clone(), |sub| format!("{main}/{}", sub.to_lowercase()));
    (whole, kind.attribute("name").map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn messages_in_messages_are_not_gone_into() {
        for header in [
            "Content-Type: message/rfc822",
            "content-TYPE:MESSAGE/RFC822; name=message.eml",
            "Content-Type : Message/Global",
            "C o n tent-Ty pe: message/rfc822",
            "--bContent-Type: message/rfc822",
            "Content-Type:\r\n message/rfc822",
            "Content-Type: (message) message/rfc822",
            "Content-Type: message /rfc822",
        ] {
            let tamed = tame(header.as_bytes());
            let at = header.find(':').unwrap() + 1;
            assert!(kind(&tamed[at..]).is_none_or(|kind| kind.ctype() != "message"), "{header}");
            assert_eq!(tamed.len(), header.len());
        }
        for header in
            ["Content-Type: text/plain; name=message", "X-Content-Type-Y: message/rfc822", "Subject: message/rfc822"]
        {
            assert!(matches!(tame(header.as_bytes()), Cow::Borrowed(_)), "{header}");
        }
        let digest = tame(b"Content-Type: multipart/digest; boundary=digest");
        assert_eq!(digest.as_ref(), b"Content-Type: multipart/xigest; boundary=digest");
    }

    #[test]
    fn only_so_many_parts_have_parts() {
        let many = "Content-Type: multipart/mixed; boundary=multipart\n\n".repeat(BRANCHES + 5);
        let tamed = String::from_utf8(tame(many.as_bytes()).into_owned()).unwrap();
        assert_eq!(tamed.matches(": multipart/mixed; boundary=multipart").count(), BRANCHES);
        assert_eq!(tamed.matches(": xultipart/mixed; boundary=").count(), 5);
    }

    proptest! {
        #[test]
        fn any_bytes_are_tamed(raw in proptest::collection::vec(any::<u8>(), 0..500), pieces in proptest::collection::vec(
            proptest::sample::select(vec!["Content-Type:", "message", "/rfc822", "multipart", "/digest", "(", ")", "\"", ";", "\n", " ", "\\"]), 0..20)) {
            for raw in [raw, pieces.concat().into_bytes()] {
                let tamed = tame(&raw);
                prop_assert_eq!(tamed.len(), raw.len());
                let again = tame(&tamed);
                prop_assert_eq!(again.as_ref(), tamed.as_ref());
            }
        }
    }
}
