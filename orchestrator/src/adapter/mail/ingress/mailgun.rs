//! Mailgun: a form, and an HMAC over a time and a token in it, which does not cover the mail.

use bus_schemas::time::UnixMs;
use bytes::Bytes;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::{Mail, Refused, Said, WINDOW_MS, form::Form, fresh};
use crate::{
    config::Secret,
    mail::letter::{Delivery, Source},
};

/// A token, at most: Mailgun's have 50 characters.
const TOKEN: usize = 200;

pub(super) fn read(secret: &Secret, content_type: Option<&str>, body: &[u8], now: UnixMs) -> Result<Said, Refused> {
    let form = Form::read(content_type, body)?;
    let forged = |why: &str| Refused::Forged(why.to_owned());
    let signed = (form.text("timestamp"), form.text("token"), form.text("signature"));
    let (Some(timestamp), Some(token), Some(signature)) = signed else { return Err(forged("it is not signed")) };
    if token.is_empty() || token.len() > TOKEN {
        return Err(forged("its token is none of Mailgun's"));
    }
    let wrong =
        || forged("the signature is not right: compare mail.webhooks.mailgun with the HTTP webhook signing key");
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).map_err(|_| wrong())?;
    mac.update(timestamp.as_bytes());
    mac.update(token.as_bytes());
    // In constant time.
    mac.verify_slice(&unhex(signature).ok_or_else(wrong)?).map_err(|_| wrong())?;
    let at = fresh(timestamp, now)?;
    let Some(raw) = form.bytes("body-mime").filter(|raw| !raw.is_empty()) else {
        let why = "the whole mail is not in it: let the route forward to an address that ends with /in/mailgun/mime";
        return Err(Refused::Later(why.to_owned()));
    };
    let delivery = Delivery {
        source: Source::Mailgun,
        mail_from: form.text("sender").map(str::to_owned),
        rcpt_to: recipients(form.text("recipient").unwrap_or_default()),
        ..Delivery::default()
    };
    let until = UnixMs(at.0.saturating_add_unsigned(2 * WINDOW_MS));
    Ok(Said::Mail(Mail { raw: Bytes::copy_from_slice(raw), delivery, token: Some((token.to_owned(), until)) }))
}

fn recipients(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|address| !address.is_empty()).map(str::to_owned).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    text.as_bytes()
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => u8::try_from(digit(*high)? * 16 + digit(*low)?).ok(),
            _ => None,
        })
        .collect()
}
