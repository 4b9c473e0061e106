//! The lines that PGP puts around a signed text (RFC 9580, 7): nobody wrote them.

use super::Kind;
use super::line::Line;
use std::borrow::Cow;

/// The most lines of headers above a signed text.
const HEADERS: usize = 6;
/// The most lines of a signature.
const SIGNATURE: usize = 80;
const SIGNED: &str = "-----begin pgp signed message-----";
const BEGIN: &str = "-----begin pgp signature-----";
const END: &str = "-----end pgp signature-----";

/// Takes the armor out of the person's words.
pub(super) fn take_off(lines: &[Line<'_>], kinds: &mut [Kind]) {
    let mut at = 0;
    while at < lines.len() {
        let end = if kinds[at] == Kind::New { armor(lines, at) } else { None };
        let Some(end) = end else {
            at += 1;
            continue;
        };
        kinds[at..end].fill(Kind::Footer);
        at = end;
    }
}

/// Where the armor ends that begins with a line.
fn armor(lines: &[Line<'_>], from: usize) -> Option<usize> {
    match lines[from].folded.as_str() {
        SIGNED => {
            let headers = lines[from + 1..].iter().take(HEADERS).take_while(|line| line.folded.contains(": ")).count();
            Some(from + 1 + headers)
        }
        BEGIN => {
            let length = lines[from..].iter().take(SIGNATURE).position(|line| line.folded == END)?;
            Some(from + length + 1)
        }
        _ => None,
    }
}

/// A text without signatures of PGP: their letters mean nothing.
pub(super) fn without(text: &str) -> Cow<'_, str> {
    let line = |line: &str| line.trim().to_ascii_lowercase();
    if !text.lines().any(|text| line(text) == BEGIN) {
        return Cow::Borrowed(text);
    }
    let mut inside = false;
    let mut kept = String::with_capacity(text.len());
    for text in text.lines() {
        inside |= line(text) == BEGIN;
        if !inside {
            kept.push_str(text);
            kept.push('\n');
        }
        inside &= line(text) != END;
    }
    Cow::Owned(kept)
}
