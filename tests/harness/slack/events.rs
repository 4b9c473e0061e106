//! The HTTP Events API: what is sent to the app's own address, with Slack's signature.

use std::{sync::Arc, time::Instant};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::oneshot;

use super::{
    Ack, SIGNING_SECRET, Shared, Slack, THREE_SECONDS,
    state::{APP, BOT, Effect, State, TEAM, Waiting},
};
use crate::hostsim::now;

/// How often an event is sent in all.
const MAX_TRIES: u64 = 4;
/// The block size of SHA-256, in bytes.
const BLOCK: usize = 64;

/// How the app answered a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: String,
}

impl State {
    /// An event, wrapped as events are.
    pub(super) fn event(&mut self, event: Value) -> Value {
        let id = self.fresh("Ev");
        json!({
            "token": "verification", "team_id": TEAM, "api_app_id": APP, "event": event, "type": "event_callback",
            "event_id": id, "event_time": now().0 / 1_000, "is_ext_shared_channel": false,
            "authorizations": [{ "enterprise_id": null, "team_id": TEAM, "user_id": BOT, "is_bot": true,
                "is_enterprise_install": false }],
        })
    }
}

/// HMAC-SHA256 (RFC 2104), in lower-case hex.
pub(super) fn hmac(key: &[u8], message: &[u8]) -> String {
    let mut block = [0_u8; BLOCK];
    let short = if key.len() > BLOCK { Sha256::digest(key).to_vec() } else { key.to_vec() };
    block.iter_mut().zip(short).for_each(|(into, byte)| *into = byte);
    let pad = |with: u8| block.map(|byte| byte ^ with);
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(message).finalize();
    let outer = Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize();
    outer.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The signature of a body sent at this second.
#[must_use]
pub(super) fn signature(secret: &str, second: i64, body: &str) -> String {
    format!("v0={}", hmac(secret.as_bytes(), format!("v0:{second}:{body}").as_bytes()))
}

/// The body of an envelope, and its content type.
pub(super) fn body(envelope: &Value) -> (String, &'static str) {
    let payload = &envelope["payload"];
    match envelope["type"].as_str() {
        Some("interactive") => (format!("payload={}", encode(&payload.to_string())), FORM),
        Some("slash_commands") => {
            let fields = payload.as_object().into_iter().flatten();
            let pair =
                |(key, value): (&String, &Value)| format!("{key}={}", encode(value.as_str().unwrap_or_default()));
            (fields.map(pair).collect::<Vec<String>>().join("&"), FORM)
        }
        _ => (payload.to_string(), "application/json"),
    }
}

const FORM: &str = "application/x-www-form-urlencoded";

fn encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// Sends an envelope as requests, until one is taken.
pub(super) async fn post(
    shared: Arc<Shared>,
    url: String,
    mut envelope: Value,
    effect: Effect,
    told: oneshot::Sender<Ack>,
) {
    let id = envelope["envelope_id"].as_str().unwrap_or_default().to_owned();
    let tries = if envelope["type"] == "events_api" { MAX_TRIES } else { 1 };
    let (body, kind) = body(&envelope);
    let mut outcome = Ack::Lost;
    for number in 0..tries {
        let sent = Instant::now();
        let second = now().0 / 1_000;
        let mut request = shared.http.post(&url).header("content-type", kind).body(body.clone());
        request = request.header("x-slack-request-timestamp", second.to_string());
        request = request.header("x-slack-signature", signature(SIGNING_SECRET, second, &body));
        if number > 0 {
            envelope["retry_attempt"] = number.into();
            request =
                request.header("x-slack-retry-num", number.to_string()).header("x-slack-retry-reason", "http_error");
        }
        let answered = tokio::time::timeout(THREE_SECONDS, async {
            let answer = request.send().await?.error_for_status()?;
            answer.text().await
        });
        match answered.await {
            Ok(Ok(text)) => {
                let payload = serde_json::from_str(&text).unwrap_or(Value::Null);
                let waiting = Waiting { sent, link: 0, number: 0, effect, envelope, told: None };
                shared.state().take_ack(&waiting, payload.clone());
                outcome = Ack::Given(payload);
                break;
            }
            Ok(Err(error)) if error.is_connect() => outcome = Ack::Lost,
            Ok(Err(error)) => {
                shared.state().violation(format!("http: {id} was refused: {error}"));
                outcome = Ack::Missing;
            }
            Err(_) => {
                let mut state = shared.state();
                if !state.is_deaf {
                    state.violation(format!("http: {id} was not answered within 3 s"));
                }
                outcome = Ack::Missing;
            }
        }
    }
    let _ = told.send(outcome);
}

/// A request to the app's address that a test makes by itself.
#[derive(Clone, Debug, Default)]
pub struct Signed {
    /// Signed so many seconds ago.
    pub age: i64,
    /// With another secret.
    pub wrong_secret: bool,
    /// Without the headers of a signature.
    pub unsigned: bool,
    /// A retry of this number.
    pub retry: Option<u32>,
}

impl Slack {
    /// The URL check of the Events API, or any other JSON body, signed as told.
    ///
    /// # Panics
    /// If nobody answers.
    pub async fn posts_to(&self, url: &str, payload: &Value, how: &Signed) -> Answered {
        self.posts_body(url, payload.to_string(), "application/json", how).await
    }

    /// The request of an envelope, signed as told.
    ///
    /// # Panics
    /// If nobody answers.
    pub async fn posts_envelope(&self, url: &str, envelope: &Value, how: &Signed) -> Answered {
        let (body, kind) = body(envelope);
        self.posts_body(url, body, kind, how).await
    }

    async fn posts_body(&self, url: &str, body: String, kind: &str, how: &Signed) -> Answered {
        let second = now().0 / 1_000 - how.age;
        let secret = if how.wrong_secret { "another" } else { SIGNING_SECRET };
        let mut request = self.shared.http.post(url).header("content-type", kind);
        if !how.unsigned {
            request = request.header("x-slack-request-timestamp", second.to_string());
            request = request.header("x-slack-signature", signature(secret, second, &body));
        }
        if let Some(number) = how.retry {
            request =
                request.header("x-slack-retry-num", number.to_string()).header("x-slack-retry-reason", "http_timeout");
        }
        let sent = self.shared.runtime.spawn(async move {
            let answer = request.body(body).send().await?;
            let status = answer.status().as_u16();
            Ok::<Answered, reqwest::Error>(Answered { status, body: answer.text().await? })
        });
        sent.await.expect("no panic").unwrap_or_else(|error| panic!("{url} does not answer: {error}"))
    }
}
