//! Budgets: reservations, what counts when, warnings, and the waiting at a limit.

use super::{
    agents::{agent, call, limit, tokens},
    support::{World, asked_for, nonce, spec, task},
};
use crate::plan::{
    Amount, BudgetSpec, Command, Rejected, Resource, Subject, TaskState, due,
    event::{Fact, Limit, PauseSpec, TaskSpec, Verdict},
    has_ready, pick,
};

fn within(n: u128, needs: &[u128], budget: BudgetSpec) -> TaskSpec {
    TaskSpec { budget, ..agent(n, needs) }
}

fn over(n: Option<u128>, resource: Resource, used: u64, limit: u64) -> Rejected {
    Rejected::OverBudget { task_id: n.map(task), resource, used, limit }
}

fn filled(n: Option<u128>, resource: Resource, used: u64, limit: u64) -> Rejected {
    Rejected::Reserved { task_id: n.map(task), resource, used, limit }
}

#[test]
fn at_most_one_call_goes_over_a_limit() {
    let mut world = World::new(vec![within(1, &[], limit(Resource::Tokens, 100))]);
    world.work(1, 7);
    world.reserve(1, 7, 1, tokens(60)).unwrap();
    world.reserve(1, 7, 2, tokens(60)).unwrap();
    assert_eq!(world.reserve(1, 7, 3, tokens(1)), Err(filled(Some(1), Resource::Tokens, 120, 100)));
    world.settle(1, 1, 7, 1, tokens(30)).unwrap();
    world.reserve(1, 7, 3, tokens(1)).unwrap();
    let ledger = &world.task(1).ledger;
    assert_eq!((ledger.spent, ledger.reserved.tokens, ledger.reserved.calls), (tokens(30), 61, 2));
    assert_eq!(world.plan.ledger().spent, tokens(30), "the project pays, too");
}

#[test]
fn a_call_is_reserved_and_settled_once() {
    let mut world = World::new(vec![agent(1, &[])]);
    world.offer(1, 1).unwrap();
    world.reserve(1, 7, 1, tokens(60)).unwrap();
    assert_eq!(world.state(1), TaskState::Working, "a call that overtook its claim counts as the claim");
    assert!(world.reserve(1, 7, 1, tokens(60)).unwrap().is_nothing());
    assert!(matches!(world.reserve(1, 8, 2, tokens(1)), Err(Rejected::WrongNonce { .. })));
    assert!(matches!(world.settle(1, 1, 8, 1, tokens(1)), Err(Rejected::UnknownCall { .. })), "another claim");
    world.settle(1, 1, 7, 1, tokens(50)).unwrap();
    assert!(world.settle(1, 1, 7, 1, tokens(40)).unwrap().is_nothing());
    assert!(world.reserve(1, 7, 1, tokens(60)).unwrap().is_nothing(), "late and known");
    assert_eq!((world.task(1).ledger.spent, world.task(1).ledger.reserved), (tokens(50), Amount::default()));
}

#[test]
fn what_a_call_did_cost_may_overtake_its_reservation() {
    let mut world = World::new(vec![agent(1, &[])]);
    world.offer(1, 1).unwrap();
    world.settle(1, 1, 7, 2, tokens(50)).unwrap();
    assert!(world.reserve(1, 7, 2, tokens(60)).unwrap().is_nothing(), "granted, and nothing is reserved");
    assert_eq!((world.task(1).ledger.spent, world.task(1).ledger.reserved), (tokens(50), Amount::default()));
    let unknown = |number| Rejected::UnknownCall { task_id: task(1), number, call_id: call(3) };
    assert_eq!(world.settle(1, 1, 8, 3, tokens(1)), Err(unknown(1)), "another claim");
    assert_eq!(world.settle(1, 2, 7, 3, tokens(1)), Err(unknown(2)), "another attempt");
}

