//! Text for Slack. What comes from outside (agents, files, people's titles) is data, never markup: it cannot mention
//! anybody, link anywhere, format itself, break out of a code block, hide letters or show a secret.
//!
//! Lengths are counted in UTF-16 units, as Slack's own clients do: never less than characters.

use bus_schemas::time::UnixMs;

use crate::words::secrets::redact;
pub use crate::words::{names::utc, secrets::hide};

/// Of a text that is shown in so many characters, twice as many and these are looked at: a secret that begins in what is
/// shown is seen as one, and a text of megabytes costs no more than a short one.
const BEYOND: usize = 2_048;
/// Keeps `@name` from being read as a mention, and is not seen.
const JOINER: &str = "\u{2060}";
/// What stands where something was cut.
const CUT: &str = "…";
/// Names that Slack reads as everybody.
const EVERYBODY: [&str; 4] = ["here", "channel", "everyone", "group"];
/// How text begins that programs make clickable.
const SCHEMES: [&str; 5] = ["www.", "mailto:", "tel:", "javascript:", "slack:"];

/// The length of a text as Slack counts it.
#[must_use]
pub fn length(text: &str) -> usize {
    text.encode_utf16().count()
}

/// `&`, `<` and `>` as Slack wants them where they are no markup.
#[must_use]
pub fn escape(text: &str) -> String {
    text.chars().map(|c| escaped(c).map_or_else(|| c.to_string(), str::to_owned)).collect()
}

const fn escaped(c: char) -> Option<&'static str> {
    match c {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        _ => None,
    }
}

/// One line for a `plain_text` object: a header, a button, an option.
#[must_use]
pub fn plain(text: &str, max: usize) -> String {
    let line = one_line(text, max);
    fit(&mentions(&line, false), max)
}

/// One line of prose for `mrkdwn`.
#[must_use]
pub fn line(text: &str, max: usize) -> String {
    fit(&prose(&one_line(text, max)), max)
}

/// One line as code: paths, commands, hosts, keys, digests.
#[must_use]
pub fn code(text: &str, max: usize) -> String {
    let line = one_line(text, max).replace('`', "'");
    let line = if line.is_empty() { "?" } else { &line };
    format!("`{}`", fit(&mentions(line, true), max.saturating_sub(2)))
}

/// Somebody's own words, as a quotation: every line is marked, so none can pass for ours.
#[must_use]
pub fn quote(text: &str, max: usize) -> String {
    let mut pieces = Vec::new();
    let mut fenced = false;
    for line in paragraphs(text, max).lines() {
        if line.trim_start().starts_with("```") && !line.trim_start().trim_start_matches('`').contains('`') {
            fenced = !fenced;
            continue;
        }
        if !pieces.is_empty() {
            pieces.push("\n".to_owned());
        }
        pieces.push("&gt; ".to_owned());
        if fenced && !line.trim().is_empty() {
            pieces.push("`".to_owned());
            pieces.extend(mentions(&line.replace('`', "'"), true));
            pieces.push("`".to_owned());
        } else {
            pieces.extend(prose(line));
        }
    }
    fit(&pieces, max)
}

/// Lines of a program's output or of a drawing, in a block that they cannot end.
#[must_use]
pub fn fence(text: &str, max: usize) -> String {
    const MARKS: &str = "```";
    let body = paragraphs(text, max).replace('`', "'");
    let room = max.saturating_sub(2 * MARKS.len() + 2);
    format!("{MARKS}\n{}\n{MARKS}", fit(&mentions(&body, true), room))
}

/// An instant that every reader sees in their own time zone. The only markup with angle brackets that cards carry.
#[must_use]
pub fn date(at: UnixMs) -> String {
    token(at, "{date_short_pretty} at {time}")
}

/// How long ago something was, or in how long it will be; the reader's program keeps it up to date.
#[must_use]
pub fn ago(at: UnixMs) -> String {
    token(at, "{ago}")
}

fn token(at: UnixMs, shape: &str) -> String {
    let seconds = at.0.div_euclid(1000).max(0);
    format!("<!date^{seconds}^{shape}|{}>", utc(at))
}

/// A mention that notifies somebody: for our own words, of an id that Slack gave. Nothing for what is no such id.
#[must_use]
pub fn mention(slack_id: &str) -> Option<String> {
    let sound = slack_id.len() <= 32
        && slack_id.starts_with(['U', 'W'])
        && slack_id.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    sound.then(|| format!("<@{slack_id}>"))
}

/// Text that nobody parses, as the beginning of what somebody writes in a field: only cleaned and cut.
#[must_use]
pub fn raw(text: &str, max: usize) -> String {
    let pieces: Vec<String> = paragraphs(text, max).chars().map(String::from).collect();
    fit(&pieces, max)
}

/// Lines joined, as many as fit; the last one says how many do not. `total` counts those that were not even made.
#[must_use]
pub fn list(lines: &[String], total: usize, max: usize) -> String {
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        let more = format!("… and {} more", total.max(lines.len()) - number);
        let last = number + 1 == lines.len() && total <= lines.len();
        let reserve = if last { 0 } else { length(&more) + 1 };
        if length(&text) + length(line) + 1 + reserve > max {
            return join(text, &more);
        }
        text = join(text, line);
    }
    if total > lines.len() { join(text, &format!("… and {} more", total - lines.len())) } else { text }
}

