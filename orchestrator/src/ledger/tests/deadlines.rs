//! What happens to a request by itself.

use super::support::{START, World, after, escalating, id, person, quorum, route};
use crate::ledger::{Asked, AtDeadline, Command, Decided, Rejected, Risk, Route, Who, next_at};

#[test]
fn at_the_deadline_it_is_rejected_and_nobody_is_in_time_any_more() {
    let mut world = World::new(Route { deadline_ms: Some(1_000), ..route(person("ann")) });
    assert_eq!(next_at(&world.request), Some(START.plus_ms(1_000)));
    assert_eq!(world.at(999).due(), Err(Rejected::NotDue));
    let late = Err(Rejected::Expired { expires_at: START.plus_ms(1_000) });
    assert_eq!(world.at(1_000).approves("ann"), late, "though nobody has said so yet");
    assert_eq!(world.hands("ann", "dan"), late);
    assert_eq!(world.due(), Ok(vec![Command::Decided]));
    assert_eq!(world.decided(), Some((Decided::Expired, "policy:careful", "policy")));
    assert_eq!(next_at(&world.request), None);
}

#[test]
fn silence_approves_only_what_is_low_in_risk_and_needs_no_words() {
    let silent = Route { deadline_ms: Some(10), at_deadline: AtDeadline::Approve, ..route(person("ann")) };
    let end = |asked, route: Route| {
        let mut world = World::of(asked, route);
        world.at(10).due().unwrap();
        world.request.decision.unwrap().verdict
    };
    assert_eq!(end(Asked::Handoff, silent.clone()), Decided::Approved);
    assert_eq!(end(Asked::Question, silent.clone()), Decided::Expired);
    assert_eq!(end(Asked::Handoff, Route { risk: Risk::Medium, ..silent.clone() }), Decided::Expired);
    let problem = Some("no such variable".to_owned());
    assert_eq!(end(Asked::Handoff, Route { problem, ..silent }), Decided::Expired);
}

#[test]
fn an_escalation_adds_people_and_time_once() {
    let mut world = World::new(escalating(person("ann"), person("boss")));
    assert_eq!(world.approves("boss"), Err(Rejected::NotEligible { by: "boss".to_owned() }));
    assert_eq!(world.at(1_200).due(), Ok(vec![Command::Changed, Command::Widened]));
    assert_eq!(next_at(&world.request), Some(START.plus_ms(1_700)));
    let mut other = world.clone();
    assert_eq!(world.approves("boss"), Ok(vec![Command::Decided]));
    assert_eq!(other.at(1_700).due(), Ok(vec![Command::Decided]));
    assert_eq!(other.decided(), Some((Decided::Expired, "policy:careful", "policy")));
}

#[test]
fn an_escalation_counts_who_agreed_before() {
    let mut world = World::new(escalating(quorum(2, &["ann", "bob"]), quorum(1, &["ann", "boss"])));
    world.approves("ann").unwrap();
    assert_eq!(world.at(1_000).due(), Ok(vec![Command::Decided]));
    assert_eq!(world.decided(), Some((Decided::Approved, "ann", "policy")));
}

#[test]
fn an_escalation_to_people_of_the_past_is_no_reason_to_wake_up_at_once() {
    let mut world = World::new(escalating(person("ann"), after(300, person("boss"))));
    world.at(1_000).due().unwrap();
    assert_eq!(next_at(&world.request), Some(START.plus_ms(1_500)));
    assert!(world.approves("boss").is_ok());
    let at_once = AtDeadline::Escalate { to: person("boss"), for_ms: 0 };
    let mut world = World::new(Route { at_deadline: at_once, ..escalating(person("ann"), person("boss")) });
    world.at(1_000).due().unwrap();
    assert_eq!(next_at(&world.request), Some(START.plus_ms(1_001)));
}

#[test]
fn more_people_may_decide_later_and_are_told_then() {
    let who = Who::AnyOf(vec![person("ann"), after(100, person("bob")), after(200, person("carl"))]);
    let mut world = World::new(route(who));
    assert_eq!(next_at(&world.request), Some(START.plus_ms(100)));
    assert_eq!(world.at(100).due(), Ok(vec![Command::Widened]));
    assert_eq!(world.due(), Err(Rejected::NotDue));
    assert_eq!(next_at(&world.request), Some(START.plus_ms(200)));
    assert_eq!(world.at(5_000).due(), Ok(vec![Command::Widened]));
    assert_eq!(next_at(&world.request), None);
}

#[test]
fn votes_that_were_too_few_can_be_enough_later() {
    let who = Who::AnyOf(vec![quorum(2, &["ann", "bob"]), after(100, quorum(1, &["ann", "bob"]))]);
    let mut world = World::new(route(who.clone()));
    world.approves("ann").unwrap();
    assert_eq!(world.at(100).due(), Ok(vec![Command::Decided]));
    assert_eq!(world.decided(), Some((Decided::Approved, "ann", "policy")));
    let remembered = vec![("bob".to_owned(), id(9))];
    let mut world = World::new(Route { remembered, ..route(who) });
    assert_eq!(world.decided(), None);
    world.at(100).due().unwrap();
    assert_eq!(world.decided(), Some((Decided::Approved, "bob", "policy")));
}

#[test]
fn people_are_reminded_again_and_again_but_not_for_ever() {
    let mut world = World::new(Route { reminder_ms: Some(100), ..route(person("ann")) });
    let mut reminded = 0;
    while let Some(next) = next_at(&world.request) {
        world.now = next;
        assert_eq!(world.due(), Ok(vec![Command::Remind]));
        reminded += 1;
        assert!(next_at(&world.request).is_none_or(|later| later > next));
    }
    assert_eq!((reminded, world.request.reminders), (20, 20));
    let mut late = World::new(Route { reminder_ms: Some(0), ..route(person("ann")) });
    assert_eq!(late.at(7_777).due(), Ok(vec![Command::Remind]), "what was missed is said once");
    assert_eq!(late.due(), Err(Rejected::NotDue));
}
