//! Posting each message once, over crashes and lost answers, and saying things to one person.

use serde_json::{Value, json};

use super::{
    core::Bridge,
    desk::{Desk, Posting},
};
use crate::{
    adapter::slack::{
        Place, SlackError, SlackWeb,
        web::{Message, Search, Whisper},
    },
    digest,
    port::{Service, journal::JournalError},
};

/// How the metadata of our messages is called.
const EVENT_TYPE: &str = "baton_card";
/// How many messages are looked through at most for one whose posting had an unknown outcome.
const LOOKED_THROUGH: usize = 20_000;
/// Slack's clock and ours may differ by so much.
const CLOCKS_MS: i64 = 10 * 60 * 1000;
/// Slack's words for a place where nothing of ours can be.
const NOWHERE: [&str; 12] = [
    "channel_not_found",
    "not_in_channel",
    "is_archived",
    "channel_is_archived",
    "user_not_found",
    "user_disabled",
    "users_not_found",
    "cannot_dm_bot",
    "restricted_action",
    "restricted_action_read_only_channel",
    "messages_tab_disabled",
    "thread_not_found",
];
/// Slack's words for content it does not take.
const UNSHOWABLE: [&str; 6] = [
    "invalid_blocks",
    "invalid_blocks_format",
    "msg_too_long",
    "msg_blocks_too_long",
    "too_many_attachments",
    "no_text",
];
/// Slack's words for a message that is not there any more, or not ours to change.
const GONE: [&str; 4] = ["message_not_found", "cant_update_message", "edit_window_closed", "channel_not_found"];

/// A message as it should be.
#[derive(Clone, Debug, Default)]
pub(super) struct Want {
    /// What it is.
    pub name: String,
    /// Where: a channel or a person.
    pub target: String,
    /// The thread it answers in.
    pub thread_ts: Option<String>,
    /// For notifications.
    pub text: String,
    /// What it shows.
    pub blocks: Vec<Value>,
    /// It does not change any more.
    pub closed: bool,
}

/// Why a message is not as it should be.
#[derive(Debug)]
pub(super) enum Unsaid {
    /// Try again later.
    Later(String),
    /// It can never be there: try another place.
    Nowhere(SlackError),
}

impl From<JournalError> for Unsaid {
    fn from(error: JournalError) -> Self {
        Self::Later(error.to_string())
    }
}

impl From<SlackError> for Unsaid {
    fn from(error: SlackError) -> Self {
        if error.word().is_some_and(|word| NOWHERE.contains(&word)) {
            Self::Nowhere(error)
        } else {
            Self::Later(error.to_string())
        }
    }
}

/// Whom to answer, and where.
#[derive(Clone, Debug, Default)]
pub(super) struct Asker {
    pub user: String,
    pub channel: Option<String>,
    pub thread_ts: Option<String>,
    pub response_url: Option<String>,
}

impl<S: Service, W: SlackWeb, D: Desk> Bridge<S, W, D> {
    /// Brings one message to what it should show: posted if it is not there, changed if it shows something else.
    pub(super) async fn put(&self, want: &Want) -> Result<Place, Unsaid> {
        let core = &*self.0;
        let sha256 = shown_as(want);
        let posting = Posting {
            name: want.name.clone(),
            target: want.target.clone(),
            thread_ts: want.thread_ts.clone(),
            place: None,
            sha256: String::new(),
            intended_at: self.now(),
            closed: false,
        };
        let known = core.desk.intend(posting.clone()).await?;
        let place = match known {
            Some(Posting { place: Some(place), sha256: shown, closed, .. }) => {
                if shown == sha256 && closed == want.closed {
                    return Ok(place);
                }
                if shown != sha256 {
                    match self.change(&place, want).await {
                        Err(error) if error.word().is_some_and(|word| GONE.contains(&word)) => {
                            // Somebody deleted it. What is decided needs no message; what is open is put up again.
                            core.desk.forget(&want.name, &want.target).await?;
                            return Err(Unsaid::Nowhere(error));
                        }
                        answer => answer?,
                    }
                }
                place
            }
            Some(before) => match self.look_for(&before).await? {
                Some(place) => {
                    self.change(&place, want).await?;
                    place
                }
                None => self.post(want).await?,
            },
            None => self.post(want).await?,
        };
        core.desk.posted(Posting { place: Some(place.clone()), sha256, closed: want.closed, ..posting }).await?;
        Ok(place)
    }

