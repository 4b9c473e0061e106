//! What a Slack workspace holds, and what the fake notes about its use.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::{Ack, Fault, Transport, socket::Order};
use crate::hostsim::now;

/// The workspace.
pub const TEAM: &str = "T0TEAM";
/// Another company's workspace, with which the channels are shared.
pub const OTHER_TEAM: &str = "T0OTHER";
/// The app.
pub const APP: &str = "A0BATON";
/// The app's user.
pub const BOT: &str = "U0BATON";
/// The app as the author of messages.
pub const BOT_ID: &str = "B0BATON";

/// A person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// `U…`.
    pub id: String,
    /// The login.
    pub name: String,
    /// The mail address.
    pub email: String,
    /// The workspace they are of.
    pub team: String,
}

/// A channel, or a conversation of the app with one person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// `C…` or `D…`.
    pub id: String,
    /// Its name; of a conversation, the person's id.
    pub name: String,
    /// Who is in it, the app's user included.
    pub members: BTreeSet<String>,
    /// It was deleted.
    pub deleted: bool,
}

impl Channel {
    pub(super) fn is_im(&self) -> bool {
        self.id.starts_with('D')
    }
}

/// A message.
#[derive(Clone, Debug, PartialEq)]
pub struct Post {
    /// Where.
    pub channel: String,
    /// When, which is its name.
    pub ts: String,
    /// The first message of its thread.
    pub thread_ts: Option<String>,
    /// Who wrote it.
    pub user: String,
    /// Its text; beside blocks, what notifications show.
    pub text: String,
    /// Its blocks.
    pub blocks: Vec<Value>,
    /// What its author keeps with it.
    pub metadata: Option<Value>,
    /// A reply that is also shown in the channel.
    pub broadcast: bool,
    /// When it was edited.
    pub edits: Vec<Instant>,
    /// Its files.
    pub files: Vec<String>,
    /// It was deleted.
    pub deleted: bool,
}

impl Post {
    /// Everything a reader sees, line by line.
    #[must_use]
    pub fn shown(&self) -> String {
        let mut all = vec![self.text.clone()];
        self.blocks.iter().for_each(|block| texts(block, &mut all));
        all.join("\n")
    }

    /// The action ids of its buttons and menus.
    #[must_use]
    pub fn actions(&self) -> Vec<String> {
        elements(&self.blocks).iter().filter_map(|(_, e)| e["action_id"].as_str().map(str::to_owned)).collect()
    }

    /// It was posted by the app.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.user == BOT
    }

    /// Whether a button or menu of this action is there.
    #[must_use]
    pub fn offers(&self, action: &str) -> bool {
        self.actions().iter().any(|a| a == action)
    }
}

fn texts(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value {
                    Value::String(text) if key == "text" || key == "alt_text" => into.push(text.clone()),
                    value => texts(value, into),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| texts(value, into)),
        _ => {}
    }
}

/// Everything with an action id, with its block's id.
pub(super) fn elements(blocks: &[Value]) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for block in blocks {
        let id = block["block_id"].as_str().unwrap_or_default().to_owned();
        let list = block["elements"].as_array().into_iter().flatten();
        let single = [&block["accessory"], &block["element"]];
        let all = list.chain(single).filter(|e| e["action_id"].is_string());
        found.extend(all.map(|e| (id.clone(), e.clone())));
    }
    found
}

/// Something only one person sees.
#[derive(Clone, Debug, PartialEq)]
pub struct Ephemeral {
    /// Where.
    pub channel: String,
    /// Who sees it.
    pub user: String,
    /// In which thread.
    pub thread_ts: Option<String>,
    /// Its text.
    pub text: String,
    /// Its blocks.
    pub blocks: Vec<Value>,
}

impl Ephemeral {
    /// Everything it shows.
    #[must_use]
    pub fn shown(&self) -> String {
        let mut all = vec![self.text.clone()];
        self.blocks.iter().for_each(|block| texts(block, &mut all));
        all.join("\n")
    }
}

/// A modal that is open, or a home tab.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// `V…`.
    pub id: String,
    /// Changes with every update.
    pub hash: String,
    /// Whose.
    pub user: String,
    /// What the app gave.
    pub view: Value,
    /// What the app found wrong with the last submission, by block.
    pub errors: BTreeMap<String, String>,
}

impl View {
    /// Everything it shows.
    #[must_use]
    pub fn shown(&self) -> String {
        let mut all = Vec::new();
        texts(&self.view, &mut all);
        all.join("\n")
    }

