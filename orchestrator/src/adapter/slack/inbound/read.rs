//! From JSON to meaning.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Click, Closed, Inbound, MessageShortcut, Said, SlackFile, Slash, Submission};
use crate::adapter::slack::Kind;

/// The text at a path of keys; `None` if there is none or it is empty.
fn text<'a>(value: &'a Value, path: &[&str]) -> Option<&'a str> {
    path.iter().try_fold(value, |value, key| value.get(key))?.as_str().filter(|text| !text.is_empty())
}

/// The same, owned, empty if there is none.
fn own(value: &Value, path: &[&str]) -> String {
    text(value, path).unwrap_or_default().to_owned()
}

/// The same, owned.
fn maybe(value: &Value, path: &[&str]) -> Option<String> {
    text(value, path).map(str::to_owned)
}

/// The first text of several paths.
fn first(value: &Value, paths: &[&[&str]]) -> Option<String> {
    paths.iter().find_map(|path| maybe(value, path))
}

/// What must be there.
fn must(value: &Value, what: &str, paths: &[&[&str]]) -> Result<String, String> {
    first(value, paths)
        .ok_or_else(|| format!("{what} lacks `{}`", paths.first().copied().unwrap_or_default().join(".")))
}

/// What makes a payload the same as an earlier one, if anything in it does.
#[must_use]
pub fn key(kind: Kind, payload: &Value) -> Option<String> {
    match kind {
        Kind::Event => maybe(payload, &["event_id"]).map(|id| format!("event:{id}")),
        Kind::Command => maybe(payload, &["trigger_id"]).map(|id| format!("command:{id}")),
        Kind::Interaction => interaction_key(payload),
        Kind::Unknown => None,
    }
}

fn interaction_key(payload: &Value) -> Option<String> {
    let kind = text(payload, &["type"])?;
    let user = text(payload, &["user", "id"]).unwrap_or("-");
    if kind == "block_actions" {
        let action = payload.get("actions")?.get(0)?;
        let at = text(action, &["action_ts"])?;
        return Some(format!("click:{user}:{at}:{}", text(action, &["action_id"]).unwrap_or("-")));
    }
    if let Some(trigger) = text(payload, &["trigger_id"]) {
        return Some(format!("{kind}:{trigger}"));
    }
    if let Some(at) = text(payload, &["action_ts"]) {
        return Some(format!("{kind}:{user}:{at}"));
    }
    // A closed modal has neither; it is closed once.
    let view = text(payload, &["view", "id"]).filter(|_| kind == "view_closed")?;
    Some(format!("{kind}:{user}:{view}"))
}

/// Reads a payload.
///
/// # Errors
/// A sentence: what is missing in it, or that nobody knows its kind.
pub fn read(kind: Kind, payload: &Value) -> Result<Inbound, String> {
    if !payload.is_object() {
        return Err("the payload is not a JSON object".to_owned());
    }
    match kind {
        Kind::Event => event(payload),
        Kind::Interaction => interaction(payload),
        Kind::Command => command(payload),
        Kind::Unknown => Err("it came in an envelope of an unknown type".to_owned()),
    }
}

fn event(payload: &Value) -> Result<Inbound, String> {
    let event = payload.get("event").ok_or("the event callback lacks `event`")?;
    match text(event, &["type"]).ok_or("the event lacks `type`")? {
        // What another app says is never an order: two apps would talk for ever.
        "app_mention" | "message" if from_an_app(event) => Ok(Inbound::Nothing),
        "app_mention" => said(event, "the mention").map(Inbound::Mention),
        "message" => {
            let spoken =
                matches!(text(event, &["subtype"]), None | Some("file_share" | "thread_broadcast" | "me_message"));
            let direct = text(event, &["channel_type"]).map_or_else(
                || text(event, &["channel"]).is_some_and(|channel| channel.starts_with('D')),
                |kind| kind == "im",
            );
            let threaded = text(event, &["thread_ts"]).is_some_and(|root| Some(root) != text(event, &["ts"]));
            match (spoken, direct, threaded) {
                (true, true, _) => said(event, "the message").map(Inbound::Direct),
                (true, false, true) => said(event, "the message").map(Inbound::Reply),
                _ => Ok(Inbound::Nothing),
            }
        }
        "app_home_opened" if matches!(text(event, &["tab"]), None | Some("home")) => {
            Ok(Inbound::HomeOpened { user: must(event, "the event app_home_opened", &[&["user"]])? })
        }
        _ => Ok(Inbound::Nothing),
    }
}

fn from_an_app(event: &Value) -> bool {
    text(event, &["bot_id"]).is_some()
        || event.get("bot_profile").is_some_and(Value::is_object)
        || text(event, &["subtype"]) == Some("bot_message")
}

fn said(message: &Value, what: &str) -> Result<Said, String> {
    Ok(Said {
        user: must(message, what, &[&["user"]])?,
        channel: must(message, what, &[&["channel"]])?,
        ..utterance(message, what)?
    })
}

/// A message without its channel, which a shortcut has elsewhere; an app may have said it.
fn utterance(message: &Value, what: &str) -> Result<Said, String> {
    let files = message.get("files").and_then(Value::as_array).into_iter().flatten();
    Ok(Said {
        user: own(message, &["user"]),
        channel: own(message, &["channel"]),
        ts: must(message, what, &[&["ts"]])?,
        thread_ts: maybe(message, &["thread_ts"]),
        text: own(message, &["text"]),
        files: files.filter_map(file).collect(),
        bot_id: maybe(message, &["bot_id"]),
    })
}

