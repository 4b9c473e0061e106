//! Synthetic agents, for measuring: the loop without model and tools, and a long transcript.

use serde_json::json;

use super::{Answer, Call, Command, Event, Input, ModelLimits, Outcome, Setup, State, message::Context, step};

/// What a synthetic turn's tool answers, in bytes.
const RESULT_BYTES: usize = 2000;

/// A synthetic agent, between two turns.
#[derive(Debug)]
pub struct Bench {
    state: State,
    /// What the model is shown next.
    pub context: Context,
    turn: usize,
}

impl Bench {
    /// Begins.
    #[must_use]
    pub fn new() -> Self {
        let setup = Setup {
            task_key: "bench".into(),
            attempt: 1,
            max_turns: u32::MAX,
            models: vec![ModelLimits { context_tokens: 200_000, max_output_tokens: 8000 }],
            tools: vec!["exec".into(), "read".into()],
            fixed_bytes: 20_000,
            opening: "Begin.".into(),
            resumed: "Go on.".into(),
            ..Setup::default()
        };
        let mut bench = Self { state: State::default(), context: Context::new(), turn: 0 };
        bench.feed(Event::Started { setup: Box::new(setup), memory: Box::default(), notes: Vec::new() });
        bench
    }

    /// One turn with an answer and two results; returns the lines that are saved.
    pub fn turn(&mut self) -> String {
        self.turn += 1;
        let turn = self.turn;
        let call = |id: &str, name: &str, input| Call { id: id.into(), name: name.into(), input: Input::Json(input) };
        let answer = Answer {
            text: format!("Step {turn}: I look at the next part and run its tests."),
            calls: vec![
                call("a", "exec", json!({ "command": format!("make part{turn}") })),
                call("b", "read", json!({ "path": format!("src/part{turn}.rs"), "from_line": turn })),
            ],
            ..Answer::default()
        };
        let mut saved = self.feed(Event::ModelAnswered(Box::new(answer)));
        for (id, name) in [("a", "exec"), ("b", "read")] {
            let text = format!("{turn} {}", "a line of output\n".repeat(RESULT_BYTES / 17));
            let outcome = Outcome { id: id.into(), name: name.into(), text, is_error: false };
            saved.push_str(&self.feed(Event::ToolDone { outcome }));
        }
        self.feed(Event::CheckpointSaved);
        saved
    }

    fn feed(&mut self, event: Event) -> String {
        let mut saved = String::new();
        if let Ok((next, commands)) = step(&self.state, event) {
            self.state = next;
            for command in commands {
                match command {
                    Command::Save { lines, .. } => saved.push_str(&lines),
                    Command::CallModel { context, .. } => self.context = context,
                    _ => {}
                }
            }
        }
        saved
    }
}

impl Default for Bench {
    fn default() -> Self {
        Self::new()
    }
}

/// A transcript of so many turns.
#[must_use]
pub fn transcript(turns: usize) -> String {
    let mut bench = Bench::new();
    (0..turns).map(|_| bench.turn()).collect()
}
