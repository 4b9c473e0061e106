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
    asks(world, PauseSpec::Capability { host: host.to_owned() }, route)
}

fn asks_for_secret(world: &mut World, name: &str, problem: Option<&str>) -> Outcome {
    let (name, terms) = (name.to_owned(), "authorization to api.example".to_owned());
    asks(world, PauseSpec::Secret { name, terms, problem: problem.map(str::to_owned) }, None)
}

fn asks(world: &mut World, pause: PauseSpec, route: Option<Route>) -> Outcome {
    let number = world.work(1, 7);
    let approval_id = world.fresh();
    world
        .step(Fact::AttemptPaused {
            task_id: super::support::task(1),
            number,
            nonce: super::support::nonce(7),
            pause,
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

#[test]
fn a_granted_secret_stays_with_the_task_and_is_no_host() {
    let mut world = world();
    asks_for_secret(&mut world, "github", None);
    assert_eq!(world.task(1).reason, "asks for the secret github");
    let approval_id = world.task(1).approval_id.unwrap();
    assert!(matches!(world.plan.approval(approval_id).unwrap().subject, Subject::Capability { number: 1, .. }));
    world.decide(1, Verdict::Approved, "").unwrap();
    let task = world.task(1);
    let granted: Vec<(&str, &str)> =
        task.granted_secrets.iter().map(|(name, to)| (name.as_str(), to.as_str())).collect();
    assert_eq!((task.state, granted), (TaskState::Ready, vec![("github", "authorization to api.example")]));
    assert_eq!(task.granted, Vec::<String>::new(), "a secret's name opens no host");
    assert!(task.notes[0].text.starts_with("You asked for the secret github: granted. The proxy uses it for you"));
    assert_eq!((task.resume_from, task.max_attempts), (1, 3), "it goes on, and lost no try");
    // It is asked for again: nobody is asked. A host of the same name is another thing.
    let outcome = asks_for_secret(&mut world, "github", None);
    assert!(!outcome.commands.iter().any(|command| matches!(command, Command::Ask { .. })));
    assert!(world.task(1).notes[1].text.ends_with("you have it already."));
    asks_for(&mut world, "github", None);
    assert_eq!(world.state(1), TaskState::InputRequired);
}

#[test]
fn a_granted_secret_that_goes_elsewhere_now_is_asked_for_again() {
    let mut world = world();
    asks_for_secret(&mut world, "github", None);
    world.decide(1, Verdict::Approved, "").unwrap();
    let (name, terms) = ("github".to_owned(), "authorization to evil.example".to_owned());
    asks(&mut world, PauseSpec::Secret { name, terms, problem: None }, None);
    assert_eq!(world.state(1), TaskState::InputRequired, "people are asked");
    world.decide(1, Verdict::Approved, "").unwrap();
    assert_eq!(world.task(1).granted_secrets["github"], "authorization to evil.example");
}

#[test]
fn a_pause_of_an_old_journal_is_read() {
    let old: PauseSpec = serde_json::from_str(r#"{"kind":"secret","name":"github"}"#).unwrap();
    assert_eq!(old, PauseSpec::Secret { name: "github".to_owned(), terms: String::new(), problem: None });
}

#[test]
fn a_secret_that_was_refused_or_is_not_there_is_asked_of_nobody() {
    let mut world = world();
    asks_for_secret(&mut world, "github", None);
    world.decide(1, Verdict::Rejected, "not this one").unwrap();
    let outcome = asks_for_secret(&mut world, "github", None);
    assert!(!outcome.commands.iter().any(|command| matches!(command, Command::Ask { .. })));
    let task = world.task(1);
    assert_eq!((task.state, task.granted_secrets.len()), (TaskState::Ready, 0));
    assert!(task.notes[0].text.contains("not granted: not this one") && task.notes[1].text.contains("refused before"));
    let outcome = asks_for_secret(&mut world, "aws", Some("there is no secret of that name, only github"));
    assert!(!outcome.commands.iter().any(|command| matches!(command, Command::Ask { .. })));
    let task = world.task(1);
    assert_eq!((task.state, task.granted_secrets.len()), (TaskState::Ready, 0));
    let wanted = "You asked for the secret aws: not granted: there is no secret of that name, only github; do not ask for it again. Go on without it.";
    assert_eq!(task.notes[2].text, wanted);
    asks_for_secret(&mut world, "aws", Some("there is none"));
    assert_eq!(world.task(1).failure.as_ref().unwrap().reason, "no_progress", "again and again is a failed attempt");
}
