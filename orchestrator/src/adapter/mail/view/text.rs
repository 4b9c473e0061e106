//! Text for mails. What comes from outside (agents, files, people's titles) is data: it hides nothing, shows no secret, is no
//! link of ours and cannot pass for our own words. What comes out of here is plain text; the templates escape it.
//!
//! What stands between two backticks is drawn as code.

use bus_schemas::time::UnixMs;

use crate::words::{
    names::{utc, without_colours},
    secrets::redact,
};

/// Of a text that is shown in so many characters, twice as many and these are looked at: a secret that begins in what is
/// shown is seen as one, and a text of megabytes costs no more than a short one.
const BEYOND: usize = 2_048;
/// Lines of somebody's own words.
const LINES: usize = 40;
/// How text begins that programs make clickable, and where it is broken.
const SCHEMES: [(&str, &str); 6] = [
    ("www.", "www[.]"),
    ("mailto:", "mailto[:]"),
    ("tel:", "tel[:]"),
    ("javascript:", "javascript[:]"),
    ("data:", "data[:]"),
    ("sms:", "sms[:]"),
];

/// One line of prose.
#[must_use]
pub fn line(text: &str, max: usize) -> String {
    let line = cut(&one_line(text, max), max, None);
    if line.matches('`').count().is_multiple_of(2) { line } else { line.replace('`', "'") }
}

/// One line without any marks: a subject, a title.
#[must_use]
pub fn plain(text: &str, max: usize) -> String {
    cut(&one_line(text, max).replace('`', "'"), max, None)
}

/// One line as code: paths, commands, hosts, keys, digests.
#[must_use]
pub fn code(text: &str, max: usize) -> String {
    let line = plain(text, max.saturating_sub(2));
    format!("`{}`", if line.is_empty() { "?" } else { &line })
}

/// Somebody's own words, line by line: the templates mark every line, so none can pass for ours.
#[must_use]
pub fn quote(text: &str, max: usize) -> Vec<String> {
    let whole = paragraphs(text, max);
    let left = text.chars().count().saturating_sub(max);
    let cut = cut(&whole, max, Some(left));
    let lines: Vec<&str> = cut.lines().filter(|line| !line.trim_start().starts_with("```")).collect();
    let mut kept: Vec<String> = Vec::with_capacity(lines.len().min(LINES));
    for line in lines.iter().take(LINES) {
        let blank = line.trim().is_empty();
        if !(blank && kept.last().is_none_or(|last| last.is_empty())) {
            let odd = line.matches('`').count() % 2 == 1;
            kept.push(if odd { line.replace('`', "'") } else { line.trim_end().to_owned() });
        }
    }
    if lines.len() > LINES {
        kept.push(format!("… (cut here: {} more lines)", lines.len() - LINES));
    }
    kept
}

/// One line as it is, its spaces and addresses kept: a line of a difference, for pages. Browsers make nothing a link.
#[must_use]
pub fn row(text: &str, max: usize) -> String {
    cut(&clean(text, max), max, None)
}

/// Lines of a program's output or of a drawing.
#[must_use]
pub fn block(text: &str, max: usize) -> String {
    let left = text.chars().count().saturating_sub(max);
    cut(&paragraphs(&without_colours(text), max), max, Some(left))
}

/// An instant, and how long ago it was or in how long it will be.
#[must_use]
pub fn when(at: UnixMs, now: UnixMs) -> String {
    format!("{} ({})", utc(at), distance(at, now))
}

/// How long ago something was, or in how long it will be.
#[must_use]
pub fn distance(at: UnixMs, now: UnixMs) -> String {
    if at.0 > now.0 { format!("in {}", about(at.since(now))) } else { format!("{} ago", about(now.since(at))) }
}

/// `5 min`, `2 h`, `2 h 10 min`, `4 d 3 h`: nobody counts seconds in a mail.
fn about(ms: u64) -> String {
    let minutes = ms / 60_000;
    let (large, small, units) = match minutes {
        0 => return "a moment".to_owned(),
        1..60 => return format!("{minutes} min"),
        60..1440 => (minutes / 60, minutes % 60, ["h", "min"]),
        _ => (minutes / 1440, minutes % 1440 / 60, ["d", "h"]),
    };
    let [one, other] = units;
    if small == 0 { format!("{large} {one}") } else { format!("{large} {one} {small} {other}") }
}

/// Cut to so many characters, with a note that says so; `left` is how many are missing beside those cut here.
fn cut(text: &str, max: usize, left: Option<usize>) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let note =
        left.map_or_else(|| "…".to_owned(), |left| format!("…\n(cut here: about {} more characters)", left.max(1)));
    let room = max.saturating_sub(note.chars().count());
    let head: String = text.chars().take(room).collect();
    format!("{}{note}", head.trim_end())
}

fn paragraphs(text: &str, max: usize) -> String {
    unlinked(&clean(text, max)).trim_matches('\n').trim_end().to_owned()
}

