//! The methods of the Web API.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State as From},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use serde_json::{Value, json};

use super::{
    Shared,
    check::Check,
    state::{APP, BOT, BOT_ID, Ephemeral, Post, State, TEAM},
    views::name_blocks,
};

/// How often a response URL may be used.
const MAX_RESPONSES: u32 = 5;

impl Shared {
    /// Carries a call out.
    pub(super) fn perform(self: &Arc<Self>, method: &str, args: &Value) -> Result<Value, String> {
        let mut state = self.state();
        match method {
            "auth.test" => Ok(json!({
                "url": "https://local.slack.com/", "team": "local", "user": "baton", "team_id": TEAM, "user_id": BOT,
                "bot_id": BOT_ID, "is_enterprise_install": false,
            })),
            "apps.connections.open" => {
                let ticket = state.fresh("ticket-");
                state.tickets.insert(ticket.clone());
                Ok(json!({ "url": format!("ws://{}/link/?ticket={ticket}&app_id={APP}", self.sockets) }))
            }
            "chat.postMessage" => state.post_message(args, &self.api),
            "chat.update" => state.update_message(args, &self.api),
            "chat.delete" => state.delete_message(args),
            "chat.postEphemeral" => state.post_ephemeral(args),
            "chat.getPermalink" => {
                let (channel, ts) = (text(args, "channel"), text(args, "message_ts"));
                let found = state.post(&channel, &ts).is_some();
                let link = format!("https://local.slack.com/archives/{channel}/p{}", ts.replace('.', ""));
                if found {
                    Ok(json!({ "channel": channel, "permalink": link }))
                } else {
                    Err("message_not_found".into())
                }
            }
            "views.open" => state.open_view(args, false),
            "views.push" => state.open_view(args, true),
            "views.update" => state.update_view(args),
            "views.publish" => state.publish_view(args),
            "users.info" => state.user(&text(args, "user")).map(|user| json!({ "user": user })),
            "users.list" => {
                let ids: Vec<String> = state.users.keys().cloned().collect();
                let members: Vec<Value> = ids.iter().filter_map(|id| state.user(id).ok()).collect();
                Ok(json!({ "members": members, "response_metadata": { "next_cursor": "" } }))
            }
            "users.lookupByEmail" => {
                let email = text(args, "email");
                let id = state.users.values().find(|u| u.email == email).map(|u| u.id.clone());
                state
                    .user(&id.unwrap_or_default())
                    .map(|user| json!({ "user": user }))
                    .map_err(|_| "users_not_found".into())
            }
            "conversations.info" => {
                state.existing(&text(args, "channel"))?;
                Ok(json!({ "channel": state.channel(&text(args, "channel")) }))
            }
            "conversations.list" => {
                let ids: Vec<String> = state.channels.keys().filter(|id| id.starts_with('C')).cloned().collect();
                let channels: Vec<Value> = ids.iter().map(|id| state.channel(id)).collect();
                Ok(json!({ "channels": channels, "response_metadata": { "next_cursor": "" } }))
            }
            "conversations.join" => {
                let id = text(args, "channel");
                state.existing(&id)?;
                if let Some(channel) = state.channels.get_mut(&id) {
                    channel.members.insert(BOT.to_owned());
                }
                Ok(json!({ "channel": state.channel(&id) }))
            }
            "conversations.open" => {
                let user = text(args, "users");
                state.user(&user)?;
                let id = state.im(&user);
                Ok(json!({ "channel": { "id": id } }))
            }
            "conversations.history" => state.history(args, None, &self.api),
            "conversations.replies" => {
                let ts = text(args, "ts");
                state.post(&text(args, "channel"), &ts).ok_or("thread_not_found")?;
                state.history(args, Some(&ts), &self.api)
            }
            "files.getUploadURLExternal" => state.upload_url(args, &self.api),
            "files.completeUploadExternal" => state.complete_upload(args, &self.api),
            "reactions.add" => {
                let key = (text(args, "channel"), text(args, "timestamp"), text(args, "name"));
                state.post(&key.0, &key.1).ok_or("message_not_found")?;
                if state.reactions.insert(key) { Ok(json!({})) } else { Err("already_reacted".into()) }
            }
            "reactions.remove" => {
                let key = (text(args, "channel"), text(args, "timestamp"), text(args, "name"));
                if state.reactions.remove(&key) { Ok(json!({})) } else { Err("no_reaction".into()) }
            }
            other => {
                state.violation(format!("no method {other:?} is known here"));
                Err("unknown_method".to_owned())
            }
        }
    }
}

