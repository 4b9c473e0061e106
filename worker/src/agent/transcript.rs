//! What an agent remembers, as lines of JSON: only ever appended to, saved after every turn, read back by another attempt.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    memory::Memory,
    message::{Call, Stop, Usage},
};

/// The version of these lines.
pub const VERSION: u32 = 1;

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
pub enum Line {
    /// An attempt began here.
    Began {
        /// The version of the lines that follow.
        version: u32,
        /// The task's key.
        task_key: String,
        /// Which attempt.
        attempt: u32,
    },
    /// The model is told something.
    Told {
        /// Why.
        why: Why,
        /// What.
        text: String,
    },
    /// The model answered: a turn.
    Answered {
        /// Which turn, counted over all attempts.
        turn: u32,
        /// Its text.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        text: String,
        /// The tools it wants.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        calls: Vec<Call>,
        /// Why it ended.
        stop: Stop,
        /// What it took.
        usage: Usage,
    },
    /// What came of a call.
    Result {
        /// Which.
        id: String,
        /// What the model is told.
        text: String,
        /// It failed.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        is_error: bool,
    },
    /// What the tools remember.
    Tools {
        /// For the tools of an agent that goes on.
        state: Value,
        /// The todo list, an item per line.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        todo: String,
    },
    /// Results of turns before this one are kept as one line each.
    Elided {
        /// The first turn whose results stay.
        before: u32,
    },
    /// Turns before this one are forgotten but for what is told here.
    Compacted {
        /// The first turn that stays.
        before: u32,
        /// What the model is told in their place.
        recap: String,
        /// Texts of the turns that stay are cut to so many bytes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        clip_bytes: Option<usize>,
    },
}

/// Why the worker told the model something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Why {
    /// The task.
    Opening,
    /// It goes on in another computer.
    Resumed,
    /// Somebody said it.
    Note {
        /// The note's id.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        id: String,
        /// Who.
        from: String,
        /// What, without the frame around it.
        said: String,
    },
    /// The answer before did nothing.
    Nudge,
    /// It repeats itself.
    Repetition,
    /// It handed off without having done anything.
    NothingDone,
    /// Few turns are left.
    LastTurns,
}

impl Line {
    /// As text, with the line's end.
    #[must_use]
    pub fn text(&self) -> String {
        // There is nothing in a line that JSON cannot say; an empty line is passed over by `fold`.
        let mut text = serde_json::to_string(self).unwrap_or_default();
        text.push('\n');
        text
    }
}

/// What came of reading a transcript.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fold {
    /// What is remembered.
    pub memory: Memory,
    /// Lines that were read.
    pub lines: usize,
    /// Lines that were not: cut, spoilt, or of a later version.
    pub unreadable: usize,
}

/// Reads a transcript. A line that cannot be read, above all a last one that was cut off, is as if it had not been written.
#[must_use]
pub fn fold(bytes: &[u8]) -> Fold {
    let mut folded = Fold::default();
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        match serde_json::from_slice::<Line>(line) {
            // Nothing here understands what comes then: better no memory than half of one.
            Ok(Line::Began { version, .. }) if version > VERSION => {
                return Fold { unreadable: folded.lines + folded.unreadable + 1, ..Fold::default() };
            }
            Ok(line) => {
                folded.memory.take(line);
                folded.lines += 1;
            }
            Err(_) => folded.unreadable += 1,
        }
    }
    folded
}
