//! Changes of a running plan, and skills.

use super::{
    agents::{agent, created_with},
    support::{World, asked_for, asking, nonce, policy, spec, task},
};
use crate::plan::{
    Command, PatchState, ProjectState, Rejected, Subject, TaskState,
    event::{Fact, PatchSpec, TaskKind, TaskSpec, Verdict},
};

/// 1 is worked on as claim 7; 2 needs it, 3 needs 2; 4 is ready.
fn working(asks: bool) -> World {
    let tasks = vec![agent(1, &[]), spec(2, &[1]), spec(3, &[2]), spec(4, &[])];
    let mut world = World::with(&created_with(tasks, false, |created| created.replan_policy = Some(policy(asks))));
    world.work(1, 7);
    world
}

fn add(tasks: Vec<TaskSpec>) -> PatchSpec {
    PatchSpec { add: tasks, ..PatchSpec::default() }
}

fn drops(numbers: &[u128]) -> PatchSpec {
    PatchSpec { drop: numbers.iter().copied().map(task).collect(), ..PatchSpec::default() }
}

fn rewires(n: u128, needs: &[u128]) -> PatchSpec {
    let needs = needs.iter().copied().map(task).collect();
    PatchSpec { needs: vec![(task(n), needs)], ..PatchSpec::default() }
}

fn decide_patch(world: &mut World, verdict: Verdict, note: &str) -> PatchState {
    let request = world.plan.pending_approvals().find(|request| matches!(request.subject, Subject::Patch { .. }));
    let approval_id = request.unwrap().approval_id;
    world.decide_as(approval_id, "patch", verdict, note).unwrap();
    world.plan.patch(approval_id).unwrap().state.clone()
}

#[test]
fn a_policy_can_put_a_change_into_force_at_once() {
    let mut world = working(false);
    let patch = PatchSpec { add: vec![spec(5, &[4]), spec(6, &[5])], drop: vec![task(3)], ..rewires(2, &[6]) };
    let outcome = world.patch(1, 7, patch).unwrap();
    let approval_id = *outcome.approvals.first().unwrap();
    assert_eq!(asked_for(&outcome), [Command::PatchApplied { approval_id }]);
    assert_eq!(world.plan.patch(approval_id).unwrap().state, PatchState::Applied);
    assert_eq!((world.state(3), world.task(3).reason.as_str()), {
        (TaskState::Skipped, "a change of the plan dropped it")
    });
    assert_eq!((world.state(2), world.state(5)), (TaskState::Blocked, TaskState::Blocked));
    world.hand(1, 1, 7, "one").unwrap();
    assert_eq!(world.state(2), TaskState::Blocked, "it does not need 1 any more");
    for (n, commit) in [(4, "four"), (5, "five"), (6, "six"), (2, "two")] {
        world.finish(n, commit);
    }
    let parents = ["one".to_owned(), "two".to_owned()];
    world.step(Fact::ResultMerged { commit: parents.join("+") }).unwrap();
    assert_eq!(world.plan.state(), ProjectState::Completed, "what was dropped fails nothing");
}

#[test]
fn a_person_decides_and_the_agent_hears_of_it() {
    let mut world = working(true);
    let outcome = world.patch(1, 7, add(vec![spec(5, &[])])).unwrap();
    assert!(matches!(&asked_for(&outcome)[..], [Command::Ask { .. }]));
    let again = world.patch(1, 7, add(vec![spec(6, &[])]));
    assert!(matches!(again, Err(Rejected::PatchPending { .. })), "one after the other: {again:?}");
    assert_eq!(decide_patch(&mut world, Verdict::Approved, ""), PatchState::Applied);
    assert_eq!(world.state(5), TaskState::Ready);
    assert_eq!(world.task(1).notes.last().unwrap().text, "Your change of the plan is in force.");
    world.patch(1, 7, add(vec![spec(6, &[])])).unwrap();
    let state = decide_patch(&mut world, Verdict::Rejected, "too much");
    assert_eq!(state, PatchState::Void("ann rejected: too much".to_owned()));
    assert!(world.plan.task(task(6)).is_none());
    assert!(world.task(1).notes.last().unwrap().text.ends_with("ann rejected: too much"));
}

#[test]
fn a_change_that_no_longer_fits_is_void() {
    let mut world = working(true);
    world.patch(1, 7, drops(&[4])).unwrap();
    world.finish(4, "four");
    let state = decide_patch(&mut world, Verdict::Approved, "");
    assert_eq!(state, PatchState::Void("it no longer fits: t4 has started: it is completed".to_owned()));
    assert_eq!(world.state(4), TaskState::Completed);
}

#[test]
fn what_has_not_started_can_wait_for_something_else() {
    let mut world = working(false);
    assert_eq!(world.state(4), TaskState::Ready);
    world.patch(1, 7, rewires(4, &[1])).unwrap();
    assert_eq!((world.state(4), world.task(4).base_commit.clone()), (TaskState::Blocked, None));
    assert!(matches!(world.offer(4, 1), Err(Rejected::WrongState { .. })));
    world.patch(1, 7, rewires(3, &[])).unwrap();
    assert_eq!(world.state(3), TaskState::Ready);
    world.hand(1, 1, 7, "one").unwrap();
    assert_eq!(world.task(4).base_commit.as_deref(), Some("one"));
    assert_eq!(world.task(4).spec.needs, [task(1)]);
}

