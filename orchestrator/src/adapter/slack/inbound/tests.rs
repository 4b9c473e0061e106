use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::adapter::slack::{Envelope, Kind};

fn read_interaction(payload: &Value) -> Result<Inbound, String> {
    read(Kind::Interaction, payload)
}

/// A click on a button of a message in a thread, as Slack documents it.
fn block_actions() -> Value {
    json!({
        "type": "block_actions",
        "user": {"id": "U1", "username": "ann", "name": "ann", "team_id": "T1"},
        "api_app_id": "A1",
        "token": "old-verification-token",
        "container": {"type": "message", "message_ts": "1700.1", "channel_id": "C1", "is_ephemeral": false, "thread_ts": "1699.9"},
        "trigger_id": "12.34.abc",
        "team": {"id": "T1", "domain": "example"},
        "enterprise": null,
        "is_enterprise_install": false,
        "channel": {"id": "C1", "name": "builds"},
        "message": {"bot_id": "B1", "type": "message", "text": "card", "user": "UB", "ts": "1700.1", "thread_ts": "1699.9"},
        "state": {"values": {}},
        "response_url": "https://hooks.slack.com/actions/T1/1/x",
        "actions": [{"action_id": "baton.approve", "block_id": "b1", "text": {"type": "plain_text", "text": "Approve"},
            "value": "{\"a\":\"x\"}", "type": "button", "action_ts": "1700.5"}]
    })
}

fn view_submission() -> Value {
    json!({
        "type": "view_submission",
        "team": {"id": "T1", "domain": "example"},
        "user": {"id": "U1", "username": "ann", "team_id": "T1"},
        "trigger_id": "56.78.def",
        "view": {
            "id": "V1", "team_id": "T1", "type": "modal", "callback_id": "baton.reject", "hash": "156.abc",
            "private_metadata": "{\"approval_id\":\"x\"}",
            "state": {"values": {
                "reason": {"text": {"type": "plain_text_input", "value": "too large"}},
                "who": {"user": {"type": "users_select", "selected_user": "U9"}},
                "preset": {"name": {"type": "static_select", "selected_option": {"text": {"type": "plain_text", "text": "Web"}, "value": "web"}}},
                "more": {"boxes": {"type": "checkboxes", "selected_options": [{"value": "a"}, {"value": "b"}]}},
                "empty": {"text": {"type": "plain_text_input", "value": null}}
            }}
        },
        "response_urls": []
    })
}

fn said_to_app(kind: &str) -> Value {
    json!({
        "type": "event_callback", "team_id": "T1", "api_app_id": "A1", "event_id": "Ev1", "event_time": 1700,
        "event": {"type": kind, "user": "U1", "text": "<@UB> tidy the docs", "ts": "1700.1", "channel": "C1", "event_ts": "1700.1",
            "files": [
                {"id": "F1", "name": "a.txt", "mimetype": "text/plain", "size": 12, "url_private": "https://files.slack.com/p",
                 "url_private_download": "https://files.slack.com/d"},
                {"id": "F2", "file_access": "check_file_info"},
                {"mode": "tombstone"}
            ]}
    })
}

fn changed(mut value: Value, change: impl FnOnce(&mut Value)) -> Value {
    change(&mut value);
    value
}

#[test]
fn a_click_is_read_whole() {
    let Ok(Inbound::Click(click)) = read_interaction(&block_actions()) else { panic!("not a click") };
    assert_eq!(
        click,
        Click {
            user: "U1".into(),
            user_name: "ann".into(),
            team: "T1".into(),
            channel: Some("C1".into()),
            message_ts: Some("1700.1".into()),
            thread_ts: Some("1699.9".into()),
            view_id: None,
            action_id: "baton.approve".into(),
            block_id: "b1".into(),
            value: "{\"a\":\"x\"}".into(),
            trigger_id: "12.34.abc".into(),
            action_ts: "1700.5".into(),
            response_url: Some("https://hooks.slack.com/actions/T1/1/x".into()),
        }
    );
}

#[test]
fn a_click_survives_without_container_team_channel_name_and_value() {
    let bare = changed(block_actions(), |v| {
        for key in ["container", "team", "state", "response_url", "api_app_id"] {
            v.as_object_mut().unwrap().remove(key);
        }
        v["user"] = json!({"id": "U1"});
        v["actions"][0]["value"] = Value::Null;
    });
    let Ok(Inbound::Click(click)) = read_interaction(&bare) else { panic!("not a click") };
    assert_eq!((click.team.as_str(), click.value.as_str(), click.user_name.as_str()), ("", "", ""));
    assert_eq!((click.channel.as_deref(), click.message_ts.as_deref()), (Some("C1"), Some("1700.1")));
    // In the other direction: an ephemeral message has a container and no message.
    let ephemeral = changed(block_actions(), |v| {
        v.as_object_mut().unwrap().remove("message");
        v.as_object_mut().unwrap().remove("channel");
    });
    let Ok(Inbound::Click(click)) = read_interaction(&ephemeral) else { panic!("not a click") };
    assert_eq!((click.channel.as_deref(), click.message_ts.as_deref()), (Some("C1"), Some("1700.1")));
    assert_eq!(click.thread_ts.as_deref(), Some("1699.9"));
}

