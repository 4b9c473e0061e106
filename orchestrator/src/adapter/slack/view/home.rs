//! The home tab: what waits for me, my projects, how to start.

use std::collections::BTreeMap;

use bus_schemas::{
    id::ApprovalId,
    v1::api::{ApprovalView, ProjectView},
};
use serde_json::{Value, json};

use super::{
    Pressed, action,
    blocks::{Look, beside, button, context, divider, header, section},
    figures::count,
    limits, modal, sign, status, subject,
    text::{ago, code, date, line},
    value,
};
pub use crate::port::waiting::is_for;
use crate::words::names;

/// Requests shown.
pub const REQUESTS: usize = 20;
/// Projects shown.
const PROJECTS: usize = 20;
/// A title.
const TITLE: usize = 150;

/// Whose tab, and what is in it.
#[derive(Clone, Copy, Debug)]
pub struct Home<'a> {
    /// The person, as the ledger knows them: a member's name.
    pub me: &'a str,
    /// The first requests that wait for them, of all projects.
    pub approvals: &'a [ApprovalView],
    /// How many wait for them.
    pub waiting: usize,
    /// Projects, newest first.
    pub projects: &'a [ProjectView],
    /// The addresses of cards in Slack, where they are known.
    pub links: &'a BTreeMap<ApprovalId, String>,
}

/// The home tab of one person.
#[must_use]
pub fn home(shown: &Home<'_>) -> Value {
    let mine: Vec<&ApprovalView> = shown.approvals.iter().filter(|approval| is_for(approval, shown.me)).collect();
    let mut blocks = vec![header("What waits for you")];
    if mine.is_empty() {
        blocks.push(section("✅ Nothing waits for your decision."));
    }
    blocks.extend(mine.iter().take(REQUESTS).map(|approval| request(approval, shown.links)));
    blocks.extend(more(shown.waiting, mine.len().min(REQUESTS), "baton approvals"));
    blocks.push(divider());
    blocks.push(header("Your projects"));
    let own: Vec<&ProjectView> = shown.projects.iter().filter(|project| project.owner == shown.me).collect();
    if own.is_empty() {
        blocks.push(section("You have started none yet."));
    }
    blocks.extend(own.iter().take(PROJECTS).map(|one| section(&project(one))));
    blocks.extend(more(own.len(), PROJECTS, "baton ps"));
    blocks.push(divider());
    blocks.push(modal::start(
        "*Start one*: mention me with what is to be achieved, write to me directly, type `/baton`, or choose *Delegate this* at a \
         message. The thread is the project: files in the message become inputs, cards and status come there.",
    ));
    blocks.extend(context(&[format!("You are {} here.", code(shown.me, 80))]));
    json!({"type": "home", "blocks": blocks})
}

/// The home tab of somebody for whom there is nothing: why, and the way out, in markup of ours.
#[must_use]
pub fn closed(words: &str) -> Value {
    json!({"type": "home", "blocks": [header("Baton"), section(words)]})
}

fn request(approval: &ApprovalView, links: &BTreeMap<ApprovalId, String>) -> Value {
    let mut words = format!(
        "{} *{}* of {}\n{} risk · asked {}",
        sign(&approval.subject),
        line(&super::capitalised(&subject(approval)), TITLE),
        line(&approval.project_title, TITLE),
        names::risk(approval.route.risk),
        ago(approval.asked_at)
    );
    if let Some(at) = approval.expires_at {
        words.push_str(&format!(" · until {}", date(at)));
    }
    let link =
        links.get(&approval.approval_id).filter(|link| link.starts_with("https://") && link.len() <= limits::URL);
    let button = match link {
        Some(link) => {
            let mut button = button("Go to the card", action::LINK, "link", Look::Plain);
            if let Some(fields) = button.as_object_mut() {
                fields.insert("url".to_owned(), link.as_str().into());
            }
            button
        }
        None => button("Open", action::OPEN, &value(&Pressed::on(approval)), Look::Plain),
    };
    beside(&words, &button)
}

fn project(project: &ProjectView) -> String {
    let (done, all) = names::progress(project);
    let waits = match project.pending_approvals.len() {
        0 => String::new(),
        many => format!(" · ✋ {}", count(many, "decision")),
    };
    format!(
        "{} *{}* — {}{waits}\n{} {done} of {}",
        status::mark(project.state),
        line(&project.title, TITLE),
        names::state(project.state),
        status::bar(done, all),
        count(all as usize, "task")
    )
}

fn more(all: usize, shown: usize, command: &str) -> Option<Value> {
    if all <= shown {
        return None;
    }
    context(&[format!("… and {} more; at the terminal, `{command}` shows all.", all - shown)])
}
