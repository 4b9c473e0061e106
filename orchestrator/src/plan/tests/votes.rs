//! Requests that several people decide, as the plan sees them; and decisions that are remembered.

use super::support::{World, approval, leads, route, spec, task};
use crate::{
    ledger::{AtDeadline, Decided, Risk, Route, Who},
    plan::{
        Command, Outcome, Rejected, TaskState, due,
        event::{Fact, RememberScope, RememberSpec, Verdict},
        next_deadline,
    },
};

/// A handoff that waits for people, as request 1001.
fn waiting(route: Route) -> World {
    let mut world = World::new(vec![spec(1, &[]), spec(2, &[1])]);
    world.work(1, 1);
    let outcome = world.hand_to(1, 1, 1, route).unwrap();
    assert_eq!(outcome.approvals, [approval(1001)]);
    world
}

fn remembering(world: &mut World, by: &str, until: u64) -> Result<Outcome, Rejected> {
    world.step(Fact::ApprovalDecided {
        approval_id: approval(1001),
        verdict: Verdict::Approved,
        digest: "digest of c1".to_owned(),
        by: by.to_owned(),
        channel: "slack".to_owned(),
        note: String::new(),
        remember: Some(RememberSpec { scope: RememberScope::Project, until: world.now.plus_ms(until) }),
    })
}

fn revoked(world: &mut World) -> Result<Outcome, Rejected> {
    let (by, channel) = ("bob".to_owned(), "cli".to_owned());
    world.step(Fact::RememberedRevoked { approval_id: approval(1001), by, channel })
}

#[test]
fn a_task_goes_on_when_enough_people_agree() {
    let mut world = waiting(route(leads(2)));
    let approval_id = approval(1001);
    let outcome = world.says(1, "ann", Verdict::Approved, "fine").unwrap();
    assert_eq!((outcome.commands, outcome.approvals), (vec![Command::Reshow { approval_id }], vec![approval_id]));
    assert_eq!(world.state(1), TaskState::InputRequired);
    let again = world.says(1, "ann", Verdict::Approved, "fine");
    assert_eq!(again, Err(Rejected::AlreadyVoted { approval_id, by: "ann".to_owned() }));
    let stranger = world.says(1, "dan", Verdict::Rejected, "no");
    assert_eq!(stranger, Err(Rejected::NotEligible { approval_id, by: "dan".to_owned() }));
    let outcome = world.says(1, "bob", Verdict::Approved, "").unwrap();
    assert!(outcome.commands.contains(&Command::Tell { approval_id }));
    assert_eq!((world.state(1), world.state(2)), (TaskState::Completed, TaskState::Ready));
    assert_eq!(world.plan.approval(approval_id).unwrap().decision.as_ref().unwrap().by, "ann, bob");
}

#[test]
fn one_no_of_many_is_a_no() {
    let mut world = waiting(route(leads(2)));
    world.says(1, "ann", Verdict::Approved, "").unwrap();
    world.says(1, "carl", Verdict::ChangesRequested, "blue").unwrap();
    assert_eq!((world.state(1), world.task(1).notes[0].from.as_str()), (TaskState::Ready, "carl"));
}

#[test]
fn who_edited_it_and_who_handed_their_say_on_are_told_so() {
    let approval_id = approval(1001);
    let mut world = waiting(Route { excluded: vec!["ann".to_owned()], ..route(leads(1)) });
    let own = world.says(1, "ann", Verdict::Approved, "");
    assert_eq!(own, Err(Rejected::SelfApproval { approval_id, by: "ann".to_owned() }));
    let hand = |by: &str, to: &str| Fact::ApprovalDelegated {
        approval_id,
        by: by.to_owned(),
        to: to.to_owned(),
        channel: "cli".to_owned(),
    };
    let outcome = world.step(hand("bob", "dan")).unwrap();
    assert_eq!(outcome.commands, [Command::Reshow { approval_id }, Command::Widen { approval_id }]);
    assert!(world.step(hand("bob", "dan")).unwrap().is_nothing(), "as after an answer that was lost");
    assert!(matches!(world.step(hand("carl", "bob")), Err(Rejected::BadDelegation { .. })));
    let handed = world.says(1, "bob", Verdict::Approved, "");
    assert_eq!(handed, Err(Rejected::HandedOn { approval_id, by: "bob".to_owned(), to: "dan".to_owned() }));
    world.says(1, "dan", Verdict::Approved, "").unwrap();
    assert_eq!(world.state(1), TaskState::Completed);
}

