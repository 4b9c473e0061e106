//! Mail as the API shows it. Only admins let pass what was put aside, and only from this machine.

use std::sync::Arc;

use bus_schemas::v1::api::{LetterRequest, LetterView, Problem};

use super::{
    orchestrator::Orchestrator,
    problem::{hinted, of_journal, problem},
};
use crate::{
    people::People,
    port::mail::{MailError, MailRoom, mail_off},
};

/// The channels of this machine: nobody releases a mail by mail.
const LOCAL: [&str; 2] = ["cli", "web"];

impl Orchestrator {
    /// Mail is there from now on; `false` if it was before. What `room` holds lives as long as this orchestrator: it must not
    /// hold it in turn.
    pub fn open_mail(&self, room: Arc<dyn MailRoom>) -> bool {
        self.mail.set(room).is_ok()
    }

    pub(super) fn mail_room(&self) -> Result<&Arc<dyn MailRoom>, Problem> {
        self.mail.get().ok_or_else(mail_off)
    }

    /// An admin decides about a mail that was put aside.
    pub(super) async fn judge_letter(
        &self,
        id: &str,
        request: LetterRequest,
        is_released: bool,
    ) -> Result<LetterView, Problem> {
        let room = self.mail_room()?;
        let by = self.person(&request.channel, &request.by);
        let what = if is_released { "release" } else { "drop" };
        may_judge(&self.rules.people, &request.channel, &by, what)?;
        let judged = if is_released { room.release(id, &by).await } else { room.discard(id, &by).await };
        judged.map_err(|error| of_mail(&error))
    }
}

/// Whether a person may decide about mails that were put aside.
fn may_judge(people: &People, channel: &str, by: &str, what: &str) -> Result<(), Problem> {
    if !LOCAL.contains(&channel) {
        let detail = format!("nobody comes over the channel {channel:?} to {what} a mail");
        return Err(hinted("bad_channel", 422, detail, format!("use `baton mail {what}`")));
    }
    let admins = people.admins();
    if people.is_configured() && !admins.contains(&by) {
        let detail = format!("{by} may not {what} a mail: only admins may");
        let hint = if admins.is_empty() {
            "there is none: write `admin = true` below a [members.NAME] of baton.toml".to_owned()
        } else {
            format!("ask {}", admins.join(", "))
        };
        return Err(hinted("not_admin", 403, detail, hint));
    }
    Ok(())
}

/// The mail room did not do it.
pub(super) fn of_mail(error: &MailError) -> Problem {
    match error {
        MailError::NotFound(_) => hinted("not_found", 404, error.to_string(), "see `baton mail log`"),
        MailError::Ambiguous(_) => problem("ambiguous_id", 409, error.to_string()),
        MailError::NotQuarantined { .. } => {
            hinted("wrong_state", 409, error.to_string(), "`baton mail quarantine` lists what waits")
        }
        MailError::Cleared { .. } => {
            hinted("cleared", 410, error.to_string(), "the mailbox it came from may still have it")
        }
        MailError::Store(error) => of_journal(error),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::people::Member;

    fn people(is_admin: bool) -> People {
        let member = |admin: bool| Member { admin, ..Member::default() };
        People::new(BTreeMap::from([("ann".to_owned(), member(is_admin)), ("bob".to_owned(), member(false))])).unwrap()
    }

    fn code(people: &People, channel: &str, by: &str) -> String {
        may_judge(people, channel, by, "release").map_or_else(|problem| problem.code, |()| "ok".to_owned())
    }

    #[test]
    fn only_admins_on_this_machine_judge_mails() {
        let team = people(true);
        assert_eq!((code(&team, "cli", "ann").as_str(), code(&team, "web", "ann").as_str()), ("ok", "ok"));
        assert_eq!(code(&team, "cli", "bob"), "not_admin");
        assert_eq!(code(&team, "cli", "cli:mallory"), "not_admin");
        for channel in ["email", "slack", ""] {
            assert_eq!(code(&team, channel, "ann"), "bad_channel", "{channel}");
        }
        assert_eq!(code(&People::default(), "cli", "anybody"), "ok", "without members, who reaches the socket may");
        let refused = may_judge(&people(false), "cli", "ann", "drop").unwrap_err();
        assert!(refused.hint.unwrap().contains("admin = true"), "the way out");
    }
}
