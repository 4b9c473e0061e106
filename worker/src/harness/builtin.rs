//! The built-in agent: performs what its core ([`crate::agent`]) commands, and tells it what came of it.
//!
//! What the agent says goes to one stream of output as it comes, with a line for each call; what its tools print goes to another one.

mod brief;
mod last;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use bus_schemas::v1::{
    agent::Structured,
    guest::{FromGuest, RefusalCode, TRANSCRIPT_FULL},
    task::{LogSource, Note},
};
use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};

use super::desk::Desk;
use crate::{
    adapter::{checkpoint::Checkpoints, console::Console, model::Models},
    agent::{Call, Command, End, Ending, Event, Fold, Input, Outcome, Said, State, digest, fold, step},
    tool::{
        Toolbox,
        call::{self, ToolCall, ToolOutcome},
    },
};

/// Before a turn that could not be saved is saved again.
const SAVE_WAIT: Duration = Duration::from_secs(1);
/// Times that saving a turn is tried.
const SAVE_TRIES: u32 = 5;

/// Lets an agent work until its attempt ends.
pub(crate) async fn run(desk: Desk) -> FromGuest {
    let refused = |error: std::io::Error| {
        let detail = format!("open the agent's output: {error}");
        FromGuest::Refused { code: RefusalCode::GuestError, detail }
    };
    let (says, says_end) = match Console::open(&desk.opener, LogSource::Agent, &desk.budget).await {
        Ok(opened) => opened,
        Err(error) => return refused(error),
    };
    let (prints, prints_end) = match Console::open(&desk.opener, LogSource::Tool, &desk.budget).await {
        Ok(opened) => opened,
        Err(error) => return refused(error),
    };
    let last = attempt(desk, says, prints).await;
    tokio::join!(says_end.end(), prints_end.end());
    last
}

/// The attempt, between the opening of its output and its end.
async fn attempt(desk: Desk, says: Console, prints: Console) -> FromGuest {
    let clock = last::Clock::start(Arc::clone(&desk.budget));
    let toolbox = desk.toolbox(prints);
    let Desk { machine, opener, assignment, transcript, notes, checkpoints, models, proxy, stop, .. } = desk;
    tracing::debug!(%models, %proxy, task = assignment.task_key, "an agent begins");
    let folded = tokio::task::spawn_blocking(move || fold(&transcript.unwrap_or_default()));
    let Fold { memory, unreadable, .. } = folded.await.unwrap_or_default();
    if unreadable > 0 {
        tracing::warn!(unreadable, "lines of the transcript cannot be read");
    }
    if let Some(state) = &memory.tools {
        toolbox.restore(state);
    }
    let brief = brief::brief(&assignment, machine.layout(), proxy);
    let setup = brief::setup(&assignment, &brief, toolbox.specs(), &memory);
    let desk = Loop {
        system: crate::agent::prompt::system(&brief),
        models: Models::new(opener, assignment.models.clone()),
        toolbox,
        checkpoints,
        says,
        stop,
    };
    let notes_before = assignment.notes.iter().cloned().map(said).collect();
    let started = Event::Started { setup: Box::new(setup), memory: Box::new(memory), notes: notes_before };
    let mut calls = 0;
    let (state, end) = desk.run(started, notes, &mut calls).await;
    let Loop { toolbox, .. } = desk;
    toolbox.close().await;
    last::word(&state, end, calls, &clock)
}

/// What the commands are performed with.
struct Loop {
    system: String,
    models: Models,
    toolbox: Toolbox,
    checkpoints: Checkpoints,
    says: Console,
    stop: tokio_util::sync::CancellationToken,
}

/// Something performed; `Err`: the attempt cannot go on.
type Performed = Result<Vec<Event>, String>;

