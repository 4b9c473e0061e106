//! Arrow 7: `foreach` tasks and their children.

use super::support::{BASE, World, asked_for, spec, task};
use crate::plan::{
    Command, ProjectState, Rejected, TaskState,
    event::{Fact, TaskSpec},
};

fn expanded(children: Vec<TaskSpec>) -> World {
    let foreach = TaskSpec { is_foreach: true, ..spec(1, &[]) };
    let mut world = World::new(vec![foreach, spec(2, &[1])]);
    let prepare =
        Command::Prepare { task_id: task(1), parents: vec![BASE.to_owned()], evaluate_when: false, expand: true };
    assert!(world.created.commands.contains(&prepare));
    assert!(matches!(world.prepared(1, BASE, true), Err(Rejected::WrongState { .. })), "it must be expanded");
    world.expanded(1, children).unwrap();
    world
}

#[test]
fn what_children_hand_on_is_merged() {
    let mut world = expanded(vec![spec(11, &[]), spec(12, &[]), spec(13, &[])]);
    assert_eq!((world.state(1), world.state(11), world.plan.outstanding()), (TaskState::Working, TaskState::Ready, 0));
    assert_eq!(world.plan.children(task(1)).count(), 3);
    assert_eq!(world.plan.parent(task(12)).unwrap().spec.task_id, task(1));
    world.finish(13, "three");
    world.finish(12, BASE);
    let number = world.work(11, 11);
    let outcome = world.hand_with(11, number, 11, "one", false).unwrap();
    let merge = Command::MergeChildren { task_id: task(1), parents: vec!["one".to_owned(), "three".to_owned()] };
    assert!(outcome.commands.contains(&merge), "{outcome:?}");
    let merged = Fact::ChildrenMerged { task_id: task(1), commit: "both".to_owned() };
    world.step(merged.clone()).unwrap();
    assert_eq!(world.state(1), TaskState::Unverified, "as its least proven child");
    assert_eq!((world.state(2), world.task(2).base_commit.as_deref()), (TaskState::Ready, Some("both")));
    assert!(matches!(world.step(merged), Err(Rejected::Final { .. })));
}

#[test]
fn no_child_and_one_commit_need_no_merge() {
    let world = expanded(Vec::new());
    assert_eq!((world.state(1), world.task(2).base_commit.as_deref()), (TaskState::Completed, Some(BASE)));
    let mut world = expanded(vec![spec(11, &[]), TaskSpec { has_when: true, ..spec(12, &[]) }]);
    world.finish(11, "one");
    assert_eq!((world.state(1), world.state(12)), (TaskState::Working, TaskState::Blocked));
    world.prepared(12, BASE, false).unwrap();
    assert_eq!((world.state(1), world.task(2).base_commit.as_deref()), (TaskState::Completed, Some("one")));
}

#[test]
fn a_bad_child_fails_it_once_all_are_final() {
    let mut world = expanded(vec![spec(11, &[]), spec(12, &[])]);
    let number = world.work(11, 11);
    world.fail(11, number, 11, false).unwrap();
    assert_eq!(world.state(1), TaskState::Working);
    world.finish(12, "two");
    assert_eq!((world.state(1), world.task(1).reason.as_str()), (TaskState::Failed, "t11 is failed"));
    assert_eq!((world.state(2), world.plan.state()), (TaskState::Skipped, ProjectState::Failed));
}

#[test]
fn canceling_it_cancels_its_children() {
    let mut world = expanded(vec![spec(11, &[]), spec(12, &[])]);
    world.work(11, 11);
    let outcome = world.cancel(Some(1)).unwrap();
    assert_eq!(asked_for(&outcome).len(), 1, "one attempt to withdraw: {outcome:?}");
    for n in [1, 11, 12] {
        assert_eq!(world.state(n), TaskState::Canceled);
    }
    assert_eq!(world.state(2), TaskState::Skipped);
}

#[test]
fn children_that_do_not_fit_are_refused() {
    let foreach = TaskSpec { is_foreach: true, ..spec(1, &[]) };
    let mut world = World::new(vec![foreach, spec(2, &[])]);
    let bad = [
        vec![spec(2, &[])],
        vec![spec(11, &[]), spec(11, &[])],
        vec![TaskSpec { is_foreach: true, ..spec(11, &[]) }],
        vec![spec(11, &[2])],
        vec![spec(11, &[77])],
    ];
    for children in bad {
        assert!(matches!(world.expanded(1, children), Err(Rejected::BadChildren { .. })));
    }
    assert!(matches!(world.expanded(2, Vec::new()), Err(Rejected::WrongState { .. })));
}
