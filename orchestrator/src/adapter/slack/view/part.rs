//! A card's sections as paragraphs of `mrkdwn`.

use bus_schemas::v1::api::Risk;

use super::{
    limits,
    text::{ago, code, date, escape, fence, length, line, list, quote},
};
use crate::words::card::{Block, Item, Line, Mark, Section, Span, Topic};

/// Longest lists, from what reads well to what is worth showing. The first with which all paragraphs fit is taken.
const LISTS: [usize; 3] = [1_200, 700, 400];
/// What stands where a paragraph is longer than Slack takes.
const CUT: &str = "… there is more than fits here";
/// What stands where paragraphs are left out.
const LEFT_OUT: &str = "… there is more than a message holds: *Open* and `baton approvals` show all of it.";

/// The sections that fit into so many characters, those that are needed in any case.
pub(super) fn paragraphs(sections: &[Section], most: usize) -> Vec<String> {
    let mut shown: Vec<String> = Vec::new();
    for lists in LISTS {
        shown = sections.iter().map(|section| paragraph(section, lists)).collect();
        if shown.iter().map(|text| length(text)).sum::<usize>() <= most {
            return shown;
        }
    }
    let needed = |section: &Section, text: &str| if section.is_needed { length(text) } else { 0 };
    let taken: usize = sections.iter().zip(&shown).map(|(section, text)| needed(section, text)).sum();
    let mut room = most.saturating_sub(taken + length(LEFT_OUT));
    let mut kept = Vec::new();
    let mut left_out = 0;
    let mut end = None;
    for (section, text) in sections.iter().zip(shown) {
        if !section.is_needed {
            let Some(rest) = room.checked_sub(length(&text)) else {
                left_out += 1;
                continue;
            };
            room = rest;
        }
        if matches!(section.topic, Topic::Next | Topic::Talk) && end.is_none() {
            end = Some(kept.len());
        }
        kept.push(text);
    }
    if left_out > 0 {
        kept.insert(end.unwrap_or(kept.len()), LEFT_OUT.to_owned());
    }
    kept
}

/// A section, its lists cut to so many characters.
pub(super) fn paragraph(section: &Section, lists: usize) -> String {
    let mut text = format!("{}*{}*", sign(section.topic), escape(section.title));
    if !section.note.is_empty() {
        text.push_str(&format!(" ({})", escape(&section.note)));
    }
    if !section.sum.is_empty() {
        text.push_str(&format!(": {}", words(&section.sum)));
    }
    for (number, block) in section.blocks.iter().enumerate() {
        let more = drawn(block, lists);
        if length(&text) + length(&more) + length(CUT) + 2 > limits::SECTION {
            text.push_str(&format!("\n{CUT}"));
            break;
        }
        // What stands on one line anyway stands beside the title.
        let is_beside = number == 0 && section.sum.is_empty() && matches!(block, Block::Row(_));
        text.push_str(if is_beside { ": " } else { "\n" });
        text.push_str(&more);
    }
    text
}

fn drawn(block: &Block, lists: usize) -> String {
    match block {
        Block::Words(line) => words(line),
        Block::Warning(line) => format!("⚠️ {}", words(line)),
        Block::Heading(title, "") => format!("*{title}*"),
        Block::Heading(title, note) => format!("*{title}* ({note})"),
        Block::Quote(text, most) => quote(text, *most),
        Block::Code(text, most) => fence(text, *most),
        Block::Items(items, more) => {
            let lines: Vec<String> = items.iter().map(entry).collect();
            list(&lines, items.len() + more, lists)
        }
        Block::Row(items) => {
            let beside = |item: &Item| if item.mark == Mark::Entry { said(item) } else { entry(item) };
            items.iter().map(beside).collect::<Vec<_>>().join(" · ")
        }
        Block::Facts(rows) => {
            let rows: Vec<String> = rows.iter().map(|(name, value)| format!("{name}: {}", words(value))).collect();
            rows.join("\n")
        }
    }
}

fn entry(item: &Item) -> String {
    let mark = match item.mark {
        Mark::Entry => "•",
        Mark::Number(number) => return format!("{number}. {}", said(item)),
        Mark::Good => "✅",
        Mark::Bad => "❌",
        Mark::Refused => "⛔",
        Mark::Odd => "⚠️",
        Mark::New => "➕",
        Mark::Changed => "✏️",
        Mark::Gone => "🗑️",
        Mark::Handed => "🤝",
        Mark::Due => "⏰",
    };
    format!("{mark} {}", said(item))
}

fn said(item: &Item) -> String {
    let text = words(&item.text);
    if item.detail.is_empty() { text } else { format!("{text} {}", words(&item.detail)) }
}

/// A line; what is not ours in it is made safe and cut.
pub(super) fn words(line_of: &Line) -> String {
    line_of
        .0
        .iter()
        .map(|span| match span {
            Span::Ours(words) => escape(words),
            Span::Strong(words) => format!("*{}*", escape(words)),
            Span::Said(words, most) => line(words, *most),
            Span::Code(words, most) => code(words, *most),
            Span::When(at) => format!("{} ({})", date(*at), ago(*at)),
            Span::Ago(at) => ago(*at),
        })
        .collect()
}

const fn sign(topic: Topic) -> &'static str {
    match topic {
        Topic::Risk(Risk::Low) => "🟢 ",
        Topic::Risk(Risk::Medium) => "🟡 ",
        Topic::Risk(Risk::High) => "🔴 ",
        Topic::Asked | Topic::Changes => "",
        Topic::Spent => "💳 ",
        Topic::Next => "▶️ ",
        Topic::Talk => "💬 ",
        Topic::Who => "👥 ",
    }
}