#[test]
fn a_click_in_the_home_tab_has_a_view() {
    let home = changed(block_actions(), |v| {
        v["container"] = json!({"type": "view", "view_id": "V7"});
        v["view"] = json!({"id": "V7", "type": "home"});
        v.as_object_mut().unwrap().remove("message");
        v.as_object_mut().unwrap().remove("channel");
        v["team"] = Value::Null;
    });
    let Ok(Inbound::Click(click)) = read_interaction(&home) else { panic!("not a click") };
    assert_eq!((click.view_id.as_deref(), click.channel, click.message_ts), (Some("V7"), None, None));
    assert_eq!(click.team, "T1", "an organisation's click names the team with the user");
}

#[test]
fn a_choice_is_a_value_too() {
    let menu = changed(block_actions(), |v| {
        v["actions"][0] =
            json!({"type": "users_select", "action_id": "baton.delegate", "selected_user": "U2", "action_ts": "1"});
    });
    let Ok(Inbound::Click(click)) = read_interaction(&menu) else { panic!("not a click") };
    assert_eq!(click.value, "U2");
}

#[test]
fn a_submission_is_read_with_and_without_state() {
    let Ok(Inbound::Submitted(sent)) = read_interaction(&view_submission()) else { panic!("not a submission") };
    assert_eq!((sent.user.as_str(), sent.callback_id.as_str(), sent.hash.as_str()), ("U1", "baton.reject", "156.abc"));
    let text = |block: &str, action: &str| sent.text(block, action);
    assert_eq!(text("reason", "text").as_deref(), Some("too large"));
    assert_eq!(text("who", "user").as_deref(), Some("U9"));
    assert_eq!(text("preset", "name").as_deref(), Some("web"));
    assert_eq!(text("more", "boxes").as_deref(), Some("a,b"));
    assert_eq!((text("empty", "text"), text("none", "none")), (None, None));
    for state in [json!({}), json!({"values": {}}), json!({"values": []}), Value::Null] {
        let bare = changed(view_submission(), |v| v["view"]["state"] = state);
        let Ok(Inbound::Submitted(sent)) = read_interaction(&bare) else { panic!("not a submission") };
        assert!(sent.values.is_empty());
    }
    let without = changed(view_submission(), |v| drop(v["view"].as_object_mut().unwrap().remove("state")));
    assert!(matches!(read_interaction(&without), Ok(Inbound::Submitted(_))));
}

#[test]
fn a_closed_modal_a_shortcut_and_a_command_are_read() {
    let closed = json!({"type": "view_closed", "team": {"id": "T1"}, "user": {"id": "U1"}, "is_cleared": false,
        "view": {"id": "V1", "callback_id": "baton.goal", "private_metadata": "m"}});
    let wanted = Closed {
        user: "U1".into(),
        callback_id: "baton.goal".into(),
        private_metadata: "m".into(),
        view_id: "V1".into(),
    };
    assert_eq!(read_interaction(&closed), Ok(Inbound::Closed(wanted)));

    let shortcut = json!({"type": "message_action", "callback_id": "baton.delegate_this", "trigger_id": "1.2.x", "message_ts": "5.5",
        "action_ts": "6.6", "team": {"id": "T1"}, "user": {"id": "U1", "name": "ann"}, "channel": {"id": "C1", "name": "x"},
        "response_url": "https://hooks.slack.com/app/x",
        "message": {"type": "message", "user": "U2", "ts": "5.5", "text": "the docs are wrong"}});
    let Ok(Inbound::Shortcut(chosen)) = read_interaction(&shortcut) else { panic!("not a shortcut") };
    assert_eq!((chosen.user.as_str(), chosen.message.user.as_str()), ("U1", "U2"));
    assert_eq!((chosen.message.channel.as_str(), chosen.message.ts.as_str()), ("C1", "5.5"));
    // A message of an app has no user.
    let of_app = changed(shortcut, |v| v["message"] = json!({"bot_id": "B2", "ts": "5.5", "text": "alert"}));
    let Ok(Inbound::Shortcut(chosen)) = read_interaction(&of_app) else { panic!("not a shortcut") };
    assert_eq!((chosen.message.user.as_str(), chosen.message.bot_id.as_deref()), ("", Some("B2")));

    let command = json!({"token": "t", "team_id": "T1", "channel_id": "C1", "channel_name": "x", "user_id": "U1", "user_name": "ann",
        "command": "/baton", "text": " tidy up ", "response_url": "https://hooks.slack.com/commands/x", "trigger_id": "3.4.y"});
    let Ok(Inbound::Command(slash)) = read(Kind::Command, &command) else { panic!("not a command") };
    assert_eq!((slash.command.as_str(), slash.text.as_str(), slash.user.as_str()), ("/baton", "tidy up", "U1"));
}