impl Loop {
    /// Until the core says that it ends. An end in words is one that the core knows nothing of.
    async fn run(
        &self,
        started: Event,
        mut notes: tokio::sync::mpsc::UnboundedReceiver<Note>,
        calls: &mut u64,
    ) -> (State, Result<End, String>) {
        let mut state = State::default();
        let mut work: FuturesUnordered<BoxFuture<'_, Performed>> = FuturesUnordered::new();
        let mut events = vec![started];
        let mut tools = serde_json::Value::Null;
        loop {
            for event in std::mem::take(&mut events) {
                let commands = match step(&state, event) {
                    Ok((next, commands)) => {
                        state = next;
                        commands
                    }
                    Err(error) => {
                        tracing::warn!(%error, "an event that does not fit");
                        continue;
                    }
                };
                for command in commands {
                    match command {
                        Command::Say(text) => self.line(&text).await,
                        Command::End(end) => return (state, Ok(end)),
                        Command::RunTools(wanted) => {
                            *calls += wanted.len() as u64;
                            for call in wanted {
                                self.line(&format!("▸ {}", digest::brief(&call))).await;
                                work.push(self.tool(call).boxed());
                            }
                        }
                        Command::CallModel { model, context, wait_ms } => {
                            work.push(self.model(model, context, wait_ms).boxed());
                        }
                        Command::Save { turn, lines } => work.push(self.save(turn, lines).boxed()),
                    }
                }
            }
            let performed = tokio::select! {
                biased;
                () = self.stop.cancelled() => Ok(vec![Event::Stopped]),
                Some(note) = notes.recv() => Ok(vec![Event::NoteHeard(said(note))]),
                Some(performed) = work.next() => performed,
            };
            match performed {
                Ok(performed) => events = performed,
                Err(detail) => return (state, Err(detail)),
            }
            // What a tool remembers is saved with the result of its call.
            if events.iter().any(|event| matches!(event, Event::ToolDone { .. } | Event::ToolEnded { .. })) {
                let now = self.toolbox.state();
                if now != tools {
                    tools = now.clone();
                    events.insert(0, Event::ToolState { state: now, todo: self.toolbox.todo_text() });
                }
            }
        }
    }

    /// A line of its own among what the agent says.
    async fn line(&self, text: &str) {
        self.says.print(format!("{text}\n").as_bytes()).await;
    }

    async fn model(&self, model: usize, context: crate::agent::message::Context, wait_ms: u64) -> Performed {
        if wait_ms > 0 {
            tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        }
        let answered = self.models.call(model, &self.system, self.toolbox.specs(), &context, &self.says).await;
        Ok(vec![match answered {
            Ok(answer) => {
                let live = self.models.brief(model).is_some_and(|brief| brief.structured == Structured::Tools);
                if !live {
                    self.says.print(answer.text.as_bytes()).await;
                }
                if !answer.text.is_empty() && !answer.text.ends_with('\n') {
                    self.says.print(b"\n").await;
                }
                Event::ModelAnswered(Box::new(answer))
            }
            Err(failure) => Event::ModelFailed(failure),
        }])
    }

    async fn tool(&self, call: Call) -> Performed {
        let Call { id, name, input } = call;
        let input = match input {
            Input::Json(value) => Ok(value),
            Input::Broken(text) => Err(text),
        };
        let wanted = ToolCall { id: id.clone(), name: name.clone(), input };
        Ok(vec![match self.toolbox.call(wanted, &self.stop).await {
            ToolOutcome::Result(result) => {
                Event::ToolDone { outcome: Outcome { id, name, text: result.text, is_error: result.is_error } }
            }
            ToolOutcome::End(ending) => Event::ToolEnded { id, ending: ended(ending) },
        }])
    }

    async fn save(&self, turn: u32, lines: String) -> Performed {
        let mut tries = 0;
        loop {
            let look = self.toolbox.changed_since_checkpoint();
            self.toolbox.checkpointed();
            match self.checkpoints.save(turn, lines.as_bytes(), look).await {
                Ok(_) => return Ok(vec![Event::CheckpointSaved]),
                Err(error) if error.to_string().starts_with(TRANSCRIPT_FULL) => return Ok(vec![Event::TranscriptFull]),
                Err(error) if tries + 1 >= SAVE_TRIES => {
                    return Err(format!("turn {turn} could not be saved: {error}"));
                }
                Err(error) => tracing::warn!(%error, turn, "save a turn"),
            }
            tries += 1;
            tokio::time::sleep(SAVE_WAIT).await;
        }
    }
}

fn said(note: Note) -> Said {
    Said { id: note.id, from: note.from, text: note.text }
}

fn ended(ending: call::Ending) -> Ending {
    match ending {
        call::Ending::HandOff(report) => Ending::HandOff {
            has_result: report.result.is_some(),
            report: serde_json::to_value(*report).unwrap_or_default(),
        },
        call::Ending::Ask { question, options } => Ending::Ask { question, options },
        call::Ending::Access { host, reason } => Ending::Access { host, reason },
        call::Ending::Effect { name, arguments, reason } => Ending::Effect { name, arguments, reason },
        call::Ending::Secret { name, reason } => Ending::Secret { name, reason },
        call::Ending::Bounce { need, question } => Ending::Bounce { need, question },
    }
}