fn text(args: &Value, key: &str) -> String {
    args[key].as_str().unwrap_or_default().to_owned()
}

fn is_true(value: &Value) -> bool {
    *value == Value::Bool(true) || value.as_str() == Some("true") || value.as_str() == Some("1")
}

fn is_false(value: &Value) -> bool {
    *value == Value::Bool(false) || value.as_str() == Some("false") || value.as_str() == Some("0")
}

impl State {
    /// The channel is there.
    fn existing(&self, id: &str) -> Result<(), String> {
        self.channels.get(id).filter(|c| !c.deleted).map(|_| ()).ok_or_else(|| "channel_not_found".to_owned())
    }

    /// The app may write there.
    pub(super) fn may_write(&self, id: &str) -> Result<(), String> {
        self.existing(id)?;
        let is_in = self.channels.get(id).is_some_and(|c| c.members.contains(BOT));
        if is_in { Ok(()) } else { Err("not_in_channel".to_owned()) }
    }

    fn check(&mut self, method: &str, args: &Value) -> Result<(), String> {
        let mut check = Check::default();
        check.message(method, args);
        let is_wrong = !check.found.is_empty();
        self.violations.extend(check.found);
        if is_wrong { Err("invalid_blocks".to_owned()) } else { Ok(()) }
    }

    fn post_message(&mut self, args: &Value, api: &str) -> Result<Value, String> {
        for flag in ["unfurl_links", "unfurl_media"] {
            if !is_false(&args[flag]) {
                self.violation(format!("chat.postMessage: {flag} is not false"));
            }
        }
        self.check("chat.postMessage", args)?;
        let mut channel = text(args, "channel");
        if self.users.contains_key(&channel) {
            channel = self.im(&channel);
        }
        self.may_write(&channel)?;
        let thread_ts = args["thread_ts"].as_str().map(str::to_owned);
        if let Some(thread) = &thread_ts {
            let Some(root) = self.post(&channel, thread) else {
                self.violation(format!("chat.postMessage: there is no message {thread} in {channel} to reply to"));
                return Err("thread_not_found".to_owned());
            };
            if root.thread_ts.as_ref().is_some_and(|root| root != thread) {
                self.violation(format!("chat.postMessage: {thread} is a reply itself"));
            }
        }
        let ts = self.next_ts();
        let mut holder = json!({ "blocks": args["blocks"] });
        name_blocks(&mut holder);
        let post = Post {
            channel: channel.clone(),
            ts: ts.clone(),
            thread_ts,
            user: BOT.to_owned(),
            text: text(args, "text"),
            blocks: holder["blocks"].as_array().cloned().unwrap_or_default(),
            metadata: Some(args["metadata"].clone()).filter(|m| !m.is_null()),
            broadcast: is_true(&args["reply_broadcast"]),
            edits: Vec::new(),
            files: Vec::new(),
            deleted: false,
        };
        self.posts.push(post.clone());
        let message = self.message(&post, api);
        self.echo(&channel, message.clone());
        Ok(json!({ "channel": channel, "ts": ts, "message": message }))
    }

    /// The app hears its own words, as it would from Slack.
    fn echo(&mut self, channel: &str, mut event: Value) {
        let is_im = self.channels.get(channel).is_some_and(super::state::Channel::is_im);
        let name = if is_im { "message.im" } else { "message.channels" };
        if self.events.contains(name) {
            event["channel"] = channel.into();
            event["channel_type"] = if is_im { "im" } else { "channel" }.into();
            event["event_ts"] = event["ts"].clone();
            let payload = self.event(event);
            self.outgoing.push(payload);
        }
    }

