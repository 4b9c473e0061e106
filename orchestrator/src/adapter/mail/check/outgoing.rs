//! The server that takes our mail: connected, secret, let in, and how large a mail may be.

use lettre::transport::smtp::client::AsyncSmtpConnection;

use super::{Finding, Part};
use crate::{adapter::mail::smtp::Smtp, config::Mail};

const PART: Part = Part("smtp", "mail goes out");
const RETURN: Part = Part("return path", "what comes back finds its mail");
const SIZE: Part = Part("size", "diffs and results fit into a mail");
/// What a mail with the largest diff takes: of larger ones, mails hold the beginning.
const WANTED: u64 = 4 * 1024 * 1024;

/// The way out, if mail can be sent. It is the one our mails take: what is wrong here would be wrong with them.
pub(super) async fn look(mail: &Mail, address: &str, findings: &mut Vec<Finding>) -> Option<Smtp> {
    let connected = match Smtp::new(mail) {
        Ok(smtp) => smtp.connect().await.map(|connection| (smtp, connection)).map_err(|error| error.to_string()),
        Err(why) => Err(why),
    };
    let (smtp, mut connection) = match connected {
        Ok(connected) => connected,
        Err(why) => {
            let hint = hint(&why);
            findings.push(PART.wrong(why, hint));
            return None;
        }
    };
    let offers: Vec<String> = match connection.command(format!("EHLO {}\r\n", smtp.hello())).await {
        Ok(said) => said.message().map(str::to_owned).collect(),
        Err(_) => Vec::new(),
    };
    findings.push(let_in(mail, &smtp.place(), &offers));
    findings.extend(size(&offers));
    findings.push(return_path(&mut connection, address).await);
    // It is not needed any more; how it ends does not matter.
    let _ = connection.quit().await;
    Some(smtp)
}

/// Whether the server knows who we are, if it wants to.
fn let_in(mail: &Mail, place: &str, offers: &[String]) -> Finding {
    match &mail.smtp.user {
        Some(user) => PART.ok(format!("{place}, let in as {user}")),
        None if offers.iter().any(|line| line.starts_with("AUTH ")) => PART.warning(
            format!("{place}, without a login, and the server offers logins"),
            "most servers take mail only after one: set mail.smtp.user, and the password in BATON_MAIL_PASSWORD",
        ),
        None => PART.ok(format!("{place}, without a login")),
    }
}

/// How large a mail it takes, if it says so.
fn size(offers: &[String]) -> Option<Finding> {
    let size = offers
        .iter()
        .find_map(|line| line.strip_prefix("SIZE ")?.trim().parse::<u64>().ok())
        .filter(|size| *size > 0)?;
    let mib = size / 1024 / 1024;
    Some(if size < WANTED {
        let hint = "a request with a large diff would be refused: let the server take mails of 4 MiB";
        SIZE.warning(format!("the server takes mails of {mib} MiB at most"), hint)
    } else {
        SIZE.ok(format!("mails of {mib} MiB"))
    })
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
    if has(&["mail.dkim"]) {
        "set mail.dkim.key to a private key in PEM form (RSA of 2048 bits or more, or Ed25519 in PKCS #8)"
    } else if has(&["no password", "does not let us in", "token"]) {
        "look at mail.smtp.user, BATON_MAIL_PASSWORD or BATON_MAIL_SMTP_PASSWORD (some services want a password of its own for a program) and [mail.oauth]"
    } else if has(&["certificate", "unknownissuer", "mail.smtp.ca"]) {
        "mail.smtp.host must be a name its certificate is for; for an authority of your own, set mail.smtp.ca to its PEM file"
    } else if has(&["starttls", "tls", "corrupt message", "incomplete"]) {
        "mail.smtp.tls and mail.smtp.port do not fit together: implicit is 465, starttls is 587"
    } else {
        "look at mail.smtp.host and mail.smtp.port, and whether this machine may connect there"
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
