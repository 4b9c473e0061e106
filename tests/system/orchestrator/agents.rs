//! Agents' work, played by simulated hosts: budgets that hold across hosts, questions, bounces, notes.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU32, AtomicU64, Ordering},
};

use bus_schemas::{
    id::MessageId,
    nats,
    stream::CONTROL,
    subject,
    v1::{
        agent::{Pause, Report, Spend, TellAttempt, Tokens},
        api::{ApprovalView, BudgetRequest, DecisionRequest, TellRequest},
        approval::{ApprovalSubject, Verdict},
        call::{Answer, Call},
        plan::Budget,
        project::ProjectState,
        task::{FailureReason, TaskState},
    },
};
use harness::{
    hostsim::{Ending, HostSim, Played, Player},
    nats::NatsServer,
    wait,
};
use orchestrator::port::Service as _;
use uuid::Uuid;

use super::rig::{PATIENCE, Rig};

pub(super) const DOLLAR: u64 = 1_000_000_000;

/// A player from an async function.
pub(super) fn player<F, Fut>(play: F) -> Player
where
    F: Fn(Played) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Ending> + Send + 'static,
{
    Arc::new(move |played| Box::pin(play(played)))
}

/// The next request that waits for a person.
pub(super) async fn asked(rig: &Rig) -> ApprovalView {
    let asked = wait::until("somebody to be asked", PATIENCE, || async {
        rig.service().approvals(false).await.expect("approvals").pop()
    });
    whole(rig, &asked.await).await
}

/// A request with what it is about: a listing goes without.
pub(super) async fn whole(rig: &Rig, listed: &ApprovalView) -> ApprovalView {
    rig.service().approval(&listed.approval_id.to_string()).await.expect("the request")
}

pub(super) async fn decide(rig: &Rig, view: &ApprovalView, verdict: Verdict, note: &str) {
    let request = DecisionRequest {
        verdict,
        digest: view.digest.clone(),
        by: "ann".to_owned(),
        channel: "cli".to_owned(),
        note: note.to_owned(),
        remember: None,
    };
    rig.service().decide(&view.approval_id.to_string(), request).await.expect("a decision");
}

async fn rebuilt(rig: &Rig) {
    let report = rig.service().rebuild().await.expect("a rebuild");
    assert_eq!(report.differences, 0, "the live projections are the rebuilt ones");
}

fn spend(usd_nanos: u64) -> Spend {
    let tokens = Tokens { input: 900, output: 100, ..Tokens::default() };
    Spend { calls: 1, tokens, usd_nanos, price_assumed: false }
}

/// Makes so many calls of one price, or pauses where it is denied.
async fn spends(played: Played, calls: u32, price: u64, total: Arc<AtomicU64>) -> Ending {
    for _ in 0..calls {
        let call_id = MessageId::from_uuid(Uuid::now_v7());
        let reserve = Call::Reserve { call_id, estimate: spend(price), vm_ms: 10 };
        match played.call(reserve.clone()).await {
            Answer::Granted => {}
            Answer::Denied { task_key, resource, used, limit } => {
                return Ending::Paused(Pause::Budget { task_key, resource, used, limit });
            }
            other => panic!("{other:?}"),
        }
        // A host that did not hear the answer asks again: that is the same call.
        assert_eq!(played.call(reserve).await, Answer::Granted);
        total.fetch_add(price, Ordering::SeqCst);
        let settle = Call::Settle { call_id, actual: spend(price), vm_ms: 20 };
        assert_eq!(played.call(settle.clone()).await, Answer::Settled);
        assert_eq!(played.call(settle).await, Answer::Settled);
    }
    played.handoff()
}

