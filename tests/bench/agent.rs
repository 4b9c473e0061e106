//! The built-in agent's loop without model and tools, and the return of a long transcript.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use worker::agent::{
    Answer, Call, Command, Event, Input, Memory, ModelLimits, Outcome, Setup, State, Stop, Usage, fold, step,
};

use crate::report::{Report, percentile};

/// Turns of the measured loop; what an agent says and sees in one is like what they are in life.
const TURNS: u32 = 1_000;
/// Turns of the transcript that comes back.
const LONG: u32 = 10_000;
/// Bytes a tool prints.
const PRINTED: usize = 2_000;
const SAMPLES: usize = 5;

/// Measures what the agent's core costs per turn and when it resumes.
pub fn agent(report: &mut Report) -> Result<()> {
    let (mut per_turn, _) = live(TURNS)?;
    report.spread("agent: one turn outside model and tools", &mut per_turn, None, Some(2.0));

    let (_, transcript) = live(LONG)?;
    #[expect(clippy::cast_precision_loss, reason = "sizes far below 2^52")]
    report.at_most("agent: a transcript of 10,000 turns", transcript.len() as f64 / 1_048_576.0, "MiB", None);
    let mut samples = Vec::new();
    for _ in 0..SAMPLES {
        let start = Instant::now();
        let folded = fold(transcript.as_bytes());
        let (_, commands) = step(&State::default(), started(folded.memory))?;
        samples.push(start.elapsed());
        ensure!(folded.unreadable == 0, "{} lines cannot be read", folded.unreadable);
        ensure!(!commands.is_empty(), "it does not go on");
    }
    samples.sort_unstable();
    report.at_most("agent: 10,000 turns resumed, median", percentile(&samples, 50), "ms", Some(1_000.0));
    Ok(())
}

fn started(memory: Memory) -> Event {
    let limits = ModelLimits { context_tokens: 200_000, max_output_tokens: 16_000 };
    let setup = Setup {
        task_key: "bench".into(),
        attempt: 1,
        max_turns: u32::MAX,
        models: vec![limits],
        tools: vec!["exec".into(), "hand_off".into()],
        fixed_bytes: 20_000,
        opening: "Make the suite pass.".into(),
        resumed: "Go on.".into(),
        retry_wait_ms: 500,
        ..Setup::default()
    };
    Event::Started { setup: Box::new(setup), memory: Box::new(memory), notes: Vec::new() }
}

/// Plays a session; returns the time of each turn and the transcript.
fn live(turns: u32) -> Result<(Vec<Duration>, String)> {
    let mut transcript = String::new();
    let mut times = Vec::new();
    let (mut state, mut commands) = step(&State::default(), started(Memory::default()))?;
    let mut turn = 0;
    let mut spent = Duration::ZERO;
    loop {
        let mut events = Vec::new();
        for command in commands {
            match command {
                Command::CallModel { .. } if turn == turns => return Ok((times, transcript)),
                Command::CallModel { .. } => {
                    turn += 1;
                    times.push(std::mem::take(&mut spent));
                    events.push(Event::ModelAnswered(Box::new(answer(turn))));
                }
                Command::RunTools(calls) => events.extend(calls.into_iter().map(done)),
                Command::Save { lines, .. } => {
                    transcript.push_str(&lines);
                    events.push(Event::CheckpointSaved);
                }
                Command::Say(_) => {}
                Command::End(end) => bail!("it ended: {end:?}"),
            }
        }
        ensure!(!events.is_empty(), "nothing goes on at turn {turn}");
        commands = Vec::new();
        for event in events {
            let start = Instant::now();
            let (next, more) = step(&state, event).context("a legal event is refused")?;
            spent += start.elapsed();
            state = next;
            commands.extend(more);
        }
    }
}

fn answer(turn: u32) -> Answer {
    let call = Call {
        id: format!("call-{turn}"),
        name: "exec".into(),
        input: Input::Json(serde_json::json!({ "command": format!("cargo test case_{turn} -- --nocapture") })),
    };
    Answer {
        text: format!("Case {turn} is next; I look at what it prints."),
        calls: vec![call],
        stop: Stop::Tools,
        usage: Usage { context: 1_000, cached: 900, output: 60 },
    }
}

fn done(call: Call) -> Event {
    let text = format!("{}\n{}", call.id, "a line of output that says little\n".repeat(PRINTED / 34));
    Event::ToolDone { outcome: Outcome { id: call.id, name: call.name, text, is_error: false } }
}
