//! What agents ask for beyond their task.

use super::{
    agents::agent,
    support::{World, route, spec},
};
use crate::{
    ledger::{Route, Who},
    plan::{
        Command, Outcome, Rejected, Subject, TaskState, due,
        event::{Fact, PauseSpec, Verdict},
    },
};

fn asks_for(world: &mut World, host: &str, route: Option<Route>) -> Outcome {
    let number = world.work(1, 7);
    let approval_id = world.fresh();
    world
        .step(Fact::AttemptPaused {
            task_id: super::support::task(1),
            number,
            nonce: super::support::nonce(7),
            pause: PauseSpec::Capability { host: host.to_owned() },
            approval_id,
            digest: "capability".to_owned(),
            vm_ms: 0,
            saved_turn: 1,
            route: route.map(Box::new),
        })
        .unwrap()
}

fn world() -> World {
    World::new(vec![agent(1, &[]), spec(2, &[1])])
}

#[test]
fn a_granted_host_stays_with_the_task_and_the_agent_is_told() {
    let mut world = world();
    asks_for(&mut world, "crates.io", None);
    let approval_id = world.task(1).approval_id.unwrap();
    let subject = world.plan.approval(approval_id).unwrap().subject;
    assert!(matches!(subject, Subject::Capability { number: 1, .. }));
    let back = world.decide(1, Verdict::ChangesRequested, "less");
    assert_eq!(back, Err(Rejected::WrongVerdict { approval_id, subject: "capability" }));
    world.decide(1, Verdict::Approved, "").unwrap();
    let task = world.task(1);
    assert_eq!((task.state, task.granted.as_slice()), (TaskState::Ready, ["crates.io".to_owned()].as_slice()));
    assert!(task.notes[0].text.contains("crates.io: granted"));
    assert_eq!((task.resume_from, task.max_attempts), (1, 3), "it goes on, and lost no try");
}

#[test]
fn a_no_ends_nothing_and_is_not_asked_again() {
    let mut world = world();
    asks_for(&mut world, "evil.example", None);
    world.decide(1, Verdict::Rejected, "no downloads").unwrap();
    let task = world.task(1);
    assert_eq!((task.state, task.granted.len()), (TaskState::Ready, 0));
    let wanted =
        "You asked for access to evil.example: not granted: no downloads; do not ask for it again. Go on without it.";
    assert_eq!(task.notes[0].text, wanted);
    let outcome = asks_for(&mut world, "evil.example", None);
    assert!(!outcome.commands.iter().any(|command| matches!(command, Command::Ask { .. })));
    assert!(world.task(1).notes[1].text.contains("refused before"));
    asks_for(&mut world, "evil.example", None);
    asks_for(&mut world, "evil.example", None);
    assert_eq!(world.task(1).failure.as_ref().unwrap().reason, "no_progress", "and again is a failed attempt");
    world.wait(2_000);
    asks_for(&mut world, "docs.rs", None);
    assert_eq!(world.state(1), TaskState::InputRequired, "for something else people are asked");
}

#[test]
fn silence_is_a_no_and_a_policy_can_grant() {
    let mut world = world();
    let route = Route { deadline_ms: Some(1_000), ..route(Who::Anyone) };
    asks_for(&mut world, "crates.io", Some(route));
    world.wait(1_000);
    for event in due(&world.plan, world.now) {
        world.step(event.fact).unwrap();
    }
    assert_eq!((world.state(1), world.task(1).granted.len()), (TaskState::Ready, 0));
    assert!(world.task(1).notes[0].text.contains("nobody decided in time; do not ask"));
    asks_for(&mut world, "docs.rs", Some(Route::auto("hosts")));
    assert_eq!((world.state(1), world.task(1).granted[0].as_str()), (TaskState::Ready, "docs.rs"));
    assert_eq!(world.task(1).notes[1].from, "policy:hosts");
}
