//! Requests to people over API and commands: who must agree, who did, who is who.

use std::time::Duration;

use bus_schemas::{
    time::UnixMs,
    v1::{
        api::{
            ApplyOffer, ApprovalView, AskRequest, AuditEntry, BatchItem, BatchRequest, Capability, CapabilityView,
            DecisionRequest, DelegateRequest, Remember, RememberScope, RevokeRequest, Risk, ViewedRequest,
        },
        approval::{ApprovalSubject, Verdict},
    },
};
use orchestrator::adapter::web::{ClientError, login};

use crate::{
    fake::{DIGEST, approval_id, changed, task_id, verdict_of},
    world::World,
};

const APPROVAL: &str = "0193abcd-4f99";

fn decision(by: &str, channel: &str) -> DecisionRequest {
    DecisionRequest {
        verdict: Verdict::Approved,
        digest: DIGEST.to_owned(),
        by: by.to_owned(),
        channel: channel.to_owned(),
        note: String::new(),
        remember: None,
    }
}

#[tokio::test]
async fn every_route_about_requests_answers_its_client() {
    let world = World::served().await;
    let client = world.client();
    let (by, channel) = ("ada".to_owned(), "cli".to_owned());
    client.viewed(APPROVAL, &ViewedRequest { by: by.clone(), channel: channel.clone() }).await.unwrap();
    assert_eq!(world.fake.state().views.len(), 1);
    let request = AskRequest { question: "why?".to_owned(), by: by.clone(), channel: channel.clone() };
    assert_eq!(client.ask_agent(APPROVAL, &request).await.unwrap().route.questions[0].question, "why?");
    let request = DelegateRequest { to: "bob".to_owned(), by: by.clone(), channel: channel.clone() };
    assert_eq!(client.delegate(APPROVAL, &request).await.unwrap().route.delegations[0].to, "bob");
    assert_eq!(client.remembered().await.unwrap()[0].used, 4);
    let request = RevokeRequest { by: by.clone(), channel: channel.clone() };
    assert_eq!(client.revoke(APPROVAL, &request).await.unwrap().revoked_by.as_deref(), Some("ada"));
    assert_eq!(client.fatigue().await.unwrap().prompts, 7);
    assert_eq!(client.audit(1, Some("0193abcd-4f21")).await.unwrap()[0].number, 2);
    assert_eq!(client.verify_audit(None).await.unwrap().findings.len(), 0);
    assert_eq!(client.verify_audit(Some("ff")).await.unwrap().findings.len(), 1);
    let item = |digest: &str| BatchItem { approval_id: approval_id(), digest: digest.to_owned() };
    let requests = vec![item("other"), item(DIGEST), item(DIGEST)];
    let request = BatchRequest { requests, verdict: Verdict::Approved, by, channel, note: String::new() };
    let outcomes = client.decide_batch(&request).await.unwrap();
    let codes: Vec<Option<&str>> =
        outcomes.iter().map(|one| one.problem.as_ref().map(|problem| problem.code.as_str())).collect();
    assert_eq!(codes, [Some("digest_mismatch"), None, Some("already_decided")]);
}

#[tokio::test]
async fn where_names_are_not_trusted_a_person_is_the_account_behind_the_socket() {
    let world = World::served().await;
    world.fake.state().needed = 3;
    world.fake.state().trusting = false;
    let client = world.client();
    client.decide(APPROVAL, &decision("eve", "cli")).await.unwrap();
    let own = login(rustix::process::getuid().as_raw());
    assert_eq!(world.fake.state().decided[0].by, own, "whoever they say they are");
    // A bridge's channel is not for clients: nobody votes as somebody of Slack.
    for channel in ["slack", "email", "policy", ""] {
        let refused = client.decide(APPROVAL, &decision("U1", channel)).await.unwrap_err();
        assert!(matches!(&refused, ClientError::Problem(problem) if problem.code == "bad_channel"), "{refused:?}");
    }
    world.fake.state().trusting = true;
    client.decide(APPROVAL, &decision("eve", "cli")).await.unwrap();
    assert_eq!(world.fake.state().decided[1].by, "eve");
    let ran = world.baton(&["approve", APPROVAL, "--as", "bob"]).await.expect(0);
    assert!(ran.out.contains("approved by"), "{ran:?}");
    assert_eq!(world.fake.state().decided[2].by, "bob");
}

