//! Files: the three steps of an upload, and downloads for those with the token.

use std::sync::Arc;

use axum::{
    body::{Bytes, to_bytes},
    extract::{Path, Request, State as From},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde_json::{Value, json};

use super::{
    BOT_TOKEN, Shared,
    state::{BOT, Post, State, StoredFile, file_object},
    web::bearer,
};

/// The largest upload that is taken.
const MAX_BODY: usize = 64 * 1024 * 1024;

impl State {
    pub(super) fn upload_url(&mut self, args: &Value, api: &str) -> Result<Value, String> {
        let name = args["filename"].as_str().unwrap_or_default().to_owned();
        let length = args["length"].as_u64().or_else(|| args["length"].as_str().and_then(|l| l.parse().ok()));
        let Some(length) = length.filter(|length| *length > 0 && !name.is_empty()) else {
            self.violation("files.getUploadURLExternal: filename and length are required");
            return Err("invalid_arguments".to_owned());
        };
        let id = self.fresh("F");
        let file = StoredFile {
            id: id.clone(),
            title: name.clone(),
            name,
            bytes: Vec::new(),
            user: BOT.to_owned(),
            channel: None,
            thread_ts: None,
            announced: usize::try_from(length).ok(),
        };
        self.files.insert(id.clone(), file);
        let url = format!("{}/upload/{id}", api.trim_end_matches("/api"));
        Ok(json!({ "upload_url": url, "file_id": id }))
    }

    pub(super) fn complete_upload(&mut self, args: &Value, api: &str) -> Result<Value, String> {
        let named = args["files"].as_array().cloned().unwrap_or_default();
        let channel = args["channel_id"].as_str().map(str::to_owned);
        let thread = args["thread_ts"].as_str().map(str::to_owned);
        if named.is_empty() {
            self.violation("files.completeUploadExternal: files is a list of {id, title}");
            return Err("invalid_arguments".to_owned());
        }
        if let Some(channel) = &channel {
            self.may_write(channel)?;
        }
        let mut ids = Vec::new();
        for one in &named {
            let id = one["id"].as_str().unwrap_or_default();
            let Some(file) = self.files.get_mut(id) else { return Err("file_not_found".to_owned()) };
            if file.announced != Some(file.bytes.len()) {
                let (announced, came) = (file.announced, file.bytes.len());
                self.violation(format!("{id}: {announced:?} bytes were announced, {came} came"));
                return Err("file_upload_size_restricted".to_owned());
            }
            file.title = one["title"].as_str().unwrap_or(&file.name).to_owned();
            file.channel.clone_from(&channel);
            file.thread_ts.clone_from(&thread);
            ids.push(id.to_owned());
        }
        if let Some(channel) = channel {
            let ts = self.next_ts();
            self.posts.push(Post {
                channel,
                ts,
                thread_ts: thread,
                user: BOT.to_owned(),
                text: args["initial_comment"].as_str().unwrap_or_default().to_owned(),
                blocks: Vec::new(),
                metadata: None,
                broadcast: false,
                edits: Vec::new(),
                files: ids.clone(),
                deleted: false,
            });
        }
        let files: Vec<Value> = ids.iter().filter_map(|id| self.files.get(id)).map(|f| file_object(f, api)).collect();
        Ok(json!({ "files": files }))
    }
}

pub(super) async fn upload(From(shared): From<Arc<Shared>>, Path(id): Path<String>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY).await else { return StatusCode::PAYLOAD_TOO_LARGE.into_response() };
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let bytes = if kind.starts_with("multipart/form-data") { part(kind, &body) } else { Some(body.to_vec()) };
    let mut state = shared.state();
    let Some(bytes) = bytes else {
        state.violation(format!("upload of {id}: the multipart body cannot be read"));
        return StatusCode::BAD_REQUEST.into_response();
    };
    let Some(file) = state.files.get_mut(&id) else {
        state.violation(format!("upload to {id}, which nobody announced"));
        return StatusCode::NOT_FOUND.into_response();
    };
    let answer = format!("OK - {}", bytes.len());
    file.bytes = bytes;
    answer.into_response()
}

/// The content of the first part of a multipart body.
fn part(kind: &str, body: &Bytes) -> Option<Vec<u8>> {
    let boundary = kind.split("boundary=").nth(1)?.trim_matches('"');
    let find = |bytes: &[u8], wanted: &[u8]| bytes.windows(wanted.len()).position(|w| w == wanted);
    let start = find(body, b"\r\n\r\n")? + 4;
    let rest = body.get(start..)?;
    let end = find(rest, format!("\r\n--{boundary}").as_bytes())?;
    Some(rest.get(..end)?.to_vec())
}

pub(super) async fn download(
    From(shared): From<Arc<Shared>>,
    Path((file, _)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let mut state = shared.state();
    let id = file.rsplit('-').next().unwrap_or_default().to_owned();
    if bearer(&headers) != Some(BOT_TOKEN) {
        state.violation(format!("download of {id} without the bot token"));
        // Slack shows its login page.
        return ([(header::CONTENT_TYPE, "text/html")], "<!DOCTYPE html><html>Sign in</html>").into_response();
    }
    match state.files.get(&id) {
        Some(file) => file.bytes.clone().into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
