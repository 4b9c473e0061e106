//! Plans from goals, plans that people edit, changes of a running plan, skills that agents propose.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use bus_schemas::{
    json::Json,
    v1::{
        agent::Role,
        api::{DecisionRequest, EditPlanRequest, NewProject, PlanSource},
        approval::{ApprovalSubject, Verdict},
        call::{Answer, Call, GuestAnswer, GuestCall},
        plan::Budget,
        project::ProjectState,
        task::TaskState,
    },
};
use harness::{
    hostsim::{Ending, HostSim},
    nats::NatsServer,
};
use orchestrator::port::Service as _;

use super::{
    agents::{asked, decide, player, whole},
    rig::Rig,
};

fn json(text: &str) -> Option<Json> {
    serde_json::from_str(text).ok()
}

const CYCLE: &str = r#"{"version": 1, "title": "t", "tasks": [{"id": "a", "needs": ["a"], "run": "true"}]}"#;
// It would approve itself and give itself more: neither counts.
const SOUND: &str = r#"{"version": 1, "title": "worked out", "approval": "auto", "budget": {"usd": 100}, "tasks": [
    {"id": "one", "agent": {"instructions": "do"}, "checks": ["true"]},
    {"id": "two", "needs": ["one"], "run": "true", "checks": ["true"]}]}"#;

#[tokio::test]
async fn a_goal_becomes_a_plan_that_a_person_edits_and_approves() {
    let nats = NatsServer::start().await;
    let rig = Rig::new(&nats).await;
    let play = player(|played| async move {
        let Some(work) = played.work().filter(|work| work.role == Role::Planner) else { return played.handoff() };
        assert!(work.instructions.contains("Count the lines"));
        let check = |text: &str| Call::Guest(GuestCall::CheckPlan { text: text.to_owned() });
        let found = played.call(check(CYCLE)).await;
        assert!(matches!(found, Answer::Guest(GuestAnswer::Unsound { .. })), "{found:?}");
        let sound = played.call(check(SOUND)).await;
        assert!(matches!(sound, Answer::Guest(GuestAnswer::Sound { .. })), "{sound:?}");
        if played.offer.attempt.number == 1 {
            return played.handoff_with(|handoff| handoff.result = json(CYCLE));
        }
        assert!(played.offer.notes.iter().any(|note| note.text.contains("self_need")), "{:?}", played.offer.notes);
        played.handoff_with(|handoff| handoff.result = json(SOUND))
    });
    let _host = HostSim::playing(&nats.bus().await, 2, play).await;
    let folder = rig.folder().display().to_string();
    let goal = Some("Count the lines".to_owned());
    let budget = Budget { usd: Some(50.0), ..Budget::default() };
    let new = NewProject { goal, folder, budget: budget.clone(), owner: "ann".to_owned(), ..NewProject::default() };
    let project = rig.service().create_project(new).await.expect("a project");
    assert_eq!((project.state, project.tasks.len()), (ProjectState::Planning, 1));
    let id = project.project_id.to_string();

    let first = asked(&rig).await;
    assert_eq!(first.subject, ApprovalSubject::Plan);
    assert_eq!(first.plan.as_ref().map(|plan| plan.tasks.len()), Some(2));
    assert!(first.estimate.as_ref().is_some_and(|estimate| estimate.agent_tasks == 1 && estimate.usd_nanos_high > 0));
    let view = rig.service().plan(&id).await.expect("the plan");
    assert!(view.editable && view.plan.goal == "Count the lines", "{view:?}");

    assert_eq!((view.plan.approval.as_deref(), &view.plan.budget), (None, &budget), "what is in force");
    let mut more = view.plan.clone();
    more.budget.usd = Some(51.0);
    let text = serde_json::to_string(&more).expect("a plan");
    let more = PlanSource { file: "p".to_owned(), text, ..PlanSource::default() };
    let refused = rig
        .service()
        .edit_plan(
            &id,
            EditPlanRequest { plan: more, by: "ann".to_owned(), channel: "cli".to_owned(), digest: String::new() },
        )
        .await;
    assert_eq!(refused.expect_err("more than was given").code, "over_given");

    // A person writes another one: what was asked about the one before is void.
    let text = "version: 1\ntitle: edited\ntasks:\n  - { id: only, agent: { instructions: do }, checks: ['true'] }\n";
    let bad = PlanSource { file: "p".to_owned(), text: CYCLE.to_owned(), ..PlanSource::default() };
    let refused = rig
        .service()
        .edit_plan(
            &id,
            EditPlanRequest { plan: bad, by: "ann".to_owned(), channel: "cli".to_owned(), digest: String::new() },
        )
        .await;
    assert_eq!(refused.expect_err("a circle").code, "plan_invalid");
    let plan = PlanSource { file: "p".to_owned(), text: text.to_owned(), ..PlanSource::default() };
    let edited = rig
        .service()
        .edit_plan(
            &id,
            EditPlanRequest { plan, by: "ann".to_owned(), channel: "cli".to_owned(), digest: String::new() },
        )
        .await
        .expect("edited");
    let keys: Vec<&str> = edited.tasks.iter().map(|task| task.key.as_str()).collect();
    assert_eq!(keys, ["plan", "only"]);
    assert_eq!(rig.service().plan(&id).await.expect("the plan").plan.budget, budget, "an edit does not lift it");
    let stale = DecisionRequest {
        verdict: Verdict::Approved,
        digest: first.digest.clone(),
        by: "ann".to_owned(),
        channel: "cli".to_owned(),
        note: String::new(),
        remember: None,
    };
    let void = rig.service().decide(&first.approval_id.to_string(), stale).await.expect_err("void");
    assert_eq!(void.code, "already_decided");
    let second = asked(&rig).await;
    assert_ne!((second.approval_id, &second.digest), (first.approval_id, &first.digest));
    decide(&rig, &second, Verdict::Approved, "").await;
    let view = rig.finished(&project).await;
    assert_eq!(view.state, ProjectState::Completed, "{view:?}");
    assert!(view.tasks.iter().all(|task| task.state.is_final() && task.failure.is_none()), "{view:?}");
    assert_eq!(rig.service().rebuild().await.expect("a rebuild").differences, 0);
}