    /// Its `callback_id`.
    #[must_use]
    pub fn callback(&self) -> &str {
        self.view["callback_id"].as_str().unwrap_or_default()
    }
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFile {
    /// `F…`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its title.
    pub title: String,
    /// Its content.
    pub bytes: Vec<u8>,
    /// Who put it there.
    pub user: String,
    /// Where it is shown, once it is.
    pub channel: Option<String>,
    /// In which thread.
    pub thread_ts: Option<String>,
    /// The length that was announced.
    pub(super) announced: Option<usize>,
}

/// One call of the Web API.
#[derive(Clone, Debug)]
pub struct Call {
    /// When it came.
    pub at: Instant,
    /// The method.
    pub method: String,
    /// The arguments.
    pub args: Value,
    /// `ok`, an error's name, or the fault.
    pub outcome: String,
}

/// An acknowledgement that came in.
#[derive(Clone, Debug)]
pub struct AckSeen {
    /// Of which envelope.
    pub envelope_id: String,
    /// What it said; null if nothing.
    pub payload: Value,
    /// How long it took.
    pub took: Duration,
}

/// A chance to open a modal.
#[derive(Clone, Debug)]
pub(super) struct Trigger {
    pub(super) user: String,
    pub(super) at: Instant,
    pub(super) used: bool,
}

/// A way to answer an interaction.
#[derive(Clone, Debug)]
pub(super) struct ResponseUrl {
    pub(super) user: String,
    pub(super) channel: String,
    pub(super) message_ts: Option<String>,
    pub(super) thread_ts: Option<String>,
    pub(super) uses: u32,
}

/// What an acknowledgement does.
#[derive(Clone, Debug)]
pub(super) enum Effect {
    Nothing,
    /// It answers a submitted modal.
    Submission(String),
    /// It may say something to who sent a command.
    Command {
        user: String,
        channel: String,
    },
}

/// An envelope that is out.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) sent: Instant,
    pub(super) link: u64,
    pub(super) number: u64,
    pub(super) effect: Effect,
    pub(super) envelope: Value,
    pub(super) told: Option<oneshot::Sender<Ack>>,
}

/// An open socket.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: u64,
    pub(super) orders: mpsc::UnboundedSender<Order>,
    pub(super) frozen: bool,
}

/// A fault that is still to come.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    pub(super) method: String,
    pub(super) fault: Fault,
    pub(super) left: u32,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) users: BTreeMap<String, User>,
    pub(super) channels: BTreeMap<String, Channel>,
    pub(super) posts: Vec<Post>,
    pub(super) ephemerals: Vec<Ephemeral>,
    pub(super) views: Vec<View>,
    pub(super) homes: BTreeMap<String, View>,
    pub(super) files: BTreeMap<String, StoredFile>,
    pub(super) reactions: BTreeSet<(String, String, String)>,
    pub(super) triggers: HashMap<String, Trigger>,
    pub(super) response_urls: HashMap<String, ResponseUrl>,
    pub(super) calls: Vec<Call>,
    pub(super) violations: Vec<String>,
    pub(super) faults: Vec<Planned>,
    /// Until when a method (and channel) must not be called, and since when the caller knows.
    pub(super) cooldowns: HashMap<String, (Instant, Instant)>,
    pub(super) tickets: BTreeSet<String>,
    pub(super) links: Vec<Link>,
    pub(super) connections: u64,
    pub(super) waiting: HashMap<String, VecDeque<Waiting>>,
    pub(super) acks: Vec<AckSeen>,
    /// Events nobody acknowledged: they come again.
    pub(super) undelivered: VecDeque<Value>,
    /// Events that calls caused, to be sent when the call is over.
    pub(super) outgoing: Vec<Value>,
    pub(super) events: BTreeSet<String>,
    pub(super) scopes: String,
    pub(super) transport: Transport,
    /// The app is known to be down or deaf: unacknowledged envelopes are no fault of its.
    pub(super) is_deaf: bool,
    pub(super) counter: u64,
    last_ts: i64,
}

impl State {
    pub(super) fn new() -> Self {
        let mut state = Self {
            users: BTreeMap::new(),
            channels: BTreeMap::new(),
            posts: Vec::new(),
            ephemerals: Vec::new(),
            views: Vec::new(),
            homes: BTreeMap::new(),
            files: BTreeMap::new(),
            reactions: BTreeSet::new(),
            triggers: HashMap::new(),
            response_urls: HashMap::new(),
            calls: Vec::new(),
            violations: Vec::new(),
            faults: Vec::new(),
            cooldowns: HashMap::new(),
            tickets: BTreeSet::new(),
            links: Vec::new(),
            connections: 0,
            waiting: HashMap::new(),
            acks: Vec::new(),
            undelivered: VecDeque::new(),
            outgoing: Vec::new(),
            events: ["app_mention", "message.im", "app_home_opened"].map(str::to_owned).into(),
            scopes: SCOPES.to_owned(),
            transport: Transport::Socket,
            is_deaf: false,
            counter: 0,
            last_ts: 0,
        };
        let people = [
            ("U0ANN", "ann", TEAM),
            ("U0BOB", "bob", TEAM),
            ("U0EVE", "eve", TEAM),
            ("U0STRANGER", "stranger", TEAM),
            ("U0FOREIGN", "foreign", OTHER_TEAM),
        ];
        for (id, name, team) in people {
            let email = format!("{name}@example.com");
            let user = User { id: id.to_owned(), name: name.to_owned(), email, team: team.to_owned() };
            state.users.insert(id.to_owned(), user);
        }
        let people: BTreeSet<String> = state.users.keys().cloned().collect();
        for (id, name, has_bot) in [("C0TEAM", "team", true), ("C0OTHER", "other", false)] {
            let mut members = people.clone();
            if has_bot {
                members.insert(BOT.to_owned());
            }
            let channel = Channel { id: id.to_owned(), name: name.to_owned(), members, deleted: false };
            state.channels.insert(id.to_owned(), channel);
        }
        state
    }

