//! Who hears of a request, and at which address.

use std::collections::BTreeSet;

use bus_schemas::v1::api::{ApprovalView, ProjectView};

use super::{super::core::Settings, Recipient};
use crate::{
    adapter::mail::{OutMail, OutState, Thread},
    config::Audience,
    mail::address::normal,
    people::People,
};

/// What somebody who is no member is called before their address.
const BY_MAIL: &str = "email:";
/// Why a mail was not sent after all.
pub(super) const NO_NEED: &str = "not sent: what it asks was decided, or changed, before it went";

/// Who is who, seen from mail.
#[derive(Clone, Copy)]
pub(super) struct Crew<'a> {
    pub(super) people: &'a People,
    pub(super) settings: &'a Settings,
}

impl Crew<'_> {
    /// Every address of a person, the one to use first in front.
    pub(super) fn addresses(&self, person: &str) -> Vec<String> {
        match person.strip_prefix(BY_MAIL) {
            Some(address) => vec![address.to_owned()],
            // As servers want them: a domain in A-labels, no blanks.
            None => {
                let written = self.people.emails_of(person).iter();
                written.map(|address| normal(address).unwrap_or_else(|| address.trim().to_owned())).collect()
            }
        }
    }

    /// The address for a mail of which these went to this person before: the one at which none of them is known to be lost.
    pub(super) fn recipient(&self, person: &str, before: &[OutMail]) -> Option<Recipient> {
        let address = self.addresses(person).into_iter().find(|address| !fails(before, address))?;
        Some(Recipient { person: person.to_owned(), address })
    }

    /// Mail about this is lost at every address of a person.
    pub(super) fn is_unreached(&self, person: &str, before: &[OutMail]) -> bool {
        let is_theirs = |mail: &OutMail| mail.person == *person && is_lost(mail);
        before.iter().any(is_theirs) && self.recipient(person, before).is_none()
    }

    /// The people whom a pending request is sent to by mail.
    pub(super) fn asked(
        &self,
        view: &ApprovalView,
        project: &ProjectView,
        threads: &[(String, Thread)],
    ) -> Vec<String> {
        let route = &view.route;
        let began_by_mail = project.owner.starts_with(BY_MAIL) || threads.iter().any(|(_, thread)| thread.is_start);
        // Where anybody may decide, those are asked who have to do with the project.
        let eligible: BTreeSet<&str> = if route.eligible.is_empty() {
            let starters = threads.iter().filter(|(_, thread)| thread.is_start).map(|(person, _)| person.as_str());
            starters.chain([project.owner.as_str()]).collect()
        } else {
            route.eligible.iter().map(String::as_str).collect()
        };
        let may = |name: &&str| {
            !route.excluded.iter().any(|excluded| excluded == name) && !route.votes.iter().any(|vote| vote.by == **name)
        };
        let hears = |name: &&str| {
            let in_slack =
                self.settings.has_slack && (self.people.slack_of(name).is_some() || name.starts_with("slack:"));
            began_by_mail || self.settings.requests == Audience::Everyone || !in_slack
        };
        eligible.into_iter().filter(may).filter(hears).map(str::to_owned).collect()
    }
}

/// How it begins why a mail was never to be sent.
pub(super) const NOT_SENT: &str = "not sent: ";

/// It does not arrive. One that was not sent because there was no need any more, or were too many, is not lost.
pub(super) fn is_lost(mail: &OutMail) -> bool {
    match mail.state {
        OutState::Failed => !mail.error.as_deref().unwrap_or_default().starts_with(NOT_SENT),
        OutState::Bounced => true,
        OutState::Queued | OutState::Sent => false,
    }
}

/// A mail about this is lost at an address: what arrived there before may not be read any more, and what comes is lost, too.
pub(super) fn fails(before: &[OutMail], address: &str) -> bool {
    before.iter().any(|mail| is_lost(mail) && mail.to.eq_ignore_ascii_case(address))
}

/// A person has what a request shows now, at an address where mail arrives.
pub(super) fn has_it(before: &[OutMail], person: &str, digest: &str) -> bool {
    let is_on_its_way = |mail: &OutMail| matches!(mail.state, OutState::Queued | OutState::Sent);
    let has = |mail: &&OutMail| mail.person == person && mail.digest == digest && is_on_its_way(mail);
    before.iter().filter(has).any(|mail| !fails(before, &mail.to))
}

/// Those who decided: names separated by commas.
pub(super) fn decided_by(by: &str) -> impl Iterator<Item = &str> {
    by.split(',').map(str::trim).filter(|name| !name.is_empty())
}