#[tokio::test]
async fn the_card_says_who_must_agree_and_how_far_it_is() {
    let world = World::served().await;
    {
        let mut inner = world.fake.state();
        inner.needed = 2;
        let route = &mut inner.approval.route;
        route.rule = "big".to_owned();
        route.needs = "two of leads (ann, bob, eve)".to_owned();
        route.risk = Risk::High;
        route.risk_reasons = vec!["a check failed".to_owned(), "touches deploy/\u{1b}[31mx".to_owned()];
        route.excluded = vec!["carl".to_owned()];
        route.at_deadline = "escalate".to_owned();
        route.shadow = vec!["rule small: auto".to_owned()];
        route.problem = "no such group".to_owned();
        inner.approval.expires_at = Some(UnixMs(i64::MAX / 2));
    }
    let ran = world.baton(&["approve", APPROVAL, "--note", "fine"]).await.expect(0);
    for shown in [
        "by policy ask, rule big",
        "risk high: a check failed; touches deploy/\u{fffd}[31mx",
        "needs two of leads (ann, bob, eve)",
        "carl started or edited it and cannot approve it",
        "then others may decide, too",
        "rule small: auto",
        "therefore you are asked: no such group",
    ] {
        assert!(ran.err.contains(shown), "{shown}: {}", ran.err);
    }
    assert_eq!(ran.out, "your approval counts; it waits for two of leads (ann, bob, eve)\n");
    assert_eq!(world.fake.state().views.len(), 1, "who approves has seen it");
    let ran = world.baton(&["approvals"]).await.expect(0);
    assert!(ran.out.contains("waits for two of leads (ann, bob, eve) (ada agreed)"), "{}", ran.out);
    assert!(ran.out.contains("high"), "{}", ran.out);
    world.baton(&["ask", APPROVAL, "why that?"]).await.expect(0);
    world.baton(&["ask", APPROVAL, " "]).await.expect(2);
    world.baton(&["delegate", APPROVAL, "--to", "bob"]).await.expect(0);
    let ran = world.baton(&["approvals", APPROVAL]).await.expect(0);
    for shown in
        ["✓ ada over cli", ": fine", "ada asks: why that?", "because of \u{fffd}[31mthis", "bob decides for ada"]
    {
        assert!(ran.out.contains(shown), "{shown}: {}", ran.out);
    }
    assert_eq!(world.fake.state().views.len(), 2, "who shows it has seen it");
}

#[tokio::test]
async fn several_requests_are_shown_together_and_decided_one_by_one() {
    let world = World::served().await;
    world.fake.state().approval.route.batch = "project:handoff:careful:small:scan".to_owned();
    world.baton(&["approve", APPROVAL, "0193abcd-4f99-7000", "--digest", "5f1d0c0f"]).await.expect(2);
    world.baton(&["approve", "--batch", "another"]).await.expect(4);
    world.baton(&["approve"]).await.expect(2);
    let ran = world.baton(&["approve", "--batch", "project:handoff:careful:small:scan"]).await.expect(0);
    assert!(ran.err.contains("Handoff of scan"), "{ran:?}");
    assert_eq!(ran.out, "0193abcd-4f99  handoff of scan  approved\n");
    assert_eq!(verdict_of(&world.fake), Some(Verdict::Approved));
    let ran = world.baton(&["approve", APPROVAL, APPROVAL]).await.expect(5);
    assert!(ran.err.contains("was decided already"), "{ran:?}");
}

#[tokio::test]
async fn a_decision_is_remembered_for_a_while_and_taken_back() {
    let world = World::served().await;
    world.baton(&["approve", APPROVAL, "--remember", "soon"]).await.expect(2);
    world.baton(&["approve", APPROVAL, "--scope", "folder"]).await.expect(2);
    assert_eq!(verdict_of(&world.fake), None);
    world.baton(&["approve", APPROVAL, "--remember", "8h", "--scope", "folder"]).await.expect(0);
    let for_ms = u64::try_from(Duration::from_secs(8 * 3600).as_millis()).unwrap();
    let wanted = Some(Remember { scope: RememberScope::Folder, for_ms });
    assert_eq!(world.fake.state().decided[0].remember, wanted);
    let ran = world.baton(&["remembered"]).await.expect(0);
    assert!(ran.out.contains("handoff scan") && ran.out.contains("ann") && ran.out.contains("/f"), "{}", ran.out);
    world.baton(&["remembered", "revoke", APPROVAL]).await.expect(0);
    assert!(world.baton(&["remembered"]).await.expect(0).out.contains("revoked by ada"));
}

