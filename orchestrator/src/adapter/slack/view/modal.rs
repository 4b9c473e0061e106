//! Modals: what people write down in Slack.

use bus_schemas::{
    id::ApprovalId,
    v1::api::{ApprovalView, Capability, Risk},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    blocks::{beside, context, input, option, plain, section, text_field},
    callback, form, limits, subject,
    text::{code, line, list, plain as safe, quote, raw},
    value,
};
use crate::words::{draft::Draft, names};

/// A note, a reason, a question, an answer: as long as an input may be.
const NOTE: usize = limits::INPUT;
/// A folder's path.
const FOLDER: usize = 1_000;
/// A preset's or policy's name: it is an option's value.
const NAME: usize = 75;

/// What a modal about a request keeps with it: which, the digest that was shown, and where its card is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Which request.
    pub approval_id: ApprovalId,
    /// The digest of what was shown.
    pub digest: String,
    /// The card's channel.
    pub channel: String,
    /// The card's time stamp, which names it there.
    pub ts: String,
}

impl About {
    /// The request on the card at a place.
    #[must_use]
    pub fn of(approval: &ApprovalView, channel: &str, ts: &str) -> Self {
        Self {
            approval_id: approval.approval_id,
            digest: approval.digest.clone(),
            channel: channel.to_owned(),
            ts: ts.to_owned(),
        }
    }
}

/// What the modal of a new project keeps with it: where it was opened from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Origin {
    /// The channel the project belongs to.
    pub channel: String,
    /// The thread, if it was opened from a message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread_ts: Option<String>,
    /// The key under which the message was kept whose files become inputs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// A preset or policy that can be chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Its name in `baton.toml`.
    pub name: String,
    /// What it is for.
    pub description: String,
}

/// What the modal of a new project begins with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prefill {
    /// The goal, as in the message it was opened from.
    pub goal: String,
    /// The preset.
    pub preset: Option<String>,
    /// The folder.
    pub folder: String,
    /// Dollars.
    pub budget: String,
    /// The policy.
    pub policy: Option<String>,
    /// Files of the message that become inputs.
    pub files: usize,
}

/// Start a project. Policies are those of `baton.toml`; `ask` and `auto` are always there.
#[must_use]
pub fn goal_modal(presets: &[Choice], policies: &[Choice], prefill: &Prefill, origin: &Origin) -> Value {
    let goal =
        text_field(form::GOAL, true, &prefill.goal, "What is to be achieved, and how you will know that it is", NOTE);
    let mut blocks = vec![input(
        form::GOAL,
        "Goal",
        &goal,
        "An agent works out a plan; you approve it before anything starts.",
        false,
    )];
    if prefill.files > 0 {
        let files = super::figures::count(prefill.files, "file");
        blocks.extend(context(&[format!("📎 {files} of the message will be in the tasks' folder `inputs/`.")]));
    }
    if !presets.is_empty() {
        let picked = select(form::PRESET, presets, prefill.preset.as_deref(), "A folder with a plan or a budget");
        blocks.push(input(form::PRESET, "Preset", &picked, "", true));
    }
    let folder = text_field(form::FOLDER, false, &prefill.folder, "/srv/projects/website", FOLDER);
    let hint =
        "An absolute path on the orchestrator's machine. Without a preset and a folder, it begins with an empty one.";
    blocks.push(input(form::FOLDER, "Folder", &folder, hint, true));
    let budget = text_field(form::BUDGET, false, &prefill.budget, "2.50", 20);
    blocks.push(input(form::BUDGET, "Budget in US dollars", &budget, "The most the models may cost.", true));
    let mut all = vec![
        Choice { name: "ask".to_owned(), description: "somebody approves the plan".to_owned() },
        Choice { name: "auto".to_owned(), description: "the plan starts by itself".to_owned() },
    ];
    all.extend(policies.iter().filter(|policy| !matches!(policy.name.as_str(), "ask" | "auto")).cloned());
    let policy = select(form::POLICY, &all, prefill.policy.as_deref(), "ask");
    blocks.push(input(form::POLICY, "Who approves the plan", &policy, "", true));
    modal(callback::GOAL, "Start a project", "Start", &value(origin), &blocks)
}

/// Request changes.
#[must_use]
pub fn changes_modal(approval: &ApprovalView, about: &About) -> Value {
    let words = "The note reaches the next attempt.";
    note(approval, about, callback::CHANGES, "Request changes", "Send back", "What is to be done differently?", words)
}

/// The longest plan that is edited in Slack, as it counts.
pub const PLAN: usize = limits::INPUT;

/// Edit the plan: its text, or why it is edited elsewhere and where.
#[must_use]
pub fn edit_modal(approval: &ApprovalView, draft: &Draft, about: &About) -> Value {
    let why = match draft {
        // What a field does not show as it is would come back changed.
        Draft::Text(text) if raw(text, PLAN) == text.trim_end() => {
            let field = text_field(form::PLAN, true, text, "", PLAN);
            let hint = "It is checked first. Then it takes the place of this plan: what is asked here becomes void, and the new \
                        plan is asked about. You may approve it, unless its policy keeps those who edit from approving.";
            let blocks = [section(&what(approval)), input(form::PLAN, "The plan as YAML", &field, hint, false)];
            return modal(callback::EDIT, "Edit the plan", "Save", &value(about), &blocks);
        }
        Draft::Text(_) => Draft::Withheld.why_not(),
        other => other.why_not(),
    };
    let command = code(&format!("baton plan edit {}", approval.project_id), 80);
    let words = format!(
        "{} {command} on the orchestrator's machine edits it; so does the page behind the link in a mail about it, if you get any.",
        why.unwrap_or_default()
    );
    notice_modal("Edit the plan", &words)
}

