//! What a good agent does.

use serde_json::json;

use super::*;
use crate::agent::{GaveUp, command::Pause, step::Rejected};

#[test]
fn calls_of_an_answer_run_together_and_their_results_keep_its_order() {
    let mut sim = Sim::new(setup());
    sim.answer(
        "I look.",
        &[("read", json!({"path": "a"})), ("read", json!({"path": "b"})), ("exec", json!({"command": "c"}))],
    );
    assert!(matches!(&sim.last, Some(Command::RunTools(calls)) if calls.len() == 3));
    sim.done("c2", "third").done("c0", "first");
    assert_eq!(sim.saves, 0, "a turn is saved when it is whole");
    sim.done("c1", "second");
    assert_eq!((sim.saves, sim.newest().as_str()), (1, "first\nsecond\nthird\n"));
    sim.hand_off();
    assert_eq!(sim.end(), &End::Finish(json!({ "goal": "g", "done": "d" })));
    assert_eq!(sim.saves, 2, "the last turn is saved, too: another attempt may go on from it");
}

#[test]
fn the_next_model_call_waits_for_the_checkpoint() {
    let (state, _) =
        step(&State::default(), Event::Started { setup: Box::new(setup()), memory: Box::default(), notes: Vec::new() })
            .unwrap();
    let call = Call { id: "c".into(), name: "exec".into(), input: Input::Json(json!({})) };
    let answer = Answer { calls: vec![call], ..Answer::default() };
    let (state, _) = step(&state, Event::ModelAnswered(Box::new(answer))).unwrap();
    let outcome = Outcome { id: "c".into(), name: "exec".into(), text: "x".into(), is_error: false };
    let (state, commands) = step(&state, Event::ToolDone { outcome }).unwrap();
    assert!(matches!(commands.as_slice(), [Command::Save { turn: 1, .. }]));
    assert_eq!(step(&state, Event::ModelFailed(cut())).map(|_| ()), Err(Rejected::NotNow));
    let (_, commands) = step(&state, Event::CheckpointSaved).unwrap();
    assert!(matches!(commands.as_slice(), [Command::CallModel { model: 0, wait_ms: 0, .. }]));
}

#[test]
fn a_note_is_heard_at_the_next_turn_and_once() {
    let mut sim = Sim::new(setup());
    sim.answer("", &[("exec", json!({"command": "a"}))]);
    sim.send(Event::NoteHeard(note("n1", "use tabs"))).send(Event::NoteHeard(note("n1", "use tabs")));
    sim.done("c0", "x");
    let text = all_text(sim.context());
    assert_eq!(text.matches("use tabs").count(), 1, "{text}");
    assert!(sim.newest().contains("<note from=\"ada\">"));
    sim.send(Event::NoteHeard(note("n1", "use tabs"))).work("b", "y");
    assert_eq!(all_text(sim.context()).matches("use tabs").count(), 1);
}

#[test]
fn nothing_ends_before_what_was_said_is_heard() {
    let mut sim = Sim::new(setup());
    sim.work("a", "x").answer("", &[("hand_off", json!({}))]);
    sim.send(Event::NoteHeard(note("n1", "wait")));
    sim.send(Event::ToolEnded { id: "c0".into(), ending: report(false) });
    assert!(all_text(sim.context()).contains("somebody has something to say"));
    assert!(sim.newest().contains("wait"));
    sim.hand_off();
    assert!(matches!(sim.end(), End::Finish(_)));
}

#[test]
fn a_handoff_beside_a_call_that_failed_is_not_one() {
    let mut sim = Sim::new(setup());
    sim.answer("", &[("exec", json!({"command": "make test"})), ("hand_off", json!({}))]);
    sim.send(Event::ToolEnded { id: "c1".into(), ending: report(false) }).outcome("c0", "3 tests fail", true);
    assert!(sim.newest().contains("another call of the same answer failed (exec: make test)"), "{}", sim.newest());
}

