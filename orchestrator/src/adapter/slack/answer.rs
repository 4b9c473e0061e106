//! What Slack's answers say, as far as we ask.

use serde_json::Value;

use super::web::{Auth, Channel, Found, Place, User, View};

fn text(value: &Value, path: &str) -> Option<String> {
    value.pointer(path)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn must(value: &Value, path: &str) -> Result<String, String> {
    text(value, path).ok_or_else(|| format!("it lacks `{}`", path.trim_start_matches('/').replace('/', ".")))
}

fn own(value: &Value, path: &str) -> String {
    text(value, path).unwrap_or_default()
}

fn flag(value: &Value, path: &str) -> bool {
    value.pointer(path).and_then(Value::as_bool).unwrap_or_default()
}

pub(super) fn place(answer: &Value) -> Result<Place, String> {
    Ok(Place { channel: must(answer, "/channel")?, ts: must(answer, "/ts")? })
}

pub(super) fn view(answer: &Value) -> View {
    View { id: own(answer, "/view/id"), hash: own(answer, "/view/hash") }
}

/// The file's id, and where its bytes go.
pub(super) fn upload(answer: &Value) -> Result<(String, String), String> {
    Ok((must(answer, "/file_id")?, must(answer, "/upload_url")?))
}

pub(super) fn user(answer: &Value) -> Result<User, String> {
    Ok(User {
        id: must(answer, "/user/id")?,
        name: own(answer, "/user/name"),
        real_name: text(answer, "/user/real_name")
            .or_else(|| text(answer, "/user/profile/real_name"))
            .unwrap_or_default(),
        email: text(answer, "/user/profile/email"),
        tz: text(answer, "/user/tz"),
        team_ids: teams(answer),
        is_foreign: flag(answer, "/user/is_stranger"),
        is_bot: flag(answer, "/user/is_bot"),
        deleted: flag(answer, "/user/deleted"),
    })
}

/// The workspace a person's account is of, and those of their organisation that they are in.
fn teams(answer: &Value) -> Vec<String> {
    let several = answer.pointer("/user/enterprise_user/teams").and_then(Value::as_array).into_iter().flatten();
    let several = several.filter_map(Value::as_str).map(str::to_owned);
    text(answer, "/user/team_id").into_iter().chain(several).collect()
}

pub(super) fn channel(answer: &Value) -> Result<Channel, String> {
    Ok(Channel {
        id: must(answer, "/channel/id")?,
        name: own(answer, "/channel/name"),
        // A direct conversation has no members to be one of.
        is_member: flag(answer, "/channel/is_member") || flag(answer, "/channel/is_im"),
        is_archived: flag(answer, "/channel/is_archived"),
        is_private: flag(answer, "/channel/is_private"),
    })
}

pub(super) fn auth(answer: &Value, scopes: Vec<String>) -> Result<Auth, String> {
    Ok(Auth {
        team_id: must(answer, "/team_id")?,
        team: own(answer, "/team"),
        bot_user_id: must(answer, "/user_id")?,
        bot_id: text(answer, "/bot_id"),
        scopes,
    })
}

pub(super) fn messages(answer: &Value) -> Vec<Found> {
    let messages = answer.get("messages").and_then(Value::as_array).into_iter().flatten();
    let found = messages.filter_map(|message| {
        Some(Found {
            ts: text(message, "/ts")?,
            thread_ts: text(message, "/thread_ts"),
            metadata: message.get("metadata").filter(|metadata| metadata.is_object()).cloned(),
            user: text(message, "/user"),
            bot_id: text(message, "/bot_id"),
            text: own(message, "/text"),
        })
    });
    found.collect()
}

pub(super) fn cursor(answer: &Value) -> Option<String> {
    text(answer, "/response_metadata/next_cursor")
}

pub(super) fn permalink(answer: &Value) -> Result<String, String> {
    must(answer, "/permalink")
}

pub(super) fn socket(answer: &Value) -> Result<String, String> {
    must(answer, "/url")
}
