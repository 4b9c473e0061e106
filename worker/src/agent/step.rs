//! The pure function: what happened in, what to do next out.
//!
//! ```text
//!           Started                 ModelAnswered, with calls
//!   fresh ──────────► calling ────────────────────────────────► running
//!                     │ ▲   ▲  ModelFailed: again, next model      │
//!                     │ │   └──────┐                               │ last ToolDone / ToolEnded
//!        no calls     │ │ saved    │                               ▼
//!        (reminded)   └─┼──────────┴──────────────────────────► saving
//!                       └───────────────────────────────────────┤
//!                                                               │ saved, and the turn ended the attempt
//!   ModelFailed for good, turns used up, Stopped                ▼
//!   ──────────────────────────────────────────────────────► ended
//! ```
//! * A turn is one answer of a model and everything that its calls bring. It is durable before the next model call.
//! * Every call gets a result, in the order of the calls, before the model is called again; only a call that ends the attempt has
//!   none, until the attempt goes on.
//! * Nothing goes on for ever: answers without calls, failures, repetition and turns are counted.

use std::collections::BTreeSet;

use super::{
    command::{Command, End, GaveUp, Pause},
    compact,
    event::{Event, Failure, Said},
    memory::Memory,
    message::{Answer, Stop},
    state::{ModelLimits, Phase, Running, Setup, State},
    transcript::{Line, VERSION, Why},
    words::{frame, one_line},
};

mod tools;

/// Answers in a row without a call, before a person is asked.
pub const IDLE_TURNS: u32 = 3;
/// Failures of one model in one turn, before the next model is taken.
pub const TRIES: u32 = 3;
/// Times that the context is made smaller because the model refused it.
const SQUEEZES: u32 = 3;
/// It is told when so many turns are left.
const LAST_TURNS: u32 = 5;

/// An event that does not fit the state, which stays as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// Not now.
    #[error("the agent does not wait for this now")]
    NotNow,
    /// There is no such call, or it has its result.
    #[error("no call waits for this")]
    NoCall,
    /// It is over.
    #[error("the attempt is over")]
    Over,
}

/// Applies one event and says what to do.
///
/// # Errors
/// [`Rejected`] if the event does not fit; the state is as before.
pub fn step(state: &State, event: Event) -> Result<(State, Vec<Command>), Rejected> {
    let mut next = Next { state: state.clone(), commands: Vec::new() };
    match (&state.phase, event) {
        (Phase::Ended, _) => return Err(Rejected::Over),
        (_, Event::Stopped) => next.end(End::Stop),
        (_, Event::NoteHeard(note)) => next.heard(note),
        (Phase::Calling | Phase::Running(_), Event::ToolState { state, todo }) => {
            next.remember(Line::Tools { state, todo });
        }
        (Phase::Fresh, Event::Started { setup, memory, notes }) => next.start(*setup, *memory, notes),
        (Phase::Calling, Event::ModelAnswered(answer)) => next.answered(*answer),
        (Phase::Calling, Event::ModelFailed(failure)) => next.failed(&failure),
        (Phase::Running(_), Event::ToolDone { outcome }) => next.tool_done(outcome)?,
        (Phase::Running(_), Event::ToolEnded { id, ending }) => next.tool_ended(&id, ending)?,
        (Phase::Saving { then }, Event::CheckpointSaved) => match then {
            Some(end) => next.end(end.as_ref().clone()),
            None => next.turn(),
        },
        (Phase::Saving { then }, Event::TranscriptFull) => next.full(then.as_deref()),
        _ => return Err(Rejected::NotNow),
    }
    Ok((next.state, next.commands))
}

/// The state to be, and what is to be done.
struct Next {
    state: State,
    commands: Vec<Command>,
}

impl Next {
    /// Everything that is remembered goes through here.
    fn remember(&mut self, line: Line) {
        self.state.unsaved.push_str(&line.text());
        self.state.memory.take(line);
    }

    fn tell(&mut self, why: Why, text: impl Into<String>) {
        self.remember(Line::Told { why, text: text.into() });
    }

    fn say(&mut self, text: impl Into<String>) {
        self.commands.push(Command::Say(text.into()));
    }

    fn end(&mut self, end: End) {
        self.state.phase = Phase::Ended;
        self.commands.push(Command::End(end));
    }

