//! Slack's Web API over the slack-morphism client, with what that leaves to the caller: timeouts, rate limits, trying again only
//! where that cannot do a thing twice.

mod calls;

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::future::Future;
use reqwest::{StatusCode, Url, header};
use serde_json::{Value, json};
use slack_morphism::{
    SlackApiToken, SlackApiTokenValue, SlackClientApiCallContext, SlackClientHttpConnector as _,
    hyper_tokio::SlackHyperClient,
};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{
    answer,
    gate::{Gate, UNSAID},
    web::{Answer, Auth, SlackError, View},
    wire::{self, Fault, Hosts},
};
use crate::config::{Secret, Slack};

/// How long calls may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// One try.
    pub attempt: Duration,
    /// A call with all its tries and pauses.
    pub call: Duration,
    /// A call with a trigger, which is good for three seconds.
    pub trigger: Duration,
    /// The first pause before another try; doubled each time.
    pub backoff: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            attempt: Duration::from_secs(10),
            call: Duration::from_secs(90),
            trigger: Duration::from_millis(2800),
            backoff: Duration::from_millis(300),
        }
    }
}

/// The longest pause before another try.
const LONGEST_BACKOFF: Duration = Duration::from_secs(8);
/// Redirects followed when a file is fetched.
const REDIRECTS: usize = 3;

/// How to speak to Slack.
#[derive(Clone, Debug)]
pub struct Access {
    /// Where the API is.
    pub api_url: String,
    /// The bot's token.
    pub bot_token: Secret,
    /// The app's token, which opens sockets.
    pub app_token: Option<Secret>,
    /// How long calls may take.
    pub patience: Patience,
}

impl Access {
    /// How the configuration says.
    ///
    /// # Errors
    /// A sentence: there is no bot token.
    pub fn of(slack: &Slack) -> Result<Self, String> {
        let token = slack.bot_token.clone().ok_or("there is no bot token: set SLACK_BOT_TOKEN (xoxb-…)")?;
        Ok(Self {
            api_url: slack.api_url.clone(),
            bot_token: token,
            app_token: slack.app_token.clone(),
            patience: Patience::default(),
        })
    }
}

/// Speaks to Slack. Cheap to clone.
#[derive(Clone)]
pub struct Morphism {
    inner: Arc<Inner>,
}

struct Inner {
    client: SlackHyperClient,
    http: reqwest::Client,
    hosts: Hosts,
    gate: Gate,
    bot: SlackApiToken,
    app: Option<SlackApiToken>,
    patience: Patience,
    span: tracing::Span,
}

impl fmt::Debug for Morphism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Morphism").field("hosts", &self.inner.hosts).finish_non_exhaustive()
    }
}

/// Whether a call that may have been done may be made again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Again {
    /// Twice is as good as once.
    Yes,
    /// It would be seen twice.
    No,
}

/// One call.
struct Call<'a> {
    method: &'static str,
    /// What Slack counts it under.
    kind: String,
    again: Again,
    patience: Duration,
    question: Question<'a>,
}

