//! Modals and home tabs.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    THREE_SECONDS,
    check::Check,
    state::{APP, BOT_ID, Ephemeral, State, TEAM, View},
};

/// The most modals above each other.
const MAX_STACK: usize = 3;

impl State {
    /// Uses a trigger up; whose it is.
    pub(super) fn spend_trigger(&mut self, method: &str, args: &Value) -> Result<String, String> {
        let id = args["trigger_id"].as_str().unwrap_or_default().to_owned();
        let Some(trigger) = self.triggers.get_mut(&id) else { return Err("invalid_trigger_id".to_owned()) };
        if trigger.used {
            self.violation(format!("{method}: the trigger {id} was used before"));
            return Err("exchanged_trigger_id".to_owned());
        }
        trigger.used = true;
        let (user, age) = (trigger.user.clone(), trigger.at.elapsed());
        if age > THREE_SECONDS {
            self.violation(format!("{method}: the trigger {id} is {age:?} old, it lives 3 s"));
            return Err("expired_trigger_id".to_owned());
        }
        Ok(user)
    }

    /// A view as it is given; complaints are noted.
    fn given(&mut self, method: &str, args: &Value, home: bool) -> Result<Value, String> {
        let view = args["view"].clone();
        if !view.is_object() {
            self.violation(format!("{method}: view is no object"));
            return Err("invalid_arguments".to_owned());
        }
        let mut check = Check::default();
        check.view(&format!("{method} view"), &view, home);
        let is_wrong = !check.found.is_empty();
        self.violations.extend(check.found);
        if is_wrong { Err("invalid_arguments".to_owned()) } else { Ok(view) }
    }

    fn new_view(&mut self, user: &str, mut view: Value) -> View {
        name_blocks(&mut view);
        View { id: self.fresh("V"), hash: self.fresh("hash."), user: user.to_owned(), view, errors: BTreeMap::new() }
    }

    pub(super) fn open_view(&mut self, args: &Value, above: bool) -> Result<Value, String> {
        let method = if above { "views.push" } else { "views.open" };
        let user = self.spend_trigger(method, args)?;
        let view = self.given(method, args, false)?;
        if !above {
            self.views.retain(|v| v.user != user);
        } else if self.views.iter().filter(|v| v.user == user).count() >= MAX_STACK {
            self.violation("views.push: more than three modals above each other");
            return Err("push_limit_reached".to_owned());
        }
        let view = self.new_view(&user, view);
        self.views.push(view.clone());
        Ok(json!({ "view": view_object(&view, &json!({})) }))
    }

    pub(super) fn update_view(&mut self, args: &Value) -> Result<Value, String> {
        let view = self.given("views.update", args, false)?;
        let id = args["view_id"].as_str().unwrap_or_default();
        let external = args["external_id"].as_str();
        let hash = self.fresh("hash.");
        let open = self.views.iter_mut();
        let found =
            open.into_iter().find(|v| v.id == id || external.is_some() && v.view["external_id"].as_str() == external);
        let Some(open) = found else { return Err("not_found".to_owned()) };
        if args["hash"].as_str().is_some_and(|hash| hash != open.hash) {
            return Err("hash_conflict".to_owned());
        }
        open.view = view;
        name_blocks(&mut open.view);
        open.hash = hash;
        let open = open.clone();
        Ok(json!({ "view": view_object(&open, &json!({})) }))
    }

    pub(super) fn publish_view(&mut self, args: &Value) -> Result<Value, String> {
        let view = self.given("views.publish", args, true)?;
        let user = args["user_id"].as_str().unwrap_or_default().to_owned();
        if !self.users.contains_key(&user) {
            return Err("user_not_found".to_owned());
        }
        let old = self.homes.get(&user).map(|home| home.hash.clone());
        if args["hash"].as_str().is_some_and(|hash| Some(hash) != old.as_deref()) {
            return Err("hash_conflict".to_owned());
        }
        let view = self.new_view(&user, view);
        self.homes.insert(user, view.clone());
        Ok(json!({ "view": view_object(&view, &json!({})) }))
    }

    /// What the answer to a submission does with the modal.
    pub(super) fn after_submission(&mut self, id: &str, payload: &Value) {
        let Some(place) = self.views.iter().position(|v| v.id == id) else { return };
        let user = self.views[place].user.clone();
        match payload["response_action"].as_str() {
            None => {
                if payload.as_object().is_some_and(|o| !o.is_empty()) {
                    self.violation(format!("a submission is answered with {payload}"));
                }
                self.views.remove(place);
            }
            Some("clear") => self.views.retain(|v| v.user != user),
            Some("errors") => {
                let errors = payload["errors"].as_object().cloned().unwrap_or_default();
                let inputs = self.views[place].view["blocks"].as_array().cloned().unwrap_or_default();
                let known = |id: &str| inputs.iter().any(|b| b["type"] == "input" && b["block_id"] == id);
                if errors.is_empty() || !errors.keys().all(|id| known(id)) {
                    self.violation(format!("a submission's errors name no input block: {payload}"));
                }
                let texts = errors.into_iter().map(|(k, v)| (k, v.as_str().unwrap_or_default().to_owned()));
                self.views[place].errors = texts.collect();
            }
            Some(action @ ("update" | "push")) => {
                let Ok(view) = self.given("a submission's answer:", payload, false) else { return };
                let view = self.new_view(&user, view);
                if action == "update" {
                    self.views[place] = View { id: id.to_owned(), ..view };
                } else {
                    self.views.push(view);
                }
            }
            Some(other) => self.violation(format!("a submission is answered with response_action {other:?}")),
        }
    }

    /// What the answer to a command says.
    pub(super) fn after_command(&mut self, user: &str, channel: &str, payload: &Value) {
        if payload["text"].is_null() && payload["blocks"].is_null() {
            return;
        }
        let mut check = Check::default();
        check.message("a command's answer", payload);
        self.violations.extend(check.found);
        if payload["response_type"] == "in_channel" {
            return;
        }
        self.ephemerals.push(Ephemeral {
            channel: channel.to_owned(),
            user: user.to_owned(),
            thread_ts: None,
            text: payload["text"].as_str().unwrap_or_default().to_owned(),
            blocks: payload["blocks"].as_array().cloned().unwrap_or_default(),
        });
    }

    /// Every trigger is too old from now on.
    #[cfg(test)]
    pub(super) fn age_triggers(&mut self) {
        let old = std::time::Instant::now().checked_sub(THREE_SECONDS * 2);
        self.triggers.values_mut().for_each(|t| t.at = old.unwrap_or(t.at));
    }
}

/// Blocks without an id get one.
pub(super) fn name_blocks(holder: &mut Value) {
    for (number, block) in holder["blocks"].as_array_mut().into_iter().flatten().enumerate() {
        if block["block_id"].is_null() {
            block["block_id"] = format!("b{number}").into();
        }
    }
}

/// A view as events and answers carry it.
pub(super) fn view_object(view: &View, values: &Value) -> Value {
    let mut object = view.view.clone();
    let more = json!({
        "id": view.id, "team_id": TEAM, "hash": view.hash, "state": { "values": values }, "app_id": APP, "bot_id": BOT_ID,
        "root_view_id": view.id, "previous_view_id": null, "app_installed_team_id": TEAM,
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        object[key] = value.clone();
    }
    for (key, default) in [("private_metadata", json!("")), ("callback_id", json!("")), ("external_id", json!(""))] {
        if object[key].is_null() {
            object[key] = default;
        }
    }
    for key in ["clear_on_close", "notify_on_close"] {
        if object[key].is_null() {
            object[key] = false.into();
        }
    }
    object
}
