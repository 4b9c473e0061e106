//! Arrows 1 to 6 and 8, 9, 13: from blocked to the end, without people.

use super::support::{BASE, World, asked_for, nonce, spec, task};
use crate::plan::{
    Command, Note, ProjectState, Rejected, TaskState,
    event::{Fact, TaskSpec},
    has_ready, next_ready_at,
    policy::{NOTE_BYTES, backoff_ms},
};

#[test]
fn one_parent_commit_makes_ready_at_once_and_several_are_merged() {
    let mut world = World::new(vec![spec(1, &[]), spec(2, &[]), spec(3, &[1]), spec(4, &[1, 2])]);
    assert_eq!((world.state(1), world.state(3)), (TaskState::Ready, TaskState::Blocked));
    assert_eq!(world.task(1).base_commit.as_deref(), Some(BASE));
    world.finish(1, "one");
    assert_eq!(world.state(3), TaskState::Ready);
    assert_eq!(world.task(3).base_commit.as_deref(), Some("one"));
    let outcome = world.finish(2, "two");
    let parents = vec!["one".to_owned(), "two".to_owned()];
    let prepare = Command::Prepare { task_id: task(4), parents, evaluate_when: false, expand: false };
    assert!(outcome.commands.contains(&prepare), "{outcome:?}");
    assert_eq!(world.state(4), TaskState::Blocked);
    world.prepared(4, "merged", true).unwrap();
    assert_eq!((world.state(4), world.task(4).base_commit.as_deref()), (TaskState::Ready, Some("merged")));
    assert!(matches!(world.prepared(4, "other", true), Err(Rejected::WrongState { .. })));
}

#[test]
fn a_need_that_changed_nothing_is_not_merged() {
    let mut world = World::new(vec![spec(1, &[]), spec(2, &[]), spec(3, &[1, 2])]);
    let outcome = world.finish(1, BASE);
    assert!(!outcome.commands.iter().any(|command| matches!(command, Command::KeepCommit { .. })));
    world.finish(2, "two");
    assert_eq!((world.state(3), world.task(3).base_commit.as_deref()), (TaskState::Ready, Some("two")));
}

#[test]
fn a_false_when_is_passed_over_and_a_failure_skips_all_that_need_it() {
    let when = TaskSpec { has_when: true, ..spec(1, &[]) };
    let mut world = World::new(vec![when, spec(2, &[1]), spec(3, &[]), spec(4, &[3]), spec(5, &[4, 2])]);
    let prepare =
        Command::Prepare { task_id: task(1), parents: vec![BASE.to_owned()], evaluate_when: true, expand: false };
    assert!(world.created.commands.contains(&prepare));
    world.prepared(1, BASE, false).unwrap();
    assert_eq!((world.state(1), world.state(2)), (TaskState::Skipped, TaskState::Ready));
    let number = world.work(3, 3);
    let outcome = world.fail(3, number, 3, false).unwrap();
    assert_eq!((world.state(3), world.state(4), world.state(5)), {
        (TaskState::Failed, TaskState::Skipped, TaskState::Skipped)
    });
    assert_eq!(world.task(5).reason, "needs t3, which is failed");
    assert_eq!(outcome.touched, vec![task(3), task(4), task(5)]);
    assert_eq!(world.state(2), TaskState::Ready, "what does not need it goes on");
    world.finish(2, "two");
    assert_eq!((world.plan.state(), world.plan.reason()), (ProjectState::Failed, "task t3 is failed"));
}

#[test]
fn a_preparation_that_fails_is_final() {
    let when = TaskSpec { has_when: true, ..spec(1, &[]) };
    let mut world = World::new(vec![when]);
    let failed = Fact::PrepareFailed { task_id: task(1), reason: "merge conflict in a.txt".to_owned() };
    world.step(failed.clone()).unwrap();
    assert_eq!((world.state(1), world.task(1).reason.as_str()), (TaskState::Failed, "merge conflict in a.txt"));
    assert!(matches!(world.step(failed), Err(Rejected::Final { state: TaskState::Failed, .. })));
}

