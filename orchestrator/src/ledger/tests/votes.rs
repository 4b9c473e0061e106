//! What is said about a request, and what it makes of it.

use super::support::{DIGEST, START, World, escalating, id, person, quorum, route};
use crate::ledger::{Asked, Command, Decided, Fact, Rejected, Risk, Route, Ruling, Verdict, Who, ask, next_at};

#[test]
fn where_nobody_is_asked_the_policy_decides_in_the_same_step() {
    let world = World::new(Route { rule: Some("small".to_owned()), deadline_ms: Some(5), ..Route::auto("easy") });
    assert_eq!(world.decided(), Some((Decided::Approved, "policy:easy", "policy")));
    assert_eq!(world.request.decision.as_ref().unwrap().rule.as_deref(), Some("small"));
    assert_eq!((world.asked.as_slice(), next_at(&world.request)), ([].as_slice(), None));
}

#[test]
fn an_error_of_the_policy_asks_whatever_it_rules() {
    let problem = Some("no such variable".to_owned());
    let auto = Route { problem: problem.clone(), ..Route::auto("broken") };
    let mut world = World::new(auto);
    assert_eq!((world.decided(), world.asked.as_slice()), (None, [Command::Ask].as_slice()));
    world.approves("ann").unwrap();
    let remembered = Route { problem, remembered: vec![("ann".to_owned(), id(9))], ..route(person("ann")) };
    assert_eq!(World::new(remembered).decided(), None, "nothing remembered counts, either");
}

#[test]
fn anybody_decides_where_the_route_says_so() {
    let mut world = World::new(Route::anyone("ask"));
    assert_eq!(world.asked, [Command::Ask]);
    assert_eq!(world.approves("slack:U1"), Ok(vec![Command::Decided]));
    assert_eq!(world.decided(), Some((Decided::Approved, "slack:U1", "cli")));
}

#[test]
fn the_first_decision_stands_and_whoever_comes_later_is_told_it() {
    let mut world = World::new(Route::anyone("ask"));
    world.says("ann", Verdict::Rejected, "too big").unwrap();
    let decision = Box::new(world.request.decision.clone().unwrap());
    assert_eq!(world.approves("bob"), Err(Rejected::Decided(decision.clone())));
    assert_eq!(world.says("ann", Verdict::Rejected, "too big"), Err(Rejected::Decided(decision.clone())));
    assert_eq!(world.hands("bob", "eve"), Err(Rejected::Decided(decision.clone())));
    assert_eq!(world.due(), Err(Rejected::Decided(decision.clone())));
    assert_eq!(world.step(Fact::Closed { channel: "cancel", reason: "x" }), Err(Rejected::Decided(decision)));
}

#[test]
fn a_decision_is_about_what_was_shown() {
    let mut world = World::new(Route::anyone("ask"));
    let other =
        Fact::Voted { verdict: Verdict::Approved, digest: "another", by: "ann", channel: "cli", note: "because" };
    assert_eq!(world.step(other), Err(Rejected::DigestMismatch));
}

#[test]
fn a_no_and_an_answer_need_words() {
    for verdict in [Verdict::Rejected, Verdict::ChangesRequested] {
        assert_eq!(World::new(Route::anyone("ask")).says("ann", verdict, " \n"), Err(Rejected::NoteRequired));
    }
    let mut question = World::of(Asked::Question, Route::anyone("ask"));
    assert_eq!(question.approves("ann"), Err(Rejected::NoteRequired));
    assert_eq!(question.says("ann", Verdict::Approved, "the second"), Ok(vec![Command::Decided]));
}

#[test]
fn only_work_can_be_sent_back() {
    let back = |asked| World::of(asked, Route::anyone("ask")).says("ann", Verdict::ChangesRequested, "blue");
    for asked in [Asked::Plan, Asked::Handoff, Asked::Patch, Asked::Skill] {
        assert_eq!(back(asked), Ok(vec![Command::Decided]));
    }
    for asked in [Asked::Question, Asked::Budget, Asked::Capability, Asked::Apply] {
        assert_eq!(back(asked), Err(Rejected::CannotSendBack(asked)));
    }
}

#[test]
fn a_quorum_takes_different_people_over_whatever_channel() {
    let mut world = World::new(route(quorum(2, &["ann", "bob", "eve"])));
    assert_eq!(world.approves("ann"), Ok(vec![Command::Changed]));
    for channel in ["slack", "email", "cli"] {
        let again = Fact::Voted { verdict: Verdict::Approved, digest: DIGEST, by: "ann", channel, note: "" };
        assert_eq!(world.step(again), Err(Rejected::AlreadyVoted { by: "ann".to_owned() }));
    }
    assert_eq!(world.approves("carl"), Err(Rejected::NotEligible { by: "carl".to_owned() }));
    assert_eq!(world.approves("eve"), Ok(vec![Command::Decided]));
    assert_eq!(world.decided(), Some((Decided::Approved, "ann, eve", "cli")));
}

#[test]
fn one_no_decides_even_of_somebody_who_agreed_before() {
    let mut world = World::new(route(quorum(2, &["ann", "bob"])));
    world.approves("ann").unwrap();
    world.says("ann", Verdict::Rejected, "I looked again").unwrap();
    assert_eq!(world.decided(), Some((Decided::Rejected, "ann", "cli")));
}

