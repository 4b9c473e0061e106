//! What a response's headers say about limits.

use bus_schemas::time::UnixMs;
use http::HeaderMap;
use jiff::{SignedDuration, Timestamp};

use crate::governor::{Signals, Window};

/// Reads `Retry-After` and the two vendors' families of rate limit headers.
pub(super) fn read(headers: &HeaderMap, now: UnixMs) -> Signals {
    let anthropic = |what: &str| {
        let text = |part: &str| text(headers, &format!("anthropic-ratelimit-{what}-{part}"));
        window(text("limit"), text("remaining"), text("reset").and_then(instant))
    };
    let openai = |what: &str| {
        let text = |part: &str| text(headers, &format!("x-ratelimit-{part}-{what}"));
        window(text("limit"), text("remaining"), text("reset").and_then(|span| after(now, span)))
    };
    let tokens = ["tokens", "input-tokens", "output-tokens"].into_iter().filter_map(anthropic).chain(openai("tokens"));
    Signals {
        retry_after_ms: retry_after(headers, now),
        requests: anthropic("requests").or_else(|| openai("requests")),
        // The one that is nearest to its end.
        tokens: tokens.min_by_key(|window| window.remaining),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

fn window(limit: Option<&str>, remaining: Option<&str>, reset_at: Option<UnixMs>) -> Option<Window> {
    Some(Window {
        limit: limit.and_then(|text| text.parse().ok()),
        remaining: remaining?.parse().ok()?,
        reset_at: reset_at?,
    })
}

fn retry_after(headers: &HeaderMap, now: UnixMs) -> Option<u64> {
    if let Some(ms) = text(headers, "retry-after-ms").and_then(milliseconds) {
        return Some(ms);
    }
    let told = text(headers, "retry-after")?;
    if let Some(seconds) = told.parse::<f64>().ok().filter(|s| s.is_finite()) {
        return Some(whole(seconds * 1_000.0));
    }
    let at = jiff::fmt::rfc2822::parse(told).ok()?.timestamp();
    Some(UnixMs(at.as_millisecond()).since(now))
}

fn milliseconds(text: &str) -> Option<u64> {
    text.parse::<f64>().ok().filter(|ms| ms.is_finite()).map(whole)
}

/// RFC 3339.
fn instant(text: &str) -> Option<UnixMs> {
    text.parse::<Timestamp>().ok().map(|at| UnixMs(at.as_millisecond()))
}

/// `6m0s`, `20ms`, `1.5s`, or seconds.
fn after(now: UnixMs, text: &str) -> Option<UnixMs> {
    let ms = match text.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() => whole(seconds * 1_000.0),
        _ => u64::try_from(text.parse::<SignedDuration>().ok()?.as_millis()).ok()?,
    };
    Some(now.plus_ms(ms))
}

#[expect(clippy::cast_possible_truncation, reason = "a float that is cast to an integer saturates")]
fn whole(ms: f64) -> u64 {
    if ms > 0.0 { ms.ceil() as u64 } else { 0 }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const NOW: UnixMs = UnixMs(1_764_000_000_000);

    fn signals(pairs: &[(&'static str, &'static str)]) -> Signals {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, HeaderValue::from_static(value));
        }
        read(&headers, NOW)
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let told = |text| signals(&[("retry-after", text)]).retry_after_ms;
        assert_eq!(told("30"), Some(30_000));
        assert_eq!(told("0"), Some(0));
        assert_eq!(told("-5"), Some(0));
        assert_eq!(told("1.5"), Some(1_500));
        // NOW is Mon, 24 Nov 2025 16:00:00 GMT.
        assert_eq!(told("Mon, 24 Nov 2025 16:01:00 GMT"), Some(60_000));
        assert_eq!(told("Mon, 24 Nov 2025 15:00:00 GMT"), Some(0));
        assert_eq!(told("soon"), None);
        assert_eq!(signals(&[("retry-after-ms", "250"), ("retry-after", "1")]).retry_after_ms, Some(250));
    }

    #[test]
    fn both_families_are_read() {
        let found = signals(&[
            ("anthropic-ratelimit-requests-limit", "50"),
            ("anthropic-ratelimit-requests-remaining", "0"),
            ("anthropic-ratelimit-requests-reset", "2025-11-24T16:00:30Z"),
            ("anthropic-ratelimit-tokens-remaining", "9000"),
            ("anthropic-ratelimit-tokens-reset", "2025-11-24T16:00:10Z"),
            ("anthropic-ratelimit-input-tokens-remaining", "0"),
            ("anthropic-ratelimit-input-tokens-reset", "2025-11-24T16:00:20Z"),
        ]);
        assert_eq!(found.requests, Some(Window { limit: Some(50), remaining: 0, reset_at: NOW.plus_ms(30_000) }));
        assert_eq!(found.tokens, Some(Window { limit: None, remaining: 0, reset_at: NOW.plus_ms(20_000) }));
        let found = signals(&[
            ("x-ratelimit-limit-requests", "500"),
            ("x-ratelimit-remaining-requests", "499"),
            ("x-ratelimit-reset-requests", "120ms"),
            ("x-ratelimit-remaining-tokens", "0"),
            ("x-ratelimit-reset-tokens", "6m0s"),
        ]);
        assert_eq!(found.requests, Some(Window { limit: Some(500), remaining: 499, reset_at: NOW.plus_ms(120) }));
        assert_eq!(found.tokens, Some(Window { limit: None, remaining: 0, reset_at: NOW.plus_ms(360_000) }));
        assert_eq!(signals(&[("x-ratelimit-reset-requests", "soon")]), Signals::default());
    }
}
