//! Quoted paragraphs that were wrapped on their way, without a mark on the lines that this made.
//!
//! ```text
//! > The old names stay where they are, and nobody has to change anything that
//! was written before. The new ones come with the next step.
//! ```
//!
//! One such line proves nothing: people write directly below what they answer, too. But a program wraps everything at
//! the same width. Where most of the places at which a marked line meets one without a mark agree on a width (the line
//! above ends before it, and the first word below would not have fitted), they were made by a program.

use super::decide::{Deciding, decide};
use super::fold::{visible, when};
use super::line::{Hint, Line};
use super::meter::tick;
use super::{Kind, Reply};

/// The widths at which programs wrap.
const WIDTHS: std::ops::RangeInclusive<usize> = 60..=130;
/// The most lines that one quoted line became.
const LONGEST: usize = 40;

/// The lines that are pieces of quoted ones.
pub(super) fn pieces(lines: &[Line<'_>]) -> Vec<bool> {
    let mut found = vec![false; lines.len()];
    let seams: Vec<usize> = (0..lines.len().saturating_sub(1)).filter(|at| seam(lines, *at)).collect();
    tick(lines.len());
    let Some(width) = width(lines, &seams) else { return found };
    for at in seams.into_iter().filter(|at| full(lines, *at, width)) {
        let mut next = at + 1;
        while next < lines.len() && next - at <= LONGEST && plain(&lines[next]) {
            if decide(&[visible(&lines[next].raw)]) != Deciding::None {
                break;
            }
            found[next] = true;
            if !full(lines, next, width) {
                break;
            }
            next += 1;
        }
    }
    found
}

/// Whether a line is marked, has words, and one without a mark follows it directly.
pub(super) fn seam(lines: &[Line<'_>], at: usize) -> bool {
    let line = &lines[at];
    let Some(next) = lines.get(at + 1) else { return false };
    line.depth > 0
        && line.hint == Hint::None
        && !line.folded.is_empty()
        && plain(next)
        && !(next.opens && next.folded.ends_with(':') && when(&next.folded).date)
}

/// Whether a line is text without a mark.
fn plain(line: &Line<'_>) -> bool {
    line.depth == 0 && line.hint == Hint::None && !line.blank() && !line.rule()
}

/// How long a line is, and how long it would be with the first word of the next one.
fn fill(lines: &[Line<'_>], at: usize) -> (usize, usize) {
    let length = lines[at].raw.trim_end().chars().take(400).count();
    let word = lines.get(at + 1).and_then(|next| next.raw.split_whitespace().next()).unwrap_or_default();
    (length, length + 1 + word.chars().take(400).count())
}

/// Whether a line was wrapped at a width: it fits, and no word more would have.
fn full(lines: &[Line<'_>], at: usize, width: usize) -> bool {
    let (length, with) = fill(lines, at);
    length <= width && width < with
}

/// The width at which most seams were wrapped, if they were.
fn width(lines: &[Line<'_>], seams: &[usize]) -> Option<usize> {
    let mut best = (0, 0);
    if seams.len() < 2 {
        return None;
    }
    let fills: Vec<(usize, usize)> = seams.iter().map(|at| fill(lines, *at)).collect();
    for width in WIDTHS {
        let fitting = fills.iter().filter(|(length, with)| *length <= width && width < *with).count();
        if fitting > best.0 {
            best = (fitting, width);
        }
    }
    tick(seams.len());
    let (fitting, width) = best;
    let wrapped = || seams.iter().copied().filter(|at| full(lines, *at, width));
    let small = wrapped().filter(|at| small(&lines[*at + 1])).count();
    let sure = fitting >= 3 && fitting * 3 >= seams.len() * 2 && small * 2 > fitting;
    // Two are enough where the marks go on directly.
    let inside = |at: usize| lines.get(at + 2).is_some_and(|line| line.depth > 0 && line.hint == Hint::None);
    let likely = fitting == 2 && seams.len() == 2 && small == 2 && width >= 66 && wrapped().all(inside);
    (sure || likely).then_some(width)
}

/// Whether a line goes on with a small letter, as most pieces of a sentence do; answers begin with a capital one.
fn small(line: &Line<'_>) -> bool {
    line.raw.chars().next().is_some_and(|c| c.is_alphabetic() && !c.is_uppercase())
}

/// Whether a place may be one at which a quoted line was wrapped, or the other way round: some programs put a mark before
/// the first line of what a person wrote into a quote. Then the markup knows better.
pub(super) fn torn(lines: &[Line<'_>]) -> bool {
    (0..lines.len().saturating_sub(1))
        .any(|at| seam(lines, at) && small(&lines[at + 1]) && !lines[at].ends_sentence() && fill(lines, at).0 >= 50)
}

/// Whether everything that is new in a text and does not directly follow a marked line is somebody's own in the markup, too.
pub(super) fn covered(text: &[Line<'_>], read: &Reply, markup: &Reply) -> bool {
    let own: String = markup
        .fragments
        .iter()
        .filter(|part| matches!(part.kind, Kind::New | Kind::Signature | Kind::Footer))
        .map(|part| letters(&part.text))
        .collect();
    let mut run = false;
    let mut all = true;
    for part in &read.fragments {
        for (line, at) in text[part.lines.clone()].iter().zip(part.lines.clone()) {
            run = plain(line) && (run || at.checked_sub(1).is_some_and(|above| seam(text, above)));
            all &= run || part.kind != Kind::New || own.contains(&letters(&line.raw));
        }
    }
    tick(text.len());
    all
}

/// The letters and digits of a text.
fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}