fn one_line(text: &str, max: usize) -> String {
    unlinked(&clean(text, max).split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Without secrets, and with everything visible that steers, hides or turns letters round.
fn clean(text: &str, max: usize) -> String {
    let chars: Vec<char> = text.chars().take(2 * max + BEYOND).collect();
    // A secret that is cut up by letters nobody sees is one nevertheless.
    let bare: String = chars.iter().filter(|c| is_ordinary(**c)).collect();
    let safe = redact(&bare);
    if safe != bare {
        return safe.replace('\t', "    ");
    }
    let mut seen = String::with_capacity(bare.len());
    for (at, c) in chars.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| chars.get(at)).copied().unwrap_or(' ');
        let after = chars.get(at + 1).copied().unwrap_or(' ');
        match *c {
            '\r' if after == '\n' => {}
            '\r' | '\u{2028}' | '\u{2029}' => seen.push('\n'),
            '\t' => seen.push_str("    "),
            // They join letters of some scripts and emoji, or choose an emoji's form.
            '\u{200c}' | '\u{200d}' if !before.is_ascii() && !after.is_ascii() => seen.push(*c),
            '\u{fe0f}' if !before.is_ascii() || before.is_ascii_digit() || matches!(before, '#' | '*') => seen.push(*c),
            c if is_ordinary(c) => seen.push(c),
            c => seen.push_str(&format!("[U+{:04X}]", u32::from(c))),
        }
    }
    seen
}

/// Letters that are seen as what they are, and line ends.
fn is_ordinary(c: char) -> bool {
    match c {
        '\n' | '\t' => true,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' => false,
        '\u{180b}'..='\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' => false,
        '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' => false,
        '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}' => false,
        c => !c.is_control(),
    }
}

/// With every address broken visibly, so that no program makes it a link.
fn unlinked(text: &str) -> String {
    let mut whole = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = ' ';
    while let Some(c) = rest.chars().next() {
        let broken = if rest.starts_with("://") {
            Some(("://", "[:]//"))
        } else if before.is_alphanumeric() {
            None
        } else {
            SCHEMES.into_iter().find(|(scheme, _)| begins(rest, scheme))
        };
        match broken {
            Some((scheme, shown)) => {
                // As it was written, but for the sign that makes it a link.
                let kept = rest.get(..scheme.len()).unwrap_or_default();
                match kept.strip_suffix([':', '.']) {
                    Some(name) => whole.push_str(&format!("{name}{}", shown.get(name.len()..).unwrap_or_default())),
                    None => whole.push_str(shown),
                }
                rest = rest.get(scheme.len()..).unwrap_or_default();
                before = '/';
            }
            None => {
                whole.push(c);
                rest = rest.get(c.len_utf8()..).unwrap_or_default();
                before = c;
            }
        }
    }
    whole
}

fn begins(text: &str, word: &str) -> bool {
    text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hides_is_seen() {
        assert_eq!(line("a\u{202e}b\u{200b}c\u{7}d", 80), "a[U+202E]b[U+200B]c[U+0007]d");
        assert_eq!(line("x\r\ny\u{2028}z\tw", 80), "x y z w");
        // A family and a Persian word stay whole.
        assert_eq!(
            line("👩\u{200d}👧 می\u{200c}خواهم ✔\u{fe0f} 1\u{fe0f}", 80),
            "👩\u{200d}👧 می\u{200c}خواهم ✔\u{fe0f} 1\u{fe0f}"
        );
        assert_eq!(line("a\u{200d}b\u{fe0f}", 80), "a[U+200D]b[U+FE0F]");
    }

    #[test]
    fn no_address_is_a_link() {
        assert_eq!(
            line("see HTTPS://evil.example/x, www.evil.example", 80),
            "see HTTPS[:]//evil.example/x, www[.]evil.example"
        );
        assert_eq!(code("Mailto:a@b.example?x=data:1", 80), "`Mailto[:]a@b.example?x=data[:]1`");
        assert_eq!(line("metadata: www is a hostel: fine", 80), "metadata: www is a hostel: fine");
    }

    #[test]
    fn secrets_are_withheld_even_if_cut_up() {
        let key = concat!("sk-ant-", "api03-abcdefghijkl0123");
        assert_eq!(line(key, 80), "[withheld]");
        assert_eq!(line(&key.replace("ant", "a\u{200b}nt"), 80), "[withheld]");
        assert_eq!(quote(&format!("a\n{key}\nb"), 80), ["a", "[withheld]", "b"]);
    }

    #[test]
    fn what_is_cut_says_so() {
        assert_eq!(line(&"a".repeat(50), 10), "aaaaaaaaa…");
        let said = quote(&"word ".repeat(100), 100);
        assert!(said.last().is_some_and(|last| last == "(cut here: about 400 more characters)"), "{said:?}");
        let lines = quote(&"x\n".repeat(60), 1000);
        assert_eq!((lines.len(), lines.last().map(String::as_str)), (41, Some("… (cut here: 20 more lines)")));
        assert_eq!(block("\u{1b}[31mred\u{1b}[0m\n", 100), "red");
    }

    #[test]
    fn distances_are_read_at_a_glance() {
        let of = |ms: i64| distance(UnixMs(1_000_000_000 + ms), UnixMs(1_000_000_000));
        assert_eq!([of(0), of(-90_000), of(7_200_000)], ["a moment ago", "1 min ago", "in 2 h"]);
        assert_eq!([of(7_800_000), of(-356_400_000)], ["in 2 h 10 min", "4 d 3 h ago"]);
    }

    #[test]
    fn marks_of_code_are_ours() {
        assert_eq!(code("a`b", 80), "`a'b`");
        assert_eq!(line("one ` alone", 80), "one ' alone");
        assert_eq!(line("`ok`", 80), "`ok`");
        assert_eq!(quote("```sh\nls `x\n```", 80), ["ls 'x"]);
    }
}
