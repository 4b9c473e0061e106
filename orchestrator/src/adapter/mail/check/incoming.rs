//! The mailbox: connected, secret, let in, and the folder there.

use async_imap::Session;
use futures::TryStreamExt as _;

use super::{Finding, Part};
use crate::{
    adapter::mail::imap::{ImapSettings, Wire, connect, within},
    config::{Mail, Tls},
};

pub(super) const PART: Part = Part("imap", "mail comes in");
const FOLDER: Part = Part("folder", "the mailbox that is read");
const WEBHOOKS: Part = Part("webhooks", "mail comes in");
/// The most folders that are named.
const NAMED: usize = 12;
const IDLE: Part = Part("idle", "mail is seen the moment it comes");

/// Whether mail can be read.
pub(super) async fn look(settings: &ImapSettings, findings: &mut Vec<Finding>) -> bool {
    let place = format!("{}:{}", settings.host, settings.port);
    let (mut session, able) = match connect(settings).await {
        Ok(connected) => connected,
        Err(error) => {
            findings.push(PART.wrong(error.to_string(), "look at [mail.imap]: host, port, tls, ca, user"));
            return false;
        }
    };
    let how = match settings.tls {
        Tls::Implicit => "TLS",
        Tls::Starttls => "STARTTLS",
        Tls::None => "in the clear, on this machine",
    };
    findings.push(PART.ok(format!("{place} ({how}), let in as {}", settings.user)));
    let is_open = folder(settings, &mut session, findings).await;
    findings.push(if able.has_str("IDLE") {
        IDLE.ok("the server tells news at once")
    } else {
        let seconds = settings.timing.poll.as_secs();
        IDLE.warning(format!("the server cannot: it is asked every {seconds} s"), "nothing, or another server")
    });
    // It is not needed any more; how it ends does not matter.
    let _ = within("LOGOUT", settings.timing.command, session.logout()).await;
    is_open
}

async fn folder(settings: &ImapSettings, session: &mut Session<Wire>, findings: &mut Vec<Finding>) -> bool {
    match within("SELECT", settings.timing.command, session.select(&settings.folder)).await {
        Ok(selected) if selected.uid_validity.is_none() => {
            findings
                .push(FOLDER.wrong("it has no UIDVALIDITY: it cannot be followed", "use another folder (mail.folder)"));
            false
        }
        Ok(selected) => {
            findings.push(FOLDER.ok(format!("{}: {} mails", settings.folder, selected.exists)));
            true
        }
        Err(error) => {
            let said = format!("{} cannot be opened: {error}", settings.folder);
            findings.push(
                FOLDER.wrong(
                    said,
                    format!("set mail.folder to a folder that is there: {}", there(settings, session).await),
                ),
            );
            false
        }
    }
}

/// The folders that are there.
async fn there(settings: &ImapSettings, session: &mut Session<Wire>) -> String {
    let list = async {
        let names: Vec<_> = session.list(Some(""), Some("*")).await?.try_collect().await?;
        Ok(names)
    };
    let names = within("LIST", settings.timing.command, list).await.unwrap_or_default();
    let shown = |name: &str| name.chars().filter(|c| !c.is_control()).take(60).collect::<String>();
    let mut names: Vec<String> = names.iter().map(|name| shown(name.name())).collect();
    names.sort();
    let more = if names.len() > NAMED { ", …" } else { "" };
    names.truncate(NAMED);
    if names.is_empty() { "INBOX".to_owned() } else { names.join(", ") + more }
}

/// Where there is no mailbox: which services may hand mail on.
pub(super) fn webhooks(mail: &Mail, findings: &mut Vec<Finding>) {
    let keys = &mail.webhooks;
    let services = [
        ("postmark", keys.postmark.is_some()),
        ("mailgun", keys.mailgun.is_some()),
        ("sendgrid", keys.sendgrid.is_some()),
        ("ses", keys.ses.is_some()),
    ];
    let known: Vec<&str> = services.iter().filter(|(_, has_key)| *has_key).map(|(name, _)| *name).collect();
    findings.push(match (known.as_slice(), mail.listen) {
        ([], _) => WEBHOOKS.wrong(
            "there is neither a mailbox nor a service that may hand mail on: nothing comes in",
            "set [mail.imap], or a key in [mail.webhooks]",
        ),
        (_, None) => WEBHOOKS.wrong("mail.listen is not set: no service gets through", "set mail.listen"),
        (known, Some(at)) => WEBHOOKS.warning(
            format!(
                "{} at {at}; there is no mailbox, so it cannot be seen from here whether mail comes in",
                known.join(", ")
            ),
            "write a mail to our address, and look at `baton mail log`",
        ),
    });
}
