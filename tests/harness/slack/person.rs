//! The people of the workspace: what they say, click, fill in and open.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    Delivered, Effect, Slack,
    state::{APP, BOT, Post, State, StoredFile, TEAM, View, elements},
    views::view_object,
};

/// A person.
#[derive(Clone, Debug)]
pub struct Person<'s> {
    slack: &'s Slack,
    id: String,
}

impl<'s> Person<'s> {
    pub(super) fn new(slack: &'s Slack, id: &str) -> Self {
        Self { slack, id: id.to_owned() }
    }

    /// Says something in a channel, with these files (name and content). The app hears of it where it is subscribed.
    pub fn says(&self, channel: &str, text: &str, files: &[(&str, &[u8])]) -> Said {
        self.writes(channel, None, text, files)
    }

    /// Replies in the thread of a message.
    pub fn replies(&self, post: &Post, text: &str) -> Said {
        self.writes(&post.channel, Some(post.thread_ts.clone().unwrap_or_else(|| post.ts.clone())), text, &[])
    }

    /// Mentions the app in a channel.
    pub fn mentions(&self, channel: &str, text: &str, files: &[(&str, &[u8])]) -> Said {
        self.says(channel, &format!("<@{BOT}> {text}"), files)
    }

    /// Writes to the app alone.
    pub fn direct(&self, text: &str, files: &[(&str, &[u8])]) -> Said {
        let channel = self.slack.shared.state().im(&self.id);
        self.says(&channel, text, files)
    }

    fn writes(&self, channel: &str, thread_ts: Option<String>, text: &str, files: &[(&str, &[u8])]) -> Said {
        let shared = &self.slack.shared;
        let mut state = shared.state();
        let files = files.iter().map(|(name, bytes)| state.put_file(&self.id, name, bytes)).collect();
        let ts = state.next_ts();
        let post = Post {
            channel: channel.to_owned(),
            ts,
            thread_ts,
            user: self.id.clone(),
            text: text.to_owned(),
            blocks: Vec::new(),
            metadata: None,
            broadcast: false,
            edits: Vec::new(),
            files,
            deleted: false,
        };
        state.posts.push(post.clone());
        let mut message = state.message(&post, &shared.api);
        message["channel"] = channel.into();
        message["event_ts"] = post.ts.clone().into();
        message["client_msg_id"] = state.fresh("msg-").into();
        if !post.files.is_empty() {
            message["subtype"] = "file_share".into();
        }
        let is_im = channel.starts_with('D');
        let mut events = Vec::new();
        if state.events.contains(if is_im { "message.im" } else { "message.channels" }) {
            let mut event = message.clone();
            event["channel_type"] = if is_im { "im" } else { "channel" }.into();
            events.push(state.event(event));
        }
        if !is_im && text.contains(&format!("<@{BOT}>")) && state.events.contains("app_mention") {
            let mut event = message;
            event["type"] = "app_mention".into();
            if let Some(event) = event.as_object_mut() {
                event.remove("subtype");
            }
            events.push(state.event(event));
        }
        drop(state);
        let sent = events.into_iter().map(|event| shared.deliver("events_api", event, Effect::Nothing)).collect();
        Said { post, sent }
    }

    /// Clicks a button, as it was in the message they saw.
    ///
    /// # Panics
    /// If the message has none of this action.
    #[must_use]
    pub fn clicks(&self, post: &Post, action: &str) -> Delivered {
        self.clicks_where(post, action, |_| true)
    }

    /// Clicks the button of this action for which `wanted` holds.
    ///
    /// # Panics
    /// If the message has none.
    #[must_use]
    pub fn clicks_where(&self, post: &Post, action: &str, wanted: impl Fn(&Value) -> bool) -> Delivered {
        let payload = self.click(post, action, wanted);
        self.slack.shared.deliver("interactive", payload, Effect::Nothing)
    }