#[test]
fn mentions_and_direct_messages_are_read_with_their_files() {
    let Ok(Inbound::Mention(said)) = read(Kind::Event, &said_to_app("app_mention")) else { panic!("not a mention") };
    assert_eq!((said.user.as_str(), said.channel.as_str(), said.text.as_str()), ("U1", "C1", "<@UB> tidy the docs"));
    assert_eq!(said.files.len(), 2, "what has no id is no file");
    assert_eq!(said.files[0].url_private_download.as_deref(), Some("https://files.slack.com/d"));
    assert_eq!(said.files[1].url_private_download, None);
    // An organisation's event has no team.
    let org = changed(said_to_app("app_mention"), |v| {
        v["team_id"] = Value::Null;
        v["is_enterprise_install"] = json!(true);
    });
    assert!(matches!(read(Kind::Event, &org), Ok(Inbound::Mention(_))));

    let direct = changed(said_to_app("message"), |v| v["event"]["channel_type"] = json!("im"));
    assert!(matches!(read(Kind::Event, &direct), Ok(Inbound::Direct(_))));
    let with_file = changed(direct, |v| v["event"]["subtype"] = json!("file_share"));
    assert!(matches!(read(Kind::Event, &with_file), Ok(Inbound::Direct(_))));
    let untyped = changed(said_to_app("message"), |v| v["event"]["channel"] = json!("D1"));
    assert!(matches!(read(Kind::Event, &untyped), Ok(Inbound::Direct(_))));

    let home = json!({"type": "event_callback", "event_id": "Ev2",
        "event": {"type": "app_home_opened", "user": "U1", "channel": "D1", "tab": "home"}});
    assert_eq!(read(Kind::Event, &home), Ok(Inbound::HomeOpened { user: "U1".into() }));
    let messages = changed(home, |v| v["event"]["tab"] = json!("messages"));
    assert_eq!(read(Kind::Event, &messages), Ok(Inbound::Nothing));
}

#[test]
fn what_apps_say_and_what_only_changes_is_of_no_interest() {
    let direct = changed(said_to_app("message"), |v| v["event"]["channel_type"] = json!("im"));
    for subtype in ["message_changed", "message_deleted", "bot_message", "channel_join", "message_replied"] {
        let other = changed(direct.clone(), |v| v["event"]["subtype"] = json!(subtype));
        assert_eq!(read(Kind::Event, &other), Ok(Inbound::Nothing), "{subtype}");
    }
    for kind in ["message", "app_mention"] {
        let of_app = changed(said_to_app(kind), |v| {
            v["event"]["channel_type"] = json!("im");
            v["event"]["bot_id"] = json!("B2");
        });
        assert_eq!(read(Kind::Event, &of_app), Ok(Inbound::Nothing));
    }
    assert_eq!(read(Kind::Event, &said_to_app("message")), Ok(Inbound::Nothing), "talk in a channel is not for us");
    assert_eq!(read(Kind::Event, &said_to_app("reaction_added")), Ok(Inbound::Nothing));
}

#[test]
fn what_a_person_did_and_cannot_be_read_is_an_error_that_says_why() {
    let fails = |kind, payload: Value| read(kind, &payload).unwrap_err();
    assert_eq!(fails(Kind::Interaction, json!({})), "the interaction lacks `type`");
    assert_eq!(
        fails(Kind::Interaction, json!({"type": "dialog_submission"})),
        "interactions of the type `dialog_submission` are not known"
    );
    assert_eq!(fails(Kind::Interaction, json!({"type": "block_actions"})), "the click lacks `actions`");
    assert_eq!(
        fails(Kind::Interaction, changed(block_actions(), |v| v["actions"] = json!([{}]))),
        "the click's action lacks `action_id`"
    );
    assert_eq!(
        fails(Kind::Interaction, changed(block_actions(), |v| v["user"] = json!({}))),
        "the click lacks `user.id`"
    );
    assert_eq!(fails(Kind::Interaction, json!({"type": "view_submission"})), "the submission lacks `view`");
    assert_eq!(fails(Kind::Command, json!({"user_id": "U1"})), "the slash command lacks `command`");
    assert_eq!(fails(Kind::Event, json!({"event_id": "Ev"})), "the event callback lacks `event`");
    assert_eq!(
        fails(Kind::Event, json!({"event": {"type": "app_mention", "user": "U1", "ts": "1"}})),
        "the mention lacks `channel`"
    );
    assert_eq!(fails(Kind::Unknown, json!({})), "it came in an envelope of an unknown type");
    assert_eq!(fails(Kind::Event, json!([1])), "the payload is not a JSON object");
}