    fn update_message(&mut self, args: &Value, api: &str) -> Result<Value, String> {
        self.check("chat.update", args)?;
        let (channel, ts) = (text(args, "channel"), text(args, "ts"));
        self.existing(&channel)?;
        let Some(post) = self.posts.iter_mut().find(|p| p.channel == channel && p.ts == ts && !p.deleted) else {
            return Err("message_not_found".to_owned());
        };
        if post.user != BOT {
            self.violation(format!("chat.update: {ts} is not the app's"));
            return Err("cant_update_message".to_owned());
        }
        post.text = text(args, "text");
        let mut holder = json!({ "blocks": args["blocks"] });
        name_blocks(&mut holder);
        // Without blocks, those that are there stay.
        if let Some(blocks) = holder["blocks"].as_array() {
            post.blocks.clone_from(blocks);
        }
        if !args["metadata"].is_null() {
            post.metadata = Some(args["metadata"].clone());
        }
        post.edits.push(std::time::Instant::now());
        let post = post.clone();
        let message = self.message(&post, api);
        let changed =
            json!({ "type": "message", "subtype": "message_changed", "message": message, "hidden": true, "ts": ts });
        self.echo(&channel, changed);
        Ok(json!({ "channel": channel, "ts": ts, "text": post.text, "message": message }))
    }

    fn delete_message(&mut self, args: &Value) -> Result<Value, String> {
        let (channel, ts) = (text(args, "channel"), text(args, "ts"));
        let found = self.posts.iter_mut().find(|p| p.channel == channel && p.ts == ts && p.user == BOT && !p.deleted);
        let Some(post) = found else { return Err("message_not_found".to_owned()) };
        post.deleted = true;
        Ok(json!({ "channel": channel, "ts": ts }))
    }

    fn post_ephemeral(&mut self, args: &Value) -> Result<Value, String> {
        self.check("chat.postEphemeral", args)?;
        let (channel, user) = (text(args, "channel"), text(args, "user"));
        self.may_write(&channel)?;
        if !self.channels.get(&channel).is_some_and(|c| c.members.contains(&user)) {
            return Err("user_not_in_channel".to_owned());
        }
        let ts = self.next_ts();
        self.ephemerals.push(Ephemeral {
            channel,
            user,
            thread_ts: args["thread_ts"].as_str().map(str::to_owned),
            text: text(args, "text"),
            blocks: args["blocks"].as_array().cloned().unwrap_or_default(),
        });
        Ok(json!({ "message_ts": ts }))
    }

    fn user(&self, id: &str) -> Result<Value, String> {
        let user = self.users.get(id).ok_or_else(|| "user_not_found".to_owned())?;
        Ok(json!({
            "id": user.id, "team_id": user.team, "is_stranger": user.team != TEAM, "name": user.name, "deleted": false, "real_name": user.name, "tz": "Europe/Berlin",
            "tz_label": "CET", "tz_offset": 3600, "is_admin": false, "is_owner": false, "is_bot": false, "is_app_user": false,
            "updated": 1_700_000_000,
            "profile": { "email": user.email, "real_name": user.name, "display_name": user.name, "team": user.team },
        }))
    }

    fn channel(&self, id: &str) -> Value {
        let Some(channel) = self.channels.get(id) else { return Value::Null };
        if channel.is_im() {
            return json!({ "id": id, "created": 1_700_000_000, "is_im": true, "user": channel.name, "is_archived": false });
        }
        json!({
            "id": id, "name": channel.name, "name_normalized": channel.name, "is_channel": true, "is_group": false,
            "is_im": false, "is_mpim": false, "is_private": false, "is_archived": channel.deleted, "is_general": false,
            "is_member": channel.members.contains(BOT), "created": 1_700_000_000, "creator": "U0ANN",
            "num_members": channel.members.len(), "is_shared": false, "is_org_shared": false, "is_ext_shared": false,
        })
    }

