//! The allow-list of a task.

use std::net::IpAddr;

/// Ports of a rule that names none.
const DEFAULT_PORTS: [u16; 2] = [443, 80];

/// What a task may reach: `host`, `host:port`, `*.domain`, `*.domain:port`; without a port 443 and 80. Empty: nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules(Vec<Rule>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    /// As it was written.
    text: String,
    host: HostRule,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum HostRule {
    Is(Host),
    /// Everything below this domain, but not the domain itself.
    Below(String),
}

/// A host as a client names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    /// A name in lower case.
    Name(String),
    /// A literal address.
    Address(IpAddr),
}

impl Rules {
    /// Reads the entries of a task's `network`.
    ///
    /// # Errors
    /// What is wrong with which entry.
    pub fn parse(entries: &[String]) -> Result<Self, String> {
        let rule = |entry: &String| Rule::parse(entry).map_err(|why| format!("network: {entry:?}: {why}"));
        entries.iter().map(rule).collect::<Result<_, _>>().map(Self)
    }

    /// Reads `pool.private_hosts`: each names one host, and nothing below a domain.
    ///
    /// # Errors
    /// What is wrong with which entry.
    pub fn private(entries: &[String]) -> Result<Self, String> {
        if let Some(entry) = entries.iter().find(|entry| entry.contains('*')) {
            return Err(format!("pool.private_hosts: {entry:?}: name each host, without a wildcard"));
        }
        let rule = |entry: &String| Rule::parse(entry).map_err(|why| format!("pool.private_hosts: {entry:?}: {why}"));
        entries.iter().map(rule).collect::<Result<_, _>>().map(Self)
    }

    /// The entry that lets this target through.
    pub(super) fn allowing(&self, host: &Host, port: u16) -> Option<&str> {
        self.0.iter().find(|rule| rule.fits(host, port)).map(|rule| rule.text.as_str())
    }
}

impl Rule {
    fn parse(entry: &str) -> Result<Self, String> {
        if entry.contains("://") || entry.contains('/') {
            return Err("write `host` or `host:port`, without a scheme or a path".to_owned());
        }
        let (host, port) = split_port(entry)?;
        let host = match host.strip_prefix("*.") {
            Some(domain) => match Host::parse(domain)? {
                Host::Address(_) => return Err("an address has no subdomains".to_owned()),
                Host::Name(name) if !name.contains('.') => {
                    return Err("a whole top-level domain is too much: name a domain below it".to_owned());
                }
                Host::Name(name) => HostRule::Below(name),
            },
            None if host.contains('*') => {
                return Err("`*` may only stand for everything below a domain: `*.example.com`".to_owned());
            }
            None => HostRule::Is(Host::parse(host)?),
        };
        Ok(Self { text: entry.to_owned(), host, port })
    }

    fn fits(&self, host: &Host, port: u16) -> bool {
        let named = match (&self.host, host) {
            (HostRule::Is(rule), host) => rule == host,
            (HostRule::Below(domain), Host::Name(name)) => {
                name.strip_suffix(domain.as_str()).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
            }
            (HostRule::Below(_), Host::Address(_)) => false,
        };
        named && self.port.map_or_else(|| DEFAULT_PORTS.contains(&port), |own| own == port)
    }
}

impl Host {
    /// Reads a host: a name, an IPv4 address or an IPv6 address in brackets.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            return inner.parse().map(|v6| Self::Address(IpAddr::V6(v6))).map_err(|_| "no IPv6 address".to_owned());
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(IpAddr::V4(address)));
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        if name.is_empty() || name.len() > 253 || !name.split('.').all(label) {
            return Err("no host name (letters, digits, `-` and dots)".to_owned());
        }
        // Resolvers read `127.1`, `0x7f000001` and the like as addresses.
        let last = name.rsplit('.').next().unwrap_or_default();
        if last.starts_with("0x") || last.bytes().all(|b| b.is_ascii_digit()) {
            return Err("neither a host name nor an address of four decimal numbers".to_owned());
        }
        Ok(Self::Name(name))
    }

    /// With its port, as an entry of `network` would name it.
    pub(super) fn entry(&self, port: u16) -> String {
        if DEFAULT_PORTS.contains(&port) { self.to_string() } else { format!("{self}:{port}") }
    }
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V6(v6)) => write!(f, "[{v6}]"),
            Self::Address(IpAddr::V4(v4)) => v4.fmt(f),
        }
    }
}

/// `host:port` or `host`.
fn split_port(text: &str) -> Result<(&str, Option<u16>), String> {
    match text.rsplit_once(':') {
        // The last colon of an IPv6 address in brackets is none of ours.
        Some((host, port)) if !port.ends_with(']') => {
            let number = port.bytes().all(|b| b.is_ascii_digit()).then(|| port.parse().ok()).flatten();
            let port = number.filter(|port| *port > 0).ok_or("the port is a number from 1 to 65535")?;
            Ok((host, Some(port)))
        }
        _ => Ok((text, None)),
    }
}