    /// Nothing can be saved any more. A handoff needs no transcript; whoever would go on needs a new one.
    fn full(&mut self, then: Option<&End>) {
        self.end(match then {
            Some(end @ (End::Finish(_) | End::GiveUp { .. })) => end.clone(),
            _ => End::GiveUp {
                reason: GaveUp::OutOfTurns,
                detail: "the transcript is full: the next attempt must start afresh".into(),
            },
        });
    }

    /// Saves the turn; what comes then is `then`, or the next turn.
    fn save(&mut self, then: Option<End>) {
        self.state.phase = Phase::Saving { then: then.map(Box::new) };
        let lines = std::mem::take(&mut self.state.unsaved);
        self.commands.push(Command::Save { turn: self.state.memory.turn, lines });
    }

    fn start(&mut self, setup: Setup, memory: Memory, notes: Vec<Said>) {
        let goes_on = !memory.is_empty();
        self.state.memory = memory;
        // A last line that was cut off must not spoil the next one.
        self.state.unsaved.push('\n');
        self.remember(Line::Began { version: VERSION, task_key: setup.task_key.clone(), attempt: setup.attempt });
        for call in self.state.memory.open_calls() {
            let text = tools::lost_result(&call.name);
            self.remember(Line::Result { id: call.id, text: text.into(), is_error: !tools::ends(&call.name) });
        }
        if self.state.memory.opening.is_none() {
            self.tell(Why::Opening, setup.opening.clone());
        }
        if goes_on {
            self.tell(Why::Resumed, setup.resumed.clone());
        }
        self.state.setup = setup;
        notes.into_iter().for_each(|note| self.heard(note));
        self.turn();
    }

    fn heard(&mut self, note: Said) {
        if !self.state.memory.has_heard(&note) && !self.state.notes.contains(&note) {
            self.state.notes.push_back(note);
        }
    }

    /// The next turn begins.
    fn turn(&mut self) {
        let max = self.state.setup.max_turns;
        let left = max.saturating_sub(self.state.turns);
        if left == 0 {
            let detail = format!("all {max} turns are used up");
            return self.end(End::GiveUp { reason: GaveUp::OutOfTurns, detail });
        }
        (self.state.failures, self.state.squeezes) = (0, 0);
        while let Some(note) = self.state.notes.pop_front() {
            let text = format!(
                "{} has something to say to you:\n{}",
                one_line(&note.from, 80),
                frame("note", &note.from, &note.text)
            );
            self.tell(Why::Note { id: note.id, from: note.from, said: note.text }, text);
        }
        if left == LAST_TURNS && max > 2 * LAST_TURNS {
            self.tell(
                Why::LastTurns,
                format!("{LAST_TURNS} turns are left. Bring what matters to an end and hand off; say in the report what is not done."),
            );
        }
        self.call(0);
    }

    /// Calls the model in use.
    fn call(&mut self, wait_ms: u64) {
        let limits = self.state.setup.models.get(self.state.model).copied();
        let Some(limits) = limits else {
            let detail = "there is no model for this agent: see `[models]` in baton.toml".into();
            return self.end(End::GiveUp { reason: GaveUp::ModelFailed, detail });
        };
        self.make_room(limits);
        self.state.phase = Phase::Calling;
        let context = self.state.memory.context();
        self.commands.push(Command::CallModel { model: self.state.model, context, wait_ms });
    }

    fn make_room(&mut self, limits: ModelLimits) {
        let room = compact::room(limits, self.state.setup.fixed_bytes);
        let before = self.state.memory.bytes();
        for line in compact::plan(&self.state.memory, room, self.state.squeezes) {
            self.remember(line);
            self.say(format!("(context: {before} bytes cut down to {})", self.state.memory.bytes()));
        }
    }