#[test]
fn patches_that_do_not_fit_are_refused() {
    let foreach = TaskSpec { is_foreach: true, ..spec(5, &[]) };
    let tasks = vec![agent(1, &[]), spec(2, &[1]), spec(3, &[2]), foreach, spec(6, &[])];
    let mut world = World::with(&created_with(tasks, false, |created| created.replan_policy = Some(policy(false))));
    world.expanded(5, vec![agent(51, &[])]).unwrap();
    let number = world.work(6, 6);
    world.fail(6, number, 6, false).unwrap();
    world.work(1, 7);
    let bad = [
        (PatchSpec::default(), "the patch changes nothing"),
        (drops(&[2]), "t3 still needs t2, which is dropped"),
        (drops(&[1]), "t1 has started: it is working"),
        (drops(&[5]), "t5 has started: it is working"),
        (drops(&[51]), "t51 is not a task of the plan itself"),
        (drops(&[6]), "t6 has started: it is failed"),
        (rewires(1, &[]), "t1 has started: it is working"),
        (rewires(2, &[3]), "circle"),
        (rewires(3, &[51]), "t51 is not a task of the plan itself"),
        (rewires(3, &[6]), "t6 is failed and cannot be needed"),
        (rewires(3, &[99]), "is no task of the plan"),
        (add(vec![spec(2, &[])]), "task t2 is there already"),
        (add(vec![TaskSpec { key: "t2".to_owned(), ..spec(9, &[]) }]), "task t2 is there already"),
        (add(vec![TaskSpec { kind: TaskKind::Planner, ..spec(9, &[]) }]), "task t9 is none that a plan can have"),
        (add(vec![spec(9, &[99])]), "is no task of the plan"),
        (add(vec![spec(8, &[9]), spec(9, &[8])]), "circle"),
        (PatchSpec { drop: vec![task(3)], ..rewires(3, &[]) }, "t3 cannot be rewired"),
        (PatchSpec { drop: vec![task(3)], ..add(vec![spec(9, &[3])]) }, "t3 is dropped and cannot be needed"),
    ];
    for (patch, said) in bad {
        let result = world.patch(1, 7, patch.clone());
        let Err(Rejected::BadPatch { problem }) = result else { panic!("{patch:?}: {result:?}") };
        assert!(problem.contains(said), "{problem} / {said}");
    }
    assert!(matches!(world.patch(1, 8, drops(&[3])), Err(Rejected::WrongNonce { .. })));
}

#[test]
fn a_project_waits_for_the_decision_about_a_change() {
    let mut world = World::new(vec![agent(1, &[])]);
    world.work(1, 7);
    world.patch(1, 7, add(vec![spec(2, &[1])])).unwrap();
    world.hand(1, 1, 7, "one").unwrap();
    assert_eq!((world.plan.state(), world.plan.open_tasks()), (ProjectState::Working, 0));
    assert_eq!(decide_patch(&mut world, Verdict::Approved, ""), PatchState::Applied);
    world.finish(2, "two");
    assert_eq!((world.plan.state(), world.plan.result_commit()), (ProjectState::Completed, Some("two")));
    for verdict in [Verdict::Rejected, Verdict::ChangesRequested] {
        let mut world = World::new(vec![agent(1, &[])]);
        world.work(1, 7);
        world.patch(1, 7, add(vec![spec(2, &[1])])).unwrap();
        world.hand(1, 1, 7, "one").unwrap();
        decide_patch(&mut world, verdict, "no");
        assert_eq!(world.plan.state(), ProjectState::Completed);
    }
}

#[test]
fn a_project_that_fails_or_is_stopped_voids_the_change() {
    let mut world = working(true);
    let outcome = world.patch(1, 7, drops(&[4])).unwrap();
    let approval_id = *outcome.approvals.first().unwrap();
    world.cancel(None).unwrap();
    assert!(matches!(world.plan.patch(approval_id).unwrap().state, PatchState::Void(_)));
    let mut world = World::new(vec![agent(1, &[])]);
    world.work(1, 7);
    world.patch(1, 7, add(vec![spec(2, &[1])])).unwrap();
    world.fail(1, 1, 7, false).unwrap();
    assert_eq!((world.plan.state(), world.plan.pending_approvals().count()), (ProjectState::Failed, 0));
}

#[test]
fn a_dropped_task_that_waits_for_people_or_has_begun_stays() {
    let mut world = World::with(&created_with(vec![agent(1, &[]), asking(2, &[])], false, |created| {
        created.replan_policy = Some(policy(false));
    }));
    world.finish(2, "two");
    world.work(1, 7);
    assert_eq!(world.state(2), TaskState::InputRequired);
    assert!(matches!(world.patch(1, 7, drops(&[2])), Err(Rejected::BadPatch { .. })));
}

#[test]
fn a_skill_is_admitted_by_a_person_even_after_the_end() {
    let mut world = World::new(vec![agent(1, &[])]);
    world.work(1, 7);
    let approval_id = world.fresh();
    let fact = Fact::SkillProposed {
        task_id: task(1),
        number: 1,
        nonce: nonce(7),
        name: "log-triage".to_owned(),
        approval_id,
        digest: "files".to_owned(),
        route: None,
    };
    world.step(fact.clone()).unwrap();
    assert_eq!(world.step(fact), Err(Rejected::DuplicateApproval { approval_id }));
    assert_eq!(world.plan.skill(approval_id), Some("log-triage"));
    world.hand(1, 1, 7, "one").unwrap();
    assert_eq!(world.plan.state(), ProjectState::Completed, "nobody waits for it");
    let outcome = world.decide_as(approval_id, "files", Verdict::Approved, "").unwrap();
    let admit = Command::AdmitSkill { approval_id, name: "log-triage".to_owned() };
    assert!(outcome.commands.contains(&admit));
}
