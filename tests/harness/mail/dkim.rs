//! Signs mails as a sender's server does (RFC 6376, RFC 8463). It is code of its own, so that what checks signatures in the
//! programs under test is not checked by itself; and every part of a signature can be chosen, the wrong ones, too.

use std::{
    process::{Command, Stdio},
    sync::{Arc, OnceLock},
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use ring::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair},
};
use sha2::{Digest as _, Sha256};

/// What a key signs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// `rsa-sha256`, with 2048 bits.
    Rsa,
    /// `ed25519-sha256`.
    Ed25519,
}

#[derive(Debug)]
enum Secret {
    Rsa(RsaKeyPair, Vec<u8>),
    Ed25519(Ed25519KeyPair),
}

/// A key that mails are signed with.
#[derive(Clone, Debug)]
pub struct Key(Arc<Secret>);

impl Key {
    /// A new key. (Keys of RSA are costly: all of one test program are the same one, but for [`Self::other_rsa`].)
    ///
    /// # Panics
    /// If there is no `openssl` to make one.
    #[must_use]
    pub fn new(algorithm: Algorithm) -> Self {
        static RSA: OnceLock<Key> = OnceLock::new();
        match algorithm {
            Algorithm::Rsa => RSA.get_or_init(Self::other_rsa).clone(),
            Algorithm::Ed25519 => {
                let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a key");
                let pair = Ed25519KeyPair::from_pkcs8(made.as_ref()).expect("a key");
                Self(Arc::new(Secret::Ed25519(pair)))
            }
        }
    }

    /// A key of RSA that nobody else has.
    ///
    /// # Panics
    /// If there is no `openssl` to make one.
    #[must_use]
    pub fn other_rsa() -> Self {
        let made =
            openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-outform", "DER"], b"");
        let public = openssl(&["pkey", "-inform", "DER", "-pubout", "-outform", "DER"], &made);
        let pair = RsaKeyPair::from_pkcs8(&made).or_else(|_| RsaKeyPair::from_der(&made)).expect("a key");
        Self(Arc::new(Secret::Rsa(pair, public)))
    }

    /// The TXT record that belongs to `<selector>._domainkey.<domain>`.
    #[must_use]
    pub fn record(&self) -> String {
        match &*self.0 {
            Secret::Rsa(_, public) => format!("v=DKIM1; k=rsa; p={}", BASE64.encode(public)),
            Secret::Ed25519(pair) => format!("v=DKIM1; k=ed25519; p={}", BASE64.encode(pair.public_key())),
        }
    }

    fn algorithm(&self) -> &'static str {
        match &*self.0 {
            Secret::Rsa(..) => "rsa-sha256",
            Secret::Ed25519(_) => "ed25519-sha256",
        }
    }

    fn sign(&self, text: &[u8]) -> String {
        match &*self.0 {
            Secret::Rsa(pair, _) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut signature).expect("sign");
                BASE64.encode(signature)
            }
            // RFC 8463, section 3: what is signed is the digest.
            Secret::Ed25519(pair) => BASE64.encode(pair.sign(&Sha256::digest(text))),
        }
    }
}

fn openssl(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("start openssl: run `cargo xtask setup`");
    child.stdin.take().expect("its input").write_all(input).expect("write to openssl");
    let output = child.wait_with_output().expect("openssl ends");
    assert!(output.status.success(), "openssl {} failed", arguments.join(" "));
    output.stdout
}

/// How one sender signs.
#[derive(Clone, Debug)]
pub struct Signer {
    key: Key,
    domain: String,
    selector: String,
    headers: Vec<String>,
    relaxed: (bool, bool),
    more: Vec<(&'static str, String)>,
    body_length: Option<usize>,
}

impl Signer {
    /// Signs for a domain with the usual headers, `relaxed/relaxed`, without an end.
    #[must_use]
    pub fn new(key: Key, domain: &str, selector: &str) -> Self {
        let usual = ["From", "To", "Cc", "Subject", "Date", "Message-ID", "In-Reply-To", "References"];
        let usual = usual.into_iter().chain(["MIME-Version", "Content-Type", "Reply-To"]).map(str::to_owned);
        Self {
            key,
            domain: domain.to_owned(),
            selector: selector.to_owned(),
            headers: usual.collect(),
            relaxed: (true, true),
            more: Vec::new(),
            body_length: None,
        }
    }

