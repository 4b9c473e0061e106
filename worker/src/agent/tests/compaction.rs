//! What survives when the context becomes too long.

use serde_json::json;

use super::*;

/// A long run, with things planted all along that must never be forgotten.
#[test]
fn decisions_questions_answers_and_notes_outlive_every_compaction() {
    let mut sim = Sim::new(Setup {
        max_turns: 2000,
        models: vec![ModelLimits { context_tokens: 32_000, max_output_tokens: 4000 }],
        opening: "The handoff of `scan`: there are 12 parsers.".into(),
        ..setup()
    });
    let mut planted = vec!["there are 12 parsers".to_owned()];
    let mut compactions = 0;
    for turn in 0..600 {
        let mut text = format!("Step {turn}: I go on with the work.");
        if turn % 40 == 3 {
            text.push_str(&format!("\n- **Decision:** module {turn} uses approach {turn} because of reason {turn}"));
            planted.push(format!("module {turn} uses approach {turn} because of reason {turn}"));
        }
        if turn % 40 == 13 {
            text.push_str(&format!("\nOpen question: is format {turn} wanted?\nOpen question: settled one {turn}?"));
            planted.push(format!("is format {turn} wanted?"));
        }
        if turn % 40 == 14 {
            text.push_str(&format!("\nSettled: settled one {} — yes", turn - 1));
        }
        if turn % 40 == 23 {
            sim.send(Event::NoteHeard(note(&format!("n{turn}"), &format!("answer {turn}: take the long road"))));
            planted.push(format!("answer {turn}: take the long road"));
        }
        let path = format!("src/part{turn}.rs");
        sim.answer(
            &text,
            &[
                ("write", json!({"path": path, "content": format!("{turn}{}", "code ".repeat(200))})),
                ("exec", json!({"command": format!("make part{turn}")})),
                ("todo", json!({})),
            ],
        );
        if turn % 100 == 50 {
            sim.send(Event::ToolState { state: json!(turn), todo: format!("- [doing] part {turn}") });
        }
        sim.done("c0", "written").done("c1", &format!("{turn} {}", "output ".repeat(300))).done("c2", "noted");
        compactions = sim.said.iter().filter(|line| line.contains("cut down")).count();
        assert!(sim.state.memory.bytes() < 32_000 * 3, "the context stays within the model's");
    }
    assert!((5..100).contains(&compactions), "it was compacted, and seldom: {compactions}");
    planted.push("- [doing] part 550".into());
    planted.push("src/part599.rs".into());
    // Once more, so that nothing is there only because its turn is.
    sim.send(Event::ModelFailed(Failure::TooLong { detail: "400".into() }));
    let context = all_text(sim.context());
    let lost: Vec<&String> = planted.iter().filter(|part| !context.contains(part.as_str())).collect();
    assert!(lost.is_empty(), "forgotten: {lost:?}");
    assert!(!context.contains("settled one 13"), "what is settled is not open");
    let told = (500..600).any(|turn| context.contains(&format!("- {turn}: Step {}", turn - 1)));
    assert!(told, "the turns before are told in a line each");
    assert_paired(sim.context());
    assert_eq!(fold(sim.saved.as_bytes()).memory.turn, 600);
}

#[test]
fn long_outputs_go_before_turns_do() {
    let mut sim =
        Sim::new(Setup { models: vec![ModelLimits { context_tokens: 32_000, max_output_tokens: 4000 }], ..setup() });
    let mut turn = 0;
    while !sim.said.iter().any(|line| line.contains("cut down")) {
        sim.work(&format!("step {turn}"), &format!("result {turn}\n{}", "x".repeat(6000)));
        turn += 1;
    }
    let context = all_text(sim.context());
    assert!(context.contains("bytes left out, beginning with: result 0]"), "a line is left of the oldest");
    assert!(context.contains("step 0") && !context.contains("was dropped"), "the turns are still there");
    assert!(context.contains(&format!("result {}\nxxx", turn - 1)), "the last ones are whole");
}

#[test]
fn one_enormous_turn_is_cut_to_what_the_model_takes() {
    let small = ModelLimits { context_tokens: 8000, max_output_tokens: 2000 };
    let mut sim = Sim::new(Setup { models: vec![small], ..setup() });
    sim.answer("look", &[("exec", json!({})), ("exec", json!({})), ("exec", json!({}))]);
    sim.done("c0", &"a".repeat(60_000)).done("c1", &"b".repeat(60_000)).done("c2", "small");
    assert!(sim.state.memory.bytes() < 18_000, "{}", sim.state.memory.bytes());
    let context = all_text(sim.context());
    assert!(context.contains("aaa") && context.contains("bbb") && context.contains("small"));
}