#[test]
fn an_open_reservation_counts_as_spent_until_it_is_settled_however_late() {
    let mut world = World::new(vec![agent(1, &[])]);
    world.work(1, 7);
    world.reserve(1, 7, 1, tokens(60)).unwrap();
    world.hand(1, 1, 7, "one").unwrap();
    assert_eq!((world.state(1), world.plan.state().is_final()), (TaskState::Completed, true));
    assert_eq!((world.plan.ledger().spent, world.plan.ledger().reserved), (tokens(60), Amount::default()));
    let outcome = world.settle(1, 1, 7, 1, tokens(10)).unwrap();
    assert!(outcome.spent && outcome.touched == [task(1)]);
    assert_eq!((world.task(1).ledger.spent, world.plan.ledger().spent), (tokens(10), tokens(10)));
    assert!(world.settle(1, 1, 7, 1, tokens(10)).unwrap().is_nothing());
    assert!(matches!(world.reserve(1, 7, 2, tokens(1)), Err(Rejected::Final { .. })));
}

#[test]
fn a_call_that_ends_up_dearer_than_it_was_reserved_counts_as_what_it_did_cost() {
    let mut world = World::budgeted(vec![agent(1, &[])], limit(Resource::Usd, 100));
    world.work(1, 7);
    world.reserve(1, 7, 1, tokens(1)).unwrap();
    world.settle(1, 1, 7, 1, tokens(50)).unwrap();
    assert_eq!(world.reserve(1, 7, 2, tokens(1)), Err(over(None, Resource::Usd, 500, 100)));
}

#[test]
fn turns_vm_time_and_wall_time_are_limits_of_calls_too() {
    let budget = BudgetSpec { turns: Some(2), vm_ms: Some(1_000), wall_ms: Some(5_000), ..BudgetSpec::default() };
    let mut world = World::new(vec![within(1, &[], budget)]);
    world.work(1, 7);
    let free = Amount::default();
    assert_eq!(world.reserve_after(1, 7, 1, free, 1_000), Err(over(Some(1), Resource::VmMs, 1_000, 1_000)));
    world.reserve_after(1, 7, 1, free, 400).unwrap();
    assert_eq!((world.task(1).ledger.vm_ms, world.plan.ledger().vm_ms), (400, 400));
    world.reserve_after(1, 7, 2, free, 300).unwrap();
    assert_eq!(world.task(1).ledger.vm_ms, 400, "it never goes back");
    assert_eq!(world.reserve(1, 7, 3, free), Err(filled(Some(1), Resource::Turns, 2, 2)), "a reservation is one call");
    world.raise(Some(1), limit(Resource::Turns, 9)).unwrap();
    world.wait(5_000);
    assert_eq!(world.reserve(1, 7, 3, free), Err(over(Some(1), Resource::WallMs, 5_000, 5_000)));
}

#[test]
fn vm_time_of_scripts_counts_when_they_end_and_that_of_lost_ones_from_their_claim() {
    let mut world = World::budgeted(vec![spec(1, &[]), spec(2, &[])], limit(Resource::VmMs, 3_000));
    world.work(1, 7);
    let fact = Fact::HandoffReceived {
        task_id: task(1),
        number: 1,
        nonce: nonce(7),
        commit: "one".to_owned(),
        proven: true,
        digest: String::new(),
        approval_id: world.fresh(),
        vm_ms: 1_600,
        answer: None,
        route: None,
    };
    let outcome = world.step(fact).unwrap();
    let warn = Command::Warn { task_id: None, resource: Resource::VmMs, percent: 50 };
    assert!(outcome.commands.contains(&warn));
    world.work(2, 8);
    world.wait(1_000);
    world.limit(2, 1, Limit::Heartbeat).unwrap();
    assert_eq!((world.task(2).ledger.vm_ms, world.plan.ledger().vm_ms), (1_000, 2_600));
}

#[test]
fn each_warning_comes_once_and_says_the_highest() {
    let mut world = World::new(vec![within(1, &[], limit(Resource::Tokens, 100))]);
    world.work(1, 7);
    let mut spend = |id: u128, n: u64| {
        world.reserve(1, 7, id, tokens(n)).unwrap();
        asked_for(&world.settle(1, 1, 7, id, tokens(n)).unwrap())
    };
    let warn = |percent| Command::Warn { task_id: Some(task(1)), resource: Resource::Tokens, percent };
    assert_eq!(spend(1, 49), []);
    assert_eq!(spend(2, 1), [warn(50)]);
    assert_eq!(spend(3, 10), []);
    assert_eq!(spend(4, 36), [warn(95)], "and not 80, which is past");
    world.raise(Some(1), limit(Resource::Tokens, 200)).unwrap();
    world.reserve(1, 7, 5, tokens(64)).unwrap();
    assert_eq!(asked_for(&world.settle(1, 1, 7, 5, tokens(64)).unwrap()), [warn(80)], "anew for a new limit");
}

