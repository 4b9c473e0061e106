//! Whatever models, tools and people do, it ends, remembers, and never shows a model a call without its result.

use bus_schemas::time::UnixMs;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::agent::step::TRIES;

/// What the world does next.
#[derive(Clone, Debug)]
enum Move {
    Answer { text: String, calls: Vec<(u8, bool)>, length: bool },
    Fail(u8),
}

/// How a call comes out.
#[derive(Clone, Copy, Debug)]
enum Out {
    Fine(u8),
    Bad,
    Ask,
    HandOff,
}

fn moves() -> impl Strategy<Value = Move> {
    let calls = prop::collection::vec((0..8_u8, prop::bool::weighted(0.1)), 0..5);
    prop_oneof![
        6 => ("[a-zD]{0,6}(\nDecision: [a-z]{1,5}|\nOpen question: [a-z]{1,5})?", calls, prop::bool::weighted(0.1))
            .prop_map(|(text, calls, length)| Move::Answer { text, calls, length }),
        1 => (0..6_u8).prop_map(Move::Fail),
    ]
}

fn outs() -> impl Strategy<Value = Out> {
    prop_oneof![
        8 => (0..40_u8).prop_map(Out::Fine),
        2 => Just(Out::Bad),
        1 => Just(Out::Ask),
        1 => Just(Out::HandOff),
    ]
}

fn failure(kind: u8) -> Failure {
    match kind {
        0 => cut(),
        1 => Failure::Server { detail: "500".into() },
        2 => Failure::TooLong { detail: "400".into() },
        3 => Failure::Refused { detail: "401".into() },
        4 => Failure::RateLimited { provider: "p".into(), resume_at: UnixMs(1) },
        _ => Failure::Budget { task_key: String::new(), resource: "usd".into(), used: 1, limit: 1 },
    }
}

const NAMES: [&str; 8] = ["exec", "read", "write", "todo", "hand_off", "ask_person", "nonsense", ""];

/// Plays until it ends; returns how often something happened.
fn play(sim: &mut Sim, moves: &[Move], outs: &[Out], notes: &[bool]) -> usize {
    let (mut events, mut out) = (0, outs.iter().cycle());
    for (at, next) in moves.iter().cycle().enumerate() {
        if sim.state.phase == Phase::Ended {
            break;
        }
        events += 1;
        assert!(events < 10_000, "it goes on for ever");
        if notes[at % notes.len()] {
            sim.send(Event::NoteHeard(note(&format!("n{at}"), "x")));
        }
        match next {
            Move::Fail(kind) => drop(sim.fail(failure(*kind))),
            Move::Answer { text, calls, length } => {
                let call = |(name, broken): &(u8, bool)| Call {
                    id: format!("i{}", name % 3),
                    name: NAMES[usize::from(*name)].into(),
                    input: if *broken { Input::Broken("{".into()) } else { Input::Json(json!({ "path": name })) },
                };
                let stop = if *length { Stop::Length } else { Stop::Done };
                let calls = calls.iter().map(call).collect();
                sim.send(Event::ModelAnswered(Box::new(Answer {
                    text: text.clone(),
                    calls,
                    stop,
                    ..Answer::default()
                })));
            }
        }
        if let Phase::Running(running) = &sim.state.phase {
            let mut open: Vec<Call> =
                running.calls.iter().filter(|(_, came)| came.is_none()).map(|(call, _)| call.clone()).collect();
            open.reverse();
            for call in open {
                match out.next().copied().unwrap_or(Out::Bad) {
                    Out::Fine(size) => drop(sim.done(&call.id, &"r".repeat(usize::from(size) * 200))),
                    Out::Bad => drop(sim.outcome(&call.id, "no", true)),
                    Out::Ask => drop(sim.send(Event::ToolEnded {
                        id: call.id,
                        ending: Ending::Ask { question: "?".into(), options: Vec::new() },
                    })),
                    Out::HandOff => drop(sim.send(Event::ToolEnded { id: call.id, ending: report(false) })),
                }
            }
        }
    }
    events
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn it_always_ends_and_another_one_can_go_on(
        moves in prop::collection::vec(moves(), 1..40),
        outs in prop::collection::vec(outs(), 1..20),
        notes in prop::collection::vec(prop::bool::weighted(0.1), 1..20),
        keep in 0..100_usize,
    ) {
        let limits = ModelLimits { context_tokens: 6000, max_output_tokens: 500 };
        let setup = Setup { max_turns: 40, models: vec![limits; 3], fixed_bytes: 2000, ..setup() };
        let mut sim = Sim::new(setup.clone());
        let events = play(&mut sim, &moves, &outs, &notes);
        let tries = setup.models.len() * (TRIES as usize + 4);
        prop_assert!(sim.model_calls <= setup.max_turns as usize * tries && events <= setup.max_turns as usize * tries);
        prop_assert!(sim.state.turns <= setup.max_turns);
        let live = format!("{}{}", sim.saved, sim.state.unsaved);
        prop_assert_eq!(&fold(live.as_bytes()).memory, &sim.state.memory);
        // Somewhere it broke off: another one goes on.
        let cut = sim.saved.floor_char_boundary(sim.saved.len() * keep / 100);
        let mut next = Sim::resumed(Setup { attempt: 2, ..setup }, &sim.saved[..cut], vec![note("late", "y")]);
        prop_assert!(all_text(next.context()).contains("<note from=\"ada\">"));
        play(&mut next, &moves, &outs, &notes);
    }
}
