//! The people of `baton.toml`: which handles on which channels are the same person, and who is in which group.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{ledger::Who, mail::address::normal};

/// The group of all members.
pub const EVERYONE: &str = "everyone";
/// The keys of a `[members.NAME]` section.
pub const MEMBER_KEYS: [&str; 5] = ["email", "slack", "unix", "groups", "admin"];
/// The longest name of a member or a group, in characters.
const NAME_CHARS: usize = 64;

/// Somebody who may decide.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Member {
    /// Their mail addresses.
    pub email: Vec<String>,
    /// Their Slack user id: `U…`.
    pub slack: Option<String>,
    /// Their login name on this machine. Default: the member's name.
    pub unix: Option<String>,
    /// The groups they are in.
    pub groups: Vec<String>,
    /// They look after this installation.
    pub admin: bool,
}

/// Why people cannot be told apart.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{member}: {problem}")]
pub struct PeopleError {
    /// The member.
    pub member: String,
    /// What is wrong, and the way out.
    pub problem: String,
}

/// Everybody who may decide. Without members, everybody who can reach a channel may.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct People {
    members: BTreeMap<String, Member>,
    /// (channel, handle) → member.
    handles: BTreeMap<(&'static str, String), String>,
}

impl People {
    /// Checks that every handle belongs to one person.
    ///
    /// # Errors
    /// [`PeopleError`] names the member and the handle.
    pub fn new(members: BTreeMap<String, Member>) -> Result<Self, PeopleError> {
        let mut people = Self { members: BTreeMap::new(), handles: BTreeMap::new() };
        for (name, member) in &members {
            let bad = |problem: String| PeopleError { member: name.clone(), problem };
            if !is_name(name) {
                return Err(bad("use letters, digits, `-`, `_` and `.` for a member's name".to_owned()));
            }
            for group in &member.groups {
                if group == EVERYONE {
                    return Err(bad(format!("`{EVERYONE}` is the group of all members: leave it out")));
                }
                if !is_name(group) {
                    return Err(bad(format!("use letters, digits, `-`, `_` and `.` for the group {group:?}")));
                }
            }
            let login = member.unix.clone().unwrap_or_else(|| name.clone());
            let slack = member.slack.iter().map(|id| ("slack", id.trim().to_owned()));
            let email = member.email.iter().map(|address| ("email", mail_handle(address)));
            for (channel, handle) in slack.chain(email).chain([("cli", login.trim().to_owned())]) {
                if handle.is_empty() {
                    return Err(bad(format!("an empty handle for {channel}: write one, or leave it out")));
                }
                if channel == "slack" && !is_slack_id(&handle) {
                    let way = "write the one that begins with U or W (profile → ⋮ → Copy member ID)";
                    return Err(bad(format!("{handle:?} is not a Slack user id: {way}")));
                }
                if channel == "email" && !handle.contains('@') {
                    return Err(bad(format!("{handle:?} is not a mail address")));
                }
                let other = people.handles.insert((channel, handle.clone()), name.clone());
                if let Some(other) = other.filter(|other| other != name) {
                    return Err(bad(format!("{channel} {handle:?} belongs to {other} already: one person each")));
                }
            }
        }
        people.members = members;
        Ok(people)
    }

    /// There are members: only they decide.
    #[must_use]
    pub fn is_configured(&self) -> bool {
        !self.members.is_empty()
    }

    /// Who a handle on a channel is: a member's name, else `channel:handle`. Without members, names given on the command
    /// line stay as they are.
    #[must_use]
    pub fn person(&self, channel: &str, handle: &str) -> String {
        let handle = handle.trim();
        let is_local = matches!(channel, "cli" | "web");
        let key = match channel {
            "cli" | "web" => Some(("cli", handle.to_owned())),
            "slack" => Some(("slack", handle.to_owned())),
            "email" => Some(("email", mail_handle(handle))),
            _ => None,
        };
        if let Some(name) = key.and_then(|key| self.handles.get(&key)) {
            return name.clone();
        }
        // A name with a colon could be taken for somebody of another channel.
        if is_local && !self.is_configured() && !handle.contains(':') {
            return handle.to_owned();
        }
        match channel {
            "email" => format!("email:{}", mail_handle(handle)),
            _ => format!("{channel}:{handle}"),
        }
    }

    /// Whether this is a member's name.
    #[must_use]
    pub fn is_member(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    /// The members' names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.members.keys().map(String::as_str)
    }

    /// The groups there are, `everyone` included.
    #[must_use]
    pub fn groups(&self) -> BTreeSet<&str> {
        let own = self.members.values().flat_map(|member| member.groups.iter().map(String::as_str));
        own.chain([EVERYONE]).collect()
    }

    /// The members of a group; `None` if there is no such group.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<Vec<String>> {
        let is_in = |member: &Member| name == EVERYONE || member.groups.iter().any(|group| group == name);
        let of: Vec<String> =
            self.members.iter().filter(|(_, member)| is_in(member)).map(|(name, _)| name.clone()).collect();
        (!of.is_empty()).then_some(of)
    }

    /// Anybody who may decide at all.
    #[must_use]
    pub fn anyone(&self) -> Who {
        match self.group(EVERYONE) {
            Some(of) => Who::Some { n: 1, group: EVERYONE.to_owned(), of },
            None => Who::Anyone,
        }
    }

    /// A member's Slack user id.
    #[must_use]
    pub fn slack_of(&self, name: &str) -> Option<&str> {
        self.members.get(name)?.slack.as_deref()
    }

    /// A member's first mail address.
    #[must_use]
    pub fn email_of(&self, name: &str) -> Option<&str> {
        self.members.get(name)?.email.first().map(String::as_str)
    }

    /// All mail addresses of all members, lower case, with the member's name.
    pub fn addresses(&self) -> impl Iterator<Item = (&str, &str)> {
        let of_mail = self.handles.iter().filter(|((channel, _), _)| *channel == "email");
        of_mail.map(|((_, address), member)| (address.as_str(), member.as_str()))
    }

    /// A member's mail addresses, the one to use first in front.
    #[must_use]
    pub fn emails_of(&self, name: &str) -> &[String] {
        self.members.get(name).map_or(&[], |member| &member.email)
    }

    /// Those who look after this installation.
    #[must_use]
    pub fn admins(&self) -> Vec<&str> {
        self.members.iter().filter(|(_, member)| member.admin).map(|(name, _)| name.as_str()).collect()
    }
}

