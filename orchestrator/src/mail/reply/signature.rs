//! Where, in a run of lines that are not quoted, the person's own words end.
//!
//! The rules are ordered from sure to likely. A likely one (greeting, disclaimer, address) never takes the last words
//! there are: a mail that is nothing but "Thanks,\nAnna" says that.

use super::farewell;
use super::line::Line;
use super::meter::tick;

/// What a line that is not quoted belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The person's words.
    Own,
    /// The signature.
    Signature,
    /// What a list or a program added.
    Footer,
}

/// The lines of the longest signature after a bare `--`.
const SIGNATURE: usize = 15;
/// How far from the end of a run a device's line may stand.
const NEAR: usize = 100;
/// How many lines of a signature are looked at for what limits a decision; slogans stand further below.
const LOOKED_AT: usize = 6;
/// The lines of the longest footer.
const FOOTER: usize = 25;

/// Says what each line of a run belongs to. `more` tells whether there are own words elsewhere.
pub(super) fn parts(lines: &[Line<'_>], more: bool) -> Vec<Part> {
    tick(lines.len());
    let mut parts = vec![Part::Own; lines.len()];
    let mut end = trimmed(lines, lines.len());
    if let Some(at) = footer(lines, end) {
        parts[at..].fill(Part::Footer);
        end = trimmed(lines, at);
    }
    if let Some(at) = delimiter(lines, end) {
        parts[at..end].fill(Part::Signature);
        end = trimmed(lines, at);
    } else {
        end = notes(lines, end);
    }
    for at in end.saturating_sub(NEAR)..end {
        if farewell::device(&lines[at].folded) && !(at == 0 && end > 3) {
            parts[at] = Part::Signature;
        }
    }
    loop {
        let before = end;
        while end > 0 && (parts[end - 1] != Part::Own || lines[end - 1].blank() || lines[end - 1].rule()) {
            if lines[end - 1].rule() {
                parts[end - 1] = Part::Signature;
            }
            end -= 1;
        }
        if let Some(at) = legal(lines, end)
            .or_else(|| closing(lines, end))
            .or_else(|| address(lines, end))
            .or_else(|| card(lines, end))
            .or_else(|| dashed(lines, end))
            && (more || lines[..at].iter().zip(&parts).any(|(line, part)| *part == Part::Own && !line.blank()))
        {
            parts[at..end].fill(Part::Signature);
            end = at;
        }
        if end == before {
            break;
        }
    }
    parts
}

/// Whether one of the first lines of a signature or a footer limits what stands above it. Disclaimers have conditions of their own.
pub(super) fn limits(text: &str) -> bool {
    let mut left = LOOKED_AT;
    for paragraph in text.split("\n\n") {
        let folded = super::fold::fold(&paragraph.replace('\n', " "));
        let legal = farewell::legal(&folded);
        if legal && farewell::mistaken(&folded) {
            continue;
        }
        let filled = paragraph.lines().filter(|line| line.contains(char::is_alphanumeric));
        for line in filled.take(if legal { 1 } else { left }) {
            if super::decide::limits(line) && !farewell::device(&super::fold::fold(line)) {
                return true;
            }
            left -= 1;
        }
        if left == 0 {
            break;
        }
    }
    false
}

/// The end of a run without its last blank lines.
fn trimmed(lines: &[Line<'_>], end: usize) -> usize {
    lines[..end].iter().rposition(|line| !line.blank()).map_or(0, |at| at + 1)
}

fn filled(lines: &[Line<'_>]) -> usize {
    lines.iter().filter(|line| !line.blank()).count()
}

/// Where the footer of a list begins.
fn footer(lines: &[Line<'_>], end: usize) -> Option<usize> {
    let from = end.saturating_sub(FOOTER);
    let link = |at: usize| lines[at].folded.starts_with("<http") && !lines[at].folded.contains(' ');
    let found = (from..end).find(|at| {
        // The address of a list alone below everything.
        if farewell::list_page(&lines[*at].folded) && trimmed(lines, end) == at + 1 {
            let above = lines[..*at].iter().rev().find(|line| !line.blank());
            return at.checked_sub(1).is_some_and(|above| lines[above].blank())
                && above.is_some_and(|line| !line.folded.ends_with(':') && !farewell::note(&line.folded));
        }
        let line = &lines[*at];
        let next = lines[*at + 1..end].iter().filter(|line| !line.blank()).take(3);
        let ruled = line.rule() || matches!(line.folded.as_str(), "--" | "-" | "---" | "----");
        (ruled && next.clone().any(|line| farewell::lists(&line.folded) || farewell::footer(&line.folded)))
            || (farewell::footer(&line.folded)
                && (*at == 0
                    || lines[*at - 1].blank()
                    || lines[*at - 1].rule()
                    || link(*at - 1)
                    || line.folded.starts_with("-----"))
                && filled(&lines[*at..end]) <= 12
                && lines[*at..end].iter().any(|line| {
                    farewell::lists(&line.folded)
                        || line.folded.contains("http")
                        || line.folded.contains("avast")
                        || line.folded.contains("virus")
                }))
    })?;
    Some(if found > 0 && link(found - 1) { found - 1 } else { found })
}

/// Where a delimited signature begins.
fn delimiter(lines: &[Line<'_>], end: usize) -> Option<usize> {
    // Disclaimers do not count.
    let card = legal(lines, end).unwrap_or(end);
    let mut left = filled(&lines[..card]);
    let limit = 4 * SIGNATURE;
    for (at, line) in lines[..card].iter().enumerate() {
        if line.blank() {
            continue;
        }
        left -= 1;
        if left > limit {
            continue;
        }
        let raw = line.raw.as_ref();
        // A signed text has "- " before every line that begins with a dash.
        let exact = raw == "-- " || raw == "--\u{a0}" || raw.trim_end() == "- --";
        let dashes = line.folded == "--" && line.raw.contains("--");
        let drawn = matches!(line.folded.as_str(), "-" | "--" | "---" | "__" | "___" | "----" | "____") || line.rule();
        let short = |most: usize| lines[at + 1..end].iter().all(|line| line.folded.len() <= most);
        if exact || (dashes && left <= SIGNATURE && !prose(&lines[at + 1..end])) {
            return Some(at);
        }
        let after = lines.get(at + 1).is_some_and(|line| !line.blank());
        let contact = || lines[at + 1..end].iter().any(|line| farewell::contact(&line.folded));
        let first = lines[at + 1..end].iter().find(|line| !line.blank());
        let named = first.is_some_and(|line| short_name(line) && capital(line));
        let linking = lines[at + 1..end].iter().any(|line| line.folded.contains("http"));
        let plain =
            first.is_some_and(|line| !line.folded.contains([':', '=', '(', ')', '{', '}']) && digits(line) <= 2);
        if drawn
            && (after || (named && contact()))
            && at > 0
            && (1..=8).contains(&left)
            && short(80)
            && !lines[at + 1..end].iter().any(Line::ends_sentence)
            && (contact() || (left <= 3 && (linking || (named && plain))))
        {
            return Some(at);
        }
    }
    None
}

/// Where the notes below the last words begin, without the blank lines above them: `[1] https://…`, `PS: …`. They are the
/// person's.
fn notes(lines: &[Line<'_>], end: usize) -> usize {
    let added =
        |at: &usize| farewell::postscript(&lines[*at].folded) && at.checked_sub(1).is_some_and(|up| lines[up].blank());
    let mut first = (end.saturating_sub(15)..end).find(added).unwrap_or(end);
    for at in (first.saturating_sub(30)..first).rev() {
        let line = &lines[at].folded;
        if farewell::note(line) {
            first = at;
        } else if !lines[at].blank() && (!line.starts_with("http") || line.contains(' ')) {
            break;
        }
    }
    trimmed(lines, first)
}

/// Whether lines below two dashes hold sentences too long for a signature that are no disclaimer.
fn prose(lines: &[Line<'_>]) -> bool {
    lines.split(Line::blank).any(|block| {
        let long = |line: &Line<'_>| line.folded.len() > 100 && !farewell::linked(&line.folded);
        block.iter().any(long) && {
            let text = block.iter().map(|line| line.folded.as_str()).collect::<Vec<_>>().join(" ");
            !farewell::legal(&text)
        }
    })
}

/// Where a disclaimer begins: a paragraph of it, and nothing but short lines or more of it below.
fn legal(lines: &[Line<'_>], end: usize) -> Option<usize> {
    let mut found = None;
    let mut at = end;
    let mut paragraphs = 0;
    while at > 0 && paragraphs < 6 {
        while at > 0 && lines[at - 1].blank() {
            at -= 1;
        }
        let last = at;
        while at > 0 && !lines[at - 1].blank() && last - at < 30 {
            at -= 1;
        }
        let text = lines[at..last].iter().map(|line| line.folded.as_str()).collect::<Vec<_>>().join(" ");
        if farewell::legal(&text) {
            found = Some(at);
        } else if found.is_some() || text.len() > 200 {
            break;
        }
        if at > 0 && !lines[at - 1].blank() {
            break;
        }
        paragraphs += 1;
    }
    // A greeting above a disclaimer in one paragraph is left to the next rule.
    found
}

/// Where a formal greeting with a name below it begins.
fn closing(lines: &[Line<'_>], end: usize) -> Option<usize> {
    let mut seen = 0;
    // A slogan or a list of links, below an address.
    let mut slogan = None;
    for at in (0..end).rev() {
        let line = &lines[at];
        if line.blank() || line.rule() {
            continue;
        }
        let contacts = |below: &[Line<'_>]| below.iter().filter(|line| farewell::contact(&line.folded)).count();
        if farewell::closing(&line.folded) {
            let name = lines[at + 1..end].iter().find(|line| !line.blank() && !line.rule());
            let named = name.is_none_or(|line| short_name(line) || stopped(line) || farewell::contact(&line.folded));
            let addressed = slogan.is_none_or(|slogan| contacts(&lines[at + 1..slogan]) >= 2);
            return (named && addressed).then_some(at);
        }
        if farewell::thanks(&line.folded) && seen >= 2 && slogan.is_none() {
            let below = &lines[at + 1..end];
            let start = below.iter().position(|line| !line.blank()).map(|first| at + 1 + first)?;
            let name = &lines[start];
            let enough =
                contacts(below) >= 1 && short_name(name) && !name.folded.contains(|c: char| c.is_ascii_digit());
            return enough.then_some(start);
        }
        seen += 1;
        if seen > 12 || line.folded.ends_with('?') {
            return None;
        }
        let long = line.folded.len() > 100 || (line.ends_sentence() && line.folded.split(' ').count() > 5);
        if long && !farewell::linked(&line.folded) {
            if slogan.is_some() || farewell::postscript(&line.folded) {
                return None;
            }
            slogan = Some(at);
        }
    }
    None
}

/// How many digits a line has.
fn digits(line: &Line<'_>) -> usize {
    line.folded.bytes().filter(u8::is_ascii_digit).count()
}

/// Whether a line is a name with a full stop: `Brendan.`
fn stopped(line: &Line<'_>) -> bool {
    line.folded.split(' ').count() <= 3 && line.folded.ends_with('.') && line.folded.len() <= 40 && capital(line)
}

/// Whether a line begins with a capital letter, or with one of a script that has none.
fn capital(line: &Line<'_>) -> bool {
    let first = line.raw.trim_start_matches(['*', ' ', '-', '_']).chars().next();
    first.is_some_and(|c| c.is_alphabetic() && !c.is_lowercase())
}

/// Whether a line can be a person's name, or what such a line adds to it.
fn short_name(line: &Line<'_>) -> bool {
    let text = line.folded.trim_matches(['*', '-', ' ', '_']);
    !text.is_empty()
        && text.split_whitespace().count() <= 6
        && text.len() <= 90
        && !line.ends_sentence()
        && !text.ends_with(':')
}

/// Where the address below the last words begins: a paragraph with a name and at least two lines of contact.
fn address(lines: &[Line<'_>], end: usize) -> Option<usize> {
    let from = lines[..end].iter().rposition(Line::blank).map_or(0, |at| at + 1);
    let block = &lines[from..end];
    if block.len() < 3 || block.len() > 10 || block.iter().any(|line| line.folded.len() > 110 || line.ends_sentence()) {
        return None;
    }
    let introduced =
        lines[..from].iter().rev().find(|line| !line.blank()).is_some_and(|line| line.folded.ends_with(':'));
    let contacts = block.iter().filter(|line| farewell::contact(&line.folded)).count();
    let capital = block[0].raw.trim_start_matches(['*', ' ', '-']).chars().next().is_some_and(char::is_uppercase);
    (!introduced && contacts >= 2 && capital && short_name(&block[0]) && !farewell::contact(&block[0].folded))
        .then_some(from)
}

/// Where a business card of several paragraphs begins: names between bars, numbers, addresses and pictures, and no sentence.
fn card(lines: &[Line<'_>], end: usize) -> Option<usize> {
    let mut found = None;
    let mut contacts = 0;
    let mut last = end;
    for _ in 0..8 {
        let last_filled = trimmed(lines, last);
        let first = lines[..last_filled].iter().rposition(Line::blank).map_or(0, |at| at + 1);
        let block = &lines[first..last_filled];
        let facts = block.iter().filter(|line| farewell::contact(&line.folded) || farewell::fact(&line.folded)).count();
        if block.is_empty()
            || block.len() > 12
            || facts * 2 < block.len()
            || block.iter().any(|line| line.folded.len() > 110 || line.ends_sentence())
        {
            break;
        }
        contacts += block.iter().filter(|line| farewell::contact(&line.folded)).count();
        let top = lines[first].folded.trim_matches(['*', ' ']);
        if top.contains("|") && short_name(&lines[first]) {
            found = Some(first);
            break;
        }
        last = first;
    }
    found.filter(|_| contacts >= 2)
}

/// Where a name behind a dash is the last line: `-Anna Bell`, `— Anna`, `//Anna`. `-Not Yet` and `- Approve` are none.
fn dashed(lines: &[Line<'_>], end: usize) -> Option<usize> {
    let at = end.checked_sub(1)?;
    let raw = super::fold::head(&lines[at].raw, 120).trim();
    let name = raw.trim_start_matches(['-', '\u{2013}', '\u{2014}', '/', '~']);
    let marks = raw.len() - name.len();
    let is_list = |line: &Line<'_>| line.folded.starts_with(['-', '/', '~', '*']);
    let alone = !lines[..at].iter().rev().take(12).any(is_list);
    let words: Vec<&str> = name.split_whitespace().collect();
    let named = words.iter().all(|word| {
        word.chars().next().is_some_and(char::is_uppercase)
            && word.chars().all(|c| c.is_alphabetic() || matches!(c, '.' | '\'' | '-' | '’'))
            && word.chars().any(char::is_lowercase)
    });
    let above = at.checked_sub(1).map(|above| &lines[above]);
    let apart = above.is_some_and(|line| line.blank() || line.ends_sentence());
    let says =
        super::decide::limits(name) || super::decide::decide(&[name.to_owned()]) != super::decide::Deciding::None;
    (marks > 0 && raw.len() <= 48 && (1..=3).contains(&words.len()) && named && alone && apart && !says).then_some(at)
}
