//! Messages of SNS: which topic, really from Amazon. The certificate that proves it is got from SNS of the topic's own region.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bus_schemas::time::UnixMs;
use ring::signature::{RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::{Fetch, Refused, SNS_WINDOW_MS, Said, WINDOW_MS, certificate::Certificate, off_the_clock};

/// Certificates that are kept.
const CERTIFICATES: usize = 16;
/// Certificates that are got at the same time.
const AT_ONCE: usize = 2;

/// A message.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Message {
    #[serde(rename = "Type")]
    pub(super) kind: String,
    pub(super) message_id: String,
    topic_arn: String,
    subject: Option<String>,
    #[serde(rename = "Message")]
    pub(super) text: String,
    timestamp: String,
    signature_version: String,
    signature: String,
    #[serde(rename = "SigningCertURL")]
    certificate_url: String,
    #[serde(rename = "SubscribeURL")]
    subscribe_url: Option<String>,
    token: Option<String>,
}

/// The header in which SNS names the topic.
pub(super) const TOPIC: &str = "x-amz-sns-topic-arn";

/// Whether a message says to be of our topic, by its header: nothing else is read.
pub(super) fn is_of(topic: &str, said: Option<&str>) -> Result<(), Refused> {
    match said {
        Some(said) if said == topic => Ok(()),
        Some(said) => Err(Refused::Forged(format!("it is of the topic {said:?}, not of mail.webhooks.ses"))),
        None => Err(Refused::Forged(format!("it has no header {TOPIC}, which SNS writes"))),
    }
}

/// Reads a message of a topic. Nothing in it is believed yet.
pub(super) fn read(body: &[u8], topic: &str) -> Result<Message, Refused> {
    let message: Message =
        serde_json::from_slice(body).map_err(|error| Refused::Forged(format!("it is no message of SNS: {error}")))?;
    if message.topic_arn != topic {
        let why = format!("it is of the topic {:?}, not of mail.webhooks.ses", message.topic_arn);
        return Err(Refused::Forged(why));
    }
    Ok(message)
}

/// Certificates that were got before, by their addresses.
pub(super) struct Certificates {
    known: Mutex<HashMap<String, Certificate>>,
    under_way: Semaphore,
}

impl Default for Certificates {
    fn default() -> Self {
        Self { known: Mutex::default(), under_way: Semaphore::new(AT_ONCE) }
    }
}

impl Certificates {
    /// Whether a message is Amazon's, and of now.
    pub(super) async fn check<F: Fetch>(
        &self,
        fetch: &F,
        message: &Message,
        topic: &str,
        now: UnixMs,
    ) -> Result<(), Refused> {
        let forged = |why: &str| Refused::Forged(why.to_owned());
        let signature = BASE64_STANDARD.decode(&message.signature).map_err(|_| forged("it is not signed"))?;
        let algorithm = match message.signature_version.as_str() {
            "1" => &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
            "2" => &RSA_PKCS1_2048_8192_SHA256,
            _ => return Err(forged("it is signed in a way that is not known")),
        };
        if !is_certificate(&message.certificate_url, topic) {
            return Err(Refused::Forged(format!("its certificate is not SNS's: {:?}", message.certificate_url)));
        }
        let certificate = self.get(fetch, &message.certificate_url).await?;
        if !certificate.is_good(now) {
            return Err(forged("its certificate is not good now"));
        }
        UnparsedPublicKey::new(algorithm, &certificate.key)
            .verify(signed(message).as_bytes(), &signature)
            .map_err(|_| forged("the signature is not right"))?;
        let at = message.timestamp.parse::<jiff::Timestamp>().map_err(|_| forged("its time cannot be read"))?;
        let at = UnixMs(at.as_millisecond());
        if now.0.saturating_sub_unsigned(SNS_WINDOW_MS) > at.0 || at.0 > now.0.saturating_add_unsigned(WINDOW_MS) {
            return Err(off_the_clock(at, now));
        }
        Ok(())
    }

    async fn get<F: Fetch>(&self, fetch: &F, url: &str) -> Result<Certificate, Refused> {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(certificate) = known().get(url) {
            return Ok(certificate.clone());
        }
        let busy = || Refused::Later("other certificates of SNS are being got".to_owned());
        let _turn = self.under_way.try_acquire().map_err(|_| busy())?;
        let pem = fetch.get(url).await.map_err(Refused::Later)?;
        let certificate = Certificate::read(&pem)
            .ok_or_else(|| Refused::Later(format!("{url} is no certificate with an RSA key")))?;
        let mut known = known();
        if known.len() >= CERTIFICATES {
            known.clear();
        }
        known.insert(url.to_owned(), certificate.clone());
        Ok(certificate)
    }
}

