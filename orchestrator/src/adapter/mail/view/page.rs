//! The pages behind links in mails: whole HTML documents in the look of the mails. No scripts, nothing from elsewhere, readable on
//! a phone. Showing one changes nothing; a form does.

use std::sync::LazyLock;

use base64::{Engine, engine::general_purpose::STANDARD};
use bus_schemas::v1::{
    api::{ApprovalView, DiffView, ProjectView},
    approval::ApprovalSubject,
};
use minijinja::{Value, context, value::Serde};
use serde::Serialize;
use sha2::{Digest, Sha256};

pub use super::edit::{Editing, MAX_PLAN};
use super::{
    Frame, draw,
    edit::Draft,
    news, patch, request,
    sheet::{Badge, Block, Button, Section, Sheet, Tone},
    text, without,
};
use crate::words::names::short;

/// What a page's headers say about it (`Content-Security-Policy`): nothing is loaded, only our own style counts, forms go to us.
#[must_use]
pub fn policy() -> &'static str {
    static POLICY: LazyLock<String> = LazyLock::new(|| {
        let digest = STANDARD.encode(Sha256::digest(draw::PAGE_STYLE.as_bytes()));
        format!(
            "default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
        )
    });
    &POLICY
}

/// A form of a page. Its fields are `verdict`, `note` and the hidden ones.
#[derive(Debug, Default, Serialize)]
struct Form {
    action: String,
    hidden: Vec<(String, String)>,
    /// What the field for words is called; empty for none.
    field: String,
    /// The value of `verdict`, the words on the key, its class.
    keys: Vec<(&'static str, &'static str, &'static str)>,
    note: String,
}

/// What the forms of a request's page begin with.
#[derive(Clone, Debug, Default)]
pub struct Forms<'a> {
    /// Where they are sent.
    pub action: &'a str,
    /// What was wrong with the last try.
    pub trouble: Option<&'a str>,
    /// Whether the plan is edited here.
    pub editing: Editing,
}

/// The page of a request that waits: what the mail shows, the difference, and a form. The form posts `verdict` (`approve`,
/// `changes`, `reject`, `ask`, `answer`), `note` and `digest`. Where a plan is edited, a second form posts `verdict` (`edit`), `plan`
/// and `digest`.
#[must_use]
pub fn request(
    approval: &ApprovalView,
    project: &ProjectView,
    diff: Option<&DiffView>,
    forms: &Forms<'_>,
    frame: &Frame,
) -> String {
    let (Some(approval), Some(project), Some(diff)) =
        (without(approval, &frame.secrets), without(project, &frame.secrets), without(&diff.cloned(), &frame.secrets))
    else {
        return message(
            "It cannot be shown",
            "Something in this request cannot be shown safely. Decide at the terminal.",
        );
    };
    if approval.decision.is_some() {
        return outcome(&approval, frame);
    }
    let mut sheet = request::shown(&approval, &project, None, frame);
    if let Some(why) = forms.trouble {
        sheet.lead.insert(0, Block::warning(text::line(why, 600)));
    }
    if let Some(diff) = diff.filter(|diff| !diff.text.trim().is_empty()) {
        sheet.sections.push(Section::new("The difference", "", vec![patch::drawn(&diff)]));
    }
    let draft = match &forms.editing {
        Editing::No => None,
        Editing::Elsewhere(why) => {
            let command = text::code(&format!("baton plan edit {}", short(&approval.project_id)), 60);
            let words = Block::words(format!("{} At the terminal: {command}", text::line(why, 300)));
            sheet.sections.push(Section::new("Edit the plan", "", vec![words]));
            None
        }
        Editing::Here { text, findings, is_tried } => {
            Some(Draft::form(forms.action, &approval.digest, text, findings, *is_tried))
        }
    };
    foot(&mut sheet, frame);
    sheet.foot.push(format!("At the terminal: {}", request::command(&approval)));
    let (keys, field): (&[_], _) = match approval.subject {
        ApprovalSubject::Question { .. } => {
            (&[("answer", "Answer", "yes"), ("reject", "Reject", "no")], "Your answer, or why not")
        }
        ApprovalSubject::Plan | ApprovalSubject::Handoff { .. } => (
            &[
                ("approve", "Approve", "yes"),
                ("changes", "Request changes", ""),
                ("reject", "Reject", "no"),
                ("ask", "Ask the agent", ""),
            ],
            "What to change, why not, or your question",
        ),
        ApprovalSubject::Patch { .. } | ApprovalSubject::Skill { .. } => (
            &[("approve", "Approve", "yes"), ("changes", "Request changes", ""), ("reject", "Reject", "no")],
            "What to change, or why not",
        ),
        ApprovalSubject::Budget { .. } => (&[("approve", "Add it", "yes"), ("reject", "Stop", "no")], "A note"),
        ApprovalSubject::Capability { .. } => (&[("approve", "Allow", "yes"), ("reject", "Refuse", "no")], "A note"),
        ApprovalSubject::Apply => (&[("approve", "Apply", "yes"), ("reject", "Reject", "no")], "A note"),
    };
    let form = Form {
        action: forms.action.to_owned(),
        hidden: vec![("digest".to_owned(), approval.digest)],
        field: field.to_owned(),
        keys: keys.to_vec(),
        note: "The link is for you alone and decides once.".to_owned(),
    };
    whole(&sheet, Some(&form), draft.as_ref())
}