/// Reject.
#[must_use]
pub fn reject_modal(approval: &ApprovalView, about: &About) -> Value {
    let words = "The reason is recorded, and shown to whoever reads it later.";
    note(approval, about, callback::REJECT, "Reject", "Reject", "Why not?", words)
}

/// Ask the agent.
#[must_use]
pub fn ask_modal(approval: &ApprovalView, about: &About) -> Value {
    let words = "The agent's answer comes to the thread. It decides nothing: the request waits on.";
    note(approval, about, callback::ASK, "Ask the agent", "Ask", "Your question", words)
}

/// Answer the agent's question.
#[must_use]
pub fn answer_modal(approval: &ApprovalView, about: &About) -> Value {
    let words = "The answer goes to the agent. It allows nothing else.";
    note(approval, about, callback::ANSWER, "Answer", "Answer", "Your answer", words)
}

/// Hand one's say to somebody else.
#[must_use]
pub fn delegate_modal(approval: &ApprovalView, about: &About) -> Value {
    let who = json!({"type": "users_select", "action_id": form::PERSON, "placeholder": plain("A person")});
    let hint = "They decide in your place; you cannot any more. They must be a member in baton.toml.";
    let blocks = [section(&what(approval)), input(form::PERSON, "To whom?", &who, hint, false)];
    modal(callback::DELEGATE, "Hand over", "Hand over", &value(about), &blocks)
}

/// A modal that only says something.
fn notice_modal(title: &str, words: &str) -> Value {
    let mut view = modal("baton.notice", title, "", "", &[section(&line(words, limits::SECTION))]);
    if let Some(fields) = view.as_object_mut() {
        fields.remove("submit");
    }
    view
}

fn note(
    approval: &ApprovalView,
    about: &About,
    callback_id: &str,
    title: &str,
    submit: &str,
    label: &str,
    hint: &str,
) -> Value {
    let field = text_field(form::NOTE, true, "", "", NOTE);
    let blocks = [section(&what(approval)), input(form::NOTE, label, &field, hint, false)];
    modal(callback_id, title, submit, &value(about), &blocks)
}

/// What it is about, in a few lines, so that nobody writes to the wrong request.
fn what(approval: &ApprovalView) -> String {
    let mut lines = vec![format!(
        "*{}* of *{}*",
        line(&super::capitalised(&subject(approval)), 200),
        line(&approval.project_title, 200)
    )];
    if let Some(question) = &approval.question {
        lines.push(quote(&question.question, 1_200));
    } else if let Some(handoff) = &approval.handoff {
        lines.push(quote(&handoff.summary, 400));
    } else if let Some(wanted) = &approval.capability {
        lines.push(match &wanted.capability {
            Capability::Host { host } => format!("to reach {}", code(host, 200)),
            Capability::Effect { name, .. } => format!("the effect {}", code(name, 200)),
            Capability::Secret { name } => format!("to use the secret {}", code(name, 200)),
        });
    }
    if approval.route.risk != Risk::Low {
        lines.push(format!("risk: {}", names::risk(approval.route.risk)));
    }
    list(&lines, lines.len(), 2_900)
}

fn select(action_id: &str, choices: &[Choice], chosen: Option<&str>, placeholder: &str) -> Value {
    let make = |choice: &Choice| {
        let mut made = option(&safe(&choice.name, limits::LABEL), &choice.name);
        if !choice.description.trim().is_empty()
            && let Some(fields) = made.as_object_mut()
        {
            fields.insert("description".to_owned(), plain(&safe(&choice.description, limits::LABEL)));
        }
        made
    };
    // A longer name could not come back as an option's value.
    let sound: Vec<&Choice> = choices
        .iter()
        .filter(|choice| !choice.name.is_empty() && choice.name.len() <= NAME)
        .take(limits::OPTIONS)
        .collect();
    let options: Vec<Value> = sound.iter().map(|choice| make(choice)).collect();
    let mut select = json!({
        "type": "static_select",
        "action_id": action_id,
        "placeholder": plain(placeholder),
        "options": options,
    });
    if let Some(initial) = sound.iter().find(|choice| Some(choice.name.as_str()) == chosen)
        && let Some(fields) = select.as_object_mut()
    {
        fields.insert("initial_option".to_owned(), make(initial));
    }
    select
}

fn modal(callback_id: &str, title: &str, submit: &str, metadata: &str, blocks: &[Value]) -> Value {
    json!({
        "type": "modal",
        "callback_id": callback_id,
        "title": plain(&safe(title, limits::TITLE)),
        "submit": plain(&safe(submit, limits::TITLE)),
        "close": plain("Cancel"),
        "private_metadata": metadata,
        "blocks": blocks,
    })
}

/// A paragraph with a button that starts a project.
pub(super) fn start(words: &str) -> Value {
    let button = super::blocks::button("Start a project", super::action::START, "start", super::blocks::Look::Primary);
    beside(words, &button)
}
