//! A project from its plan to its result, decisions, refusals.

use bus_schemas::v1::{
    api::{CancelRequest, DecisionRequest},
    approval::Verdict,
    project::ProjectState,
    task::{FailureReason, TaskState},
};
use harness::{hostsim::HostSim, nats::NatsServer, wait};
use orchestrator::port::Service as _;

use super::rig::{PATIENCE, Rig, assert_sound, chain};

#[tokio::test]
async fn a_plan_is_worked_off_and_its_projections_can_be_rebuilt() {
    let nats = NatsServer::start().await;
    let rig = Rig::new(&nats).await;
    let _host = HostSim::start(&nats.bus().await, 4).await;
    let project = rig.project(&chain(5)).await;
    let view = rig.finished(&project).await;
    assert_sound(&rig, &view).await;
    assert_eq!(view.result_commit.as_deref(), Some(view.base_commit.as_str()));
    assert!(view.tasks.iter().all(|task| task.attempt == 1 && task.handoff.is_some() && task.host_id.is_some()));
    let outbox = wait::until("the outbox to be empty", PATIENCE, || async {
        let health = rig.service().health().await.expect("health");
        (health.outbox == 0).then_some(health)
    })
    .await;
    assert_eq!((outbox.dead_letters, outbox.open_projects, outbox.hosts, outbox.slots), (0, 0, 1, 4));
    assert!(outbox.bus_connected);
}

#[tokio::test]
async fn fan_out_over_a_list_and_conditions_are_expanded() {
    let nats = NatsServer::start().await;
    let rig = Rig::new(&nats).await;
    let _host = HostSim::start(&nats.bus().await, 4).await;
    let plan = "
version: 1
title: fan
approval: auto
tasks:
  - { id: scan, run: 'true', checks: ['true'] }
  - { id: each, needs: [scan], foreach: { list: [a, b, c] }, run: 'echo', checks: ['true'] }
  - { id: never, needs: [scan], when: 'needs.scan.state == \"failed\"', run: 'true', checks: ['true'] }
  - { id: join, needs: [each, never], run: 'true', checks: ['true'] }
";
    let project = rig.project(plan).await;
    let view = rig.finished(&project).await;
    assert_eq!(view.state, ProjectState::Completed, "{view:?}");
    let states: Vec<(&str, TaskState)> = view.tasks.iter().map(|task| (task.key.as_str(), task.state)).collect();
    assert_eq!(
        states,
        [
            ("scan", TaskState::Completed),
            ("each", TaskState::Completed),
            ("never", TaskState::Skipped),
            ("join", TaskState::Completed),
            ("each[0]", TaskState::Completed),
            ("each[1]", TaskState::Completed),
            ("each[2]", TaskState::Completed),
        ]
    );
    assert_eq!(rig.service().rebuild().await.expect("a rebuild").differences, 0);
}

#[tokio::test]
async fn people_decide_once_and_only_about_what_they_saw() {
    let nats = NatsServer::start().await;
    let rig = Rig::new(&nats).await;
    let _host = HostSim::start(&nats.bus().await, 2).await;
    let plan = "
version: 1
title: asks
tasks:
  - { id: one, run: 'true', checks: ['true'], approval: ask }
";
    let service = rig.service();
    let project = rig.project(plan).await;
    assert_eq!(project.state, ProjectState::AwaitingApproval);
    let [asked] = service.approvals(false).await.expect("approvals").try_into().expect("one request");
    let asked = service.approval(&asked.approval_id.to_string()).await.expect("the request");
    assert!(asked.plan.is_some());
    let decide = |digest: &str, verdict, note: &str| DecisionRequest {
        verdict,
        digest: digest.to_owned(),
        by: "ann".to_owned(),
        channel: "cli".to_owned(),
        note: note.to_owned(),
        remember: None,
    };
    let id = asked.approval_id.to_string();
    let wrong = service.decide(&id, decide("0000", Verdict::Approved, "")).await.expect_err("another digest");
    assert_eq!(wrong.code, "digest_mismatch");
    service.decide(&id, decide(&asked.digest, Verdict::Approved, "")).await.expect("approve the plan");
    let twice = service.decide(&id, decide(&asked.digest, Verdict::Rejected, "no")).await.expect_err("decided");
    assert_eq!(twice.code, "already_decided");

    let handoff = wait::until("the handoff to be asked about", PATIENCE, || async {
        service.approvals(false).await.expect("approvals").pop()
    })
    .await;
    let handoff = service.approval(&handoff.approval_id.to_string()).await.expect("the request");
    assert!(handoff.handoff.is_some() && handoff.task_key.as_deref() == Some("one"));
    let id = handoff.approval_id.to_string();
    let silent = service.decide(&id, decide(&handoff.digest, Verdict::ChangesRequested, "")).await;
    assert_eq!(silent.expect_err("a note is needed").code, "note_required");
    service.decide(&id, decide(&handoff.digest, Verdict::ChangesRequested, "shorter")).await.expect("changes");
    let second = wait::until("the second handoff", PATIENCE, || async {
        service.approvals(false).await.expect("approvals").pop()
    })
    .await;
    service
        .decide(&second.approval_id.to_string(), decide(&second.digest, Verdict::Approved, ""))
        .await
        .expect("approve");
    let view = rig.finished(&project).await;
    assert_eq!((view.state, view.tasks[0].attempt), (ProjectState::Completed, 2));
    assert_eq!(service.rebuild().await.expect("a rebuild").differences, 0);
}

