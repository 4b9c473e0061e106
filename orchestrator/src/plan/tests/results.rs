//! Results that people are asked about before they are put into the folder.

use super::{
    agents::created_with,
    support::{World, approval, leads, route, spec},
};
use crate::{
    ledger::Route,
    plan::{
        Command, Outcome, ProjectState, Rejected, Subject,
        event::{Fact, Verdict},
        next_deadline,
    },
};

const REQUEST: u128 = 500;

/// A completed project whose result is to be offered.
fn completed(commit: &str) -> (World, Outcome) {
    let mut world = World::with(&created_with(vec![spec(1, &[])], false, |created| created.offers_result = true));
    let outcome = world.finish(1, commit);
    assert_eq!(world.plan.state(), ProjectState::Completed);
    (world, outcome)
}

fn offered(world: &mut World, route: Route) -> Result<Outcome, Rejected> {
    let (approval_id, digest) = (approval(REQUEST), "result".to_owned());
    world.step(Fact::ApplyOffered { approval_id, digest, route: Box::new(route) })
}

fn said(world: &mut World, verdict: Verdict, note: &str) -> Outcome {
    world.decide_as(approval(REQUEST), "result", verdict, note).unwrap()
}

fn started(world: &mut World) -> Result<Outcome, Rejected> {
    let (by, before_commit, after_commit) = ("bob".to_owned(), "before".to_owned(), "after".to_owned());
    world.step(Fact::ApplyStarted { by, channel: String::new(), before_commit, after_commit })
}

fn wanted(world: &mut World) -> Result<Outcome, Rejected> {
    world.step(Fact::ApplyWanted { by: "bob".to_owned() })
}

fn refused(world: &mut World) -> Result<Outcome, Rejected> {
    world.step(Fact::ApplyRefused { detail: "a file is in the way".to_owned() })
}

#[test]
fn an_approved_result_is_put_into_the_folder() {
    let (mut world, outcome) = completed("one");
    assert!(outcome.commands.contains(&Command::OfferResult) && !world.plan.is_settled());
    let deadline = Route { deadline_ms: Some(9_000), ..route(leads(1)) };
    offered(&mut world, deadline).unwrap();
    assert!(!world.plan.is_settled() && next_deadline(&world.plan).is_some());
    let outcome = said(&mut world, Verdict::Approved, "");
    assert!(outcome.commands.contains(&Command::ApplyResult { approval_id: approval(REQUEST) }));
    assert!(world.plan.is_settled() && outcome.project_changed);
    started(&mut world).unwrap();
    world.step(Fact::ApplyFinished).unwrap();
    assert!(world.plan.applied_at().is_some());
    assert!(matches!(refused(&mut world), Err(Rejected::WrongApply { .. })));
}

#[test]
fn nothing_is_written_of_a_rejected_result_and_the_reason_is_kept() {
    let (mut world, _) = completed("one");
    offered(&mut world, route(leads(1))).unwrap();
    assert!(world.plan.is_settled(), "it waits for people alone");
    let outcome = said(&mut world, Verdict::Rejected, "not on a Friday");
    assert!(!outcome.commands.iter().any(|command| matches!(command, Command::ApplyResult { .. })));
    assert_eq!(world.plan.reason(), "the result is not put into the folder: ann: not on a Friday");
    assert_eq!(world.plan.state(), ProjectState::Completed);
    assert!(matches!(refused(&mut world), Err(Rejected::WrongApply { .. })));
    assert!(matches!(started(&mut world), Err(Rejected::WrongApply { .. })), "nobody goes round those who decide");
    assert!(matches!(wanted(&mut world), Err(Rejected::WrongApply { .. })), "nor are they asked again");
}

#[test]
fn what_cannot_be_applied_says_why() {
    let (mut world, _) = completed("one");
    offered(&mut world, Route::auto("easy")).unwrap();
    assert_eq!(world.plan.approval(approval(REQUEST)).unwrap().subject, Subject::Apply);
    refused(&mut world).unwrap();
    assert_eq!(world.plan.reason(), "the result is not put into the folder: a file is in the way");
    let (mut world, _) = completed("one");
    refused(&mut world).unwrap();
    assert!(world.plan.is_settled(), "it could not even be offered");
    assert!(matches!(offered(&mut world, Route::auto("easy")), Err(Rejected::WrongApply { .. })));
}

#[test]
fn nobody_applies_by_hand_what_people_have_not_approved() {
    let (mut world, _) = completed("one");
    assert!(matches!(started(&mut world), Err(Rejected::WrongApply { .. })), "it is not even offered yet");
    offered(&mut world, route(leads(2))).unwrap();
    assert!(matches!(started(&mut world), Err(Rejected::WrongApply { .. })), "it waits for two");
    let (mut world, _) = completed("one");
    refused(&mut world).unwrap();
    assert!(matches!(started(&mut world), Err(Rejected::WrongApply { .. })), "it could not be offered");
    let again = wanted(&mut world).unwrap();
    assert!(again.commands.contains(&Command::OfferResult) && !world.plan.is_settled());
    assert!(matches!(wanted(&mut world), Err(Rejected::WrongApply { .. })), "once is enough");
    offered(&mut world, route(leads(1))).unwrap();
    said(&mut world, Verdict::Approved, "");
    started(&mut world).unwrap();
}

#[test]
fn a_result_that_changes_nothing_is_not_offered() {
    let (mut world, outcome) = completed(super::support::BASE);
    assert!(!outcome.commands.contains(&Command::OfferResult) && world.plan.is_settled());
    assert!(matches!(offered(&mut world, route(leads(1))), Err(Rejected::WrongApply { .. })));
}
