//! Takes the sting out of a mail before a parser that is not ours reads it.
//!
//! Messages in messages make it go as deep as their sender likes, and copy the whole mail at every step; parts in parts that
//! never end make it search the whole mail for each of them. So no message in a message is gone into (it is a file), and only
//! so many parts have parts. What is taken out is one letter of a type, so that every place stays where it is.

use std::borrow::Cow;

use mail_parser::{ContentType, HeaderName, HeaderValue, MessagePart, parsers::MessageStream};

/// The most parts that have parts.
const BRANCHES: usize = 100;
/// How much is read to find types, in bytes, beside twice the mail: who needs more wants to keep us busy.
const READ: usize = 4 << 20;
/// The name of the header.
const NAME: &[u8] = b"content-type";

/// The mail as it may be parsed, as long as it was; `None` if its types are so tangled that it takes too long.
pub(in crate::mail) fn tame(raw: &[u8]) -> Option<Cow<'_, [u8]>> {
    let mut tamed = Cow::Borrowed(raw);
    let mut left = raw.len().saturating_mul(2).saturating_add(READ);
    let (mut branches, mut at) = (0, 0);
    while let Some(colon) = raw.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == b':')) {
        let value = at + colon + 1;
        at = value;
        if !is_type(raw.get(..value - 1).unwrap_or_default()) {
            continue;
        }
        let mut is_first = true;
        loop {
            let rest = tamed.get(value..).unwrap_or_default();
            let (kind, read) = kind(rest);
            left = left.checked_sub(read)?;
            let Some(kind) = kind else { break };
            branches += usize::from(is_first && kind.ctype() == "multipart");
            is_first = false;
            let Some(word) = sting(&kind, branches > BRANCHES) else { break };
            let Some(found) = find(rest, word) else { break };
            if let Some(letter) = tamed.to_mut().get_mut(value + found) {
                *letter = b'x';
            }
        }
    }
    Some(tamed)
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
    for byte in before.iter().rev() {
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

/// The type in the value of a header, and how much of it was read.
fn kind(value: &[u8]) -> (Option<ContentType<'_>>, usize) {
    let mut stream = MessageStream::new(value);
    match stream.parse_content_type() {
        HeaderValue::ContentType(kind) => (Some(kind), stream.offset()),
        _ => (None, stream.offset()),
    }
}

fn find(text: &[u8], word: &[u8]) -> Option<usize> {
    text.windows(word.len()).position(|window| window.eq_ignore_ascii_case(word))
}

/// The type of a part as its sender wrote it, in small letters (`text/plain`; empty if there is none), and the name in it.
pub(in crate::mail) fn written(raw: &[u8], part: &MessagePart<'_>) -> (String, Option<String>) {
    let header = part.headers.iter().find(|header| header.name == HeaderName::ContentType);
    let kind = header.and_then(|header| kind(raw.get(header.offset_start as usize..)?).0);
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
        let far = format!("Content-Type{}: message/rfc822", " ".repeat(5_000));
        for header in [
            far.as_str(),
            "Content-Type: message/rfc822",
            "content-TYPE:MESSAGE/RFC822; name=message.eml",
            "Content-Type : Message/Global",
            "C o n tent-Ty pe: message/rfc822",
            "--bContent-Type: message/rfc822",
            "Content-Type:\r\n message/rfc822",
            "Content-Type: (message) message/rfc822",
            "Content-Type: message /rfc822",
        ] {
            // A header ends with its line.
            let header = format!("{header}\n");
            let tamed = tame(header.as_bytes()).unwrap();
            let at = header.find(':').unwrap() + 1;
            assert!(kind(&tamed[at..]).0.is_none_or(|kind| sting(&kind, false).is_none()), "{header}");
            assert_eq!(tamed.len(), header.len());
        }
        for header in
            ["Content-Type: text/plain; name=message", "X-Content-Type-Y: message/rfc822", "Subject: message/rfc822"]
        {
            assert!(matches!(tame(header.as_bytes()), Some(Cow::Borrowed(_))), "{header}");
        }
        let digest = tame(b"Content-Type: multipart/digest; boundary=digest\n").unwrap();
        assert_eq!(digest.as_ref(), b"Content-Type: multipart/xigest; boundary=digest\n");
    }

    #[test]
    fn only_so_many_parts_have_parts() {
        let many = "Content-Type: multipart/mixed; boundary=multipart\n\n".repeat(BRANCHES + 5);
        let tamed = String::from_utf8(tame(many.as_bytes()).unwrap().into_owned()).unwrap();
        assert_eq!(tamed.matches(": multipart/mixed; boundary=multipart").count(), BRANCHES);
        assert_eq!(tamed.matches(": xultipart/mixed; boundary=").count(), 5);
    }

    #[test]
    fn who_wants_to_keep_us_busy_is_given_up() {
        let folded = format!("X: y\n{}", " Content-Type: (\n".repeat(50_000));
        assert_eq!(tame(folded.as_bytes()), None);
        let comments = format!("Content-Type: {} message/rfc822\n", "(message)".repeat(20_000));
        assert_eq!(tame(comments.as_bytes()), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_tamed(raw in proptest::collection::vec(any::<u8>(), 0..500), pieces in proptest::collection::vec(
            proptest::sample::select(vec!["Content-Type:", "message", "/rfc822", "multipart", "/digest", "(", ")", "\"", ";", "\n", " ", "\\"]), 0..20)) {
            for raw in [raw, pieces.concat().into_bytes()] {
                let tamed = tame(&raw).unwrap();
                prop_assert_eq!(tamed.len(), raw.len());
                let again = tame(&tamed).unwrap();
                prop_assert_eq!(again.as_ref(), tamed.as_ref());
            }
        }
    }
}
