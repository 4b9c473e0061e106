//! The core, driven by hand.

mod bad_input;
mod compaction;
mod flow;
mod properties;
mod resume;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    Answer, Call, Command, End, Ending, Event, Failure, Input, Message, ModelLimits, Outcome, Phase, Said, Setup,
    State, Stop, fold, message::Context, step,
};

pub(super) fn setup() -> Setup {
    Setup {
        task_key: "build".into(),
        attempt: 1,
        planner: false,
        answers_only: false,
        max_turns: 50,
        models: vec![ModelLimits { context_tokens: 100_000, max_output_tokens: 4000 }; 2],
        tools: ["exec", "read", "write", "todo", "hand_off", "ask_person", "bounce"].map(str::to_owned).into(),
        fixed_bytes: 8000,
        opening: "Begin.".into(),
        resumed: "You go on.".into(),
        retry_wait_ms: 10,
    }
}

/// An attempt whose turns are saved at once.
pub(super) struct Sim {
    pub(super) state: State,
    /// All that was saved.
    pub(super) saved: String,
    pub(super) saves: usize,
    pub(super) said: Vec<String>,
    /// The last command that waits for an event.
    pub(super) last: Option<Command>,
    pub(super) model_calls: usize,
}

impl Sim {
    pub(super) fn new(setup: Setup) -> Self {
        Self::resumed(setup, "", Vec::new())
    }

    pub(super) fn resumed(setup: Setup, transcript: &str, notes: Vec<Said>) -> Self {
        let mut sim = Self {
            state: State::default(),
            saved: transcript.to_owned(),
            saves: 0,
            said: Vec::new(),
            last: None,
            model_calls: 0,
        };
        let memory = fold(transcript.as_bytes()).memory;
        sim.send(Event::Started { setup: Box::new(setup), memory: Box::new(memory), notes });
        sim
    }

    pub(super) fn send(&mut self, event: Event) -> &mut Self {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            let (next, commands) = step(&self.state, event).expect("an event that fits");
            self.state = next;
            for command in commands {
                match command {
                    Command::Say(text) => self.said.push(text),
                    Command::Save { turn, lines } => {
                        assert_eq!(turn, self.state.memory.turn);
                        self.saved.push_str(&lines);
                        self.saves += 1;
                        // Now and then: it reads everything.
                        if self.saves.is_power_of_two() || self.saves.is_multiple_of(64) {
                            let folded = fold(self.saved.as_bytes()).memory;
                            assert_eq!(folded, self.state.memory, "what is saved is what is known");
                        }
                        events.push(Event::CheckpointSaved);
                    }
                    command => {
                        if let Command::CallModel { context, .. } = &command {
                            self.model_calls += 1;
                            assert_paired(context);
                        }
                        self.last = Some(command);
                    }
                }
            }
        }
        self
    }

    pub(super) fn answer(&mut self, text: &str, calls: &[(&str, Value)]) -> &mut Self {
        let calls = calls.iter().enumerate();
        let calls = calls.map(|(at, (name, input))| Call {
            id: format!("c{at}"),
            name: (*name).into(),
            input: Input::Json(input.clone()),
        });
        let answer = Answer { text: text.into(), calls: calls.collect(), ..Answer::default() };
        self.send(Event::ModelAnswered(Box::new(answer)))
    }

    pub(super) fn done(&mut self, id: &str, text: &str) -> &mut Self {
        self.outcome(id, text, false)
    }

    pub(super) fn outcome(&mut self, id: &str, text: &str, is_error: bool) -> &mut Self {
        let outcome = Outcome { id: id.into(), name: "exec".into(), text: text.into(), is_error };
        self.send(Event::ToolDone { outcome })
    }

    /// One turn that does something.
    pub(super) fn work(&mut self, command: &str, result: &str) -> &mut Self {
        self.answer("", &[("exec", json!({ "command": command }))]).done("c0", result)
    }

    pub(super) fn hand_off(&mut self) -> &mut Self {
        self.answer("", &[("hand_off", json!({}))]);
        self.send(Event::ToolEnded { id: "c0".into(), ending: report(false) })
    }

    pub(super) fn fail(&mut self, failure: Failure) -> &mut Self {
        self.send(Event::ModelFailed(failure))
    }

    pub(super) fn context(&self) -> &Context {
        match &self.last {
            Some(Command::CallModel { context, .. }) => context,
            other => panic!("no model is called, but {other:?}"),
        }
    }

    pub(super) fn model(&self) -> usize {
        match &self.last {
            Some(Command::CallModel { model, .. }) => *model,
            other => panic!("no model is called, but {other:?}"),
        }
    }

    /// The newest message of the context, as text.
    pub(super) fn newest(&self) -> String {
        self.context().last().map(|message| text(message)).unwrap_or_default()
    }

    pub(super) fn end(&self) -> &End {
        assert_eq!(self.state.phase, Phase::Ended);
        match &self.last {
            Some(Command::End(end)) => end,
            other => panic!("it has not ended, but {other:?}"),
        }
    }
}

pub(super) fn report(has_result: bool) -> Ending {
    Ending::HandOff { report: json!({ "goal": "g", "done": "d" }), has_result }
}

pub(super) fn note(id: &str, text: &str) -> Said {
    Said { id: id.into(), from: "ada".into(), text: text.into() }
}

pub(super) fn cut() -> Failure {
    Failure::Cut { detail: "gone".into() }
}

pub(super) fn text(message: &Message) -> String {
    match message {
        Message::User(text) => text.clone(),
        Message::Model { text, calls } => format!("{text} {calls:?}"),
        Message::Results(results) => results.iter().map(|result| format!("{}\n", result.text)).collect(),
    }
}

pub(super) fn all_text(context: &Context) -> String {
    context.iter().map(|message| text(message) + "\n").collect()
}

/// Every call has its result, in the message after it and in the same order; nothing else has one.
pub(super) fn assert_paired(context: &Context) {
    for (at, message) in context.iter().enumerate() {
        match message.as_ref() {
            Message::Model { calls, .. } if !calls.is_empty() => {
                let Some(Message::Results(results)) = context.get(at + 1).map(AsRef::as_ref) else {
                    panic!("calls without results: {calls:?}");
                };
                let wanted: Vec<&str> = calls.iter().map(|call| call.id.as_str()).collect();
                let found: Vec<&str> = results.iter().map(|result| result.id.as_str()).collect();
                assert_eq!(wanted, found);
                assert_eq!(wanted.iter().collect::<BTreeSet<_>>().len(), wanted.len(), "ids are unique");
            }
            Message::Results(_) => {
                assert!(matches!(context[at - 1].as_ref(), Message::Model { calls, .. } if !calls.is_empty()));
            }
            _ => {}
        }
    }
    assert!(matches!(context.first().map(AsRef::as_ref), Some(Message::User(_))), "the worker speaks first");
    assert!(!matches!(context.last().map(AsRef::as_ref), Some(Message::Model { calls, .. }) if !calls.is_empty()));
}
