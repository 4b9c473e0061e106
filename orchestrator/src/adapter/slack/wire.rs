//! The ways to Slack's servers: which hosts may be spoken to, with which certificates, and what went wrong. Answers are never
//! shown whole: they may hold the ticket of a socket.

use std::{net::IpAddr, sync::Arc, time::Duration};

use hyper_rustls::{ConfigBuilderExt as _, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Error as HyperError, connect::HttpConnector};
use reqwest::Url;
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use serde_json::Value;
use slack_morphism::{
    SlackClient,
    errors::SlackClientError,
    hyper_tokio::{SlackClientHyperConnector, SlackHyperClient},
};

use super::web::SlackError;

/// A server that does not even take the connection in this time.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Slack's own files and webhooks live below these, wherever its API is.
const SLACK: [&str; 1] = ["slack.com"];

/// An address that may be spoken to, and how.
#[derive(Clone, Debug)]
pub(super) struct Hosts {
    api: Url,
}

impl Hosts {
    /// The hosts of one API address. Tokens go there: without encryption it must be this machine.
    pub(super) fn new(api_url: &str) -> Result<Self, String> {
        let api = Url::parse(api_url).map_err(|error| format!("slack.api_url {api_url}: {error}"))?;
        let here = address(&api).map_or_else(|| api.host_str() == Some("localhost"), |address| address.is_loopback());
        match api.scheme() {
            "https" => Ok(Self { api }),
            "http" if here => Ok(Self { api }),
            _ => Err(format!(
                "slack.api_url {api_url}: tokens would travel in clear text: use https, or http on this machine"
            )),
        }
    }

    /// Whether the API is on this machine and speaks without encryption.
    pub(super) fn plain(&self) -> bool {
        self.api.scheme() == "http"
    }

    /// The address of a method.
    pub(super) fn method(&self, method: &str) -> String {
        format!("{}/{method}", self.api.as_str().trim_end_matches('/'))
    }

    /// Whether an address that came with a message or an answer is Slack's own.
    pub(super) fn may_reach(&self, url: &Url) -> bool {
        if !url.username().is_empty() || url.password().is_some() {
            return false;
        }
        let Some(host) = url.host_str() else { return false };
        let api = self.api.host_str().unwrap_or_default();
        if url.scheme() == self.api.scheme() && host == api {
            return true;
        }
        let below = |parent: &str| host == parent || host.strip_suffix(parent).is_some_and(|rest| rest.ends_with('.'));
        url.scheme() == "https"
            && address(url).is_none()
            && (SLACK.into_iter().any(below) || !self.plain() && below(api))
    }
}

/// The address in a URL that names no host.
fn address(url: &Url) -> Option<IpAddr> {
    url.host_str()?.trim_matches(['[', ']']).parse().ok()
}

/// Certificates and cryptography for Slack's hosts.
pub(super) fn tls(hosts: &Hosts) -> Result<ClientConfig, String> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    if hosts.plain() {
        return Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth());
    }
    let builder = builder
        .with_native_roots()
        .map_err(|error| format!("this machine's certificates cannot be read: {error} (install ca-certificates)"))?;
    Ok(builder.with_no_client_auth())
}

/// Slack's client over a connector of our own: its own one refuses http, and has no timeout for connecting.
pub(super) fn client(hosts: &Hosts, tls: ClientConfig) -> SlackHyperClient {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    let builder = HttpsConnectorBuilder::new().with_tls_config(tls);
    let builder = if hosts.plain() { builder.https_or_http() } else { builder.https_only() };
    let connector = SlackClientHyperConnector::with_connector(builder.enable_http1().wrap_connector(tcp));
    SlackClient::new(connector.with_slack_api_url(hosts.api.as_str().trim_end_matches('/')))
}

/// How one try of a call failed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Slack asks for a pause; nothing was done.
    Limited(Option<Duration>),
    /// Nothing was done, and another try may go better.
    NotDone(String),
    /// It may have been done.
    Unknown(String),
    /// Another try would end the same way.
    Final(SlackError),
}

/// Slack's words for its own failures after which something may have been done.
const BROKE: [&str; 3] = ["internal_error", "fatal_error", "request_timeout"];
/// Its words for not even having begun.
const LIMITED: [&str; 3] = ["ratelimited", "rate_limited", "message_limit_exceeded"];

/// What an error of Slack's client means.
pub(super) fn fault(method: &'static str, error: SlackClientError) -> Fault {
    match error {
        SlackClientError::RateLimitError(limit) => Fault::Limited(limit.retry_after),
        SlackClientError::ApiError(error) => {
            let body = error.http_response_body.as_deref().and_then(|body| serde_json::from_str(body).ok());
            refused(method, &error.code, &body.unwrap_or_default())
        }
        SlackClientError::HttpError(error) => status(method, error.status_code.as_u16()),
        SlackClientError::HttpProtocolError(error) => match error.cause {
            Some(cause) => match cause.downcast_ref::<HyperError>() {
                Some(hyper) if hyper.is_connect() => Fault::NotDone(innermost(hyper)),
                Some(hyper) => Fault::Unknown(innermost(hyper)),
                None => Fault::NotDone(cause.to_string()),
            },
            None => Fault::Unknown("the connection failed".to_owned()),
        },
        SlackClientError::ProtocolError(error) => {
            Fault::Final(SlackError::Unreadable { method, why: error.json_error.to_string() })
        }
        SlackClientError::SystemError(error) => {
            Fault::Unknown(error.cause.map_or_else(|| "the answer broke off".to_owned(), |cause| innermost(&*cause)))
        }
        SlackClientError::EndOfStream(_) | SlackClientError::SocketModeProtocolError(_) => {
            Fault::Unknown("the answer broke off".to_owned())
        }
    }
}