    /// What a click would send.
    ///
    /// # Panics
    /// If the message has no such button.
    #[must_use]
    pub fn click(&self, post: &Post, action: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let found = elements(&post.blocks).into_iter().find(|(_, e)| e["action_id"] == action && wanted(e));
        let (block, element) = found.unwrap_or_else(|| panic!("no {action} in {:?}", post.actions()));
        let mut state = self.slack.shared.state();
        let mut payload = self.interaction(&mut state, "block_actions");
        payload["actions"] = json!([chosen(&block, &element, &state.next_ts())]);
        let thread = post.thread_ts.clone();
        let mut container = json!({
            "type": "message", "message_ts": post.ts, "channel_id": post.channel, "is_ephemeral": false,
        });
        if let Some(thread) = &thread {
            container["thread_ts"] = thread.clone().into();
        }
        payload["container"] = container;
        payload["channel"] = json!({ "id": post.channel, "name": "team" });
        payload["message"] = state.message(post, &self.slack.shared.api);
        payload["state"] = json!({ "values": {} });
        payload["response_url"] = self.response_url(&mut state, &post.channel, Some(&post.ts), thread).into();
        payload
    }

    /// Clicks a button of their home tab.
    ///
    /// # Panics
    /// If they have none, or it has none of this action.
    #[must_use]
    pub fn clicks_at_home(&self, action: &str) -> Delivered {
        let home = self.slack.home_of(&self.id).unwrap_or_else(|| panic!("{} has no home tab", self.id));
        let blocks = home.view["blocks"].as_array().cloned().unwrap_or_default();
        let found = elements(&blocks).into_iter().find(|(_, e)| e["action_id"] == action);
        let (block, element) = found.unwrap_or_else(|| panic!("no {action} in the home tab of {}", self.id));
        let mut state = self.slack.shared.state();
        let mut payload = self.interaction(&mut state, "block_actions");
        payload["actions"] = json!([chosen(&block, &element, &state.next_ts())]);
        payload["container"] = json!({ "type": "view", "view_id": home.id });
        payload["view"] = view_object(&home, &json!({}));
        drop(state);
        self.slack.shared.deliver("interactive", payload, Effect::Nothing)
    }

    /// Fills in a modal and submits it. A value's name is (a part of) a block's or action's id; what is not named keeps what
    /// the modal proposed.
    ///
    /// # Panics
    /// If the client would not let them: a field that must be filled in is empty, a value is too long or none of the options.
    #[must_use]
    pub fn submits(&self, view: &View, values: &[(&str, &str)]) -> Delivered {
        let values = fill(&view.view, values);
        let mut state = self.slack.shared.state();
        let mut payload = self.interaction(&mut state, "view_submission");
        payload["view"] = view_object(view, &values);
        payload["response_urls"] = json!([]);
        drop(state);
        self.slack.shared.deliver("interactive", payload, Effect::Submission(view.id.clone()))
    }

    /// Closes a modal.
    pub fn closes(&self, view: &View) -> Option<Delivered> {
        let mut state = self.slack.shared.state();
        state.views.retain(|v| v.id != view.id);
        if view.view["notify_on_close"] != true {
            return None;
        }
        let mut payload = self.interaction(&mut state, "view_closed");
        payload["view"] = view_object(view, &json!({}));
        payload["is_cleared"] = false.into();
        drop(state);
        Some(self.slack.shared.deliver("interactive", payload, Effect::Nothing))
    }

    /// Types a command in a channel.
    #[must_use]
    pub fn slash(&self, channel: &str, command: &str, text: &str) -> Delivered {
        let mut state = self.slack.shared.state();
        let url = self.response_url(&mut state, channel, None, None);
        let payload = json!({
            "token": "verification", "team_id": TEAM, "team_domain": "local", "channel_id": channel, "channel_name": "team",
            "user_id": self.id, "user_name": self.name(&state), "command": command, "text": text, "api_app_id": APP,
            "is_enterprise_install": "false", "response_url": url, "trigger_id": state.trigger(&self.id),
        });
        drop(state);
        let effect = Effect::Command { user: self.id.clone(), channel: channel.to_owned() };
        self.slack.shared.deliver("slash_commands", payload, effect)
    }

