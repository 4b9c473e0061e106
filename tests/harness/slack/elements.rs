//! Slack's documented limits of what can be clicked, chosen and typed into.

use std::collections::BTreeSet;

use serde_json::Value;

use super::check::Check;

/// Where an element stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Section,
    Actions,
    Input,
}

/// The fields any element may have.
const COMMON: [&str; 5] = ["type", "action_id", "confirm", "focus_on_load", "placeholder"];

/// Checks one element.
pub(super) fn element(check: &mut Check, at: &str, element: &Value, place: Place) {
    let kind = element["type"].as_str().unwrap_or_default();
    let fields = |check: &mut Check, more: &[&str]| {
        let known: Vec<&str> = COMMON.iter().chain(more).copied().collect();
        check.fields(at, element, &known);
    };
    if kind == "image" && place == Place::Section {
        return check.length(&format!("{at}.alt_text"), &element["alt_text"], 1, 2_000);
    }
    if element["action_id"].is_null() {
        check.wrong(at, "it has no action_id: its events could not be told from others");
    } else {
        check.length(&format!("{at}.action_id"), &element["action_id"], 1, 255);
    }
    if !element["placeholder"].is_null() {
        check.text(&format!("{at}.placeholder"), &element["placeholder"], true, 150);
    }
    if !element["confirm"].is_null() {
        confirm(check, &format!("{at}.confirm"), &element["confirm"]);
    }
    match kind {
        "button" if place != Place::Input => {
            fields(check, &["text", "url", "value", "style", "accessibility_label"]);
            check.text(&format!("{at}.text"), &element["text"], true, 75);
            check.optional(&format!("{at}.value"), &element["value"], 2_000);
            check.optional(&format!("{at}.url"), &element["url"], 3_000);
            check.optional(&format!("{at}.accessibility_label"), &element["accessibility_label"], 75);
            if !matches!(element["style"].as_str(), None | Some("primary" | "danger")) {
                check.wrong(at, format!("style {} is none", element["style"]));
            }
        }
        "overflow" if place != Place::Input => {
            fields(check, &["options"]);
            options(check, at, &element["options"], 1, 5);
        }
        "static_select" | "multi_static_select" => {
            fields(check, &["options", "option_groups", "initial_option", "initial_options", "max_selected_items"]);
            match &element["option_groups"] {
                Value::Null => options(check, at, &element["options"], 1, 100),
                groups => {
                    for group in check.list(&format!("{at}.option_groups"), groups, 1, 100) {
                        check.text(&format!("{at}.option_groups.label"), &group["label"], true, 75);
                        options(check, at, &group["options"], 1, 100);
                    }
                }
            }
            initial(check, at, element);
        }
        "radio_buttons" | "checkboxes" => {
            fields(check, &["options", "initial_option", "initial_options"]);
            options(check, at, &element["options"], 1, 10);
            initial(check, at, element);
        }
        "users_select" | "conversations_select" | "channels_select" | "multi_users_select" => {
            fields(
                check,
                &[
                    "initial_user",
                    "initial_users",
                    "initial_conversation",
                    "initial_channel",
                    "filter",
                    "response_url_enabled",
                    "default_to_current_conversation",
                    "max_selected_items",
                ],
            );
        }
        "plain_text_input" if place == Place::Input => {
            fields(check, &["initial_value", "multiline", "min_length", "max_length", "dispatch_action_config"]);
            check.optional(&format!("{at}.initial_value"), &element["initial_value"], 3_000);
            let max = element["max_length"].as_u64();
            if max.is_some_and(|max| max > 3_000) {
                check.wrong(at, "max_length is at most 3000");
            }
            let value = element["initial_value"].as_str().map_or(0, |text| text.chars().count());
            if max.is_some_and(|max| u64::try_from(value).is_ok_and(|value| value > max)) {
                check.wrong(at, "initial_value is longer than max_length");
            }
        }
        "number_input" if place == Place::Input => {
            fields(check, &["initial_value", "is_decimal_allowed", "min_value", "max_value", "dispatch_action_config"]);
            if !element["is_decimal_allowed"].is_boolean() {
                check.wrong(at, "is_decimal_allowed is required");
            }
        }
        "email_text_input" | "url_text_input" if place == Place::Input => {
            fields(check, &["initial_value", "dispatch_action_config"]);
        }
        "datepicker" | "timepicker" | "datetimepicker" => {
            fields(check, &["initial_date", "initial_time", "initial_date_time", "timezone"]);
        }
        "file_input" if place == Place::Input => fields(check, &["filetypes", "max_files"]),
        other => check.wrong(at, format!("no element of type {other:?} is allowed here")),
    }
}

fn confirm(check: &mut Check, at: &str, confirm: &Value) {
    check.text(&format!("{at}.title"), &confirm["title"], true, 100);
    check.text(&format!("{at}.text"), &confirm["text"], false, 300);
    check.text(&format!("{at}.confirm"), &confirm["confirm"], true, 30);
    check.text(&format!("{at}.deny"), &confirm["deny"], true, 30);
}

fn options(check: &mut Check, at: &str, options: &Value, min: usize, max: usize) {
    let mut values = BTreeSet::new();
    for option in check.list(&format!("{at}.options"), options, min, max) {
        check.fields(&format!("{at}.options"), option, &["text", "value", "description", "url"]);
        check.text(&format!("{at}.options.text"), &option["text"], false, 75);
        check.length(&format!("{at}.options.value"), &option["value"], 1, 150);
        if !option["description"].is_null() {
            check.text(&format!("{at}.options.description"), &option["description"], false, 75);
        }
        if !values.insert(option["value"].as_str().unwrap_or_default()) {
            check.wrong(at, format!("the value {} is there twice", option["value"]));
        }
    }
}

/// What is chosen at first must be one of the options, word for word.
fn initial(check: &mut Check, at: &str, element: &Value) {
    let groups = element["option_groups"].as_array().into_iter().flatten();
    let grouped = groups.flat_map(|group| group["options"].as_array().into_iter().flatten());
    let all: Vec<&Value> = element["options"].as_array().into_iter().flatten().chain(grouped).collect();
    let several = element["initial_options"].as_array().into_iter().flatten();
    let one = [&element["initial_option"]];
    for chosen in several.chain(one).filter(|option| !option.is_null()) {
        if !all.contains(&chosen) {
            check.wrong(at, format!("the initial {chosen} is none of the options"));
        }
    }
}
