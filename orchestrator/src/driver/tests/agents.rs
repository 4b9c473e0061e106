//! What agents need of the driver: leave to spend, pauses, notes.

use std::collections::BTreeMap;

use bus_schemas::v1::{
    agent::{AttemptPaused, Pause},
    task::{AttemptFailed, FailureReason, Program},
};

use super::*;
use crate::{
    driver::detail::PatchDetail,
    plan::{
        Amount, Rejected,
        event::{PatchSpec, Verdict},
    },
};

const AGENT: &str = r#"{"version":1,"title":"t","budget":{"usd":1},
    "tasks":[{"id":"one","agent":{"instructions":"do"},"budget":{"usd":1}}]}"#;

fn nonce() -> ClaimNonce {
    ClaimNonce::from_uuid(Uuid::from_u128(1))
}

fn reserve(attempt: AttemptRef, call: u128, usd_nanos: u64) -> Fact {
    Fact::SpendReserved {
        task_id: attempt.task_id,
        number: attempt.number,
        nonce: nonce(),
        call_id: MessageId::from_uuid(Uuid::from_u128(call)),
        amount: Amount { usd_nanos, tokens: 10, calls: 1 },
        vm_ms: 5,
    }
}

fn count(kinds: &[&str], kind: &str) -> usize {
    kinds.iter().filter(|one| **one == kind).count()
}

async fn claimed(rig: &mut Rig, text: &str) -> (ProjectId, AttemptRef) {
    let project_id = rig.project_of(text).await.unwrap();
    let attempt = rig.offered(1).await.attempt;
    rig.deliver(Ok(claim(attempt, 1))).await;
    until(|| async { rig.kinds(project_id).await.contains(&"attempt_claimed").then_some(()) }).await;
    (project_id, attempt)
}

#[tokio::test]
async fn leave_to_spend_is_given_once_it_is_durable_and_never_beyond_a_limit() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::start(store(dir.path()), Notes::default()).await;
    let (project_id, attempt) = claimed(&mut rig, AGENT).await;
    rig.store.limit_pages(1).await.unwrap();
    let mut refused = None;
    for call in 100..400 {
        if let Err(refusal) = rig.handle.ask(project_id, reserve(attempt, call, 1), None).await {
            refused = Some(refusal);
            break;
        }
    }
    assert!(matches!(refused, Some(Refusal::Journal(JournalError::Full { .. }))), "{refused:?}");
    rig.store.limit_pages(1_000_000).await.unwrap();

    let before = count(&rig.kinds(project_id).await, "spend_reserved");
    for _ in 0..3 {
        rig.handle.ask(project_id, reserve(attempt, 1, 2_000_000_000), None).await.unwrap();
    }
    let denied = rig.handle.ask(project_id, reserve(attempt, 2, 1), None).await;
    assert!(matches!(denied, Err(Refusal::Rejected(Rejected::Reserved { .. }))), "{denied:?}");
    let stale = AttemptRef { number: 7, ..attempt };
    let stale = rig.handle.ask(project_id, reserve(stale, 3, 1), None).await;
    assert!(matches!(stale, Err(Refusal::Rejected(_))), "{stale:?}");
    assert_eq!(count(&rig.kinds(project_id).await, "spend_reserved"), before + 1, "one record for one call");
    assert_eq!(rig.handle.rebuild().await.unwrap().differences, 0);
    rig.tasks.stop().await;
}

#[tokio::test]
async fn a_pause_asks_and_the_next_offer_resumes_with_what_was_said() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::start(store(dir.path()), Notes::default()).await;
    let (project_id, attempt) = claimed(&mut rig, AGENT).await;
    let told = Fact::NoteTold {
        task_id: attempt.task_id,
        note_id: "n1".to_owned(),
        from: "ann".to_owned(),
        text: "be quick".to_owned(),
    };
    rig.handle.ask(project_id, told, None).await.unwrap();
    let tells = rig.notes.tells.clone();
    let tell = until(|| async { tells.lock().unwrap_or_else(PoisonError::into_inner).first().cloned() }).await;
    assert_eq!((tell.attempt, tell.note.id.as_str(), tell.note.text.as_str()), (attempt, "n1", "be quick"));

    let pause = Pause::Question { question: "which?".to_owned(), options: vec!["a".to_owned()], stuck: false };
    let paused = AttemptPaused { attempt, nonce: nonce(), pause, saved_turn: 3, usage: Usage::default() };
    rig.deliver(Ok(Observation::Paused(Box::new(paused.clone())))).await;
    rig.deliver(Ok(Observation::Paused(Box::new(paused)))).await;
    let asked = until(|| async { rig.store.approvals(false).await.unwrap().pop() }).await;
    // A listing goes without what is asked about.
    let asked = rig.store.approval(asked.approval_id).await.unwrap().unwrap();
    assert_eq!(asked.question.as_ref().map(|question| question.question.as_str()), Some("which?"));
    let decided = Fact::ApprovalDecided {
        approval_id: asked.approval_id,
        verdict: Verdict::Approved,
        digest: asked.digest,
        by: "ann".to_owned(),
        channel: "cli".to_owned(),
        note: "the second".to_owned(),
        remember: None,
    };
    rig.handle.ask(project_id, decided, None).await.unwrap();
    let offer = rig.offered(2).await;
    let Program::Agent(work) = &offer.program else { panic!("an agent's work: {offer:?}") };
    assert_eq!((offer.attempt.number, work.resume_from), (2, 1));
    let texts: Vec<&str> = offer.notes.iter().map(|note| note.text.as_str()).collect();
    assert!(texts.contains(&"be quick") && texts.iter().any(|text| text.contains("the second")), "{texts:?}");
    let ids: std::collections::BTreeSet<&str> = offer.notes.iter().map(|note| note.id.as_str()).collect();
    assert_eq!(ids.len(), offer.notes.len(), "every note has an id of its own");
    assert_eq!(count(&rig.kinds(project_id).await, "attempt_paused"), 1);
    assert_eq!(rig.handle.rebuild().await.unwrap().differences, 0);
    rig.tasks.stop().await;
}

