//! Pauses and notes: arrows 14 to 16.

use super::{
    agents::{agent, clarifier},
    support::{World, asked_for, asking, nonce, spec, task},
};
use crate::plan::{
    Command, ProjectState, Rejected, Subject, TaskState, due,
    event::{Fact, PauseSpec, TaskKind, TaskSpec, Verdict},
    next_deadline, next_ready_at,
};

#[test]
fn a_question_waits_for_its_answer_and_costs_no_try() {
    let mut world = World::new(vec![agent(1, &[])]);
    world.work(1, 7);
    let outcome = world.ask(1, 7, "blue or green?").unwrap();
    let approval_id = world.task(1).approval_id.unwrap();
    assert!(outcome.commands.contains(&Command::Ask { approval_id }));
    let request = world.plan.approval(approval_id).unwrap();
    assert_eq!(request.subject, Subject::Question { task_id: task(1), number: 1 });
    assert_eq!((request.policy(), request.expires_at), ("ask", None), "always a person");
    assert!(matches!(world.ask(1, 7, "again?"), Err(Rejected::WrongState { .. })));
    assert!(matches!(world.hand(1, 1, 7, "one"), Err(Rejected::WrongState { .. })), "it is over");
    assert_eq!(next_deadline(&world.plan), None);
    world.wait(500_000);
    assert_eq!(world.decide(1, Verdict::Approved, " "), Err(Rejected::NoteRequired { approval_id }));
    assert!(matches!(world.decide(1, Verdict::ChangesRequested, "x"), Err(Rejected::WrongVerdict { .. })));
    world.decide(1, Verdict::Approved, "blue").unwrap();
    let task_1 = world.task(1);
    assert_eq!((task_1.state, task_1.failures, task_1.max_attempts), (TaskState::Ready, 0, 3));
    assert_eq!((task_1.waited_ms, task_1.resume_from), (500_000, 1));
    assert_eq!(task_1.notes[0].text, "You asked: blue or green?\nThe answer: blue");
    assert_eq!((task_1.notes[0].from.as_str(), task_1.notes[0].id.clone()), ("ann", format!("approval-{approval_id}")));
    world.finish(1, "one");
    assert_eq!((world.task(1).attempt, world.plan.state()), (2, ProjectState::Completed));
}

#[test]
fn a_question_nobody_answers_rejects_the_task() {
    let mut world = World::new(vec![TaskSpec { policy: asking(1, &[]).policy, ..agent(1, &[]) }, spec(2, &[1])]);
    world.work(1, 7);
    world.ask(1, 7, "why?").unwrap();
    world.wait(60_000);
    let events = due(&world.plan, world.now);
    assert_eq!(events.len(), 1, "the task's own deadline for people holds");
    world.step(events[0].fact.clone()).unwrap();
    assert_eq!((world.state(1), world.state(2)), (TaskState::Rejected, TaskState::Skipped));
    let mut world = World::new(vec![agent(1, &[])]);
    world.work(1, 7);
    world.ask(1, 7, "why?").unwrap();
    world.decide(1, Verdict::Rejected, "none of your business").unwrap();
    assert_eq!((world.state(1), world.plan.state()), (TaskState::Rejected, ProjectState::Failed));
}

#[test]
fn a_busy_provider_is_waited_for_and_costs_no_try() {
    let mut world = World::new(vec![agent(1, &[])]);
    for round in 1..=20 {
        let number = world.work(1, 100 + round);
        let resume_at = world.now.plus_ms(30_000);
        world.pause_at(1, 100 + round, PauseSpec::RateLimited { resume_at }, u32::try_from(round).unwrap()).unwrap();
        assert_eq!(next_ready_at(&world.plan, world.now), Some(resume_at));
        assert!(matches!(world.hand(1, number, 100 + round, "late"), Err(Rejected::StaleAttempt { .. })));
        world.now = resume_at;
        assert!(due(&world.plan, world.now).is_empty(), "the wait does not count");
    }
    assert_eq!((world.task(1).failures, world.task(1).waited_ms), (0, 600_000));
    world.finish(1, "one");
    assert_eq!(world.state(1), TaskState::Completed);
}

fn paused_without_progress(pause: &PauseSpec, times: u32) -> World {
    let mut world = World::new(vec![agent(1, &[])]);
    for _ in 0..times {
        assert_eq!(world.task(1).failures, 0);
        world.work(1, 7);
        world.pause_at(1, 7, pause.clone(), 0).unwrap();
        world.wait(10_000);
    }
    world
}

