//! What must outlive every compaction: decisions, open questions, what people said, the todo list, the files written.
//!
//! It is gathered by rule while lines are taken in, never by a model: a line of the agent's own text that begins with `Decision:`,
//! `Open question:` or `Settled:` is kept (the system prompt asks for them), so are notes, questions to people, and the last todo list.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use super::{
    message::{Call, Input, Outcome},
    words::{clip, frame, one_line, share},
};

/// The longest decision or question, in bytes.
const ITEM_BYTES: usize = 600;
/// The longest note that is kept whole, in bytes.
const NOTE_BYTES: usize = 6000;
/// Decisions and questions kept; the oldest go first.
const ITEMS: usize = 400;
/// Notes kept.
const NOTES: usize = 200;
/// Paths kept.
const FILES: usize = 1000;
/// Turns kept as one line each.
const LOG: usize = 300;
/// The longest line of a turn, in bytes.
const LOG_BYTES: usize = 240;

/// Something with the turn it is from.
type Dated = (u32, String);

/// It.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Digest {
    /// What the agent decided.
    pub decisions: Vec<Dated>,
    /// What it could not decide, less what is settled.
    pub questions: Vec<Dated>,
    /// What was said to it, framed.
    pub notes: Vec<Dated>,
    /// Its last todo list.
    pub todo: Option<String>,
    /// Paths it wrote, with the last turn it did.
    pub files: BTreeMap<String, u32>,
    /// One line per turn.
    log: VecDeque<Dated>,
}

impl Digest {
    /// The model answered.
    pub fn answered(&mut self, turn: u32, text: &str, calls: &[Call]) {
        let mut fenced = false;
        for line in text.lines() {
            fenced ^= line.trim_start().starts_with("```");
            if !fenced {
                self.marked(turn, line);
            }
        }
        for call in calls {
            let Input::Json(input) = &call.input else { continue };
            match call.name.as_str() {
                "ask_person" | "bounce" => {
                    if let Some(question) = input.get("question").and_then(Value::as_str) {
                        keep(&mut self.questions, turn, format!("(asked) {question}"));
                    }
                }
                "hand_off" => self.reported(turn, input),
                _ => {}
            }
        }
        let said = one_line(text, LOG_BYTES / 2);
        let wanted: Vec<String> = calls.iter().map(brief).collect();
        self.log.push_back((turn, one_line(&format!("{said} ▸ {}", wanted.join(" ▸ ")), LOG_BYTES)));
        if self.log.len() > LOG {
            self.log.pop_front();
        }
    }

    /// A line that is marked for keeping.
    fn marked(&mut self, turn: u32, line: &str) {
        let line = line.trim_start_matches(|c: char| c.is_whitespace() || "*-•#>_".contains(c));
        let after = |marker: &str| {
            let (head, rest) = line.split_at_checked(marker.len())?;
            let rest = rest.trim_start_matches(['*', '_']).strip_prefix(':')?;
            head.eq_ignore_ascii_case(marker)
                .then(|| rest.trim_matches(|c: char| c.is_whitespace() || c == '*').to_owned())
                .filter(|text| !text.is_empty())
        };
        if let Some(decision) = after("decision") {
            keep(&mut self.decisions, turn, decision);
        } else if let Some(question) = after("open question") {
            keep(&mut self.questions, turn, question);
        } else if let Some(settled) = after("settled") {
            let settled = settled.to_lowercase();
            self.questions.retain(|(_, question)| {
                !settled.contains(question.trim_start_matches("(asked) ").to_lowercase().trim_end_matches('?'))
            });
        }
    }

    /// An earlier handoff: what it decided stays decided.
    fn reported(&mut self, turn: u32, report: &Value) {
        let list = |name: &str| report.get(name).and_then(Value::as_array).into_iter().flatten();
        for choice in list("decisions") {
            let part = |name: &str| choice.get(name).and_then(Value::as_str).unwrap_or_default();
            keep(&mut self.decisions, turn, format!("{} — {}", part("what"), part("why")));
        }
        for question in list("open_questions").filter_map(Value::as_str) {
            keep(&mut self.questions, turn, question.to_owned());
        }
    }

    /// A call is done.
    pub fn done(&mut self, turn: u32, call: &Call, outcome: &Outcome) {
        if outcome.is_error {
            return;
        }
        let Input::Json(input) = &call.input else { return };
        let path = input.get("path").and_then(Value::as_str);
        if let Some(path) = path.filter(|_| matches!(call.name.as_str(), "write" | "edit")) {
            self.files.insert(one_line(path, 300), turn);
        }
        if self.files.len() > FILES
            && let Some(oldest) = self.files.iter().min_by_key(|(_, turn)| **turn).map(|(path, _)| path.clone())
        {
            self.files.remove(&oldest);
        }
    }

