//! Who is who, seen from Slack.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{core::Bridge, desk::Desk};
use crate::{
    adapter::slack::{SlackWeb, view::text, web::User},
    people::People,
    port::Service,
};

/// How long it is taken to be known of which workspace somebody is.
const KNOWN: Duration = Duration::from_secs(3600);

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

    /// They are one of those in `baton.toml`.
    pub(super) fn is_member(&self, user: &str) -> bool {
        !user.is_empty() && self.people.is_member(&self.name(user))
    }

    /// Colleagues who are no members may do what members may.
    pub(super) const fn takes_everyone(&self) -> bool {
        self.everyone
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

impl<S: Service, W: SlackWeb, D: Desk> Bridge<S, W, D> {
    /// They may start projects and have a say where a policy gives them one: members, and with `allow_everyone` everybody
    /// of the app's own workspace. In a channel that is shared with another company, its people are none of these.
    pub(super) async fn may(&self, user: &str) -> bool {
        let crew = &self.0.crew;
        crew.is_member(user) || (crew.takes_everyone() && !user.is_empty() && self.is_colleague(user).await)
    }

    async fn is_colleague(&self, user: &str) -> bool {
        if let Some((known, _)) = self.lock_colleagues().get(user).filter(|(_, at)| at.elapsed() < KNOWN) {
            return *known;
        }
        // Slack's own word, and not what a payload says: payloads name the workspace of the app, of the channel or of the person.
        let (own, person) = match (self.own().await, self.0.web.user(user).await) {
            (Ok(own), Ok(person)) => (own, person),
            (Err(error), _) | (_, Err(error)) => {
                tracing::warn!(%error, %user, "Slack: it is not known of which workspace somebody is, so they may do nothing");
                return false;
            }
        };
        let is_colleague = is_of(&person, &own.team_id);
        let mut colleagues = self.lock_colleagues();
        colleagues.retain(|_, (_, at)| at.elapsed() < KNOWN);
        colleagues.insert(user.to_owned(), (is_colleague, Instant::now()));
        is_colleague
    }
}

/// A person, not an app, of this workspace.
fn is_of(person: &User, team_id: &str) -> bool {
    !team_id.is_empty()
        && person.team_ids.iter().any(|team| team == team_id)
        && !person.is_foreign
        && !person.is_bot
        && !person.deleted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_people_of_this_workspace_are_colleagues() {
        let ann = User { id: "U1".to_owned(), team_ids: vec!["T1".to_owned(), "T2".to_owned()], ..User::default() };
        assert!(is_of(&ann, "T1") && is_of(&ann, "T2"), "an organisation may have several workspaces");
        assert!(!is_of(&ann, "T3") && !is_of(&ann, "") && !is_of(&User::default(), "T1"));
        for other in [
            User { is_foreign: true, ..ann.clone() },
            User { is_bot: true, ..ann.clone() },
            User { deleted: true, ..ann },
        ] {
            assert!(!is_of(&other, "T1"), "{other:?}");
        }
    }
}
