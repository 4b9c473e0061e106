//! Who is who, seen from Slack.

use std::sync::Arc;

use crate::{adapter::slack::view::text, people::People};

/// The members, and what somebody who is none may do.
#[derive(Clone, Debug)]
pub(super) struct Crew {
    people: Arc<People>,
    everyone: bool,
}

impl Crew {
    pub(super) const fn new(people: Arc<People>, everyone: bool) -> Self {
        Self { people, everyone }
    }

    /// The name under which a Slack user is recorded.
    pub(super) fn name(&self, user: &str) -> String {
        self.people.person("slack", user)
    }

    /// They may start projects and have a say where a policy gives them one.
    pub(super) fn may(&self, user: &str) -> bool {
        !user.is_empty() && (self.everyone || self.people.is_member(&self.name(user)))
    }

    /// The Slack user of a recorded name.
    pub(super) fn slack_of(&self, name: &str) -> Option<String> {
        self.people.slack_of(name).map(str::to_owned).or_else(|| name.strip_prefix("slack:").map(str::to_owned))
    }

    /// A person, so that Slack shows their name (and, in a new message, tells them).
    pub(super) fn mention(&self, name: &str) -> String {
        self.slack_of(name).and_then(|user| text::mention(&user)).unwrap_or_else(|| text::line(name, 100))
    }

    /// Those who decided: names separated by commas.
    pub(super) fn several(&self, by: &str) -> String {
        let names: Vec<&str> = by.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
        self.list(&names, usize::MAX)
    }

    /// People in a sentence.
    pub(super) fn list(&self, names: &[&str], most: usize) -> String {
        let mut shown: Vec<String> = names.iter().take(most).map(|name| self.mention(name)).collect();
        if names.len() > shown.len() {
            shown.push(format!("{} more", names.len() - shown.len()));
        }
        shown.join(", ")
    }

    /// Members with a Slack id.
    pub(super) fn members_in_slack(&self) -> Vec<&str> {
        let names = self.people.names();
        names.filter(|name| self.people.slack_of(name).is_some()).collect()
    }

    /// How many members there are.
    pub(super) fn len(&self) -> usize {
        self.people.names().count()
    }
}
