//! What is missing for Baton to work in Slack.

#[cfg(test)]
mod tests;

use super::{
    SlackError, SlackWeb,
    socket::{self, SocketSettings},
    web::Auth,
};
use crate::config::Slack;

/// The bot's scopes, and what each is for. `deploy/slack/manifest.yaml` asks for exactly these.
pub const SCOPES: [(&str, &str); 14] = [
    ("app_mentions:read", "hears when somebody names it in a channel"),
    ("channels:history", "hears what is written in projects' threads, and finds its own messages again after a crash"),
    ("channels:read", "looks channels up"),
    ("chat:write", "posts and changes its messages"),
    ("commands", "has the command /baton and the shortcut in a message's menu"),
    ("files:read", "takes the files of a request as inputs"),
    ("files:write", "attaches diffs and results"),
    ("groups:history", "the same in private channels it is in"),
    ("groups:read", "looks private channels up that it is in"),
    ("im:history", "hears what is written to it directly"),
    ("im:read", "looks direct conversations up"),
    ("im:write", "writes to people directly"),
    ("users:read", "shows names instead of ids"),
    ("users:read.email", "knows a member by the address as well"),
];

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grade {
    /// Well.
    Good,
    /// It works without.
    Warn,
    /// It does not.
    Bad,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub name: &'static str,
    /// What it is for.
    pub purpose: &'static str,
    /// How it came out.
    pub grade: Grade,
    /// What was found.
    pub found: String,
    /// How to mend it.
    pub mend: Option<String>,
}

const fn good(name: &'static str, purpose: &'static str, found: String) -> Finding {
    Finding { name, purpose, grade: Grade::Good, found, mend: None }
}

fn bad(name: &'static str, purpose: &'static str, found: String, mend: &str) -> Finding {
    Finding { name, purpose, grade: Grade::Bad, found, mend: Some(mend.to_owned()) }
}

fn warn(name: &'static str, purpose: &'static str, found: String, mend: &str) -> Finding {
    Finding { grade: Grade::Warn, ..bad(name, purpose, found, mend) }
}

/// Looks at everything that can be looked at from here. `members` are the names and Slack ids of the configured people.
pub async fn check<W: SlackWeb>(
    web: &W,
    slack: &Slack,
    members: &[(String, String)],
    settings: &SocketSettings,
) -> Vec<Finding> {
    let purpose = "speaks as the app";
    let auth = match web.auth().await {
        Ok(auth) => auth,
        Err(error) => return vec![bad("bot token", purpose, error.to_string(), &token_mend(&error))],
    };
    let mut findings = vec![good(
        "bot token",
        purpose,
        format!("workspace {} ({}), user {}", auth.team, auth.team_id, auth.bot_user_id),
    )];
    findings.push(scopes(&auth));
    findings.push(way_in(web, slack, settings).await);
    findings.push(channel(web, slack).await);
    if members.is_empty() && !slack.allow_everyone {
        findings.push(warn(
            "members",
            "people who may decide",
            "no member has a Slack id".to_owned(),
            "set slack = \"U…\" in [members.NAME] (profile → ⋮ → Copy member ID), or slack.allow_everyone = true",
        ));
    }
    for (name, id) in members {
        findings.push(member(web, name, id).await);
    }
    findings.extend(slack.folders.iter().filter(|folder| !folder.is_dir()).map(|folder| {
        let found = format!("{} is no folder: every path below it is refused", folder.display());
        warn("folders", "people start projects there", found, "make it, or take it out of slack.folders")
    }));
    findings
}

fn token_mend(error: &SlackError) -> String {
    let mend = match error {
        SlackError::Api { .. } => "copy the bot token again: api.slack.com/apps → Install App → Bot User OAuth Token",
        _ => "look at the network, and at slack.api_url",
    };
    mend.to_owned()
}

fn scopes(auth: &Auth) -> Finding {
    let purpose = "what the app may do";
    let missing: Vec<String> = SCOPES
        .iter()
        .filter(|(scope, _)| !auth.scopes.iter().any(|held| held == scope))
        .map(|(scope, why)| format!("{scope} ({why})"))
        .collect();
    if missing.is_empty() {
        return good("scopes", purpose, format!("all {}", SCOPES.len()));
    }
    let mend = "put deploy/slack/manifest.yaml into the app's settings (App Manifest) and install it again";
    bad("scopes", purpose, format!("missing: {}", missing.join(", ")), mend)
}

async fn way_in<W: SlackWeb>(web: &W, slack: &Slack, settings: &SocketSettings) -> Finding {
    if slack.app_token.is_none()
        && let Some(address) = slack.events_listen
    {
        let found = format!("HTTP events at {address}; whether Slack reaches it cannot be seen from here");
        let mend = "the app's Request URLs (events, interactivity, /baton) must all lead to its path /slack over https";
        return warn("events", "clicks and messages come in", found, mend);
    }
    let purpose = "clicks and messages come in over Socket Mode";
    match socket::probe(web, settings).await {
        Ok(()) => good("app token", purpose, "Slack said hello".to_owned()),
        Err(why) => {
            let mend = "an app token with the scope connections:write (Basic Information → App-Level Tokens), and Socket Mode \
                        switched on in the app's settings";
            bad("app token", purpose, why, mend)
        }
    }
}

async fn channel<W: SlackWeb>(web: &W, slack: &Slack) -> Finding {
    let (name, purpose) = ("channel", "requests of projects without a thread of their own");
    let Some(id) = &slack.channel else {
        let found = "slack.channel is not set: such requests are only sent to people directly".to_owned();
        return warn(name, purpose, found, "set slack.channel to the channel's id (channel → About → Channel ID)");
    };
    match web.channel(id).await {
        Ok(channel) if channel.is_archived => {
            bad(name, purpose, format!("#{} was archived", channel.name), "unarchive it, or name another one")
        }
        Ok(channel) if !channel.is_member => {
            bad(name, purpose, format!("the app is not in #{}", channel.name), "write /invite @Baton there")
        }
        Ok(channel) => good(name, purpose, format!("#{} ({})", channel.name, channel.id)),
        Err(error) => {
            bad(name, purpose, error.to_string(), "use the channel's id (C… or G…), and write /invite @Baton there")
        }
    }
}

async fn member<W: SlackWeb>(web: &W, member: &str, id: &str) -> Finding {
    let (name, purpose) = ("member", "is asked and may decide");
    let mend = format!("set members.{member}.slack to the person's id (profile → ⋮ → Copy member ID)");
    match web.user(id).await {
        Ok(user) if user.deleted => bad(name, purpose, format!("{member}: the account {id} was closed"), &mend),
        Ok(user) if user.is_bot => bad(name, purpose, format!("{member}: {id} is an app, not a person"), &mend),
        Ok(user) => good(name, purpose, format!("{member} is {} ({id})", user.real_name)),
        Err(error) => bad(name, purpose, format!("{member}: {error}"), &mend),
    }
}
