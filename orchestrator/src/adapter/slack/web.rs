//! What the bridge asks of Slack's Web API.

use std::time::Duration;

use bytes::Bytes;
use futures::future::Future;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Where one message is.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The channel's id.
    pub channel: String,
    /// Its time stamp there, which is its name.
    pub ts: String,
}

/// A message to post. Links in it are never unfolded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Message {
    /// The channel's id; a person's id opens the direct conversation.
    pub channel: String,
    /// The thread it answers in.
    pub thread_ts: Option<String>,
    /// What notifications and screen readers say.
    pub text: String,
    /// Its blocks, as Block Kit has them.
    pub blocks: Vec<Value>,
    /// What only apps see: a message whose posting had an unknown outcome is found again by it.
    pub metadata: Option<Value>,
    /// An answer in a thread that the channel sees, too.
    pub broadcast: bool,
}

/// A message that people see one by one: only `user` does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Whisper {
    /// The channel's id.
    pub channel: String,
    /// Who sees it.
    pub user: String,
    /// The thread it answers in.
    pub thread_ts: Option<String>,
    /// What notifications and screen readers say.
    pub text: String,
    /// Its blocks.
    pub blocks: Vec<Value>,
}

/// A file to put into a channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Upload {
    /// The channel's id.
    pub channel: String,
    /// The thread it answers in.
    pub thread_ts: Option<String>,
    /// The file's name.
    pub filename: String,
    /// What people see above it.
    pub title: String,
    /// What is in it.
    pub bytes: Bytes,
}

/// Which messages to look for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// The channel's id.
    pub channel: String,
    /// Only the answers of this thread.
    pub thread_ts: Option<String>,
    /// Only messages after this time stamp.
    pub oldest: Option<String>,
    /// How many at most, over all pages.
    pub limit: usize,
}

/// A message that was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// Its time stamp.
    pub ts: String,
    /// The thread it is in.
    pub thread_ts: Option<String>,
    /// What only apps see.
    pub metadata: Option<Value>,
    /// Who wrote it.
    pub user: Option<String>,
    /// The app that wrote it.
    pub bot_id: Option<String>,
    /// Its text.
    pub text: String,
}

/// A person in Slack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// The id: `U…` or `W…`.
    pub id: String,
    /// The short name.
    pub name: String,
    /// The name people read.
    pub real_name: String,
    /// The address, if the app may see it.
    pub email: Option<String>,
    /// The time zone (IANA).
    pub tz: Option<String>,
    /// The workspaces they belong to; several in an organisation.
    pub team_ids: Vec<String>,
    /// They are of another organisation, and seen in a channel that is shared with it.
    pub is_foreign: bool,
    /// It is an app.
    pub is_bot: bool,
    /// The account was closed.
    pub deleted: bool,
}

/// A conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Channel {
    /// The id.
    pub id: String,
    /// The name, without `#`; empty for direct conversations.
    pub name: String,
    /// The app is in it.
    pub is_member: bool,
    /// It was archived.
    pub is_archived: bool,
    /// Only its members see it.
    pub is_private: bool,
}

/// Whose token it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Auth {
    /// The workspace's id.
    pub team_id: String,
    /// Its name.
    pub team: String,
    /// The app's own user.
    pub bot_user_id: String,
    /// The app as the author of messages.
    pub bot_id: Option<String>,
    /// What the token may do.
    pub scopes: Vec<String>,
}

/// A view that was opened or changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Its id.
    pub id: String,
    /// Its version: a change that names another is refused.
    pub hash: String,
}

