//! What comes back from a modal: read, checked, and answered with what is wrong beside the field it is in.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// The fields: each is its input's `block_id` and its element's `action_id`.
pub const GOAL: &str = "goal";
/// See [`GOAL`].
pub const PRESET: &str = "preset";
/// See [`GOAL`].
pub const FOLDER: &str = "folder";
/// See [`GOAL`].
pub const BUDGET: &str = "budget";
/// See [`GOAL`].
pub const POLICY: &str = "policy";
/// See [`GOAL`].
pub const NOTE: &str = "note";
/// See [`GOAL`].
pub const PLAN: &str = "plan";
/// See [`GOAL`].
pub const PERSON: &str = "person";

/// A submission's values: by `block_id`, then by `action_id`.
pub type Values = BTreeMap<String, BTreeMap<String, Value>>;

/// What is wrong with a submission: a sentence per field. Shown in the modal, which stays open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wrong(pub BTreeMap<String, String>);

impl Wrong {
    /// One field is wrong.
    #[must_use]
    pub fn field(name: &str, why: &str) -> Self {
        Self(BTreeMap::from([(name.to_owned(), why.to_owned())]))
    }

    /// As Slack wants it in answer to the submission.
    #[must_use]
    pub fn response(&self) -> Value {
        json!({"response_action": "errors", "errors": self.0})
    }
}

/// A new project, as it was asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Goal {
    /// What is to be achieved.
    pub goal: String,
    /// The preset, by name.
    pub preset: Option<String>,
    /// The folder.
    pub folder: Option<String>,
    /// Dollars.
    pub usd: Option<f64>,
    /// The policy, by name.
    pub policy: Option<String>,
}

/// Reads the modal of a new project.
///
/// # Errors
/// What is wrong, field by field.
pub fn goal(values: &Values) -> Result<Goal, Wrong> {
    let mut wrong = BTreeMap::new();
    let mut say = |field: &str, why: &str| {
        wrong.insert(field.to_owned(), why.to_owned());
    };
    let goal = text(values, GOAL).unwrap_or_default();
    if goal.is_empty() {
        say(GOAL, "Say what is to be achieved.");
    }
    let folder = text(values, FOLDER);
    if let Some(folder) = &folder {
        if !folder.starts_with('/') {
            say(FOLDER, "Write an absolute path on the orchestrator's machine, such as /srv/projects/website.");
        } else if folder.chars().any(char::is_control) || folder.split('/').any(|part| part == "..") {
            say(FOLDER, "Write the path without .. and without line breaks.");
        }
    }
    let usd = text(values, BUDGET).and_then(|text| {
        let number = text.trim_start_matches('$').trim().replace(',', ".").parse::<f64>().ok();
        let sound = number.filter(|number| number.is_finite() && *number > 0.0 && *number <= 100_000.0);
        if sound.is_none() {
            say(BUDGET, "Write dollars as a number above 0, such as 2.50.");
        }
        sound
    });
    let (preset, policy) = (picked(values, PRESET), picked(values, POLICY));
    if preset.is_some() && folder.is_some() {
        say(FOLDER, "Choose a preset or write a folder, not both.");
    }
    if wrong.is_empty() { Ok(Goal { goal, preset, folder, usd, policy }) } else { Err(Wrong(wrong)) }
}

/// Reads the one text of a modal about a request: a note, a reason, a question, an answer.
///
/// # Errors
/// It is empty.
pub fn note(values: &Values) -> Result<String, Wrong> {
    text(values, NOTE).ok_or_else(|| Wrong::field(NOTE, "Write at least a word: it is recorded and read later."))
}

/// Reads the plan somebody wrote, every blank as it was, with a line break at its end.
///
/// # Errors
/// There is none.
pub fn plan(values: &Values) -> Result<String, Wrong> {
    let written = element(values, PLAN).and_then(|element| element.get("value")).and_then(Value::as_str);
    let written = written.filter(|text| !text.trim().is_empty());
    let whole = written.map(|text| format!("{}\n", text.replace("\r\n", "\n").trim_end_matches('\n')));
    whole.ok_or_else(|| Wrong::field(PLAN, "There is no plan. Cancel leaves it as it is."))
}

