//! Cuts lines into fragments.

use super::line::{Hint, Line};
use super::marker::{self, Mark};
use super::meter::tick;
use super::signature::{self, Part};
use super::{Fragment, Kind, Reply};
use super::{armor, cut, fray};

/// The most lines of a quoted paragraph that lost their marks.
const LEFT_OVER: usize = 10;

/// Understands the lines of a mail.
pub(super) fn split(lines: &[Line<'_>]) -> Reply {
    let pieces = fray::pieces(lines);
    let mut kinds = kinds(lines, 0, &pieces);
    // A heading on top, no mark below, and nothing new but a greeting: an answer written below it, or an empty one. The words
    // are shown, but they decide nothing.
    let count =
        |kinds: &[Kind]| lines.iter().zip(kinds).filter(|(line, kind)| **kind == Kind::New && !line.blank()).count();
    let mut unsure = false;
    if !kinds.contains(&Kind::Forwarded) && (count(&kinds) == 0 || greeted(lines, &kinds)) {
        let headed = kinds.iter().position(|kind| *kind == Kind::Attribution);
        let from = headed.map(|at| at + kinds[at..].iter().take_while(|kind| **kind == Kind::Attribution).count());
        if let Some(from) = from.filter(|from| marker::is_attribution(lines, headed, *from)) {
            let mut other = self::kinds(lines, from, &pieces);
            other[..from].copy_from_slice(&kinds[..from]);
            // Outlook for Mac quotes by indenting.
            let indented = lines[from..].iter().all(|line| line.blank() || line.raw.starts_with("    "));
            if indented {
                other.clone_from(&kinds);
            }
            if count(&other) > count(&kinds) {
                (kinds, unsure) = (other, true);
            }
        }
    }
    unsure |= squeezed(lines, &kinds);
    armor::take_off(lines, &mut kinds);
    sign(lines, &mut kinds);
    banner(lines, &mut kinds);
    Reply { fragments: fragments(lines, &kinds), unsure }
}

/// Whether one line is new, and that is a greeting.
fn greeted(lines: &[Line<'_>], kinds: &[Kind]) -> bool {
    let mut own = lines.iter().zip(kinds).filter(|(line, kind)| **kind == Kind::New && !line.blank());
    own.next().is_some_and(|(line, _)| super::decide::greets(&line.folded)) && own.next().is_none()
}

/// What each line from one on is, without signatures and footers. `pieces` are those of quoted lines.
fn kinds(lines: &[Line<'_>], from: usize, pieces: &[bool]) -> Vec<Kind> {
    let mut kinds = vec![Kind::New; lines.len()];
    let mut at = from;
    let mut quoting = Kind::Quoted;
    let mut own = false;
    let mut piped = false;
    while at < lines.len() {
        tick(1);
        let line = &lines[at];
        if line.hint == Hint::Signature && line.depth == 0 {
            kinds[at] = Kind::Signature;
            at += 1;
        } else if line.depth > 0 {
            kinds[at] = if mangled(lines, at) { Kind::New } else { quoting };
            at += 1;
        } else if (piped && pipe(line)) || (pieces[at] && !left_over(lines, at)) {
            kinds[at] = quoting;
            at += 1;
        } else if let Some(mark) = marker::at(lines, at).filter(|_| !pieces[at]) {
            let (end, kind, rest) = absorb(lines, mark, mark.block && own);
            kinds[at..end].fill(if kind == Kind::Forwarded { kind } else { Kind::Attribution });
            if rest {
                kinds[end..].fill(kind);
                break;
            }
            quoting = kind;
            piped |= end < lines.len() && pipe(&lines[end]);
            at = end;
        } else if cited(lines, at) {
            kinds[at] = quoting;
            at += 1;
        } else if left_over(lines, at) {
            while lines.get(at).is_some_and(|line| line.free() && !line.blank()) {
                kinds[at] = quoting;
                at += 1;
            }
        } else {
            if !line.blank() {
                quoting = Kind::Quoted;
                own = true;
            }
            at += 1;
        }
    }
    kinds
}

/// Takes what a mail server put above a mail from outside out of the person's words.
fn banner(lines: &[Line<'_>], kinds: &mut [Kind]) {
    let Some(from) = lines.iter().position(|line| !line.blank()) else { return };
    let length = lines[from..].iter().take_while(|line| !line.blank() && line.depth == 0).count();
    let text = lines[from..from + length].iter().map(|line| line.folded.as_str()).collect::<Vec<_>>().join(" ");
    let more = kinds[from + length..].iter().zip(&lines[from + length..]);
    if kinds[from] == Kind::New
        && more.into_iter().any(|(kind, line)| *kind == Kind::New && !line.blank())
        && super::farewell::external(&text)
    {
        kinds[from..from + length].fill(Kind::Footer);
    }
}

/// Takes the marks that follow each other; says where they end, what follows, and whether that is all the rest. Below own
/// words, a block of headers quotes what follows as it is: with `whole`, marks below the next heading are of an older mail.
fn absorb(lines: &[Line<'_>], first: Mark, whole: bool) -> (usize, Kind, bool) {
    let mut mark = first;
    let kind = if first.kind == marker::Kind::Forwarded { Kind::Forwarded } else { Kind::Quoted };
    loop {
        let next = (mark.end..lines.len()).find(|at| !lines[*at].blank());
        tick(1);
        let Some(next) = next else { return (mark.end, kind, mark.all || kind == Kind::Forwarded) };
        if mark.all {
            return (mark.end, kind, true);
        }
        // Some people quote with bars.
        if pipe(&lines[next]) && lines.get(next + 1).is_some_and(pipe) && !mark.block {
            return (next, kind, false);
        }
        if lines[next].depth > 0 {
            return (next, kind, whole && mark != first && !mark.block);
        }
        let marked = || lines[next + 1..].iter().find(|line| !line.blank()).is_some_and(|line| line.depth > 0);
        match marker::at(lines, next) {
            Some(more) => mark = more,
            // What was cut out of the quote is told without a mark.
            None if cut::snipped(&lines[next].folded) && marked() => return (next + 1, kind, false),
            None => return (mark.end, kind, true),
        }
    }
}

/// Whether a `>` was only put before a line that begins with "From", as mailboxes do.
fn mangled(lines: &[Line<'_>], at: usize) -> bool {
    let alone = |other: Option<&Line<'_>>| other.is_none_or(|line| line.depth == 0);
    lines[at].raw.starts_with(">From ")
        && lines[at].depth == 1
        && lines[at].hint == Hint::None
        && alone(lines.get(at + 1))
        && alone(at.checked_sub(1).and_then(|before| lines.get(before)))
}

/// Whether a line begins with a bar and does not end with one, as tables do.
fn pipe(line: &Line<'_>) -> bool {
    line.free() && line.raw.starts_with('|') && (line.raw.len() == 1 || !line.raw.trim_end().ends_with('|'))
}

/// Whether a line is quoted with its author's name or initials or a colon, like the one before or after it: `AB> words`, `: words`.
fn cited(lines: &[Line<'_>], at: usize) -> bool {
    let initials = |at: usize| {
        let raw = super::fold::head(lines.get(at)?.raw.trim_start(), 16);
        if raw.starts_with(": ") {
            return Some(":");
        }
        let (name, _) = raw.split_once('>')?;
        let initials = !name.is_empty() && name.len() <= 3 && name.bytes().all(|byte| byte.is_ascii_uppercase());
        // `Anna> words`; prompts are small.
        let named = name.len() >= 3
            && name.chars().all(char::is_alphabetic)
            && name.chars().next().is_some_and(char::is_uppercase)
            && name.chars().skip(1).all(char::is_lowercase);
        (initials || named).then_some(name)
    };
    let Some(name) = initials(at) else { return false };
    at.checked_sub(1).and_then(initials) == Some(name) || initials(at + 1) == Some(name)
}

/// Whether the first new line stands between two quoted ones like a piece of them: then it may be one that lost its mark.
fn squeezed(lines: &[Line<'_>], kinds: &[Kind]) -> bool {
    let Some(first) = kinds.iter().zip(lines).position(|(kind, line)| *kind == Kind::New && !line.blank()) else {
        return false;
    };
    let marked = |at: usize| lines.get(at).filter(|line| line.depth > 0 && line.hint == Hint::None);
    let above = first.checked_sub(1).and_then(marked);
    let below = (first + 1..first + 3).find(|at| lines.get(*at).is_none_or(|line| !line.free() || line.blank()));
    above.is_some_and(|line| line.raw.chars().count() >= 50 && !line.ends_sentence() && !line.folded.ends_with(':'))
        && below.and_then(marked).is_some()
}

/// Whether a line is the end of a quoted one that was wrapped without a new mark.
fn left_over(lines: &[Line<'_>], at: usize) -> bool {
    let line = &lines[at];
    let Some(before) = at.checked_sub(1).and_then(|before| lines.get(before)) else { return false };
    let marked = |line: &Line<'_>| line.depth > 0 && line.hint == Hint::None;
    if line.blank() || !line.free() || !marked(before) {
        return false;
    }
    // The rest of a link that was broken.
    let link = line.folded.starts_with("(http")
        || line.folded.starts_with("<http")
        || (unclosed(&before.raw) && !line.folded.contains(' ') && line.folded.ends_with([')', '>']));
    if link && lines.get(at + 1).is_some_and(marked) {
        return true;
    }
    let open = !before.ends_sentence() && !before.folded.ends_with(':');
    let width = before.raw.chars().count();
    if width < 66 || !open {
        let next = lines.get(at + 1);
        let verb = line.folded.ends_with(':') && line.folded.split(' ').count() <= 3;
        return verb && next.is_some_and(marked) && super::words::wrote(&line.folded);
    }
    // How many lines lost their mark; the next marked one follows directly.
    let run = lines[at..].iter().take(LEFT_OVER + 1).take_while(|line| line.free() && !line.blank()).count();
    let Some(after) = lines.get(at + run).filter(|after| run <= LEFT_OVER && marked(after)) else { return false };
    let last = &lines[at + run - 1];
    let small = line.raw.chars().next().is_some_and(|c| c.is_lowercase() || c == '<' || c == '(');
    // The sentence runs from the line above through these to the one below.
    let goes_on = starts_small(after) && !last.ends_sentence() && !last.folded.ends_with(':');
    let likely = if run == 1 {
        (small && line.folded.len() < 48 && !line.folded.ends_with('?')) || (small && width >= 76) || goes_on
    } else {
        width >= 76 && (small || goes_on) && lines[at..at + run - 1].iter().all(|line| line.raw.chars().count() >= 40)
    };
    // What decides is never thrown away; it is asked about.
    likely && super::decide::decide(&[super::fold::visible(&line.raw)]) == super::Deciding::None
}

/// Whether a link in brackets begins on a line and does not end on it.
fn unclosed(raw: &str) -> bool {
    let end = raw.len().saturating_sub(400);
    let end = (end..raw.len()).find(|at| raw.is_char_boundary(*at)).map_or("", |at| &raw[at..]);
    ["(http", "<http"].iter().any(|open| end.rfind(open).is_some_and(|at| !end[at..].contains([')', '>', ' '])))
}

/// Whether the text behind a line's marks begins with a small letter.
fn starts_small(line: &Line<'_>) -> bool {
    super::fold::quoted(&line.raw).1.chars().next().is_some_and(char::is_lowercase)
}

/// Separates signatures and footers from what is new.
fn sign(lines: &[Line<'_>], kinds: &mut [Kind]) {
    let mut runs = Vec::new();
    let mut from = 0;
    while from < kinds.len() {
        let kind = kinds[from];
        let end = kinds[from..].iter().position(|other| *other != kind).map_or(kinds.len(), |length| from + length);
        if kind == Kind::New && lines[from..end].iter().any(|line| !line.blank()) {
            runs.push(from..end);
        }
        from = end;
    }
    let count = runs.len();
    for (at, run) in runs.into_iter().enumerate() {
        // Nobody signs between two quotes and says nothing there.
        let more = count > 1 && (run.start == 0 || at + 1 == count);
        let parts = signature::parts(&lines[run.clone()], more);
        for (kind, part) in kinds[run].iter_mut().zip(parts) {
            match part {
                Part::Own => {}
                Part::Signature => *kind = Kind::Signature,
                Part::Footer => *kind = Kind::Footer,
            }
        }
    }
}

/// Joins lines of one kind; blank lines belong to what is above them.
fn fragments(lines: &[Line<'_>], kinds: &[Kind]) -> Vec<Fragment> {
    let mut all: Vec<Fragment> = Vec::new();
    let mut blanks = 0;
    for (at, (line, kind)) in lines.iter().zip(kinds).enumerate() {
        if line.folded.is_empty() && (line.depth == 0 || line.hint == Hint::Quote) {
            blanks += 1;
            continue;
        }
        let raw = line.raw.trim_end();
        match all.last_mut() {
            Some(last) if last.kind == *kind => {
                last.text.extend(std::iter::repeat_n('\n', blanks + 1));
                last.text.push_str(raw);
                last.lines.end = at + 1;
            }
            before => {
                if let Some(last) = before {
                    last.lines.end = at;
                }
                let from = all.last().map_or(0, |last| last.lines.end);
                all.push(Fragment { kind: *kind, text: raw.to_owned(), lines: from..at + 1 });
            }
        }
        blanks = 0;
    }
    if let Some(last) = all.last_mut() {
        last.lines.end = lines.len();
    }
    all
}
