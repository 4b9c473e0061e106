//! The server that takes our mail: connected, secret, let in, and how large a mail may be.

use std::{fs, time::Duration};

use lettre::transport::smtp::{
    authentication::{Credentials, Mechanism},
    client::{AsyncSmtpConnection, Certificate, TlsParameters},
    extension::ClientId,
};

use super::{Finding, Part};
use crate::{
    adapter::mail::oauth::Tokens,
    config::{Mail, Tls},
};

const PART: Part = Part("smtp", "mail goes out");
const RETURN: Part = Part("return path", "what comes back finds its mail");
const SIZE: Part = Part("size", "diffs and results fit into a mail");
/// A server that takes longer is away.
const TIMEOUT: Duration = Duration::from_secs(30);
/// What a mail with a large diff takes.
const WANTED: u64 = 10 * 1024 * 1024;

/// Whether mail can be sent.
pub(super) async fn look(mail: &Mail, address: &str, findings: &mut Vec<Finding>) -> bool {
    let mut connection = match connect(mail, address).await {
        Ok(connection) => connection,
        Err(why) => {
            let hint = hint(&why);
            findings.push(PART.wrong(why, hint));
            return false;
        }
    };
    let (host, port) = (&mail.smtp.host, port(mail));
    let who = mail.smtp.user.as_ref().map_or_else(|| "without a login".to_owned(), |user| format!("let in as {user}"));
    findings.push(PART.ok(format!("{host}:{port}, {who}")));
    if let Ok(said) = connection.command(format!("EHLO {}\r\n", name(address))).await {
        let size = said.message().filter_map(|line| line.strip_prefix("SIZE ")?.trim().parse::<u64>().ok()).next();
        findings.extend(match size {
            Some(size) if size > 0 && size < WANTED => {
                let hint = "larger diffs are cut short in mails; raise the server's limit if people need them whole";
                Some(SIZE.warning(format!("the server takes mails of {} MiB at most", size / 1024 / 1024), hint))
            }
            Some(size) if size > 0 => Some(SIZE.ok(format!("mails of {} MiB", size / 1024 / 1024))),
            _ => None,
        });
    }
    findings.push(return_path(&mut connection, address).await);
    // It is not needed any more; how it ends does not matter.
    let _ = connection.quit().await;
    true
}

/// Whether the server takes mails whose return path has a token: it is asked, and no mail is sent.
async fn return_path(connection: &mut AsyncSmtpConnection, address: &str) -> Finding {
    let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
    let path = format!("{local}+check@{domain}");
    // Most servers say no when they know the recipient.
    for line in [format!("MAIL FROM:<{path}>\r\n"), format!("RCPT TO:<{address}>\r\n")] {
        if let Err(error) = connection.command(line).await {
            return RETURN.warning(
                format!("the server does not take mail from {path}: {}", whole(&error)),
                format!("mail goes out from {address} then, and what comes back is found by what it quotes; let our login send as {local}+anything@{domain}"),
            );
        }
    }
    let _ = connection.command("RSET\r\n").await;
    RETURN.ok(path)
}

/// The way out of what keeps us from sending.
fn hint(why: &str) -> &'static str {
    let small = why.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| small.contains(word));
    if has(&["password is missing", "the login", "token"]) {
        "look at mail.smtp.user, BATON_MAIL_PASSWORD or BATON_MAIL_SMTP_PASSWORD (some services want a password of its own for a program) and [mail.oauth]"
    } else if has(&["certificate", "unknownissuer", "mail.smtp.ca"]) {
        "mail.smtp.host must be a name its certificate is for; for an authority of your own, set mail.smtp.ca to its PEM file"
    } else if has(&["starttls", "tls", "corrupt message", "incomplete"]) {
        "mail.smtp.tls and mail.smtp.port do not fit together: implicit is 465, starttls is 587"
    } else {
        "look at mail.smtp.host and mail.smtp.port, and whether this machine may connect there"
    }
}

fn name(address: &str) -> &str {
    address.rsplit_once('@').map_or("localhost", |(_, domain)| domain)
}

fn port(mail: &Mail) -> u16 {
    mail.smtp.port.unwrap_or(match mail.smtp.tls {
        Tls::Implicit => 465,
        Tls::Starttls => 587,
        Tls::None => 25,
    })
}

/// A connection that is let in.
pub(super) async fn connect(mail: &Mail, address: &str) -> Result<AsyncSmtpConnection, String> {
    let smtp = &mail.smtp;
    let place = format!("{}:{}", smtp.host, port(mail));
    let hello = ClientId::Domain(name(address).to_owned());
    let server = (smtp.host.as_str(), port(mail));
    let parameters = if smtp.tls == Tls::None { None } else { Some(parameters(mail)?) };
    let at_once = parameters.clone().filter(|_| smtp.tls == Tls::Implicit);
    let connecting = AsyncSmtpConnection::connect_tokio1(server, Some(TIMEOUT), &hello, at_once, None);
    let mut connection = within(&place, "the connection", Box::pin(connecting)).await?;
    if let Some(parameters) = parameters.filter(|_| smtp.tls == Tls::Starttls) {
        if !connection.can_starttls() {
            return Err(format!(
                "{place} does not offer STARTTLS: if it speaks TLS at once (465), set mail.smtp.tls = \"implicit\""
            ));
        }
        within(&place, "STARTTLS", Box::pin(connection.starttls(parameters, &hello))).await?;
    }
    let Some(user) = &smtp.user else { return Ok(connection) };
    let (secret, mechanisms) = match Tokens::new(mail)? {
        Some(tokens) => (tokens.token().await?, vec![Mechanism::Xoauth2]),
        None => {
            let secret = mail.smtp_password.as_ref().or(mail.password.as_ref()).cloned();
            let missing = || "the password is missing: set BATON_MAIL_PASSWORD or BATON_MAIL_SMTP_PASSWORD".to_owned();
            (secret.ok_or_else(missing)?, vec![Mechanism::Plain, Mechanism::Login])
        }
    };
    let credentials = Credentials::new(user.clone(), secret.expose().to_owned());
    within(&place, "the login", Box::pin(connection.auth(&mechanisms, &credentials))).await?;
    Ok(connection)
}

fn parameters(mail: &Mail) -> Result<TlsParameters, String> {
    let mut builder = TlsParameters::builder(mail.smtp.host.clone());
    if let Some(ca) = &mail.smtp.ca {
        let pem = fs::read(ca).map_err(|error| format!("mail.smtp.ca {}: {error}", ca.display()))?;
        let certificate =
            Certificate::from_pem(&pem).map_err(|error| format!("mail.smtp.ca {}: {error}", ca.display()))?;
        builder = builder.add_root_certificate(certificate);
    }
    builder.build_rustls().map_err(|error| format!("mail.smtp: {error}"))
}

pub(super) async fn within<T, E: std::error::Error>(
    place: &str,
    what: &str,
    answer: impl Future<Output = Result<T, E>>,
) -> Result<T, String> {
    match tokio::time::timeout(TIMEOUT, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(format!("{place}: {what}: {}", whole(&error))),
        Err(_) => Err(format!("{place}: {what}: no answer within {} s", TIMEOUT.as_secs())),
    }
}

/// An error with its causes.
fn whole(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !said.contains(&next) {
            said = format!("{said}: {next}");
        }
        cause = error.source();
    }
    said
}
