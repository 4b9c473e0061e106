//! Everything people see in Slack, as pure functions from the API's views to Block Kit JSON: no Slack client, no clock, no
//! input or output. The same view always looks the same, so a message is updated only if it would change.
//!
//! What agents and files say goes through [`text`], always; what we build stays within [`limits`].

pub mod batch;
pub mod blocks;
pub mod card;
pub mod decided;
pub mod form;
pub mod home;
pub mod limits;
pub mod modal;
mod part;
pub mod status;
pub mod summary;
pub mod text;

use bus_schemas::{
    id::{ApprovalId, ProjectId},
    v1::{
        api::{ApprovalView, Remember, RememberScope},
        approval::ApprovalSubject,
    },
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

pub use batch::batch_card;
pub use card::card;
pub use decided::{decided_card, void_card};
pub use home::home;
pub use status::status;
pub use summary::summary;

use crate::words::{
    card::Room,
    names::{capitalised, short},
};
pub use crate::words::{figures, names::subject, secrets};

/// What is pressed: the `action_id`s.
pub mod action {
    /// Approve; the value is a [`super::Pressed`].
    pub const APPROVE: &str = "baton.approve";
    /// Request changes: opens [`super::modal::changes_modal`].
    pub const CHANGES: &str = "baton.changes";
    /// Edit the plan: opens [`super::modal::edit_modal`].
    pub const EDIT: &str = "baton.edit";
    /// Reject: opens [`super::modal::reject_modal`].
    pub const REJECT: &str = "baton.reject";
    /// Ask the agent: opens [`super::modal::ask_modal`].
    pub const ASK: &str = "baton.ask";
    /// Answer a question: opens [`super::modal::answer_modal`]. With `.0`, `.1` … behind it: one of the suggested answers,
    /// which [`super::Pressed::option`] names; its text is in the request, not in the click.
    pub const ANSWER: &str = "baton.answer";
    /// Show all of it: the difference, the plan, the skill.
    pub const OPEN: &str = "baton.open";
    /// Put a finished project's result into its folder; the value is a [`super::OfProject`].
    pub const APPLY: &str = "baton.apply";
    /// Approve all requests of a batch; the value is a [`super::OfBatch`].
    pub const BATCH_APPROVE: &str = "baton.batch.approve";
    /// Show the requests of a batch one by one; the value is a [`super::OfBatch`].
    pub const BATCH_SHOW: &str = "baton.batch.show";
    /// Hand one's say to somebody else: opens [`super::modal::delegate_modal`].
    pub const DELEGATE: &str = "baton.delegate";
    /// Approve and remember; the chosen option's value is a [`super::Pressed`] with `remember`.
    pub const REMEMBER: &str = "baton.remember";
    /// A link; Slack reports the click, nothing is to be done.
    pub const LINK: &str = "baton.link";
    /// Start a project: opens [`super::modal::goal_modal`].
    pub const START: &str = "baton.start";
}

/// What is submitted: the `callback_id`s of modals and shortcuts.
pub mod callback {
    /// A new project; also the shortcut "Delegate this".
    pub const GOAL: &str = "baton.goal";
    /// Request changes.
    pub const CHANGES: &str = "baton.changes";
    /// Edit the plan.
    pub const EDIT: &str = "baton.edit";
    /// Reject.
    pub const REJECT: &str = "baton.reject";
    /// Ask the agent.
    pub const ASK: &str = "baton.ask";
    /// Answer a question.
    pub const ANSWER: &str = "baton.answer";
    /// Hand one's say to somebody else.
    pub const DELEGATE: &str = "baton.delegate";
}

/// One message: what a notification says, and what is seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Card {
    /// For notifications and programs that show no blocks.
    pub text: String,
    /// The message.
    pub blocks: Vec<Value>,
}

impl Card {
    /// Says what of it Slack would refuse.
    ///
    /// # Errors
    /// One sentence: where, what, the limit.
    pub fn check(&self) -> Result<(), String> {
        limits::check(&self.text, &self.blocks)
    }
}