enum Question<'a> {
    Get(Vec<(&'static str, String)>),
    Post(&'a Value),
    /// To an address that is a secret itself.
    PostTo(Url, &'a Value),
    /// Bytes to such an address.
    Put(Url, &'a Bytes),
    /// With the app's token.
    App,
}

impl Morphism {
    /// A client; nothing is connected yet.
    ///
    /// # Errors
    /// A sentence: the address is not acceptable, or this machine has no certificates.
    pub fn new(access: &Access) -> Result<Self, String> {
        let hosts = Hosts::new(&access.api_url)?;
        let client = wire::client(&hosts, wire::tls(&hosts)?);
        let reach = hosts.clone();
        let follow = reqwest::redirect::Policy::custom(move |attempt| {
            if attempt.previous().len() <= REDIRECTS && reach.may_reach(attempt.url()) {
                attempt.follow()
            } else {
                attempt.stop()
            }
        });
        let http = crate::adapter::web::http()
            .redirect(follow)
            .connect_timeout(Duration::from_secs(5))
            .build()
            .map_err(|error| wire::innermost(&error))?;
        let token = |secret: &Secret| SlackApiToken::new(SlackApiTokenValue(secret.expose().to_owned()));
        Ok(Self {
            inner: Arc::new(Inner {
                client,
                http,
                hosts,
                gate: Gate::default(),
                bot: token(&access.bot_token),
                app: access.app_token.as_ref().map(token),
                patience: access.patience,
                span: tracing::debug_span!("slack"),
            }),
        })
    }

    /// The hosts this client may speak to.
    pub(super) fn hosts(&self) -> &Hosts {
        &self.inner.hosts
    }

    fn call<'a>(&self, method: &'static str, again: Again, question: Question<'a>) -> Call<'a> {
        Call { method, kind: method.to_owned(), again, patience: self.inner.patience.call, question }
    }

    /// Makes a call and returns the answer's body.
    async fn ask(&self, call: Call<'_>) -> Answer<Value> {
        self.persist(call.method, &call.kind, call.again, call.patience, || self.once(&call)).await
    }

    /// Tries until it is done, refused, or out of patience.
    async fn persist<T, F>(
        &self,
        method: &'static str,
        kind: &str,
        again: Again,
        patience: Duration,
        once: impl Fn() -> F,
    ) -> Answer<T>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        let latest = Instant::now() + patience;
        let mut backoff = self.inner.patience.backoff;
        loop {
            let slot = self
                .inner
                .gate
                .enter(kind, Instant::now(), latest)
                .map_err(|retry_after| SlackError::RateLimited { method, retry_after })?;
            sleep_until(slot).await;
            if !self.inner.gate.is_open(kind, Instant::now()) {
                continue;
            }
            let until = (Instant::now() + self.inner.patience.attempt).min(latest);
            let fault = match timeout_at(until, once()).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(fault)) => fault,
                Err(_) => Fault::Unknown("no answer came in time".to_owned()),
            };
            let now = Instant::now();
            let error = match fault {
                Fault::Final(error) => return Err(error),
                Fault::Limited(pause) => {
                    let pause = pause.unwrap_or(UNSAID);
                    tracing::info!(method, pause_s = pause.as_secs(), "Slack limits the rate");
                    self.inner.gate.limited(kind, now, pause);
                    continue;
                }
                Fault::NotDone(why) => SlackError::Transport { method, why },
                Fault::Unknown(why) if again == Again::Yes => SlackError::Transport { method, why },
                Fault::Unknown(why) => return Err(SlackError::Unknown { method, why }),
            };
            let next = now + jittered(backoff);
            if next >= latest {
                return Err(error);
            }
            tracing::debug!(method, %error, "once more");
            sleep_until(next).await;
            backoff = (backoff * 2).min(LONGEST_BACKOFF);
        }
    }

    async fn once(&self, call: &Call<'_>) -> Result<Value, Fault> {
        let inner = &self.inner;
        let connector = &inner.client.http_api.connector;
        let context = |token, is_sensitive_url| SlackClientApiCallContext {
            rate_control_params: None,
            token,
            tracing_span: &inner.span,
            is_sensitive_url,
        };
        let bot = context(Some(&inner.bot), false);
        let answered: Result<Value, _> = match &call.question {
            Question::Get(params) => {
                let params: Vec<(&str, Option<&String>)> =
                    params.iter().map(|(name, value)| (*name, Some(value))).collect();
                connector.http_get(call.method, &params, bot).await
            }
            Question::Post(body) => connector.http_post(call.method, *body, bot).await,
            Question::PostTo(url, body) => connector.http_post_uri(url.clone(), *body, context(None, true)).await,
            Question::Put(url, bytes) => {
                let kind = "application/octet-stream".to_owned();
                connector.http_post_uri_binary(url.clone(), kind, bytes, context(None, true)).await
            }
            Question::App => connector.http_post(call.method, &json!({}), context(inner.app.as_ref(), false)).await,
        };
        let body = answered.map_err(|error| wire::fault(call.method, error))?;
        let plain = matches!(call.question, Question::PostTo(..) | Question::Put(..));
        match body.get("ok").and_then(Value::as_bool) {
            Some(true) => Ok(body),
            None if plain => Ok(body),
            Some(false) => Err(wire::refused(call.method, "ok is false", &body)),
            None => {
                let why = "it is not the JSON of Slack's API".to_owned();
                Err(Fault::Final(SlackError::Unreadable { method: call.method, why }))
            }
        }
    }

    /// `auth.test`, of which only the headers say what the token may do.
    async fn auth_once(&self) -> Result<Auth, Fault> {
        const METHOD: &str = "auth.test";
        let url = self.inner.hosts.method(METHOD);
        let sent = self.inner.http.post(url).bearer_auth(&self.inner.bot.token_value.0).send().await;
        let response = sent.map_err(|error| Fault::NotDone(wire::innermost(&error)))?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::TOO_MANY_REQUESTS => return Err(Fault::Limited(retry_after(&response))),
            other => return Err(wire::status(METHOD, other.as_u16())),
        }
        let scopes = response.headers().get("x-oauth-scopes").and_then(|value| value.to_str().ok());
        let scopes = scopes.unwrap_or_default().split(',').map(str::trim).filter(|scope| !scope.is_empty());
        let scopes = scopes.map(str::to_owned).collect();
        let unreadable = |why: String| Fault::Final(SlackError::Unreadable { method: METHOD, why });
        let bytes = response.bytes().await.map_err(|error| Fault::NotDone(wire::innermost(&error)))?;
        let body: Value = serde_json::from_slice(&bytes).map_err(|error| unreadable(error.to_string()))?;
        if body.get("ok").and_then(Value::as_bool) != Some(true) {
            let error = body.get("error").and_then(Value::as_str).unwrap_or("ok is not true");
            return Err(wire::refused(METHOD, error, &body));
        }
        answer::auth(&body, scopes).map_err(unreadable)
    }

    async fn download_once(&self, url: &Url, max_bytes: u64) -> Result<Bytes, Fault> {
        const METHOD: &str = "download";
        let refused = |why: String| Fault::Final(SlackError::Refused { method: METHOD, why });
        let sent = self.inner.http.get(url.clone()).bearer_auth(&self.inner.bot.token_value.0).send().await;
        let mut response = sent.map_err(|error| Fault::NotDone(wire::innermost(&error)))?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::TOO_MANY_REQUESTS => return Err(Fault::Limited(retry_after(&response))),
            other if other.is_redirection() => {
                return Err(refused("the file is said to be on another host".to_owned()));
            }
            other if other.is_server_error() => return Err(Fault::NotDone(format!("HTTP status {other}"))),
            other => return Err(refused(format!("Slack answered with HTTP status {other}"))),
        }
        let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let page = [".html", ".htm", ".xhtml"].iter().any(|end| url.path().to_lowercase().ends_with(end));
        if kind.starts_with("text/html") && !page {
            return Err(refused("Slack sent its sign-in page: the app lacks the scope files:read".to_owned()));
        }
        let too_large = || refused(format!("the file is larger than {max_bytes} bytes"));
        if response.content_length().is_some_and(|length| length > max_bytes) {
            return Err(too_large());
        }
        let mut whole = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| Fault::NotDone(wire::innermost(&error)))? {
            if (whole.len() + chunk.len()) as u64 > max_bytes {
                return Err(too_large());
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.into())
    }

    /// An address Slack gave us, if it is one of Slack's.
    fn reachable(&self, method: &'static str, address: &str) -> Answer<Url> {
        let refused = |why: &str| SlackError::Refused { method, why: why.to_owned() };
        let url = Url::parse(address).map_err(|_| refused("the address is not a URL"))?;
        if self.inner.hosts.may_reach(&url) { Ok(url) } else { Err(refused("the address is not one of Slack's hosts")) }
    }

    async fn view(&self, method: &'static str, body: &Value, patience: Duration) -> Answer<View> {
        let call = Call { patience, ..self.call(method, Again::No, Question::Post(body)) };
        Ok(answer::view(&self.ask(call).await?))
    }
}

fn retry_after(response: &reqwest::Response) -> Option<Duration> {
    let seconds = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// Between half of it and all of it, so that many who wait do not come back at once.
pub(super) fn jittered(pause: Duration) -> Duration {
    let mut random = [0; 2];
    // Without randomness everybody waits the longest.
    let share = getrandom::fill(&mut random).map_or(u16::MAX, |()| u16::from_le_bytes(random));
    pause / 2 + pause.mul_f64(f64::from(share) / f64::from(u16::MAX)) / 2
}

#[cfg(test)]
mod tests;
