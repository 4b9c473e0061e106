//! `[mail]`.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use bus_schemas::v1::plan::Span;
use serde::{Deserialize, Serialize};

use super::{ConfigError, Secret};

/// The variables that hold mail's secrets. Of the children of `baton up` only the orchestrator gets them.
pub const MAIL_VARIABLES: [&str; 4] = [
    "BATON_MAIL_PASSWORD",
    "BATON_MAIL_SMTP_PASSWORD",
    "BATON_MAIL_OAUTH_CLIENT_SECRET",
    "BATON_MAIL_OAUTH_REFRESH_TOKEN",
];
/// The longest local part of an address (RFC 5321), and what `+` and a token take of it.
const LOCAL_PART: (usize, usize) = (64, 41);

/// How a connection to a mail server is kept secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tls {
    /// From the first byte (IMAP 993, submission 465).
    #[default]
    Implicit,
    /// After STARTTLS, without which nothing is said (IMAP 143, submission 587).
    Starttls,
    /// Not at all: only for servers on this machine.
    None,
}

/// A server, and who we are to it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MailServer {
    /// Its host name, as in its certificate. Empty: this server is not used.
    pub host: String,
    /// Its port. Default: what the protocol and `tls` say (993, 143; 465, 587, 25).
    pub port: Option<u16>,
    /// How the connection is kept secret.
    pub tls: Tls,
    /// A file with certificates (PEM) of an authority beside those of the system.
    pub ca: Option<PathBuf>,
    /// The login name. Default for IMAP: `address`; without one for SMTP, no login.
    pub user: Option<String>,
}

/// Access by OAuth 2: the refresh token is exchanged for access tokens, used with XOAUTH2.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OAuth {
    /// Where tokens are got.
    pub token_url: String,
    /// The client's id.
    pub client_id: String,
    /// The scopes asked for, separated by spaces.
    #[serde(default)]
    pub scope: String,
}

/// Which requests are sent by mail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// Those to members who have no Slack id (or where there is no Slack), and those of projects that began by mail.
    #[default]
    WithoutSlack,
    /// All.
    Everyone,
}

/// What people hear between a project's start and its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum News {
    /// Nothing.
    Off,
    /// A mail for each event.
    Each,
    /// What came together within this many milliseconds, in one mail.
    Digest(u64),
}

impl Default for News {
    fn default() -> Self {
        Self::Digest(3_600_000)
    }
}

impl TryFrom<String> for News {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.trim() {
            "off" => Ok(Self::Off),
            "each" => Ok(Self::Each),
            span => {
                let ms = Span(span.to_owned()).as_ms().filter(|ms| *ms > 0);
                ms.map(Self::Digest).ok_or_else(|| format!("{span:?} is none of `off`, `each` and a span like `1h`"))
            }
        }
    }
}

impl From<News> for String {
    fn from(news: News) -> Self {
        match news {
            News::Off => "off".to_owned(),
            News::Each => "each".to_owned(),
            News::Digest(ms) => format!("{ms}ms"),
        }
    }
}

/// DKIM signatures under what we send, for those whose server does not sign.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dkim {
    /// The domain (`d=`).
    pub domain: String,
    /// The selector (`s=`).
    pub selector: String,
    /// A file with the private key (PEM: RSA, or Ed25519 in PKCS #8).
    pub key: PathBuf,
}

/// What signs the webhooks of the services that hand mail on. A service without one is refused.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Webhooks {
    /// Postmark: `user:password` of the webhook's URL (HTTP Basic).
    pub postmark: Option<Secret>,
    /// Mailgun: the HTTP webhook signing key.
    pub mailgun: Option<Secret>,
    /// SendGrid: the public key (base64) of the signed Inbound Parse webhook.
    pub sendgrid: Option<String>,
    /// SES: the ARN of the SNS topic.
    pub ses: Option<String>,
}