    /// Uses a shortcut on a message.
    #[must_use]
    pub fn shortcut(&self, post: &Post, callback: &str) -> Delivered {
        let mut state = self.slack.shared.state();
        let mut payload = self.interaction(&mut state, "message_action");
        payload["callback_id"] = callback.into();
        payload["action_ts"] = state.next_ts().into();
        payload["message_ts"] = post.ts.clone().into();
        payload["channel"] = json!({ "id": post.channel, "name": "team" });
        payload["message"] = state.message(post, &self.slack.shared.api);
        payload["response_url"] =
            self.response_url(&mut state, &post.channel, Some(&post.ts), post.thread_ts.clone()).into();
        drop(state);
        self.slack.shared.deliver("interactive", payload, Effect::Nothing)
    }

    /// Opens the app's home tab.
    #[must_use]
    pub fn opens_home(&self) -> Delivered {
        let mut state = self.slack.shared.state();
        let channel = state.im(&self.id);
        let event_ts = state.next_ts();
        let mut event = json!({
            "type": "app_home_opened", "user": self.id, "channel": channel, "tab": "home", "event_ts": event_ts,
        });
        if let Some(home) = state.homes.get(&self.id) {
            event["view"] = view_object(home, &json!({}));
        }
        let payload = state.event(event);
        drop(state);
        self.slack.shared.deliver("events_api", payload, Effect::Nothing)
    }

    fn name(&self, state: &State) -> String {
        state.users.get(&self.id).map_or_else(|| self.id.clone(), |u| u.name.clone())
    }

    /// What every interaction carries.
    fn interaction(&self, state: &mut State, kind: &str) -> Value {
        let name = self.name(state);
        json!({
            "type": kind, "token": "verification", "api_app_id": APP, "trigger_id": state.trigger(&self.id),
            "user": { "id": self.id, "username": name, "name": name, "team_id": state.team_of(&self.id) },
            "team": { "id": TEAM, "domain": "local" }, "enterprise": null, "is_enterprise_install": false,
        })
    }

    fn response_url(&self, state: &mut State, channel: &str, ts: Option<&str>, thread: Option<String>) -> String {
        let id = state.fresh("response");
        let url = super::state::ResponseUrl {
            user: self.id.clone(),
            channel: channel.to_owned(),
            message_ts: ts.map(str::to_owned),
            thread_ts: thread,
            uses: 0,
        };
        state.response_urls.insert(id.clone(), url);
        format!("{}/response/{id}", self.slack.shared.api.trim_end_matches("/api"))
    }
}

/// What somebody said, and the events it caused.
#[derive(Debug)]
pub struct Said {
    /// The message.
    pub post: Post,
    /// The events.
    pub sent: Vec<Delivered>,
}

impl Said {
    /// Waits until every event is acknowledged.
    ///
    /// # Panics
    /// If one is not.
    pub async fn acked(self) -> Post {
        for sent in self.sent {
            sent.acked().await;
        }
        self.post
    }
}

impl State {
    fn put_file(&mut self, user: &str, name: &str, bytes: &[u8]) -> String {
        let id = self.fresh("F");
        let file = StoredFile {
            id: id.clone(),
            name: name.to_owned(),
            title: name.to_owned(),
            bytes: bytes.to_vec(),
            user: user.to_owned(),
            channel: None,
            thread_ts: None,
            announced: None,
        };
        self.files.insert(id.clone(), file);
        id
    }
}