#[test]
fn what_happens_by_itself_happens_at_its_instant() {
    let approval_id = approval(1001);
    let boss = || Who::Person("boss".to_owned());
    let later = Who::After { wait_ms: 2_000, who: Box::new(Who::Person("dan".to_owned())) };
    let mut world = waiting(Route {
        deadline_ms: Some(5_000),
        reminder_ms: Some(3_000),
        at_deadline: AtDeadline::Escalate { to: boss(), for_ms: 1_000 },
        ..route(Who::AnyOf(vec![leads(1), later]))
    });
    let early = world.says(1, "dan", Verdict::Approved, "");
    assert_eq!(early, Err(Rejected::NotYet { approval_id, by: "dan".to_owned(), from: world.now.plus_ms(2_000) }));
    let mut said = Vec::new();
    while let Some(next) = next_deadline(&world.plan).filter(|_| world.plan.pending_approvals().count() > 0) {
        world.now = next;
        let events = due(&world.plan, next);
        assert_eq!(events.len(), 1);
        said.extend(world.step(events[0].fact.clone()).unwrap().commands);
    }
    let about_request = |command: &Command| !matches!(command, Command::TaskChanged { .. } | Command::ProjectChanged);
    said.retain(about_request);
    let wanted = [
        Command::Widen { approval_id },
        Command::Remind { approval_id },
        Command::Reshow { approval_id },
        Command::Widen { approval_id },
        Command::Tell { approval_id },
    ];
    assert_eq!(said, wanted);
    assert_eq!(world.now, super::support::START.plus_ms(6_000));
    assert_eq!((world.state(1), world.task(1).reason.as_str()), (TaskState::Rejected, "nobody decided in time"));
    let not_due = world.step(Fact::ApprovalDue { approval_id });
    assert!(matches!(not_due, Err(Rejected::NotPending { decision, .. }) if decision.verdict == Decided::Expired));
}

#[test]
fn a_view_is_kept_and_the_same_view_again_is_nothing() {
    let mut world = waiting(route(leads(1)));
    let viewed =
        || Fact::ApprovalViewed { approval_id: approval(1001), by: "ann".to_owned(), channel: "email".to_owned() };
    assert_eq!(world.step(viewed()).unwrap().approvals, [approval(1001)]);
    assert!(world.step(viewed()).unwrap().is_nothing());
    let unknown = Fact::ApprovalViewed { approval_id: approval(5), by: String::new(), channel: String::new() };
    assert!(matches!(world.step(unknown), Err(Rejected::UnknownApproval { .. })));
}

#[test]
fn a_remembered_decision_can_be_taken_back_once() {
    let approval_id = approval(1001);
    let mut world = waiting(Route { risk: Risk::Medium, ..route(leads(2)) });
    remembering(&mut world, "ann", 9_000).unwrap();
    assert_eq!(world.plan.approval(approval_id).unwrap().remembered, None, "nothing is decided yet");
    assert!(matches!(revoked(&mut world), Err(Rejected::CannotRemember { .. })));
    world.says(1, "bob", Verdict::Approved, "").unwrap();
    let remembered = world.plan.approval(approval_id).unwrap().remembered.clone().unwrap();
    assert_eq!((remembered.by.as_str(), remembered.revoked), ("ann", None));
    assert_eq!(revoked(&mut world).unwrap().approvals, [approval_id]);
    let remembered = world.plan.approval(approval_id).unwrap().remembered.clone().unwrap();
    assert_eq!(remembered.revoked, Some(("bob".to_owned(), "cli".to_owned())));
    assert!(matches!(revoked(&mut world), Err(Rejected::CannotRemember { .. })));
}

#[test]
fn nothing_is_remembered_for_high_risk_for_the_past_or_of_a_policy() {
    let mut world = waiting(Route { risk: Risk::High, ..route(leads(1)) });
    remembering(&mut world, "ann", 9_000).unwrap();
    assert!(matches!(revoked(&mut world), Err(Rejected::CannotRemember { .. })));
    let mut world = waiting(route(leads(1)));
    remembering(&mut world, "ann", 0).unwrap();
    assert!(matches!(revoked(&mut world), Err(Rejected::CannotRemember { .. })));
    let mut world = waiting(Route::auto("easy"));
    assert_eq!(world.state(1), TaskState::Completed);
    assert!(matches!(remembering(&mut world, "ann", 9_000), Err(Rejected::NotPending { .. })));
    assert!(matches!(revoked(&mut world), Err(Rejected::CannotRemember { .. })));
}

#[test]
fn a_remembered_decision_lets_a_handoff_pass_and_nobody_is_asked() {
    let remembered = vec![("ann".to_owned(), approval(7))];
    let mut world = World::new(vec![spec(1, &[]), spec(2, &[1])]);
    world.work(1, 1);
    let outcome = world.hand_to(1, 1, 1, Route { remembered, ..route(leads(1)) }).unwrap();
    assert!(!outcome.commands.contains(&Command::Ask { approval_id: approval(1001) }));
    assert_eq!((world.state(1), world.state(2)), (TaskState::Completed, TaskState::Ready));
    assert!(outcome.touched.contains(&task(2)));
}
