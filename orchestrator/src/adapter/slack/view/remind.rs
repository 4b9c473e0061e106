//! The message that comes to a card's thread when nobody has decided: the only one that mentions people.

use bus_schemas::v1::api::ApprovalView;

use super::{
    Card,
    blocks::section,
    part, subject,
    text::{line, mention, plain},
};
use crate::words::card::route;

/// People mentioned.
const PEOPLE: usize = 20;

/// A reminder for those who can decide, by their Slack ids. What is no such id is left out.
#[must_use]
pub fn reminder(approval: &ApprovalView, slack_ids: &[String]) -> Card {
    let people: Vec<String> = slack_ids.iter().filter_map(|id| mention(id)).take(PEOPLE).collect();
    let who = if people.is_empty() { String::new() } else { format!("{}: ", people.join(" ")) };
    let mut words = format!("🔔 {who}*{}* still waits for a decision.", line(&subject(approval), 200));
    if let Some(deadline) = route::deadline(approval) {
        words.push_str(&format!("\n⏰ {}", part::words(&deadline)));
    }
    let text = format!("{}: {} still waits for a decision", approval.project_title, subject(approval));
    Card { text: plain(&text, 300), blocks: vec![section(&words)] }
}
