//! Who may do what: members, owners and everybody else; several requests with one breath.

use std::collections::BTreeMap;

use bus_schemas::v1::{
    api::{
        ApplyRequest, ApprovalView, BatchItem, BatchRequest, BudgetRequest, CancelRequest, DecisionRequest,
        DelegateRequest, EditPlanRequest, Problem, Remember, RememberScope, RevokeRequest, TellRequest, UndoRequest,
    },
    approval::{ApprovalSubject, Verdict},
    plan::Budget,
    project::ProjectState,
};
use harness::{hostsim::HostSim, nats::NatsServer, wait};
use orchestrator::{
    people::Member,
    policy::{Approvals, Rules},
    port::Service as _,
};

use super::rig::{PATIENCE, Rig};

/// Ann, whose account is another, and Bob.
fn team() -> Rules {
    let ann = Member { unix: Some("a.smith".to_owned()), ..Member::default() };
    let members = BTreeMap::from([("ann".to_owned(), ann), ("bob".to_owned(), Member::default())]);
    Rules::new(members, BTreeMap::new(), Approvals::default(), BTreeMap::new()).expect("rules")
}

/// Two tasks that people approve, one of which no check proves, and two that are alike.
const PLAN: &str = "
version: 1
title: several
approval: auto
tasks:
  - { id: each, foreach: { list: [a, b] }, run: 'true', checks: ['true'], approval: ask }
  - { id: other, run: 'true', checks: ['true'], approval: ask }
  - { id: unproven, run: 'true', approval: ask }
";

fn code<T: std::fmt::Debug>(answer: Result<T, Problem>) -> String {
    answer.expect_err("a problem").code
}

async fn waiting(rig: &Rig, count: usize) -> Vec<ApprovalView> {
    wait::until("the requests", PATIENCE, || async {
        let asked = rig.service().approvals(false).await.expect("the requests");
        (asked.len() == count).then_some(asked)
    })
    .await
}

#[tokio::test]
async fn where_there_are_members_nobody_else_changes_how_a_project_goes_but_its_owner() {
    let nats = NatsServer::start().await;
    let rig = Rig::under(&nats, team()).await;
    let service = rig.service();
    let text = "version: 1\ntitle: t\ntasks:\n  - { id: a, run: 'true', checks: ['true'] }\n";
    let project = rig.project(text).await;
    assert_eq!(project.owner, "cli:tester", "no member");
    let id = project.project_id.to_string();
    let (ann, cli) = (|| "a.smith".to_owned(), || "cli".to_owned());
    let budget = |by: &str| BudgetRequest {
        task: None,
        budget: Budget { tokens: Some(9), ..Budget::default() },
        by: by.to_owned(),
        channel: cli(),
    };
    let tell = |by: &str, channel: &str| TellRequest {
        task: Some("a".to_owned()),
        text: "mind the gap".to_owned(),
        by: by.to_owned(),
        channel: channel.to_owned(),
    };
    let edit = |by: &str| EditPlanRequest {
        plan: rig.new_project(text).plan,
        by: by.to_owned(),
        channel: cli(),
        digest: String::new(),
    };
    let cancel =
        |by: &str| CancelRequest { task: None, by: by.to_owned(), channel: cli(), reason: "enough".to_owned() };
    // An account of a member's name is not the member, who has another.
    for stranger in ["eve", "ann"] {
        assert_eq!(code(service.budget(&id, budget(stranger)).await), "no_member");
        assert_eq!(code(service.tell(&id, tell(stranger, "cli")).await), "no_member");
        assert_eq!(code(service.edit_plan(&id, edit(stranger)).await), "no_member");
        assert_eq!(code(service.cancel(&id, cancel(stranger)).await), "no_member");
        let undo = UndoRequest { by: stranger.to_owned(), channel: cli(), force: false };
        assert_eq!(code(service.undo(&id, undo).await), "no_member");
    }
    let refused = service.budget(&id, budget("eve")).await.expect_err("refused");
    assert!(refused.status == 403 && refused.hint.is_some_and(|hint| hint.contains("ann, bob")), "a way out");
    service.budget(&id, budget(&ann())).await.expect("a member may");
    assert_eq!(code(service.tell(&id, tell("U1", "slack")).await), "no_member");
    service.edit_plan(&id, edit("bob")).await.expect("a member may");
    let canceled = service.cancel(&id, cancel("tester")).await.expect("the owner may");
    assert_eq!(canceled.state, ProjectState::Canceled);
    let audit = service.audit(0, None).await.expect("the audit log");
    let said: Vec<String> = audit.iter().map(|e| format!("{} {} {}", e.kind, e.actor, e.channel)).collect();
    for wanted in ["budget.raised ann cli", "plan.edited bob cli", "project.canceled cli:tester cli"] {
        assert!(said.iter().any(|one| one == wanted), "{wanted}: {said:?}");
    }
    assert_eq!(service.verify_audit(None).await.expect("a report").findings, []);
}