fn join(mut text: String, line: &str) -> String {
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(line);
    text
}

/// Without what steers, hides or turns letters round: control and bidirectional characters, zero-width ones (but for
/// those that join letters and emoji), tags. Line ends are `\n`.
fn clean(text: &str, max: usize) -> String {
    text.chars()
        .take(2 * max + BEYOND)
        .filter_map(|c| match c {
            '\n' | '\u{2028}' | '\u{2029}' => Some('\n'),
            '\t' => Some(' '),
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{feff}' => None,
            '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fff9}'..='\u{fffb}' => None,
            '\u{e0000}'..='\u{e0fff}' => None,
            c if c.is_control() => None,
            c => Some(c),
        })
        .collect()
}

fn paragraphs(text: &str, max: usize) -> String {
    redact(&clean(text, max)).trim_matches('\n').trim_end().to_owned()
}

fn one_line(text: &str, max: usize) -> String {
    redact(&clean(text, max)).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Escaped pieces of text in which no name is a mention; in code only the names of everybody are touched.
fn mentions(text: &str, in_code: bool) -> Vec<String> {
    let mut pieces = Vec::with_capacity(text.len());
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        let after = text.get(at + c.len_utf8()..).unwrap_or_default();
        let named = after.starts_with(|c: char| c.is_alphanumeric()) && !before.is_alphanumeric();
        let everybody = EVERYBODY.iter().any(|name| begins(after, name));
        if c == '@' && (everybody || (named && !in_code)) {
            pieces.push(format!("@{JOINER}"));
        } else {
            pieces.push(escaped(c).map_or_else(|| c.to_string(), str::to_owned));
        }
        before = c;
    }
    pieces
}

fn begins(text: &str, word: &str) -> bool {
    text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

/// One line of prose as escaped pieces: nothing in it formats, links or mentions; what stands between two backticks
/// stays code.
fn prose(line: &str) -> Vec<String> {
    let trimmed = line.trim_start();
    let (lead, rest) = match trimmed.strip_prefix("* ").or_else(|| trimmed.strip_prefix("- ")) {
        Some(item) => ("• ", item),
        None => ("", line),
    };
    let mut pieces: Vec<String> = if lead.is_empty() { Vec::new() } else { vec![lead.to_owned()] };
    let balanced = rest.matches('`').count() % 2 == 0;
    let flat = if balanced { rest.to_owned() } else { rest.replace('`', "'") };
    for (number, part) in flat.split('`').enumerate() {
        if part.is_empty() {
            continue;
        }
        if number % 2 == 1 {
            as_code(&mut pieces, part);
            continue;
        }
        for word in part.split_inclusive(' ') {
            let bare = word.trim_end_matches(' ');
            if is_link(bare) {
                as_code(&mut pieces, bare);
                pieces.extend(word.get(bare.len()..).map(str::to_owned));
            } else {
                pieces.extend(mentions(&without_marks(word), false));
            }
        }
    }
    pieces
}

fn as_code(pieces: &mut Vec<String>, text: &str) {
    pieces.push("`".to_owned());
    pieces.extend(mentions(text, true));
    pieces.push("`".to_owned());
}

fn is_link(word: &str) -> bool {
    let bare = word.trim_start_matches(|c: char| !c.is_alphanumeric());
    word.contains("://") || SCHEMES.iter().any(|scheme| begins(bare, scheme))
}

/// Marks of bold, italic and struck text as letters that look like them.
fn without_marks(word: &str) -> String {
    let chars: Vec<char> = word.chars().collect();
    let alike = |at: Option<usize>| at.and_then(|at| chars.get(at)).is_some_and(|c| c.is_alphanumeric() || *c == '_');
    chars
        .iter()
        .enumerate()
        .map(|(at, c)| match c {
            '*' => '∗',
            '~' => '∼',
            '_' if !(alike(at.checked_sub(1)) && alike(Some(at + 1))) => 'ˍ',
            c => *c,
        })
        .collect()
}

/// The pieces joined, cut with "…" between two of them if they are too long. A piece that is one backtick opens or
/// closes code, which is closed before the end.
fn fit(pieces: &[String], max: usize) -> String {
    let whole: usize = pieces.iter().map(|piece| length(piece)).sum();
    if whole <= max {
        return pieces.concat();
    }
    let (mut text, mut used, mut open) = (String::new(), 0, false);
    for piece in pieces {
        let long = length(piece);
        if used + long + length(CUT) + 1 > max {
            break;
        }
        if piece == "`" {
            open = !open;
        }
        used += long;
        text.push_str(piece);
    }
    // Nothing stands in a code that was just opened: take it back.
    if open && text.ends_with('`') {
        text.pop();
        open = false;
    }
    text.push_str(if max == 0 { "" } else { CUT });
    if open {
        text.push('`');
    }
    text
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