    fn answered(&mut self, mut answer: Answer) {
        self.state.turns += 1;
        self.state.limited.clear();
        let mut ids = BTreeSet::new();
        for (at, call) in answer.calls.iter_mut().enumerate() {
            // Not every provider takes back what another one made up.
            call.id.retain(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
            call.id.truncate(64);
            if call.id.is_empty() || !ids.insert(call.id.clone()) {
                call.id = format!("call_{}_{at}", self.state.memory.turn + 1);
                ids.insert(call.id.clone());
            }
        }
        let Answer { text, calls, stop, usage } = answer;
        let turn = self.state.memory.turn + 1;
        self.remember(Line::Answered { turn, text: text.clone(), calls: calls.clone(), stop, usage });
        if calls.is_empty() {
            return self.idle(&text, stop);
        }
        let known: Vec<_> = calls
            .into_iter()
            .enumerate()
            .map(|(at, call)| {
                let refusal = tools::refuse(&self.state.setup.tools, at, &call, stop);
                (call, refusal)
            })
            .collect();
        let run: Vec<_> = known.iter().filter(|(_, refusal)| refusal.is_none()).map(|(call, _)| call.clone()).collect();
        self.state.phase = Phase::Running(Running { calls: known });
        if run.is_empty() {
            self.settle();
        } else {
            self.commands.push(Command::RunTools(run));
        }
    }

    /// An answer that does nothing.
    fn idle(&mut self, text: &str, stop: Stop) {
        if self.state.memory.idle > IDLE_TURNS {
            let last = if text.trim().is_empty() {
                "Its last answer was empty.".into()
            } else {
                format!("Its last words: {}", one_line(text, 400))
            };
            let question = format!(
                "The agent answered {} times without doing anything. {last} What should it do?",
                self.state.memory.idle
            );
            return self.save(Some(stuck(question)));
        }
        let (said, nudge) = match (stop, text.trim().is_empty()) {
            (Stop::Length, _) => (
                "answer cut off",
                "Your answer was cut off at its longest length, and it called no tool. Think less at once, take a smaller step, and call a tool.",
            ),
            (Stop::Refused, _) => {
                ("answer withheld", "The provider withheld your answer. Go about it differently and call a tool.")
            }
            (_, true) => (
                "empty answer",
                "Your answer was empty. Call a tool: the next step of your work, or `hand_off` if everything is done.",
            ),
            (_, false) => (
                "no tool call",
                "You called no tool, so nothing happened. Go on with a tool call. If everything is done, call `hand_off` with your report; if only a person can decide, call `ask_person`.",
            ),
        };
        self.say(format!("({said}: reminded)"));
        self.tell(Why::Nudge, nudge);
        self.save(None);
    }

    fn failed(&mut self, failure: &Failure) {
        self.say(format!("(model call: {})", failure.detail()));
        match failure {
            Failure::Budget { task_key, resource, used, limit } => self.end(End::Pause(Pause::Budget {
                task_key: task_key.clone(),
                resource: resource.clone(),
                used: *used,
                limit: *limit,
            })),
            Failure::RateLimited { provider, resume_at } => {
                self.state.limited.push((self.state.model, provider.clone(), *resume_at));
                self.next_model(failure);
            }
            Failure::TooLong { .. } if self.state.squeezes < SQUEEZES => {
                self.state.squeezes += 1;
                self.call(0);
            }
            Failure::TooLong { .. } | Failure::Refused { .. } => self.give_up_model(failure),
            Failure::Cut { .. } | Failure::Server { .. } => {
                self.state.failures += 1;
                if self.state.failures < TRIES {
                    self.call(self.state.setup.retry_wait_ms << (self.state.failures - 1));
                } else {
                    self.give_up_model(failure);
                }
            }
        }
    }

    fn give_up_model(&mut self, failure: &Failure) {
        self.state.dead.insert(self.state.model);
        self.next_model(failure);
    }

    /// Takes the first model that may still work; if there is none, the attempt ends.
    fn next_model(&mut self, failure: &Failure) {
        let state = &mut self.state;
        let limited = |model: &usize| state.limited.iter().any(|(at, ..)| at == model);
        let usable = (0..state.setup.models.len()).find(|model| !state.dead.contains(model) && !limited(model));
        if let Some(model) = usable {
            (state.model, state.failures, state.squeezes) = (model, 0, 0);
            return self.call(0);
        }
        match state.limited.iter().min_by_key(|(_, _, at)| *at).cloned() {
            Some((_, provider, resume_at)) => self.end(End::Pause(Pause::RateLimited { provider, resume_at })),
            None => self.end(End::GiveUp { reason: GaveUp::ModelFailed, detail: failure.detail() }),
        }
    }
}

/// The worker asks in the agent's stead.
fn stuck(question: String) -> End {
    End::Pause(Pause::Question { question, options: Vec::new(), stuck: true })
}
