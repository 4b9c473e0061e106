//! What a record means for the audit log and for what is remembered: derived from the record and what it did, so that it
//! can be derived again.

use std::collections::{HashMap, HashSet};

use bus_schemas::{
    id::ApprovalId,
    json::Json,
    time::UnixMs,
    v1::{
        api::{RememberScope, Risk as WireRisk},
        skill::SkillReview,
    },
};
use serde_json::{Value, json};

use super::deeds;
use crate::{
    ledger::{Request, Risk},
    plan::{
        Command, Outcome, Plan,
        event::{Fact, PauseSpec, RememberScope as Scope, Verdict},
        request::{Approval, Remembered},
    },
    planfile::lower::split_key,
    policy::secret_subject,
    port::journal::{AuditRow, Change, Record, RememberedRow},
};

/// What the audit log needs to know beside the plan: which requests it has seen decided.
#[derive(Debug, Default)]
pub(super) struct Audited {
    decided: HashSet<ApprovalId>,
    /// The hosts and the secrets that agents asked for, as decisions about them are remembered.
    wanted: HashMap<ApprovalId, String>,
}

/// A record and what it did.
pub(super) struct Happened<'a> {
    pub(super) record: &'a Record,
    pub(super) plan: &'a Plan,
    pub(super) outcome: &'a Outcome,
    /// The project's folder.
    pub(super) folder: &'a str,
    /// The requests that it asked.
    pub(super) asked: &'a [ApprovalId],
    /// The skills of the plan in force.
    pub(super) skills: &'a [SkillReview],
}

/// Something about one request.
struct Said<'a> {
    kind: &'static str,
    actor: &'a str,
    channel: &'a str,
    detail: Value,
}

impl Audited {
    /// The entries of a record, and what of it is remembered, in order.
    pub(super) fn changes(&mut self, happened: &Happened<'_>) -> Vec<Change> {
        if let Fact::AttemptPaused { pause, approval_id, .. } = &happened.record.event.fact {
            let wanted = match pause {
                PauseSpec::Capability { host } => Some(host.clone()),
                PauseSpec::Secret { name, terms, .. } => Some(secret_subject(name, terms)),
                _ => None,
            };
            self.wanted.extend(wanted.map(|wanted| (*approval_id, wanted)));
        }
        let mut changes = deeds::entries(happened);
        for approval in happened.asked.iter().filter_map(|id| happened.plan.approval(*id)) {
            let request = &approval.request;
            let actor = format!("policy:{}", request.route.policy);
            let said = Said { kind: "request.asked", actor: &actor, channel: "policy", detail: asked(request) };
            changes.push(entry(happened, approval, said));
            let used = request.votes.iter().filter(|vote| vote.channel == "remembered");
            for (by, source) in used.filter_map(|vote| request.route.remembered.iter().find(|(by, _)| *by == vote.by)) {
                changes.push(Change::RememberedUsed {
                    approval_id: request.approval_id,
                    source: *source,
                    by: by.clone(),
                });
            }
        }
        changes.extend(self.said(happened));
        for approval in happened.outcome.approvals.iter().filter_map(|id| happened.plan.approval(*id)) {
            changes.extend(self.decided(happened, approval));
        }
        changes
    }

    /// What somebody, or time, did to a request.
    fn said(&self, happened: &Happened<'_>) -> Vec<Change> {
        let fact = &happened.record.event.fact;
        let Some(approval) = request_of(fact).and_then(|id| happened.plan.approval(id)) else { return Vec::new() };
        let request = &approval.request;
        let one =
            |kind, actor: &str, channel: &str, detail| entry(happened, approval, Said { kind, actor, channel, detail });
        match fact {
            // Where one person is enough, the decision says it all.
            Fact::ApprovalDecided { verdict: Verdict::Approved, by, channel, note, .. }
                if request.votes.len() > 1 || request.decision.is_none() =>
            {
                let vote = request.votes.last().filter(|vote| vote.by == *by);
                let counts_as = vote.map_or(by.as_str(), |vote| vote.counts_as.as_str());
                vec![one("vote.taken", by, channel, json!({ "note": note, "counts_as": counts_as }))]
            }
            Fact::ApprovalDelegated { by, to, channel, .. } => {
                vec![one("request.delegated", by, channel, json!({ "to": to }))]
            }
            Fact::ApprovalViewed { by, channel, .. } => vec![one("request.viewed", by, channel, json!({}))],
            Fact::ApprovalQuestioned { by, channel, question, .. } => {
                vec![one("request.questioned", by, channel, json!({ "question": question }))]
            }
            Fact::RememberedRevoked { approval_id, by, channel } => vec![
                one("decision.revoked", by, channel, json!({})),
                Change::RememberedRevoked { approval_id: *approval_id, by: by.clone() },
            ],
            Fact::ApprovalDue { .. } => due(happened, request)
                .into_iter()
                .map(|(kind, detail)| one(kind, "orchestrator", "policy", detail))
                .collect(),
            _ => Vec::new(),
        }
    }

