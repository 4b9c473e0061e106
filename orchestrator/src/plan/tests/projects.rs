//! A project's end, its result and applies; dispatch between projects.

use super::support::{BASE, START, World, asked_for, created, spec, task};
use crate::plan::{
    Command, Event, Plan, ProjectState, Rejected, TaskState,
    event::{Fact, TaskSpec},
    pick,
};
use bus_schemas::id::ProjectId;
use uuid::Uuid;

#[test]
fn the_result_is_what_no_later_task_built_on() {
    let mut world = World::new(vec![spec(1, &[]), spec(2, &[1]), spec(3, &[])]);
    world.finish(1, "one");
    world.finish(3, "three");
    let outcome = world.finish(2, "two");
    let merge = Command::MergeResult { parents: vec!["two".to_owned(), "three".to_owned()] };
    assert!(outcome.commands.contains(&merge), "{outcome:?}");
    assert_eq!(world.plan.state(), ProjectState::Working);
    let merged = Fact::ResultMerged { commit: "all".to_owned() };
    let outcome = world.step(merged.clone()).unwrap();
    assert_eq!(outcome.commands, vec![Command::ProjectChanged]);
    assert_eq!((world.plan.state(), world.plan.result_commit()), (ProjectState::Completed, Some("all")));
    assert!(matches!(world.step(merged), Err(Rejected::WrongProjectState { .. })));
}

#[test]
fn one_commit_is_the_result_without_a_merge() {
    let mut world = World::new(vec![spec(1, &[]), spec(2, &[1]), spec(3, &[])]);
    world.finish(3, BASE);
    world.finish(1, "one");
    world.finish(2, "two");
    assert_eq!((world.plan.state(), world.plan.result_commit()), (ProjectState::Completed, Some("two")));
    let empty = World::new(Vec::new());
    assert_eq!((empty.plan.state(), empty.plan.result_commit()), (ProjectState::Completed, Some(BASE)));
}

#[test]
fn a_skipped_task_leaves_its_needs_to_the_result() {
    let mut world = World::new(vec![spec(1, &[]), TaskSpec { has_when: true, ..spec(2, &[1]) }]);
    world.finish(1, "one");
    world.prepared(2, "one", false).unwrap();
    assert_eq!((world.plan.state(), world.plan.result_commit()), (ProjectState::Completed, Some("one")));
}

#[test]
fn a_result_that_does_not_merge_fails_the_project() {
    let mut world = World::new(vec![spec(1, &[]), spec(2, &[])]);
    world.finish(1, "one");
    world.finish(2, "two");
    world.step(Fact::ResultMergeFailed { reason: "merge conflict in a.txt".to_owned() }).unwrap();
    assert_eq!((world.plan.state(), world.plan.reason()), (ProjectState::Failed, "merge conflict in a.txt"));
}

#[test]
fn canceling_a_project_ends_every_task() {
    let mut world = World::new(vec![spec(1, &[]), spec(2, &[1]), spec(3, &[]), super::support::asking(4, &[])]);
    world.work(1, 7);
    world.finish(3, "three");
    world.finish(4, "four");
    let outcome = world.cancel(None).unwrap();
    assert_eq!(world.plan.state(), ProjectState::Canceled);
    let states = [1, 2, 3, 4].map(|n| world.state(n));
    assert_eq!(states, [TaskState::Canceled, TaskState::Canceled, TaskState::Completed, TaskState::Canceled]);
    assert_eq!(asked_for(&outcome).len(), 2, "an attempt to withdraw and a request to close: {outcome:?}");
    assert_eq!((world.plan.open_tasks(), world.plan.outstanding()), (0, 0));
    assert!(matches!(world.cancel(None), Err(Rejected::WrongProjectState { .. })));
    assert!(matches!(world.hand(1, 1, 7, "late"), Err(Rejected::Final { .. })));
}

