//! Several requests that are alike and low in risk, on one card: read once, decided one by one by the ledger.

use std::fmt::Write as _;

use bus_schemas::v1::{
    api::{ApprovalView, Capability, Risk},
    approval::ApprovalSubject,
};
use sha2::{Digest as _, Sha256};

use super::{
    Card, OfBatch, action,
    blocks::{Look, actions, button, confirmed, context, header, section},
    card::foot,
    figures::{count, usd},
    sign,
    text::{ago, code, line, list, plain},
    value,
};
use crate::words::card::route;

/// Requests named on the card.
const NAMED: usize = 25;
/// Longest batch key that is a name as it is.
const KEY: usize = 200;

/// Whether requests may stand on one card: at least two, of the same batch, all undecided and low in risk.
#[must_use]
pub fn can_batch(approvals: &[ApprovalView]) -> bool {
    let Some(first) = approvals.first() else { return false };
    let key = &first.route.batch;
    approvals.len() > 1
        && !key.is_empty()
        && approvals.iter().all(|approval| {
            approval.route.batch == *key
                && approval.project_id == first.project_id
                && approval.route.risk == Risk::Low
                && approval.decision.is_none()
        })
}

/// What a batch is called in its buttons: its key, or the SHA-256 of a long one.
#[must_use]
pub fn name(key: &str) -> String {
    if key.len() <= KEY { key.to_owned() } else { hex(&Sha256::digest(key.as_bytes())) }
}

/// SHA-256 over the ids and digests of the requests, in order: a click on a card that has changed since names another.
#[must_use]
pub fn digest(approvals: &[ApprovalView]) -> String {
    let mut hasher = Sha256::new();
    for approval in approvals {
        hasher.update(format!("{} {}\n", approval.approval_id, approval.digest));
    }
    hex(&hasher.finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing into a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The card of several requests that wait. Call it for what [`can_batch`].
#[must_use]
pub fn batch_card(approvals: &[ApprovalView]) -> Card {
    let many = approvals.len();
    let first = approvals.first();
    let title = first.map(|approval| approval.project_title.as_str()).unwrap_or_default();
    let lines: Vec<String> = approvals.iter().take(NAMED).map(entry).collect();
    let carried = OfBatch {
        batch: first.map(|approval| name(&approval.route.batch)).unwrap_or_default(),
        digest: digest(approvals),
    };
    let carried = value(&carried);
    let all = button(&format!("Approve all {many}"), action::BATCH_APPROVE, &carried, Look::Primary);
    let asked = format!("Each of the {many} is approved and recorded for itself.");
    let mut blocks = vec![header(&format!(
        "{} {} that are alike",
        first.map_or("📦", |approval| sign(&approval.subject)),
        them(first, many)
    ))];
    blocks.extend(context(&[
        format!("*{}*", line(title, 150)),
        first.map(|approval| format!("policy {}", code(&approval.policy, 80))).unwrap_or_default(),
        "🟢 low risk, all of them".to_owned(),
    ]));
    blocks.push(section(&list(&lines, many, 2_900)));
    if let Some(first) = first {
        // The one that ends first speaks for all.
        let soonest = approvals.iter().filter(|one| one.expires_at.is_some()).min_by_key(|one| one.expires_at);
        blocks.push(section(&foot(&first.route, soonest.and_then(route::deadline))));
    }
    blocks.push(actions(&[
        confirmed(all, "Approve all of them?", &asked, "Approve all"),
        button("Show one by one", action::BATCH_SHOW, &carried, Look::Plain),
    ]));
    Card { text: plain(&format!("{title}: {} that are alike wait for a decision", them(first, many)), 300), blocks }
}

/// `3 handoffs`: what they ask for.
fn them(first: Option<&ApprovalView>, many: usize) -> String {
    match first.map(|approval| &approval.subject) {
        Some(ApprovalSubject::Handoff { .. }) => count(many, "handoff"),
        Some(ApprovalSubject::Capability { .. }) => format!("{} for access", count(many, "request")),
        _ => count(many, "request"),
    }
}

/// One request in one line.
fn entry(approval: &ApprovalView) -> String {
    let key = approval.task_key.as_deref().unwrap_or("a task");
    let mut facts = Vec::new();
    if let Some(handoff) = &approval.handoff {
        let passed = handoff.evidence.iter().filter(|check| check.passed).count();
        facts.push(match handoff.evidence.len() {
            0 => "⚠️ no check".to_owned(),
            all if passed == all => format!("✅ {}", count(all, "check")),
            all => format!("❌ {passed} of {}", count(all, "check")),
        });
        facts.push(count(handoff.changed_paths.len(), "file"));
        facts.push(format!("+{} −{} lines", handoff.lines_added, handoff.lines_removed));
        if handoff.usage.spend.calls > 0 {
            facts.push(usd(handoff.usage.spend.usd_nanos));
        }
    }
    if let Some(wanted) = &approval.capability {
        facts.push(match &wanted.capability {
            Capability::Host { host } => format!("reach {}", code(host, 120)),
            Capability::Effect { name, .. } => format!("effect {}", code(name, 120)),
            Capability::Secret { name } => format!("use the secret {}", code(name, 120)),
        });
    }
    facts.push(ago(approval.asked_at));
    format!("• {} — {}", code(key, 80), facts.join(", "))
}