#[test]
fn pauses_without_progress_are_a_failed_attempt_in_the_end() {
    let busy = PauseSpec::RateLimited { resume_at: bus_schemas::time::UnixMs(0) };
    for (pause, times) in [(busy, 5), (PauseSpec::Budget, 3)] {
        let world = paused_without_progress(&pause, times);
        let task_1 = world.task(1);
        assert_eq!((task_1.state, task_1.failures), (TaskState::Ready, 1));
        assert_eq!(task_1.failure.as_ref().unwrap().reason, "no_progress");
        let mut world = paused_without_progress(&pause, times - 1);
        world.work(1, 7);
        world.pause_at(1, 7, pause, 1).unwrap();
        assert_eq!(world.task(1).failures, 0, "it came further");
    }
}

#[test]
fn a_wait_is_neither_nothing_nor_for_ever() {
    for (resume_at, wait) in [(0, 800), (i64::MAX, 24 * 3_600_000)] {
        let mut world = World::new(vec![agent(1, &[])]);
        world.work(1, 7);
        world.pause(1, 7, PauseSpec::RateLimited { resume_at: bus_schemas::time::UnixMs(resume_at) }).unwrap();
        let waits = next_ready_at(&world.plan, world.now).unwrap().since(world.now);
        assert!(waits >= wait && waits <= wait.max(1_200), "{waits}");
    }
}

#[test]
fn a_pause_for_a_limit_that_was_raised_goes_on_soon() {
    let mut world = World::new(vec![agent(1, &[])]);
    world.work(1, 7);
    let outcome = world.pause(1, 7, PauseSpec::Budget).unwrap();
    assert_eq!((world.state(1), outcome.approvals), (TaskState::Ready, vec![]));
    assert!(next_ready_at(&world.plan, world.now).is_some(), "not at once: it would go round and round");
}

#[test]
fn an_agent_starts_afresh_where_going_on_led_nowhere() {
    let mut world = World::new(vec![TaskSpec { max_attempts: 9, ..agent(1, &[]) }]);
    for (reason, resume_from) in [("check_failed", 1), ("nothing_done", 0), ("guest_lost", 3), ("out_of_turns", 0)] {
        let number = world.work(1, 7);
        let (reason, detail) = (reason.to_owned(), String::new());
        let (task_id, nonce) = (task(1), nonce(7));
        world.step(Fact::AttemptFailed { task_id, number, nonce, reason, detail, retryable: true, vm_ms: 0 }).unwrap();
        assert_eq!(world.task(1).resume_from, resume_from);
        world.wait(10_000);
    }
    assert_eq!(world.task(1).afresh_after, 4, "attempts after it do not go back beyond it");
}

/// An agent's handoff that another agent's task needs, which a host works on as claim 7.
fn handed_over() -> World {
    let mut world = World::new(vec![agent(1, &[]), agent(2, &[1]), spec(3, &[])]);
    world.finish(1, "one");
    world.work(2, 7);
    world
}

#[test]
fn a_handoff_goes_back_with_a_question_once() {
    let mut world = handed_over();
    world.bounce(2, 7, 1, 20).unwrap();
    assert_eq!((world.state(2), world.state(20)), (TaskState::Blocked, TaskState::Ready));
    assert_eq!(world.task(20).base_commit.as_deref(), Some("one"));
    assert_eq!(world.plan.asker(task(20)).unwrap().spec.task_id, task(2));
    assert_eq!(next_deadline(&world.plan), None, "no clock of the task runs meanwhile");
    world.wait(500_000);
    world.work(20, 8);
    let fact = Fact::HandoffReceived {
        task_id: task(20),
        number: 1,
        nonce: nonce(8),
        commit: "one".to_owned(),
        proven: false,
        digest: String::new(),
        approval_id: world.fresh(),
        vm_ms: 0,
        answer: Some("it is the second file".to_owned()),
        route: None,
    };
    world.step(fact).unwrap();
    let task_2 = world.task(2);
    assert_eq!((task_2.state, task_2.failures, task_2.waited_ms), (TaskState::Ready, 0, 500_000));
    assert_eq!(task_2.notes[0].text, "it is the second file");
    assert_eq!((task_2.notes[0].from.as_str(), task_2.base_commit.as_deref()), ("t1", Some("one")));
    world.work(2, 9);
    world.bounce(2, 9, 1, 21).unwrap();
    let task_2 = world.task(2);
    assert_eq!((task_2.state, task_2.failures), (TaskState::Ready, 1), "the second time is a failed attempt");
    assert_eq!(task_2.notes[1].text, "bounce_refused: t1 was asked once already");
    assert!(world.plan.task(task(21)).is_none());
    world.wait(10_000);
    world.finish(2, "two");
    let outcome = world.finish(3, "three");
    let parents = vec!["two".to_owned(), "three".to_owned()];
    assert!(outcome.commands.contains(&Command::MergeResult { parents }), "a clarifier is no part of the result");
}

