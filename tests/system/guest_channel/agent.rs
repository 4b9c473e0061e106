//! An agent at the guest's end: what it saves, what it is told, what it asks.

use bus_schemas::v1::{
    agent::{AgentWork, Pause, Role},
    call::{GuestAnswer, GuestCall},
    guest::{Assignment, DataHeader},
    task::Note,
};
use vm_pool::adapter::session::Worked;

use super::{
    host::{Host, agent},
    rig::{Entry, Rig, soon},
    workspace::changes,
};

const ASKS: &str = r#"
[[conversation]]
name = "paint"
[[conversation.turn]]
text = "I look first."
calls = [{ tool = "read", input = { path = "wall.txt" } }]
[[conversation.turn]]
expect = { last = ["1\tgray"] }
calls = [{ tool = "edit", input = { path = "wall.txt", old = "gray", new = "white" } }, { tool = "exec", input = { command = "rm old.txt; mkdir -p a/b; echo new > a/b/c.txt" } }]
[[conversation.turn]]
calls = [{ tool = "ask_person", input = { question = "Red or blue?", options = ["red", "blue"] } }]
[[conversation.turn]]
expect = { last = ["blue it is"] }
calls = [{ tool = "exec", input = { command = "cat wall.txt a/b/c.txt; test -e old.txt || echo gone" } }]
[[conversation.turn]]
expect = { last = ["white", "new", "gone"] }
calls = [{ tool = "hand_off", input = { goal = "Paint", done = "Painted", artifacts = ["a/b/c.txt"] } }]
"#;

fn work(instructions: &str) -> AgentWork {
    AgentWork { instructions: instructions.into(), ..AgentWork::default() }
}

#[tokio::test]
async fn an_agent_pauses_and_goes_on_in_another_machine() {
    let tree = [("wall.txt", Entry::File(0o644, b"gray\n")), ("old.txt", Entry::File(0o644, b"old\n"))];
    let mut rig = Rig::with(&tree).await;
    let host = Host::new(rig.wishes.take().expect("wishes"), ASKS).await;
    rig.session.assign(Assignment::Attempt(agent(work("Paint.")))).await.expect("assigned");
    let worked = rig.work().await;
    assert_eq!(host.model.failures(), Vec::<String>::new());
    let Worked::Paused { pause, usage } = worked else { panic!("{worked:?}") };
    let options = vec!["red".into(), "blue".into()];
    assert_eq!(pause, Pause::Question { question: "Red or blue?".into(), options, stuck: false });
    assert!(usage.tool_calls >= 3);
    assert!(rig.text("agent").contains("I look first."), "{}", rig.text("agent"));
    assert!(rig.text("tool").contains("$ rm old.txt"), "{}", rig.text("tool"));
    let saved = host.saved();
    let with: Vec<_> = saved.turns.iter().map(|turn| (turn.number, turn.changes.is_some())).collect();
    assert_eq!((with[0], with[1]), ((1, false), (2, true)), "files go with a turn that changed some");

    let mut next = Rig::with(&tree).await;
    next.session.send(&DataHeader::Transcript, saved.transcript.as_slice(), soon()).await.expect("transcript");
    let tar = saved.changes().expect("changes").clone();
    next.session.send(&DataHeader::Restore, tar.as_slice(), soon()).await.expect("restored");
    let host = Host::new(next.wishes.take().expect("wishes"), ASKS).await;
    // Before it is at work, and once more: it is heard once.
    let note = Note { from: "Ada".into(), text: "blue it is".into(), id: "n1".into() };
    next.session.tell(&note).await.expect("told");
    let mut attempt = agent(work("Paint."));
    attempt.attempt = 2;
    attempt.notes = vec![note];
    next.session.assign(Assignment::Attempt(attempt)).await.expect("assigned");
    let worked = next.work().await;
    assert_eq!(host.model.failures(), Vec::<String>::new());
    let Worked::Finished(finished) = worked else { panic!("{worked:?}") };
    assert!(finished.used_tools);
    assert_eq!(finished.report.expect("a report").artifacts, ["a/b/c.txt"]);
    let (deleted, written) = changes(&next).await;
    assert_eq!(deleted, ["old.txt"]);
    assert_eq!(written.keys().collect::<Vec<_>>(), ["a/b/c.txt", "wall.txt"]);
    let first = host.saved().turns.first().map(|turn| turn.changes.is_some());
    assert_eq!(first, Some(true), "a new attempt's first checkpoint has what was restored");
}

