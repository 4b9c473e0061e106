//! Mails handed to the next server. What is known of a failure decides what becomes of the mail: nothing may be lost, and nothing
//! goes out twice if it can be helped.

mod dkim;

use std::{
    fmt, fs,
    future::Future,
    sync::{Arc, OnceLock},
    time::Duration,
};

use lettre::{
    Address,
    transport::smtp::{
        authentication::{Credentials, Mechanism},
        client::{AsyncSmtpConnection, Certificate, TlsParameters},
        commands::{Data, Mail as MailFrom, Rcpt},
        extension::ClientId,
    },
};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

use self::dkim::Signer;
use super::{
    oauth::Tokens,
    verifier::{Transport, TransportError},
};
use crate::{
    config::{Mail, Secret, Tls},
    mail::address,
};

/// How long is waited for what.
#[derive(Clone, Copy, Debug)]
struct Waits {
    /// A connection, with TLS and login.
    connect: Duration,
    /// An answer.
    answer: Duration,
    /// The mail itself: servers look at it before they take it (RFC 5321 wants ten minutes).
    taken: Duration,
}

const WAITS: Waits =
    Waits { connect: Duration::from_secs(30), answer: Duration::from_secs(60), taken: Duration::from_secs(600) };
/// Connections kept for the next mail, and for how long: servers close them sooner or later.
const IDLE: usize = 4;
const IDLE_FOR: Duration = Duration::from_secs(20);
/// The longest that is said of a server's answer.
const SHOWN: usize = 300;
/// Answers that refuse us and not this mail: somebody has to mend something first.
const OURS: [u16; 5] = [454, 530, 534, 535, 538];

enum Login {
    None,
    Password(Credentials),
    Token(String, Tokens),
}

struct Inner {
    host: String,
    port: u16,
    tls: Tls,
    parameters: Option<TlsParameters>,
    hello: ClientId,
    login: Login,
    signer: Option<Signer>,
    waits: Waits,
    /// Whether it takes mails whose return path has a token, once that is known.
    takes_tokens: OnceLock<bool>,
    idle: Mutex<Vec<(AsyncSmtpConnection, Instant)>>,
}

/// The server that takes our mail. Cheap to clone.
#[derive(Clone)]
pub struct Smtp(Arc<Inner>);

impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Smtp").field("host", &self.0.host).field("port", &self.0.port).finish_non_exhaustive()
    }
}

/// Why one try failed.
enum Failure {
    /// The connection is of no use any more.
    Gone(String),
    /// It takes nothing from this sender: its code, its words.
    Sender(u16, String),
    /// The server answered no: its code, its words.
    Said(u16, String),
    /// It got all of the mail, and did not say whether it has it.
    Open(String),
}

impl Failure {
    fn of(error: &lettre::transport::smtp::Error) -> Self {
        let mut words = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
        words = words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN).collect();
        match error.status() {
            Some(code) => Self::Said(code.into(), words),
            None => Self::Gone(words),
        }
    }

    /// Whether a fresh connection may do better: a server closes one that was not used for a while.
    const fn is_of_the_connection(&self) -> bool {
        matches!(self, Self::Gone(_) | Self::Sender(..) | Self::Said(421, _))
    }

    /// A no that may be meant for the sender: most servers say it when they know the recipient, some when they have the mail.
    const fn may_mean_the_sender(&self) -> bool {
        matches!(self, Self::Sender(code, _) | Self::Said(code, _) if *code >= 500)
    }
}

impl Smtp {
    /// The server of `[mail.smtp]`. Nothing is connected yet.
    ///
    /// # Errors
    /// A sentence: what of the settings is missing or wrong.
    pub fn new(mail: &Mail) -> Result<Self, String> {
        Self::waiting(mail, WAITS)
    }

