//! What a task may use and reach: budgets, the network, secrets.

use bus_schemas::{secrets::name_flaw, v1::plan::Span};

use super::{
    finding::{Findings, quote, suggestion},
    tree::{Data, Node},
};
use crate::policy::Rules;

/// A budget in which nothing can be done, or that is larger than the plan's.
pub(super) fn check_budget(holder: &Node, plan: Option<&Node>, calls_models: bool, findings: &mut Findings) {
    let Some(budget) = holder.get("budget") else { return };
    for field in ["usd", "tokens", "vm_seconds", "wall", "turns"] {
        let Some((node, amount)) = budget.get(field).and_then(|node| Some((node, amount(node)?))) else { continue };
        if amount == 0.0 && field != "wall" && (calls_models || field == "vm_seconds") {
            let hint = "write what it may use, or remove the line: what is absent is not limited".to_owned();
            findings.error(node.place, "bad_budget", format!("with `{field}: 0` nothing can be done"), Some(hint));
        }
        let most = plan.and_then(|plan| plan.get(field)).and_then(|node| Some((node.place.line, self::amount(node)?)));
        if let Some((line, most)) = most.filter(|(_, most)| amount > *most) {
            let (amount, most) = (shown(field, amount), shown(field, most));
            let message = format!("the task's `{field}` of {amount} is more than the whole plan's {most}");
            let hint = format!("the plan's budget is in line {line}, and it is the one that will be reached");
            findings.warning(node.place, "budget_exceeds_plan", message, Some(hint));
        }
    }
}

fn amount(node: &Node) -> Option<f64> {
    match node.data {
        #[expect(clippy::cast_precision_loss, reason = "budgets are compared, and far below 2^53")]
        Data::Int(value) => Some(value as f64),
        Data::Float(value) if value.is_finite() => Some(value),
        #[expect(clippy::cast_precision_loss, reason = "durations are compared, and far below 2^53")]
        Data::Text { ref text, .. } => Span(text.clone()).as_ms().map(|ms| ms as f64),
        _ => None,
    }
}

/// An amount as the plan writes it.
fn shown(field: &str, amount: f64) -> String {
    if field == "wall" { format!("{}s", amount / 1000.0) } else { amount.to_string() }
}

/// What a task may reach: `host`, `host:port`, `*.domain`, `*.domain:port`.
pub(super) fn check_network(task: &Node, findings: &mut Findings) {
    for node in task.get("network").map(Node::elements).unwrap_or_default() {
        let Some(text) = node.text().filter(|text| !text.trim().is_empty()) else { continue };
        if let Some((problem, hint)) = network_problem(text) {
            findings.error(node.place, "bad_network", format!("{} {problem}", quote(text)), Some(hint));
        } else if is_private(text) {
            let message = format!("{} is an address of this machine or of a private network", quote(text));
            let hint = "tasks reach public addresses only; connections to it will be refused".to_owned();
            findings.warning(node.place, "network_private", message, Some(hint));
        }
    }
}

/// The secrets that are used on a task's behalf: each must be one of `baton.toml`, where that is known.
pub(super) fn check_secrets(task: &Node, site: Option<&Rules>, findings: &mut Findings) {
    let mut seen: Vec<&str> = Vec::new();
    for node in task.get("secrets").map(Node::elements).unwrap_or_default() {
        let Some(name) = node.text().filter(|name| !name.trim().is_empty()) else { continue };
        if let Some(flaw) = name_flaw(name) {
            // Somebody may have written the secret itself.
            let message = "an entry of `secrets` is not the name of a secret".to_owned();
            findings.error(node.place, "unknown_secret", message, Some(flaw.to_owned()));
        } else if seen.contains(&name) {
            findings.warning(node.place, "duplicate_secret", format!("{} is there twice", quote(name)), None);
        } else if let Some(site) = site.filter(|site| !site.secrets.contains_key(name)) {
            let add = || format!("add `[secrets.{name}]` to baton.toml, with `env` or `file`, and `hosts`");
            let hint = suggestion(name, site.secrets.keys().map(String::as_str)).unwrap_or_else(add);
            findings.error(node.place, "unknown_secret", format!("there is no secret {}", quote(name)), Some(hint));
        }
        seen.push(name);
    }
}

/// What is wrong with an entry of `network`, and what to write instead.
pub fn network_problem(text: &str) -> Option<(&'static str, String)> {
    if let Some((_, rest)) = text.split_once("://") {
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        return Some(("is a URL, not a host", format!("write `{host}`")));
    }
    if text.contains('/') {
        let host = text.split('/').next().unwrap_or_default();
        return Some(("has a path: hosts are let through as a whole", format!("write `{host}`")));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    if port.is_some_and(|port| port.parse::<u16>().map_or(true, |port| port == 0) || port.starts_with('+')) {
        return Some(("has a port that is none", "write `host:443`; without a port, 443 and 80 are meant".to_owned()));
    }
    if host == "*" || host == "*." {
        return Some(("is every host", "name the hosts the task needs, or a domain as `*.example.org`".to_owned()));
    }
    let name = host.strip_prefix("*.").unwrap_or(host);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if name.len() > 253 || !name.split('.').all(is_label) {
        let hint = "write `host`, `host:port`, `*.domain` or `*.domain:port`, with names in ASCII".to_owned();
        return Some(("is not a host's name", hint));
    }
    if host.starts_with("*.") && !name.contains('.') {
        return Some(("is a whole top-level domain", "write `*.example.org`".to_owned()));
    }
    None
}

/// An address that the proxy refuses whatever the plan says.
fn is_private(text: &str) -> bool {
    let host = text.rsplit_once(':').map_or(text, |(host, _)| host);
    let address: Option<std::net::Ipv4Addr> = host.parse().ok();
    address.is_some_and(|at| at.is_private() || at.is_loopback() || at.is_link_local() || at.is_unspecified())
        || host.eq_ignore_ascii_case("localhost")
        || host.to_ascii_lowercase().ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::{is_private, network_problem};

    #[test]
    fn hosts_are_named_as_documented() {
        for good in
            ["example.org", "example.org:8443", "*.example.org", "*.example.org:443", "10.0.0.1", "localhost:80"]
        {
            assert_eq!(network_problem(good), None, "{good}");
        }
        for bad in [
            "https://example.org/x",
            "example.org/path",
            "*",
            "*:443",
            "*.org",
            "exa mple.org",
            "example.org:0",
            "example.org:70000",
            "example.org:+80",
            "example.org:",
            "a..b",
            "-a.org",
            "ex*mple.org",
            "[::1]:80",
        ] {
            assert!(network_problem(bad).is_some(), "{bad}");
        }
        assert_eq!(
            network_problem("https://example.org/x").map(|(_, hint)| hint).as_deref(),
            Some("write `example.org`")
        );
        assert!(is_private("127.0.0.1:80") && is_private("localhost") && is_private("192.168.1.1"));
        assert!(!is_private("example.org") && !is_private("8.8.8.8:53"));
    }
}
