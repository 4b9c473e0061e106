//! Handing one's say to somebody else.

use super::support::{START, World, after, person, quorum, route};
use crate::ledger::{Command, Decided, Rejected, Route, Verdict, Who};

fn bad(result: Result<Vec<Command>, Rejected>) -> String {
    match result {
        Err(Rejected::BadDelegation(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_delegate_counts_as_whoever_sent_them() {
    let mut world = World::new(route(person("ann")));
    assert_eq!(world.hands("ann", "dan"), Ok(vec![Command::Changed, Command::Widened]));
    assert_eq!(world.request.eligible(START), Some(["dan".to_owned()].into()));
    assert_eq!(world.approves("ann"), Err(Rejected::HandedOn { by: "ann".to_owned(), to: "dan".to_owned() }));
    assert_eq!(world.approves("dan"), Ok(vec![Command::Decided]));
    let vote = &world.request.votes[0];
    assert_eq!((vote.by.as_str(), vote.counts_as.as_str()), ("dan", "ann"));
    assert_eq!(world.decided(), Some((Decided::Approved, "dan", "cli")));
}

#[test]
fn a_say_can_be_handed_further_but_not_by_who_has_none() {
    let mut world = World::new(route(person("ann")));
    assert_eq!(world.hands("dan", "eve"), Err(Rejected::NotEligible { by: "dan".to_owned() }));
    world.hands("ann", "dan").unwrap();
    world.hands("dan", "eve").unwrap();
    assert_eq!(world.hands("ann", "bob"), Err(Rejected::HandedOn { by: "ann".to_owned(), to: "eve".to_owned() }));
    assert_eq!(world.approves("dan"), Err(Rejected::NotEligible { by: "dan".to_owned() }));
    assert!(bad(world.hands("eve", "ann")).contains("handed their own say on"));
    world.says("eve", Verdict::Rejected, "no").unwrap();
    assert_eq!(world.decided(), Some((Decided::Rejected, "eve", "cli")));
}

#[test]
fn the_same_delegation_again_changes_nothing() {
    let mut world = World::new(route(person("ann")));
    world.hands("ann", "dan").unwrap();
    let before = world.request.clone();
    assert_eq!(world.hands("ann", "dan"), Err(Rejected::Known));
    world.hands("dan", "eve").unwrap();
    assert_eq!(world.hands("ann", "dan"), Err(Rejected::Known), "though it went on from there");
    assert_eq!(world.request.delegations.len(), before.delegations.len() + 1);
}

#[test]
fn nobody_counts_twice_through_delegation() {
    let mut world = World::new(route(quorum(2, &["ann", "bob", "carl"])));
    assert!(bad(world.hands("ann", "bob")).contains("nobody counts twice"));
    world.hands("ann", "dan").unwrap();
    assert!(bad(world.hands("bob", "dan")).contains("has a say already"));
    world.approves("dan").unwrap();
    assert!(bad(world.hands("carl", "dan")).contains("approved it already"));
    assert_eq!(world.approves("dan"), Err(Rejected::AlreadyVoted { by: "dan".to_owned() }));
    assert_eq!(world.hands("dan", "eve"), Err(Rejected::AlreadyVoted { by: "dan".to_owned() }));
    assert_eq!(world.decided(), None);
    world.approves("bob").unwrap();
    assert_eq!(world.decided(), Some((Decided::Approved, "dan, bob", "cli")));
}

#[test]
fn where_one_is_enough_a_colleague_can_stand_in() {
    let mut world = World::new(route(Who::AnyOf(vec![person("ann"), quorum(2, &["bob", "carl"])])));
    world.hands("ann", "bob").unwrap();
    world.approves("bob").unwrap();
    let vote = &world.request.votes[0];
    assert_eq!((vote.by.as_str(), vote.counts_as.as_str()), ("bob", "ann"), "as the one whose word is enough");
    assert!(world.decided().is_some());
}

#[test]
fn no_self_approval_through_somebody_else() {
    let excluded = vec!["ann".to_owned()];
    let mut world = World::new(Route { excluded, ..route(quorum(1, &["ann", "bob"])) });
    assert_eq!(world.hands("ann", "dan"), Err(Rejected::SelfApproval { by: "ann".to_owned() }));
    assert!(bad(world.hands("bob", "ann")).contains("started or edited"));
    assert!(bad(world.hands("bob", "bob")).contains("somebody else"));
    assert!(bad(world.hands("bob", " ")).contains("somebody else"));
    world.hands("bob", "dan").unwrap();
    world.approves("dan").unwrap();
    assert_eq!(world.decided(), Some((Decided::Approved, "dan", "cli")));
}

#[test]
fn who_decides_later_has_no_say_before() {
    let later = START.plus_ms(200);
    let mut world = World::new(route(Who::AnyOf(vec![person("ann"), after(200, person("carl"))])));
    let not_yet = |by: &str| Err(Rejected::NotYet { by: by.to_owned(), from: later });
    assert_eq!(world.at(199).approves("carl"), not_yet("carl"));
    assert_eq!(world.says("carl", Verdict::Rejected, "no"), not_yet("carl"));
    assert_eq!(world.hands("carl", "dan"), not_yet("carl"));
    assert_eq!(world.request.eligible(world.now), Some(["ann".to_owned()].into()));
    assert_eq!(world.at(200).request.eligible(later), Some(["ann".to_owned(), "carl".to_owned()].into()));
    assert_eq!(world.approves("carl"), Ok(vec![Command::Decided]));
}
