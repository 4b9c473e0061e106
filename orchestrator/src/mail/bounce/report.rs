//! The part of a report that programs read: fields in groups, the first about the mail, the others about one recipient each.

use super::{Action, DIAGNOSTIC, MOST, Recipient};
use crate::mail::address::{normal, one_line};

/// Reads the recipients of a `message/delivery-status`.
pub(super) fn read(text: &str) -> Vec<Recipient> {
    groups(text).iter().filter_map(|group| recipient(group)).take(MOST).collect()
}

/// Fields by group, names in small letters, folded lines joined.
fn groups(text: &str) -> Vec<Vec<(String, String)>> {
    let mut groups: Vec<Vec<(String, String)>> = vec![Vec::new()];
    for line in text.lines().take(5_000) {
        if line.trim().is_empty() {
            if groups.last().is_some_and(|group| !group.is_empty()) {
                groups.push(Vec::new());
            }
            continue;
        }
        let Some(group) = groups.last_mut() else { break };
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = group.last_mut()
                && value.len() < DIAGNOSTIC * 8
            {
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            group.push((name.trim().to_lowercase(), value.trim().to_owned()));
        }
    }
    groups
}

fn recipient(group: &[(String, String)]) -> Option<Recipient> {
    let field = |name: &str| group.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let address = |name: &str| {
        let value = field(name)?;
        let address = value.split_once(';').map_or(value, |(_, address)| address);
        normal(address.trim().trim_matches(['<', '>']))
    };
    let status = field("status").and_then(status_of).unwrap_or_default();
    let action = match field("action").map(str::to_lowercase).as_deref().map(str::trim) {
        Some("failed") => Action::Failed,
        Some("delayed") => Action::Delayed,
        Some("delivered" | "relayed" | "expanded") => Action::Delivered,
        _ if status.starts_with('5') => Action::Failed,
        _ if status.starts_with('4') => Action::Delayed,
        _ if status.starts_with('2') => Action::Delivered,
        _ => return None,
    };
    // The original recipient is whom we wrote to; the final one may be somebody behind an alias.
    let address = address("original-recipient").or_else(|| address("final-recipient")).unwrap_or_default();
    let said = field("diagnostic-code").map_or("", |value| value.split_once(';').map_or(value, |(_, said)| said));
    Some(Recipient { address, action, status, diagnostic: one_line(said, DIAGNOSTIC) })
}

/// The first enhanced status (RFC 3463) in a text: `5.1.1`.
pub(super) fn status_of(text: &str) -> Option<String> {
    let is_status = |word: &&str| {
        let mut parts = word.split('.');
        let class = parts.next().is_some_and(|class| matches!(class, "2" | "4" | "5"));
        let number = |part: Option<&str>| {
            part.is_some_and(|part| (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit()))
        };
        class && number(parts.next()) && number(parts.next()) && parts.next().is_none()
    };
    let words = text.split(|c: char| !(c.is_ascii_digit() || c == '.')).map(|word| word.trim_matches('.'));
    words.filter(|word| word.len() >= 5).find(is_status).map(str::to_owned)
}
