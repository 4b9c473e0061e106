//! Whether an HTTP request is Slack's: an HMAC over its time and its raw body. The right signature is computed for comparing only,
//! and never shown.

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use crate::config::Secret;

/// A request this much older or newer than the clock is refused: somebody may have kept it.
const WINDOW_S: u64 = 300;

/// Why a request is not taken for Slack's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSlack {
    /// It does not say when it was made, or how it is signed.
    #[error("the request is not signed")]
    Unsigned,
    /// It is from another time.
    #[error("the request is more than five minutes off this machine's clock")]
    Stale,
    /// It was signed by somebody else, or changed on the way.
    #[error("the signature is not right: compare slack.signing_secret with the app's settings")]
    Wrong,
}

/// Checks the headers `X-Slack-Request-Timestamp` and `X-Slack-Signature` of a request with this body.
///
/// # Errors
/// [`NotSlack`].
pub fn check(
    secret: &Secret,
    timestamp: Option<&str>,
    signature: Option<&str>,
    body: &[u8],
    now_s: i64,
) -> Result<(), NotSlack> {
    let (Some(timestamp), Some(signature)) = (timestamp, signature) else { return Err(NotSlack::Unsigned) };
    let made_at: i64 = timestamp.parse().map_err(|_| NotSlack::Unsigned)?;
    if made_at.abs_diff(now_s) > WINDOW_S {
        return Err(NotSlack::Stale);
    }
    let given = signature.strip_prefix("v0=").and_then(unhex).ok_or(NotSlack::Wrong)?;
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).map_err(|_| NotSlack::Wrong)?;
    for part in [b"v0:", timestamp.as_bytes(), b":", body] {
        mac.update(part);
    }
    // In constant time.
    mac.verify_slice(&given).map_err(|_| NotSlack::Wrong)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|pair| match pair {
            [high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()
            }
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Slack's documentation ("Verifying requests from Slack").
    const BODY: &str = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&\
        channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=\
        https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&\
        trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    const SIGNATURE: &str = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
    const AT: i64 = 1_531_420_618;

    fn checked(at: &str, signature: &str, body: &str, now: i64) -> Result<(), NotSlack> {
        let secret = Secret::new("8f742231b10e8888abcd99yyyzzz85a5".to_owned());
        check(&secret, Some(at), Some(signature), body.as_bytes(), now)
    }

    #[test]
    fn the_documented_example_is_right() {
        assert_eq!(checked("1531420618", SIGNATURE, BODY, AT), Ok(()));
        assert_eq!(checked("1531420618", SIGNATURE, BODY, AT + 300), Ok(()));
        assert_eq!(checked("1531420618", SIGNATURE, BODY, AT - 300), Ok(()));
    }

    #[test]
    fn anything_else_is_refused() {
        assert_eq!(checked("1531420618", SIGNATURE, BODY, AT + 301), Err(NotSlack::Stale));
        assert_eq!(checked("1531420619", SIGNATURE, BODY, AT), Err(NotSlack::Wrong), "the time is signed, too");
        assert_eq!(checked("1531420618", SIGNATURE, &BODY.replace("foobar", "foobaz"), AT), Err(NotSlack::Wrong));
        let other = SIGNATURE.replace("a2114", "a2115");
        assert_eq!(checked("1531420618", &other, BODY, AT), Err(NotSlack::Wrong));
        for broken in ["", "v0=", "v0=a2", "v0=zz", "v0=a2114d5", "v1=a2114d", "v0=ä+", "v0=+1+2"] {
            assert_eq!(checked("1531420618", broken, BODY, AT), Err(NotSlack::Wrong), "{broken}");
        }
        assert_eq!(checked("now", SIGNATURE, BODY, AT), Err(NotSlack::Unsigned));
        assert_eq!(checked("-9223372036854775808", SIGNATURE, BODY, AT), Err(NotSlack::Stale));
        let secret = Secret::new("s".to_owned());
        assert_eq!(check(&secret, None, Some(SIGNATURE), b"", AT), Err(NotSlack::Unsigned));
        assert_eq!(check(&secret, Some("1"), None, b"", AT), Err(NotSlack::Unsigned));
    }

    #[test]
    fn no_error_shows_a_signature() {
        for error in [NotSlack::Unsigned, NotSlack::Stale, NotSlack::Wrong] {
            assert!(!format!("{error} {error:?}").contains("a2114"));
        }
    }
}
