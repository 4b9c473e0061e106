//! A card's sections, laid out on a sheet.

use bus_schemas::{time::UnixMs, v1::api::Risk};

use super::{
    sheet::{self, Tone},
    text,
};
use crate::words::card::{Block, Item, Line, Mark, Room, Section, Span};

/// How much a mail has room for.
pub(super) const ROOM: Room = Room {
    quote: 2_000,
    plan: 3_500,
    patched: 2_000,
    output: 800,
    output_lines: 8,
    paths: 15,
    skill_lines: 25,
    excerpt: usize::MAX,
    talks: 4,
    said: 500,
};

/// A section; its texts are safe to show.
pub(super) fn section(section: &Section, now: UnixMs) -> sheet::Section {
    let sum = (!section.sum.is_empty()).then(|| sheet::Block::words(words(&section.sum, now)));
    let blocks = sum.into_iter().chain(section.blocks.iter().map(|block| drawn(block, now))).collect();
    let laid = sheet::Section::new(section.title, &section.note, blocks);
    if section.is_needed { laid.needed() } else { laid }
}

/// A piece of a section.
pub(super) fn drawn(block: &Block, now: UnixMs) -> sheet::Block {
    match block {
        Block::Words(line) => sheet::Block::words(words(line, now)),
        Block::Warning(line) => sheet::Block::warning(words(line, now)),
        Block::Heading(title, "") => sheet::Block::words(format!("{title}:")),
        Block::Heading(title, note) => sheet::Block::words(format!("{title} ({note}):")),
        Block::Quote(said, most) => sheet::Block::Quote { lines: text::quote(said, *most) },
        Block::Code(said, most) => sheet::Block::Code { text: text::block(said, *most) },
        Block::Items(items, more) => {
            sheet::Block::Items { items: items.iter().map(|item| entry(item, now)).collect(), more: *more }
        }
        Block::Row(items) => {
            sheet::Block::Items { items: items.iter().map(|item| entry(item, now)).collect(), more: 0 }
        }
        Block::Facts(rows) => {
            let rows = rows.iter().map(|(name, value)| ((*name).to_owned(), words(value, now)));
            sheet::Block::Facts { rows: rows.collect() }
        }
    }
}

fn entry(item: &Item, now: UnixMs) -> sheet::Item {
    let (mark, tone) = match item.mark {
        // No numbers: an answer by mail is words, and a number alone would reach the agent as it is.
        Mark::Entry | Mark::Number(_) | Mark::Due => ("•", Tone::Plain),
        Mark::Good => ("✓", Tone::Good),
        Mark::Bad | Mark::Refused => ("✗", Tone::Bad),
        Mark::Odd => ("!", Tone::Odd),
        Mark::New => ("+", Tone::Good),
        Mark::Changed => ("~", Tone::Odd),
        Mark::Gone => ("−", Tone::Bad),
        Mark::Handed => ("→", Tone::Plain),
    };
    sheet::Item::marked(mark, tone, words(&item.text, now), words(&item.detail, now))
}

/// A line; what is not ours in it is made safe and cut.
pub(super) fn words(line: &Line, now: UnixMs) -> String {
    let drawn = line.0.iter().map(|span| match span {
        Span::Ours(words) | Span::Strong(words) => words.clone().into_owned(),
        Span::Said(words, most) => text::line(words, *most),
        Span::Code(words, most) => text::code(words, *most),
        Span::When(at) => text::when(*at, now),
        Span::Ago(at) => text::distance(*at, now),
    });
    drawn.collect()
}

/// How a risk looks.
pub(super) const fn tone(risk: Risk) -> Tone {
    match risk {
        Risk::Low => Tone::Good,
        Risk::Medium => Tone::Odd,
        Risk::High => Tone::Bad,
    }
}
