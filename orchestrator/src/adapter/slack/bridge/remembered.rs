//! `/baton remembered` and `/baton revoke ID`: approvals that count for later requests, and an end to them.

use bus_schemas::v1::api::{RememberScope, RememberedView, RevokeRequest};

use super::{
    answers,
    core::Bridge,
    desk::Desk,
    post::Asker,
    work::{Later, Outcome},
};
use crate::{
    adapter::slack::{SlackWeb, view::text},
    port::Service,
};

/// Lines of the listing.
const LINES: usize = 20;
/// All of it.
const ALL: usize = 2_800;
/// So much of an id is shown: the instant it was made at, and a little more.
const ID: usize = 18;
/// A name in a line.
const NAME: usize = 80;

/// A word and an id behind it; `None` if it is something else, such as a goal that begins with that word.
pub(super) fn verb_and_id(said: &str) -> Option<(&str, &str)> {
    let (verb, id) = said.split_once(char::is_whitespace)?;
    let id = id.trim().trim_matches('`');
    let is_id = id.len() >= 8
        && id.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
        && id.contains(|c: char| c.is_ascii_digit());
    is_id.then_some((verb, id))
}

/// The id in `revoke ID`.
pub(super) fn id_to_revoke(said: &str) -> Option<&str> {
    verb_and_id(said).filter(|(verb, _)| verb.eq_ignore_ascii_case("revoke")).map(|(_, id)| id)
}

impl<S: Service, W: SlackWeb, D: Desk> Bridge<S, W, D> {
    /// What is remembered and still counts.
    pub(super) async fn remembered(&self) -> Result<String, Later> {
        let all = self.0.service.remembered().await.and_then(|all| self.veiled(&all)).map_err(Later)?;
        let now = self.now();
        let counts: Vec<&RememberedView> =
            all.iter().filter(|one| one.revoked_by.is_none() && one.until.0 > now.0).collect();
        if counts.is_empty() {
            return Ok("No approval is remembered. The menu beside the buttons of a card remembers one.".to_owned());
        }
        let lines: Vec<String> = counts.iter().take(LINES).map(|one| self.remembered_line(one)).collect();
        Ok(format!(
            "*Approvals that count for later requests:*\n{}\n`/baton revoke ID` takes one back.",
            text::list(&lines, counts.len(), ALL)
        ))
    }

    fn remembered_line(&self, one: &RememberedView) -> String {
        let id: String = one.approval_id.to_string().chars().take(ID).collect();
        let subject =
            if one.subject.is_empty() { String::new() } else { format!(" {}", text::code(&one.subject, NAME)) };
        let scope = match one.scope {
            RememberScope::Project => "in its project".to_owned(),
            RememberScope::Folder => format!("in every project of {}", text::code(&one.folder, NAME)),
        };
        let used = match one.used {
            0 => "not used yet".to_owned(),
            1 => "used once".to_owned(),
            times => format!("used {times} times"),
        };
        format!(
            "• {} {}{subject} {scope}, by {}, until {}, {used}",
            text::code(&id, 2 * ID),
            text::line(&one.kind, NAME),
            self.0.crew.mention(&one.by),
            text::date(one.until)
        )
    }

    /// Takes one back.
    pub(super) async fn revoke(&self, asker: &Asker, id: &str) -> Outcome {
        let request = RevokeRequest { by: asker.user.clone(), channel: "slack".to_owned() };
        let (said, outcome) = match self.0.service.revoke(id, request).await {
            Ok(_) => (
                ":white_check_mark: Taken back: later requests like it are asked about again.".to_owned(),
                "revoked".to_owned(),
            ),
            Err(problem) if answers::is_passing(&problem) => return Err(Later(problem)),
            Err(problem) => (self.plain(&problem), format!("refused: {}", problem.code)),
        };
        self.whisper(asker, said).await;
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::id_to_revoke;

    #[test]
    fn only_an_id_is_revoked_and_anything_else_is_a_goal() {
        assert_eq!(id_to_revoke("revoke 01932c3a-1b2c"), Some("01932c3a-1b2c"));
        assert_eq!(id_to_revoke("Revoke  `01932c3a-1b2c-7abc`"), Some("01932c3a-1b2c-7abc"));
        for goal in
            ["revoke", "revoke the old certificates", "revoke access", "revoke deadbeef!", "remember 01932c3a-1b2c"]
        {
            assert_eq!(id_to_revoke(goal), None, "{goal}");
        }
    }
}