    fn waiting(mail: &Mail, waits: Waits) -> Result<Self, String> {
        let server = &mail.smtp;
        if server.host.is_empty() {
            return Err("mail.smtp.host is not set: name the server that takes our mail".to_owned());
        }
        let user = server.user.clone();
        let login = match (user, Tokens::new(mail)?) {
            (None, _) => Login::None,
            (Some(user), Some(tokens)) => Login::Token(user, tokens),
            (Some(user), None) => {
                let password = mail.smtp_password.as_ref().or(mail.password.as_ref()).map(Secret::expose);
                let password =
                    password.ok_or("mail.smtp.user is set, and there is no password: set BATON_MAIL_PASSWORD")?;
                Login::Password(Credentials::new(user, password.to_owned()))
            }
        };
        let port = server.port.unwrap_or(match server.tls {
            Tls::Implicit => 465,
            Tls::Starttls => 587,
            Tls::None => 25,
        });
        let parameters = (server.tls != Tls::None).then(|| parameters(mail)).transpose()?;
        Ok(Self(Arc::new(Inner {
            host: server.host.clone(),
            port,
            tls: server.tls,
            parameters,
            hello: hello(mail),
            login,
            signer: mail.dkim.as_ref().map(Signer::new).transpose()?,
            waits,
            takes_tokens: OnceLock::new(),
            idle: Mutex::new(Vec::new()),
        })))
    }

    /// Where it is.
    pub(super) fn place(&self) -> String {
        format!("{}:{}", self.0.host, self.0.port)
    }

    /// Who we say we are to it.
    pub(super) fn hello(&self) -> &ClientId {
        &self.0.hello
    }

    /// A connection that can be used now, and whether it was used before.
    async fn connection(&self) -> Result<(AsyncSmtpConnection, bool), TransportError> {
        let kept = {
            let mut idle = self.0.idle.lock().await;
            idle.retain(|(connection, since)| !connection.has_broken() && since.elapsed() < IDLE_FOR);
            idle.pop()
        };
        match kept {
            Some((connection, _)) => Ok((connection, true)),
            None => Ok((self.connect().await?, false)),
        }
    }

    /// A fresh connection: greeted, secret, logged in. Whatever fails here says nothing about the mail.
    pub(super) async fn connect(&self) -> Result<AsyncSmtpConnection, TransportError> {
        let inner = &self.0;
        let place = self.place();
        let later = |why: String| TransportError::Later(format!("{place}: {why}"));
        let connecting = async {
            let implicit = inner.parameters.clone().filter(|_| inner.tls == Tls::Implicit);
            let server = (inner.host.as_str(), inner.port);
            let mut connection =
                AsyncSmtpConnection::connect_tokio1(server, Some(inner.waits.connect), &inner.hello, implicit, None)
                    .await
                    .map_err(|error| later(words(&error)))?;
            if let (Tls::Starttls, Some(parameters)) = (inner.tls, inner.parameters.clone()) {
                if !connection.can_starttls() {
                    connection.abort().await;
                    return Err(later(
                        "it offers no STARTTLS, so nothing was said to it: look at mail.smtp.tls and mail.smtp.port"
                            .to_owned(),
                    ));
                }
                connection.starttls(parameters, &inner.hello).await.map_err(|error| later(words(&error)))?;
            }
            self.log_in(&mut connection).await.map_err(later)?;
            Ok(connection)
        };
        match timeout(inner.waits.connect, connecting).await {
            Ok(connected) => connected,
            Err(_) => Err(later("it does not answer in time".to_owned())),
        }
    }

    async fn log_in(&self, connection: &mut AsyncSmtpConnection) -> Result<(), String> {
        let (mechanisms, credentials): (&[_], _) = match &self.0.login {
            Login::None => return Ok(()),
            Login::Password(credentials) => (&[Mechanism::Plain, Mechanism::Login], credentials.clone()),
            Login::Token(user, tokens) => {
                let token = tokens.token().await?;
                (&[Mechanism::Xoauth2], Credentials::new(user.clone(), token.expose().to_owned()))
            }
        };
        match connection.auth(mechanisms, &credentials).await {
            Ok(_) => Ok(()),
            Err(error) => {
                if let Login::Token(_, tokens) = &self.0.login {
                    tokens.forget().await;
                }
                let why = words(&error);
                connection.abort().await;
                Err(format!("it does not let us in: {why}. Look at mail.smtp.user and its password"))
            }
        }
    }

