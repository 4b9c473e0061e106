//! Going on in another computer.

use serde_json::json;

use super::*;
use crate::agent::transcript::{Line, VERSION};

/// An agent that worked, was told something and asked a question.
fn paused() -> String {
    let mut sim = Sim::resumed(setup(), "", vec![note("n1", "use tabs")]);
    sim.work("ls", "a").answer("", &[("exec", json!({"command": "b"})), ("ask_person", json!({"question": "Which?"}))]);
    sim.done("c0", "x");
    sim.send(Event::ToolEnded { id: "c1".into(), ending: Ending::Ask { question: "Which?".into(), options: vec![] } });
    sim.saved
}

#[test]
fn it_goes_on_with_the_answer_and_what_it_knew() {
    let notes = vec![note("n1", "use tabs"), note("n2", "The blue one.")];
    let sim = Sim::resumed(Setup { attempt: 2, ..setup() }, &paused(), notes);
    let text = all_text(sim.context());
    assert_eq!(text.matches("use tabs").count(), 1, "heard before");
    assert!(text.contains("The blue one.") && text.contains("Begin.") && text.contains("You go on."), "{text}");
    assert!(text.contains("The attempt ended with this call"), "the open call has its result");
    let places = ["Begin.", "use tabs", "ask_person", "The attempt ended", "You go on.", "The blue one."]
        .map(|part| text.find(part));
    assert!(places.is_sorted() && places[0].is_some(), "{places:?} {text}");
}

#[test]
fn whatever_is_cut_off_the_end_is_only_lost() {
    let whole = paused();
    for cut in (0..whole.len()).filter(|at| whole.is_char_boundary(*at)) {
        let mut sim = Sim::resumed(setup(), &whole[..cut], Vec::new());
        sim.work("c", "y");
        let fold = fold(sim.saved.as_bytes());
        assert!(fold.unreadable <= 1 && fold.memory == sim.state.memory, "cut at {cut}");
    }
}

#[test]
fn a_turn_that_was_saved_twice_counts_once() {
    let whole = paused();
    let last = whole.rfind("{\"line\":\"answered\"").unwrap();
    let twice = format!("{whole}{}", &whole[last..]);
    assert_eq!(fold(twice.as_bytes()).memory, fold(whole.as_bytes()).memory);
}

#[test]
fn reminders_and_warnings_start_anew() {
    let mut sim = Sim::new(setup());
    sim.answer("", &[]).answer("", &[]).answer("", &[]).answer("", &[]);
    sim.end();
    let mut sim = Sim::resumed(setup(), &sim.saved.clone(), vec![note("n", "Look at the tests.")]);
    sim.answer("", &[]);
    assert!(sim.newest().contains("Your answer was empty"));
}

#[test]
fn lines_of_a_later_version_are_not_half_understood() {
    let line = Line::Began { version: VERSION + 1, task_key: "build".into(), attempt: 1 }.text();
    let folded = fold(format!("{line}{}", paused()).as_bytes());
    assert!(folded.memory.is_empty() && folded.unreadable == 1);
    assert!(fold(b"\xff\xfe garbage\n\n{}\n[1]\nnull\n").memory.is_empty());
}

#[test]
fn a_line_spoilt_in_the_middle_costs_only_itself() {
    let whole = paused();
    let lines: Vec<&str> = whole.lines().filter(|line| !line.is_empty()).collect();
    for spoilt in 0..lines.len() {
        let text: String = lines
            .iter()
            .enumerate()
            .map(|(at, line)| if at == spoilt { "{\n" } else { line }.to_owned() + "\n")
            .collect();
        let mut sim = Sim::resumed(setup(), &text, Vec::new());
        sim.work("c", "y").work("d", "z");
        assert_eq!(fold(sim.saved.as_bytes()).memory, sim.state.memory, "without {}", lines[spoilt]);
    }
}

#[test]
fn what_tools_remember_comes_back() {
    let mut sim = Sim::new(setup());
    sim.answer("", &[("todo", json!({}))]);
    sim.send(Event::ToolState { state: json!({"todo": [1]}), todo: "- [open] one".into() }).done("c0", "noted");
    let memory = fold(sim.saved.as_bytes()).memory;
    assert_eq!((memory.tools, memory.digest.todo.as_deref()), (Some(json!({"todo": [1]})), Some("- [open] one")));
}

#[test]
fn a_long_life_is_read_back() {
    let transcript = crate::agent::bench::transcript(2_000);
    let folded = fold(transcript.as_bytes());
    assert_eq!((folded.memory.turn, folded.unreadable), (2_000, 0));
    assert!(folded.memory.bytes() < 400_000, "what is remembered is bounded: {}", folded.memory.bytes());
}