#[tokio::test]
async fn two_racing_hosts_overshoot_a_budget_by_one_call_at_most_and_more_money_lets_them_go_on() {
    let nats = NatsServer::start().await;
    let rig = Rig::new(&nats).await;
    let total = Arc::new(AtomicU64::new(0));
    let price = DOLLAR / 10;
    let counted = Arc::clone(&total);
    let play = player(move |played| spends(played, 5, price, Arc::clone(&counted)));
    let bus = nats.bus().await;
    let _one = HostSim::playing(&bus, 2, Arc::clone(&play)).await;
    let _two = HostSim::playing(&bus, 2, play).await;
    let mut plan = "version: 1\ntitle: race\napproval: auto\nbudget: { usd: 1.05 }\ntasks:\n".to_owned();
    for number in 0..4 {
        plan.push_str(&format!("  - {{ id: t{number}, agent: {{ instructions: spend }}, checks: ['true'] }}\n"));
    }
    let project = rig.project(&plan).await;
    let limit = asked(&rig).await;
    assert!(matches!(limit.subject, ApprovalSubject::Budget { .. }), "{limit:?}");
    let over = limit.over_budget.as_ref().expect("the limit");
    assert_eq!((over.task_key.as_str(), over.limit), ("", DOLLAR + DOLLAR / 20));
    let spent = total.load(Ordering::SeqCst);
    assert!(spent < over.limit + price, "{spent} of {}", over.limit);
    let id = project.project_id.to_string();
    let view = wait::until("nobody to spend any more", PATIENCE, || async {
        let view = rig.service().project(&id).await.expect("the project");
        view.tasks.iter().all(|task| task.state.is_final() || task.state == TaskState::InputRequired).then_some(view)
    })
    .await;
    assert_eq!(view.state, ProjectState::Working, "nothing failed: it waits");
    assert_eq!((view.spend.usd_nanos, view.spend.reserved_usd_nanos), (total.load(Ordering::SeqCst), 0));
    assert_eq!(view.spend.limits.first().map(|limit| limit.warned), Some(100));
    rebuilt(&rig).await;

    let budget = Budget { usd: Some(9.0), ..Budget::default() };
    rig.service()
        .budget(&id, BudgetRequest { task: None, budget, by: "ann".to_owned(), channel: "cli".to_owned() })
        .await
        .expect("more money");
    let view = rig.finished(&project).await;
    assert_eq!(view.state, ProjectState::Completed, "{view:?}");
    assert!(view.tasks.iter().all(|task| task.state == TaskState::Completed));
    let feed = rig.feed(&view).await;
    assert!(feed.iter().any(|event| event.kind == "budget.warned"), "somebody was warned");
    rebuilt(&rig).await;
}

#[tokio::test]
async fn a_task_whose_limit_is_reached_goes_on_when_a_person_approves() {
    let nats = NatsServer::start().await;
    let rig = Rig::new(&nats).await;
    let total = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&total);
    let play = player(move |played| {
        // It goes on from where it stopped: one call is left.
        let calls = if played.offer.attempt.number == 1 { 3 } else { 1 };
        spends(played, calls, DOLLAR / 2, Arc::clone(&counted))
    });
    let _host = HostSim::playing(&nats.bus().await, 1, play).await;
    let plan = "version: 1\ntitle: one\napproval: auto\ntasks:\n  - { id: a, agent: { instructions: spend }, checks: ['true'], budget: { usd: 1 } }\n";
    let project = rig.project(plan).await;
    let limit = asked(&rig).await;
    assert_eq!(limit.over_budget.as_ref().map(|over| over.task_key.as_str()), Some("a"));
    assert_eq!(total.load(Ordering::SeqCst), DOLLAR);
    decide(&rig, &limit, Verdict::Approved, "").await;
    let view = rig.finished(&project).await;
    let task = view.tasks.first().expect("the task");
    assert_eq!(view.state, ProjectState::Completed, "{view:?}");
    assert!(task.failure.is_none() && task.spend.calls == 3, "{task:?}");
    rebuilt(&rig).await;
}

#[tokio::test]
async fn a_question_is_answered_and_the_attempt_resumes_with_the_answer() {
    let nats = NatsServer::start().await;
    let rig = Rig::new(&nats).await;
    let play = player(|played| async move {
        let work = played.work().expect("an agent's work");
        if played.offer.attempt.number == 1 {
            assert_eq!(work.resume_from, 0);
            let options = vec!["tabs".to_owned(), "spaces".to_owned()];
            return Ending::Paused(Pause::Question {
                question: "tabs\u{1b}[2J or spaces?".to_owned(),
                options,
                stuck: false,
            });
        }
        assert_eq!(work.resume_from, 1);
        let heard = played.offer.notes.iter().any(|note| note.text.contains("spaces") && !note.id.is_empty());
        assert!(heard, "{:?}", played.offer.notes);
        played.handoff()
    });
    let _host = HostSim::playing(&nats.bus().await, 1, play).await;
    let plan = "version: 1\ntitle: asks\napproval: auto\ntasks:\n  - { id: a, agent: { instructions: ask }, checks: ['true'], retries: { max: 0 } }\n";
    let project = rig.project(plan).await;
    let question = asked(&rig).await;
    assert!(matches!(question.subject, ApprovalSubject::Question { attempt: 1, .. }));
    let shown = question.question.as_ref().expect("the question");
    assert_eq!((shown.options.len(), shown.stuck), (2, false));
    let held = rig.service().project(&project.project_id.to_string()).await.expect("the project");
    assert_eq!(held.tasks[0].state, TaskState::InputRequired);
    decide(&rig, &question, Verdict::Approved, "spaces").await;
    let view = rig.finished(&project).await;
    assert_eq!((view.state, view.tasks[0].attempt), (ProjectState::Completed, 2), "{view:?}");
    rebuilt(&rig).await;
}