#[tokio::test]
async fn what_is_asked_for_and_what_comes_into_the_folder_is_shown() {
    let world = World::served().await;
    {
        let mut inner = world.fake.state();
        inner.approval.handoff = None;
        inner.approval.subject = ApprovalSubject::Capability { task_id: task_id(), attempt: 1 };
        inner.approval.capability = Some(CapabilityView {
            capability: Capability::Host { host: "example.org:443".to_owned() },
            secret: None,
            reason: "the \u{1b}[2Jlicences are there".to_owned(),
            effect: None,
        });
    }
    let ran = world.baton(&["approvals", APPROVAL]).await.expect(0);
    assert!(ran.out.contains("example.org:443") && ran.out.contains("the \u{fffd}[2Jlicences"), "{}", ran.out);
    {
        let mut inner = world.fake.state();
        inner.approval.capability = None;
        inner.approval.subject = ApprovalSubject::Apply;
        inner.approval.apply = Some(ApplyOffer {
            folder: "/home/ann/f".to_owned(),
            base_commit: "a".repeat(40),
            result_commit: "b".repeat(40),
            changed_paths: vec![changed("report.md")],
            lines_added: 12,
            lines_removed: 3,
        });
    }
    let ran = world.baton(&["approvals", APPROVAL]).await.expect(0);
    assert!(ran.out.contains("1 changed path in /home/ann/f  +12 −3 lines"), "{}", ran.out);
}

#[tokio::test]
async fn how_often_people_are_asked_is_shown() {
    let world = World::served().await;
    let ran = world.baton(&["approvals", "--stats"]).await.expect(0);
    assert!(ran.out.contains("7 times") && ran.out.contains("98.5 %"), "{}", ran.out);
}

#[tokio::test]
async fn the_audit_log_is_printed_checked_and_exported() {
    let world = World::served().await;
    let ran = world.baton(&["audit"]).await.expect(0);
    assert!(ran.out.contains("request.asked") && ran.out.contains("decision.made"), "over several pages: {}", ran.out);
    assert!(!ran.out.contains('\u{1b}'), "{ran:?}");
    let ran = world.baton(&["audit", "--json", "--project", "0193abcd-4f21"]).await.expect(0);
    let numbers: Vec<u64> =
        ran.out.lines().map(|line| serde_json::from_str::<AuditEntry>(line).unwrap().number).collect();
    assert_eq!(numbers, [1, 2, 3]);
    let ran = world.baton(&["audit", "verify"]).await.expect(0);
    let head = format!("head {:064}", 3);
    for shown in ["3 entries, whole", "starts at journal record 9", head.as_str()] {
        assert!(ran.out.contains(shown), "{shown}: {}", ran.out);
    }
    world.baton(&["audit", "verify", "--head", &format!("{:064}", 2)]).await.expect(0);
    world.baton(&["audit", "verify", "--head", &"f".repeat(64)]).await.expect(1);
    world.fake.state().tampered = true;
    let ran = world.baton(&["audit", "verify"]).await.expect(1);
    assert!(ran.out.contains("entry 2: it was changed"), "{}", ran.out);
    let file = world.path("log.jsonl");
    world.baton(&["audit", "export", file.to_str().unwrap()]).await.expect(0);
    let written = std::fs::read_to_string(&file).unwrap();
    let last: AuditEntry = serde_json::from_str(written.lines().last().unwrap()).unwrap();
    assert_eq!((written.lines().count(), last.number), (3, 3));
    // An export that cannot be made takes an earlier one away as little as a half one takes its place.
    let mut world = world;
    world.stop().await;
    world.baton(&["audit", "export", file.to_str().unwrap()]).await.expect(6);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), written);
    let beside = std::fs::read_dir(file.parent().unwrap()).unwrap().filter_map(Result::ok);
    let drafts: Vec<_> = beside.filter(|entry| entry.file_name().to_string_lossy().starts_with(".tmp")).collect();
    assert!(drafts.is_empty(), "{drafts:?}");
}

#[tokio::test]
async fn after_an_edit_it_is_said_who_approves() {
    let world = World::served().await;
    let file = world.path("plan.yaml");
    std::fs::write(&file, "version: 1\ntitle: t\ntasks: [{ id: a, run: x }]").unwrap();
    {
        let mut inner = world.fake.state();
        inner.approval.subject = ApprovalSubject::Plan;
        inner.approval.handoff = None;
        inner.approval.plan = Some(serde_json::from_str(r#"{"version":1,"title":"t","tasks":[]}"#).unwrap());
    }
    let edit = ["plan", "edit", "0193abcd-4f21", "--file", file.to_str().unwrap()];
    let ran = world.baton(&edit).await.expect(0);
    assert!(ran.err.contains(&format!("baton approve {APPROVAL}")), "{ran:?}");
    {
        let route = &mut world.fake.state().approval.route;
        route.excluded = vec!["ada".to_owned()];
        route.needs = "one of leads (ann, bob)".to_owned();
    }
    let ran = world.baton(&edit).await.expect(0);
    assert!(ran.err.contains("the policy wants others to approve it: one of leads (ann, bob)"), "{ran:?}");
    let shown = world.baton(&["approvals", APPROVAL, "--json"]).await.expect(0);
    assert!(serde_json::from_str::<ApprovalView>(&shown.out).unwrap().decision.is_none());
}