#[test]
fn a_result_is_applied_undone_and_applied_again() {
    let mut world = World::new(vec![spec(1, &[])]);
    let start = |before: &str| Fact::ApplyStarted {
        by: "ann".to_owned(),
        channel: String::new(),
        before_commit: before.to_owned(),
        after_commit: "after".to_owned(),
    };
    let undo = Fact::ApplyUndone { by: "ann".to_owned(), channel: String::new() };
    assert!(matches!(world.step(start("b1")), Err(Rejected::WrongProjectState { .. })));
    world.finish(1, "one");
    assert!(matches!(world.step(undo.clone()), Err(Rejected::WrongApply { .. })));
    assert!(matches!(world.step(Fact::ApplyFinished), Err(Rejected::WrongApply { .. })));
    let outcome = world.step(start("b1")).unwrap();
    let write = Command::WriteFolder { before_commit: "b1".to_owned(), after_commit: "after".to_owned() };
    assert_eq!(asked_for(&outcome), vec![write]);
    assert!(matches!(world.step(start("b2")), Err(Rejected::WrongApply { .. })));
    world.step(Fact::ApplyFinished).unwrap();
    assert_eq!(world.plan.applied_at(), Some(world.now));
    assert!(matches!(world.step(Fact::ApplyFinished), Err(Rejected::WrongApply { .. })));
    world.step(undo.clone()).unwrap();
    assert_eq!(world.plan.applied_at(), None);
    assert!(matches!(world.step(undo), Err(Rejected::WrongApply { .. })));
    world.step(start("b2")).unwrap();
    assert_eq!(world.plan.applies().len(), 2);
}

fn applying() -> World {
    let mut world = World::new(vec![spec(1, &[])]);
    world.finish(1, "one");
    world.step(start_apply()).unwrap();
    world
}

fn start_apply() -> Fact {
    Fact::ApplyStarted {
        by: "ann".to_owned(),
        channel: String::new(),
        before_commit: "b".to_owned(),
        after_commit: "a".to_owned(),
    }
}

fn write() -> Command {
    Command::WriteFolder { before_commit: "b".to_owned(), after_commit: "a".to_owned() }
}

#[test]
fn an_apply_that_wrote_nothing_is_as_if_it_had_never_begun() {
    let mut world = applying();
    let stopped = Fact::ApplyStopped { detail: "out is in the way".to_owned() };
    world.step(stopped.clone()).unwrap();
    assert_eq!((world.plan.standing_apply(), world.plan.applied_at()), (None, None));
    let late = [
        stopped,
        Fact::ApplyFinished,
        Fact::ApplyStalled { detail: String::new() },
        Fact::ApplyResumed { by: "ann".to_owned(), channel: String::new() },
        Fact::ApplyUndone { by: "ann".to_owned(), channel: String::new() },
    ];
    for fact in late {
        assert!(matches!(world.step(fact), Err(Rejected::WrongApply { .. })));
    }
    assert_eq!(asked_for(&world.step(start_apply()).unwrap()), vec![write()]);
    world.step(Fact::ApplyFinished).unwrap();
    assert!(world.plan.applied_at().is_some());
}

#[test]
fn a_half_written_apply_stays_until_it_goes_on_or_is_taken_back() {
    let mut world = applying();
    let resumed = Fact::ApplyResumed { by: "ann".to_owned(), channel: String::new() };
    let stalled = Fact::ApplyStalled { detail: "the disk is full".to_owned() };
    assert!(matches!(world.step(resumed.clone()), Err(Rejected::WrongApply { .. })), "it is being written");
    world.step(stalled.clone()).unwrap();
    assert_eq!(world.plan.standing_apply().unwrap().stalled.as_deref(), Some("the disk is full"));
    assert!(matches!(world.step(Fact::ApplyStopped { detail: String::new() }), Err(Rejected::WrongApply { .. })));
    assert!(matches!(world.step(start_apply()), Err(Rejected::WrongApply { .. })));
    assert_eq!(asked_for(&world.step(resumed.clone()).unwrap()), vec![write()]);
    assert!(matches!(world.step(resumed.clone()), Err(Rejected::WrongApply { .. })), "once");
    world.step(stalled).unwrap();
    world.step(Fact::ApplyUndone { by: "ann".to_owned(), channel: String::new() }).unwrap();
    assert_eq!(world.plan.standing_apply(), None);
    for late in [Fact::ApplyFinished, resumed] {
        assert!(matches!(world.step(late), Err(Rejected::WrongApply { .. })), "what was taken back stays so");
    }
    world.step(start_apply()).unwrap();
    world.step(Fact::ApplyUndone { by: "ann".to_owned(), channel: String::new() }).unwrap();
    assert!(matches!(world.step(Fact::ApplyFinished), Err(Rejected::WrongApply { .. })), "written while it was undone");
}

