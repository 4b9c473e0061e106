//! `[secrets.NAME]` in `baton.toml`: secrets that a host's proxy uses on a guest's behalf, without the guest ever having them.
//!
//! ```toml
//! [secrets.github]
//! env = "GITHUB_TOKEN"            # or: file = "/run/keys/github"; never the value itself
//! hosts = ["api.github.com"]      # the only hosts it goes to
//! about = "reads and comments on issues of our repositories"
//! ```
//!
//! The orchestrator reads what it is called, where it goes and what it is for; the value is read by `vm-pool` alone.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

/// The keys of `[secrets.NAME]`.
pub const SECRET_KEYS: [&str; 7] = ["env", "file", "hosts", "header", "format", "about", "ca_file"];
/// What people write who mean to put the value itself there.
pub const VALUE_WORDS: [&str; 6] = ["value", "token", "secret", "key", "password", "api_key"];
/// The header a secret goes into where nothing is said.
pub const DEFAULT_HEADER: &str = "authorization";
/// What the header holds where nothing is said.
pub const DEFAULT_FORMAT: &str = "Bearer {}";
/// The port of a host that names none.
pub const DEFAULT_PORT: u16 = 443;
/// The longest name.
const NAME_BYTES: usize = 64;
/// The longest line about a secret, in characters.
const ABOUT_CHARS: usize = 200;
/// Where the value is in `format`.
const PLACE: &str = "{}";
/// Headers that say where a message goes, how it is framed, or whom the proxy believes: no secret belongs there.
const FRAMING: [&str; 12] = [
    "accept-encoding",
    "baton-secret",
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// All of them, by name.
pub type Secrets = BTreeMap<String, SecretSetup>;

/// `[secrets.NAME]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SecretSetup {
    /// The environment variable of `vm-pool` that holds the value.
    pub env: Option<String>,
    /// A file, readable by its owner alone, that holds the value; read again for every use.
    pub file: Option<String>,
    /// Where it goes: `host` (port 443) or `host:port`, always over https; `http://ADDRESS:port` for an
    /// address of `[pool] private_hosts`. No wildcards.
    pub hosts: Vec<String>,
    /// The header it goes into. Default `authorization`.
    pub header: String,
    /// What the header holds, with one `{}` where the value goes. Default `Bearer {}`. For `Basic {}` a value
    /// `user:password` is encoded as that scheme wants it.
    pub format: String,
    /// What it is for, in one line, for people and agents.
    pub about: String,
    /// A PEM file with further certificate authorities for its hosts.
    pub ca_file: Option<String>,
}

impl Default for SecretSetup {
    fn default() -> Self {
        Self {
            env: None,
            file: None,
            hosts: Vec::new(),
            header: DEFAULT_HEADER.to_owned(),
            format: DEFAULT_FORMAT.to_owned(),
            about: String::new(),
            ca_file: None,
        }
    }
}

/// What is wrong with a secret's section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretFlaw {
    /// The key; empty if it is about the whole section.
    pub key: &'static str,
    /// What, and the way out. Holds nothing of what stands in `env`, `file` and `format`: somebody may have written the value there.
    pub message: String,
}

impl fmt::Display for SecretFlaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.key, self.message) }
    }
}

/// A secret as people and agents may know it. Nothing in it is secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SecretBrief {
    /// Its name.
    pub name: String,
    /// What it is for, one line.
    #[serde(default)]
    pub about: String,
    /// Where it goes: `host` or `host:port`, perhaps with `http://` in front.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// The header it goes into.
    #[serde(default)]
    pub header: String,
}

/// A host that a secret goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretHost {
    /// Its name or IPv4 address, in lower case.
    pub host: String,
    /// The port it listens on.
    pub port: u16,
    /// The port was written.
    pub named_port: bool,
    /// It is spoken to without TLS.
    pub plain: bool,
}

impl SecretHost {
    /// Reads an entry of `hosts`.
    ///
    /// # Errors
    /// What is wrong with it, and what to write instead.
    pub fn parse(entry: &str) -> Result<Self, String> {
        let (plain, rest) = match entry.strip_prefix("http://") {
            Some(rest) => (true, rest),
            None => (false, entry),
        };
        if let Some(host) = rest.strip_prefix("https://") {
            return Err(format!("https is what is spoken anyway: write `{host}`"));
        }
        if rest.contains('*') {
            return Err("a secret goes to exact hosts: name each, without a wildcard".to_owned());
        }
        if rest.contains(['/', '@', '?', '#']) {
            return Err("write `host` or `host:port`, without a path or a user".to_owned());
        }
        let (host, port) = match rest.rsplit_once(':') {
            None => (rest, None),
            Some((host, port)) => {
                let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
                let number = digits.then(|| port.parse::<u16>().ok()).flatten().filter(|port| *port > 0);
                (host, Some(number.ok_or("the port is a number from 1 to 65535")?))
            }
        };
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        if host.len() > 253 || !host.split('.').all(label) {
            return Err("this is no host: write `host` or `host:port`, with a name in ASCII".to_owned());
        }
        if plain && port.is_none() {
            return Err("with http:// the port is written, too: `http://host:port`".to_owned());
        }
        if plain && host.parse::<std::net::Ipv4Addr>().is_err() {
            let way = "write the address itself, `http://10.0.0.5:8080`, or leave `http://` away for https";
            return Err(format!(
                "over plain http a secret goes to an address only, since whoever answers for a name would get it: {way}"
            ));
        }
        let host = host.to_ascii_lowercase();
        Ok(Self { host, port: port.unwrap_or(DEFAULT_PORT), named_port: port.is_some(), plain })
    }
}