#[test]
fn children_and_clarifiers_draw_on_those_they_work_for() {
    let foreach = TaskSpec { is_foreach: true, ..within(1, &[], limit(Resource::Tokens, 100)) };
    let mut world = World::new(vec![foreach.clone()]);
    let child = |n| TaskSpec { is_foreach: false, task_id: task(n), key: format!("t1[{n}]"), ..foreach.clone() };
    world.expanded(1, vec![child(11), child(12)]).unwrap();
    world.work(11, 7);
    world.work(12, 8);
    world.reserve(11, 7, 1, tokens(90)).unwrap();
    world.reserve(12, 8, 2, tokens(90)).unwrap();
    assert_eq!(world.reserve(11, 7, 3, tokens(1)), Err(filled(Some(1), Resource::Tokens, 180, 100)));
    assert_eq!(world.plan.ledger().reserved.tokens, 180, "each counts once");
    assert_eq!(world.task(11).ledger.limits, BudgetSpec::default());
}

#[test]
fn at_a_limit_a_task_waits_and_an_approval_adds_the_first_limit_once_more() {
    let mut world = World::new(vec![within(1, &[], limit(Resource::Tokens, 100)), spec(2, &[1])]);
    world.work(1, 7);
    world.reserve(1, 7, 1, tokens(120)).unwrap();
    world.pause(1, 7, PauseSpec::Budget).unwrap();
    let task_1 = world.task(1);
    assert_eq!((task_1.state, task_1.failures, task_1.max_attempts), (TaskState::InputRequired, 0, 3));
    let approval_id = task_1.approval_id.unwrap();
    assert_eq!(world.plan.approval(approval_id).unwrap().subject, Subject::Budget { task_id: task(1), number: 1 });
    let wait = world.plan.budget_wait(approval_id).unwrap();
    assert_eq!((wait.task_id, wait.resource, wait.used, wait.limit), (Some(task(1)), Resource::Tokens, 120, 100));
    assert!(matches!(world.decide(1, Verdict::ChangesRequested, "x"), Err(Rejected::WrongVerdict { .. })));
    world.wait(500_000);
    world.decide(1, Verdict::Approved, "").unwrap();
    let task_1 = world.task(1);
    assert_eq!((task_1.state, task_1.waited_ms, task_1.resume_from), (TaskState::Ready, 500_000, 1));
    assert_eq!(task_1.ledger.limits.tokens, Some(220), "counted from what is used by now");
    assert_eq!(world.plan.budget_wait(approval_id), None);
    assert!(due(&world.plan, world.now).is_empty());
    assert_eq!(world.work(1, 8), 2);
    world.reserve(1, 8, 2, tokens(1)).unwrap();
}

#[test]
fn nobody_is_asked_for_more_while_calls_under_way_fill_a_limit() {
    let mut world = World::budgeted(vec![agent(1, &[]), agent(2, &[])], limit(Resource::Tokens, 100));
    world.work(1, 7);
    world.reserve(1, 7, 1, tokens(100)).unwrap();
    world.work(2, 8);
    assert_eq!(world.reserve(2, 8, 2, tokens(1)), Err(filled(None, Resource::Tokens, 100, 100)));
    let outcome = world.pause(2, 8, PauseSpec::Budget).unwrap();
    assert_eq!((world.state(2), outcome.approvals), (TaskState::Ready, vec![]));
    world.settle(1, 1, 7, 1, tokens(10)).unwrap();
    world.wait(10_000);
    world.work(2, 9);
    world.reserve(2, 9, 3, tokens(1)).unwrap();
}