#[test]
fn the_first_event_creates_and_only_the_first() {
    let first = created(vec![spec(1, &[])], false);
    let other = Event { at: START, fact: Fact::ApplyFinished };
    assert_eq!(Plan::create(&other).unwrap_err(), Rejected::NotFirst { event: "apply_finished" });
    assert_eq!(Plan::fold([]).unwrap_err(), Rejected::NoEvents);
    let mut world = World::new(vec![spec(1, &[])]);
    assert_eq!(world.step(first.fact).unwrap_err(), Rejected::AlreadyCreated);
    let circle = created(vec![spec(1, &[2]), spec(2, &[1])], false);
    assert!(matches!(Plan::create(&circle), Err(Rejected::BadPlan(_))));
}

fn project(n: u128, tasks: u128) -> Plan {
    let mut event = created((0..tasks).map(|t| spec(n * 100 + t, &[])).collect(), false);
    if let Fact::ProjectCreated(created) = &mut event.fact {
        created.project_id = ProjectId::from_uuid(Uuid::from_u128(n));
    }
    Plan::create(&event).unwrap().0
}

#[test]
fn slots_are_shared_fairly_between_projects() {
    let (mut big, small) = (project(1, 10), project(2, 2));
    let picks = pick([&big, &small].into_iter(), 5, START);
    let of = |n| picks.iter().filter(|(id, _, _)| *id == ProjectId::from_uuid(Uuid::from_u128(n))).count();
    assert_eq!((picks.len(), of(1), of(2)), (5, 3, 2), "{picks:?}");
    assert_eq!(picks[0], (big.project_id(), task(100), 1));
    assert!(pick([&big, &small].into_iter(), 0, START).is_empty());
    for n in 100..102 {
        crate::plan::step(&mut big, &Event { at: START, fact: Fact::AttemptOffered { task_id: task(n), number: 1 } })
            .unwrap();
    }
    let picks = pick([&big, &small].into_iter(), 2, START);
    assert!(picks.iter().all(|(id, _, _)| *id == small.project_id()), "who has less goes first: {picks:?}");
}

#[test]
fn who_waits_longest_goes_first() {
    let mut world = World::new(vec![spec(1, &[2]), spec(2, &[]), spec(3, &[])]);
    world.wait(10);
    world.finish(2, "two");
    let picks = pick([&world.plan].into_iter(), 9, world.now);
    assert_eq!(picks.iter().map(|(_, id, _)| *id).collect::<Vec<_>>(), [task(3), task(1)]);
    assert_eq!(pick([&world.plan].into_iter(), 9, START).len(), 1, "not before it is ready");
}

#[test]
fn a_chain_of_ten_thousand_is_skipped_in_one_step() {
    let specs = (0..10_000_u128).map(|n| if n == 0 { spec(n, &[]) } else { spec(n, &[n - 1]) }).collect();
    let mut world = World::new(specs);
    let number = world.work(0, 7);
    let outcome = world.fail(0, number, 7, false).unwrap();
    assert_eq!(outcome.touched.len(), 10_000);
    assert_eq!((world.state(9_999), world.plan.state()), (TaskState::Skipped, ProjectState::Failed));
}
