//! SES's receipt notifications: the mail itself has to be in them (an SNS action, not an S3 action).

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bus_schemas::time::UnixMs;
use serde::Deserialize;

use super::{Mail, Refused, SNS_WINDOW_MS, Said, sns::Message};
use crate::mail::letter::{Delivery, Source};

/// What is read of a notification.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Notification {
    notification_type: String,
    content: Option<String>,
    #[serde(default)]
    mail: About,
    #[serde(default)]
    receipt: Receipt,
}

#[derive(Default, Deserialize)]
struct About {
    source: Option<String>,
}

#[derive(Default, Deserialize)]
struct Receipt {
    #[serde(default)]
    recipients: Vec<String>,
    #[serde(default)]
    action: Action,
}

#[derive(Default, Deserialize)]
struct Action {
    encoding: Option<String>,
}

pub(super) fn read(message: &Message, now: UnixMs) -> Result<Said, Refused> {
    let notification: Notification = match serde_json::from_str(&message.text) {
        Ok(notification) => notification,
        Err(error) => return Ok(Said::Nothing(format!("SNS tells something that is not of SES: {error}"))),
    };
    if notification.notification_type != "Received" {
        return Ok(Said::Nothing(format!("SES tells of {:?}", notification.notification_type)));
    }
    let Some(content) = notification.content.filter(|content| !content.is_empty()) else {
        let why = "the mail is not in the notification: use an SNS action in the receipt rule, without an S3 action";
        return Err(Refused::Later(why.to_owned()));
    };
    let encoding = notification.receipt.action.encoding.unwrap_or_default();
    let raw = if encoding.eq_ignore_ascii_case("base64") {
        let text: String = content.split_whitespace().collect();
        BASE64_STANDARD.decode(text).map_err(|error| Refused::Later(format!("its mail is not in base64: {error}")))?
    } else {
        content.into_bytes()
    };
    let delivery = Delivery {
        source: Source::Ses,
        mail_from: notification.mail.source,
        rcpt_to: notification.receipt.recipients,
        ..Delivery::default()
    };
    let until = UnixMs(now.0.saturating_add_unsigned(SNS_WINDOW_MS));
    Ok(Said::Mail(Mail { raw: raw.into(), delivery, token: Some((message.message_id.clone(), until)) }))
}
