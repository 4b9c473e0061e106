//! Projects that begin with a planner, and plans that are proposed before the start: arrows 17 and 18.

use super::{
    agents::{created_with, limit},
    support::{PLAN_APPROVAL, World, approval, asked_for, policy, spec, task},
};
use crate::plan::{
    BudgetSpec, Command, Decided, Plan, ProjectState, Rejected, Resource, Subject, TaskState,
    event::{Fact, TaskKind, TaskSpec, Verdict},
};

/// A planner whose handoff is being checked.
fn checking(asks: bool, budget: BudgetSpec) -> World {
    let mut world = World::planned(asks, budget);
    assert_eq!((world.plan.state(), world.state(1)), (ProjectState::Planning, TaskState::Ready));
    assert_eq!(world.plan.approvals().count(), 0, "there is no plan to approve yet");
    let outcome = world.finish(1, "base");
    assert_eq!(asked_for(&outcome), vec![Command::AdoptPlan { task_id: task(1) }]);
    assert_eq!((world.state(1), world.plan.outstanding()), (TaskState::Blocked, 0));
    world
}

fn decide_plan(world: &mut World, verdict: Verdict, note: &str) {
    let request = world.plan.pending_approvals().find(|request| request.subject == Subject::Plan).unwrap();
    let (approval_id, digest) = (request.approval_id, request.digest.clone());
    world.decide_as(approval_id, &digest, verdict, note).unwrap();
}

#[test]
fn a_planner_s_plan_is_approved_and_worked_on() {
    let mut world = checking(true, BudgetSpec::default());
    let outcome = world.propose(Some(1), vec![spec(2, &[]), spec(3, &[2])], false).unwrap();
    assert_eq!(world.plan.state(), ProjectState::AwaitingApproval, "it cannot let itself pass");
    assert_eq!((world.state(1), world.state(2)), (TaskState::InputRequired, TaskState::Blocked));
    assert!(outcome.touched.contains(&task(3)) && outcome.removed.is_empty());
    assert!(matches!(world.offer(2, 1), Err(Rejected::WrongProjectState { .. })));
    decide_plan(&mut world, Verdict::Approved, "");
    assert_eq!((world.plan.state(), world.plan.plan_digest()), (ProjectState::Working, "another"));
    assert_eq!((world.state(1), world.state(2)), (TaskState::Completed, TaskState::Ready));
    world.finish(2, "two");
    world.finish(3, "three");
    assert_eq!((world.plan.state(), world.plan.result_commit()), (ProjectState::Completed, Some("three")));
    assert!(matches!(world.propose(Some(1), vec![], false), Err(Rejected::Final { .. })));
}

#[test]
fn a_policy_can_let_a_planner_s_plan_pass() {
    let mut world = checking(false, BudgetSpec::default());
    world.propose(Some(1), vec![spec(2, &[])], true).unwrap();
    assert_eq!((world.plan.state(), world.state(2)), (ProjectState::Working, TaskState::Ready));
    assert_eq!(world.state(1), TaskState::Completed);
}

#[test]
fn an_unusable_plan_comes_back_with_its_faults_three_times_at_most() {
    let mut world = checking(true, BudgetSpec::default());
    for number in 1..=3 {
        let unusable = Fact::PlanUnusable { task_id: task(1), reason: "a needs a\nb needs b".to_owned() };
        world.step(unusable.clone()).unwrap();
        assert!(matches!(world.step(unusable), Err(Rejected::WrongState { .. } | Rejected::Final { .. })));
        if number < 3 {
            let planner = world.task(1);
            assert_eq!((planner.state, planner.failures, planner.resume_from), (TaskState::Ready, 0, number));
            assert_eq!(planner.notes.last().unwrap().text, "a needs a\nb needs b");
            world.finish(1, "base");
        }
    }
    assert_eq!((world.state(1), world.plan.state()), (TaskState::Failed, ProjectState::Failed));
    assert_eq!(world.task(1).reason, "no usable plan after 3 tries: a needs a");
}

#[test]
fn a_circle_is_no_plan() {
    let mut world = checking(true, BudgetSpec::default());
    let circle = world.propose(Some(1), vec![spec(2, &[3]), spec(3, &[2])], true);
    assert!(matches!(circle, Err(Rejected::BadPlan(_))));
    let helper = TaskSpec { kind: TaskKind::Planner, ..spec(2, &[]) };
    assert!(matches!(world.propose(Some(1), vec![helper], true), Err(Rejected::BadPlan(_))));
    assert!(matches!(world.propose(Some(1), vec![spec(1, &[])], true), Err(Rejected::BadPlan(_))));
    assert!(matches!(world.propose(None, vec![spec(2, &[])], true), Err(Rejected::WrongProjectState { .. })));
}

#[test]
fn another_plan_takes_the_place_of_the_one_before() {
    let mut world = checking(true, BudgetSpec::default());
    world.propose(Some(1), vec![spec(2, &[]), spec(3, &[2])], true).unwrap();
    let first = world.task(1).approval_id.unwrap();
    let outcome = world.propose(None, vec![spec(4, &[])], true).unwrap();
    assert_eq!((outcome.removed, world.plan.open_tasks()), (vec![task(2), task(3)], 2));
    assert!(world.plan.task(task(2)).is_none());
    let closed = world.plan.approval(first).unwrap().decision.clone().unwrap();
    assert_eq!((closed.verdict, closed.channel.as_str()), (Decided::Rejected, "void"));
    assert!(matches!(world.decide_as(first, "another", Verdict::Approved, ""), Err(Rejected::NotPending { .. })));
    decide_plan(&mut world, Verdict::Approved, "");
    world.finish(4, "four");
    assert_eq!(world.plan.state(), ProjectState::Completed);
}

