//! Arrows 10 to 12 and the plan's own approval.

use super::support::{PLAN_APPROVAL, World, approval, asked_for, asking, spec, task};
use crate::plan::{
    Command, Decided, Note, ProjectState, Rejected, TaskState, due,
    event::{Fact, Verdict},
    next_deadline,
};

/// A task that waits for a person, and one that needs it.
fn waiting() -> World {
    let mut world = World::new(vec![asking(1, &[]), spec(2, &[1])]);
    let outcome = world.finish(1, "one");
    let approval_id = world.task(1).approval_id.unwrap();
    assert!(outcome.commands.contains(&Command::Ask { approval_id }));
    assert_eq!(outcome.approvals, vec![approval_id]);
    assert_eq!((world.state(1), world.state(2)), (TaskState::InputRequired, TaskState::Blocked));
    world
}

#[test]
fn approval_lets_successors_go_on_in_the_same_step() {
    let mut world = waiting();
    let approval_id = world.task(1).approval_id.unwrap();
    assert_eq!(world.plan.pending_approvals().count(), 1);
    let outcome = world.decide(1, Verdict::Approved, "").unwrap();
    assert!(outcome.commands.contains(&Command::Tell { approval_id }));
    assert_eq!(outcome.touched, vec![task(1), task(2)]);
    assert_eq!((world.state(1), world.state(2)), (TaskState::Completed, TaskState::Ready));
    assert_eq!(world.plan.pending_approvals().count(), 0);
    let again = world.decide_as(approval_id, "digest of one", Verdict::Rejected, "no");
    let Err(Rejected::NotPending { decision, .. }) = again else { panic!("{again:?}") };
    assert_eq!((decision.verdict, decision.by.as_str()), (Decided::Approved, "ann"));
}

#[test]
fn a_decision_is_about_what_was_shown() {
    let mut world = waiting();
    let approval_id = world.task(1).approval_id.unwrap();
    let other = world.decide_as(approval_id, "digest of two", Verdict::Approved, "");
    assert_eq!(other, Err(Rejected::DigestMismatch { approval_id }));
    let unknown = world.decide_as(approval(5), "digest of one", Verdict::Approved, "");
    assert!(matches!(unknown, Err(Rejected::UnknownApproval { .. })));
    for verdict in [Verdict::ChangesRequested, Verdict::Rejected] {
        assert_eq!(world.decide(1, verdict, " \n"), Err(Rejected::NoteRequired { approval_id }));
    }
}

#[test]
fn requested_changes_reach_the_next_attempt_and_cost_none() {
    let mut world = waiting();
    world.wait(30_000);
    world.decide(1, Verdict::ChangesRequested, "use blue").unwrap();
    let task = world.task(1);
    assert_eq!((task.state, task.max_attempts, task.waited_ms), (TaskState::Ready, 3, 30_000));
    let id = format!("approval-{}", approval(1001));
    assert_eq!(task.notes, [Note { id, from: "ann".to_owned(), text: "use blue".to_owned() }]);
    assert_eq!(task.commit, None);
    assert_eq!(world.state(2), TaskState::Blocked);
    world.work(1, 8);
    assert!(matches!(world.hand(1, 1, 1, "one"), Err(Rejected::StaleAttempt { .. })));
    world.hand(1, 2, 8, "blue").unwrap();
    world.decide(1, Verdict::Approved, "").unwrap();
    assert_eq!(world.task(2).base_commit.as_deref(), Some("blue"));
}

#[test]
fn a_rejected_handoff_is_final_and_skips_what_needs_it() {
    let mut world = waiting();
    world.decide(1, Verdict::Rejected, "wrong file").unwrap();
    assert_eq!((world.state(1), world.task(1).reason.as_str()), (TaskState::Rejected, "ann: wrong file"));
    assert_eq!((world.state(2), world.plan.state()), (TaskState::Skipped, ProjectState::Failed));
}

#[test]
fn a_request_expires_and_is_then_closed_to_decisions() {
    let mut world = waiting();
    let approval_id = world.task(1).approval_id.unwrap();
    assert!(matches!(world.step(Fact::ApprovalDue { approval_id }), Err(Rejected::NotDue { .. })));
    assert_eq!(next_deadline(&world.plan), Some(world.now.plus_ms(60_000)), "no other clock runs meanwhile");
    world.wait(60_000);
    assert!(matches!(world.decide(1, Verdict::Approved, ""), Err(Rejected::Expired { .. })));
    let events = due(&world.plan, world.now);
    assert_eq!(events.len(), 1);
    world.step(events[0].fact.clone()).unwrap();
    assert_eq!(world.state(1), TaskState::Rejected);
    let decision = world.plan.approval(approval_id).unwrap().decision.clone().unwrap();
    assert_eq!(decision.verdict, Decided::Expired);
    assert_eq!(next_deadline(&world.plan), None);
}

#[test]
fn canceling_closes_the_request() {
    let mut world = waiting();
    let approval_id = world.task(1).approval_id.unwrap();
    let outcome = world.cancel(Some(1)).unwrap();
    assert_eq!(asked_for(&outcome), vec![Command::Tell { approval_id }]);
    assert_eq!(world.state(1), TaskState::Canceled);
    let late = world.decide_as(approval_id, "digest of one", Verdict::Approved, "");
    assert!(matches!(late, Err(Rejected::NotPending { .. })));
}

#[test]
fn nothing_starts_before_the_plan_is_approved() {
    let mut world = World::asked(vec![spec(1, &[]), spec(2, &[1])]);
    assert!(world.created.commands.contains(&Command::Ask { approval_id: approval(PLAN_APPROVAL) }));
    assert_eq!((world.plan.state(), world.state(1)), (ProjectState::AwaitingApproval, TaskState::Blocked));
    assert!(matches!(world.offer(1, 1), Err(Rejected::WrongProjectState { .. })));
    let outcome = world.decide_as(approval(PLAN_APPROVAL), "plan", Verdict::Approved, "").unwrap();
    assert_eq!((world.plan.state(), world.state(1)), (ProjectState::Working, TaskState::Ready));
    assert!(outcome.project_changed && outcome.commands.contains(&Command::ProjectChanged));
}

#[test]
fn a_refused_plan_ends_the_project() {
    for (verdict, words) in [(Verdict::Rejected, "rejects the plan"), (Verdict::ChangesRequested, "requests changes")] {
        let mut world = World::asked(vec![spec(1, &[]), spec(2, &[1])]);
        world.decide_as(approval(PLAN_APPROVAL), "plan", verdict, "too big").unwrap();
        assert_eq!(world.plan.state(), ProjectState::Rejected);
        assert!(world.plan.reason().contains(words) && world.plan.reason().contains("too big"));
        assert_eq!((world.state(1), world.state(2)), (TaskState::Canceled, TaskState::Canceled));
        assert_eq!(world.plan.open_tasks(), 0);
    }
}