    /// Somebody said something.
    pub fn said(&mut self, turn: u32, from: &str, text: &str) {
        self.notes.push((turn, frame("note", from, &clip(text, NOTE_BYTES))));
        let over = self.notes.len().saturating_sub(NOTES);
        self.notes.drain(..over);
    }

    /// What the last turn was, in one line.
    #[must_use]
    pub fn last_turn(&self) -> &str {
        self.log.back().map_or("nothing", |(_, line)| line)
    }

    /// What a model is told in place of the turns before `before`, in at most about `bytes`. What was said and decided comes before what
    /// was done; the newest comes before the oldest.
    #[must_use]
    pub fn recap(&self, before: u32, bytes: usize) -> String {
        let dated = |items: &mut dyn Iterator<Item = &Dated>| -> Vec<String> {
            items.filter(|(turn, _)| *turn < before).map(|(_, item)| format!("- {item}\n")).collect()
        };
        let log = self.log.iter().filter(|(turn, _)| *turn < before).map(|(turn, line)| format!("- {turn}: {line}\n"));
        let mut files: Vec<(&String, &u32)> = self.files.iter().collect();
        files.sort_by_key(|(_, turn)| **turn);
        let told = [
            ("Notes that you have heard", dated(&mut self.notes.iter())),
            ("Decisions", dated(&mut self.decisions.iter())),
            ("Open questions", dated(&mut self.questions.iter())),
        ];
        let done = [
            ("Todo list", self.todo.iter().map(|todo| clip(todo, NOTE_BYTES) + "\n").collect()),
            ("Files you wrote", files.iter().map(|(path, _)| format!("- {path}\n")).collect()),
            ("What you did, turn by turn", log.collect()),
        ];
        let mut text = String::from(
            "The conversation before this point was dropped to save room. This is what remains of it; the files are as you left them.\n",
        );
        let left = bytes.saturating_sub(text.len());
        sections(&mut text, &told, left / 4 * 3);
        let left = bytes.saturating_sub(text.len());
        sections(&mut text, &done, left);
        text
    }
}

/// Writes sections, each with a fair share of the room.
fn sections(text: &mut String, sections: &[(&str, Vec<String>)], bytes: usize) {
    let wanted: Vec<usize> = sections.iter().map(|(_, items)| items.iter().map(String::len).sum()).collect();
    for ((title, items), room) in sections.iter().zip(share(bytes, &wanted)) {
        if !items.is_empty() {
            section(text, title, items, room);
        }
    }
}

/// Writes a section with as many of the newest items as there is room for.
fn section(text: &mut String, title: &str, items: &[String], mut left: usize) {
    let fits = |item: &&String| match left.checked_sub(item.len()) {
        Some(rest) => {
            left = rest;
            true
        }
        None => false,
    };
    let kept = items.iter().rev().take_while(fits).count();
    text.push_str(&format!("\n## {title}\n"));
    if kept < items.len() {
        text.push_str(&format!("- ({} older ones left out)\n", items.len() - kept));
    }
    items[items.len() - kept..].iter().for_each(|item| text.push_str(item));
}

/// Adds what is not there yet.
fn keep(items: &mut Vec<Dated>, turn: u32, text: String) {
    let text = if text.len() > ITEM_BYTES { clip(&text, ITEM_BYTES).replace('\n', " ") } else { text };
    if !items.iter().any(|(_, known)| *known == text) {
        items.push((turn, text));
        let over = items.len().saturating_sub(ITEMS);
        items.drain(..over);
    }
}

/// A call in a few words: its name and the input's first telling field.
#[must_use]
pub fn brief(call: &Call) -> String {
    let telling = match &call.input {
        Input::Broken(text) => one_line(text, 80),
        Input::Json(Value::Object(fields)) => ["command", "path", "pattern", "query", "question", "name", "id"]
            .iter()
            .find_map(|name| fields.get(*name))
            .or_else(|| fields.values().find(|value| value.is_string()))
            .map(|value| one_line(&value.as_str().map_or_else(|| value.to_string(), str::to_owned), 120))
            .unwrap_or_default(),
        Input::Json(other) => one_line(&other.to_string(), 80),
    };
    if telling.is_empty() { call.name.clone() } else { format!("{}: {telling}", call.name) }
}