    /// The decision, in the record that made it.
    fn decided(&mut self, happened: &Happened<'_>, approval: &Approval) -> Vec<Change> {
        let request = &approval.request;
        let Some(decision) = &request.decision else { return Vec::new() };
        if !self.decided.insert(request.approval_id) {
            return Vec::new();
        }
        let is_void = matches!(decision.channel.as_str(), "void" | "cancel");
        let votes: Vec<Value> = request
            .votes
            .iter()
            .map(|vote| json!({ "by": vote.by, "counts_as": vote.counts_as, "channel": vote.channel, "at": vote.at }))
            .collect();
        let detail = json!({
            "verdict": decision.verdict.word(),
            "policy": request.route.policy,
            "rule": decision.rule,
            "note": decision.note,
            "votes": votes,
            "remembered_from": sources(request),
        });
        let kind = if is_void { "request.voided" } else { "decision.made" };
        let said = Said { kind, actor: &decision.by, channel: &decision.channel, detail };
        let mut changes = vec![entry(happened, approval, said)];
        if let Some(remembered) = &approval.remembered {
            let scope = scope(remembered.spec.scope);
            let detail = json!({ "scope": scope, "until": remembered.spec.until });
            let said = Said { kind: "decision.remembered", actor: &remembered.by, channel: &decision.channel, detail };
            changes.push(entry(happened, approval, said));
            changes.push(Change::Remembered(Box::new(self.remembered_row(happened, approval, remembered, scope))));
        }
        changes
    }

    fn remembered_row(
        &self,
        happened: &Happened<'_>,
        approval: &Approval,
        remembered: &Remembered,
        scope: RememberScope,
    ) -> RememberedRow {
        let request = &approval.request;
        RememberedRow {
            approval_id: request.approval_id,
            project_id: happened.record.project_id,
            by: remembered.by.clone(),
            kind: request.asked.word().to_owned(),
            policy: request.route.policy.clone(),
            subject: self.subject(happened.plan, approval),
            folder: happened.folder.to_owned(),
            scope,
            risk: match request.route.risk {
                Risk::Low => WireRisk::Low,
                Risk::Medium => WireRisk::Medium,
                Risk::High => WireRisk::High,
            },
            since: happened.record.event.at,
            until: remembered.spec.until,
        }
    }

    /// The thing a decision is remembered for: the host, the secret, or the task, whichever of its children it is.
    fn subject(&self, plan: &Plan, approval: &Approval) -> String {
        if let Some(wanted) = self.wanted.get(&approval.request.approval_id) {
            return wanted.clone();
        }
        let task = approval.subject.attempt().and_then(|(task_id, _)| plan.task(task_id));
        task.map(|task| split_key(&task.spec.key).0.to_owned()).unwrap_or_default()
    }
}

/// The request that somebody, or time, did something to.
const fn request_of(fact: &Fact) -> Option<ApprovalId> {
    match fact {
        Fact::ApprovalDecided { approval_id, .. }
        | Fact::ApprovalDelegated { approval_id, .. }
        | Fact::ApprovalViewed { approval_id, .. }
        | Fact::ApprovalQuestioned { approval_id, .. }
        | Fact::ApprovalDue { approval_id }
        | Fact::RememberedRevoked { approval_id, .. } => Some(*approval_id),
        _ => None,
    }
}

/// How it is decided, as the policy said.
fn asked(request: &Request) -> Value {
    let route = &request.route;
    json!({
        "policy": route.policy,
        "rule": route.rule,
        "ruling": route.ruling,
        "expires_at": request.expires_at,
        "at_deadline": route.at_deadline,
        "excluded": route.excluded,
        "risk": route.risk,
        "risk_reasons": route.risk_reasons,
        "shadow": route.shadow,
        "problem": route.problem,
        "batch": route.batch,
    })
}

/// The requests whose remembered decisions counted.
fn sources(request: &Request) -> Vec<ApprovalId> {
    let used = request.votes.iter().filter(|vote| vote.channel == "remembered");
    used.filter_map(|vote| request.route.remembered.iter().find(|(by, _)| *by == vote.by))
        .map(|(_, source)| *source)
        .collect()
}

/// What happened to a request by itself, apart from a decision.
fn due(happened: &Happened<'_>, request: &Request) -> Vec<(&'static str, Value)> {
    let id = request.approval_id;
    let at = happened.record.event.at;
    let commands = &happened.outcome.commands;
    let is_widened = commands.contains(&Command::Widen { approval_id: id });
    let mut said = Vec::new();
    if request.escalated_at == Some(at) {
        said.push((
            "request.escalated",
            json!({ "expires_at": request.expires_at, "eligible": eligible(request, at) }),
        ));
    } else if is_widened {
        said.push(("request.widened", json!({ "eligible": eligible(request, at) })));
    }
    if commands.contains(&Command::Remind { approval_id: id }) {
        said.push(("request.reminded", json!({ "reminders": request.reminders })));
    }
    said
}

fn eligible(request: &Request, at: UnixMs) -> Vec<String> {
    request.eligible(at).map(|people| people.into_iter().collect()).unwrap_or_default()
}

fn entry(happened: &Happened<'_>, approval: &Approval, said: Said<'_>) -> Change {
    let request = &approval.request;
    Change::Audited(Box::new(AuditRow {
        seq: happened.record.seq,
        at: happened.record.event.at,
        kind: said.kind,
        project_id: happened.record.project_id,
        approval_id: request.approval_id,
        subject: request.asked.word().to_owned(),
        digest: request.digest.clone(),
        actor: said.actor.to_owned(),
        channel: said.channel.to_owned(),
        detail: plain(said.detail),
    }))
}

/// The same value in the wire's type.
pub(super) fn plain(value: Value) -> Json {
    serde_json::from_value(value).unwrap_or_default()
}

const fn scope(scope: Scope) -> RememberScope {
    match scope {
        Scope::Project => RememberScope::Project,
        Scope::Folder => RememberScope::Folder,
    }
}