#[test]
fn who_refuses_to_add_ends_all_that_wait_and_all_that_come_later() {
    let mut world = World::budgeted(vec![agent(1, &[]), agent(2, &[]), agent(3, &[])], limit(Resource::Turns, 1));
    world.work(1, 7);
    world.work(2, 8);
    world.reserve(1, 7, 1, tokens(1)).unwrap();
    world.pause(1, 7, PauseSpec::Budget).unwrap();
    world.pause(2, 8, PauseSpec::Budget).unwrap();
    assert_eq!(world.task(1).approval_id, world.task(2).approval_id, "one limit, one request");
    assert_eq!(world.plan.pending_approvals().count(), 1);
    assert!(!has_ready(&world.plan, world.now), "nobody else needs to run into it");
    assert!(pick([&world.plan].into_iter(), 9, world.now).is_empty());
    world.decide(1, Verdict::Rejected, "enough").unwrap();
    assert_eq!((world.state(1), world.state(2)), (TaskState::Failed, TaskState::Failed));
    assert_eq!(world.task(2).reason, "budget: ann: enough");
    let outcome = world.run_into_limit(3);
    assert_eq!((world.state(3), outcome.approvals), (TaskState::Failed, vec![]));
}

#[test]
fn the_last_that_waits_closes_the_request() {
    let mut world = World::budgeted(vec![agent(1, &[]), agent(2, &[])], limit(Resource::Turns, 0));
    world.run_into_limit(1);
    let approval_id = world.task(1).approval_id.unwrap();
    assert!(matches!(world.offer(2, 1), Err(Rejected::OverBudget { .. })));
    world.run_into_limit(2);
    world.cancel(Some(1)).unwrap();
    assert_eq!(world.plan.pending_approvals().count(), 1, "another waits for it still");
    world.cancel(Some(2)).unwrap();
    assert_eq!(world.plan.approval(approval_id).unwrap().decision.as_ref().unwrap().channel, "cancel");
}

#[test]
fn raising_a_limit_lets_everybody_go_on_that_waited_for_it() {
    let mut world = World::budgeted(vec![agent(1, &[]), agent(2, &[])], limit(Resource::Turns, 1));
    world.work(1, 7);
    world.reserve(1, 7, 1, tokens(1)).unwrap();
    world.settle(1, 1, 7, 1, tokens(1)).unwrap();
    let outcome = world.run_into_limit(2);
    let approval_id = world.task(2).approval_id.unwrap();
    assert_eq!(asked_for(&outcome), vec![Command::Ask { approval_id }]);
    world.raise(None, limit(Resource::Turns, 1)).unwrap();
    assert_eq!(world.state(2), TaskState::InputRequired, "that is not enough");
    world.raise(None, limit(Resource::Tokens, 9)).unwrap();
    assert_eq!(world.state(2), TaskState::InputRequired, "that is another limit");
    world.raise(None, limit(Resource::Turns, 2)).unwrap();
    let decision = world.plan.approval(approval_id).unwrap().decision.clone().unwrap();
    assert_eq!((world.state(2), decision.channel.as_str()), (TaskState::Ready, "cli"));
    let within =
        Fact::BudgetReached { task_id: task(2), approval_id: world.fresh(), digest: String::new(), route: None };
    assert_eq!(world.step(within), Err(Rejected::WithinBudget { task_id: task(2) }));
    world.work(2, 8);
    world.reserve(2, 8, 2, tokens(1)).unwrap();
}

#[test]
fn the_wall_time_of_a_project_stops_where_only_people_are_waited_for() {
    let mut world = World::asked(vec![super::support::asking(1, &[])]);
    let passed = |world: &World| world.plan.wall_ms(world.now);
    world.wait(1_000);
    assert_eq!(passed(&world), 0, "the plan is not approved");
    let plan = super::support::approval(super::support::PLAN_APPROVAL);
    world.decide_as(plan, "plan", Verdict::Approved, "").unwrap();
    world.wait(1_000);
    world.finish(1, "one");
    world.wait(30_000);
    assert_eq!(passed(&world), 1_000);
    world.decide(1, Verdict::ChangesRequested, "again").unwrap();
    world.wait(500);
    assert_eq!(passed(&world), 1_500);
}
