//! What a bad model, a bad provider or a bad tool does.

use bus_schemas::time::UnixMs;
use serde_json::json;

use super::*;
use crate::agent::{GaveUp, command::Pause, step::IDLE_TURNS};

fn calls(sim: &mut Sim, calls: Vec<Call>, stop: Stop) {
    sim.send(Event::ModelAnswered(Box::new(Answer { calls, stop, ..Answer::default() })));
}

#[test]
fn an_input_that_is_no_json_is_answered_with_what_is_wrong() {
    let mut sim = Sim::new(setup());
    let bad = Call { id: "x".into(), name: "exec".into(), input: Input::Broken("{\"command\": ls}".into()) };
    let good = Call { id: "y".into(), name: "exec".into(), input: Input::Json(json!({"command": "ls"})) };
    calls(&mut sim, vec![bad.clone(), good], Stop::Tools);
    assert!(
        matches!(&sim.last, Some(Command::RunTools(run)) if run.len() == 1 && run[0].id == "y"),
        "the good one runs"
    );
    sim.done("y", "fine");
    assert!(sim.newest().contains("not valid JSON (expected value at line 1 column 13)"), "{}", sim.newest());
    calls(&mut sim, vec![bad], Stop::Length);
    assert!(sim.newest().contains("cut off at its longest length"));
}

#[test]
fn an_unknown_tool_is_answered_with_those_that_exist() {
    let mut sim = Sim::new(setup());
    sim.answer("", &[("bash", json!({}))]);
    assert!(sim.newest().contains("There is no tool `bash`. The tools are: exec, read, write"), "{}", sim.newest());
}

#[test]
fn ids_that_are_missing_or_the_same_are_told_apart() {
    let mut sim = Sim::new(setup());
    let call = |id: &str| Call { id: id.into(), name: "exec".into(), input: Input::Json(json!({})) };
    calls(&mut sim, vec![call(""), call("a"), call("a"), call("functions.exec:0"), call("a.")], Stop::Tools);
    let Some(Command::RunTools(run)) = sim.last.clone() else { panic!("nothing runs") };
    assert_eq!(run.iter().map(|call| call.id.as_str()).collect::<BTreeSet<_>>().len(), 5);
    assert_eq!(run[3].id, "functionsexec0", "in letters that every provider takes");
    for call in run {
        sim.done(&call.id, "x");
    }
    sim.context();
}

#[test]
fn too_many_calls_are_not_all_run() {
    let mut sim = Sim::new(setup());
    let many: Vec<(&str, Value)> = (0..40).map(|_| ("exec", json!({}))).collect();
    sim.answer("", &many);
    assert!(matches!(&sim.last, Some(Command::RunTools(run)) if run.len() == 16));
}

#[test]
fn answers_that_do_nothing_are_reminded_and_then_a_person_is_asked() {
    for text in ["", "All is done. Everything works."] {
        let mut sim = Sim::new(setup());
        sim.work("ls", "a");
        for _ in 0..IDLE_TURNS {
            sim.answer(text, &[]);
            assert!(sim.newest().contains("all"), "{}", sim.newest());
        }
        sim.answer(text, &[]);
        let End::Pause(Pause::Question { question, stuck: true, .. }) = sim.end() else { panic!("{:?}", sim.end()) };
        assert!(question.contains("without doing anything"), "{question}");
    }
    let mut sim = Sim::new(setup());
    for round in 0..9 {
        sim.answer("Hm.", &[]).work(&format!("ls {round}"), "a").answer("Hm.", &[]).answer("", &[]).work("pwd", "b");
    }
    sim.context();
}

#[test]
fn an_answer_cut_off_at_its_longest_is_asked_to_be_shorter() {
    let mut sim = Sim::new(setup());
    calls(&mut sim, Vec::new(), Stop::Length);
    assert!(sim.newest().contains("smaller step"));
    calls(&mut sim, Vec::new(), Stop::Refused);
    assert!(sim.newest().contains("withheld"));
}

#[test]
fn repetition_is_warned_of_once_and_then_a_person_is_asked() {
    let mut sim = Sim::new(setup());
    sim.work("make", "error 1").work("make", "error 1").work("make", "error 1");
    assert!(sim.newest().contains("repeat each other"));
    sim.work("make", "error 1").work("make", "error 1");
    sim.context();
    sim.work("make", "error 1");
    let End::Pause(Pause::Question { question, stuck: true, .. }) = sim.end() else { panic!("{:?}", sim.end()) };
    assert!(question.contains("exec: make"), "{question}");
}