/// What an HTTP status that is neither 200 nor 429 means.
pub(super) fn status(method: &'static str, status: u16) -> Fault {
    match status {
        503 => Fault::NotDone("HTTP status 503".to_owned()),
        500..=599 => Fault::Unknown(format!("HTTP status {status}")),
        _ => Fault::Final(SlackError::Api { method, error: format!("HTTP status {status}"), hint: String::new() }),
    }
}

/// What `ok: false` means.
pub(super) fn refused(method: &'static str, error: &str, body: &Value) -> Fault {
    if LIMITED.contains(&error) {
        return Fault::Limited(None);
    }
    if error == "service_unavailable" {
        return Fault::NotDone(format!("Slack says `{error}`"));
    }
    if BROKE.contains(&error) {
        return Fault::Unknown(format!("Slack says `{error}`"));
    }
    Fault::Final(SlackError::Api { method, error: error.chars().take(80).collect(), hint: hint(error, body) })
}

/// What a person can do about Slack's word.
fn hint(error: &str, body: &Value) -> String {
    let advice = match error {
        "missing_scope" => {
            let needed = body.get("needed").and_then(Value::as_str).unwrap_or("one of its scopes");
            let needed: String =
                needed.chars().filter(|c| c.is_ascii_alphanumeric() || ":._,".contains(*c)).take(200).collect();
            return format!(": the app lacks {needed}; install it again from deploy/slack/manifest.yaml");
        }
        "invalid_auth" | "not_authed" | "token_revoked" | "token_expired" | "account_inactive" => {
            "the token is not valid (any more): copy it again from the app's settings"
        }
        "not_allowed_token_type" => "the bot token (xoxb-…) and the app token (xapp-…) may be in each other's place",
        "not_in_channel" | "channel_not_found" => "invite the app there with /invite @Baton, and use the channel's id",
        "is_archived" => "the channel was archived",
        "trigger_expired" | "expired_trigger_id" | "exchanged_trigger_id" => {
            "press again: Slack waits three seconds only"
        }
        "restricted_action" => "the workspace does not let apps do this: ask its administrators",
        _ => return String::new(),
    };
    format!(": {advice}")
}

/// The innermost reason: what a person can act on.
pub(super) fn innermost(error: &dyn std::error::Error) -> String {
    crate::adapter::web::root(error)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn may(api: &str, address: &str) -> bool {
        Hosts::new(api).unwrap().may_reach(&Url::parse(address).unwrap())
    }

    #[test]
    fn only_slacks_own_hosts_are_spoken_to() {
        let slack = "https://slack.com/api";
        assert!(may(slack, "https://files.slack.com/files-pri/T1-F1/download/a.txt"));
        assert!(may(slack, "https://hooks.slack.com/actions/x") && may(slack, "https://slack.com/x"));
        for bad in [
            "http://files.slack.com/a",
            "https://files.slack.com.evil.example/a",
            "https://evilslack.com/a",
            "https://evil.example/files.slack.com",
            "https://user@files.slack.com/a",
            "https://169.254.169.254/latest",
            "file:///etc/passwd",
        ] {
            assert!(!may(slack, bad), "{bad}");
        }
        let local = "http://127.0.0.1:4003/api";
        assert!(may(local, "http://127.0.0.1:4003/files/a") && may(local, "http://127.0.0.1:9/hook"));
        assert!(!may(local, "http://127.0.0.2/a") && !may(local, "http://10.0.0.1/a"));
        assert!(may("https://slack-gov.com/api", "https://files.slack-gov.com/a"));
    }

    #[test]
    fn tokens_do_not_travel_in_clear_text() {
        assert!(Hosts::new("http://slack.com/api").unwrap_err().contains("clear text"));
        assert!(Hosts::new("http://10.1.2.3/api").is_err() && Hosts::new("nonsense").is_err());
        assert!(Hosts::new("http://localhost:1/api").is_ok() && Hosts::new("http://[::1]:1/api").is_ok());
        assert_eq!(
            Hosts::new("https://slack.com/api/").unwrap().method("auth.test"),
            "https://slack.com/api/auth.test"
        );
    }

    #[test]
    fn slacks_words_are_sorted_by_what_was_done() {
        let means = |error: &str| refused("m", error, &json!({"needed": "chat:write"}));
        assert_eq!(means("ratelimited"), Fault::Limited(None));
        assert!(matches!(means("fatal_error"), Fault::Unknown(_)));
        assert!(matches!(means("service_unavailable"), Fault::NotDone(_)));
        let Fault::Final(missing) = means("missing_scope") else { panic!("final") };
        assert_eq!(
            missing.to_string(),
            "m: Slack says `missing_scope`: the app lacks chat:write; install it again from deploy/slack/manifest.yaml"
        );
        assert!(matches!(means("no_text"), Fault::Final(SlackError::Api { hint, .. }) if hint.is_empty()));
        assert!(matches!(status("m", 502), Fault::Unknown(_)) && matches!(status("m", 503), Fault::NotDone(_)));
    }
}