#[tokio::test]
async fn where_there_are_members_nobody_else_applies_a_result_or_takes_a_decision_back() {
    let nats = NatsServer::start().await;
    let rig = Rig::under(&nats, team()).await;
    let _host = HostSim::start(&nats.bus().await, 1).await;
    let service = rig.service();
    let text =
        "version: 1\ntitle: t\napproval: auto\ntasks:\n  - { id: a, run: 'true', checks: ['true'], approval: ask }\n";
    let project = rig.project(text).await;
    let asked = waiting(&rig, 1).await.remove(0);
    let decided = DecisionRequest {
        verdict: Verdict::Approved,
        digest: asked.digest,
        by: "bob".to_owned(),
        channel: "cli".to_owned(),
        note: String::new(),
        remember: Some(Remember { scope: RememberScope::Folder, for_ms: 3_600_000 }),
    };
    let remembered = asked.approval_id.to_string();
    service.decide(&remembered, decided).await.expect("a member may");
    let id = rig.finished(&project).await.project_id.to_string();
    let apply = |by: &str, dry_run: bool| ApplyRequest { by: by.to_owned(), channel: "cli".to_owned(), dry_run };
    let revoke = |by: &str| RevokeRequest { by: by.to_owned(), channel: "cli".to_owned() };
    for stranger in ["eve", "ann"] {
        assert_eq!(code(service.apply(&id, apply(stranger, false)).await), "no_member");
        assert_eq!(code(service.revoke(&remembered, revoke(stranger)).await), "no_member");
        service.apply(&id, apply(stranger, true)).await.expect("to look at it is not to do it");
    }
    assert_eq!(service.project(&id).await.expect("the project").applied_at, None);
    assert_eq!(service.remembered().await.expect("one")[0].revoked_by, None);
    service.apply(&id, apply("a.smith", false)).await.expect("a member may");
    let taken_back = service.revoke(&remembered, revoke("tester")).await.expect("who started it may");
    assert_eq!(taken_back.revoked_by.as_deref(), Some("cli:tester"));
    let audit = service.audit(0, Some(&id)).await.expect("the audit log");
    let said: Vec<String> = audit.iter().map(|e| format!("{} {} {}", e.kind, e.actor, e.channel)).collect();
    assert!(said.iter().any(|one| one == "decision.revoked cli:tester cli"), "{said:?}");
    assert!(said.iter().all(|one| !one.contains("eve")), "{said:?}");
    assert_eq!(service.verify_audit(None).await.expect("a report").findings, []);
}

#[tokio::test]
async fn what_is_not_alike_is_not_approved_with_one_breath() {
    let nats = NatsServer::start().await;
    let rig = Rig::under(&nats, team()).await;
    let _host = HostSim::start(&nats.bus().await, 2).await;
    let project = rig.project(PLAN).await;
    let asked = waiting(&rig, 4).await;
    let of = |key: &str| {
        let is_of = |one: &&ApprovalView| one.task_key.as_deref().is_some_and(|own| own.starts_with(key));
        asked.iter().filter(is_of).cloned().collect::<Vec<_>>()
    };
    let (each, other, unproven) = (of("each"), of("other"), of("unproven"));
    assert!(asked.iter().all(|one| matches!(one.subject, ApprovalSubject::Handoff { .. })), "{asked:?}");
    let batch = |of: &[&ApprovalView], verdict: Verdict| BatchRequest {
        requests: of.iter().map(|one| BatchItem { approval_id: one.approval_id, digest: one.digest.clone() }).collect(),
        verdict,
        by: "bob".to_owned(),
        channel: "cli".to_owned(),
        note: "so".to_owned(),
    };
    let service = rig.service();
    for several in [[&each[0], &other[0]], [&unproven[0], &other[0]], [&each[0], &unproven[0]]] {
        let refused = service.decide_batch(batch(&several, Verdict::Approved)).await.expect_err("not alike");
        assert_eq!((refused.code.as_str(), refused.status), ("not_alike", 422));
    }
    assert_eq!(waiting(&rig, 4).await.len(), 4, "nothing of it is decided");
    // Alike, and one of them named twice.
    let outcomes = service
        .decide_batch(batch(&[&each[0], &each[1], &each[1]], Verdict::Approved))
        .await
        .expect("alike and low in risk");
    let problems: Vec<Option<&str>> =
        outcomes.iter().map(|one| one.problem.as_ref().map(|problem| problem.code.as_str())).collect();
    assert_eq!(problems.iter().filter(|problem| problem.is_none()).count(), 2, "{problems:?}");
    service.decide_batch(batch(&[&unproven[0]], Verdict::Approved)).await.expect("one is one");
    // Somebody hands their say on, and their program asks once more because it heard no answer.
    let hand = || DelegateRequest { to: "ann".to_owned(), by: "bob".to_owned(), channel: "cli".to_owned() };
    let id = other[0].approval_id.to_string();
    let first = service.delegate(&id, hand()).await.expect("handed on");
    let again = service.delegate(&id, hand()).await.expect("the same again is fine");
    assert_eq!(first.route.delegations, again.route.delegations);
    let mut request = batch(&[&other[0]], Verdict::Approved);
    request.by = "a.smith".to_owned();
    assert!(service.decide_batch(request).await.expect("decided")[0].problem.is_none());
    let view = rig.finished(&project).await;
    assert_eq!(view.state, ProjectState::Completed, "{view:?}");
    assert_eq!(service.verify_audit(None).await.expect("a report").findings, []);
}