#[test]
fn a_cycle_of_turns_is_repetition_and_progress_is_not() {
    let mut sim = Sim::new(setup());
    for _ in 0..6 {
        sim.work("edit", "ok").work("test", "fails").work("look", "code");
        if sim.state.phase == Phase::Ended {
            break;
        }
    }
    assert!(matches!(sim.end(), End::Pause(Pause::Question { stuck: true, .. })));
    let mut sim = Sim::new(setup());
    for round in 0..12 {
        sim.work("edit", &format!("ok {}", "x".repeat(round))).work("test", &format!("{} fail", "y".repeat(round)));
    }
    assert!(!all_text(sim.context()).contains("repeat each other"));
}

#[test]
fn a_broken_answer_is_asked_for_again_and_then_of_the_next_model() {
    let mut sim = Sim::new(setup());
    let before = sim.context().clone();
    sim.fail(cut());
    assert_eq!((sim.model(), sim.context()), (0, &before));
    assert!(matches!(sim.last, Some(Command::CallModel { wait_ms: 10, .. })));
    sim.fail(Failure::Server { detail: "529: overloaded".into() });
    assert_eq!(sim.model(), 0);
    sim.fail(cut());
    assert_eq!((sim.model(), sim.context()), (1, &before), "nothing of it is remembered");
    sim.work("ls", "a");
    assert_eq!(sim.model(), 1, "it stays with the model that works");
    sim.fail(cut()).fail(cut()).fail(cut());
    let End::GiveUp { reason: GaveUp::ModelFailed, detail } = sim.end() else { panic!("{:?}", sim.end()) };
    assert!(detail.contains("broke off"));
}

#[test]
fn a_refused_key_is_not_tried_twice() {
    let mut sim = Sim::new(setup());
    let refused = || Failure::Refused { detail: "401: no".into() };
    sim.fail(refused());
    assert_eq!(sim.model(), 1);
    sim.fail(refused());
    assert!(matches!(sim.end(), End::GiveUp { reason: GaveUp::ModelFailed, .. }));
    let mut sim = Sim::new(Setup { models: Vec::new(), ..setup() });
    assert!(matches!(sim.end(), End::GiveUp { reason: GaveUp::ModelFailed, .. }));
    let _ = &mut sim;
}

#[test]
fn a_spent_budget_pauses_at_once() {
    let mut sim = Sim::new(setup());
    let failure = Failure::Budget { task_key: "build".into(), resource: "usd".into(), used: 5, limit: 5 };
    sim.work("ls", "a").fail(failure);
    let pause = Pause::Budget { task_key: "build".into(), resource: "usd".into(), used: 5, limit: 5 };
    assert_eq!(sim.end(), &End::Pause(pause));
}

#[test]
fn rate_limits_are_gone_around_or_waited_for() {
    let limited = |provider: &str, at| Failure::RateLimited { provider: provider.into(), resume_at: UnixMs(at) };
    let mut sim = Sim::new(setup());
    sim.fail(limited("slow", 200));
    assert_eq!(sim.model(), 1);
    sim.fail(limited("other", 100));
    let pause = Pause::RateLimited { provider: "other".into(), resume_at: UnixMs(100) };
    assert_eq!(sim.end(), &End::Pause(pause), "until the first one lets it through");
    let mut sim = Sim::new(setup());
    sim.fail(limited("slow", 200)).fail(Failure::Refused { detail: "no".into() });
    assert!(matches!(sim.end(), End::Pause(Pause::RateLimited { .. })), "one of them comes back");
}

#[test]
fn a_result_of_ten_megabytes_is_cut() {
    let mut sim = Sim::new(setup());
    sim.work("cat big", &"x".repeat(10 * 1024 * 1024));
    assert!(sim.saved.len() < 600 * 1024 && all_text(sim.context()).contains("bytes left out"));
    assert!(sim.state.memory.bytes() < 300_000);
}

#[test]
fn a_context_that_a_model_refuses_is_made_smaller_and_then_another_model_is_taken() {
    let mut sim = Sim::new(setup());
    for turn in 0..20 {
        sim.work(&format!("step {turn}"), &format!("{turn} {}", "x".repeat(2000)));
    }
    let mut before = sim.state.memory.bytes();
    for _ in 0..3 {
        sim.fail(Failure::TooLong { detail: "400".into() });
        assert_eq!(sim.model(), 0);
        assert!(sim.state.memory.bytes() < before);
        before = sim.state.memory.bytes();
    }
    sim.fail(Failure::TooLong { detail: "400".into() });
    assert_eq!(sim.model(), 1);
}