#[test]
fn a_question_pauses_and_is_saved_first() {
    let mut sim = Sim::new(setup());
    sim.work("a", "x").answer("", &[("ask_person", json!({"question": "Which?"}))]);
    let ending = Ending::Ask { question: "Which?".into(), options: vec!["A".into()] };
    sim.send(Event::ToolEnded { id: "c0".into(), ending });
    let pause = Pause::Question { question: "Which?".into(), options: vec!["A".into()], stuck: false };
    assert_eq!(sim.end(), &End::Pause(pause));
    assert_eq!(sim.saves, 2);
}

#[test]
fn a_report_without_work_is_refused_once_and_then_given_up() {
    let mut sim = Sim::new(setup());
    sim.hand_off();
    assert!(sim.newest().contains("a report of work is no work"));
    sim.answer("", &[("todo", json!({}))]).done("c0", "noted").hand_off();
    assert!(matches!(sim.end(), End::GiveUp { reason: GaveUp::NothingDone, .. }), "a todo list is no work");
    let mut sim = Sim::new(setup());
    sim.hand_off().work("ls", "a").hand_off();
    assert!(matches!(sim.end(), End::Finish(_)), "it did something after that");
}

#[test]
fn a_planner_hands_off_a_plan_without_having_touched_anything() {
    let planner = || Sim::new(Setup { planner: true, ..setup() });
    let mut sim = planner();
    sim.answer("", &[("hand_off", json!({}))]).send(Event::ToolEnded { id: "c0".into(), ending: report(true) });
    assert!(matches!(sim.end(), End::Finish(_)));
    let mut sim = planner();
    sim.hand_off();
    assert!(sim.newest().contains("without a plan"));
}

#[test]
fn who_is_only_asked_something_answers_without_having_touched_anything() {
    let mut sim = Sim::new(Setup { answers_only: true, ..setup() });
    sim.hand_off();
    assert!(matches!(sim.end(), End::Finish(_)));
}

#[test]
fn it_is_told_when_few_turns_are_left_and_given_up_when_none_is() {
    let mut sim = Sim::new(Setup { max_turns: 12, ..setup() });
    for turn in 0..12 {
        let told = all_text(sim.context()).contains("5 turns are left");
        assert_eq!(told, turn >= 7, "turn {turn}");
        sim.work(&format!("step {turn}"), "x");
    }
    assert!(matches!(sim.end(), End::GiveUp { reason: GaveUp::OutOfTurns, .. }));
}

#[test]
fn what_was_stopped_is_over() {
    let mut sim = Sim::new(setup());
    sim.send(Event::Stopped);
    assert_eq!(sim.end(), &End::Stop);
    assert_eq!(step(&sim.state, Event::CheckpointSaved).map(|_| ()), Err(Rejected::Over));
}

#[test]
fn a_full_transcript_ends_the_attempt_but_not_a_handoff() {
    let mut sim = Sim::new(setup());
    sim.work("a", "x").answer("", &[("exec", json!({"command": "b"}))]);
    let outcome = Outcome { id: "c0".into(), name: "exec".into(), text: "x".into(), is_error: false };
    let (saving, _) = step(&sim.state, Event::ToolDone { outcome }).unwrap();
    let (_, commands) = step(&saving, Event::TranscriptFull).unwrap();
    let end = commands.iter().find_map(|command| match command {
        Command::End(End::GiveUp { reason, detail }) => Some((*reason, detail.as_str())),
        _ => None,
    });
    let (reason, detail) = end.unwrap();
    assert!(reason == GaveUp::OutOfTurns && detail.contains("transcript is full"), "{detail}");
    sim.done("c0", "x").answer("", &[("hand_off", json!({}))]);
    let (saving, _) = step(&sim.state, Event::ToolEnded { id: "c0".into(), ending: report(false) }).unwrap();
    let (_, commands) = step(&saving, Event::TranscriptFull).unwrap();
    assert!(commands.iter().any(|command| matches!(command, Command::End(End::Finish(_)))), "{commands:?}");
}