/// `[mail]`. Without an address there is no mail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mail {
    /// Our address: `baton@example.org`. What is written to `baton+…@example.org` must arrive, too.
    pub address: Option<String>,
    /// The name beside it.
    pub name: String,
    /// The password of both servers. Better in `BATON_MAIL_PASSWORD`.
    pub password: Option<Secret>,
    /// Another password of the SMTP server. Better in `BATON_MAIL_SMTP_PASSWORD`.
    pub smtp_password: Option<Secret>,
    /// OAuth 2 instead of passwords.
    pub oauth: Option<OAuth>,
    /// The OAuth client's secret, if it has one. Better in `BATON_MAIL_OAUTH_CLIENT_SECRET`.
    pub oauth_client_secret: Option<Secret>,
    /// The OAuth refresh token. Better in `BATON_MAIL_OAUTH_REFRESH_TOKEN`.
    pub oauth_refresh_token: Option<Secret>,
    /// Where mail comes in.
    pub imap: MailServer,
    /// The folder that is read.
    pub folder: String,
    /// Where mail goes out.
    pub smtp: MailServer,
    /// An address to listen on for webhooks and for the pages behind links in mails.
    pub listen: Option<SocketAddr>,
    /// How `listen` is reached from outside, without a slash at the end: `https://baton.example.org`. Without it, mails have no links.
    pub public_url: Option<String>,
    /// What signs webhooks.
    pub webhooks: Webhooks,
    /// Who may write beside the members: addresses, and domains as `@example.org`.
    pub allow: Vec<String>,
    /// Servers (`authserv-id`) whose `Authentication-Results` are believed: our own mail exchanger's name.
    pub trusted_results: Vec<String>,
    /// Servers whose `Received` lines are believed, for SPF: our own mail exchanger's name.
    pub trusted_received: Vec<String>,
    /// Name servers. Default: those of the system.
    pub dns: Vec<SocketAddr>,
    /// DKIM signatures under what we send.
    pub dkim: Option<Dkim>,
    /// Which requests are sent by mail.
    pub requests: Audience,
    /// What people hear between start and end: `off`, `each`, or a span within which news are put together.
    pub news: News,
    /// Folders of this machine in which people may start projects by writing a path. Presets need none of these.
    pub folders: Vec<PathBuf>,
    /// The largest mail that is read, in MiB.
    pub max_mail_mib: u64,
    /// How much is kept of mails nobody vouches for, in MiB: beyond that, the oldest ones of strangers lose their texts.
    pub quarantine_mib: u64,
    /// How many of them are kept.
    pub quarantine_mails: u32,
    /// Endings of attachments that are not taken.
    pub refuse_types: Vec<String>,
    /// Archives that are taken though they cannot be looked into, by their endings: `xz`, `bz2`, `zst`, `7z`, `rar` …
    pub allow_packed: Vec<String>,
    /// Mails of one sender within an hour; what is more is put aside.
    pub per_sender: u32,
    /// Mails of all senders within an hour.
    pub per_hour: u32,
    /// Mails of ours to one person about one project within an hour.
    pub per_thread: u32,
    /// Texts that never go out: canaries, keys that agents may come across.
    pub never: Vec<Secret>,
    /// Where the program keeps what it must remember; no key of the configuration.
    #[serde(skip)]
    pub state_dir: Option<PathBuf>,
}

impl Default for Mail {
    fn default() -> Self {
        let refused = ["exe", "scr", "com", "bat", "cmd", "msi", "pif", "lnk", "iso", "vhd", "hta", "cpl"];
        Self {
            address: None,
            name: "Baton".to_owned(),
            password: None,
            smtp_password: None,
            oauth: None,
            oauth_client_secret: None,
            oauth_refresh_token: None,
            imap: MailServer::default(),
            folder: "INBOX".to_owned(),
            smtp: MailServer::default(),
            listen: None,
            public_url: None,
            webhooks: Webhooks::default(),
            allow: Vec::new(),
            trusted_results: Vec::new(),
            trusted_received: Vec::new(),
            dns: Vec::new(),
            dkim: None,
            requests: Audience::default(),
            news: News::default(),
            folders: Vec::new(),
            max_mail_mib: 40,
            quarantine_mib: 512,
            quarantine_mails: 10_000,
            refuse_types: refused.map(str::to_owned).to_vec(),
            allow_packed: Vec::new(),
            per_sender: 60,
            per_hour: 600,
            per_thread: 30,
            never: Vec::new(),
            state_dir: None,
        }
    }
}

