//! What comes of an answer's calls.

use super::{Next, Rejected, stuck};
use crate::agent::{
    command::{Command, End, GaveUp, Pause},
    digest::brief,
    event::Ending,
    memory::{IDLE_TOOLS, LOST},
    message::{Call, Input, Outcome, Stop},
    state::{Came, Phase},
    transcript::{Line, Why},
    words::{clip, one_line},
};

/// Calls of one answer that are run.
pub const MAX_CALLS: usize = 16;
/// The longest result that is remembered, in bytes; tools keep theirs far shorter.
const RESULT_BYTES: usize = 256 * 1024;

const REPETITION: &str = "Your last turns repeat each other: the same calls with the same results. Doing it again will not change them. \
Think about why it does not help, and do something else. If only a person can help, call `ask_person`.";

const NOTHING_DONE: &str = "You handed off without having done anything: a report of work is no work. Look at the files, do what the task \
asks, prove it, and hand off then. If there is nothing to do, look first, so that you can say how you know.";
const NO_PLAN: &str = "You handed off without a plan. A planner hands off its plan as `result`: look at the folder, write the plan, check it with \
`check_plan`, and hand off then.";

/// A result at once, for a call that is not run.
pub fn refuse(tools: &[String], at: usize, call: &Call, stop: Stop) -> Option<Came> {
    let text = if !tools.contains(&call.name) {
        format!("There is no tool `{}`. The tools are: {}.", one_line(&call.name, 80), tools.join(", "))
    } else if at >= MAX_CALLS {
        format!("Not run: an answer may have at most {MAX_CALLS} calls. Call it again, if it is still wanted.")
    } else if let Input::Broken(text) = &call.input {
        let error =
            serde_json::from_str::<serde_json::Value>(text).err().map(|error| error.to_string()).unwrap_or_default();
        if stop == Stop::Length {
            "Not run: your answer was cut off at its longest length, so this input is not complete. Write less in one call.".into()
        } else {
            format!("Not run: the input is not valid JSON ({error}). It began with: {}", one_line(text, 200))
        }
    } else {
        return None;
    };
    Some(Came::Done(Outcome { id: call.id.clone(), name: call.name.clone(), text, is_error: true }))
}

/// Whether a tool of this name ends an attempt.
pub fn ends(name: &str) -> bool {
    matches!(name, "hand_off" | "ask_person" | "bounce")
}

/// What an agent that goes on is told of a call without a result.
pub fn lost_result(name: &str) -> &'static str {
    if ends(name) { "The attempt ended with this call. What has happened since comes next." } else { LOST }
}

impl Next {
    pub(super) fn tool_done(&mut self, mut outcome: Outcome) -> Result<(), Rejected> {
        if outcome.text.len() > RESULT_BYTES {
            outcome.text = clip(&outcome.text, RESULT_BYTES);
        }
        let id = outcome.id.clone();
        self.came(&id, Came::Done(outcome))
    }

    pub(super) fn tool_ended(&mut self, id: &str, ending: Ending) -> Result<(), Rejected> {
        self.came(id, Came::Ends(ending))
    }

    fn came(&mut self, id: &str, came: Came) -> Result<(), Rejected> {
        let Phase::Running(running) = &mut self.state.phase else { return Err(Rejected::NotNow) };
        let open = running.calls.iter_mut().find(|(call, result)| call.id == id && result.is_none());
        open.ok_or(Rejected::NoCall)?.1 = Some(came);
        if running.calls.iter().all(|(_, result)| result.is_some()) {
            self.settle();
        }
        Ok(())
    }

    /// Every call of the answer has come to something.
    pub(super) fn settle(&mut self) {
        let Phase::Running(running) = std::mem::take(&mut self.state.phase) else { return };
        let failed = running.calls.iter().find_map(|(call, came)| match came {
            Some(Came::Done(outcome)) if outcome.is_error => Some(brief(call)),
            _ => None,
        });
        let worked = running.calls.iter().any(|(call, came)| {
            matches!(came, Some(Came::Done(outcome)) if !outcome.is_error && !IDLE_TOOLS.contains(&call.name.as_str()))
        });
        let (mut end, mut idle_handoff) = (None, false);
        for (call, came) in running.calls {
            let (text, is_error) = match came {
                Some(Came::Done(outcome)) => (outcome.text, outcome.is_error),
                Some(Came::Ends(_)) if end.is_some() => {
                    ("Not done: another call of this answer ends the attempt.".into(), true)
                }
                Some(Came::Ends(ending)) => match self.judge(ending, failed.as_deref(), worked) {
                    Ok(chosen) => {
                        end = Some(chosen);
                        continue;
                    }
                    Err(Refusal::NothingDone) => {
                        idle_handoff = true;
                        ("Not handed off.".into(), true)
                    }
                    Err(Refusal::NotYet(text)) => (text, true),
                },
                None => (lost_result(&call.name).to_owned(), true),
            };
            self.remember(Line::Result { id: call.id, text, is_error });
        }
        if end.is_none() && idle_handoff {
            self.tell(Why::NothingDone, if self.state.setup.planner { NO_PLAN } else { NOTHING_DONE });
        }
        if end.is_none() && self.state.memory.repeating {
            if self.state.memory.warned.is_some() {
                let doing = self.state.memory.digest.last_turn();
                let question = format!(
                    "The agent repeats itself and does not get on. It does this over and over: {doing}. What should it do instead?"
                );
                end = Some(stuck(question));
            } else {
                self.commands.push(Command::Say("(it repeats itself: warned)".into()));
                self.tell(Why::Repetition, REPETITION);
            }
        }
        self.save(end);
    }

    /// Whether a call may end the attempt now; if not, what the model is told.
    fn judge(&self, ending: Ending, failed: Option<&str>, worked: bool) -> Result<End, Refusal> {
        let state = &self.state;
        if !state.notes.is_empty() {
            let text = "Not yet: somebody has something to say to you. Read it first, then decide again.";
            return Err(Refusal::NotYet(text.into()));
        }
        if let Some(failed) = failed {
            let text = format!("Not yet: another call of the same answer failed ({failed}). Look at its result first.");
            return Err(Refusal::NotYet(text));
        }
        match ending {
            Ending::Ask { question, options } => Ok(End::Pause(Pause::Question { question, options, stuck: false })),
            Ending::Access { host, reason } => Ok(End::Pause(Pause::Access { host, reason })),
            Ending::Effect { name, arguments, reason } => Ok(End::Pause(Pause::Effect { name, arguments, reason })),
            Ending::Secret { name, reason } => Ok(End::Pause(Pause::Secret { name, reason })),
            Ending::Bounce { need, question } => Ok(End::Pause(Pause::Bounce { need, question })),
            Ending::HandOff { report, has_result } => {
                let words = state.setup.answers_only || (state.setup.planner && has_result);
                let enough = words || worked || state.memory.worked > 0;
                match (enough, state.memory.refused) {
                    (true, _) => Ok(End::Finish(report)),
                    (false, false) => Err(Refusal::NothingDone),
                    (false, true) => Ok(End::GiveUp {
                        reason: GaveUp::NothingDone,
                        detail: "it handed off twice without having done anything".into(),
                    }),
                }
            }
        }
    }
}

/// Why a call does not end the attempt.
enum Refusal {
    NotYet(String),
    NothingDone,
}
