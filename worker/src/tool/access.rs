//! `request_access`: a host beyond the task's network, or a secret that is used on its behalf, which people allow or not.

use bus_schemas::{
    secrets::SecretBrief,
    v1::{guest::AttemptAssignment, task::Program},
};
use serde_json::json;

use super::{
    bench::Reply,
    call::{Ending, ToolSpec},
    input::Input,
};

pub(super) const NAME: &str = "request_access";
const HOST_BYTES: usize = 260;
const REASON_BYTES: usize = 4 * 1024;

/// The secrets there are.
fn known(assignment: &AttemptAssignment) -> &[SecretBrief] {
    match &assignment.program {
        Program::Agent(work) => &work.secrets,
        Program::Script { .. } => &[],
    }
}

pub(super) fn spec(assignment: &AttemptAssignment) -> ToolSpec {
    let host =
        json!({"type": "string", "description": "`host` (ports 443 and 80) or `host:port`. No URL, no wildcard."});
    let reason = json!({"type": "string", "description": "What for, and why it does not go without."});
    let closed: Vec<&str> = known(assignment)
        .iter()
        .map(|secret| secret.name.as_str())
        .filter(|name| !assignment.secrets.iter().any(|own| own == name))
        .collect();
    if closed.is_empty() {
        return ToolSpec {
            name: NAME,
            description: "Ask for a host on the network that is closed to you, and stop until somebody allows or refuses it; that may take \
                          hours. Only if the task cannot be done without it. Once allowed, it is reached through the HTTP proxy."
                .into(),
            input_schema: json!({
                "type": "object",
                "properties": {"host": host, "reason": reason},
                "required": ["host", "reason"],
                "additionalProperties": false
            }),
        };
    }
    ToolSpec {
        name: NAME,
        description: "Ask for a host on the network that is closed to you, or for the use of a secret that you do not have yet, and stop until \
                      somebody allows or refuses it; that may take hours. Only if the task cannot be done without it. Give exactly one of \
                      `host` and `secret`. Once allowed, a host is reached through the HTTP proxy, and the proxy uses the secret for you."
            .into(),
        input_schema: json!({
            "type": "object",
            "properties": {
                "host": host,
                "secret": {"type": "string", "enum": closed, "description": "The secret's name; you never see its value."},
                "reason": reason
            },
            "required": ["reason"],
            "additionalProperties": false
        }),
    }
}

pub(super) fn call(assignment: &AttemptAssignment, mut input: Input) -> Result<Reply, String> {
    let host = input.optional_text("host")?;
    let secret = input.optional_text("secret")?;
    let reason = input.text("reason")?;
    input.finish()?;
    if reason.len() > REASON_BYTES {
        return Err(format!("`reason` has {} bytes, at most {REASON_BYTES} are taken", reason.len()));
    }
    match (host, secret) {
        (Some(host), None) => for_host(&host, reason),
        (None, Some(name)) => for_secret(assignment, name.trim(), reason),
        (Some(_), Some(_)) => Err("`host` and `secret` are both given: ask for one at a time".to_owned()),
        (None, None) => Err("`host` is missing: say which host, or which `secret`, you ask for".to_owned()),
    }
}

fn for_host(host: &str, reason: String) -> Result<Reply, String> {
    let host = host.trim().to_ascii_lowercase();
    if !is_host(&host) {
        return Err(format!("`host`: {host:?} is not `host` or `host:port`; leave scheme, path and wildcards away"));
    }
    Ok(Reply::end(Ending::Access { host, reason }))
}

/// What is not there cannot be granted: nobody is asked for it.
fn for_secret(assignment: &AttemptAssignment, name: &str, reason: String) -> Result<Reply, String> {
    if assignment.secrets.iter().any(|own| own == name) {
        return Err(format!(
            "you have the secret `{name}` already: send plain http:// requests to its hosts through the proxy"
        ));
    }
    let known: Vec<&str> = known(assignment).iter().map(|secret| secret.name.as_str()).collect();
    if !known.contains(&name) {
        let name: String = name.chars().take(64).collect();
        let there = if known.is_empty() {
            "there is none at all".to_owned()
        } else {
            format!("there are: {}", known.join(", "))
        };
        return Err(format!("there is no secret {name:?} that could be granted; {there}. Go on without it."));
    }
    Ok(Reply::end(Ending::Secret { name: name.to_owned(), reason }))
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