    /// Keeps a connection for the next mail.
    async fn keep(&self, mut connection: AsyncSmtpConnection) {
        {
            let mut idle = self.0.idle.lock().await;
            if idle.len() < IDLE {
                idle.push((connection, Instant::now()));
                return;
            }
        }
        end(&mut connection).await;
    }

    /// Everything up to the mail itself: nothing was handed over yet.
    async fn open(
        &self,
        connection: &mut AsyncSmtpConnection,
        from: Option<&Address>,
        to: &Address,
    ) -> Result<(), Failure> {
        let wait = self.0.waits.answer;
        // Refused before it heard for whom: it is about us, and about every mail; unless this one is too large (552).
        let refused = answered(wait, connection.command(MailFrom::new(from.cloned(), Vec::new()))).await;
        refused.map_err(|failure| match failure {
            Failure::Said(code, why) if code != 552 => Failure::Sender(code, why),
            other => other,
        })?;
        answered(wait, connection.command(Rcpt::new(to.clone(), Vec::new()))).await?;
        answered(wait, connection.command(Data)).await
    }

    fn error(&self, failure: Failure) -> TransportError {
        let place = self.place();
        match failure {
            Failure::Gone(why) => TransportError::Later(format!("{place}: {why}")),
            Failure::Sender(code, why) => {
                TransportError::Later(format!("{place}: it takes nothing from us: {code} {why}"))
            }
            Failure::Open(why) => {
                TransportError::Unknown(format!("{place} got all of it and did not say that it has it: {why}"))
            }
            Failure::Said(code, why) if code >= 500 && !OURS.contains(&code) => {
                TransportError::Never(format!("{place} says {code} {why}"))
            }
            Failure::Said(code, why) => TransportError::Later(format!("{place} says {code} {why}")),
        }
    }
}

impl Transport for Smtp {
    async fn send(&self, mail_from: &str, to: &str, raw: &[u8]) -> Result<(), TransportError> {
        let from = (!mail_from.is_empty()).then(|| written(mail_from)).transpose()?;
        let to = written(to)?;
        let signed = match &self.0.signer {
            Some(signer) => signer.sign(raw).map_err(TransportError::Never)?,
            None => raw.to_vec(),
        };
        let mut paths = self.return_paths(from).into_iter().peekable();
        while let Some(path) = paths.next() {
            let failure = match self.hand_over(path.as_ref(), &to, &signed).await? {
                Ok(()) => {
                    self.learn(path.as_ref());
                    return Ok(());
                }
                Err(failure) => failure,
            };
            if paths.peek().is_none() || !failure.may_mean_the_sender() {
                return Err(self.error(failure));
            }
        }
        Err(TransportError::Never("there is no return path".to_owned()))
    }
}

impl Smtp {
    /// The return paths to be tried: the one with the token, by which a bounce finds its mail, and the bare one for servers that let
    /// us be nobody but who logged in.
    fn return_paths(&self, path: Option<Address>) -> Vec<Option<Address>> {
        let bare = path.as_ref().and_then(|path| {
            let (local, _) = path.user().split_once('+')?;
            Address::new(local, path.domain()).ok()
        });
        match (bare, self.0.takes_tokens.get()) {
            (None, _) | (Some(_), Some(true)) => vec![path],
            (Some(bare), Some(false)) => vec![Some(bare)],
            (Some(bare), None) => vec![path, Some(bare)],
        }
    }

    /// A mail with this return path was taken.
    fn learn(&self, path: Option<&Address>) {
        let Some(path) = path else { return };
        let takes = path.user().contains('+');
        // A bare one teaches only if one with a token was refused before: that is the only way it was tried.
        if self.0.takes_tokens.set(takes).is_ok() && !takes {
            tracing::info!(host = %self.0.host, "mail: the server takes mail from our bare address only; bounces are found by what they quote");
        }
    }