/// How cards are drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardSettings {
    /// Changed paths that are named.
    pub paths: usize,
    /// Lines of a failed check's output that are shown.
    pub output_lines: usize,
    /// Questions can be put to the agent.
    pub ask: bool,
    /// People can hand their say to others.
    pub delegate: bool,
    /// The most of a file that is shown, in bytes; where that is too little to say anything, nothing is.
    pub excerpt: usize,
    /// What approving a budget adds, in the resource's unit, if that is known.
    pub adds: Option<u64>,
}

impl Default for CardSettings {
    fn default() -> Self {
        Self { paths: 10, output_lines: 5, ask: true, delegate: true, excerpt: usize::MAX, adds: None }
    }
}

impl CardSettings {
    /// How much a card has room for.
    fn room(&self) -> Room {
        Room {
            quote: 1_500,
            plan: 2_600,
            patched: 1_600,
            output: 500,
            output_lines: self.output_lines,
            paths: self.paths,
            skill_lines: 20,
            excerpt: self.excerpt,
            talks: 3,
            said: 350,
        }
    }
}

/// What a button about a request carries: which, and the digest of what its card shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pressed {
    /// Which request.
    #[serde(rename = "a")]
    pub approval_id: ApprovalId,
    /// The digest of what was shown.
    #[serde(rename = "d")]
    pub digest: String,
    /// Which of the suggested answers, from 0.
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    pub option: Option<usize>,
    /// For what and for how long the decision is remembered: `p8h`, `f7d`.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub remember: Option<String>,
}

impl Pressed {
    /// About the request as it is shown.
    #[must_use]
    pub fn on(approval: &ApprovalView) -> Self {
        Self { approval_id: approval.approval_id, digest: approval.digest.clone(), option: None, remember: None }
    }

    /// How it is remembered, if that was chosen.
    #[must_use]
    pub fn remembered(&self) -> Option<Remember> {
        const HOUR_MS: u64 = 3_600_000;
        let (scope, for_ms) = match self.remember.as_deref()? {
            "p8h" => (RememberScope::Project, 8 * HOUR_MS),
            "p7d" => (RememberScope::Project, 7 * 24 * HOUR_MS),
            "f8h" => (RememberScope::Folder, 8 * HOUR_MS),
            "f7d" => (RememberScope::Folder, 7 * 24 * HOUR_MS),
            _ => return None,
        };
        Some(Remember { scope, for_ms })
    }
}

/// What a button about a project carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfProject {
    /// Which project.
    #[serde(rename = "p")]
    pub project_id: ProjectId,
    /// The commit that holds the result that was shown.
    #[serde(rename = "c", default, skip_serializing_if = "String::is_empty")]
    pub commit: String,
}

/// What a button about a batch carries: the requests themselves are in the bridge's store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfBatch {
    /// [`batch::name`] of the batch's key.
    #[serde(rename = "b")]
    pub batch: String,
    /// [`batch::digest`] of the requests and digests that were shown.
    #[serde(rename = "d")]
    pub digest: String,
}

/// What a button carries, as text.
#[must_use]
pub fn value(carried: &impl Serialize) -> String {
    // Plain structures of strings and numbers: this cannot fail, and an empty value is refused when it comes back.
    serde_json::to_string(carried).unwrap_or_default()
}

/// What came back with a click.
///
/// # Errors
/// It is not what one of our buttons carries.
pub fn read<T: DeserializeOwned>(value: &str) -> Result<T, serde_json::Error> {
    serde_json::from_str(value)
}

/// A sign for the kind of request.
#[must_use]
pub const fn sign(subject: &ApprovalSubject) -> &'static str {
    match subject {
        ApprovalSubject::Plan => "🗺️",
        ApprovalSubject::Handoff { .. } => "📦",
        ApprovalSubject::Question { .. } => "❓",
        ApprovalSubject::Budget { .. } => "💰",
        ApprovalSubject::Patch { .. } => "✏️",
        ApprovalSubject::Skill { .. } => "🧩",
        ApprovalSubject::Capability { .. } => "🔑",
        ApprovalSubject::Apply => "📂",
    }
}

#[cfg(test)]
mod extreme_tests;
#[cfg(test)]
pub(super) use crate::words::samples;
#[cfg(test)]
mod tests;
