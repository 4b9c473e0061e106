//! A plan as people edit it away from the terminal: its text, or why it is not edited there.

use bus_schemas::v1::plan::Plan;

use super::secrets::{WITHHELD, hide, redact};
use crate::planfile::yaml;

/// A plan, to be edited on a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Draft {
    /// As text.
    Text(String),
    /// It holds something that channels do not show: whoever edits what is left would take that out.
    Withheld,
    /// Its text is longer than the channel takes: so many characters.
    TooLong(usize),
}

impl Draft {
    /// A plan on a channel that takes so many characters, without the secrets that are known by heart.
    #[must_use]
    pub fn of(plan: &Plan, known: &[String], most: usize) -> Self {
        let (Ok(text), Ok(hidden)) = (yaml(plan), hide(plan, known)) else { return Self::Withheld };
        // Or it was taken out before this looks at it.
        if hidden != *plan || redact(&text) != text || text.contains(WITHHELD) {
            return Self::Withheld;
        }
        // As forms count: an emoji is two.
        match text.encode_utf16().count() {
            length if length > most => Self::TooLong(length),
            _ => Self::Text(text),
        }
    }

    /// Why it is not edited here, as a sentence.
    #[must_use]
    pub fn why_not(&self) -> Option<String> {
        match self {
            Self::Text(_) => None,
            Self::Withheld => Some("Something in this plan is not shown here, so it cannot be edited here.".to_owned()),
            Self::TooLong(length) => Some(format!("This plan has {length} characters, too many to be edited here.")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(run: &str) -> Plan {
        let text = serde_json::json!({"version": 1, "title": "t", "tasks": [{"id": "a", "run": run}]});
        serde_json::from_value(text).unwrap()
    }

    #[test]
    fn a_plan_is_edited_where_all_of_it_can_be_shown() {
        let Draft::Text(text) = Draft::of(&plan("make"), &[], 1_000) else { panic!("no text") };
        assert!(text.contains("run: make"), "{text}");
        let known = ["hunter-two-hunter".to_owned()];
        assert_eq!(Draft::of(&plan("echo hunter-two-hunter"), &known, 1_000), Draft::Withheld);
        let token = ["Authorization: Bearer ", "abcdefghijklmnopqrstuvwxyz0123456789"].concat();
        assert_eq!(Draft::of(&plan(&token), &[], 1_000), Draft::Withheld);
        assert_eq!(Draft::of(&plan(&format!("echo {WITHHELD}")), &[], 1_000), Draft::Withheld);
        let long = Draft::of(&plan("make"), &[], text.len() - 1);
        assert_eq!(long, Draft::TooLong(text.len()));
        assert!(long.why_not().unwrap().contains(&text.len().to_string()));
    }
}
