//! A mail to ourselves: it goes out, comes in with what stands behind the `+`, and would be believed.

use bytes::Bytes;
use futures::TryStreamExt as _;
use lettre::{
    Address,
    message::{Mailbox, MessageBuilder},
};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{Finding, Part};
use crate::{
    adapter::mail::{
        Authentic, Transport as _, Verifier as _,
        auth::MailAuth,
        imap::{ImapSettings, connect, within},
        smtp::Smtp,
    },
    config::Mail,
    mail::letter::{self, Delivery},
};

const PART: Part = Part("round trip", "a mail of ours arrives, with its token, and is genuine");
/// How often the mailbox is looked at.
const EVERY_MS: u64 = 1_000;

/// Sends one, signed if ours are, and waits for it.
pub(super) async fn take(mail: &Mail, address: &str, smtp: &Smtp, settings: &ImapSettings) -> Finding {
    let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
    let id = Uuid::now_v7().simple().to_string();
    let to = format!("{local}+check{id}@{domain}");
    let raw = match written(mail, address, &to, &id, domain) {
        Ok(raw) => raw,
        Err(why) => return PART.wrong(why, "look at mail.address and mail.name"),
    };
    if let Err(why) = smtp.send(&to, &to, &raw).await {
        return PART
            .wrong(format!("not sent: {why}"), "the server that takes our mail must take mail to our own address");
    }
    match arrival(settings, &id).await {
        Ok(Some(found)) => judged(mail, address, &found).await,
        Ok(None) => PART.wrong(
            format!("sent to {to}, and not in {} after {} s", settings.folder, settings.timing.command.as_secs()),
            "what is written to address+anything@ must arrive, too: switch plus-addressing on (Postfix: recipient_delimiter = +), and \
             look into the spam folder and at greylisting",
        ),
        Err(why) => PART.wrong(why, "look at [mail.imap]"),
    }
}

fn written(mail: &Mail, address: &str, to: &str, id: &str, domain: &str) -> Result<Vec<u8>, String> {
    let bad = |error: &dyn std::fmt::Display| format!("{address} cannot be written to: {error}");
    let parse = |text: &str| text.parse::<Address>().map_err(|error| bad(&error));
    let message = MessageBuilder::new()
        .from(Mailbox::new(Some(mail.name.clone()), parse(address)?))
        .to(Mailbox::new(None, parse(to)?))
        .subject("Baton checks its mail")
        .message_id(Some(format!("<{id}@baton.{domain}>")))
        .date_now()
        .raw_header(auto_submitted())
        .body(
            "This mail was sent by `baton mail check` to see whether it arrives. Nothing is to be done.\r\n".to_owned(),
        )
        .map_err(|error| bad(&error))?;
    Ok(message.formatted())
}

fn auto_submitted() -> lettre::message::header::HeaderValue {
    let name = lettre::message::header::HeaderName::new_from_ascii_str("Auto-Submitted");
    lettre::message::header::HeaderValue::new(name, "auto-generated".to_owned())
}

/// The mail, once it is there; it is marked as seen.
async fn arrival(settings: &ImapSettings, id: &str) -> Result<Option<Bytes>, String> {
    let limit = settings.timing.command;
    let until = Instant::now() + limit;
    let (mut session, _) = connect(settings).await.map_err(|error| error.to_string())?;
    loop {
        let look = async {
            session.select(&settings.folder).await?;
            let found = session.uid_search(format!("HEADER Message-ID {id}")).await?;
            let Some(uid) = found.into_iter().max() else { return Ok(None) };
            let fetched: Vec<_> = session.uid_fetch(uid.to_string(), "(UID BODY.PEEK[])").await?.try_collect().await?;
            Ok(fetched.iter().find_map(|one| one.body()).map(Bytes::copy_from_slice))
        };
        if let Some(raw) = within("the look into the mailbox", limit, look).await.map_err(|error| error.to_string())? {
            let _ = within("LOGOUT", limit, session.logout()).await;
            return Ok(Some(raw));
        }
        if Instant::now() >= until {
            return Ok(None);
        }
        sleep(settings.timing.poll.min(std::time::Duration::from_millis(EVERY_MS))).await;
    }
}

/// Whether others would believe it: we ask as strictly as we ask about theirs.
async fn judged(mail: &Mail, address: &str, raw: &[u8]) -> Finding {
    let arrived = "it came back, with what stands behind the +";
    let looked = MailAuth::new(&mail.dns, &mail.trusted_results, &mail.trusted_received, address);
    let verifier = match looked {
        Ok(verifier) => verifier,
        Err(why) => {
            return PART.warning(format!("{arrived}; whether it is genuine is not known: {why}"), "set mail.dns");
        }
    };
    match verifier.verify(raw, &letter::read(raw), &Delivery::default()).await {
        Authentic::Yes(how) => PART.ok(format!("{arrived}; genuine: {how}")),
        Authentic::No(why) | Authentic::Unknown(why) => PART.warning(
            format!("{arrived}; whether it is ours cannot be seen: {why}"),
            "mail that stays within one server is often not signed; write to somebody elsewhere, and look at its source there",
        ),
    }
}
