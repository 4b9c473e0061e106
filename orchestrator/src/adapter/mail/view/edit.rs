//! Plans edited on pages: the form below a request, and the page that keeps what was written when it could not be saved.

use bus_schemas::v1::api::{Finding, Severity};
use serde::Serialize;

use super::{
    sheet::{Block, Item, Tone},
    text,
};

/// The longest plan that is edited on a page, in UTF-16 units, as forms count.
pub const MAX_PLAN: usize = 64 * 1024;
/// Findings that are shown.
const FINDINGS: usize = 30;

/// Whether the plan of a request is edited on its page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Editing {
    /// It is no plan, or not theirs to edit.
    #[default]
    No,
    /// They may, but not here: why.
    Elsewhere(String),
    /// Here.
    Here {
        /// The plan as text: as it is, or as it was written when it could not be saved.
        text: String,
        /// What is wrong with what was written.
        findings: Vec<Finding>,
        /// It was written: the form is open.
        is_tried: bool,
    },
}

/// A plan's text on a page, and what can be done with it.
#[derive(Debug, Default, Serialize)]
pub(super) struct Draft {
    pub(super) action: String,
    pub(super) digest: String,
    /// What stands above it.
    pub(super) title: &'static str,
    /// The words on the key that saves it; without one, it is only shown.
    pub(super) key: &'static str,
    pub(super) is_open: bool,
    pub(super) blocks: Vec<Block>,
    pub(super) text: String,
    pub(super) most: usize,
    /// Below it.
    pub(super) note: &'static str,
}

impl Draft {
    /// The form below a request.
    pub(super) fn form(action: &str, digest: &str, text: &str, findings: &[Finding], is_tried: bool) -> Self {
        let items = findings.iter().take(FINDINGS).map(item).collect();
        let blocks = if findings.is_empty() { Vec::new() } else { vec![Block::items(items, findings.len(), FINDINGS)] };
        Self {
            action: action.to_owned(),
            digest: digest.to_owned(),
            title: "Edit the plan",
            key: "Save as the new plan",
            is_open: is_tried,
            blocks,
            text: text.to_owned(),
            most: MAX_PLAN,
            note: "It is checked first. Then it takes the place of this plan: what is asked here becomes void, and the new plan \
                   is asked about. You may approve it, unless its policy keeps those who edit from approving.",
        }
    }

    /// What was written, to be sent once more.
    pub(super) fn again(action: &str, digest: &str, text: &str) -> Self {
        let note = "Nothing of it is kept but on this page.";
        Self {
            title: "What you wrote",
            key: "Try again",
            note,
            is_open: true,
            ..Self::form(action, digest, text, &[], true)
        }
    }

    /// What was written, to be copied.
    pub(super) fn kept(text: &str) -> Self {
        let note = "Nothing of it is kept but on this page: copy what you need.";
        let (title, text) = ("What you wrote", text.to_owned());
        Self { title, text, note, is_open: true, most: MAX_PLAN, ..Self::default() }
    }
}

/// A finding with its place and the way out.
fn item(finding: &Finding) -> Item {
    let (mark, tone) = match finding.severity {
        Severity::Error => ("✗", Tone::Bad),
        Severity::Warning => ("!", Tone::Odd),
    };
    let place = if finding.line == 0 { String::new() } else { format!("Line {}: ", finding.line) };
    let hint = finding.hint.as_deref().map(|hint| text::line(hint, 300)).unwrap_or_default();
    Item::marked(mark, tone, format!("{place}{}", text::line(&finding.message, 400)), hint)
}