    /// Where the key's record belongs.
    #[must_use]
    pub fn record_name(&self) -> String {
        format!("{}._domainkey.{}", self.selector, self.domain)
    }

    /// What the key's record says.
    #[must_use]
    pub fn record(&self) -> String {
        self.key.record()
    }

    /// Signs exactly these headers (`h=`); a name twice says that there is no further one.
    #[must_use]
    pub fn headers(mut self, names: &[&str]) -> Self {
        self.headers = names.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    /// Whether headers and body may be changed a little on their way (`c=`).
    #[must_use]
    pub const fn relaxed(mut self, headers: bool, body: bool) -> Self {
        self.relaxed = (headers, body);
        self
    }

    /// Signs only so many bytes of the body (`l=`).
    #[must_use]
    pub const fn body_length(mut self, bytes: usize) -> Self {
        self.body_length = Some(bytes);
        self
    }

    /// Says when it was signed (`t=`), in seconds since 1970.
    #[must_use]
    pub fn at(mut self, seconds: i64) -> Self {
        self.more.push(("t", seconds.to_string()));
        self
    }

    /// Says when the signature is no longer good (`x=`), in seconds since 1970.
    #[must_use]
    pub fn until(mut self, seconds: i64) -> Self {
        self.more.push(("x", seconds.to_string()));
        self
    }

    /// Says for whom it was signed (`i=`).
    #[must_use]
    pub fn identity(mut self, identity: &str) -> Self {
        self.more.push(("i", identity.to_owned()));
        self
    }

    /// The mail with its signature on top, its lines ended by CRLF.
    #[must_use]
    pub fn sign(&self, mail: &[u8]) -> Vec<u8> {
        let mail = with_crlf(mail);
        let (head, body) = halves(&mail);
        let mut body = canonical_body(body, self.relaxed.1);
        let word = |is_relaxed: bool| if is_relaxed { "relaxed" } else { "simple" };
        let (algorithm, domain, selector) = (self.key.algorithm(), &self.domain, &self.selector);
        let mut tags = format!(
            "v=1; a={algorithm}; c={}/{}; d={domain}; s={selector};\r\n\t",
            word(self.relaxed.0),
            word(self.relaxed.1)
        );
        for (name, value) in &self.more {
            tags.push_str(&format!("{name}={value}; "));
        }
        if let Some(length) = self.body_length {
            body.truncate(length);
            tags.push_str(&format!("l={}; ", body.len()));
        }
        let digest = BASE64.encode(Sha256::digest(&body));
        tags.push_str(&format!("h={};\r\n\tbh={digest};\r\n\tb=", self.headers.join(":").to_lowercase()));

        let mut signed = self.signed_headers(head);
        signed.extend_from_slice(&canonical_header("DKIM-Signature", &format!(" {tags}"), self.relaxed.0));
        let signature = self.key.sign(signed.strip_suffix(b"\r\n").unwrap_or(&signed));
        let mut whole = format!("DKIM-Signature: {tags}{}\r\n", folded(&signature)).into_bytes();
        whole.extend_from_slice(&mail);
        whole
    }

    /// The headers of `h=`: of several by one name, the lowest first.
    fn signed_headers(&self, head: &[u8]) -> Vec<u8> {
        let mut left = headers(head);
        let mut signed = Vec::new();
        for wanted in &self.headers {
            if let Some(at) = left.iter().rposition(|(name, _)| name.trim().eq_ignore_ascii_case(wanted)) {
                let (name, value) = left.remove(at);
                signed.extend_from_slice(&canonical_header(&name, &value, self.relaxed.0));
            }
        }
        signed
    }
}

/// Lines of a signature that fit into a mail.
fn folded(text: &str) -> String {
    let pieces: Vec<&str> =
        text.as_bytes().chunks(70).map(|piece| std::str::from_utf8(piece).unwrap_or_default()).collect();
    pieces.join("\r\n\t ")
}

fn with_crlf(mail: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(mail.len() + 64);
    for line in mail.split_inclusive(|byte| *byte == b'\n') {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        out.extend_from_slice(text.strip_suffix(b"\r").unwrap_or(text));
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// The headers with their last CRLF, and the body behind the empty line.
fn halves(mail: &[u8]) -> (&[u8], &[u8]) {
    let end = mail.windows(4).position(|w| w == b"\r\n\r\n");
    end.map_or((mail, &[][..]), |at| (&mail[..at + 2], &mail[at + 4..]))
}

/// Names and values, folded as they stand.
fn headers(head: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(head);
    let mut found: Vec<(String, String)> = Vec::new();
    for line in text.split_inclusive("\r\n") {
        match (line.starts_with([' ', '\t']), found.last_mut(), line.split_once(':')) {
            (true, Some((_, value)), _) => value.push_str(line),
            (_, _, Some((name, value))) => found.push((name.to_owned(), value.to_owned())),
            _ => {}
        }
    }
    for (_, value) in &mut found {
        *value = value.strip_suffix("\r\n").unwrap_or(value).to_owned();
    }
    found
}

fn canonical_header(name: &str, value: &str, is_relaxed: bool) -> Vec<u8> {
    if !is_relaxed {
        return format!("{name}:{value}\r\n").into_bytes();
    }
    let words: Vec<&str> = value.split([' ', '\t', '\r', '\n']).filter(|word| !word.is_empty()).collect();
    format!("{}:{}\r\n", name.trim().to_lowercase(), words.join(" ")).into_bytes()
}

fn canonical_body(body: &[u8], is_relaxed: bool) -> Vec<u8> {
    let mut lines: Vec<Vec<u8>> = body
        .split_inclusive(|byte| *byte == b'\n')
        .map(|line| {
            let line = line.strip_suffix(b"\r\n").unwrap_or(line);
            if is_relaxed { narrowed(line) } else { line.to_vec() }
        })
        .collect();
    while lines.last().is_some_and(Vec::is_empty) {
        lines.pop();
    }
    if lines.is_empty() {
        return if is_relaxed { Vec::new() } else { b"\r\n".to_vec() };
    }
    lines.into_iter().flat_map(|line| line.into_iter().chain(*b"\r\n")).collect()
}

/// Blanks within a line are one, those at its end none.
fn narrowed(line: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::with_capacity(line.len());
    for byte in line {
        match byte {
            b' ' | b'\t' if out.last() == Some(&b' ') => {}
            b' ' | b'\t' => out.push(b' '),
            byte => out.push(*byte),
        }
    }
    if out.last() == Some(&b' ') {
        out.pop();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mail and key of RFC 8463, appendix A.
    const DINNER: &str = "From: Joe SixPack <joe@football.example.com>\r\n\
To: Suzie Q <suzie@shopping.example.net>\r\n\
Subject: Is dinner ready?\r\n\
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n\
Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n\
\r\n\
Hi.\r\n\
\r\n\
We lost the game.  Are you hungry yet?\r\n\
\r\n\
Joe.\r\n";
    const SEED: &str = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
    const PUBLIC: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

    fn dinner_key() -> Key {
        let [seed, public] = [SEED, PUBLIC].map(|text| BASE64.decode(text).unwrap());
        Key(Arc::new(Secret::Ed25519(Ed25519KeyPair::from_seed_and_public_key(&seed, &public).unwrap())))
    }

    #[test]
    fn body_digest_and_record_are_those_of_the_rfc() {
        let signed = Signer::new(dinner_key(), "football.example.com", "brisbane").sign(DINNER.as_bytes());
        let text = String::from_utf8(signed).unwrap();
        assert!(text.contains("bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;"), "{text}");
        assert_eq!(dinner_key().record(), format!("v=DKIM1; k=ed25519; p={PUBLIC}"));
    }

    /// Section 3.4.5 of RFC 6376.
    #[test]
    fn canonical_forms_are_those_of_the_rfc() {
        let body = b" C \r\nD \t E\r\n\r\n\r\n";
        assert_eq!(canonical_body(body, true), b" C\r\nD E\r\n");
        assert_eq!(canonical_body(body, false), b" C \r\nD \t E\r\n");
        assert_eq!(canonical_body(b"", false), b"\r\n");
        assert_eq!(canonical_body(b"", true), b"");
        let head = headers(b"A: X\r\nB : Y\t\r\n\tZ  \r\n");
        let relaxed: Vec<u8> = head.iter().flat_map(|(n, v)| canonical_header(n, v, true)).collect();
        assert_eq!(relaxed, b"a:X\r\nb:Y Z\r\n");
        let simple: Vec<u8> = head.iter().flat_map(|(n, v)| canonical_header(n, v, false)).collect();
        assert_eq!(simple, b"A: X\r\nB : Y\t\r\n\tZ  \r\n");
    }
}