fn file(file: &Value) -> Option<SlackFile> {
    Some(SlackFile {
        id: maybe(file, &["id"])?,
        name: first(file, &[&["name"], &["title"]]).unwrap_or_default(),
        mimetype: own(file, &["mimetype"]),
        size: file.get("size").and_then(Value::as_u64).unwrap_or_default(),
        url_private_download: first(file, &[&["url_private_download"], &["url_private"]]),
    })
}

fn command(payload: &Value) -> Result<Inbound, String> {
    let what = "the slash command";
    Ok(Inbound::Command(Slash {
        user: must(payload, what, &[&["user_id"]])?,
        user_name: own(payload, &["user_name"]),
        command: must(payload, what, &[&["command"]])?,
        text: own(payload, &["text"]).trim().to_owned(),
        channel: own(payload, &["channel_id"]),
        trigger_id: own(payload, &["trigger_id"]),
        response_url: maybe(payload, &["response_url"]),
    }))
}

fn interaction(payload: &Value) -> Result<Inbound, String> {
    match text(payload, &["type"]).ok_or("the interaction lacks `type`")? {
        "block_actions" => click(payload),
        "view_submission" => submission(payload),
        "view_closed" => Ok(Inbound::Closed(Closed {
            user: must(payload, "the closed view", &[&["user", "id"]])?,
            callback_id: own(payload, &["view", "callback_id"]),
            private_metadata: own(payload, &["view", "private_metadata"]),
            view_id: own(payload, &["view", "id"]),
        })),
        "message_action" => shortcut(payload),
        other => {
            Err(format!("interactions of the type `{}` are not known", other.chars().take(40).collect::<String>()))
        }
    }
}

fn click(payload: &Value) -> Result<Inbound, String> {
    let what = "the click";
    let action = payload.get("actions").and_then(|actions| actions.get(0)).ok_or("the click lacks `actions`")?;
    Ok(Inbound::Click(Click {
        user: must(payload, what, &[&["user", "id"], &["user"]])?,
        user_name: first(payload, &[&["user", "username"], &["user", "name"]]).unwrap_or_default(),
        team: first(payload, &[&["team", "id"], &["user", "team_id"]]).unwrap_or_default(),
        channel: first(payload, &[&["channel", "id"], &["container", "channel_id"]]),
        message_ts: first(payload, &[&["message", "ts"], &["container", "message_ts"]]),
        thread_ts: first(payload, &[&["message", "thread_ts"], &["container", "thread_ts"]]),
        view_id: first(payload, &[&["view", "id"], &["container", "view_id"]]),
        action_id: must(action, "the click's action", &[&["action_id"]])?,
        block_id: own(action, &["block_id"]),
        value: chosen(action).unwrap_or_default(),
        trigger_id: own(payload, &["trigger_id"]),
        action_ts: own(action, &["action_ts"]),
        response_url: maybe(payload, &["response_url"]),
    }))
}

fn submission(payload: &Value) -> Result<Inbound, String> {
    let what = "the submitted view";
    let view = payload.get("view").ok_or("the submission lacks `view`")?;
    // A modal without inputs has an empty state, or none.
    let blocks = view.get("state").and_then(|state| state.get("values")).and_then(Value::as_object);
    let values = blocks.into_iter().flatten().map(|(block, controls)| {
        let controls = controls.as_object().into_iter().flatten();
        (block.clone(), controls.map(|(action, value)| (action.clone(), value.clone())).collect::<BTreeMap<_, _>>())
    });
    Ok(Inbound::Submitted(Submission {
        user: must(payload, what, &[&["user", "id"]])?,
        user_name: first(payload, &[&["user", "username"], &["user", "name"]]).unwrap_or_default(),
        callback_id: must(view, what, &[&["callback_id"]])?,
        private_metadata: own(view, &["private_metadata"]),
        values: values.collect(),
        view_id: own(view, &["id"]),
        hash: own(view, &["hash"]),
        trigger_id: own(payload, &["trigger_id"]),
    }))
}

fn shortcut(payload: &Value) -> Result<Inbound, String> {
    let what = "the message shortcut";
    let message = payload.get("message").ok_or("the message shortcut lacks `message`")?;
    let channel = must(payload, what, &[&["channel", "id"]])?;
    let said = utterance(message, "its message")?;
    let ts = first(payload, &[&["message_ts"]]).unwrap_or_else(|| said.ts.clone());
    Ok(Inbound::Shortcut(MessageShortcut {
        user: must(payload, what, &[&["user", "id"]])?,
        user_name: first(payload, &[&["user", "username"], &["user", "name"]]).unwrap_or_default(),
        callback_id: must(payload, what, &[&["callback_id"]])?,
        message: Said { channel: channel.clone(), ts, ..said },
        channel,
        trigger_id: own(payload, &["trigger_id"]),
        response_url: maybe(payload, &["response_url"]),
    }))
}

/// What a control holds: a button's value, typed text, or what was chosen.
pub(super) fn chosen(control: &Value) -> Option<String> {
    let one = first(
        control,
        &[
            &["value"],
            &["selected_option", "value"],
            &["selected_user"],
            &["selected_channel"],
            &["selected_conversation"],
            &["selected_date"],
            &["selected_time"],
        ],
    );
    one.or_else(|| {
        let options = control.get("selected_options")?.as_array()?;
        let values: Vec<&str> = options.iter().filter_map(|option| text(option, &["value"])).collect();
        (!values.is_empty()).then(|| values.join(","))
    })
}
