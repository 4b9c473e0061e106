//! What an agent remembers: the fold of its transcript's lines, and nothing else.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::Value;

use super::{
    compact,
    digest::Digest,
    event::Said,
    message::{Call, Context, Message, Outcome},
    repeat::Repeats,
    transcript::{Line, Why},
};

/// Calls that do no work by themselves.
pub const IDLE_TOOLS: [&str; 5] = ["hand_off", "ask_person", "request_access", "bounce", "todo"];
/// What stands in place of a result that was lost.
pub const LOST: &str = "There is no result: the attempt ended before it came. The files are as they were last saved; look before you do it again.";
/// So many turns after a warning it may repeat itself again before a person is asked.
const WARNING_TURNS: u32 = 30;

/// A message with the turn it belongs to; what is told to the model belongs to the turn that follows. 0: it stays at the top.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Which turn.
    pub turn: u32,
    /// It.
    pub message: Arc<Message>,
}

/// It.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    /// What a model is shown.
    pub window: Vec<Entry>,
    /// What outlives every compaction.
    pub digest: Digest,
    /// The notes that were heard.
    pub heard: BTreeSet<String>,
    /// The last turn, counted over all attempts.
    pub turn: u32,
    /// The task's key.
    pub task_key: String,
    /// What a fresh agent was told first.
    pub opening: Option<String>,
    /// What the tools remember.
    pub tools: Option<Value>,
    /// Calls of tools that did something.
    pub worked: u64,
    /// Answers in a row without a call.
    pub idle: u32,
    /// The turns since the last warning repeat each other.
    pub repeating: bool,
    /// The turn of the last warning that counts.
    pub warned: Option<u32>,
    /// A handoff was refused because nothing had been done.
    pub refused: bool,
    repeats: Repeats,
}

impl Memory {
    /// There is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.turn == 0 && self.opening.is_none()
    }

    /// The context of a model call.
    #[must_use]
    pub fn context(&self) -> Context {
        self.window.iter().map(|entry| Arc::clone(&entry.message)).collect()
    }

    /// The window's size, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.window.iter().map(|entry| entry.message.bytes()).sum()
    }

    /// Whether a note was heard before.
    #[must_use]
    pub fn has_heard(&self, note: &Said) -> bool {
        self.heard.contains(&note_key(&note.id, &note.from, &note.text))
    }

    /// The calls of the last answer that have no result yet.
    #[must_use]
    pub fn open_calls(&self) -> Vec<Call> {
        let (calls, results) = self.last_calls();
        calls.iter().filter(|call| !results.iter().any(|result| result.id == call.id)).cloned().collect()
    }

    /// The calls of the last answer, if nothing but results came after it, and the results.
    fn last_calls(&self) -> (&[Call], &[Outcome]) {
        let mut newest = self.window.iter().rev().map(|entry| entry.message.as_ref());
        match newest.next() {
            Some(Message::Model { calls, .. }) => (calls, &[]),
            Some(Message::Results(results)) => match newest.next() {
                Some(Message::Model { calls, .. }) => (calls, results),
                _ => (&[], results),
            },
            _ => (&[], &[]),
        }
    }

    /// Takes a line in.
    pub fn take(&mut self, line: Line) {
        match line {
            Line::Began { task_key, .. } => {
                self.task_key = task_key;
                (self.idle, self.repeating, self.warned, self.refused) = (0, false, None, false);
                self.repeats.clear();
            }
            Line::Told { why, text } => self.told(why, text),
            // A turn may have been saved twice.
            Line::Answered { turn, .. } if turn <= self.turn => {}
            Line::Answered { turn, text, calls, .. } => {
                self.close_calls();
                self.turn = turn;
                self.idle = if calls.is_empty() { self.idle + 1 } else { 0 };
                self.warned = self.warned.filter(|warned| turn.saturating_sub(*warned) <= WARNING_TURNS);
                self.digest.answered(turn, &text, &calls);
                self.push(turn, Message::Model { text, calls });
            }
            Line::Result { id, text, is_error } => self.result(&id, text, is_error),
            Line::Tools { state, todo } => {
                self.tools = Some(state);
                self.digest.todo = Some(todo).filter(|todo| !todo.trim().is_empty());
            }
            Line::Elided { before } => compact::elide(&mut self.window, before),
            Line::Compacted { before, recap, clip_bytes } => {
                let opening = self.opening.clone().unwrap_or_default();
                compact::compact(&mut self.window, before, opening, recap, clip_bytes);
            }
        }
    }

    /// A line that was lost must not leave a call without a result: no model is called with one.
    fn close_calls(&mut self) {
        for call in self.open_calls() {
            self.result(&call.id, LOST.into(), true);
        }
    }

    fn told(&mut self, why: Why, text: String) {
        self.close_calls();
        let turn = self.turn + 1;
        match why {
            Why::Opening => {
                self.opening = Some(text.clone());
                // It comes first, even if the line that said it before was lost.
                self.window.insert(0, Entry { turn: 0, message: Arc::new(Message::User(text)) });
                return;
            }
            Why::Note { id, from, said } => {
                self.digest.said(turn, &from, &said);
                self.heard.insert(note_key(&id, &from, &said));
            }
            Why::Repetition => {
                (self.warned, self.repeating) = (Some(self.turn), false);
                self.repeats.clear();
            }
            Why::NothingDone => self.refused = true,
            Why::Resumed | Why::Nudge | Why::LastTurns => {}
        }
        self.push(turn, Message::User(text));
    }

    /// A result without its call is passed over.
    fn result(&mut self, id: &str, text: String, is_error: bool) {
        let Some(call) = self.open_calls().into_iter().find(|call| call.id == id) else { return };
        let ids: Vec<String> = self.last_calls().0.iter().map(|call| call.id.clone()).collect();
        let order = |id: &str| ids.iter().position(|known| known == id);
        let outcome = Outcome { id: call.id.clone(), name: call.name.clone(), text, is_error };
        self.digest.done(self.turn, &call, &outcome);
        self.worked += u64::from(!is_error && !IDLE_TOOLS.contains(&call.name.as_str()));
        match self.window.last_mut().map(|entry| &mut entry.message) {
            Some(message) if matches!(message.as_ref(), Message::Results(_)) => {
                if let Message::Results(results) = Arc::make_mut(message) {
                    let place =
                        results.iter().position(|result| order(&result.id) > order(id)).unwrap_or(results.len());
                    results.insert(place, outcome);
                }
            }
            _ => self.push(self.turn, Message::Results(vec![outcome])),
        }
        let (calls, results) = self.last_calls();
        if calls.len() == results.len() {
            let mut repeats = std::mem::take(&mut self.repeats);
            let (calls, results) = self.last_calls();
            let repeating = repeats.take(calls, results);
            (self.repeats, self.repeating) = (repeats, repeating);
        }
    }

    fn push(&mut self, turn: u32, message: Message) {
        self.window.push(Entry { turn, message: Arc::new(message) });
    }
}

/// Old notes have no id.
fn note_key(id: &str, from: &str, text: &str) -> String {
    if id.is_empty() { format!("{from}\n{text}") } else { id.to_owned() }
}
