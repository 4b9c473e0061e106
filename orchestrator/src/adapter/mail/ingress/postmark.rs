//! Postmark: JSON, and a password in the webhook's address. The whole mail is in it where the server's settings say so.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::{Mail, Refused, Said};
use crate::{
    config::Secret,
    mail::letter::{Delivery, Source},
};

/// What is read of it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inbound {
    raw_email: Option<String>,
    original_recipient: Option<String>,
}

/// Whether the header `Authorization` has the right user and password.
pub(super) fn check(secret: &Secret, authorization: Option<&str>) -> Result<(), Refused> {
    let forged = |why: &str| Refused::Forged(why.to_owned());
    let (scheme, given) = authorization.and_then(|text| text.split_once(' ')).ok_or_else(|| forged("no password"))?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(forged("not HTTP Basic"));
    }
    let given = BASE64_STANDARD.decode(given.trim()).map_err(|_| forged("the password is not in base64"))?;
    // Digests are compared, so that the time taken says nothing about the password.
    if Sha256::digest(&given) != Sha256::digest(secret.expose().as_bytes()) {
        return Err(forged("wrong user or password: compare mail.webhooks.postmark with the webhook's address"));
    }
    Ok(())
}

pub(super) fn read(body: &[u8]) -> Result<Said, Refused> {
    let inbound: Inbound =
        serde_json::from_slice(body).map_err(|error| Refused::Later(format!("it cannot be read: {error}")))?;
    let Some(raw) = inbound.raw_email.filter(|raw| !raw.is_empty()) else {
        let why = "the whole mail is not in it: switch on \"Include raw email content in JSON payload\" for the inbound stream";
        return Err(Refused::Later(why.to_owned()));
    };
    // Postmark does not say who the envelope's sender was; headers that say so are anybody's.
    let delivery = Delivery {
        source: Source::Postmark,
        rcpt_to: inbound.original_recipient.into_iter().filter(|address| !address.is_empty()).collect(),
        ..Delivery::default()
    };
    Ok(Said::Mail(Mail { raw: raw.into(), delivery, token: None }))
}