    /// Messages of a channel, newest first, or of a thread, oldest first.
    fn history(&self, args: &Value, thread: Option<&str>, api: &str) -> Result<Value, String> {
        let channel = text(args, "channel");
        self.may_write(&channel)?;
        let number = |key: &str| args[key].as_u64().or_else(|| args[key].as_str().and_then(|l| l.parse().ok()));
        let limit = usize::try_from(number("limit").unwrap_or(100).clamp(1, 999)).unwrap_or(100);
        let (oldest, latest) = (text(args, "oldest"), text(args, "latest"));
        let inclusive = is_true(&args["inclusive"]);
        let within = |ts: &str| {
            let after = oldest.is_empty() || ts > oldest.as_str() || inclusive && ts == oldest;
            let before = latest.is_empty() || ts < latest.as_str() || inclusive && ts == latest;
            after && before
        };
        let mine = |p: &&Post| match thread {
            Some(thread) => p.ts == thread || p.thread_ts.as_deref() == Some(thread) && within(&p.ts),
            None => (p.thread_ts.is_none() || p.thread_ts.as_ref() == Some(&p.ts) || p.broadcast) && within(&p.ts),
        };
        let mut posts: Vec<&Post> =
            self.posts.iter().filter(|p| p.channel == channel && !p.deleted).filter(mine).collect();
        if thread.is_none() {
            posts.reverse();
        }
        let skip: usize = text(args, "cursor").parse().unwrap_or(0);
        let has_more = posts.len() > skip + limit;
        let with_metadata = is_true(&args["include_all_metadata"]);
        let page = posts.iter().skip(skip).take(limit).map(|post| {
            let mut message = self.message(post, api);
            if let Some(metadata) = post.metadata.as_ref().filter(|_| with_metadata) {
                message["metadata"] = metadata.clone();
            }
            message
        });
        let messages: Vec<Value> = page.collect();
        let next = if has_more { (skip + limit).to_string() } else { String::new() };
        Ok(json!({ "messages": messages, "has_more": has_more, "response_metadata": { "next_cursor": next } }))
    }
}

/// An answer to an interaction at its own address.
pub(super) async fn respond(
    From(shared): From<Arc<Shared>>,
    Path(id): Path<String>,
    Json(body): Json<Value>,
) -> Response {
    let mut state = shared.state();
    let Some(url) = state.response_urls.get_mut(&id) else {
        state.violation(format!("response {id}: no such address"));
        return StatusCode::NOT_FOUND.into_response();
    };
    url.uses += 1;
    let (url, is_worn) = (url.clone(), url.uses > MAX_RESPONSES);
    if is_worn {
        state.violation(format!("response {id}: used more than five times"));
        return (StatusCode::NOT_FOUND, "used_url").into_response();
    }
    let replaces = is_true(&body["replace_original"]) || is_true(&body["delete_original"]);
    if !is_true(&body["delete_original"]) {
        let mut check = Check::default();
        check.message("response_url", &body);
        state.violations.extend(check.found);
    }
    let original = url.message_ts.as_ref().filter(|_| replaces);
    if let Some(ts) = original {
        let found = state.posts.iter_mut().find(|p| p.channel == url.channel && &p.ts == ts);
        if let Some(post) = found {
            post.deleted = is_true(&body["delete_original"]);
            post.text = text(&body, "text");
            post.blocks = body["blocks"].as_array().cloned().unwrap_or_default();
            post.edits.push(std::time::Instant::now());
        }
    } else if body["response_type"] == "in_channel" {
        let ts = state.next_ts();
        let (channel, thread_ts) = (url.channel, url.thread_ts);
        let blocks = body["blocks"].as_array().cloned().unwrap_or_default();
        let (user, metadata, edits, files) = (BOT.to_owned(), None, Vec::new(), Vec::new());
        let (broadcast, deleted, text) = (false, false, text(&body, "text"));
        state.posts.push(Post {
            channel,
            ts,
            thread_ts,
            user,
            text,
            blocks,
            metadata,
            broadcast,
            edits,
            files,
            deleted,
        });
    } else {
        let blocks = body["blocks"].as_array().cloned().unwrap_or_default();
        let (channel, user, thread_ts, text) = (url.channel, url.user, url.thread_ts, text(&body, "text"));
        state.ephemerals.push(Ephemeral { channel, user, thread_ts, text, blocks });
    }
    "ok".into_response()
}
