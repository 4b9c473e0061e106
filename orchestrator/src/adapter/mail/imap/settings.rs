//! Which mailbox, and as whom.

use std::{fmt, sync::Arc, time::Duration};

use rustls::ClientConfig;

use crate::{
    adapter::mail::{oauth::Tokens, tls},
    config::{Mail, Secret, Tls},
};

/// What proves who we are.
#[derive(Clone, Debug)]
pub enum Access {
    /// A password.
    Password(Secret),
    /// Access tokens, with XOAUTH2.
    Tokens(Tokens),
}

/// How long is waited for what.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// For a connection, and for the answer to a command.
    pub command: Duration,
    /// For one mail.
    pub fetch: Duration,
    /// For news, before we look ourselves.
    pub idle: Duration,
    /// For the end of waiting.
    pub done: Duration,
    /// Between two looks, where the server cannot tell news.
    pub poll: Duration,
    /// Before the next connection, at first and at most; it doubles.
    pub again: (Duration, Duration),
    /// Before the next connection, when the server does not take the password.
    pub refused: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            command: seconds(60),
            fetch: seconds(300),
            idle: seconds(300),
            done: seconds(15),
            poll: seconds(30),
            again: (seconds(1), seconds(60)),
            refused: seconds(120),
        }
    }
}

/// Which mailbox, and as whom.
#[derive(Clone)]
pub struct ImapSettings {
    /// The server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is kept secret.
    pub tls: Tls,
    /// Whose certificates are believed.
    pub(super) certificates: Arc<ClientConfig>,
    /// The login name.
    pub user: String,
    /// What proves it.
    pub access: Access,
    /// The folder.
    pub folder: String,
    /// The largest mail that is read, in bytes.
    pub max_bytes: u64,
    /// Of a mail that broke the connection, so many bytes are asked for at once.
    pub piece: usize,
    /// How long is waited for what.
    pub timing: Timing,
}

impl fmt::Debug for ImapSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImapSettings").field("mailbox", &self.mailbox()).finish_non_exhaustive()
    }
}

impl ImapSettings {
    /// Those of `[mail]`; `None` if mail does not come in this way.
    ///
    /// # Errors
    /// A sentence: what is missing or wrong.
    pub fn new(mail: &Mail) -> Result<Option<Self>, String> {
        let Some(address) = mail.address.as_ref().filter(|_| !mail.imap.host.is_empty()) else { return Ok(None) };
        let access = match (Tokens::new(mail)?, &mail.password) {
            (Some(tokens), _) => Access::Tokens(tokens),
            (None, Some(password)) => Access::Password(password.clone()),
            (None, None) => return Err("the mailbox's password is missing: set BATON_MAIL_PASSWORD".to_owned()),
        };
        let certificates = match mail.imap.tls {
            Tls::None => tls::nobody(),
            Tls::Implicit | Tls::Starttls => tls::client(mail.imap.ca.as_deref()),
        };
        let usual = if mail.imap.tls == Tls::Implicit { 993 } else { 143 };
        Ok(Some(Self {
            host: mail.imap.host.clone(),
            port: mail.imap.port.unwrap_or(usual),
            tls: mail.imap.tls,
            certificates: certificates.map_err(|why| format!("mail.imap: {why}"))?,
            user: mail.imap.user.clone().unwrap_or_else(|| address.clone()),
            access,
            folder: mail.folder.clone(),
            max_bytes: mail.max_mail_mib.saturating_mul(1024 * 1024),
            piece: 256 * 1024,
            timing: Timing::default(),
        }))
    }

    /// The mailbox's name in the store: what was read of another one does not count for it.
    #[must_use]
    pub fn mailbox(&self) -> String {
        format!("imap://{}@{}:{}/{}", self.user, self.host, self.port, self.folder)
    }
}