#[tokio::test]
async fn a_handoff_goes_back_with_a_question_once() {
    let nats = NatsServer::start().await;
    let rig = Rig::new(&nats).await;
    let answered = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&answered);
    let play = player(move |played| {
        let heard = Arc::clone(&heard);
        async move {
            let work = played.work().expect("an agent's work").clone();
            let bounce =
                || Ending::Paused(Pause::Bounce { need: "first".to_owned(), question: "which file?".to_owned() });
            match (played.offer.task_key.as_str(), played.offer.attempt.number) {
                ("second", 1 | 2) => {
                    let notes: Vec<String> = played.offer.notes.iter().map(|note| note.text.clone()).collect();
                    heard.lock().unwrap_or_else(PoisonError::into_inner).push(notes);
                    bounce()
                }
                ("first" | "second", _) => played.handoff(),
                (_, _) => {
                    let of = work.resume_task.expect("the attempt it is asked about");
                    assert_eq!((of.number, of.project_id), (1, played.offer.attempt.project_id));
                    assert!(work.instructions.contains("which file?"));
                    let report = Report { done: "it is main.py".to_owned(), ..Report::default() };
                    played.handoff_with(|handoff| handoff.report = Some(report))
                }
            }
        }
    });
    let _host = HostSim::playing(&nats.bus().await, 1, play).await;
    let plan = "version: 1\ntitle: bounce\napproval: auto\ntasks:\n  - { id: first, agent: { instructions: do }, checks: ['true'] }\n  - { id: second, needs: [first], agent: { instructions: do }, checks: ['true'], retries: { max: 1, backoff: 10ms, max_backoff: 10ms } }\n";
    let project = rig.project(plan).await;
    let view = rig.finished(&project).await;
    assert_eq!(view.state, ProjectState::Completed, "{view:?}");
    let answered = answered.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let [before, after] = answered.as_slice() else { panic!("two attempts that ask back: {answered:?}") };
    assert!(before.is_empty() && after.iter().any(|note| note.contains("it is main.py")), "{answered:?}");
    let second = view.tasks.iter().find(|task| task.key == "second").expect("the task");
    let refused = second.failure.as_ref().expect("the second question is refused");
    assert_eq!((refused.attempt, refused.reason), (2, FailureReason::BounceRefused), "{refused:?}");
    rebuilt(&rig).await;
}

#[tokio::test]
async fn a_running_agent_is_told_and_the_next_attempt_hears_it_too() {
    let nats = NatsServer::start().await;
    let rig = Rig::new(&nats).await;
    let bus = nats.bus().await;
    let attempts = Arc::new(AtomicU32::new(0));
    let (counted, listening) = (Arc::clone(&attempts), bus.clone());
    let play = player(move |played| {
        let (counted, bus) = (Arc::clone(&counted), listening.clone());
        async move {
            let number = counted.fetch_add(1, Ordering::SeqCst) + 1;
            if number == 1 {
                let subject = subject::tell(&played.offer.attempt);
                let told = wait::until("the note", PATIENCE, || async {
                    nats::last_on::<TellAttempt>(&bus, &CONTROL, &subject).await.ok().flatten()
                })
                .await;
                let question = format!("heard {}?", told.body.note.text);
                return Ending::Paused(Pause::Question { question, options: Vec::new(), stuck: false });
            }
            assert!(played.offer.notes.iter().any(|note| note.text == "be quick"), "{:?}", played.offer.notes);
            played.handoff()
        }
    });
    let _host = HostSim::playing(&bus, 1, play).await;
    let plan = "version: 1\ntitle: told\napproval: auto\ntasks:\n  - { id: a, agent: { instructions: listen }, checks: ['true'] }\n";
    let project = rig.project(plan).await;
    let id = project.project_id.to_string();
    wait::until("the attempt to be worked on", PATIENCE, || async {
        (attempts.load(Ordering::SeqCst) == 1
            && rig.service().project(&id).await.expect("the project").tasks[0].state == TaskState::Working)
            .then_some(())
    })
    .await;
    let tell = TellRequest {
        task: Some("a".to_owned()),
        text: "be quick".to_owned(),
        by: "ann".to_owned(),
        channel: "cli".to_owned(),
    };
    let heard = rig.service().tell(&id, tell).await.expect("told");
    assert_eq!((heard.now.len(), heard.later.len()), (1, 0));
    let question = asked(&rig).await;
    assert_eq!(question.question.as_ref().map(|question| question.question.as_str()), Some("heard be quick?"));
    decide(&rig, &question, Verdict::Approved, "yes").await;
    assert_eq!(rig.finished(&project).await.state, ProjectState::Completed);
    rebuilt(&rig).await;
}
