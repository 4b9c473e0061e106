//! How a request is decided, in words: risk, who may, who did, until when, what was asked about it.

use bus_schemas::v1::api::{ApprovalView, AskedView, Risk, RouteView, VoteView};

use super::{Block, Item, Line, Mark, Room, Section, Span, Topic};
use crate::words::names::at_deadline;

/// A name.
const NAME: usize = 80;
/// Names of one list.
const NAMES: usize = 12;
/// A sentence.
const SENTENCE: usize = 300;
/// Rules that only watch, and what each says.
const WATCHING: usize = 3;
const WATCHED: usize = 120;

/// The risk and why; a policy's error belongs to it.
pub(super) fn risk(route: &RouteView) -> Section {
    let title = match route.risk {
        Risk::Low => "Low risk",
        Risk::Medium => "Medium risk",
        Risk::High => "High risk",
    };
    let mut blocks = Vec::new();
    if !route.risk_reasons.is_empty() {
        let reasons = route.risk_reasons.iter().map(|why| Item::new(Mark::Entry, Line::default().said(why, SENTENCE)));
        blocks.push(Block::items(reasons, route.risk_reasons.len(), NAMES));
    }
    if !route.problem.is_empty() {
        let words = Line::ours("The policy has an error, therefore people are asked: ").said(&route.problem, SENTENCE);
        blocks.push(Block::Warning(words));
    }
    Section::new(title, "", blocks).about(Topic::Risk(route.risk)).needed()
}

/// Who decides, who agreed so far, who handed over, until when ([`deadline`]).
#[must_use]
pub fn who(route: &RouteView, until: Option<Line>) -> Section {
    let needs = Line::default();
    let needs = if route.needs.is_empty() { needs.and("anybody here") } else { needs.said(&route.needs, SENTENCE) };
    let mut rows = Vec::new();
    if !route.eligible.is_empty() {
        rows.push(("Can decide now", names(&route.eligible)));
    }
    if !route.excluded.is_empty() {
        rows.push(("Cannot", names(&route.excluded).and(" (started or edited it)")));
    }
    let mut blocks = Vec::new();
    if !rows.is_empty() {
        blocks.push(Block::Facts(rows));
    }
    let handed = route.delegations.iter().map(|handed| {
        let words = Line::default().said(&handed.from, NAME).and(" handed over to ").said(&handed.to, NAME);
        Item::new(Mark::Handed, words)
    });
    let total = route.votes.len() + route.delegations.len();
    if total > 0 {
        blocks.push(Block::items(route.votes.iter().map(vote).take(NAMES).chain(handed), total, 2 * NAMES));
    }
    if let Some(until) = until {
        blocks.push(Block::Row(vec![Item::new(Mark::Due, until)]));
    }
    Section::new("Who decides", "", blocks).about(Topic::Who).sum(needs).needed()
}

fn vote(vote: &VoteView) -> Item {
    let words = Line::default().said(&vote.by, NAME).and(" agreed").then(over(&vote.channel)).and(", ");
    let words = words.with(Span::Ago(vote.at));
    let note = Line::ours("— “").said(&vote.note, SENTENCE).and("”");
    let item = Item::new(Mark::Good, words);
    if vote.note.trim().is_empty() { item } else { item.detail(note) }
}

/// Over which channel something was decided, to stand after other words.
#[must_use]
pub fn over(channel: &str) -> Line {
    match channel {
        "cli" => Line::ours(" on the command line"),
        "web" => Line::ours(" over the HTTP API"),
        "email" => Line::ours(" by email"),
        "slack" => Line::ours(" in Slack"),
        "remembered" => Line::ours(" by a remembered decision"),
        other => Line::ours(" over ").said(other, NAME),
    }
}

/// The deadline and what happens then.
#[must_use]
pub fn deadline(approval: &ApprovalView) -> Option<Line> {
    let at = approval.expires_at?;
    let then = at_deadline(&approval.route);
    Some(Line::ours("Until ").with(Span::When(at)).and("; then ").and(then))
}

/// What people asked the agent about it, with the answers: the last ones.
pub(super) fn talk(questions: &[AskedView], room: &Room) -> Option<Section> {
    if questions.is_empty() {
        return None;
    }
    let skipped = questions.len().saturating_sub(room.talks);
    let blocks = questions.iter().skip(skipped).flat_map(|asked| {
        let words = Line::default().said(&asked.by, NAME).and(" asked: ").said(&asked.question, room.said);
        let answer = match &asked.answer {
            Some(answer) => Block::Quote(answer.clone(), room.said),
            None => Block::Words(Line::ours("The agent has not answered yet.")),
        };
        [Block::Words(words), answer]
    });
    let note = if skipped > 0 { format!("and {skipped} before") } else { String::new() };
    Some(Section::new("Asked about it", note, blocks.collect()).about(Topic::Talk).needed())
}

/// What rules that only watch would have decided; empty without any.
#[must_use]
pub fn shadow(route: &RouteView) -> Line {
    if route.shadow.is_empty() {
        return Line::default();
    }
    let said = route.shadow.iter().take(WATCHING).map(|said| Line::default().said(said, WATCHED));
    Line::ours("Rules that only watch: ").then(Line::join(said, "; "))
}

/// Names, the first of them.
fn names(all: &[String]) -> Line {
    let mut shown: Vec<Line> = all.iter().take(NAMES).map(|name| Line::default().said(name, NAME / 2)).collect();
    if all.len() > NAMES {
        shown.push(Line::ours(format!("{} more", all.len() - NAMES)));
    }
    Line::join(shown, ", ")
}
