//! The mailbox: connected, secret, let in, and the folder there.

use async_imap::Session;

use super::{Finding, Part};
use crate::{
    adapter::mail::imap::{ImapSettings, Wire, connect, within},
    config::Tls,
};

pub(super) const PART: Part = Part("imap", "mail comes in");
const FOLDER: Part = Part("folder", "the mailbox that is read");
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
            findings.push(FOLDER.wrong(error.to_string(), "set mail.folder to a folder that is there: INBOX"));
            false
        }
    }
}
