//! A session with the server: connected, secret, and known to it.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use async_imap::{
    Authenticator, Client, Session,
    error::Error,
    imap_proto::{Response, Status},
    types::Capabilities,
};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::settings::{Access, ImapSettings};
use crate::{adapter::mail::oauth::xoauth2, config::Tls};

/// The longest that is shown of what a server said.
const SHOWN_CHARS: usize = 200;

/// Bytes both ways.
pub(in crate::adapter::mail) trait Io:
    AsyncRead + AsyncWrite + Unpin + Send + fmt::Debug
{
}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + fmt::Debug> Io for T {}

/// A connection, in the clear or not.
pub(in crate::adapter::mail) type Wire = Box<dyn Io>;

/// Why the mailbox cannot be read now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::adapter::mail) enum ImapError {
    /// The server is away, or breaks off.
    #[error("{0}")]
    Lost(String),
    /// It does not let us in, or has no such folder: somebody must do something.
    #[error("{0}")]
    Refused(String),
    /// The store does not take what came.
    #[error("{0}")]
    Store(String),
}

/// Waits for an answer, but not for ever.
pub(in crate::adapter::mail) async fn within<T>(
    what: &str,
    limit: Duration,
    answer: impl Future<Output = Result<T, Error>>,
) -> Result<T, ImapError> {
    match timeout(limit, answer).await {
        Ok(answer) => answer.map_err(|error| failed(what, &error)),
        Err(_) => Err(ImapError::Lost(format!("no answer to {what} within {} s", limit.as_secs()))),
    }
}

pub(super) fn failed(what: &str, error: &Error) -> ImapError {
    let said: String = error.to_string().chars().filter(|c| !c.is_control()).take(SHOWN_CHARS).collect();
    match error {
        Error::No(_) | Error::Bad(_) => ImapError::Refused(format!("the server refuses {what}: {said}")),
        _ => ImapError::Lost(format!("the connection broke at {what}: {said}")),
    }
}

/// A session, and what the server can do.
pub(in crate::adapter::mail) async fn connect(
    settings: &ImapSettings,
) -> Result<(Session<Wire>, Capabilities), ImapError> {
    let limit = settings.timing.command;
    let place = format!("{}:{}", settings.host, settings.port);
    let tcp = match timeout(limit, TcpStream::connect((settings.host.as_str(), settings.port))).await {
        Ok(Ok(tcp)) => tcp,
        Ok(Err(error)) => return Err(ImapError::Lost(format!("{place} cannot be reached: {error}"))),
        Err(_) => return Err(ImapError::Lost(format!("{place} does not answer within {} s", limit.as_secs()))),
    };
    // A small command is not held back for the next one.
    let _ = tcp.set_nodelay(true);
    let mut client = match settings.tls {
        Tls::None => Client::new(Box::new(tcp) as Wire),
        Tls::Implicit => Client::new(secret(settings, tcp).await?),
        Tls::Starttls => {
            let mut client = Client::new(tcp);
            greeting(&mut client, limit).await?;
            within("STARTTLS", limit, client.run_command_and_check_ok("STARTTLS", None)).await?;
            // What was said in the clear before is thrown away with the client.
            Client::new(secret(settings, client.into_inner()).await?)
        }
    };
    if settings.tls != Tls::Starttls {
        greeting(&mut client, limit).await?;
    }
    let mut session = log_in(settings, client).await?;
    let able = within("CAPABILITY", limit, session.capabilities()).await?;
    Ok((session, able))
}

async fn secret(settings: &ImapSettings, tcp: TcpStream) -> Result<Wire, ImapError> {
    let name = ServerName::try_from(settings.host.clone())
        .map_err(|_| ImapError::Refused(format!("mail.imap.host {:?} is no name of a host", settings.host)))?;
    let connector = TlsConnector::from(Arc::clone(&settings.certificates));
    match timeout(settings.timing.command, connector.connect(name, tcp)).await {
        Ok(Ok(wire)) => Ok(Box::new(wire)),
        Ok(Err(error)) => Err(ImapError::Refused(format!(
            "no secret connection to {}:{}: {error}. Look at mail.imap.tls, host (as in its certificate), and ca",
            settings.host, settings.port
        ))),
        Err(_) => Err(ImapError::Lost(format!(
            "{}:{} does not begin TLS: if it speaks STARTTLS, set mail.imap.tls = \"starttls\"",
            settings.host, settings.port
        ))),
    }
}

async fn greeting<T: Io>(client: &mut Client<T>, limit: Duration) -> Result<(), ImapError> {
    let Ok(said) = timeout(limit, client.read_response()).await else {
        return Err(ImapError::Lost(format!(
            "the server does not greet within {} s: if it speaks TLS from the first byte (993, mostly), set mail.imap.tls = \"implicit\"",
            limit.as_secs()
        )));
    };
    let Some(said) = said.map_err(|error| failed("the greeting", &Error::from(error)))? else {
        return Err(ImapError::Lost("the server hangs up at once".to_owned()));
    };
    match said.parsed() {
        Response::Data { status: Status::Ok, .. } => Ok(()),
        _ => Err(ImapError::Lost(
            "the server does not greet as an IMAP server does: look at mail.imap.port and tls".to_owned(),
        )),
    }
}

/// Answers the first question with what it has, and every further one (an explanation why not) with nothing.
struct Once(Option<String>);

impl Authenticator for Once {
    type Response = String;

    fn process(&mut self, _question: &[u8]) -> String {
        self.0.take().unwrap_or_default()
    }
}

async fn log_in(settings: &ImapSettings, client: Client<Wire>) -> Result<Session<Wire>, ImapError> {
    let limit = settings.timing.command;
    let (what, entered) = match &settings.access {
        Access::Tokens(tokens) => {
            let token = tokens.token().await.map_err(ImapError::Lost)?;
            let proof = Once(Some(xoauth2(&settings.user, &token)));
            ("AUTHENTICATE XOAUTH2", timeout(limit, client.authenticate("XOAUTH2", proof)).await)
        }
        // LOGIN takes only plain letters; every server takes it.
        Access::Password(password) if !password.expose().is_ascii() => {
            let proof = Once(Some(format!("\0{}\0{}", settings.user, password.expose())));
            ("AUTHENTICATE PLAIN", timeout(limit, client.authenticate("PLAIN", proof)).await)
        }
        Access::Password(password) => ("LOGIN", timeout(limit, client.login(&settings.user, password.expose())).await),
    };
    match entered {
        Ok(Ok(session)) => Ok(session),
        Ok(Err((error, _))) => {
            if let Access::Tokens(tokens) = &settings.access {
                tokens.forget().await;
            }
            Err(match failed(what, &error) {
                ImapError::Refused(why) => ImapError::Refused(format!(
                    "{why}. Look at mail.imap.user ({}) and BATON_MAIL_PASSWORD; some services want a password for apps, or OAuth",
                    settings.user
                )),
                other => other,
            })
        }
        Err(_) => Err(ImapError::Lost(format!("no answer to {what} within {} s", limit.as_secs()))),
    }
}