#[tokio::test]
async fn what_cannot_be_run_is_refused_with_a_reason_and_leaves_nothing() {
    let nats = NatsServer::start().await;
    let rig = Rig::new(&nats).await;
    let service = rig.service();
    let cycle = "version: 1\ntitle: c\ntasks:\n  - { id: a, needs: [b], run: x }\n  - { id: b, needs: [a], run: x }\n";
    let refused = service.create_project(rig.new_project(cycle)).await.expect_err("a cycle");
    assert_eq!(refused.code, "plan_invalid");
    assert!(refused.findings.iter().any(|finding| finding.code == "cycle"), "{refused:?}");
    let agent = "version: 1\ntitle: c\ntasks:\n  - { id: a, agent: { instructions: think, harness: other } }\n";
    let refused = service.create_project(rig.new_project(agent)).await.expect_err("an agent");
    assert!(refused.findings.iter().any(|finding| finding.code == "unknown_harness"), "{refused:?}");
    let mut nowhere = rig.new_project(&chain(1));
    nowhere.folder = rig.folder().join("missing").display().to_string();
    assert_eq!(service.create_project(nowhere).await.expect_err("no folder").code, "folder_missing");
    assert_eq!(service.projects().await.expect("projects"), []);
    assert_eq!(service.project("0193").await.expect_err("no project").code, "not_found");
    assert_eq!(service.project("x").await.expect_err("no id").code, "bad_id");

    let project = rig.project(&chain(2)).await;
    let prefix = project.project_id.to_string()[..30].to_owned();
    let cancel = |task: Option<&str>| CancelRequest {
        task: task.map(str::to_owned),
        by: "ann".to_owned(),
        channel: "cli".to_owned(),
        reason: "enough".to_owned(),
    };
    let canceled = service.cancel(&prefix, cancel(None)).await.expect("cancel");
    assert_eq!(canceled.state, ProjectState::Canceled);
    assert_eq!(service.cancel(&prefix, cancel(Some("t0"))).await.expect_err("final").code, "wrong_state");
}

#[tokio::test]
async fn an_offer_that_is_larger_than_a_message_ends_with_its_size_and_a_way_out() {
    let nats = NatsServer::start().await;
    let rig = Rig::new(&nats).await;
    let _host = HostSim::start(&nats.bus().await, 1).await;
    let line = "      echo a long script that ought to be a file\n".repeat(30_000);
    let plan = format!("version: 1\ntitle: large\napproval: auto\ntasks:\n  - id: big\n    run: |\n{line}");
    let view = rig.finished(&rig.project(&plan).await).await;
    assert_eq!(view.state, ProjectState::Failed, "{view:?}");
    let task = view.tasks.first().expect("the task");
    let failure = task.failure.as_ref().expect("a failure");
    assert_eq!((task.attempt, failure.reason), (1, FailureReason::OfferTooLarge), "{failure:?}");
    for part in ["bytes", "max_payload", "files"] {
        assert!(failure.detail.contains(part), "{part} is not in {:?}", failure.detail);
    }
}
