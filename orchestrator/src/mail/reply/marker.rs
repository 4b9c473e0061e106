//! The marks that stand before a quoted or forwarded message.

use super::fold::{When, fold, has_address, when};
use super::line::{Hint, Line};
use super::memo;
use super::meter::tick;
use super::words::{self, Banner, Field};

/// The most lines an attribution is wrapped over.
const WRAPPED: usize = 6;
/// The longest attribution, folded, in bytes.
const ATTRIBUTION: usize = 700;
/// The most lines a block of headers has.
const HEADERS: usize = 40;

/// What a mark announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The message this one answers.
    Quoted,
    /// A message passed on.
    Forwarded,
}

/// A mark and the line after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    /// What it announces.
    pub(super) kind: Kind,
    /// The first line after it.
    pub(super) end: usize,
    /// Whether all that follows belongs to it, whatever it looks like.
    pub(super) all: bool,
    /// Whether it is a block of headers.
    pub(super) block: bool,
}

/// The mark that begins with a line.
pub(super) fn at(lines: &[Line<'_>], from: usize) -> Option<Mark> {
    tick(1);
    let line = &lines[from];
    let mark = |kind, end, all| Some(Mark { kind, end, all, block: false });
    let headed = |kind, end| Some(Mark { kind, end, all: false, block: true });
    match line.hint {
        Hint::Cut => return mark(Kind::Quoted, from + 1, true),
        Hint::Forward => return mark(Kind::Forwarded, from + 1, false),
        Hint::Heading => return mark(Kind::Quoted, from + 1, false),
        Hint::Box if boxed(lines, from) => {
            let length = lines[from..].iter().take_while(|line| line.hint == Hint::Box).count();
            return mark(Kind::Quoted, from + length, true);
        }
        _ => {}
    }
    if line.hint == Hint::Rule {
        let next = after_blanks(lines, from + 1, 3)?;
        if let Some(end) = headers(lines, next, true) {
            return headed(Kind::Quoted, end);
        }
        let found = attribution(lines, next);
        return found
            .or_else(|| flattened(&lines[next].folded, true).then_some(next + 1))
            .and_then(|end| mark(Kind::Quoted, end, false));
    }
    if !line.free() || line.blank() {
        return None;
    }
    if grouped(&line.folded) {
        return mark(Kind::Quoted, from + 1, false);
    }
    if words::above(&line.folded) {
        return mark(Kind::Quoted, from + 1, true);
    }
    if let Some((banner, dashed)) = words::banner(&line.folded) {
        let next = after_blanks(lines, from + 1, 2);
        let block = next.and_then(|next| headers(lines, next, true));
        if dashed || block.is_some() {
            let kind = if banner == Banner::Forwarded { Kind::Forwarded } else { Kind::Quoted };
            return block.map_or_else(|| mark(kind, from + 1, false), |end| headed(kind, end));
        }
    }
    if line.rule()
        && let Some(next) = after_blanks(lines, from + 1, 2)
    {
        if let Some(end) = headers(lines, next, true) {
            return headed(Kind::Quoted, end);
        }
        if let Some(found) = attribution(lines, next).filter(|_| from + 1 == next) {
            return mark(Kind::Quoted, found, false);
        }
    }
    // Notes and Verse write who, when and what above their headers: `Anna Berg ---03/03/2026 09:12:44---Shall I begin?`
    if line.folded.matches("---").count() >= 2
        && !line.folded.starts_with('-')
        && let Some(end) = after_blanks(lines, from + 1, 2).and_then(|next| headers(lines, next, true))
    {
        return headed(Kind::Quoted, end);
    }
    if let Some(end) = headers(lines, from, false) {
        return if super::cut::patched(lines, from) { None } else { headed(Kind::Quoted, end) };
    }
    // Some programs write the first header above the container of the others.
    let cut = lines[from + 1..].iter().take(2).any(|next| next.hint == Hint::Cut);
    if cut && words::label(&line.folded).is_some_and(|(field, _)| field == Field::From) {
        return mark(Kind::Quoted, from + 1, false);
    }
    attribution(lines, from)
        .or_else(|| memo::heading(lines, from))
        .or_else(|| after_device(lines, from))
        .or_else(|| unmarked(lines, from))
        .and_then(|end| mark(Kind::Quoted, end, false))
}

/// Whether a line is the heading that GroupWise writes: `>>> Anna Bell 03/05/26 10:01AM >>>`.
fn grouped(folded: &str) -> bool {
    folded.starts_with(">>>") && folded.ends_with(">>>") && folded.len() < 200 && when(folded).date
}

/// The end of an attribution without a date, as some telephones write it below their own line: `Anna Bell wrote:`.
fn after_device(lines: &[Line<'_>], from: usize) -> Option<usize> {
    let line = &lines[from];
    let short = line.folded.len() <= 100 && line.folded.ends_with(':') && line.folded.split(' ').count() <= 6;
    let device = || {
        let above = lines[..from].iter().rev().take(6).find(|line| !line.blank());
        above.is_some_and(|line| super::farewell::device(&line.folded))
    };
    (short && words::wrote(&line.folded) && device()).then_some(from + 1)
}

/// The end of an attribution without date and colon, directly above marked lines: `Anna Bell wrote`.
fn unmarked(lines: &[Line<'_>], from: usize) -> Option<usize> {
    let line = &lines[from];
    let short = line.folded.len() <= 80 && (2..=6).contains(&line.folded.split(' ').count());
    let next = lines.get(from + 1)?;
    (short && next.depth > 0 && next.hint == Hint::None && words::wrote_last(&line.folded)).then_some(from + 1)
}

/// Whether the box above a quoted message begins here: two of its lines have labels, in whatever language.
fn boxed(lines: &[Line<'_>], from: usize) -> bool {
    if from > 0 && lines[from - 1].hint == Hint::Box {
        return false;
    }
    let labelled = |line: &Line<'_>| line.folded.char_indices().take(30).any(|(at, c)| c == ':' && at > 0);
    let inside = || lines[from..].iter().take(12).take_while(|line| line.hint == Hint::Box);
    // Some people leave nothing there but who wrote it.
    let sender = inside().find(|line| !line.blank()).is_some_and(|line| {
        words::label(&line.folded).is_some_and(|(field, value)| field == Field::From && has_address(value))
    });
    sender || inside().filter(|line| labelled(line)).count() >= 2
}

/// The first line that is not blank, if only few are.
fn after_blanks(lines: &[Line<'_>], from: usize, most: usize) -> Option<usize> {
    (from..lines.len()).take(most + 1).find(|at| !lines[*at].blank())
}

/// Whether the next text after a line is quoted.
fn quote_follows(lines: &[Line<'_>], from: usize) -> bool {
    let next = after_blanks(lines, from, 3);
    let cut = next.filter(|at| lines[*at].depth == 0 && super::cut::snipped(&lines[*at].folded));
    cut.map_or(next, |at| after_blanks(lines, at + 1, 3)).is_some_and(|at| lines[at].depth > 0)
}

/// The end of a block of header lines that begins here. After a separator two of them are enough.
pub(super) fn headers(lines: &[Line<'_>], from: usize, announced: bool) -> Option<usize> {
    let first = &lines[from];
    if !first.free() {
        return None;
    }
    let (field, _) = words::label(&first.folded)?;
    if flattened(&first.folded, false) {
        return Some(from + 1);
    }
    if field == Field::Other && !announced {
        return None;
    }
    let mut seen = [false; 5];
    let mut sender_has_address = false;
    let mut dated = false;
    let mut timed = false;
    let mut zoned = false;
    let mut addressed = false;
    let mut end = from;
    let mut unlabelled = 0;
    let mut at = from;
    let mut last = field;
    while at < lines.len() && at < from + HEADERS && lines[at].free() {
        tick(1);
        let line = &lines[at];
        if let Some((field, value)) = words::label(&line.folded) {
            if field == Field::From && seen[0] && seen.iter().filter(|seen| **seen).count() >= 3 {
                break;
            }
            if let Some(slot) = seen.get_mut(slot(field)) {
                *slot = true;
            }
            sender_has_address |= field == Field::From && (has_address(value) || value.contains('['));
            dated |= field == Field::Date && value.chars().any(|c| c.is_ascii_digit());
            timed |= field == Field::Date && when(value) == (When { date: true, time: true });
            zoned |= field == Field::Date && zone(value);
            addressed |= field == Field::To && has_address(value);
            unlabelled = 0;
            last = field;
            end = at + 1;
        } else if line.blank() {
            let next = after_blanks(lines, at, 2).map(|next| &lines[next]);
            if next.is_none_or(|next| words::label(&next.folded).is_none() || !next.free()) {
                break;
            }
        } else {
            unlabelled += 1;
            let may_wrap = matches!(last, Field::To | Field::Cc | Field::From | Field::Subject | Field::Date);
            if unlabelled > 4 || !may_wrap || (last == Field::Subject && unlabelled > 1) {
                break;
            }
            sender_has_address |= last == Field::From && has_address(&line.folded);
        }
        at += 1;
    }
    let [sender, date, to, cc, subject] = seen;
    let others = [date, to || cc, subject].iter().filter(|seen| **seen).count();
    let enough = (announced && ((sender && others >= 1) || others == 3))
        || (sender && subject && others >= 2)
        || (sender && others >= 2 && sender_has_address && dated)
        || (date && dated && to && subject)
        || (sender && sender_has_address && date && timed)
        || (timed && zoned && addressed);
    enough.then_some(end)
}

/// Whether a date ends as only programs write it: `09:12:30 +0100`.
fn zone(value: &str) -> bool {
    let mut words = value.split(' ');
    let zone = words.find(|word| word.starts_with(['+', '-']) && word.len() == 5).map(|word| &word[1..]);
    zone.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
}

fn slot(field: Field) -> usize {
    match field {
        Field::From => 0,
        Field::Date => 1,
        Field::To => 2,
        Field::Cc => 3,
        Field::Subject => 4,
        Field::Other => 5,
    }
}

/// Whether one line holds a whole block of headers: `From: … Sent: … To: … Subject: …`. Below a drawn line less is enough.
fn flattened(folded: &str, announced: bool) -> bool {
    let text = folded.trim_start_matches(['*', '_', ' ']);
    let Some((Field::From, rest)) = words::label(text) else { return false };
    let mut seen = [false; 6];
    for (at, _) in rest.match_indices(':').take(40) {
        let before = rest[..at].trim_end_matches(['*', ' ', '_']);
        for words in 1..=3 {
            let start = before.rmatch_indices([' ', '*']).nth(words - 1).map_or(0, |(at, _)| at + 1);
            let name = format!("{}:", &before[start..]);
            if let Some((field, _)) = words::label(&name) {
                seen[slot(field)] = true;
                break;
            }
        }
    }
    (seen[1] && seen[4] && (seen[2] || has_address(rest))) || (announced && seen[1] && has_address(rest))
}

/// Whether the lines between are one attribution (`On …, … wrote:`) and not a block of headers.
pub(super) fn is_attribution(lines: &[Line<'_>], from: Option<usize>, end: usize) -> bool {
    let Some(from) = from.filter(|from| lines[*from].free()) else { return false };
    let Some(found) = attribution(lines, from) else { return false };
    lines[found.min(end)..end].iter().all(Line::blank)
}

/// The end of an attribution that begins here: `On …, … wrote:`, on one line or wrapped over some.
fn attribution(lines: &[Line<'_>], from: usize) -> Option<usize> {
    let mut joined = String::new();
    let first = &lines[from];
    for end in from..lines.len().min(from + WRAPPED) {
        let line = &lines[end];
        if line.blank() && end > from && lines.get(end + 1).is_some_and(|next| next.folded.starts_with('<')) {
            // An address on lines of its own.
            continue;
        }
        let closes = end > from && closes_address(&joined, line);
        if (!line.free() && !closes) || line.blank() {
            break;
        }
        if end > from {
            joined.push_str(if closes { "> " } else { " " });
        }
        joined.push_str(&line.folded);
        if joined.len() > ATTRIBUTION {
            // A line too long for an attribution may still begin with one.
            return (end == from && inline(&first.folded[..first.folded.floor_char_boundary(ATTRIBUTION)]))
                .then_some(from + 1);
        }
        tick(1);
        if end > from && !may_begin(lines, from, end) {
            break;
        }
        if lines.get(end + 1).is_some_and(|next| closes_address(&joined, next)) {
            continue;
        }
        if complete(&joined, lines, from, end) && !begins_later(lines, from, end) {
            return Some(end + 1);
        }
        if inline(&joined) && !begins_later(lines, from, end) {
            return Some(end + 1);
        }
        if line.ends_sentence() {
            break;
        }
    }
    None
}

/// Whether a line only looks quoted: its `>` closes the address that the line above opened (`<anna@works.example`,
/// `> wrote:`, or `>:`).
fn closes_address(joined: &str, line: &Line<'_>) -> bool {
    line.depth == 1
        && line.hint == Hint::None
        && line.folded.ends_with(':')
        && line.folded.split(' ').count() <= 4
        && joined.matches('<').count() > joined.matches('>').count()
        && (line.folded == ":" || words::wrote(&line.folded))
}

/// Whether an attribution of several lines can begin with this one.
fn may_begin(lines: &[Line<'_>], from: usize, end: usize) -> bool {
    let first = &lines[from];
    if first.ends_sentence() || first.folded.len() > 400 {
        return false;
    }
    let early = end <= from + 3 && first.folded.len() <= 90 && apart(lines, from);
    starts(first)
        || opener(lines, from)
        || (end <= from + 3 && has_address(&first.folded))
        || (early && (first.folded.ends_with('<') || words::wrote(&first.folded)))
        || (lines[from + 1].folded.starts_with('<') && first.folded.len() < 80)
}

/// Whether a paragraph begins with a line.
fn apart(lines: &[Line<'_>], from: usize) -> bool {
    from.checked_sub(1).is_none_or(|above| lines[above].blank() || !lines[above].free() || lines[above].rule())
}

/// Whether a line is nothing but the first words of an attribution: `Il giorno`, `On Tue,`.
fn opener(lines: &[Line<'_>], from: usize) -> bool {
    let line = &lines[from];
    line.opens
        && line.folded.split(' ').count() <= 4
        && !line.folded.ends_with([':', '.', '!', '?'])
        && apart(lines, from)
        && super::decide::decide(&[super::fold::visible(&line.raw)]) == super::Deciding::None
}

/// Whether a line looks like the first of an attribution: its opening, and something of a date.
fn starts(line: &Line<'_>) -> bool {
    let text = &line.folded;
    line.opens
        && (text.chars().any(|c| c.is_ascii_digit())
            || text.ends_with(',')
            || text
                .split([' ', ',', '.'])
                .filter(|word| !word.is_empty())
                .nth(1)
                .is_some_and(|word| words::opens(word) && word.len() > 2))
}

/// Whether the attribution that ends here rather begins with a later line.
fn begins_later(lines: &[Line<'_>], from: usize, end: usize) -> bool {
    let strong = starts(&lines[from]);
    let mut before = String::new();
    (from + 1..=end).any(|later| {
        before.push_str(&lines[later - 1].folded);
        before.push(' ');
        let digits = lines[later].folded.starts_with(|c: char| c.is_ascii_digit());
        // A wrapped date begins with a digit, too: then the earlier line is the beginning.
        if !starts(&lines[later]) || (strong && digits) {
            return false;
        }
        let joined: Vec<&str> = lines[later..=end].iter().map(|line| line.folded.as_str()).collect();
        let joined = joined.join(" ");
        // Who comes first in some languages: `Anna <anna@works.example> schrieb`, `am 3. März 2026, 09:12:`.
        let whole = before.trim_end();
        let closed = whole.rfind('>').is_some_and(|at| at + 12 >= whole.len());
        let named = closed && whole.find('<').is_some_and(|at| (1..60).contains(&at)) && !has_address(&joined);
        let said = words::wrote(whole) && !words::wrote(&joined);
        if (named || said) && before.len() <= 100 && apart(lines, from) {
            return false;
        }
        when(&joined).date && complete(&joined, lines, later, end) && !opener(lines, from)
    })
}

/// Whether a joined text is an attribution.
fn complete(joined: &str, lines: &[Line<'_>], from: usize, end: usize) -> bool {
    // ":)" is no colon.
    let bracket: &[char] = if joined.contains('(') { &[')'] } else { &[] };
    let text = joined.trim_end_matches(|c| ['*', '_', '-', ' ', '>', '"', '\''].contains(&c) || bracket.contains(&c));
    let dashed = joined.starts_with("--") && joined.ends_with("--");
    let colon = text.ends_with(':') || dashed;
    if joined.contains("8<") || joined.contains(" mon sep 17 00:00:00 2001") {
        return false;
    }
    // Some programs leave out the verb and the colon: `2026/3/3 Anna <anna@works.example>`.
    let close = joined.trim_end_matches(['*', ' ']);
    let boxed = close.ends_with('>') && close.rfind('<').is_some_and(|at| has_address(&close[at..]));
    let ends = boxed && joined.len() < 200 && end <= from + 2;
    if ends && lines[from].opens && has_address(joined) {
        let seen = when(joined);
        let digit = lines[from].folded.starts_with(|c: char| c.is_ascii_digit());
        if seen.date && (seen.time || digit) {
            return true;
        }
    }
    if bare(joined, lines, from, end) {
        return true;
    }
    let candidate = colon
        || lines.get(end + 1).is_some_and(|next| next.depth > 0 || (next.blank() && quote_follows(lines, end + 1)));
    if !candidate {
        return false;
    }
    let address = has_address(text);
    let seen = when(text);
    let opens = lines[from].opens || dashed;
    let dated = seen.date || seen.time;
    if !address && !dated && (text.len() > 200 || end > from) {
        return false;
    }
    let quote = quote_follows(lines, end + 1);
    if !quote && !address && !dated {
        return false;
    }
    let inner = &lines[from..end];
    if inner.iter().any(|line| line.folded.ends_with(':') && words::label(&line.folded).is_none()) {
        return false;
    }
    let wrote = words::wrote(text);
    if colon && wrote && (address || (seen.date && seen.time) || (opens && dated)) {
        return true;
    }
    // Without a verb it is short, and no command and no list.
    let boxed = text.find('<').is_some_and(|at| has_address(&text[at..]));
    let bare = (inner.len() <= 2 || boxed) && !text.contains(['#', '$', '|', '{', '=']);
    if colon && address && seen.date && (seen.time || opens) && bare {
        return true;
    }
    // With a quote below it, less is enough.
    quote
        && ((wrote && colon && (address || dated || words::wrote_last(text.trim_end_matches([':', ' ']))))
            || (wrote && address && dated && opens)
            || (colon && address && dated && bare)
            || (colon && seen.date && seen.time && bare))
}

/// Whether a text is an attribution although nothing but its form says so: `On 14 Nov 2018 08:14 Lea <lea@works.example> wrote`
/// without a colon; `2016-03-03 17:21 GMT+01:00 Lea` alone in its paragraph.
fn bare(joined: &str, lines: &[Line<'_>], from: usize, end: usize) -> bool {
    let seen = when(joined);
    if joined.len() > 200 || !lines[from].opens || !seen.date || !seen.time {
        return false;
    }
    let blank = |at: Option<usize>| at.and_then(|at| lines.get(at)).is_none_or(Line::blank);
    let stamped = joined.starts_with("20") && joined.contains(" gmt") && joined.len() < 120;
    (has_address(joined) && words::wrote_last(joined))
        || (stamped && from == end && blank(from.checked_sub(1)) && blank(Some(end + 1)))
}

/// Whether a text has an attribution followed by what it quotes on the same line.
fn inline(joined: &str) -> bool {
    if !(words::opens(joined)) {
        return false;
    }
    if !joined.contains(':') || !(has_address(joined) || joined.contains('"')) {
        return false;
    }
    let Some(at) = words::wrote_colon(joined) else { return false };
    let seen = when(&joined[..at]);
    at < 300 && seen.date && seen.time && (has_address(&joined[..at]) || joined[..at].contains('"'))
}

/// Where an attribution begins that shares its line with the person's words: `Yes. On …, … wrote:`.
pub(super) fn shared(raw: &str) -> Option<usize> {
    let end = raw.trim_end();
    if end.len() > ATTRIBUTION || !end.ends_with(':') || end.starts_with('>') || words::opens(&fold(end)) {
        return None;
    }
    [" On ", " Am ", " Le ", " El ", " Em ", " Il ", " Op ", " Den "].iter().find_map(|opener| {
        let at = end.rfind(opener)?;
        let text = fold(&end[at..]);
        let seen = when(&text);
        let clear = seen.date && seen.time && words::wrote(&text) && !end[..at].trim().is_empty();
        clear.then_some(at + 1)
    })
}