#[test]
fn a_repeat_has_the_same_key_and_another_click_another() {
    let key = |kind, payload: Value, id: &str| Envelope::new(kind, payload, Some(id), bus_schemas::time::UnixMs(0)).key;
    let click = key(Kind::Interaction, block_actions(), "e1");
    assert_eq!(click, key(Kind::Interaction, block_actions(), "e2"), "another envelope around the same click");
    let later = changed(block_actions(), |v| v["actions"][0]["action_ts"] = json!("1700.6"));
    assert_ne!(click, key(Kind::Interaction, later, "e1"));
    let other = changed(block_actions(), |v| v["user"]["id"] = json!("U2"));
    assert_ne!(click, key(Kind::Interaction, other, "e1"));
    assert_eq!(key(Kind::Event, said_to_app("app_mention"), "e1"), "event:Ev1");
    assert_eq!(key(Kind::Interaction, view_submission(), "e1"), "view_submission:56.78.def");
    assert_eq!(key(Kind::Command, json!({"trigger_id": "3.4.y"}), "e1"), "command:3.4.y");
    assert_eq!(key(Kind::Command, json!({}), "e1"), "envelope:e1");
    let nameless = |payload| Envelope::new(Kind::Command, payload, None, bus_schemas::time::UnixMs(0)).key;
    assert_eq!(nameless(json!({"a": 1})), nameless(json!({"a": 1})));
    assert_ne!(nameless(json!({"a": 1})), nameless(json!({"a": 2})));
}

#[test]
fn a_kept_envelope_is_read_again_the_same_and_without_the_old_token() {
    let now = bus_schemas::time::UnixMs(7);
    let envelope = Envelope::new(Kind::Interaction, block_actions(), None, now);
    assert!(!envelope.raw.to_string().contains("old-verification-token"));
    let again = Envelope::again(envelope.key.clone(), envelope.raw.clone(), now);
    assert_eq!(again.inbound, envelope.inbound);
    let unreadable = Envelope::unreadable("{nonsense", "not JSON".into(), now);
    assert!(Envelope::again(unreadable.key, unreadable.raw, now).inbound.is_err());
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(
                prop::sample::select(vec![
                    "type", "user", "id", "actions", "view", "state", "values", "event", "channel", "files", "message"
                ]),
                inner,
                0..4
            )
            .prop_map(|map| map.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<Value>()),
        ]
    })
}

/// Every place in `value`, as a JSON pointer.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(map) => map.iter().for_each(|(key, inner)| places(inner, &format!("{at}/{key}"), found)),
        Value::Array(list) => list.iter().enumerate().for_each(|(i, inner)| places(inner, &format!("{at}/{i}"), found)),
        _ => {}
    }
}

proptest! {
    #[test]
    fn no_json_at_all_makes_reading_panic(kind in 0..4_usize, payload in any_json()) {
        let kind = [Kind::Event, Kind::Interaction, Kind::Command, Kind::Unknown][kind];
        let envelope = Envelope::new(kind, payload, None, bus_schemas::time::UnixMs(0));
        prop_assert!(!envelope.key.is_empty());
        let again = Envelope::again(envelope.key.clone(), envelope.raw.clone(), envelope.received_at);
        prop_assert_eq!(again.inbound, envelope.inbound);
    }

    #[test]
    fn a_real_payload_with_something_strange_in_one_place_is_read_or_refused_in_words(
        sample in 0..4_usize, place in any::<prop::sample::Index>(), strange in any_json()
    ) {
        let (kind, mut payload) = [
            (Kind::Interaction, block_actions()),
            (Kind::Interaction, view_submission()),
            (Kind::Event, said_to_app("app_mention")),
            (Kind::Event, said_to_app("message")),
        ][sample].clone();
        let mut found = Vec::new();
        places(&payload, "", &mut found);
        let at = place.get(&found);
        if let Some(slot) = payload.pointer_mut(at) {
            *slot = strange;
        }
        if let Err(why) = Envelope::new(kind, payload, None, bus_schemas::time::UnixMs(0)).inbound {
            prop_assert!(!why.is_empty() && why.len() < 200, "{why}");
        }
    }
}