#[test]
fn no_answer_is_an_answer_too() {
    let mut world = handed_over();
    world.bounce(2, 7, 1, 20).unwrap();
    let number = world.work(20, 8);
    world.fail(20, number, 8, false).unwrap();
    assert_eq!((world.state(20), world.state(2)), (TaskState::Failed, TaskState::Ready));
    assert_eq!(world.task(2).notes[0].text, "there is no answer: t20 is failed");
    world.finish(2, "two");
    world.finish(3, "two");
    assert_eq!(world.plan.state(), ProjectState::Completed, "a clarifier does not make the project fail");
}

#[test]
fn who_stops_the_task_that_asks_stops_the_clarifier() {
    let mut world = handed_over();
    world.bounce(2, 7, 1, 20).unwrap();
    world.work(20, 8);
    let outcome = world.cancel(Some(2)).unwrap();
    assert_eq!((world.state(2), world.state(20)), (TaskState::Canceled, TaskState::Canceled));
    assert!(matches!(&asked_for(&outcome)[..], [Command::CancelAttempt { .. }]));
}

#[test]
fn questions_that_cannot_be_put_are_failed_attempts() {
    let bad: [(u128, TaskSpec); 5] = [
        (3, clarifier(20)),
        (9, clarifier(20)),
        (1, agent(20, &[])),
        (1, TaskSpec { key: "t3".to_owned(), ..clarifier(20) }),
        (1, TaskSpec { needs: vec![task(3)], ..clarifier(20) }),
    ];
    for (need, clarifier) in bad {
        let mut world = handed_over();
        world.pause(2, 7, PauseSpec::Bounce { need: task(need), clarifier: Box::new(clarifier) }).unwrap();
        assert_eq!((world.state(2), world.task(2).failures), (TaskState::Ready, 1));
        assert_eq!(world.plan.tasks().len(), 3);
    }
    let mut world = World::new(vec![spec(1, &[]), agent(2, &[1])]);
    world.finish(1, "one");
    world.work(2, 7);
    world.bounce(2, 7, 1, 20).unwrap();
    assert_eq!(world.task(2).failure.as_ref().unwrap().detail, "t1 has no agent that could be asked");
}

#[test]
fn a_clarifier_uses_the_budget_of_the_task_that_asks() {
    let mut world = handed_over();
    world.bounce(2, 7, 1, 20).unwrap();
    world.work(20, 8);
    world.reserve(20, 8, 1, super::agents::tokens(5)).unwrap();
    assert_eq!((world.task(2).ledger.reserved.tokens, world.plan.ledger().reserved.tokens), (5, 5));
    assert_eq!(world.task(20).spec.kind, TaskKind::Clarifier);
}

#[test]
fn a_note_reaches_the_attempt_that_runs_and_those_after_it() {
    let mut world = World::new(vec![agent(1, &[])]);
    assert_eq!(asked_for(&world.note(1, "n1", "hurry").unwrap()), [], "nobody works on it yet");
    world.work(1, 7);
    let tell = Command::TellAttempt { task_id: task(1), number: 1, note_id: "n2".to_owned() };
    assert_eq!(asked_for(&world.note(1, "n2", "stop").unwrap()), [tell]);
    assert!(world.note(1, "n2", "stop").unwrap().is_nothing());
    let notes: Vec<_> = world.task(1).notes.iter().map(|note| note.text.as_str()).collect();
    assert_eq!(notes, ["hurry", "stop"]);
    world.hand(1, 1, 7, "one").unwrap();
    assert!(matches!(world.note(1, "n3", "late"), Err(Rejected::Final { .. })));
}

#[test]
fn a_note_to_a_foreach_reaches_its_children() {
    let foreach = TaskSpec { is_foreach: true, ..agent(1, &[]) };
    let mut world = World::new(vec![foreach]);
    world.note(1, "n1", "before").unwrap();
    world.expanded(1, vec![agent(11, &[]), agent(12, &[])]).unwrap();
    world.work(11, 7);
    let outcome = world.note(1, "n2", "after").unwrap();
    let tell = Command::TellAttempt { task_id: task(11), number: 1, note_id: "n2".to_owned() };
    assert_eq!(asked_for(&outcome), [tell]);
    assert_eq!(world.task(12).notes.len(), 2);
}
