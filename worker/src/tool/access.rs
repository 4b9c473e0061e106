//! `request_access`: a host beyond the task's network, which people allow or not.

use serde_json::json;

use super::{
    bench::Reply,
    call::{Ending, ToolSpec},
    input::Input,
};

pub(super) const NAME: &str = "request_access";
const HOST_BYTES: usize = 260;
const REASON_BYTES: usize = 4 * 1024;

pub(super) fn spec() -> ToolSpec {
    ToolSpec {
        name: NAME,
        description: "Ask for a host on the network that is closed to you, and stop until somebody allows or refuses it; that may take \
                      hours. Only if the task cannot be done without it. Once allowed, it is reached through the HTTP proxy."
            .into(),
        input_schema: json!({
            "type": "object",
            "properties": {
                "host": {"type": "string", "description": "`host` (ports 443 and 80) or `host:port`. No URL, no wildcard."},
                "reason": {"type": "string", "description": "What for, and why it does not go without."}
            },
            "required": ["host", "reason"],
            "additionalProperties": false
        }),
    }
}

pub(super) fn call(mut input: Input) -> Result<Reply, String> {
    let host = input.text("host")?.trim().to_ascii_lowercase();
    let reason = input.text("reason")?;
    input.finish()?;
    if reason.len() > REASON_BYTES {
        return Err(format!("`reason` has {} bytes, at most {REASON_BYTES} are taken", reason.len()));
    }
    if !is_host(&host) {
        return Err(format!("`host`: {host:?} is not `host` or `host:port`; leave scheme, path and wildcards away"));
    }
    Ok(Reply::end(Ending::Access { host, reason }))
}

/// A name in ASCII with at least one dot, perhaps with a port.
fn is_host(text: &str) -> bool {
    let (host, port) = text.rsplit_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    let is_port =
        |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port != 0);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    text.len() <= HOST_BYTES && port.is_none_or(is_port) && host.contains('.') && host.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::is_host;

    #[test]
    fn only_hosts_can_be_asked_for() {
        for good in ["crates.io", "static.crates.io:8443", "10.0.0.1", "a_b.example"] {
            assert!(is_host(good), "{good}");
        }
        for bad in [
            "",
            "localhost",
            "*.io",
            "*",
            "https://crates.io",
            "crates.io/x",
            "a..b",
            "x.io:0",
            "x.io:+1",
            "x.io:99999",
            "ä.io",
        ] {
            assert!(!is_host(bad), "{bad}");
        }
    }
}
