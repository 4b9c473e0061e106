//! What looks like a secret never leaves in a message. Agents print what they find; this catches what has a known shape.
//! It is a net, not a wall: the wall is that guests have no keys.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// What stands where a secret was.
pub const WITHHELD: &str = "[withheld]";

/// Known secrets that are shorter (in bytes, without blanks around them) would take holes into ordinary words: they stay.
pub const SHORTEST: usize = 6;
/// How keys begin, and the fewest characters that must follow (of letters, digits, `_` and `-`, with a digit among them).
const SHAPES: [(&str, usize); 28] = [
    ("sk-ant-", 16),
    ("sk-proj-", 16),
    ("sk-", 16),
    ("sk_live_", 16),
    ("sk_test_", 16),
    ("rk_live_", 16),
    ("pk_live_", 16),
    ("whsec_", 16),
    ("xoxa-", 10),
    ("xoxb-", 10),
    ("xoxc-", 10),
    ("xoxd-", 10),
    ("xoxe-", 10),
    ("xoxe.", 10),
    ("xoxo-", 10),
    ("xoxp-", 10),
    ("xoxr-", 10),
    ("xoxs-", 10),
    ("xapp-", 10),
    ("AKIA", 16),
    ("ASIA", 16),
    ("AIza", 30),
    ("gh", 22),
    ("github_pat_", 20),
    ("glpat-", 18),
    ("npm_", 30),
    ("pypi-", 30),
    ("hf_", 24),
];
/// Beginnings that ordinary words end with (`task-`): these count only where no letter or digit stands before them.
const SHORT: [&str; 5] = ["sk-", "gh", "hf_", "npm_", "pypi-"];
/// The fewest characters of each of the first two parts of a JSON Web Token.
const TOKEN_PART: usize = 10;
/// The fewest characters after `Bearer `.
const BEARER: usize = 16;
const PEM_BEGIN: &str = "-----BEGIN ";
const PEM_END: &str = "-----END ";
const PEM_MARK: &str = "-----";
/// The longest first line of a PEM block that is looked at.
const PEM_LINE: usize = 80;

/// The text with every part that looks like a key, a token, a password in an address or a private key withheld.
#[must_use]
pub fn redact(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = ' ';
    while let Some(c) = rest.chars().next() {
        let found = secret(rest, before.is_ascii_alphanumeric()).or_else(|| password(rest));
        match found {
            Some((keep, length)) if length > keep => {
                kept.push_str(rest.get(..keep).unwrap_or_default());
                kept.push_str(WITHHELD);
                rest = rest.get(length..).unwrap_or_default();
                before = ']';
            }
            _ => {
                kept.push(c);
                rest = rest.get(c.len_utf8()..).unwrap_or_default();
                before = c;
            }
        }
    }
    kept
}

/// The same value with every one of the known secrets taken out of its texts, before anything of it is cut or escaped.
/// A value that cannot be read back afterwards is refused: it is not shown rather than shown as it was.
///
/// # Errors
/// The value does not survive the way through JSON.
pub fn hide<T: Serialize + DeserializeOwned>(value: &T, known: &[String]) -> Result<T, serde_json::Error> {
    let mut json = serde_json::to_value(value)?;
    let known = longest_first(known);
    if !known.is_empty() {
        hide_in(&mut json, &known);
    }
    serde_json::from_value(json)
}