/// Slack did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SlackError {
    /// It asks for more patience than a call has.
    #[error("{method}: Slack asks to wait {} s more than this call may take", retry_after.as_secs())]
    RateLimited {
        /// What was asked.
        method: &'static str,
        /// How long it wants to be left alone.
        retry_after: Duration,
    },
    /// It answered no.
    #[error("{method}: Slack says `{error}`{hint}")]
    Api {
        /// What was asked.
        method: &'static str,
        /// Slack's own word.
        error: String,
        /// What to do about it, beginning with `: `; empty if there is nothing to say.
        hint: String,
    },
    /// It was not reached, though it was tried again; nothing was done, or nothing that asking again would do twice.
    #[error("{method}: Slack was not reached: {why}")]
    Transport {
        /// What was asked.
        method: &'static str,
        /// Why not.
        why: String,
    },
    /// The question went out and no answer came: it may have been done. Look before asking again.
    #[error("{method}: it is not known whether Slack did it: {why}")]
    Unknown {
        /// What was asked.
        method: &'static str,
        /// What went wrong.
        why: String,
    },
    /// The answer is not what the documentation says.
    #[error("{method}: Slack's answer cannot be read: {why}")]
    Unreadable {
        /// What was asked.
        method: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// A file, or the place it is fetched from, is not acceptable.
    #[error("{method}: {why}")]
    Refused {
        /// What was asked.
        method: &'static str,
        /// What is wrong.
        why: String,
    },
}

impl SlackError {
    /// Slack's own word for what is wrong, if it said one.
    #[must_use]
    pub fn word(&self) -> Option<&str> {
        match self {
            Self::Api { error, .. } => Some(error),
            _ => None,
        }
    }
}

/// The answer to a call.
pub type Answer<T> = Result<T, SlackError>;

/// What may be asked of Slack. Every call keeps to the method's rate limit, waits when told to, and ends after a bounded time.
pub trait SlackWeb: Clone + Send + Sync + 'static {
    /// Posts a message. After [`SlackError::Unknown`] it may be there: look with [`history`](Self::history) first.
    fn post(&self, message: &Message) -> impl Future<Output = Answer<Place>> + Send;
    /// Puts other content into a message.
    fn update(&self, place: &Place, text: &str, blocks: &[Value]) -> impl Future<Output = Answer<()>> + Send;
    /// Shows something to one person.
    fn ephemeral(&self, whisper: &Whisper) -> impl Future<Output = Answer<()>> + Send;
    /// Opens a modal. The trigger is good for three seconds: nothing is waited for.
    fn open_view(&self, trigger_id: &str, view: &Value) -> impl Future<Output = Answer<View>> + Send;
    /// Puts a modal on top of the open one.
    fn push_view(&self, trigger_id: &str, view: &Value) -> impl Future<Output = Answer<View>> + Send;
    /// Puts other content into an open modal; with `hash` only if it is still that version.
    fn update_view(&self, view_id: &str, hash: Option<&str>, view: &Value)
    -> impl Future<Output = Answer<View>> + Send;
    /// Puts content into a person's Home tab.
    fn publish_home(&self, user: &str, view: &Value) -> impl Future<Output = Answer<()>> + Send;
    /// Puts a file into a channel. Returns its id.
    fn upload(&self, upload: &Upload) -> impl Future<Output = Answer<String>> + Send;
    /// Looks a person up.
    fn user(&self, id: &str) -> impl Future<Output = Answer<User>> + Send;
    /// Looks a conversation up.
    fn channel(&self, id: &str) -> impl Future<Output = Answer<Channel>> + Send;
    /// Whose token it is, and what it may do.
    fn auth(&self) -> impl Future<Output = Answer<Auth>> + Send;
    /// Messages of a channel or a thread, the newest first.
    fn history(&self, search: &Search) -> impl Future<Output = Answer<Vec<Found>>> + Send;
    /// A link to a message.
    fn permalink(&self, place: &Place) -> impl Future<Output = Answer<String>> + Send;
    /// A file somebody put into Slack, from Slack's own hosts only, at most `max_bytes` of it.
    fn download(&self, url: &str, max_bytes: u64) -> impl Future<Output = Answer<Bytes>> + Send;
    /// Answers a command or a click by its `response_url`.
    fn respond(&self, response_url: &str, body: &Value) -> impl Future<Output = Answer<()>> + Send;
    /// An address at which Socket Mode listens, for one connection.
    fn open_socket(&self) -> impl Future<Output = Answer<String>> + Send;
}
