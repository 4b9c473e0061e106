//! SendGrid's Inbound Parse: a form, and an ECDSA signature (P-256) over a time and the whole body.

use axum::http::HeaderMap;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bus_schemas::time::UnixMs;
use bytes::Bytes;
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use serde::Deserialize;

use super::{Mail, Refused, Said, form::Form, fresh, text};
use crate::mail::letter::{Delivery, Source};

/// The header with the signature.
pub(super) const SIGNATURE: &str = "x-twilio-email-event-webhook-signature";
/// The header with its time.
pub(super) const TIMESTAMP: &str = "x-twilio-email-event-webhook-timestamp";
/// What stands before the point of a P-256 key (RFC 5480): an EC key, on prime256v1, 65 bytes of a bit string.
const P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// The envelope, as JSON in a field.
#[derive(Default, Deserialize)]
struct Envelope {
    from: Option<String>,
    #[serde(default)]
    to: Vec<String>,
}

/// The longest signature (two numbers of 33 bytes, and what is around them).
const LONGEST: usize = 72;

/// What is to be checked once the body is there.
#[derive(Debug)]
pub(super) struct Signed {
    timestamp: String,
    signature: Vec<u8>,
    point: Vec<u8>,
}

/// What its headers say about its signature: that there is one, of these minutes.
pub(super) fn signed(key: &str, headers: &HeaderMap, now: UnixMs) -> Result<Signed, Refused> {
    let forged = |why: &str| Refused::Forged(why.to_owned());
    let (Some(timestamp), Some(signature)) = (text(headers, TIMESTAMP), text(headers, SIGNATURE)) else {
        return Err(forged("it is not signed"));
    };
    let signature = BASE64_STANDARD.decode(signature).map_err(|_| forged("the signature is not in base64"))?;
    if signature.is_empty() || signature.len() > LONGEST {
        return Err(forged("the signature is none of P-256"));
    }
    let point = point(key).ok_or_else(|| {
        Refused::Later(
            "mail.webhooks.sendgrid is not a public key: take the base64 text of the security policy".to_owned(),
        )
    })?;
    fresh(timestamp, now)?;
    Ok(Signed { timestamp: timestamp.to_owned(), signature, point })
}

impl Signed {
    /// Whether this was signed.
    pub(super) fn check(&self, body: &[u8]) -> Result<(), Refused> {
        let mut message = Vec::with_capacity(self.timestamp.len() + body.len());
        message.extend_from_slice(self.timestamp.as_bytes());
        message.extend_from_slice(body);
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.point);
        key.verify(&message, &self.signature).map_err(|_| {
            Refused::Forged(
                "the signature is not right: compare mail.webhooks.sendgrid with the security policy's public key"
                    .to_owned(),
            )
        })
    }
}

/// The point of a public key: base64 of a `SubjectPublicKeyInfo`, with or without the lines of PEM.
fn point(key: &str) -> Option<Vec<u8>> {
    let text: String = key.lines().filter(|line| !line.starts_with("-----")).flat_map(str::split_whitespace).collect();
    let der = BASE64_STANDARD.decode(text).ok()?;
    der.strip_prefix(&P256).filter(|point| point.len() == 65).map(<[u8]>::to_vec)
}

pub(super) fn read(content_type: Option<&str>, body: &[u8]) -> Result<Said, Refused> {
    let later = |why: String| Refused::Later(why);
    let form = Form::read(content_type, body).map_err(|refused| later(format!("{refused:?}")))?;
    let Some(raw) = form.bytes("email").filter(|raw| !raw.is_empty()) else {
        let why = "the whole mail is not in it: switch on \"POST the raw, full MIME message\"";
        return Err(later(why.to_owned()));
    };
    // Without a readable envelope the mail is still a mail; it only has to prove itself without it.
    let envelope: Envelope = form.text("envelope").and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let delivery = Delivery {
        source: Source::Sendgrid,
        mail_from: envelope.from,
        rcpt_to: envelope.to,
        client_ip: form.text("sender_ip").and_then(|text| text.trim().parse().ok()),
        helo: None,
        is_stub: false,
    };
    // The signature covers the mail: sent again, it is the mail that is known.
    Ok(Said::Mail(Mail { raw: Bytes::copy_from_slice(raw), delivery, token: None }))
}