fn hide_in(value: &mut Value, known: &[&str]) {
    match value {
        Value::String(text) => {
            for secret in known {
                if text.contains(secret) {
                    *text = text.replace(secret, WITHHELD);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| hide_in(item, known)),
        Value::Object(fields) => fields.values_mut().for_each(|field| hide_in(field, known)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A text with every one of the known secrets taken out of it. The longest go first: one that is a part of another leaves
/// no rest of it.
#[must_use]
pub fn without(text: &str, known: &[String]) -> String {
    longest_first(known).into_iter().fold(text.to_owned(), |text, secret| text.replace(secret, WITHHELD))
}

/// The same for values that are known not to be ordinary words: short ones are taken out, too, where no letter or digit
/// stands beside them.
#[must_use]
pub fn without_values(text: &str, known: &[String]) -> String {
    let short = known.iter().map(|value| value.trim()).filter(|value| (1..SHORTEST).contains(&value.len()));
    short.fold(without(text, known), |text, value| without_word(&text, value))
}

/// Without the blanks and line ends around them, which are not printed with them.
fn longest_first(known: &[String]) -> Vec<&str> {
    let mut known: Vec<&str> =
        known.iter().map(|secret| secret.trim()).filter(|secret| secret.len() >= SHORTEST).collect();
    known.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    known
}

fn without_word(text: &str, word: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(word) {
        let (before, found) = rest.split_at(at);
        let after = found.get(word.len()..).unwrap_or_default();
        kept.push_str(before);
        let is_part = kept.ends_with(char::is_alphanumeric) || after.starts_with(char::is_alphanumeric);
        kept.push_str(if is_part { word } else { WITHHELD });
        rest = after;
    }
    kept + rest
}

/// How many bytes from here to keep, and up to where they are a secret.
fn secret(text: &str, inside: bool) -> Option<(usize, usize)> {
    match text.as_bytes().first()? {
        b'-' => pem(text),
        b'e' => token(text),
        b'B' | b'b' => bearer(text),
        _ => None,
    }
    .or_else(|| key(text, inside))
}

fn key(text: &str, inside: bool) -> Option<(usize, usize)> {
    // How all of them begin: most letters are none of these.
    if !matches!(text.as_bytes().first()?, b's' | b'r' | b'p' | b'w' | b'x' | b'A' | b'g' | b'n' | b'h') {
        return None;
    }
    let (prefix, least) = SHAPES.iter().find(|(prefix, _)| text.starts_with(prefix))?;
    if inside && SHORT.contains(prefix) {
        return None;
    }
    let after = text.get(prefix.len()..)?;
    if *prefix == "gh" && !(after.starts_with(['p', 'o', 'u', 's', 'r']) && after.get(1..2) == Some("_")) {
        return None;
    }
    let tail = run(after, |c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    let digits = after.get(..tail)?.bytes().any(|byte| byte.is_ascii_digit());
    (tail >= *least && digits).then_some((0, prefix.len() + tail))
}

fn token(text: &str) -> Option<(usize, usize)> {
    let part = |text: &str| run(text, |c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '='));
    if !text.starts_with("eyJ") {
        return None;
    }
    let head = part(text);
    let body = text.get(head..)?.strip_prefix('.')?;
    let second = part(body);
    if head < TOKEN_PART || second < TOKEN_PART {
        return None;
    }
    let signature = body.get(second..)?.strip_prefix('.').map_or(0, |rest| 1 + part(rest));
    Some((0, head + 1 + second + signature))
}

fn bearer(text: &str) -> Option<(usize, usize)> {
    const WORD: &str = "bearer ";
    let word = text.get(..WORD.len())?;
    let tail = run(text.get(WORD.len()..)?, |c| c.is_ascii_alphanumeric() || "-._~+/=".contains(c));
    (word.eq_ignore_ascii_case(WORD) && tail >= BEARER).then_some((WORD.len(), WORD.len() + tail))
}

/// A private key, to the end of its block, or of the text if that was cut before.
fn pem(text: &str) -> Option<(usize, usize)> {
    let after = text.strip_prefix(PEM_BEGIN)?;
    let label = after.find(PEM_MARK).filter(|at| *at <= PEM_LINE)?;
    if !after.get(..label)?.contains("PRIVATE KEY") {
        return None;
    }
    let end = text.find(PEM_END).and_then(|at| {
        let from = at + PEM_END.len();
        text.get(from..)?.find(PEM_MARK).map(|mark| from + mark + PEM_MARK.len())
    });
    Some((0, end.unwrap_or(text.len())))
}

/// The password of `scheme://name:password@host`.
fn password(text: &str) -> Option<(usize, usize)> {
    const AFTER: &str = "://";
    let rest = text.strip_prefix(AFTER)?;
    let authority = run(rest, |c| !c.is_whitespace() && !"/?#\"'`".contains(c));
    let at = rest.get(..authority)?.rfind('@')?;
    let colon = rest.get(..at)?.find(':')?;
    (colon + 1 < at).then_some((AFTER.len() + colon + 1, AFTER.len() + at))
}

fn run(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|c| !belongs(c)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_key_is_withheld() {
        let secrets = [
            concat!("sk-ant-", "api03-abcdefghijkl0123"),
            "sk-proj-0123456789abcdef",
            "xoxb-2345678901-abcdefGHIJ",
            "xapp-1-A0123-4567-abcdef",
            "AKIAIOSFODNN7EXAMPLE",
            "ghp_0123456789abcdefghijABCDEFGHIJ",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.SflKxwRJSMeKKF2QT4",
            "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc=\n-----END RSA PRIVATE KEY-----",
            "-----BEGIN OPENSSH PRIVATE KEY-----\ncut off here",
        ];
        for secret in secrets {
            for (before, after) in [("", ""), ("key=", ""), ("ñ(\"", "")] {
                let text = redact(&format!("{before}{secret}{after}"));
                assert_eq!(text, format!("{before}{WITHHELD}{after}"), "{secret}");
            }
        }
        assert_eq!(redact(concat!("\\nsk-", "ant-api03-abcdefghijkl0123")), "\\n[withheld]");
        assert_eq!(redact("https://ann:hunter2@host/x"), "https://ann:[withheld]@host/x");
        assert_eq!(redact("Authorization: Bearer abcdefghij.klmnop=="), "Authorization: Bearer [withheld]");
        assert_eq!(redact("a sk-0123456789abcdef0 b xoxp-0123456789a"), "a [withheld] b [withheld]");
    }

    #[test]
    fn known_secrets_leave_no_rest() {
        let known = ["hunter2", " hunter2-long\n", "in-1", "", "\n"].map(str::to_owned);
        assert_eq!(without("hunter2-long hunter2 in-1", &known), "[withheld] [withheld] in-1");
        assert_eq!(hide(&"a hunter2-long".to_owned(), &known).unwrap(), "a [withheld]");
        assert_eq!(without_values("in-1 pin=in-1, begin-1 in-12", &known), "[withheld] pin=[withheld], begin-1 in-12");
    }

    #[test]
    fn ordinary_words_stay() {
        let words = "task-2026-11-22-nightly-build1 task-based risk-aware sk-learn AKIA ghost ghp_ eyJ.x bearer of news, http://a:80/ x@y.z -----BEGIN \
                     CERTIFICATE----- ünïcödé sk-";
        assert_eq!(redact(words), words);
    }
}
