//! What holds for every card, whatever channel draws it.

use bus_schemas::v1::{
    agent::Resource,
    api::{LimitView, SpendView},
};

use super::*;
use crate::words::samples::{self, saying};

const ROOM: Room = Room {
    quote: 1_000,
    plan: 1_000,
    patched: 1_000,
    output: 1_000,
    output_lines: 5,
    paths: 10,
    skill_lines: 10,
    excerpt: usize::MAX,
    talks: 2,
    said: 100,
};

/// All pieces of a section: those that are ours, and those that are not.
fn pieces(section: &Section) -> (Vec<String>, Vec<String>) {
    let (mut ours, mut theirs) = (vec![section.title.to_owned(), section.note.to_string()], Vec::new());
    let mut line = |line: &Line| {
        for span in &line.0 {
            match span {
                Span::Ours(words) | Span::Strong(words) => ours.push(words.to_string()),
                Span::Said(words, most) | Span::Code(words, most) => {
                    assert!(*most > 0 && *most <= 400, "{words}");
                    theirs.push(words.clone());
                }
                Span::When(_) | Span::Ago(_) => {}
            }
        }
    };
    line(&section.sum);
    let mut others = Vec::new();
    for block in &section.blocks {
        match block {
            Block::Words(words) | Block::Warning(words) => line(words),
            Block::Heading(title, note) => line(&Line::ours(*title).and(*note)),
            Block::Quote(words, _) | Block::Code(words, _) => others.push(words.clone()),
            Block::Items(items, _) | Block::Row(items) => items.iter().for_each(|item| {
                line(&item.text);
                line(&item.detail);
            }),
            Block::Facts(rows) => rows.iter().for_each(|(_, value)| line(value)),
        }
    }
    theirs.extend(others);
    (ours, theirs)
}

#[test]
fn what_others_say_is_marked_as_theirs() {
    let words = "`said` by <others>";
    for (name, approval) in samples::every() {
        let sections = of(&saying(&approval, words), &saying(&samples::project(), words), &ROOM);
        let (ours, theirs): (Vec<_>, Vec<_>) = sections.iter().map(pieces).unzip();
        assert!(theirs.concat().iter().any(|said| said.contains(words)), "{name}: nothing of it is shown");
        for said in ours.concat() {
            assert!(!said.contains(['`', '<', '>', '*', '&']), "{name}: passes for ours: {said}");
        }
    }
}

#[test]
fn every_kind_says_who_decides_and_what_follows() {
    for (name, approval) in samples::every() {
        let topics: Vec<Topic> =
            of(&approval, &samples::project(), &ROOM).iter().map(|section| section.topic).collect();
        assert_eq!((topics[0], topics.last()), (Topic::Risk(approval.route.risk), Some(&Topic::Who)), "{name}");
        for topic in [Topic::Next, Topic::Asked] {
            assert!(topics.contains(&topic), "{name} says nothing of {topic:?}: {topics:?}");
        }
    }
}

#[test]
fn what_the_host_recorded_comes_before_what_the_agent_leaves_to_others() {
    let sections = of(&samples::handoff(), &samples::project(), &ROOM);
    let at = |title: &str| sections.iter().position(|section| section.title == title);
    let wanted = ["What was done", "Evidence", "Changes", "Network", "Decided, and why"].map(at);
    assert!(wanted.iter().all(Option::is_some) && wanted.is_sorted(), "{wanted:?}");
}

#[test]
fn of_a_limit_the_unit_is_said_once() {
    let limit = |resource, used, limit| LimitView { resource, used, limit, warned: 0 };
    let nearly = LimitView { warned: 80, ..limit(Resource::Turns, 55, 60) };
    let limits = vec![
        limit(Resource::Usd, 1_000_000_000, 2_000_000_000),
        limit(Resource::Tokens, 41_000, 100_000),
        limit(Resource::WallMs, 185_000, 7_800_000),
        nearly,
    ];
    let view =
        SpendView { calls: 5, usd_nanos: 1_000_000_000, tokens: 41_000, vm_ms: 12_000, limits, ..SpendView::default() };
    let (ours, _) = pieces(&next::spend(&view, None).unwrap());
    let wanted = [
        "Spent so far",
        "the whole project",
        "$1.00 of $2.00 ($1.00 left)",
        "41k of 100k tokens (59k left)",
        "12s VM time",
        "time: 3m 05s of 2h 10m (2h 06m left)",
        "55 of 60 model calls (5 left)",
        "nearly used up",
    ];
    assert_eq!(ours, wanted);
    assert_eq!(next::spend(&SpendView::default(), None), None);
}