#[tokio::test]
async fn what_a_host_did_not_find_is_looked_for_again_before_the_next_offer() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::start(store(dir.path()), Notes::default()).await;
    let text = r#"{"version":1,"title":"t","tasks":[{"id":"one","run":"true","retries":{"max":3,"backoff":"1ms"}}]}"#;
    let (_, attempt) = claimed(&mut rig, text).await;
    assert_eq!(rig.notes.looked.load(Ordering::SeqCst), 1);
    let failed = |attempt, reason| {
        Observation::Failed(Box::new(AttemptFailed {
            attempt,
            nonce: nonce(),
            reason,
            detail: String::new(),
            output_tail: String::new(),
            evidence: Vec::new(),
            usage: Usage::default(),
        }))
    };
    rig.deliver(Ok(failed(attempt, FailureReason::ProgramFailed))).await;
    let second = rig.offered(2).await.attempt;
    assert_eq!(rig.notes.looked.load(Ordering::SeqCst), 1, "it is known to be there");
    rig.deliver(Ok(claim(second, 1))).await;
    rig.deliver(Ok(failed(second, FailureReason::MissingObject))).await;
    rig.offered(3).await;
    assert_eq!(rig.notes.looked.load(Ordering::SeqCst), 2);
    rig.tasks.stop().await;
}

#[tokio::test]
async fn a_change_that_gives_a_new_task_a_secret_is_shown_to_a_person_whatever_replan_says() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::start(store(dir.path()), Notes::default()).await;
    let text = r#"{"version":1,"title":"t","replan":"auto",
        "tasks":[{"id":"one","secrets":["mirror"],"agent":{"instructions":"do","may_replan":true}}]}"#;
    let (project_id, attempt) = claimed(&mut rig, text).await;
    let mut after: plan::Plan = serde_json::from_str(text).unwrap();
    for (id, more, asks) in [("two", "", false), ("three", r#","secrets":["mirror"]"#, true)] {
        let added = format!(r#"{{"id":"{id}","run":"x"{more}}}"#);
        let alone = format!(r#"{{"version":1,"title":"t","tasks":[{added}]}}"#);
        let plan: plan::Plan = serde_json::from_str(&alone).unwrap();
        let mut ids = || TaskId::from_uuid(Uuid::now_v7());
        let add = lower(&plan, &mut ids, &BTreeMap::new(), &Rules::default()).unwrap().tasks;
        let patch = serde_json::from_str(&format!(r#"{{"reason":"r","add":[{added}]}}"#)).unwrap();
        let fact = Fact::PatchProposed {
            task_id: attempt.task_id,
            number: attempt.number,
            nonce: nonce(),
            patch: PatchSpec { add, ..PatchSpec::default() },
            approval_id: ApprovalId::from_uuid(Uuid::now_v7()),
            digest: "d".to_owned(),
            route: None,
        };
        after.tasks.extend(plan.tasks);
        let detail = Detail::Patch(Box::new(PatchDetail { patch, plan: after.clone(), skills: Vec::new() }));
        rig.handle.ask(project_id, fact, Some(detail)).await.unwrap();
        let waiting = rig.store.approvals(false).await.unwrap();
        assert_eq!(waiting.len(), usize::from(asks), "{id}");
        if let Some(asked) = waiting.first() {
            let why = "`three`, which it adds, uses a secret";
            assert!(asked.route.risk_reasons.iter().any(|reason| reason == why), "{:?}", asked.route);
        }
    }
    rig.tasks.stop().await;
}