#[tokio::test]
async fn a_note_reaches_an_agent_at_work() {
    let script = r#"
[[conversation]]
name = "wait"
[[conversation.turn]]
when = ["hurry up"]
calls = [{ tool = "hand_off", input = { goal = "Wait", done = "Waited" } }]
[[conversation.turn]]
forever = true
calls = [{ tool = "exec", input = { command = "echo tick >> ticks; tail -n 1 ticks; wc -l < ticks" } }]
"#;
    let mut rig = Rig::with(&[]).await;
    let host = Host::new(rig.wishes.take().expect("wishes"), script).await;
    let mut attempt = agent(work("Wait."));
    if let bus_schemas::v1::task::Program::Agent(work) = &mut attempt.program {
        work.max_turns = 1000;
    }
    rig.session.assign(Assignment::Attempt(attempt)).await.expect("assigned");
    rig.until_said("tool", "tick").await;
    let note = Note { from: "Ada".into(), text: "hurry up".into(), id: "n1".into() };
    rig.session.tell(&note).await.expect("told");
    let worked = rig.work().await;
    assert!(matches!(worked, Worked::Finished(_)), "{worked:?} {:?}", host.model.failures());
}

#[tokio::test]
async fn calls_of_a_planner_are_answered() {
    let script = r#"
[[conversation]]
name = "plan"
[[conversation.turn]]
calls = [{ tool = "check_plan", input = { plan = { version = 1, title = "T", tasks = [] } } }]
[[conversation.turn]]
expect = { last = ["refused: not here"] }
calls = [{ tool = "hand_off", input = { goal = "Plan", done = "Planned", result = { version = 1, title = "T", tasks = [] } } }]
"#;
    let mut rig = Rig::with(&[]).await;
    let mut host = Host::new(rig.wishes.take().expect("wishes"), script).await;
    let work = AgentWork { role: Role::Planner, ..work("Plan.") };
    rig.session.assign(Assignment::Attempt(agent(work))).await.expect("assigned");
    for answer in [GuestAnswer::Refused { detail: "not here".into() }, GuestAnswer::Sound { findings: Vec::new() }] {
        let (id, call) = host.call().await;
        assert!(matches!(&call, GuestCall::CheckPlan { text } if text.contains("\"title\": \"T\"")), "{call:?}");
        rig.session.answer(id, answer).await.expect("answered");
    }
    let worked = rig.work().await;
    assert_eq!(host.model.failures(), Vec::<String>::new());
    let Worked::Finished(finished) = worked else { panic!("{worked:?}") };
    assert!(finished.report.expect("a report").result.is_some());
}

#[tokio::test]
async fn a_stop_and_the_time_limit_end_an_agent_with_all_it_started() {
    let script = r#"
[[conversation]]
name = "sleep"
[[conversation.turn]]
forever = true
calls = [{ tool = "exec", input = { command = "echo $$ > self; echo begun; sleep 1000" } }]
"#;
    for limited in [false, true] {
        let mut rig = Rig::with(&[]).await;
        let _host = Host::new(rig.wishes.take().expect("wishes"), script).await;
        let mut attempt = agent(work("Sleep."));
        attempt.wall_ms = if limited { 3_000 } else { 600_000 };
        rig.session.assign(Assignment::Attempt(attempt)).await.expect("assigned");
        rig.until_said("tool", "begun").await;
        if !limited {
            rig.session.stop("enough").await.expect("stop");
        }
        let worked = rig.work().await;
        let Worked::Finished(finished) = worked else { panic!("{worked:?}") };
        assert_eq!((finished.timed_out, finished.exit_code), (limited, None));
        let child = std::fs::read_to_string(rig.workspace().join("self")).expect("its id");
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.trim()));
        assert!(stat.map_or(true, |stat| stat.contains(") Z ")), "{child} still runs");
    }
}