#[test]
fn an_edit_of_a_plan_that_is_another_by_now_is_refused() {
    let mut world = World::asked(vec![spec(1, &[])]);
    let edit = |world: &mut World, of: &str, n| {
        world.propose_instead(of, None, vec![spec(n, &[])], true, BudgetSpec::default())
    };
    edit(&mut world, "plan", 2).unwrap();
    // Somebody else looked at the same plan and was slower.
    assert_eq!(edit(&mut world, "plan", 3).unwrap_err(), Rejected::AnotherPlan);
    assert!(world.plan.task(task(2)).is_some(), "the first edit stands");
    edit(&mut world, "another", 4).unwrap();
}

#[test]
fn a_plan_file_can_be_edited_before_it_is_approved() {
    let mut world = World::asked(vec![spec(1, &[]), spec(2, &[1])]);
    world.propose(None, vec![spec(3, &[])], true).unwrap();
    assert!(matches!(
        world.decide_as(approval(PLAN_APPROVAL), "plan", Verdict::Approved, ""),
        Err(Rejected::NotPending { .. })
    ));
    world.propose(None, vec![spec(4, &[])], false).unwrap();
    assert_eq!((world.plan.state(), world.state(4)), (ProjectState::Working, TaskState::Ready));
    assert!(matches!(world.propose(None, vec![], false), Err(Rejected::WrongProjectState { .. })));
}

#[test]
fn changes_of_a_plan_go_to_its_planner() {
    let mut world = checking(true, BudgetSpec::default());
    world.propose(Some(1), vec![spec(2, &[])], true).unwrap();
    let approval_id = world.task(1).approval_id.unwrap();
    world.wait(40_000);
    decide_plan(&mut world, Verdict::ChangesRequested, "two tasks, please");
    assert_eq!((world.plan.state(), world.state(1)), (ProjectState::Planning, TaskState::Ready));
    assert_eq!((world.plan.tasks().len(), world.plan.open_tasks(), world.task(1).waited_ms), (1, 1, 40_000));
    assert_eq!(world.task(1).notes[0].id, format!("approval-{approval_id}"));
    world.finish(1, "base");
    world.propose(Some(1), vec![spec(3, &[]), spec(4, &[])], true).unwrap();
    decide_plan(&mut world, Verdict::Rejected, "no");
    assert_eq!((world.plan.state(), world.state(1)), (ProjectState::Rejected, TaskState::Canceled));
    assert_eq!((world.plan.open_tasks(), world.state(4)), (0, TaskState::Canceled));
}

#[test]
fn a_project_lives_as_long_as_its_planner() {
    let mut world = World::planned(true, BudgetSpec::default());
    let number = world.work(1, 7);
    world.fail(1, number, 7, false).unwrap();
    assert_eq!((world.plan.state(), world.plan.reason()), (ProjectState::Failed, "task t1 is failed"));
    let mut world = checking(true, BudgetSpec::default());
    world.propose(Some(1), vec![spec(2, &[])], true).unwrap();
    world.cancel(Some(1)).unwrap();
    assert_eq!((world.plan.state(), world.plan.pending_approvals().count()), (ProjectState::Failed, 0));
    assert_eq!(world.state(2), TaskState::Canceled);
}

#[test]
fn a_planner_can_tighten_the_budget_and_not_loosen_it() {
    let given = BudgetSpec { usd_nanos: Some(100), tokens: Some(100), ..BudgetSpec::default() };
    let wanted = BudgetSpec { usd_nanos: Some(50), tokens: Some(500), turns: Some(9), ..BudgetSpec::default() };
    let mut world = checking(true, given);
    world.propose_within(Some(1), vec![spec(2, &[])], true, wanted).unwrap();
    assert_eq!(world.plan.ledger().limits, given, "not in force before it is approved");
    decide_plan(&mut world, Verdict::Approved, "");
    let limits = world.plan.ledger().limits;
    assert_eq!((limits.usd_nanos, limits.tokens, limits.turns), (Some(50), Some(100), Some(9)));
    let mut world = checking(true, given);
    world.propose_within(Some(1), vec![spec(2, &[])], true, wanted).unwrap();
    world.propose_within(None, vec![spec(3, &[])], false, limit(Resource::Tokens, 500)).unwrap();
    assert_eq!(world.plan.state(), ProjectState::AwaitingApproval, "an edited plan cannot let itself pass either");
    decide_plan(&mut world, Verdict::Approved, "");
    let limits = world.plan.ledger().limits;
    assert_eq!((limits.usd_nanos, limits.tokens), (Some(100), Some(500)), "a person can change it");
}

#[test]
fn a_planned_project_begins_with_its_planner_alone() {
    let planner = || TaskSpec { kind: TaskKind::Planner, ..spec(1, &[]) };
    let wrong = [(vec![spec(1, &[])], true), (vec![planner(), spec(2, &[])], true), (vec![planner()], false)];
    for (tasks, planned) in wrong {
        let event = created_with(tasks, false, |created| created.planning = planned.then(|| policy(true)));
        assert_eq!(Plan::create(&event).unwrap_err(), Rejected::NoPlanner);
    }
}