/// What is signed: names and values, a line each, in this order.
fn signed(message: &Message) -> String {
    let is_notification = message.kind == "Notification";
    let fields = [
        ("Message", Some(&message.text)),
        ("MessageId", Some(&message.message_id)),
        ("Subject", message.subject.as_ref().filter(|_| is_notification)),
        ("SubscribeURL", message.subscribe_url.as_ref().filter(|_| !is_notification)),
        ("Timestamp", Some(&message.timestamp)),
        ("Token", message.token.as_ref().filter(|_| !is_notification)),
        ("TopicArn", Some(&message.topic_arn)),
        ("Type", Some(&message.kind)),
    ];
    fields.iter().filter_map(|(name, value)| value.map(|value| format!("{name}\n{value}\n"))).collect()
}

/// The host of SNS in a topic's region: `arn:aws:sns:eu-west-1:123456789012:mail`.
fn host(topic: &str) -> Option<String> {
    let mut parts = topic.split(':');
    let (partition, region) = (parts.nth(1)?, parts.nth(1)?);
    let is_region =
        !region.is_empty() && region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let end = if partition == "aws-cn" { ".cn" } else { "" };
    is_region.then(|| format!("sns.{region}.amazonaws.com{end}"))
}

/// What follows the host of an `https` address of SNS in the topic's region.
fn path<'a>(url: &'a str, topic: &str) -> Option<&'a str> {
    url.strip_prefix("https://")?.strip_prefix(host(topic)?.as_str()).filter(|path| path.starts_with('/'))
}

fn is_certificate(url: &str, topic: &str) -> bool {
    let name = path(url, topic).and_then(|path| path.strip_prefix("/SimpleNotificationService-")?.strip_suffix(".pem"));
    name.is_some_and(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// Takes up a subscription of our topic.
pub(super) async fn confirm<F: Fetch>(fetch: &F, message: &Message, topic: &str) -> Result<Said, Refused> {
    let url = message.subscribe_url.as_deref().unwrap_or_default();
    if !path(url, topic).is_some_and(|path| path.starts_with("/?")) {
        return Err(Refused::Forged(format!("its confirmation is not at SNS: {url:?}")));
    }
    fetch.get(url).await.map_err(Refused::Later)?;
    Ok(Said::Nothing(format!("the subscription of {topic} is confirmed")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:mail";

    #[test]
    fn only_sns_of_the_topics_region_is_asked() {
        let good = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-56e67fcb41f6fec09b0196692625d385.pem";
        assert!(is_certificate(good, TOPIC));
        assert!(is_certificate(
            "https://sns.cn-north-1.amazonaws.com.cn/SimpleNotificationService-ab.pem",
            "arn:aws-cn:sns:cn-north-1:1:x"
        ));
        for bad in [
            "http://sns.eu-west-1.amazonaws.com/SimpleNotificationService-ab.pem",
            "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-ab.pem",
            "https://sns.eu-west-1.amazonaws.com.evil.example/SimpleNotificationService-ab.pem",
            "https://sns.eu-west-1.amazonaws.com@evil.example/SimpleNotificationService-ab.pem",
            "https://sns.eu-west-1.amazonaws.com:444/SimpleNotificationService-ab.pem",
            "https://user@sns.eu-west-1.amazonaws.com/SimpleNotificationService-ab.pem",
            "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-.pem",
            "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-a/../b.pem",
            "https://sns.eu-west-1.amazonaws.com/x?/SimpleNotificationService-ab.pem",
            "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-ab.pem?x",
            "https://evil.s3.amazonaws.com/SimpleNotificationService-ab.pem",
            "",
        ] {
            assert!(!is_certificate(bad, TOPIC), "{bad}");
        }
        for topic in ["", "arn", "arn:aws:sns::1:x", "arn:aws:sns:evil.example/:1:x", "arn:aws:sns:EU@:1:x"] {
            assert_eq!(host(topic), None, "{topic}");
        }
    }

    #[test]
    fn what_is_signed_is_as_documented() {
        let message = Message {
            kind: "Notification".to_owned(),
            message_id: "m".to_owned(),
            topic_arn: "t".to_owned(),
            subject: Some("s".to_owned()),
            text: "a\nb".to_owned(),
            timestamp: "now".to_owned(),
            subscribe_url: Some("u".to_owned()),
            token: Some("k".to_owned()),
            ..Message::default()
        };
        assert_eq!(
            signed(&message),
            "Message\na\nb\nMessageId\nm\nSubject\ns\nTimestamp\nnow\nTopicArn\nt\nType\nNotification\n"
        );
        let confirm = Message { kind: "SubscriptionConfirmation".to_owned(), ..message };
        assert_eq!(
            signed(&confirm),
            "Message\na\nb\nMessageId\nm\nSubscribeURL\nu\nTimestamp\nnow\nToken\nk\nTopicArn\nt\nType\nSubscriptionConfirmation\n"
        );
    }
}