    pub(super) fn violation(&mut self, what: impl Into<String>) {
        self.violations.push(what.into());
    }

    /// A name nothing else has.
    pub(super) fn fresh(&mut self, prefix: &str) -> String {
        self.counter += 1;
        format!("{prefix}{:06}", self.counter)
    }

    /// The name of the next message: seconds and microseconds, always later than the last.
    pub(super) fn next_ts(&mut self) -> String {
        self.last_ts = (now().0 * 1_000).max(self.last_ts + 1);
        format!("{}.{:06}", self.last_ts / 1_000_000, self.last_ts % 1_000_000)
    }

    pub(super) fn trigger(&mut self, user: &str) -> String {
        let id = self.fresh("trigger.");
        let trigger = Trigger { user: user.to_owned(), at: Instant::now(), used: false };
        self.triggers.insert(id.clone(), trigger);
        id
    }

    pub(super) fn post(&self, channel: &str, ts: &str) -> Option<&Post> {
        self.posts.iter().find(|p| p.channel == channel && p.ts == ts && !p.deleted)
    }

    /// The app's conversation with a person.
    pub(super) fn im(&mut self, user: &str) -> String {
        let id = format!("D{}", user.trim_start_matches('U'));
        let members = [user, BOT].map(str::to_owned).into();
        let channel = Channel { id: id.clone(), name: user.to_owned(), members, deleted: false };
        self.channels.entry(id.clone()).or_insert(channel);
        id
    }

    /// The workspace somebody is of.
    pub(super) fn team_of(&self, user: &str) -> &str {
        self.users.get(user).map_or(TEAM, |user| &user.team)
    }

    /// A message as events and answers carry it.
    pub(super) fn message(&self, post: &Post, api: &str) -> Value {
        let team = self.team_of(&post.user);
        let mut message =
            json!({ "type": "message", "user": post.user, "ts": post.ts, "text": post.text, "team": team });
        if post.user == BOT {
            message["bot_id"] = BOT_ID.into();
            message["app_id"] = APP.into();
        }
        if !post.blocks.is_empty() {
            message["blocks"] = post.blocks.clone().into();
        }
        if let Some(thread) = &post.thread_ts {
            message["thread_ts"] = thread.clone().into();
        }
        let replies = self.posts.iter().filter(|p| p.channel == post.channel && p.thread_ts.as_ref() == Some(&post.ts));
        let replies = replies.filter(|p| p.ts != post.ts).count();
        if replies > 0 {
            message["thread_ts"] = post.ts.clone().into();
            message["reply_count"] = replies.into();
        }
        if !post.edits.is_empty() {
            message["edited"] = json!({ "user": post.user, "ts": post.ts });
        }
        if !post.files.is_empty() {
            let files = post.files.iter().filter_map(|id| self.files.get(id));
            message["files"] = files.map(|file| file_object(file, api)).collect();
        }
        message
    }
}

/// A file as events and answers carry it.
pub(super) fn file_object(file: &StoredFile, api: &str) -> Value {
    let base = api.trim_end_matches("/api");
    let extension = file.name.rsplit_once('.').map_or("text", |(_, e)| e);
    let url = format!("{base}/files-pri/{TEAM}-{}/{}", file.id, file.name);
    json!({
        "id": file.id, "created": now().0 / 1_000, "timestamp": now().0 / 1_000, "name": file.name, "title": file.title,
        "mimetype": "text/plain", "filetype": extension, "pretty_type": "Plain Text", "user": file.user,
        "size": file.bytes.len(), "mode": "hosted", "is_external": false, "is_public": false,
        "url_private": url, "url_private_download": format!("{url}?download=1"),
        "permalink": format!("{base}/files/{}", file.id),
    })
}

/// What the app may do.
pub(super) const SCOPES: &str = "app_mentions:read,channels:history,channels:join,channels:read,chat:write,commands,\
    files:read,files:write,groups:history,groups:read,im:history,im:read,im:write,users:read,users:read.email,\
    reactions:read,reactions:write";
