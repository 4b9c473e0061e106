//! Each of the calls.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    super::{
        answer,
        web::{
            Answer, Auth, Channel, Found, Message, Place, Search, SlackError, SlackWeb, Upload, User, View, Whisper,
        },
    },
    Again, Morphism, Question,
};

/// Messages asked for at a time.
const PAGE: usize = 200;

impl SlackWeb for Morphism {
    async fn post(&self, message: &Message) -> Answer<Place> {
        const METHOD: &str = "chat.postMessage";
        let body = given(json!({
            "channel": message.channel, "thread_ts": message.thread_ts, "text": message.text, "blocks": message.blocks,
            "metadata": message.metadata, "unfurl_links": false, "unfurl_media": false,
            "reply_broadcast": (message.broadcast && message.thread_ts.is_some()).then_some(true),
        }));
        let mut call = self.call(METHOD, Again::No, Question::Post(&body));
        call.kind = format!("{METHOD}:{}", message.channel);
        let answer = self.ask(call).await?;
        // It was posted, and where is not known: as good as not knowing whether.
        answer::place(&answer).map_err(|why| SlackError::Unknown { method: METHOD, why })
    }

    async fn update(&self, place: &Place, text: &str, blocks: &[Value]) -> Answer<()> {
        // An empty list takes the old blocks away, a missing one keeps them.
        let body = json!({
            "channel": place.channel, "ts": place.ts, "text": text, "blocks": blocks,
            "unfurl_links": false, "unfurl_media": false,
        });
        self.ask(self.call("chat.update", Again::Yes, Question::Post(&body))).await.map(drop)
    }

    async fn ephemeral(&self, whisper: &Whisper) -> Answer<()> {
        const METHOD: &str = "chat.postEphemeral";
        let body = given(json!({
            "channel": whisper.channel, "user": whisper.user, "thread_ts": whisper.thread_ts, "text": whisper.text,
            "blocks": whisper.blocks,
        }));
        self.ask(self.call(METHOD, Again::No, Question::Post(&body))).await.map(drop)
    }

    async fn open_view(&self, trigger_id: &str, view: &Value) -> Answer<View> {
        let body = json!({ "trigger_id": trigger_id, "view": view });
        self.view("views.open", &body, self.inner.patience.trigger).await
    }

    async fn push_view(&self, trigger_id: &str, view: &Value) -> Answer<View> {
        let body = json!({ "trigger_id": trigger_id, "view": view });
        self.view("views.push", &body, self.inner.patience.trigger).await
    }

    async fn update_view(&self, view_id: &str, hash: Option<&str>, view: &Value) -> Answer<View> {
        let body = given(json!({ "view_id": view_id, "hash": hash, "view": view }));
        self.view("views.update", &body, self.inner.patience.call).await
    }

    async fn publish_home(&self, user: &str, view: &Value) -> Answer<()> {
        let body = json!({ "user_id": user, "view": view });
        self.ask(self.call("views.publish", Again::Yes, Question::Post(&body))).await.map(drop)
    }

    async fn upload(&self, upload: &Upload) -> Answer<String> {
        const BEGIN: &str = "files.getUploadURLExternal";
        const SEND: &str = "upload";
        const END: &str = "files.completeUploadExternal";
        let params = vec![("filename", upload.filename.clone()), ("length", upload.bytes.len().to_string())];
        let answer = self.ask(self.call(BEGIN, Again::Yes, Question::Get(params))).await?;
        let (file, address) = answer::upload(&answer).map_err(|why| SlackError::Unreadable { method: BEGIN, why })?;
        let address = self.reachable(SEND, &address)?;
        self.ask(self.call(SEND, Again::Yes, Question::Put(address, &upload.bytes))).await?;
        let body = given(json!({
            "files": [{ "id": file, "title": upload.title }], "channel_id": upload.channel, "thread_ts": upload.thread_ts,
        }));
        self.ask(self.call(END, Again::No, Question::Post(&body))).await?;
        Ok(file)
    }