#[test]
fn an_offer_takes_the_next_number_of_a_ready_task() {
    let mut world = World::new(vec![spec(1, &[]), spec(2, &[1])]);
    assert!(matches!(world.offer(1, 2), Err(Rejected::StaleAttempt { current: 0, .. })));
    assert!(matches!(world.offer(2, 1), Err(Rejected::WrongState { state: TaskState::Blocked, .. })));
    assert!(matches!(world.offer(9, 1), Err(Rejected::UnknownTask { .. })));
    let outcome = world.offer(1, 1).unwrap();
    assert_eq!(asked_for(&outcome), vec![Command::Offer { task_id: task(1), number: 1 }]);
    assert_eq!((world.state(1), world.plan.outstanding()), (TaskState::Submitted, 1));
    assert!(matches!(world.offer(1, 2), Err(Rejected::WrongState { .. })));
}

#[test]
fn the_first_claim_wins_and_the_same_again_is_nothing() {
    let mut world = World::new(vec![spec(1, &[])]);
    world.offer(1, 1).unwrap();
    world.claim(1, 1, 7).unwrap();
    assert_eq!(world.state(1), TaskState::Working);
    assert!(world.claim(1, 1, 7).unwrap().is_nothing());
    assert_eq!(world.claim(1, 1, 8), Err(Rejected::AlreadyClaimed { task_id: task(1), number: 1 }));
    assert!(matches!(world.claim(1, 2, 7), Err(Rejected::StaleAttempt { .. })));
    assert!(matches!(world.stage(1, 1, 8, "running"), Err(Rejected::WrongNonce { .. })));
    let outcome = world.stage(1, 1, 7, "running").unwrap();
    assert_eq!((outcome.touched, outcome.commands.len()), (vec![task(1)], 0));
    assert!(world.stage(1, 1, 7, "running").unwrap().is_nothing());
    assert!(matches!(world.hand(1, 1, 8, "x"), Err(Rejected::WrongNonce { .. })));
    assert!(matches!(world.fail(1, 1, 8, true), Err(Rejected::WrongNonce { .. })));
}

#[test]
fn a_handoff_that_overtakes_its_claim_is_claim_and_handoff() {
    let mut world = World::new(vec![super::support::asking(1, &[])]);
    world.offer(1, 1).unwrap();
    world.hand(1, 1, 7, "one").unwrap();
    assert_eq!(world.state(1), TaskState::InputRequired);
    assert!(matches!(world.claim(1, 1, 8), Err(Rejected::AlreadyClaimed { .. })));
    world.claim(1, 1, 7).unwrap();
    assert_eq!(world.state(1), TaskState::InputRequired);
    let claim = world.task(1).claim.clone().unwrap();
    assert_eq!((claim.nonce, claim.host_id), (nonce(7), Some(super::support::host(7))));
    assert!(matches!(world.hand(1, 1, 7, "two"), Err(Rejected::WrongState { .. })), "a second handoff");
}

#[test]
fn a_handoff_completes_only_with_proof() {
    let mut world = World::new(vec![spec(1, &[]), spec(2, &[])]);
    let outcome = world.finish(1, "one");
    assert_eq!(world.state(1), TaskState::Completed);
    assert_eq!(asked_for(&outcome), vec![Command::KeepCommit { commit: "one".to_owned() }]);
    assert!(matches!(world.hand(1, 1, 1, "one"), Err(Rejected::Final { .. })), "doubled");
    let number = world.work(2, 2);
    world.hand_with(2, number, 2, "two", false).unwrap();
    assert_eq!(world.state(2), TaskState::Unverified);
    let by: Vec<_> = world.plan.approvals().filter_map(|a| a.decision.as_ref()).map(|d| d.by.as_str()).collect();
    assert_eq!(by, ["policy:auto", "policy:auto", "policy:auto"]);
}