    /// Says something once; it is never changed.
    pub(super) async fn say(&self, want: Want) -> Result<Place, Unsaid> {
        let known = self.0.desk.copies(&want.name).await?;
        if let Some(place) = known.into_iter().filter(|known| known.target == want.target).find_map(|known| known.place)
        {
            return Ok(place);
        }
        let said = self.put(&Want { closed: true, ..want.clone() }).await;
        if matches!(said, Err(Unsaid::Nowhere(_))) {
            self.0.desk.forget(&want.name, &want.target).await?;
        }
        said
    }

    async fn change(&self, place: &Place, want: &Want) -> Result<(), SlackError> {
        let (text, blocks) = (self.without_known(&want.text), self.shown(&want.blocks));
        match self.0.web.update(place, &text, &blocks).await {
            Err(error) if is_unshowable(&error) => {
                tracing::warn!(message = %want.name, %error, "Slack does not take the blocks: shown as text");
                self.0.web.update(place, &self.without_known(&bare(want)), &[]).await
            }
            answer => answer,
        }
    }

    async fn post(&self, want: &Want) -> Result<Place, SlackError> {
        let message = Message {
            channel: want.target.clone(),
            thread_ts: want.thread_ts.clone(),
            text: self.without_known(&want.text),
            blocks: self.shown(&want.blocks),
            metadata: Some(json!({ "event_type": EVENT_TYPE, "event_payload": { "name": want.name } })),
            broadcast: false,
        };
        match self.0.web.post(&message).await {
            Err(error) if is_unshowable(&error) => {
                tracing::warn!(message = %want.name, %error, "Slack does not take the blocks: shown as text");
                self.0.web.post(&Message { text: self.without_known(&bare(want)), blocks: Vec::new(), ..message }).await
            }
            answer => answer,
        }
    }

    /// Where a message is that was perhaps posted: nothing older than the intention is looked at, and everything since. A direct conversation cannot be looked through by its person: there it is
    /// posted again, and the copy nobody knows of is learned when somebody uses it.
    async fn look_for(&self, posting: &Posting) -> Result<Option<Place>, SlackError> {
        if posting.target.starts_with(['U', 'W']) {
            return Ok(None);
        }
        let search = Search {
            channel: posting.target.clone(),
            thread_ts: posting.thread_ts.clone(),
            oldest: (posting.intended_at.0 > 0).then(|| slack_time(posting.intended_at.0 - CLOCKS_MS)),
            limit: LOOKED_THROUGH,
        };
        let found = self.0.web.history(&search).await?;
        let named = |metadata: &Value| {
            metadata.pointer("/event_payload/name").and_then(Value::as_str).is_some_and(|name| name == posting.name)
        };
        let ours = found.into_iter().find(|found| found.metadata.as_ref().is_some_and(named));
        Ok(ours.map(|found| Place { channel: posting.target.clone(), ts: found.ts }))
    }

    /// Says something that only one person sees. Every way is tried before it is given up.
    pub(super) async fn whisper(&self, to: &Asker, text: String) {
        let text = self.without_known(&text);
        if to.user.is_empty() {
            return;
        }
        if let Some(channel) = &to.channel {
            let whisper = Whisper {
                channel: channel.clone(),
                user: to.user.clone(),
                thread_ts: to.thread_ts.clone(),
                text: text.clone(),
                blocks: Vec::new(),
            };
            match self.0.web.ephemeral(&whisper).await {
                Ok(()) => return,
                Err(error) => tracing::info!(%error, "Slack: answered another way"),
            }
        }
        if let Some(url) = &to.response_url {
            let body = json!({ "response_type": "ephemeral", "replace_original": false, "text": text });
            match self.0.web.respond(url, &body).await {
                Ok(()) => return,
                Err(error) => tracing::info!(%error, "Slack: answered another way"),
            }
        }
        let message = Message { channel: to.user.clone(), text, ..Message::default() };
        if let Err(error) = self.0.web.post(&message).await {
            tracing::warn!(%error, user = %to.user, "Slack: somebody could not be answered");
        }
    }
}

/// What it shows without blocks.
fn bare(want: &Want) -> String {
    format!("{}\n_(Slack does not show the card of this; `baton approvals` does.)_", want.text)
}

fn is_unshowable(error: &SlackError) -> bool {
    error.word().is_some_and(|word| UNSHOWABLE.contains(&word))
}

/// An instant as Slack names messages.
fn slack_time(at_ms: i64) -> String {
    format!("{}.{:03}000", at_ms.div_euclid(1000), at_ms.rem_euclid(1000))
}

/// The digest of what a message shows.
fn shown_as(want: &Want) -> String {
    digest::of_bytes(json!([want.text, want.blocks]).to_string().as_bytes())
}
