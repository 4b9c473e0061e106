//! Who is who, seen from Slack.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use bus_schemas::v1::api::Problem;

use super::{core::Bridge, desk::Desk, work::Later};
use crate::{
    adapter::slack::{SlackError, SlackWeb, view::text, web::User},
    people::People,
    port::Service,
};

/// How long it is taken to be known of which workspace somebody is.
const KNOWN: Duration = Duration::from_secs(3600);
/// How long somebody waits whose click Slack wants answered within three seconds.
const AT_ONCE: Duration = Duration::from_secs(2);
/// Slack's words for somebody who is nobody it knows here: whatever else it says is about us, or passes.
const UNKNOWN: [&str; 2] = ["user_not_found", "user_not_visible"];

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
    /// of the app's own workspace. In a channel that is shared with another company, its people are none of these. Where only
    /// Slack can tell and does not, that is no answer: it is asked again.
    pub(super) async fn may(&self, user: &str) -> Result<bool, Later> {
        let crew = &self.0.crew;
        if crew.is_member(user) || !crew.takes_everyone() || user.is_empty() {
            return Ok(crew.is_member(user));
        }
        self.is_colleague(user).await.map_err(|error| {
            tracing::warn!(%error, %user, "Slack: it is not known yet of which workspace somebody is");
            Later(unsure())
        })
    }

    /// What [`may`](Self::may) says within the time an answer to Slack has.
    pub(super) async fn may_now(&self, user: &str) -> Result<bool, Later> {
        let said = tokio::time::timeout(AT_ONCE, self.may(user)).await;
        said.unwrap_or_else(|_| Err(Later(unsure())))
    }

    async fn is_colleague(&self, user: &str) -> Result<bool, SlackError> {
        if let Some((known, _)) = self.lock_colleagues().get(user).filter(|(_, at)| at.elapsed() < KNOWN) {
            return Ok(*known);
        }
        // Slack's own word, and not what a payload says: payloads name the workspace of the app, of the channel or of the person.
        let own = self.own().await?;
        let person = match self.0.web.user(user).await {
            Ok(person) => person,
            Err(error) if error.word().is_some_and(|word| UNKNOWN.contains(&word)) => return Ok(false),
            Err(error) => return Err(error),
        };
        let is_colleague = is_of(&person, &own.team_id);
        let mut colleagues = self.lock_colleagues();
        colleagues.retain(|_, (_, at)| at.elapsed() < KNOWN);
        colleagues.insert(user.to_owned(), (is_colleague, Instant::now()));
        Ok(is_colleague)
    }
}

/// Slack did not say who somebody is.
fn unsure() -> Problem {
    Problem {
        code: "slack_unsure".to_owned(),
        status: 503,
        detail: "Slack does not say just now whether you, or whom you named, belong to this workspace".to_owned(),
        hint: None,
        findings: Vec::new(),
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