#[tokio::test]
async fn a_planner_that_never_makes_a_plan_fails_the_project() {
    let nats = NatsServer::start().await;
    let rig = Rig::new(&nats).await;
    let tries = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&tries);
    let play = player(move |played| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move { played.handoff_with(|handoff| handoff.result = json("7")) }
    });
    let _host = HostSim::playing(&nats.bus().await, 1, play).await;
    let folder = rig.folder().display().to_string();
    let new = NewProject { goal: Some("x".to_owned()), folder, owner: "ann".to_owned(), ..NewProject::default() };
    let project = rig.service().create_project(new).await.expect("a project");
    let view = rig.finished(&project).await;
    assert_eq!((view.state, tries.load(Ordering::SeqCst)), (ProjectState::Failed, 3), "{view:?}");
    assert_eq!(rig.service().rebuild().await.expect("a rebuild").differences, 0);
}

const REPLANS: &str = "version: 1\ntitle: replans\napproval: auto\ntasks:\n  - { id: lead, agent: { instructions: lead, may_replan: true }, checks: ['true'] }\n  - { id: old, needs: [lead], run: 'true', checks: ['true'] }\n  - { id: last, needs: [old], run: 'true', checks: ['true'] }\n";

#[tokio::test]
async fn a_running_task_changes_the_plan_when_a_person_agrees() {
    let nats = NatsServer::start().await;
    let rig = Rig::new(&nats).await;
    let play = player(|played| async move {
        if played.work().is_none() || played.offer.attempt.number > 1 || played.offer.task_key != "lead" {
            return played.handoff();
        }
        let propose = |text: &str| {
            let patch = serde_json::from_str(text).expect("a patch");
            Call::Guest(GuestCall::ProposePatch { patch })
        };
        let started = played.call(propose(r#"{"reason": "r", "drop": ["lead"]}"#)).await;
        assert!(matches!(started, Answer::Guest(GuestAnswer::Unsound { .. })), "{started:?}");
        let dangling = played.call(propose(r#"{"reason": "r", "drop": ["old"]}"#)).await;
        assert!(matches!(dangling, Answer::Guest(GuestAnswer::Unsound { .. })), "{dangling:?}");
        let wide = r#"{"reason": "r", "add": [{"id": "x", "run": "true", "network": ["example.org"]}]}"#;
        let wide = played.call(propose(wide)).await;
        assert!(matches!(wide, Answer::Guest(GuestAnswer::Refused { .. })), "{wide:?}");
        let good = r#"{"reason": "better", "drop": ["old"], "needs": {"last": ["new"]},
            "add": [{"id": "new", "title": "Newer", "needs": ["lead"], "run": "true", "checks": ["true"]}]}"#;
        let proposed = played.call(propose(good)).await;
        assert!(matches!(proposed, Answer::Guest(GuestAnswer::Proposed { accepted: false, .. })), "{proposed:?}");
        Ending::Paused(bus_schemas::v1::agent::Pause::Question {
            question: "shall I wait?".to_owned(),
            options: Vec::new(),
            stuck: false,
        })
    });
    let _host = HostSim::playing(&nats.bus().await, 1, play).await;
    let project = rig.project(REPLANS).await;
    let id = project.project_id.to_string();
    let both = harness::wait::until("both requests", super::rig::PATIENCE, || async {
        let asked = rig.service().approvals(false).await.expect("approvals");
        (asked.len() == 2).then_some(asked)
    })
    .await;
    for view in &both {
        let view = &whole(&rig, view).await;
        if let ApprovalSubject::Patch { .. } = view.subject {
            let patch = view.patch.as_ref().expect("the change");
            assert_eq!((patch.reason.as_str(), view.plan.as_ref().map(|plan| plan.tasks.len())), ("better", Some(3)));
            decide(&rig, view, Verdict::Approved, "").await;
        }
    }
    let plan = rig.service().plan(&id).await.expect("the plan").plan;
    let ids: Vec<&str> = plan.tasks.iter().map(|task| task.id.as_str()).collect();
    assert_eq!(ids, ["lead", "last", "new"]);
    let question = asked(&rig).await;
    decide(&rig, &question, Verdict::Approved, "no").await;
    let view = rig.finished(&project).await;
    assert_eq!(view.state, ProjectState::Completed, "{view:?}");
    let state = |key: &str| view.tasks.iter().find(|task| task.key == key).map(|task| (task.state, task.needs.clone()));
    assert_eq!(state("new").map(|found| found.0), Some(TaskState::Completed));
    assert_eq!(state("last"), Some((TaskState::Completed, vec!["new".to_owned()])));
    assert_eq!(state("old").map(|found| found.0), Some(TaskState::Skipped));
    assert_eq!(rig.service().rebuild().await.expect("a rebuild").differences, 0);
}

#[tokio::test]
async fn a_proposed_skill_is_admitted_by_a_person_and_by_nobody_else() {
    let nats = NatsServer::start().await;
    let rig = Rig::new(&nats).await;
    let play = player(|played| async move {
        let skill = |name: &str| {
            let text = format!("---\nname: {name}\ndescription: Tidies up.\n---\nDo it.\n");
            Call::Guest(GuestCall::ProposeSkill { files: [("SKILL.md".to_owned(), text)].into() })
        };
        let escapes =
            Call::Guest(GuestCall::ProposeSkill { files: [("../SKILL.md".to_owned(), String::new())].into() });
        let refused = played.call(escapes).await;
        assert!(matches!(refused, Answer::Guest(GuestAnswer::Unsound { .. })), "{refused:?}");
        let proposed = played.call(skill("tidy-up")).await;
        assert!(matches!(proposed, Answer::Guest(GuestAnswer::Proposed { accepted: false, .. })), "{proposed:?}");
        Ending::Paused(bus_schemas::v1::agent::Pause::Question {
            question: "and now?".to_owned(),
            options: Vec::new(),
            stuck: false,
        })
    });
    let _host = HostSim::playing(&nats.bus().await, 1, play).await;
    rig.project(
        "version: 1\ntitle: s\napproval: auto\ntasks:\n  - { id: a, agent: { instructions: do }, checks: ['true'] }\n",
    )
    .await;
    let admitted = rig.home().join(".local/share/baton/skills/tidy-up/SKILL.md");
    let view = harness::wait::until("the skill to be asked about", super::rig::PATIENCE, || async {
        let asked = rig.service().approvals(false).await.expect("approvals");
        asked.into_iter().find(|view| matches!(view.subject, ApprovalSubject::Skill { .. }))
    })
    .await;
    let view = whole(&rig, &view).await;
    assert_eq!(view.skill.as_ref().map(|skill| skill.name.as_str()), Some("tidy-up"));
    assert!(!admitted.exists());
    decide(&rig, &view, Verdict::Approved, "").await;
    harness::wait::until("the skill to be put in its place", super::rig::PATIENCE, || async {
        admitted.exists().then_some(())
    })
    .await;
    assert_eq!(rig.service().rebuild().await.expect("a rebuild").differences, 0);
}