    async fn user(&self, id: &str) -> Answer<User> {
        const METHOD: &str = "users.info";
        let answer = self.ask(self.call(METHOD, Again::Yes, Question::Get(vec![("user", id.to_owned())]))).await?;
        answer::user(&answer).map_err(|why| SlackError::Unreadable { method: METHOD, why })
    }

    async fn channel(&self, id: &str) -> Answer<Channel> {
        const METHOD: &str = "conversations.info";
        let answer = self.ask(self.call(METHOD, Again::Yes, Question::Get(vec![("channel", id.to_owned())]))).await?;
        answer::channel(&answer).map_err(|why| SlackError::Unreadable { method: METHOD, why })
    }

    async fn auth(&self) -> Answer<Auth> {
        const METHOD: &str = "auth.test";
        self.persist(METHOD, METHOD, Again::Yes, self.inner.patience.call, || self.auth_once()).await
    }

    async fn history(&self, search: &Search) -> Answer<Vec<Found>> {
        let method = if search.thread_ts.is_some() { "conversations.replies" } else { "conversations.history" };
        let mut found = Vec::new();
        let mut cursor: Option<String> = None;
        while found.len() < search.limit {
            let page = (search.limit - found.len()).min(PAGE);
            let mut params = vec![
                ("channel", search.channel.clone()),
                ("limit", page.to_string()),
                ("include_all_metadata", "true".to_owned()),
            ];
            params.extend(search.thread_ts.clone().map(|ts| ("ts", ts)));
            params.extend(search.oldest.clone().map(|oldest| ("oldest", oldest)));
            params.extend(cursor.take().map(|cursor| ("cursor", cursor)));
            let answer = self.ask(self.call(method, Again::Yes, Question::Get(params))).await?;
            found.extend(answer::messages(&answer));
            cursor = answer::cursor(&answer);
            if cursor.is_none() {
                break;
            }
        }
        found.truncate(search.limit);
        found.sort_by(|a, b| b.ts.cmp(&a.ts));
        Ok(found)
    }

    async fn permalink(&self, place: &Place) -> Answer<String> {
        const METHOD: &str = "chat.getPermalink";
        let params = vec![("channel", place.channel.clone()), ("message_ts", place.ts.clone())];
        let answer = self.ask(self.call(METHOD, Again::Yes, Question::Get(params))).await?;
        answer::permalink(&answer).map_err(|why| SlackError::Unreadable { method: METHOD, why })
    }

    async fn download(&self, url: &str, max_bytes: u64) -> Answer<Bytes> {
        const METHOD: &str = "download";
        let url = self.reachable(METHOD, url)?;
        let once = || self.download_once(&url, max_bytes);
        self.persist(METHOD, METHOD, Again::Yes, self.inner.patience.call, once).await
    }

    async fn respond(&self, response_url: &str, body: &Value) -> Answer<()> {
        const METHOD: &str = "response_url";
        let url = self.reachable(METHOD, response_url)?;
        self.ask(self.call(METHOD, Again::No, Question::PostTo(url, body))).await.map(drop)
    }

    async fn open_socket(&self) -> Answer<String> {
        const METHOD: &str = "apps.connections.open";
        if self.inner.app.is_none() {
            let why = "there is no app token: set slack.app_token or SLACK_APP_TOKEN (xapp-…)".to_owned();
            return Err(SlackError::Refused { method: METHOD, why });
        }
        let answer = self.ask(self.call(METHOD, Again::Yes, Question::App)).await?;
        answer::socket(&answer).map_err(|why| SlackError::Unreadable { method: METHOD, why })
    }
}

/// `body` without what was not given.
fn given(mut body: Value) -> Value {
    if let Some(fields) = body.as_object_mut() {
        fields.retain(|_, value| !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty()));
    }
    body
}
