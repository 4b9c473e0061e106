//! The four limits.

use super::support::{World, asked_for, spec, task};
use crate::plan::{
    Command, Rejected, TaskState, due,
    event::{Fact, Limit, Verdict},
    next_deadline, next_ready_at,
    policy::backoff_ms,
};

#[test]
fn an_offer_nobody_takes_comes_again_and_costs_no_attempt() {
    let mut world = World::new(vec![spec(1, &[])]);
    assert_eq!(next_deadline(&world.plan), None);
    world.offer(1, 1).unwrap();
    assert_eq!(next_deadline(&world.plan), Some(world.now.plus_ms(5_000)));
    assert!(matches!(world.limit(1, 1, Limit::ScheduleToStart), Err(Rejected::NotDue { .. })));
    world.wait(5_000);
    let events = due(&world.plan, world.now);
    assert_eq!(events.len(), 1);
    let outcome = world.step(events[0].fact.clone()).unwrap();
    assert!(matches!(&asked_for(&outcome)[..], [Command::CancelAttempt { number: 1, .. }]));
    assert_eq!((world.state(1), world.task(1).max_attempts), (TaskState::Ready, 3));
    assert!(matches!(world.claim(1, 1, 7), Err(Rejected::StaleAttempt { .. })), "too late");
    world.offer(1, 2).unwrap();
}

#[test]
fn no_offer_comes_again_after_schedule_to_close() {
    let mut world = World::new(vec![spec(1, &[])]);
    let mut offers = 0;
    while !world.state(1).is_final() {
        if world.state(1) == TaskState::Ready {
            offers += 1;
            world.offer(1, offers).unwrap();
        }
        world.now = next_deadline(&world.plan).unwrap();
        for event in due(&world.plan, world.now) {
            // The first can make the second stale.
            drop(world.step(event.fact));
        }
    }
    assert_eq!((world.state(1), offers), (TaskState::Failed, 20));
}

#[test]
fn a_claim_starts_another_clock() {
    let mut world = World::new(vec![spec(1, &[])]);
    world.offer(1, 1).unwrap();
    world.wait(4_000);
    world.claim(1, 1, 7).unwrap();
    assert_eq!(next_deadline(&world.plan), Some(world.now.plus_ms(20_000)));
    assert!(matches!(world.limit(1, 1, Limit::ScheduleToStart), Err(Rejected::WrongState { .. })));
    world.wait(20_000);
    let outcome = world.limit(1, 1, Limit::StartToClose).unwrap();
    assert!(matches!(&asked_for(&outcome)[..], [Command::CancelAttempt { number: 1, .. }]));
    let task = world.task(1);
    assert_eq!((task.state, task.failure.as_ref().unwrap().reason.as_str()), (TaskState::Ready, "timed_out"));
    assert_eq!(task.notes.len(), 1);
    assert!(matches!(world.hand(1, 1, 7, "late"), Err(Rejected::StaleAttempt { .. })));
}

#[test]
fn a_silent_host_loses_its_attempt() {
    let mut world = World::new(vec![spec(1, &[])]);
    world.offer(1, 1).unwrap();
    assert!(matches!(world.limit(1, 1, Limit::Heartbeat), Err(Rejected::WrongState { .. })), "nobody holds it");
    world.claim(1, 1, 7).unwrap();
    assert!(matches!(world.limit(1, 2, Limit::Heartbeat), Err(Rejected::StaleAttempt { .. })));
    world.limit(1, 1, Limit::Heartbeat).unwrap();
    let delay = backoff_ms(&world.task(1).spec, 1);
    assert_eq!(next_ready_at(&world.plan, world.now), Some(world.now.plus_ms(delay)));
    assert_eq!(world.task(1).failure.as_ref().unwrap().reason, "heartbeat_missed");
    world.wait(delay);
    world.work(1, 8);
    world.limit(1, 2, Limit::Heartbeat).unwrap();
    assert_eq!(world.state(1), TaskState::Failed);
}

#[test]
fn waiting_for_people_does_not_count_to_the_whole() {
    let mut world = World::new(vec![super::support::asking(1, &[])]);
    let offered_at = world.now;
    world.finish(1, "one");
    world.wait(50_000);
    world.decide(1, Verdict::ChangesRequested, "again").unwrap();
    assert_eq!(next_deadline(&world.plan), Some(offered_at.plus_ms(150_000)));
    world.wait(60_000);
    assert!(matches!(world.limit(1, 1, Limit::ScheduleToClose), Err(Rejected::NotDue { .. })));
    world.wait(40_000);
    assert_eq!(due(&world.plan, world.now).len(), 1);
    world.limit(1, 1, Limit::ScheduleToClose).unwrap();
    assert_eq!((world.state(1), next_deadline(&world.plan)), (TaskState::Failed, None));
}

#[test]
fn due_lists_the_earliest_first() {
    let mut world = World::new(vec![spec(1, &[]), spec(2, &[])]);
    world.offer(2, 1).unwrap();
    world.wait(1_000);
    world.offer(1, 1).unwrap();
    world.wait(5_000);
    let facts: Vec<_> = due(&world.plan, world.now).into_iter().map(|event| event.fact).collect();
    let reached = |n| Fact::LimitReached { task_id: task(n), number: 1, limit: Limit::ScheduleToStart };
    assert_eq!(facts, [reached(2), reached(1)]);
}