impl SecretSetup {
    /// What is wrong with what is written, key by key.
    #[must_use]
    pub fn flaw(&self) -> Option<SecretFlaw> {
        let flaw = |key, message: &str| Some(SecretFlaw { key, message: message.to_owned() });
        let is_variable = |name: &str| {
            !name.is_empty()
                && !name.starts_with(|c: char| c.is_ascii_digit())
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        if self.env.as_deref().is_some_and(|name| !is_variable(name)) {
            return flaw(
                "env",
                "the name of an environment variable of baton-vm-pool is wanted here, never the value itself",
            );
        }
        if self.file.as_deref().is_some_and(|path| path.trim().is_empty()) {
            return flaw("file", "the path of a file that holds the value is wanted here");
        }
        if self.env.is_some() && self.file.is_some() {
            return flaw("file", "env and file are both set: one of them is enough");
        }
        let mut seen: Vec<SecretHost> = Vec::new();
        for entry in &self.hosts {
            let host = match SecretHost::parse(entry) {
                Ok(host) => host,
                Err(why) => return flaw("hosts", &format!("{entry:?}: {why}")),
            };
            if seen.iter().any(|known| (&known.host, known.port) == (&host.host, host.port)) {
                return flaw("hosts", &format!("{entry:?} is there twice"));
            }
            seen.push(host);
        }
        let header = self.header.to_ascii_lowercase();
        let is_token = |name: &str| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
        };
        if !is_token(&header) {
            return flaw("header", "this is no name of a header: write one such as `authorization` or `x-api-key`");
        }
        if FRAMING.contains(&header.as_str()) {
            return flaw(
                "header",
                "this header belongs to the connection: name one such as `authorization` or `x-api-key`",
            );
        }
        if self.format.matches(PLACE).count() != 1 {
            return flaw("format", "exactly one `{}` is wanted, where the value goes: `Bearer {}`, or `{}` alone");
        }
        if !self.format.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
            return flaw("format", "a header holds printable ASCII only");
        }
        if self.about.chars().count() > ABOUT_CHARS || self.about.chars().any(char::is_control) {
            return flaw("about", &format!("one line of at most {ABOUT_CHARS} characters is wanted"));
        }
        None
    }

    /// What is not written and must be.
    #[must_use]
    pub fn lack(&self) -> Option<SecretFlaw> {
        let flaw = |key, message: &str| Some(SecretFlaw { key, message: message.to_owned() });
        if self.env.is_none() && self.file.is_none() {
            return flaw(
                "",
                "its value is nowhere: name the environment variable of baton-vm-pool with `env`, or a file with `file`",
            );
        }
        if self.hosts.is_empty() {
            return flaw("hosts", "name the hosts it goes to: `hosts = [\"api.example.com\"]`");
        }
        None
    }

    /// As people and agents may know it.
    #[must_use]
    pub fn brief(&self, name: &str) -> SecretBrief {
        SecretBrief {
            name: name.to_owned(),
            about: self.about.clone(),
            hosts: self.hosts.clone(),
            header: self.header.to_ascii_lowercase(),
        }
    }

    /// What comes before and behind the value in the header.
    #[must_use]
    pub fn around(&self) -> (&str, &str) {
        self.format.split_once(PLACE).unwrap_or((self.format.as_str(), ""))
    }
}

impl SecretBrief {
    /// Where it goes, in one line: `HEADER to HOST, HOST`. This is what people agree to who grant it, and what grants are
    /// compared by: the order of the hosts, their case and `about` make no difference.
    #[must_use]
    pub fn terms(&self) -> String {
        let mut hosts: Vec<String> = self.hosts.iter().map(|host| host.to_ascii_lowercase()).collect();
        hosts.sort_unstable();
        format!("{} to {}", self.header.to_ascii_lowercase(), hosts.join(", "))
    }

    /// The hosts as `network` and conditions name them: without a scheme.
    pub fn bare_hosts(&self) -> impl Iterator<Item = &str> {
        self.hosts.iter().map(|host| host.strip_prefix("http://").unwrap_or(host))
    }
}

/// Whether a text can be a secret's name: 1 to 64 of `[a-z0-9_-]`, starting with a letter.
#[must_use]
pub fn is_name(text: &str) -> bool {
    (1..=NAME_BYTES).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
}

/// What is wrong with a secret's name.
#[must_use]
pub fn name_flaw(name: &str) -> Option<&'static str> {
    (!is_name(name)).then_some("a secret's name is 1 to 64 of a-z, 0-9, `_` and `-`, and starts with a letter")
}

