//! Sentences that try to lead an agent away from its task. Read across lines: prose is wrapped.

use std::sync::LazyLock;

use regex::Regex;

use super::Kind;
use crate::finding::{Finding, Severity};

/// Code, what it is, and the pattern, over text whose blanks and line ends are one blank each.
const PHRASES: [(&str, &str, &str); 6] = [
    (
        "override_rules",
        "tells an agent to drop the rules it was given",
        r"\b(?:ignore|disregard|forget|override|bypass|do not (?:follow|obey))\b(?: \w+){0,3} (?:(?:previous|prior|earlier|above|preceding|existing|system|safety|other|your|all|any)\b ?){1,3}(?:\w+ )?(?:instructions?|rules?|prompts?|guidelines|polic(?:y|ies)|restrictions|guardrails|constraints)\b",
    ),
    (
        "override_rules",
        "tells an agent that it is something else",
        r"\byou are now (?:in )?(?:an? )?(?:dan\b|developer mode|unrestricted|jailbroken|free of|root\b|admin)|\bnew system prompt\b|\bsystem override\b|\bthese instructions (?:override|supersede|take precedence over)\b",
    ),
    (
        "hides_from_person",
        "tells an agent to keep something from people",
        r"\b(?:do not|don't|never|must not|without)\b (?:ever )?(?:tell|telling|inform|informing|mention|mentioning|reveal|revealing|show|showing|alert|alerting|notify|notifying|disclose|disclosing)\b[^.!?]{0,50}\b(?:the )?(?:users?|persons?|people|humans?|operators?|owners?|anyone|anybody)\b|\b(?:silently|secretly|covertly|quietly) (?:send|upload|run|execute|install|download|copy|read|collect|add)\b",
    ),
    (
        "asks_approval",
        "tells an agent to get or give an approval",
        r"\b(?:approve|accept|confirm|admit) (?:the |this |every |all |any |each )?(?:plans?|requests?|handoffs?|approvals?|patch(?:es)?|permissions?|commands?)\b[^.!?]{0,30}\b(?:yourself|automatically|without|immediately|on (?:your|their|the) (?:own|behalf))|\b(?:without|skip(?:ping)?|bypass(?:ing)?) (?:asking |waiting )?(?:for )?(?:the |any |human |their |your )*(?:approvals?|permissions?|confirmations?|consent)\b",
    ),
    (
        "exfiltrate",
        "tells an agent to send something away",
        r"\b(?:send|upload|post|exfiltrate|transmit|forward|leak|email|submit)\b[^.!?]{0,80}\b(?:api[ _-]?keys?|secrets?|credentials?|passwords?|access tokens?|private keys?|ssh keys?|environment variables|env(?:ironment)? vars?|conversation|chat history|system prompt|source code)\b[^.!?]{0,60}\b(?:to|at|via)\b ",
    ),
    (
        "exfiltrate",
        "tells an agent to look for secrets",
        r"\b(?:collect|gather|harvest|steal|extract|dump|print|output|reveal|include|find)\b (?:\w+ ){0,4}(?:api[ _-]?keys|secrets|credentials|passwords|access tokens|private keys|ssh keys|environment variables|system prompt)\b[^.!?]{0,60}\b(?:send|upload|post|append|encode|include|url|query|server|endpoint|webhook|to https?)",
    ),
];

#[expect(clippy::expect_used, reason = "the patterns are constants, compiled by a test")]
static COMPILED: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    PHRASES.iter().map(|(_, _, pattern)| Regex::new(&format!("(?i){pattern}")).expect("a sound pattern")).collect()
});

pub(super) fn look(path: &str, text: &str, kind: Kind, findings: &mut Vec<Finding>) {
    let (flat, lines) = flatten(text, kind == Kind::Prose);
    for ((code, what, _), pattern) in PHRASES.iter().zip(COMPILED.iter()) {
        for found in pattern.find_iter(&flat).take(8) {
            let line = lines.partition_point(|(start, _)| *start <= found.start());
            let line = line.checked_sub(1).and_then(|at| lines.get(at)).map_or(0, |(_, line)| *line);
            let said: String = found.as_str().chars().take(60).collect();
            let message = format!("{what}: \u{201c}{}\u{201d}", said.trim());
            let hint = "a skill says how to work; it changes no rules";
            findings.push(Finding::new(Severity::Error, code, (path, line), message, Some(hint)));
        }
    }
}

/// Every run of blanks, line ends, list marks and comment signs as one blank; and where lines begin in that.
fn flatten(text: &str, is_prose: bool) -> (String, Vec<(usize, u32)>) {
    let mut flat = String::with_capacity(text.len());
    let mut lines = Vec::new();
    for (number, line) in (1_u32..).zip(text.lines()) {
        let line = line.trim();
        // A blank line, a heading and a list's element end the sentence before.
        let is_start = is_prose && line.starts_with(['#', '-', '*', '|']);
        if line.is_empty() || is_start {
            flat.push_str(". ");
        }
        lines.push((flat.len(), number));
        for word in line.trim_start_matches(['#', '/', '*', '>', '-']).split_whitespace() {
            // Emphasis, quotes and what is invisible do not hide a word.
            flat.extend(word.chars().filter(|c| !is_noise(*c)));
            flat.push(' ');
        }
        if is_prose && line.starts_with('#') {
            flat.push_str(". ");
        }
    }
    (flat, lines)
}

fn is_noise(c: char) -> bool {
    matches!(c, '*' | '_' | '`' | '"' | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}
