//! `[slack]`.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use bus_schemas::v1::plan::Span;
use serde::{Deserialize, Serialize};

use super::{ConfigError, Secret};

/// Where Slack's Web API is, unless somebody says otherwise.
pub const SLACK_API_URL: &str = "https://slack.com/api";
/// The variables that hold Slack's secrets. Of the children of `baton up` only the orchestrator gets them.
pub const SLACK_VARIABLES: [&str; 3] = ["SLACK_APP_TOKEN", "SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET"];

/// `[slack]`. Without a bot token there is no Slack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Slack {
    /// The app's token (`xapp-…`), which opens sockets. Better in `SLACK_APP_TOKEN`.
    pub app_token: Option<Secret>,
    /// The bot's token (`xoxb-…`). Better in `SLACK_BOT_TOKEN`.
    pub bot_token: Option<Secret>,
    /// What HTTP events are signed with. Better in `SLACK_SIGNING_SECRET`.
    pub signing_secret: Option<Secret>,
    /// The channel (its id) in which requests are shown that have no thread of their own.
    pub channel: Option<String>,
    /// An address for the HTTP Events API, for those who do not want Socket Mode.
    pub events_listen: Option<SocketAddr>,
    /// Where Slack's Web API is.
    pub api_url: String,
    /// The most of a file's or a diff's content that is put into Slack, in bytes; what is longer is cut.
    pub max_snippet_bytes: u64,
    /// The shortest time between two changes of a status message.
    pub status_every: String,
    /// People who are no members may start projects and be asked, too.
    pub allow_everyone: bool,
    /// Folders of this machine in which people may start projects by writing a path. Presets need none of these.
    pub folders: Vec<PathBuf>,
    /// Texts that never go out: canaries, keys that agents may come across.
    pub never: Vec<Secret>,
}

impl Default for Slack {
    fn default() -> Self {
        Self {
            app_token: None,
            bot_token: None,
            signing_secret: None,
            channel: None,
            events_listen: None,
            api_url: SLACK_API_URL.to_owned(),
            max_snippet_bytes: 20_000,
            status_every: "3s".to_owned(),
            allow_everyone: false,
            folders: Vec::new(),
            never: Vec::new(),
        }
    }
}

impl Slack {
    /// Whether anything can come in and go out.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.bot_token.is_some() && (self.app_token.is_some() || self.events_listen.is_some())
    }

    /// Whether somebody wants it on: a part of what it needs is there.
    #[must_use]
    pub const fn is_begun(&self) -> bool {
        self.bot_token.is_some() || self.app_token.is_some() || self.events_listen.is_some() || self.channel.is_some()
    }

    /// The shortest time between two changes of a status message.
    #[must_use]
    pub fn status_pause(&self) -> Duration {
        Duration::from_millis(self.pause_ms().unwrap_or(3_000))
    }

    fn pause_ms(&self) -> Option<u64> {
        Span(self.status_every.clone()).as_ms()
    }

    /// What is wrong with the tokens, as sentences. Not an error of the configuration: a machine may have a variable of that
    /// name for something else, and every command reads the configuration.
    #[must_use]
    pub fn complaints(&self) -> Vec<&'static str> {
        let begins = |secret: &Option<Secret>, with: &str| {
            secret.as_ref().is_none_or(|secret| secret.expose().starts_with(with))
        };
        let mut found = Vec::new();
        if self.bot_token.is_none() {
            found.push("there is no bot token: set SLACK_BOT_TOKEN (Install App → Bot User OAuth Token, xoxb-…)");
        } else if !begins(&self.bot_token, "xoxb-") {
            found.push("the bot token does not begin with xoxb-: copy it from Install App → Bot User OAuth Token");
        }
        if self.app_token.is_none() && self.events_listen.is_none() {
            found.push("nothing would come in: set SLACK_APP_TOKEN (Basic Information → App-Level Tokens, xapp-…)");
        } else if !begins(&self.app_token, "xapp-") {
            found.push("the app token does not begin with xapp-: copy it from Basic Information → App-Level Tokens");
        }
        found
    }

    /// Checks what the types do not.
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let invalid = |key: &str, message: &str| {
            Err(ConfigError::Invalid { at: format!("configuration slack.{key}"), message: message.to_owned() })
        };
        if self.events_listen.is_some() && self.signing_secret.is_none() {
            return invalid(
                "events_listen",
                "anybody could press buttons: set SLACK_SIGNING_SECRET, which Slack signs with",
            );
        }
        if let Some(channel) = self.channel.as_deref().filter(|channel| !is_channel_id(channel)) {
            let message = format!(
                "{channel:?} is no channel's id: write the one that begins with C or G (channel → About → Channel ID)"
            );
            return invalid("channel", &message);
        }
        if let Some(folder) = self.folders.iter().find(|folder| !folder.is_absolute()) {
            return invalid("folders", &format!("{folder:?} is no absolute path: write one that begins with /"));
        }
        if let Some(message) = Secret::unusable(&self.never) {
            return invalid("never", &message);
        }
        if self.pause_ms().is_none_or(|pause| pause < 1_000) {
            return invalid(
                "status_every",
                "a span of at least 1s is wanted: Slack allows about one change per second",
            );
        }
        Ok(())
    }
}

/// Channels are named by ids; a name would only be found wrong when something is to be said there.
fn is_channel_id(text: &str) -> bool {
    text.starts_with(['C', 'G', 'D']) && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}
