//! Which headers pass.

use bus_schemas::settings::ProviderKind;
use http::{
    HeaderMap, HeaderName,
    header::{
        ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, HOST, PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION, SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, WWW_AUTHENTICATE,
    },
};

use super::{redact::find, secret::Secret};

/// Belong to one connection (RFC 9110, 7.6.1), with those that `Connection` names.
const HOP_BY_HOP: [HeaderName; 6] = [CONNECTION, PROXY_AUTHENTICATE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];
const HOP_BY_HOP_NAMES: [&str; 2] = ["keep-alive", "proxy-connection"];
/// What a guest's program may think is a credential.
const CREDENTIALS: [&str; 4] = ["x-api-key", "api-key", "x-goog-api-key", "x-auth-token"];

fn connection_bound(headers: &HeaderMap) -> Vec<HeaderName> {
    let named = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let named = named.flat_map(|value| value.split(',')).filter_map(|name| name.trim().parse().ok());
    let fixed = HOP_BY_HOP_NAMES.iter().map(|name| HeaderName::from_static(name));
    HOP_BY_HOP.into_iter().chain(fixed).chain(named).collect()
}

/// What goes up: without what belongs to the connection, without the guest's credentials, with the host's.
pub(super) fn upwards(mut headers: HeaderMap, kind: ProviderKind, key: Option<&Secret>) -> HeaderMap {
    for name in connection_bound(&headers) {
        headers.remove(name);
    }
    // The body's length may change; its encoding is what the meter reads.
    for name in [HOST, CONTENT_LENGTH, EXPECT, ACCEPT_ENCODING, AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE] {
        headers.remove(name);
    }
    for name in CREDENTIALS {
        headers.remove(name);
    }
    match kind {
        ProviderKind::Anthropic => {
            if let Some(value) = key.and_then(|key| key.header("")) {
                headers.insert("x-api-key", value);
            }
        }
        ProviderKind::Openai | ProviderKind::OpenaiCompatible => {
            if let Some(value) = key.and_then(|key| key.header("Bearer ")) {
                headers.insert(AUTHORIZATION, value);
            }
        }
    }
    headers
}

/// What comes down: without what belongs to the connection, without cookies, without the key.
pub(super) fn downwards(mut headers: HeaderMap, key: Option<&Secret>) -> HeaderMap {
    for name in connection_bound(&headers) {
        headers.remove(name);
    }
    for name in [SET_COOKIE, WWW_AUTHENTICATE] {
        headers.remove(name);
    }
    if let Some(key) = key {
        let leaking =
            |name: &HeaderName| headers.get_all(name).iter().any(|v| find(v.as_bytes(), key.needle()).is_some());
        let names: Vec<HeaderName> = headers.keys().filter(|name| leaking(name)).cloned().collect();
        for name in names {
            headers.remove(name);
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn the_guests_credentials_stay_and_the_hosts_go() {
        let guest = map(&[
            ("x-api-key", "guest"),
            ("authorization", "Bearer guest"),
            ("cookie", "guest"),
            ("api-key", "guest"),
            ("accept-encoding", "gzip, br"),
            ("connection", "close, X-Private"),
            ("x-private", "1"),
            ("keep-alive", "5"),
            ("host", "127.0.0.1:4100"),
            ("anthropic-beta", "a,b"),
            ("anthropic-version", "2023-06-01"),
            ("x-codex-turn-metadata", "{}"),
        ]);
        let key = Secret::new("sk-host-key").unwrap();
        let up = upwards(guest.clone(), ProviderKind::Anthropic, Some(&key));
        let want = ["anthropic-beta", "anthropic-version", "x-api-key", "x-codex-turn-metadata"];
        let mut names: Vec<&str> = up.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, want);
        assert_eq!(up["x-api-key"], "sk-host-key");
        assert!(!format!("{up:?}").contains("sk-host-key"));
        let up = upwards(guest.clone(), ProviderKind::OpenaiCompatible, Some(&key));
        assert_eq!(
            (up.get("authorization").unwrap(), up.get("x-api-key")),
            (&HeaderValue::from_static("Bearer sk-host-key"), None)
        );
        let up = upwards(guest, ProviderKind::OpenaiCompatible, None);
        assert_eq!(up.get("authorization"), None, "the guest's is not put in its place");
    }

    #[test]
    fn no_header_brings_the_key_down() {
        let key = Secret::new("sk-host-key").unwrap();
        let down = downwards(
            map(&[
                ("x-echo", "Bearer sk-host-key"),
                ("set-cookie", "a"),
                ("transfer-encoding", "chunked"),
                ("request-id", "r"),
            ]),
            Some(&key),
        );
        assert_eq!(down, map(&[("request-id", "r")]));
    }
}