    /// One try with one return path. An error of the outer kind says nothing about the mail.
    async fn hand_over(
        &self,
        from: Option<&Address>,
        to: &Address,
        signed: &[u8],
    ) -> Result<Result<(), Failure>, TransportError> {
        let (mut connection, was_used) = self.connection().await?;
        let mut opened = self.open(&mut connection, from, to).await;
        if was_used && opened.as_ref().is_err_and(Failure::is_of_the_connection) {
            connection = self.connect().await?;
            opened = self.open(&mut connection, from, to).await;
        }
        if let Err(failure) = opened {
            end(&mut connection).await;
            return Ok(Err(failure));
        }
        // The pieces are asked for one after the other, each when the one before is written: the end of them is reached
        // only if all were, and before the dot that ends the mail.
        let mut is_whole = false;
        let pieces = signed.chunks(PIECE).map(Some).chain([None]).filter_map(|piece| {
            is_whole |= piece.is_none();
            piece
        });
        let handed = answered(self.0.waits.taken, connection.message_iter(pieces)).await;
        Ok(match handed {
            Ok(()) => {
                self.keep(connection).await;
                Ok(())
            }
            Err(Failure::Gone(why)) if is_whole => Err(Failure::Open(why)),
            Err(failure) => {
                end(&mut connection).await;
                Err(failure)
            }
        })
    }
}

/// Who we say we are: the domain of our address. Names of machines have no dot, mostly, and some servers take none of those.
fn hello(mail: &Mail) -> ClientId {
    let address = mail.address.as_deref().and_then(address::normal).unwrap_or_default();
    match address::domain(&address) {
        "" => ClientId::Domain("localhost".to_owned()),
        domain => ClientId::Domain(domain.to_owned()),
    }
}

/// A piece of a mail.
const PIECE: usize = 32 << 10;

fn written(text: &str) -> Result<Address, TransportError> {
    let sound = text.is_ascii().then(|| text.parse().ok()).flatten();
    sound.ok_or_else(|| TransportError::Never(format!("{text:?} is no mail address that can be written to")))
}

/// What a server answers, within a time.
async fn answered<T>(
    wait: Duration,
    asked: impl Future<Output = Result<T, lettre::transport::smtp::Error>>,
) -> Result<(), Failure> {
    match timeout(wait, asked).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(Failure::of(&error)),
        Err(_) => Err(Failure::Gone("it does not answer in time".to_owned())),
    }
}

/// Says goodbye, if that is quickly done.
async fn end(connection: &mut AsyncSmtpConnection) {
    const GOODBYE: Duration = Duration::from_secs(2);
    if timeout(GOODBYE, connection.abort()).await.is_err() {
        tracing::debug!("a mail server does not say goodbye");
    }
}

fn words(error: &lettre::transport::smtp::Error) -> String {
    match Failure::of(error) {
        Failure::Gone(why) | Failure::Open(why) => why,
        Failure::Sender(code, why) | Failure::Said(code, why) => format!("it says {code} {why}"),
    }
}

/// The roots of the system, and those of `mail.smtp.ca`.
fn parameters(mail: &Mail) -> Result<TlsParameters, String> {
    let server = &mail.smtp;
    let mut builder = TlsParameters::builder(server.host.clone());
    if let Some(path) = &server.ca {
        let shown = path.display();
        let pem = fs::read(path).map_err(|error| format!("mail.smtp.ca {shown} cannot be read: {error}"))?;
        let certificate = Certificate::from_pem(&pem)
            .map_err(|error| format!("mail.smtp.ca {shown} holds no certificates in PEM: {error}"))?;
        builder = builder.add_root_certificate(certificate);
    }
    builder.build().map_err(|error| format!("mail.smtp: TLS cannot be set up: {error}"))
}

#[cfg(test)]
mod tests;