/// What is wrong with a key that nobody knows, if somebody meant to write the value itself.
#[must_use]
pub fn value_written(key: &str) -> Option<&'static str> {
    VALUE_WORDS.contains(&key).then_some(
        "the value itself is never written in baton.toml: name an environment variable of baton-vm-pool with `env`, or a file with `file`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup() -> SecretSetup {
        SecretSetup {
            env: Some("TOKEN".to_owned()),
            hosts: vec!["api.example.com".to_owned()],
            ..SecretSetup::default()
        }
    }

    #[test]
    fn hosts_are_exact() {
        let read = |entry| SecretHost::parse(entry).map(|host| (host.host, host.port, host.plain));
        assert_eq!(read("API.example.com").unwrap(), ("api.example.com".to_owned(), 443, false));
        assert_eq!(read("a.example:8443").unwrap(), ("a.example".to_owned(), 8443, false));
        assert_eq!(read("http://127.0.0.1:81").unwrap(), ("127.0.0.1".to_owned(), 81, true));
        for (bad, wanted) in [
            ("*.example.com", "wildcard"),
            ("https://a.example", "write `a.example`"),
            ("a.example/x", "without a path"),
            ("me@a.example", "without a path or a user"),
            ("a.example:0", "1 to 65535"),
            ("a.example:+1", "1 to 65535"),
            ("a.example:99999", "1 to 65535"),
            ("a.example:", "1 to 65535"),
            ("http://a.example", "the port is written"),
            ("http://a.example:81", "write the address itself"),
            ("", "no host"),
            ("a..b", "no host"),
            ("ä.example", "no host"),
        ] {
            assert!(read(bad).is_err_and(|why| why.contains(wanted)), "{bad}");
        }
    }

    #[test]
    fn mistakes_name_the_key_and_never_the_value() {
        assert_eq!((setup().flaw(), setup().lack()), (None, None));
        let value = "ghp_canary 123";
        let cases = [
            (SecretSetup { env: Some(value.to_owned()), ..setup() }, "env"),
            (SecretSetup { file: Some(" ".to_owned()), env: None, ..setup() }, "file"),
            (SecretSetup { file: Some("/x".to_owned()), ..setup() }, "file"),
            (SecretSetup { hosts: vec!["*".to_owned()], ..setup() }, "hosts"),
            (SecretSetup { hosts: vec!["a.b".to_owned(), "A.b:443".to_owned()], ..setup() }, "hosts"),
            (SecretSetup { header: "Host".to_owned(), ..setup() }, "header"),
            (SecretSetup { header: "x y".to_owned(), ..setup() }, "header"),
            (SecretSetup { format: format!("Bearer {value}"), ..setup() }, "format"),
            (SecretSetup { format: "{} {}".to_owned(), ..setup() }, "format"),
            (SecretSetup { format: "{}\n".to_owned(), ..setup() }, "format"),
            (SecretSetup { about: "two\nlines".to_owned(), ..setup() }, "about"),
        ];
        for (setup, key) in cases {
            let flaw = setup.flaw().unwrap();
            assert_eq!(flaw.key, key, "{flaw}");
            assert!(!flaw.message.contains("canary"), "{flaw}");
        }
        assert!(SecretSetup { env: None, ..setup() }.lack().is_some_and(|flaw| flaw.message.contains("`env`")));
        assert!(SecretSetup { hosts: Vec::new(), ..setup() }.lack().is_some_and(|flaw| flaw.key == "hosts"));
        assert!(value_written("token").is_some() && value_written("hots").is_none());
    }

    #[test]
    fn terms_are_hosts_and_header_and_nothing_else() {
        let terms = |hosts: [&str; 2], header: &str, about: &str| {
            let hosts = hosts.map(str::to_owned).to_vec();
            SecretSetup { hosts, header: header.to_owned(), about: about.to_owned(), ..setup() }.brief("x").terms()
        };
        let known = terms(["b.example:8443", "A.example"], "X-Key", "one");
        assert_eq!(known, "x-key to a.example, b.example:8443");
        assert_eq!(known, terms(["a.example", "b.example:8443"], "x-key", "two"));
        assert_ne!(known, terms(["a.example", "b.example"], "x-key", "one"));
        assert_ne!(known, terms(["a.example", "b.example:8443"], "authorization", "one"));
    }

    #[test]
    fn names_are_words() {
        assert!(is_name("github") && is_name("npm-publish_2"));
        for bad in ["", "GitHub", "2fa", "a b", "a.b", "-a", &"a".repeat(65)] {
            assert!(name_flaw(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn every_key_is_known_and_every_known_key_is_one() {
        let serde_json::Value::Object(map) = serde_json::to_value(setup()).unwrap() else { unreachable!() };
        let mut known = SECRET_KEYS.to_vec();
        known.sort_unstable();
        assert_eq!(map.keys().map(String::as_str).collect::<Vec<_>>(), known);
    }
}