#[test]
fn a_failed_attempt_comes_again_after_its_backoff_with_a_note() {
    let mut world = World::new(vec![spec(1, &[])]);
    world.work(1, 7);
    world.fail(1, 1, 7, true).unwrap();
    let delay = backoff_ms(&world.task(1).spec, 1);
    assert!((800..=1_200).contains(&delay), "{delay}");
    assert_eq!(world.state(1), TaskState::Ready);
    assert_eq!(next_ready_at(&world.plan, world.now), Some(world.now.plus_ms(delay)));
    assert!(!has_ready(&world.plan, world.now));
    assert!(matches!(world.offer(1, 2), Err(Rejected::NotDue { .. })));
    let note = Note {
        id: "attempt-1".to_owned(),
        from: "attempt 1".to_owned(),
        text: "program_failed: exit code 3".to_owned(),
    };
    assert_eq!(world.task(1).notes, [note]);
    assert!(matches!(world.hand(1, 1, 7, "late"), Err(Rejected::StaleAttempt { .. })));
    world.wait(delay);
    assert!(has_ready(&world.plan, world.now));
    world.work(1, 8);
    assert!(matches!(world.hand(1, 1, 7, "late"), Err(Rejected::StaleAttempt { number: 1, current: 2, .. })));
    world.fail(1, 2, 8, true).unwrap();
    assert_eq!((world.state(1), world.task(1).failure.as_ref().unwrap().number), (TaskState::Failed, 2));
    assert_eq!(world.plan.state(), ProjectState::Failed);
}

#[test]
fn a_long_detail_is_cut_between_characters() {
    let mut world = World::new(vec![spec(1, &[])]);
    world.work(1, 7);
    let fact = Fact::AttemptFailed {
        task_id: task(1),
        number: 1,
        nonce: nonce(7),
        reason: "check_failed".to_owned(),
        detail: "ä".repeat(NOTE_BYTES),
        retryable: true,
        vm_ms: 0,
    };
    world.step(fact).unwrap();
    let text = &world.task(1).notes[0].text;
    assert!(text.len() <= NOTE_BYTES && text.len() > NOTE_BYTES - 4 && text.ends_with('ä'), "{}", text.len());
}

#[test]
fn the_backoff_doubles_up_to_its_longest_and_is_spread() {
    let spec = spec(1, &[]);
    for (failures, nominal) in [(1, 1_000), (2, 2_000), (3, 4_000), (4, 8_000), (5, 8_000), (200, 8_000)] {
        let delay = backoff_ms(&spec, failures);
        assert!(delay >= nominal * 8 / 10 && delay <= (nominal * 12 / 10).min(8_000), "{failures}: {delay}");
        assert_eq!(delay, backoff_ms(&spec, failures));
    }
    let others: std::collections::BTreeSet<_> = (0..50).map(|n| backoff_ms(&super::support::spec(n, &[]), 1)).collect();
    assert!(others.len() > 20, "tasks that fail together must not come back together: {others:?}");
}

#[test]
fn a_canceled_task_withdraws_its_attempt_and_skips_what_needs_it() {
    let mut world = World::new(vec![spec(1, &[]), spec(2, &[1]), spec(3, &[])]);
    world.work(1, 7);
    let outcome = world.cancel(Some(1)).unwrap();
    let withdrawn = asked_for(&outcome);
    assert!(matches!(&withdrawn[..], [Command::CancelAttempt { number: 1, .. }]), "{withdrawn:?}");
    assert_eq!((world.state(1), world.state(2)), (TaskState::Canceled, TaskState::Skipped));
    assert!(matches!(world.hand(1, 1, 7, "late"), Err(Rejected::Final { state: TaskState::Canceled, .. })));
    assert!(matches!(world.fail(1, 1, 7, false), Err(Rejected::Final { .. })));
    assert!(matches!(world.cancel(Some(1)), Err(Rejected::Final { .. })));
    assert_eq!(world.plan.outstanding(), 0);
}