/// A clicked element as an action.
fn chosen(block: &str, element: &Value, ts: &str) -> Value {
    let mut action = json!({ "block_id": block, "action_ts": ts });
    for key in ["action_id", "type", "text", "value", "style"] {
        if !element[key].is_null() {
            action[key] = element[key].clone();
        }
    }
    // A menu sends the option; the first one does.
    if let Some(option) = element["options"].as_array().and_then(|options| options.first()) {
        action["selected_option"] = option.clone();
    }
    action
}

/// The state of a filled-in modal.
fn fill(view: &Value, values: &[(&str, &str)]) -> Value {
    let mut used = vec![false; values.len()];
    let mut state: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for block in view["blocks"].as_array().into_iter().flatten() {
        for (id, element) in elements(std::slice::from_ref(block)) {
            let action = element["action_id"].as_str().unwrap_or_default().to_owned();
            let place = values.iter().position(|(name, _)| id.contains(name) || action.contains(name));
            let given = place.and_then(|place| values.get(place)).map(|(_, value)| *value);
            if let Some(used) = place.and_then(|place| used.get_mut(place)) {
                *used = true;
            }
            let Some(filled) = value(&element, given) else { continue };
            let is_empty = filled.as_object().is_some_and(|f| f.iter().all(|(k, v)| k == "type" || is_nothing(v)));
            if is_empty && block["type"] == "input" && block["optional"] != true {
                panic!("the field {id}/{action} must be filled in");
            }
            state.entry(id).or_default().insert(action, filled);
        }
    }
    for ((name, _), used) in values.iter().zip(used) {
        assert!(used, "the modal has no field {name}: {view:#}");
    }
    json!(state)
}

fn is_nothing(value: &Value) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty)
}

/// What a field holds; `None` for what holds nothing, such as buttons.
fn value(element: &Value, given: Option<&str>) -> Option<Value> {
    let kind = element["type"].as_str().unwrap_or_default();
    let option = |wanted: &str| {
        let groups = element["option_groups"].as_array().into_iter().flatten();
        let grouped = groups.flat_map(|g| g["options"].as_array().into_iter().flatten());
        let mut all = element["options"].as_array().into_iter().flatten().chain(grouped);
        let found = all.find(|o| o["value"] == wanted || o["text"]["text"] == wanted);
        found.cloned().unwrap_or_else(|| panic!("{wanted} is none of the options of {element:#}"))
    };
    let filled = match kind {
        "plain_text_input" | "number_input" | "email_text_input" | "url_text_input" => {
            let text = given.map(str::to_owned).or_else(|| element["initial_value"].as_str().map(str::to_owned));
            let text = text.filter(|text| !text.is_empty());
            let length = text.as_ref().map_or(0, |text| text.chars().count());
            let limit = element["max_length"].as_u64().unwrap_or(3_000);
            assert!(u64::try_from(length).is_ok_and(|length| length <= limit), "{length} characters, {limit} fit");
            json!({ "type": kind, "value": text })
        }
        "static_select" | "radio_buttons" => {
            let initial = Some(element["initial_option"].clone()).filter(|o| !o.is_null());
            json!({ "type": kind, "selected_option": given.map(option).or(initial) })
        }
        "multi_static_select" | "checkboxes" => {
            let initial = element["initial_options"].as_array().cloned().unwrap_or_default();
            let given = given.map(|g| g.split(',').filter(|g| !g.is_empty()).map(option).collect::<Vec<Value>>());
            json!({ "type": kind, "selected_options": given.unwrap_or(initial) })
        }
        "users_select" => json!({ "type": kind, "selected_user": given.or_else(|| element["initial_user"].as_str()) }),
        "conversations_select" => {
            json!({ "type": kind, "selected_conversation": given.or_else(|| element["initial_conversation"].as_str()) })
        }
        "channels_select" => {
            json!({ "type": kind, "selected_channel": given.or_else(|| element["initial_channel"].as_str()) })
        }
        _ => return None,
    };
    Some(filled)
}