/// Reads the person somebody hands their say to: their Slack id.
///
/// # Errors
/// Nobody is chosen.
pub fn person(values: &Values) -> Result<String, Wrong> {
    let chosen = element(values, PERSON).and_then(|element| element.get("selected_user")).and_then(Value::as_str);
    chosen.map(str::to_owned).ok_or_else(|| Wrong::field(PERSON, "Choose somebody."))
}

fn element<'a>(values: &'a Values, name: &str) -> Option<&'a Value> {
    values.get(name)?.get(name)
}

/// A text, trimmed; nothing if it is empty. Some clients send no entry at all for an empty field.
fn text(values: &Values, name: &str) -> Option<String> {
    let text = element(values, name)?.get("value")?.as_str()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

fn picked(values: &Values, name: &str) -> Option<String> {
    Some(element(values, name)?.pointer("/selected_option/value")?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(fields: &[(&str, Value)]) -> Values {
        fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), BTreeMap::from([((*name).to_owned(), value.clone())])))
            .collect()
    }

    #[test]
    fn a_goal_is_read_as_it_was_written() {
        let form = values(&[
            (GOAL, json!({"type": "plain_text_input", "value": "  Make it fast\n"})),
            (FOLDER, json!({"type": "plain_text_input", "value": "/srv/x"})),
            (BUDGET, json!({"type": "plain_text_input", "value": "$2,50"})),
            (POLICY, json!({"type": "static_select", "selected_option": {"value": "leads"}})),
            (PRESET, json!({"type": "static_select", "selected_option": null})),
        ]);
        let read = goal(&form).unwrap();
        assert_eq!((read.goal.as_str(), read.folder.as_deref(), read.usd), ("Make it fast", Some("/srv/x"), Some(2.5)));
        assert_eq!((read.policy.as_deref(), read.preset), (Some("leads"), None));
    }

    #[test]
    fn what_is_wrong_is_said_beside_its_field() {
        let bad = values(&[
            (GOAL, json!({"value": " "})),
            (FOLDER, json!({"value": "relative/x"})),
            (BUDGET, json!({"value": "-1"})),
        ]);
        let wrong = goal(&bad).unwrap_err();
        assert_eq!(wrong.0.keys().collect::<Vec<_>>(), [BUDGET, FOLDER, GOAL]);
        assert_eq!(wrong.response()["response_action"], "errors");
        assert!(goal(&values(&[(GOAL, json!({"value": "x"})), (FOLDER, json!({"value": "/a/../b"}))])).is_err());
        assert!(goal(&values(&[(GOAL, json!({"value": "x"})), (BUDGET, json!({"value": "NaN"}))])).is_err());
        let both = [
            (GOAL, json!({"value": "x"})),
            (FOLDER, json!({"value": "/a"})),
            (PRESET, json!({"selected_option": {"value": "web"}})),
        ];
        assert!(goal(&values(&both)).is_err());
        assert!(plan(&values(&[(PLAN, json!({"value": " \n"}))])).is_err() && plan(&Values::new()).is_err());
        let indented = values(&[(PLAN, json!({"value": "  a: 1\r\n  b: 2\n"}))]);
        assert_eq!(plan(&indented).unwrap(), "  a: 1\n  b: 2\n");
        assert!(note(&values(&[(NOTE, json!({"value": null}))])).is_err() && note(&Values::new()).is_err());
        assert_eq!(note(&values(&[(NOTE, json!({"value": "no "}))])).unwrap(), "no");
        assert_eq!(person(&values(&[(PERSON, json!({"selected_user": "U1"}))])).unwrap(), "U1");
    }
}
