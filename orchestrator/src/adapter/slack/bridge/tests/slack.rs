//! A Slack that writes down what it is asked.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use serde_json::Value;

use super::lock;
use crate::adapter::slack::{
    Place, SlackError, SlackWeb,
    view::samples,
    web::{Answer, Auth, Channel, Found, Message, Search, Upload, User, View, Whisper},
};

#[derive(Debug, Default)]
pub(super) struct Said {
    pub posts: Vec<(Place, Message)>,
    pub updates: Vec<(Place, String)>,
    /// The blocks of updates.
    pub drawn: Vec<Vec<Value>>,
    pub whispers: Vec<(String, String)>,
    pub views: Vec<Value>,
    pub homes: Vec<String>,
    /// What they show.
    pub pages: Vec<Value>,
    pub uploads: Vec<Upload>,
    pub searches: Vec<Search>,
    /// People of another workspace.
    pub foreign: Vec<String>,
    pub looked_up: Vec<String>,
    /// What it answers to the next questions about people, the last first.
    pub no_word: Vec<SlackError>,
    /// Channels where nothing of ours can be.
    pub closed: Vec<String>,
    /// The next posts are made, and their answers lost.
    pub lost: usize,
    /// The next posts are not made.
    pub down: usize,
}

#[derive(Clone, Debug, Default)]
pub(super) struct FakeSlack(Arc<Mutex<Said>>);

impl FakeSlack {
    pub(super) fn with<T>(&self, look: impl FnOnce(&mut Said) -> T) -> T {
        look(&mut lock(&self.0))
    }

    /// What was said to one person only, last.
    pub(super) fn last_whisper(&self) -> (String, String) {
        self.with(|said| said.whispers.last().cloned().unwrap_or_default())
    }

    /// The posts in a channel whose metadata name begins so.
    pub(super) fn posted(&self, prefix: &str) -> Vec<(Place, Message)> {
        let named = |message: &Message| {
            let name = message
                .metadata
                .as_ref()
                .and_then(|metadata| metadata["event_payload"]["name"].as_str().map(str::to_owned));
            name.is_some_and(|name| name.starts_with(prefix))
        };
        self.with(|said| said.posts.iter().filter(|(_, message)| named(message)).cloned().collect())
    }
}

/// The name of the n-th message.
fn later(number: usize) -> String {
    format!("{}.{number:06}", samples::NOW.0 / 1000)
}

impl SlackWeb for FakeSlack {
    async fn post(&self, message: &Message) -> Answer<Place> {
        self.with(|said| {
            if said.closed.contains(&message.channel) {
                return Err(SlackError::Api {
                    method: "chat.postMessage",
                    error: "not_in_channel".to_owned(),
                    hint: String::new(),
                });
            }
            if said.down > 0 {
                said.down -= 1;
                return Err(SlackError::Transport { method: "chat.postMessage", why: "down".to_owned() });
            }
            let channel = if message.channel.starts_with('U') {
                format!("D{}", message.channel)
            } else {
                message.channel.clone()
            };
            let place = Place { channel, ts: later(said.posts.len()) };
            said.posts.push((place.clone(), message.clone()));
            if said.lost > 0 {
                said.lost -= 1;
                return Err(SlackError::Unknown { method: "chat.postMessage", why: "no answer".to_owned() });
            }
            Ok(place)
        })
    }

    async fn update(&self, place: &Place, text: &str, blocks: &[Value]) -> Answer<()> {
        self.with(|said| {
            said.updates.push((place.clone(), text.to_owned()));
            said.drawn.push(blocks.to_vec());
        });
        Ok(())
    }

    async fn ephemeral(&self, whisper: &Whisper) -> Answer<()> {
        self.with(|said| said.whispers.push((whisper.user.clone(), whisper.text.clone())));
        Ok(())
    }

    async fn open_view(&self, _: &str, view: &Value) -> Answer<View> {
        self.with(|said| said.views.push(view.clone()));
        Ok(View::default())
    }

    async fn push_view(&self, trigger: &str, view: &Value) -> Answer<View> {
        self.open_view(trigger, view).await
    }

    async fn update_view(&self, _: &str, _: Option<&str>, _: &Value) -> Answer<View> {
        Ok(View::default())
    }

    async fn publish_home(&self, user: &str, view: &Value) -> Answer<()> {
        self.with(|said| {
            said.homes.push(user.to_owned());
            said.pages.push(view.clone());
        });
        Ok(())
    }

    async fn upload(&self, upload: &Upload) -> Answer<String> {
        self.with(|said| said.uploads.push(upload.clone()));
        Ok("F1".to_owned())
    }

    async fn user(&self, id: &str) -> Answer<User> {
        if let Some(error) = self.with(|said| said.no_word.pop()) {
            return Err(error);
        }
        let is_foreign = self.with(|said| {
            said.looked_up.push(id.to_owned());
            said.foreign.iter().any(|foreign| foreign == id)
        });
        let team = if is_foreign { "TELSE" } else { "T" };
        Ok(User { id: id.to_owned(), team_ids: vec![team.to_owned()], ..User::default() })
    }

    async fn channel(&self, _: &str) -> Answer<Channel> {
        Ok(Channel::default())
    }

    async fn auth(&self) -> Answer<Auth> {
        Ok(Auth { bot_user_id: "UBOT".to_owned(), team_id: "T".to_owned(), ..Auth::default() })
    }

    async fn history(&self, search: &Search) -> Answer<Vec<Found>> {
        Ok(self.with(|said| {
            said.searches.push(search.clone());
            let oldest = search.oldest.clone().unwrap_or_default();
            let there =
                said.posts.iter().rev().filter(|(place, _)| place.channel == search.channel && place.ts > oldest);
            there
                .take(search.limit)
                .map(|(place, message)| Found {
                    ts: place.ts.clone(),
                    metadata: message.metadata.clone(),
                    ..Found::default()
                })
                .collect()
        }))
    }

    async fn permalink(&self, place: &Place) -> Answer<String> {
        Ok(format!("https://slack.test/{}/{}", place.channel, place.ts))
    }

    async fn download(&self, url: &str, _: u64) -> Answer<Bytes> {
        if url.contains("gone") {
            return Err(SlackError::Refused { method: "download", why: "it is gone".to_owned() });
        }
        Ok(Bytes::from_static(b"hello"))
    }

    async fn respond(&self, _: &str, _: &Value) -> Answer<()> {
        Ok(())
    }

    async fn open_socket(&self) -> Answer<String> {
        Ok(String::new())
    }
}