impl Mail {
    /// Whether there is mail at all.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.address.is_some()
    }

    /// For how long news are put together; `None` if they are not.
    #[must_use]
    pub const fn digest(&self) -> Option<Duration> {
        match self.news {
            News::Digest(ms) => Some(Duration::from_millis(ms)),
            News::Off | News::Each => None,
        }
    }

    /// What is set and does nothing, as sentences.
    #[must_use]
    pub fn complaints(&self) -> Vec<&'static str> {
        let mut found = Vec::new();
        let webhooks = &self.webhooks;
        let has_webhooks = webhooks.postmark.is_some()
            || webhooks.mailgun.is_some()
            || webhooks.sendgrid.is_some()
            || webhooks.ses.is_some();
        if self.public_url.is_some() && self.listen.is_none() {
            found.push("public_url is set and listen is not: nothing answers behind links, so mails have none");
        }
        if has_webhooks && self.listen.is_none() {
            found.push("webhooks are set and listen is not: none comes in");
        }
        if self.listen.is_some() && self.public_url.is_none() && !has_webhooks {
            found.push(
                "listen is set, but neither public_url (links in mails) nor [mail.webhooks]: nobody is answered there",
            );
        }
        if self.smtp.user.is_some() && self.password.is_none() && self.smtp_password.is_none() && self.oauth.is_none() {
            found
                .push("smtp.user is set and there is no password: set BATON_MAIL_PASSWORD or BATON_MAIL_SMTP_PASSWORD");
        }
        if self.oauth.is_some() && self.oauth_refresh_token.is_none() {
            found.push("[mail.oauth] is set and there is no refresh token: set BATON_MAIL_OAUTH_REFRESH_TOKEN");
        }
        found
    }

    /// Checks what the types do not.
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let invalid =
            |key: &str, message: String| Err(ConfigError::Invalid { at: format!("configuration mail.{key}"), message });
        if let Some(message) = Secret::unusable(&self.never) {
            return invalid("never", message);
        }
        let Some(address) = &self.address else { return Ok(()) };
        let Some((local, domain)) =
            address.split_once('@').filter(|(local, domain)| !local.is_empty() && !domain.is_empty())
        else {
            return invalid("address", format!("{address:?} is not a mail address"));
        };
        if local.contains('+') || domain.contains('@') {
            return invalid("address", "leave `+…` out: Baton puts its tokens there".to_owned());
        }
        if local.len() + LOCAL_PART.1 > LOCAL_PART.0 {
            let most = LOCAL_PART.0 - LOCAL_PART.1;
            return invalid(
                "address",
                format!("the part before the @ may have {most} characters: a token is put behind it"),
            );
        }
        if self.smtp.host.is_empty() {
            return invalid("smtp.host", "nothing could be answered: name the server that takes our mail".to_owned());
        }
        if self.imap.host.is_empty() && self.listen.is_none() {
            return invalid(
                "imap.host",
                "nothing would come in: name the IMAP server, or `listen` for webhooks".to_owned(),
            );
        }
        for (key, server) in [("imap", &self.imap), ("smtp", &self.smtp)] {
            let local = matches!(server.host.as_str(), "" | "localhost" | "127.0.0.1" | "::1");
            if server.tls == Tls::None && !local {
                return invalid(
                    &format!("{key}.tls"),
                    "mail is read and sent in the clear only on this machine".to_owned(),
                );
            }
        }
        if let Some(url) = &self.public_url {
            let plain = url
                .strip_prefix("http://")
                .is_some_and(|rest| rest.starts_with("127.0.0.1") || rest.starts_with("localhost"));
            if !url.starts_with("https://") && !plain {
                return invalid("public_url", "links that decide go over https:// only".to_owned());
            }
            if url.ends_with('/') {
                return invalid("public_url", "leave the slash at the end out".to_owned());
            }
        }
        for rule in &self.allow {
            if !rule.contains('@') || rule.ends_with('@') {
                return invalid("allow", format!("{rule:?} is neither an address nor a domain like `@example.org`"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(text: &str) -> Mail {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn what_does_nothing_is_complained_about() {
        let whole = "address = 'baton@example.org'\nsmtp = { host = 'mail.example.org' }\nimap = { host = 'mail.example.org' }\n";
        assert_eq!(mail(whole).complaints(), Vec::<&str>::new());
        for (more, word) in [
            ("public_url = 'https://x.example.org'", "links"),
            ("listen = '127.0.0.1:8080'", "nobody is answered"),
            ("webhooks = { mailgun = 'key' }", "none comes in"),
            ("oauth = { token_url = 'https://x', client_id = 'y' }", "refresh token"),
        ] {
            let found = mail(&format!("{whole}{more}")).complaints();
            assert!(found.len() == 1 && found[0].contains(word), "{more}: {found:?}");
        }
        let links = format!("{whole}listen = '127.0.0.1:8080'\npublic_url = 'https://x.example.org'");
        assert!(mail(&links).complaints().is_empty());
        let login = "address = 'baton@example.org'\nsmtp = { host = 'mail.example.org', user = 'baton' }";
        assert!(mail(login).complaints()[0].contains("password"));
    }
}