fn is_slack_id(handle: &str) -> bool {
    handle.starts_with(['U', 'W']) && handle.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// A mail address as it is compared: small letters, the domain as servers know it (`xn--…`).
fn mail_handle(written: &str) -> String {
    normal(written).unwrap_or_else(|| written.trim().to_lowercase())
}

/// A name without characters that lists of names, or handles, are written with.
pub(crate) fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.chars().count() <= NAME_CHARS
        && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(slack: &str, email: &[&str], groups: &[&str]) -> Member {
        let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        let slack = Some(slack.to_owned()).filter(|id| !id.is_empty());
        Member { slack, email: owned(email), groups: owned(groups), ..Member::default() }
    }

    fn people() -> People {
        let mut ann = member("U1", &["Ann@Example.org", "ann@home.example"], &["leads"]);
        (ann.unix, ann.admin) = (Some("a.smith".to_owned()), true);
        People::new(BTreeMap::from([
            ("ann".to_owned(), ann),
            ("bob".to_owned(), member("U2", &["bob@example.org"], &["leads", "ops"])),
            ("eve".to_owned(), member("", &[], &[])),
        ]))
        .unwrap()
    }

    #[test]
    fn one_person_is_one_name_on_every_channel() {
        let people = people();
        for (channel, handle) in [
            ("slack", "U1"),
            ("email", "ann@example.ORG"),
            ("email", " ann@home.example "),
            ("cli", "a.smith"),
            ("web", "a.smith"),
        ] {
            assert_eq!(people.person(channel, handle), "ann", "{channel} {handle}");
        }
        assert_eq!(people.person("slack", "U9"), "slack:U9");
        let abroad = BTreeMap::from([("zoe".to_owned(), member("", &[" Zoe@exämple.org "], &[]))]);
        let abroad = People::new(abroad).unwrap();
        for handle in ["zoe@exämple.org", "zoe@xn--exmple-cua.org", "ZOE@EXÄMPLE.ORG"] {
            assert_eq!(abroad.person("email", handle), "zoe", "{handle}");
        }
        assert_eq!(people.person("email", "X@example.org"), "email:x@example.org");
        assert_eq!(people.person("cli", "mallory"), "cli:mallory", "no member, and no member's name");
        for channel in ["cli", "web"] {
            let other = people.person(channel, "ann");
            assert_eq!(
                other,
                format!("{channel}:ann"),
                "an account of a member's name is not the member who has another"
            );
            assert!(!people.is_member(&other));
        }
        assert_eq!(people.person("cli", "bob"), "bob", "without another account, the name is the account");
        assert_eq!(people.person("slack", "ann"), "slack:ann", "a name is no Slack id");
        assert_eq!((people.slack_of("bob"), people.email_of("ann")), (Some("U2"), Some("Ann@Example.org")));
        assert_eq!((people.emails_of("ann").len(), people.emails_of("nobody")), (2, &[] as &[String]));
        assert_eq!(people.admins(), ["ann"]);
        let addresses: Vec<_> = people.addresses().collect();
        assert_eq!(addresses, [("ann@example.org", "ann"), ("ann@home.example", "ann"), ("bob@example.org", "bob")]);
    }

    #[test]
    fn without_members_names_stay_as_they_are() {
        let people = People::default();
        assert_eq!(people.person("cli", "ann"), "ann");
        assert_eq!(people.person("slack", "U1"), "slack:U1");
        assert_eq!(people.person("cli", "slack:U1"), "cli:slack:U1", "nobody passes for somebody of another channel");
        assert_eq!((people.anyone(), people.group(EVERYONE)), (Who::Anyone, None));
    }

    #[test]
    fn groups_are_lists_of_members() {
        let people = people();
        assert_eq!(people.group("leads").unwrap(), ["ann", "bob"]);
        assert_eq!(people.group(EVERYONE).unwrap(), ["ann", "bob", "eve"]);
        assert_eq!(people.group("nobody"), None);
        assert!(matches!(people.anyone(), Who::Some { n: 1, of, .. } if of.len() == 3));
    }

    #[test]
    fn what_could_be_two_people_is_refused() {
        let two = |one: Member, other: Member| {
            People::new(BTreeMap::from([("ann".to_owned(), one), ("bob".to_owned(), other)])).unwrap_err().to_string()
        };
        let same = two(member("U1", &[], &[]), member("U1", &[], &[]));
        assert_eq!(same, "bob: slack \"U1\" belongs to ann already: one person each");
        assert!(two(member("", &["a@x.org"], &[]), member("", &["A@x.org"], &[])).contains("a@x.org"));
        let login = Member { unix: Some("ann".to_owned()), ..Member::default() };
        assert!(two(Member::default(), login).contains("cli \"ann\""));
        assert!(two(member("", &["nowhere"], &[]), Member::default()).contains("not a mail address"));
        assert!(two(member("", &[], &["everyone"]), Member::default()).contains("all members"));
        assert!(People::new(BTreeMap::from([("a, b".to_owned(), Member::default())])).is_err());
    }
}
