//! What a reply wants of what it answers.

use super::{About, Wish};
use crate::mail::{letter::Letter, noise::sounds_away, reply::Deciding};

/// The longest name somebody's say is handed to, in characters.
const NAME: usize = 254;
/// How people who want to decide may say so, for those who did not.
const WAYS: &str = "write `approve`, `reject: why`, `changes: what` or `ask: your question` as the first line";

/// Reads a reply. Only its new text counts, and only the first line of that decides.
#[must_use]
pub fn of_reply(letter: &Letter, about: About<'_>) -> Wish {
    let text = letter.reply.text();
    let text = text.trim();
    let Some(first) = letter.reply.first_line() else { return Wish::Nothing };
    let words = Words { text, first: first.trim() };
    let is_plain = words.is_alone() && !matches!(letter.reply.decision(), Deciding::None | Deciding::Ambiguous(_));
    if sounds_away(&letter.subject) && !is_plain {
        // It has none of the marks programs make, so a person may have written it. Nothing is done with it unasked.
        return Wish::Unclear("its subject is one that programs answer with while somebody is away".to_owned());
    }
    match about {
        About::Question(options) => words.answer(letter.reply.decision(), options),
        About::Request => words.request(letter.reply.decision()),
        About::Project => words.project(letter.reply.decision()),
        About::Ended => words.ended(),
    }
}

/// A reply's new text and its first line.
struct Words<'a> {
    text: &'a str,
    first: &'a str,
}

impl Words<'_> {
    fn answer(&self, decision: Deciding, options: &[String]) -> Wish {
        if let Some(text) = self.behind(&["answer", "antwort"]) {
            return if text.is_empty() { Wish::Nothing } else { Wish::Answer(text) };
        }
        if let Some(option) = options.iter().find(|option| option.trim().to_lowercase() == self.plain()) {
            return Wish::Answer(if self.is_alone() { option.clone() } else { self.text.to_owned() });
        }
        if self.is_word(&["status", "cancel", "stop"]) {
            return Wish::Unclear(format!(
                "`{}` may be the answer, or be meant for the project: begin with `answer:`, or write it in a mail that asks for no answer",
                self.plain()
            ));
        }
        if let Some(name) = self.name() {
            return Wish::Delegate(name);
        }
        match decision {
            Deciding::Reject(reason) => Wish::Reject(reason),
            _ => Wish::Answer(self.text.to_owned()),
        }
    }

    fn request(&self, decision: Deciding) -> Wish {
        if let Some(question) = self.behind(&["ask", "question", "frage"]) {
            return if question.is_empty() {
                Wish::Unclear("there is nothing behind `ask:`".to_owned())
            } else {
                Wish::Ask(question)
            };
        }
        if let Some(name) = self.name() {
            return Wish::Delegate(name);
        }
        if self.is_word(&["status"]) {
            return Wish::Status;
        }
        if self.is_word(&["cancel", "stop"]) && self.ends_paragraph() {
            return Wish::Cancel(self.below());
        }
        match decision {
            Deciding::Approve => Wish::Approve,
            Deciding::Reject(reason) => Wish::Reject(reason),
            Deciding::Changes(note) => Wish::Changes(note),
            Deciding::Ambiguous(why) => Wish::Unclear(format!("{why}: {WAYS}")),
            Deciding::None => Wish::Unclear(format!("its first line decides nothing: {WAYS}")),
        }
    }

    fn project(&self, decision: Deciding) -> Wish {
        if self.is_word(&["status"]) && self.ends_paragraph() {
            return Wish::Status;
        }
        if self.is_word(&["cancel", "stop"]) && self.ends_paragraph() {
            return Wish::Cancel(self.below());
        }
        if let Some(text) = self.behind(&["note"]) {
            return if text.is_empty() { Wish::Nothing } else { Wish::Note(text) };
        }
        match decision {
            Deciding::Approve | Deciding::Reject(_) | Deciding::Changes(_) => Wish::Unclear(
                "the mail it answers asks for no decision: answer the one that does, or begin with `note:` to tell the agents this"
                    .to_owned(),
            ),
            Deciding::None | Deciding::Ambiguous(_) => Wish::Note(self.text.to_owned()),
        }
    }

    fn ended(&self) -> Wish {
        if self.is_word(&["status"]) && self.ends_paragraph() {
            return Wish::Status;
        }
        Wish::Unclear(
            "the project has ended, so nobody would read it: a new mail (not an answer) starts another".to_owned(),
        )
    }

    /// The first line without full stops and case.
    fn plain(&self) -> String {
        self.first.trim_end_matches(['.', '!', ' ']).trim().to_lowercase()
    }

    fn is_word(&self, words: &[&str]) -> bool {
        words.contains(&self.plain().as_str())
    }

    /// Nothing is below the first line.
    fn is_alone(&self) -> bool {
        self.text.lines().filter(|line| !line.trim().is_empty()).count() == 1
    }

    /// The first line is a paragraph of its own: `stop` above `using tabs` is no command.
    fn ends_paragraph(&self) -> bool {
        self.text.lines().nth(1).is_none_or(|next| next.trim().is_empty())
    }

    /// What is below the first line.
    fn below(&self) -> String {
        self.text.split_once('\n').map_or("", |(_, rest)| rest).trim().to_owned()
    }

    /// What stands behind one of these words and a colon, with what is below.
    fn behind(&self, words: &[&str]) -> Option<String> {
        let (word, rest) = self.first.split_once([':', '：'])?;
        let word = word.trim().to_lowercase();
        if !words.contains(&word.as_str()) {
            return None;
        }
        let below = self.below();
        let all = if below.is_empty() { rest.trim().to_owned() } else { format!("{}\n{below}", rest.trim()) };
        Some(all.trim().to_owned())
    }

    /// To whom a say is handed on: `delegate: ann`, `delegate to ann@example.org`.
    fn name(&self) -> Option<String> {
        let small = self.first.to_lowercase();
        let rest = small.strip_prefix("delegate")?;
        let at = self.first.len() - rest.len();
        // Small letters may be longer than large ones: the word itself is ASCII, so the rest is where it was.
        let rest = self.first.get(at..).filter(|_| small.len() == self.first.len()).unwrap_or(rest);
        let name = match rest.trim_start().strip_prefix([':', '：']) {
            Some(name) => name,
            None => rest.strip_prefix(" to ")?,
        };
        let name = name.trim().trim_end_matches(['.', '!']).trim_start_matches('@');
        let is_name = !name.is_empty() && name.chars().count() <= NAME && !name.contains(char::is_whitespace);
        is_name.then(|| name.to_owned())
    }
}