/// The page after an edit: what is asked now. With a link (from this page), this person can decide it; without one, `why` says who
/// does.
#[must_use]
pub fn edited(approval: &ApprovalView, link: Option<&str>, why: &str, frame: &Frame) -> String {
    let digest: String = approval.digest.chars().take(12).collect();
    let mut sheet = Sheet {
        over: text::plain(&approval.project_title, 150),
        title: "The plan is edited".to_owned(),
        badge: Some(Badge { tone: Tone::Good, words: "Saved".to_owned() }),
        under: vec![format!("New digest {}", text::code(&digest, 20))],
        lead: vec![
            Block::words("What was asked about the plan before is void. The new plan is asked about now."),
            Block::words(text::line(why, 600)),
        ],
        button: link.map(|url| Button {
            words: "Look at the new plan and decide".to_owned(),
            url: url.to_owned(),
            note: "Opening the page decides nothing.".to_owned(),
        }),
        ..Sheet::default()
    };
    foot(&mut sheet, frame);
    whole(&sheet, None, None)
}

/// The page of an edit that was not taken since the request is closed: what came of it, and what was written.
#[must_use]
pub fn edited_late(approval: &ApprovalView, written: &str, frame: &Frame) -> String {
    let Some(approval) = without(approval, &frame.secrets) else {
        return unsaved("Nothing was changed", "This request is closed.", written);
    };
    let mut sheet = news::outcome(&approval, frame);
    sheet.lead.insert(0, Block::warning("Your edit came too late: nothing was changed."));
    foot(&mut sheet, frame);
    whole(&sheet, None, Some(&Draft::kept(written)))
}

/// The page of an edit that was not taken: why, and what was written.
#[must_use]
pub fn unsaved(title: &str, said: &str, written: &str) -> String {
    whole(&saying(title, said), None, Some(&Draft::kept(written)))
}

/// The same, where it can be sent once more as it is.
#[must_use]
pub fn unsaved_yet(title: &str, said: &str, action: &str, digest: &str, written: &str) -> String {
    whole(&saying(title, said), None, Some(&Draft::again(action, digest, written)))
}

/// The page of a request that is closed: who decided, when, how.
#[must_use]
pub fn outcome(approval: &ApprovalView, frame: &Frame) -> String {
    let Some(approval) = without(approval, &frame.secrets) else {
        return message("It is closed", "This request is closed. `baton` on the orchestrator's machine shows how.");
    };
    let mut sheet = news::outcome(&approval, frame);
    foot(&mut sheet, frame);
    whole(&sheet, None, None)
}

/// The page of a link that leads nowhere: of a wrong one and of one that is forgotten alike.
#[must_use]
pub fn gone() -> String {
    message("Nothing is here", "This link is not valid, or what it led to is no longer kept. Nothing was done.")
}

/// A page that says one thing.
#[must_use]
pub fn message(title: &str, said: &str) -> String {
    whole(&saying(title, said), None, None)
}

fn saying(title: &str, said: &str) -> Sheet {
    Sheet { title: text::plain(title, 150), lead: vec![Block::words(text::line(said, 600))], ..Sheet::default() }
}

/// The page on which somebody asks for no more news, and what it says once that is done. The form posts `verdict=quiet`.
#[must_use]
pub fn quiet(action: &str, is_done: bool, frame: &Frame) -> String {
    let (badge, said) = if is_done {
        let badge = Badge { tone: Tone::Good, words: "Done".to_owned() };
        (Some(badge), "You get no more news by mail. Requests that wait for your decision still come.")
    } else {
        (None, "You will get no more news by mail. Requests that wait for your decision still come.")
    };
    let mut sheet =
        Sheet { title: "No more news by mail".to_owned(), badge, lead: vec![Block::words(said)], ..Sheet::default() };
    foot(&mut sheet, frame);
    let form = Form { action: action.to_owned(), keys: vec![("quiet", "No more news", "yes")], ..Form::default() };
    whole(&sheet, (!is_done).then_some(&form), None)
}

fn foot(sheet: &mut Sheet, frame: &Frame) {
    let person = frame.person.strip_prefix("email:").unwrap_or(&frame.person);
    if !person.is_empty() {
        sheet.foot.push(format!("For {}.", text::plain(person, 120)));
    }
}

fn whole(sheet: &Sheet, form: Option<&Form>, draft: Option<&Draft>) -> String {
    let (sheet, form, draft) = (Value::from(Serde(sheet)), Value::from(Serde(form)), Value::from(Serde(draft)));
    draw::draw("page.html", context! { sheet, form, draft, style => Value::from_safe_string(draw::PAGE_STYLE.clone()) })
}