#[test]
fn trees_take_one_of_or_each_of() {
    let mut either = World::new(route(Who::AnyOf(vec![person("boss"), quorum(2, &["ann", "bob"])])));
    either.approves("ann").unwrap();
    assert_eq!(either.approves("boss"), Ok(vec![Command::Decided]));
    let mut both = World::new(route(Who::AllOf(vec![person("boss"), quorum(1, &["ann", "boss"])])));
    assert_eq!(both.approves("boss"), Ok(vec![Command::Decided]), "one person can count in several");
    let mut each = World::new(route(Who::AllOf(vec![person("boss"), quorum(1, &["ann", "bob"])])));
    each.approves("ann").unwrap();
    assert_eq!(each.approves("bob"), Ok(vec![Command::Changed]));
    assert_eq!(each.approves("boss"), Ok(vec![Command::Decided]));
}

#[test]
fn who_started_it_cannot_approve_it_but_can_stop_it() {
    let excluded = vec!["ann".to_owned()];
    let mut world = World::new(Route { excluded, ..route(quorum(1, &["ann", "bob"])) });
    assert_eq!(world.approves("ann"), Err(Rejected::SelfApproval { by: "ann".to_owned() }));
    assert_eq!(world.request.eligible(START), Some(["bob".to_owned()].into()));
    world.says("ann", Verdict::Rejected, "not yet").unwrap();
    assert_eq!(world.decided(), Some((Decided::Rejected, "ann", "cli")));
}

#[test]
fn a_route_that_nobody_can_satisfy_is_known() {
    let excluded = vec!["ann".to_owned()];
    assert!(Route { excluded: excluded.clone(), ..route(quorum(2, &["ann", "bob"])) }.is_hopeless());
    assert!(Route { excluded: excluded.clone(), ..route(person("ann")) }.is_hopeless());
    assert!(!Route { excluded, ..route(quorum(1, &["ann", "bob"])) }.is_hopeless());
    assert!(route(quorum(0, &["ann"])).is_hopeless() && route(Who::AllOf(Vec::new())).is_hopeless());
    assert!(!Route::auto("easy").is_hopeless() && !Route::anyone("ask").is_hopeless());
}

#[test]
fn remembered_decisions_are_votes_of_those_who_made_them() {
    let remembered = vec![("ann".to_owned(), id(9)), ("ann".to_owned(), id(8)), ("carl".to_owned(), id(7))];
    let alone = World::new(Route { remembered: remembered.clone(), ..route(quorum(1, &["ann", "bob"])) });
    assert_eq!(alone.decided(), Some((Decided::Approved, "ann", "remembered")));
    assert_eq!(alone.request.votes[0].note, format!("remembered from request {}", id(9)));
    let mut two = World::new(Route { remembered, ..route(quorum(2, &["ann", "bob"])) });
    assert_eq!((two.decided(), two.request.votes.len()), (None, 1));
    assert_eq!(two.approves("ann"), Err(Rejected::AlreadyVoted { by: "ann".to_owned() }));
    assert_eq!(two.approves("bob"), Ok(vec![Command::Decided]));
}

#[test]
fn nothing_remembered_counts_for_high_risk_for_the_excluded_or_for_other_kinds() {
    let remembered = vec![("ann".to_owned(), id(9))];
    let base = Route { remembered, ..route(quorum(1, &["ann", "bob"])) };
    assert!(World::new(Route { risk: Risk::Medium, ..base.clone() }).decided().is_some());
    assert_eq!(World::new(Route { risk: Risk::High, ..base.clone() }).decided(), None);
    assert_eq!(World::new(Route { excluded: vec!["ann".to_owned()], ..base.clone() }).decided(), None);
    for asked in [Asked::Plan, Asked::Apply, Asked::Question, Asked::Budget, Asked::Patch, Asked::Skill] {
        assert_eq!(World::of(asked, base.clone()).decided(), None);
    }
    assert!(World::of(Asked::Capability, base).decided().is_some());
}

#[test]
fn what_is_gone_is_closed_with_the_reason() {
    let mut world = World::new(escalating(person("ann"), person("boss")));
    assert_eq!(world.step(Fact::Closed { channel: "void", reason: "another plan" }), Ok(vec![Command::Decided]));
    assert_eq!(world.decided(), Some((Decided::Rejected, "orchestrator", "void")));
    assert_eq!(next_at(&world.request), None);
}

#[test]
fn a_view_is_kept_once_for_each_person_and_channel() {
    let mut world = World::new(Route::anyone("ask"));
    let viewed = |by, channel| Fact::Viewed { by, channel };
    assert_eq!(world.step(viewed("ann", "slack")), Ok(Vec::new()));
    assert_eq!(world.step(viewed("ann", "slack")), Err(Rejected::Known));
    assert_eq!(world.step(viewed("ann", "email")), Ok(Vec::new()));
    world.approves("ann").unwrap();
    assert_eq!(world.step(viewed("bob", "slack")), Ok(Vec::new()), "after the decision, too");
    assert_eq!(world.request.views.len(), 3);
}

#[test]
fn a_route_travels_as_json() {
    let who = Who::AnyOf(vec![quorum(2, &["ann", "bob"]), super::support::after(5, person("boss")), Who::Anyone]);
    let route = Route { remembered: vec![("ann".to_owned(), id(2))], ..escalating(who, person("boss")) };
    let text = serde_json::to_string(&route).unwrap();
    assert_eq!(serde_json::from_str::<Route>(&text).unwrap(), route);
    let least: Route = serde_json::from_str(r#"{"policy":"p","ruling":"auto"}"#).unwrap();
    assert_eq!((least.ruling.clone(), least.asks()), (Ruling::Auto, false));
    assert!(ask(id(1), Asked::Plan, String::new(), least, START).0.decision.is_some());
}
