//! What tests ask the local Slack.

use std::time::Instant;

use serde_json::Value;

use super::{AckSeen, Call, Ephemeral, Post, Slack, StoredFile, View};
use crate::wait;

/// Long enough for a busy machine; only a broken test waits for it.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(120);

impl Slack {
    /// Every rule was kept.
    ///
    /// # Panics
    /// If one was broken.
    pub fn no_violations(&self) {
        let violations = self.violations();
        assert!(violations.is_empty(), "Slack's rules were broken:\n{}", violations.join("\n"));
    }

    /// The rules that were broken.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.shared.state().violations.clone()
    }

    /// Every message there is, in order.
    #[must_use]
    pub fn posts(&self) -> Vec<Post> {
        self.shared.state().posts.iter().filter(|p| !p.deleted).cloned().collect()
    }

    /// A message as it is now.
    ///
    /// # Panics
    /// If it is gone.
    #[must_use]
    pub fn post(&self, post: &Post) -> Post {
        let found = self.shared.state().post(&post.channel, &post.ts).cloned();
        found.unwrap_or_else(|| panic!("no message {} in {}", post.ts, post.channel))
    }

    /// The messages of a thread, its first one included.
    #[must_use]
    pub fn thread(&self, channel: &str, ts: &str) -> Vec<Post> {
        let mine = |p: &Post| p.channel == channel && (p.ts == ts || p.thread_ts.as_deref() == Some(ts));
        self.posts().into_iter().filter(mine).collect()
    }

    /// Waits for a message of the app.
    pub async fn wait_for_message(&self, what: &str, wanted: impl Fn(&Post) -> bool) -> Post {
        let look = || self.posts().into_iter().find(|p| p.is_ours() && wanted(p));
        wait::until(&format!("{what} in Slack"), PATIENCE, || std::future::ready(look())).await
    }

    /// Waits until a message looks so.
    pub async fn wait_until(&self, what: &str, post: &Post, wanted: impl Fn(&Post) -> bool) -> Post {
        let look = || Some(self.post(post)).filter(|p| wanted(p));
        wait::until(&format!("{what} in Slack"), PATIENCE, || std::future::ready(look())).await
    }

    /// Waits for a message that offers this action.
    pub async fn wait_for_card(&self, action: &str) -> Post {
        self.wait_for_message(&format!("a card with {action}"), |p| p.offers(action)).await
    }

    /// Waits for a card that is none of these.
    pub async fn wait_for_other_card(&self, action: &str, known: &[&Post]) -> Post {
        let is_new = |p: &Post| !known.iter().any(|k| k.channel == p.channel && k.ts == p.ts);
        self.wait_for_message(&format!("another card with {action}"), |p| p.offers(action) && is_new(p)).await
    }

    /// The modal a person has before them.
    #[must_use]
    pub fn view_of(&self, user: &str) -> Option<View> {
        self.shared.state().views.iter().rev().find(|v| v.user == user).cloned()
    }

    /// Waits until a person has a modal before them.
    pub async fn wait_for_view(&self, user: &str) -> View {
        wait::until(&format!("a modal before {user}"), PATIENCE, || std::future::ready(self.view_of(user))).await
    }

    /// Waits until a person has no modal before them.
    pub async fn wait_for_no_view(&self, user: &str) {
        let look = || self.view_of(user).is_none().then_some(());
        wait::until(&format!("no modal before {user}"), PATIENCE, || std::future::ready(look())).await;
    }

    /// A person's home tab.
    #[must_use]
    pub fn home_of(&self, user: &str) -> Option<View> {
        self.shared.state().homes.get(user).cloned()
    }

    /// Waits until a person's home tab shows something.
    pub async fn wait_for_home(&self, user: &str, wanted: impl Fn(&View) -> bool) -> View {
        let look = || self.home_of(user).filter(|v| wanted(v));
        wait::until(&format!("the home tab of {user}"), PATIENCE, || std::future::ready(look())).await
    }

    /// What only this person was shown.
    #[must_use]
    pub fn ephemerals_to(&self, user: &str) -> Vec<Ephemeral> {
        self.shared.state().ephemerals.iter().filter(|e| e.user == user).cloned().collect()
    }

    /// Waits until a person is told something alone; of those after the first `skip`.
    pub async fn wait_for_ephemeral(&self, user: &str, skip: usize) -> Ephemeral {
        let look = || self.ephemerals_to(user).into_iter().nth(skip);
        wait::until(&format!("a word to {user} alone"), PATIENCE, || std::future::ready(look())).await
    }

    /// The files the app uploaded.
    #[must_use]
    pub fn uploads(&self) -> Vec<StoredFile> {
        self.shared.state().files.values().filter(|f| f.user == super::BOT && f.channel.is_some()).cloned().collect()
    }

    /// The calls of a method so far. `*` is every method.
    #[must_use]
    pub fn calls(&self, method: &str) -> Vec<Call> {
        self.shared.state().calls.iter().filter(|c| method == "*" || c.method == method).cloned().collect()
    }

    /// The instants at which a message was edited.
    #[must_use]
    pub fn edits(&self, post: &Post) -> Vec<Instant> {
        self.post(post).edits
    }

    /// The acknowledgements so far.
    #[must_use]
    pub fn acks(&self) -> Vec<AckSeen> {
        self.shared.state().acks.clone()
    }

    /// Everything the app ever told Slack, as one text: arguments, acknowledgements, file contents.
    #[must_use]
    pub fn everything_told(&self) -> String {
        let state = self.shared.state();
        let calls = state.calls.iter().map(|call| call.args.to_string());
        let acks = state.acks.iter().map(|ack| ack.payload.to_string());
        let uploads = state.files.values().filter(|f| f.user == super::BOT);
        let files = uploads.map(|f| String::from_utf8_lossy(&f.bytes).into_owned());
        calls.chain(acks).chain(files).collect::<Vec<String>>().join("\n")
    }

    /// What happened, for a test that failed.
    pub(super) fn tell_story(&self) {
        let state = self.shared.state();
        for call in &state.calls {
            let args = short(&call.args);
            eprintln!("slack: {} → {}: {args}", call.method, call.outcome);
        }
        state.acks.iter().for_each(|a| eprintln!("slack: ack {} after {:?}: {}", a.envelope_id, a.took, a.payload));
        state.ephemerals.iter().for_each(|e| eprintln!("slack: to {} alone: {}", e.user, e.shown()));
        state.views.iter().for_each(|v| eprintln!("slack: before {}: {} {:?}", v.user, v.callback(), v.errors));
        state.violations.iter().for_each(|v| eprintln!("slack: BROKEN {v}"));
    }
}

fn short(args: &Value) -> String {
    let text = args.to_string();
    match text.char_indices().nth(600) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}
