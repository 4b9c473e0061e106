//! How a request is decided, in words: risk, who may, who did, until when, what was asked about it.

use bus_schemas::{
    time::UnixMs,
    v1::api::{ApprovalView, AskedView, Risk, RouteView},
};

use super::{
    sheet::{Block, Item, Section, Tone},
    text::{distance, line, quote, when},
};
use crate::words::names::at_deadline;

/// A name.
const NAME: usize = 80;
/// Names of one list.
const NAMES: usize = 12;
/// A sentence.
const SENTENCE: usize = 300;
/// A question or an answer.
const SAID: usize = 500;
/// Questions shown, the last ones.
const TALKS: usize = 4;

pub(super) const fn tone(risk: Risk) -> Tone {
    match risk {
        Risk::Low => Tone::Good,
        Risk::Medium => Tone::Odd,
        Risk::High => Tone::Bad,
    }
}

/// Why the risk is what it is; a policy's error belongs to it.
pub(super) fn reasons(route: &RouteView) -> Vec<Block> {
    let reasons: Vec<Item> = route.risk_reasons.iter().take(NAMES).map(|why| Item::new(line(why, SENTENCE))).collect();
    let mut blocks = Vec::new();
    if !reasons.is_empty() {
        blocks.push(Block::items(reasons, route.risk_reasons.len(), NAMES));
    }
    if !route.problem.is_empty() {
        let problem = line(&route.problem, SENTENCE);
        blocks.push(Block::warning(format!("The policy has an error, therefore people are asked: {problem}")));
    }
    blocks
}

/// Who decides, who agreed so far, who handed over, until when.
pub(super) fn who(approval: &ApprovalView, now: UnixMs) -> Section {
    let route = &approval.route;
    let needs = if route.needs.is_empty() { "anybody here".to_owned() } else { line(&route.needs, SENTENCE) };
    let mut rows = vec![("Needed".to_owned(), needs)];
    if !route.eligible.is_empty() {
        rows.push(("Can decide now".to_owned(), names(&route.eligible)));
    }
    if !route.excluded.is_empty() {
        rows.push(("Cannot".to_owned(), format!("{} (started or edited it)", names(&route.excluded))));
    }
    if let Some(at) = approval.expires_at {
        rows.push(("Until".to_owned(), format!("{}; then {}", when(at, now), at_deadline(route))));
    }
    let mut items: Vec<Item> = route
        .votes
        .iter()
        .take(NAMES)
        .map(|vote| {
            let said = if vote.note.trim().is_empty() {
                String::new()
            } else {
                format!(": “{}”", line(&vote.note, SENTENCE))
            };
            let by = format!("{} agreed over {}{said}", line(&vote.by, NAME), line(&vote.channel, NAME));
            Item::marked("✓", Tone::Good, by, distance(vote.at, now))
        })
        .collect();
    items.extend(route.delegations.iter().take(NAMES).map(|handed| {
        Item::marked(
            "→",
            Tone::Plain,
            format!("{} handed over to {}", line(&handed.from, NAME), line(&handed.to, NAME)),
            String::new(),
        )
    }));
    let mut blocks = vec![Block::Facts { rows }];
    if !items.is_empty() {
        let total = route.votes.len() + route.delegations.len();
        blocks.push(Block::items(items, total, 2 * NAMES));
    }
    Section::new("Who decides", "", blocks)
}

/// What people asked the agent about it, with the answers.
pub(super) fn talk(questions: &[AskedView]) -> Option<Section> {
    if questions.is_empty() {
        return None;
    }
    let skipped = questions.len().saturating_sub(TALKS);
    let mut blocks = Vec::new();
    for asked in questions.iter().skip(skipped) {
        blocks.push(Block::words(format!("{} asked: {}", line(&asked.by, NAME), line(&asked.question, SAID))));
        blocks.push(match &asked.answer {
            Some(answer) => Block::Quote { lines: quote(answer, SAID) },
            None => Block::words("No answer yet."),
        });
    }
    let note = if skipped > 0 { format!("and {skipped} before") } else { String::new() };
    Some(Section::new("Asked about it", &note, blocks))
}

/// What rules that only watch would have decided.
pub(super) fn shadow(route: &RouteView) -> String {
    let words: Vec<String> = route.shadow.iter().take(3).map(|said| line(said, 120)).collect();
    if words.is_empty() { String::new() } else { format!("Rules that only watch: {}", words.join("; ")) }
}

/// Names, the first of them.
pub(super) fn names(all: &[String]) -> String {
    let mut shown: Vec<String> = all.iter().take(NAMES).map(|name| line(name, NAME / 2)).collect();
    if all.len() > NAMES {
        shown.push(format!("{} more", all.len() - NAMES));
    }
    shown.join(", ")
}
