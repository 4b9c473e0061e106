//! What a payload means. Read leniently, field by field: Slack leaves out what its documentation promises, and a click that is
//! thrown away because of a field nobody needs is a click a person made.

mod read;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::Value;

pub use read::{key, read};

/// What came in.
#[derive(Clone, Debug, PartialEq)]
pub enum Inbound {
    /// A button, a menu or another control of a message, a modal or the Home tab.
    Click(Click),
    /// A modal was submitted.
    Submitted(Submission),
    /// A modal was closed without being submitted.
    Closed(Closed),
    /// A slash command.
    Command(Slash),
    /// The shortcut in a message's menu.
    Shortcut(MessageShortcut),
    /// Somebody named the app in a channel.
    Mention(Said),
    /// Somebody wrote in a thread of a channel.
    Reply(Said),
    /// Somebody wrote to the app.
    Direct(Said),
    /// Somebody opened the app's Home tab.
    HomeOpened {
        /// Who.
        user: String,
    },
    /// Known, and of no interest: what other apps say, edits, joins.
    Nothing,
}

/// A control was used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Click {
    /// Who.
    pub user: String,
    /// The name Slack sent along; may be empty.
    pub user_name: String,
    /// The workspace; may be empty.
    pub team: String,
    /// The message's channel.
    pub channel: Option<String>,
    /// The message.
    pub message_ts: Option<String>,
    /// The thread it is in.
    pub thread_ts: Option<String>,
    /// The view, if it is not in a message.
    pub view_id: Option<String>,
    /// Which control.
    pub action_id: String,
    /// Its block.
    pub block_id: String,
    /// The button's value, or what was chosen; may be empty.
    pub value: String,
    /// Opens a modal, for three seconds; may be empty.
    pub trigger_id: String,
    /// When; tells two clicks apart.
    pub action_ts: String,
    /// Where it can be answered, for half an hour.
    pub response_url: Option<String>,
}

/// A modal was submitted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Submission {
    /// Who.
    pub user: String,
    /// The name Slack sent along; may be empty.
    pub user_name: String,
    /// Which modal.
    pub callback_id: String,
    /// What we put into it.
    pub private_metadata: String,
    /// What was filled in: by block, by control, as Slack has it.
    pub values: BTreeMap<String, BTreeMap<String, Value>>,
    /// The view.
    pub view_id: String,
    /// Its version; may be empty.
    pub hash: String,
    /// Opens another modal, for three seconds; may be empty.
    pub trigger_id: String,
}

impl Submission {
    /// What was typed or chosen in a control: text, or the value of the chosen option, user or channel.
    #[must_use]
    pub fn text(&self, block_id: &str, action_id: &str) -> Option<String> {
        read::chosen(self.values.get(block_id)?.get(action_id)?)
    }
}

/// A modal was closed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Closed {
    /// Who.
    pub user: String,
    /// Which modal.
    pub callback_id: String,
    /// What we put into it.
    pub private_metadata: String,
    /// The view.
    pub view_id: String,
}

/// A slash command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slash {
    /// Who.
    pub user: String,
    /// The name Slack sent along; may be empty.
    pub user_name: String,
    /// The command, with its `/`.
    pub command: String,
    /// What was written behind it.
    pub text: String,
    /// Where.
    pub channel: String,
    /// Opens a modal, for three seconds; may be empty.
    pub trigger_id: String,
    /// Where it can be answered, for half an hour.
    pub response_url: Option<String>,
}

/// The shortcut in a message's menu.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageShortcut {
    /// Who.
    pub user: String,
    /// The name Slack sent along; may be empty.
    pub user_name: String,
    /// Which shortcut.
    pub callback_id: String,
    /// The message's channel.
    pub channel: String,
    /// The message.
    pub message: Said,
    /// Opens a modal, for three seconds; may be empty.
    pub trigger_id: String,
    /// Where it can be answered, for half an hour.
    pub response_url: Option<String>,
}

/// What somebody said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Who; may be empty for what an app said.
    pub user: String,
    /// Where.
    pub channel: String,
    /// When, which is the message's name.
    pub ts: String,
    /// The thread it is in.
    pub thread_ts: Option<String>,
    /// The text, in Slack's own notation.
    pub text: String,
    /// Files with it.
    pub files: Vec<SlackFile>,
    /// The app that said it.
    pub bot_id: Option<String>,
}

/// A file of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlackFile {
    /// Its id.
    pub id: String,
    /// Its name; may be empty.
    pub name: String,
    /// Its type, as Slack guessed it; may be empty.
    pub mimetype: String,
    /// Its size in bytes; 0 if Slack did not say.
    pub size: u64,
    /// Where it can be fetched with the app's token; `None` if the app may not see it.
    pub url_private_download: Option<String>,
}
