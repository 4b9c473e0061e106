//! Servers that write for people only: qmail, Exim, Exchange, and whoever says "undelivered mail" in words.

use super::{Action, DIAGNOSTIC, MOST, Recipient, report::status_of};
use crate::mail::{
    address::{normal, one_line},
    letter::Letter,
};

/// What says that a mail did not arrive, in small letters, in subjects and texts.
const FAILED: [&str; 26] = [
    "undelivered mail returned to sender",
    "undeliverable",
    "delivery status notification (failure)",
    "mail delivery failed",
    "mail delivery failure",
    "delivery failure",
    "delivery has failed",
    "delivery failed",
    "failure notice",
    "returned mail",
    "could not be delivered",
    "couldn't be delivered",
    "wasn't delivered",
    "was not delivered",
    "unable to deliver",
    "i wasn't able to deliver",
    "i'm afraid i wasn't able to deliver",
    "address not found",
    "user unknown",
    "no such user",
    "recipient address rejected",
    "unzustellbar",
    "nicht zugestellt",
    "non remis",
    "no se pudo entregar",
    "mailbox unavailable",
];
/// What says that it is only late.
const DELAYED: [&str; 9] = [
    "delivery status notification (delay)",
    "delayed mail",
    "delivery is delayed",
    "delivery delayed",
    "has been delayed",
    "still being retried",
    "will be retried",
    "not yet been delivered",
    "this is a warning message only",
];
/// Lines above a returned mail.
const RETURNED: [&str; 8] = [
    "--- below this line is a copy",
    "------ this is a copy of",
    "------ this is a copy",
    "original message headers",
    "original message follows",
    "----- original message",
    "the original message was received at",
    "reporting-mta:",
];

/// The recipients a text names as not reached.
pub(super) fn recipients(letter: &Letter) -> Vec<Recipient> {
    let text: String = letter.text.chars().take(20_000).collect();
    let above = above_returned(&text);
    let said = format!("{}\n{above}", letter.subject).to_lowercase();
    let is_said = |list: &[&str]| list.iter().any(|words| said.contains(words));
    // A mail that warns says "could not be delivered", too.
    let action = match (is_said(&DELAYED), is_said(&FAILED) || letter.header("x-failed-recipients").next().is_some()) {
        (true, _) => Action::Delayed,
        (false, true) => Action::Failed,
        (false, false) => return Vec::new(),
    };
    let status = status_of(above).unwrap_or_default();
    let action = if status.starts_with('5') { Action::Failed } else { action };
    let mut found: Vec<String> = Vec::new();
    let listed = letter.header("x-failed-recipients").flat_map(|value| value.split(',')).filter_map(normal);
    found.extend(listed);
    if found.is_empty() {
        let own: Vec<&str> = letter.from.iter().map(|from| from.address.as_str()).collect();
        found.extend(addresses(above).into_iter().filter(|address| !own.contains(&address.as_str())));
    }
    found.dedup();
    let diagnostic = diagnostic(above);
    let of = |address: String| Recipient { address, action, status: status.clone(), diagnostic: diagnostic.clone() };
    if found.is_empty() {
        // Which of them is not said; there is one for each mail of ours.
        return vec![of(String::new())];
    }
    found.into_iter().take(MOST).map(of).collect()
}

/// What stands above the mail that is returned.
fn above_returned(text: &str) -> &str {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let small = line.trim().to_lowercase();
        let is_header = ["received: from", "return-path:", "message-id:"].iter().any(|name| small.starts_with(name));
        if at > 0 && (is_header || RETURNED.iter().any(|words| small.starts_with(words))) {
            return &text[..at];
        }
        at += line.len();
    }
    text
}

/// Addresses in a text, each once.
fn addresses(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let is_edge = |c: char| c.is_whitespace() || "<>()[]\"',;:".contains(c);
    for word in text.split(is_edge).filter(|word| word.contains('@') && word.len() <= 254) {
        if let Some(address) = normal(word.trim_matches('.'))
            && !found.contains(&address)
        {
            found.push(address);
        }
        if found.len() >= MOST {
            break;
        }
    }
    found
}

/// The line that says why.
fn diagnostic(text: &str) -> String {
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    let says = |line: &&str| {
        let small = line.to_lowercase();
        status_of(line).is_some()
            || ["550", "551", "552", "553", "554", "421", "450", "451", "452"].iter().any(|code| small.contains(code))
    };
    let line = lines().find(says).or_else(|| {
        lines().find(|line| FAILED.iter().chain(&DELAYED).any(|words| line.to_lowercase().contains(words)))
    });
    one_line(line.unwrap_or_default(), DIAGNOSTIC)
}

/// The Message-ID among headers.
pub(super) fn message_id(headers: &str) -> Option<String> {
    let mut lines = headers.lines().take(2_000).peekable();
    while let Some(line) = lines.next() {
        let Some((name, value)) = line.split_once(':') else { continue };
        if !name.trim().eq_ignore_ascii_case("message-id") {
            continue;
        }
        let folded = lines.peek().filter(|next| next.starts_with([' ', '\t'])).map_or("", |next| next.trim());
        let id = format!("{} {folded}", value.trim());
        let id = id.split('<').nth(1)?.split('>').next()?.trim();
        return (!id.is_empty() && id.len() <= 998 && !id.contains(char::is_whitespace)).then(|| id.to_owned());
    }
    None
}

/// Ids of mails that are quoted with their headers, other than the report's own.
pub(super) fn returned_ids(raw: &str, own: Option<&str>) -> Vec<String> {
    let mut found = Vec::new();
    for line in raw.lines() {
        let line = line.trim_start_matches(['>', ' ', '\t']);
        let is_it = line.get(..11).is_some_and(|name| name.eq_ignore_ascii_case("message-id:"));
        if is_it
            && let Some(id) = message_id(line)
            && Some(id.as_str()) != own
        {
            found.push(id);
        }
        if found.len() >= MOST {
            break;
        }
    }
    found
}
