//! The lines `key: value` with which a mail may begin.

use bus_schemas::v1::plan::{Budget, Span};

use super::{MOST, Order};
use crate::mail::address::one_line;

/// What may stand before the colon.
const KEYS: [&str; 6] = ["preset", "budget", "policy", "apply", "folder", "title"];

/// Reads the block into the order and returns the text below it. The block is the lines before the first blank one, if the
/// first of them has a key; a line without a key ends it.
pub(super) fn take<'a>(text: &'a str, order: &mut Order) -> &'a str {
    let mut at = 0;
    let mut seen: Vec<&str> = Vec::new();
    let mut is_first = true;
    for line in text.split_inclusive('\n') {
        let Some((word, value)) = pair(line) else { break };
        let key = KEYS.into_iter().find(|key| word.eq_ignore_ascii_case(key));
        let near = nearest(&word);
        match key {
            Some(key) if seen.contains(&key) => order.problems.push(format!("`{key}` is there twice")),
            Some(key) => {
                seen.push(key);
                set(order, key, value);
            }
            None if near.is_some() || !is_first => {
                let guess = near.map_or_else(String::new, |near| format!(" (did you mean `{near}`?)"));
                order.problems.push(format!(
                    "`{}` is no key{guess}: there are {}; a blank line ends the keys",
                    one_line(&word, 40),
                    KEYS.join(", ")
                ));
            }
            None => break,
        }
        is_first = false;
        at += line.len();
    }
    &text[at..]
}

/// `word: value`, if a line is that and not a sentence or an address of a page.
fn pair(line: &str) -> Option<(String, &str)> {
    let (word, value) = line.trim().split_once(':')?;
    let word = word.trim();
    let is_word =
        (3..=20).contains(&word.len()) && word.chars().all(|c| c.is_ascii_alphabetic() || c == '-' || c == '_');
    (is_word && !value.starts_with("//")).then(|| (word.to_lowercase(), value.trim()))
}

/// The key a word was meant to be.
fn nearest(word: &str) -> Option<&'static str> {
    let far = |key: &str| strsim::damerau_levenshtein(word, key);
    let near = KEYS.into_iter().min_by_key(|key| far(key))?;
    let distance = far(near);
    (distance == 1 || (distance == 2 && near.len() >= 6 && word.len() >= 6)).then_some(near)
}

fn set(order: &mut Order, key: &str, value: &str) {
    if value.is_empty() {
        order.problems.push(format!("`{key}` has no value"));
        return;
    }
    let name = one_line(value, 300);
    match key {
        "preset" => order.preset = Some(name),
        "policy" => order.policy = Some(name),
        "apply" => order.apply = Some(name),
        "title" => order.title = one_line(value, MOST.1),
        "folder" if name.starts_with('/') => order.folder = name,
        "folder" => order.problems.push(format!("`folder: {name}` is no absolute path: it begins with `/`")),
        _ => match budget(value) {
            Ok(budget) => order.budget = budget,
            Err(why) => order.problems.push(why),
        },
    }
}

/// `$5`, `2.50 usd`, `200k tokens`, `30m`, `40 turns`, several with commas between them.
fn budget(value: &str) -> Result<Budget, String> {
    let mut budget = Budget::default();
    for part in value.split([',', ';']).map(str::trim).filter(|part| !part.is_empty()) {
        let wrong = || {
            format!(
                "`budget: {}` cannot be read: write `$5`, `200k tokens`, `40 turns`, `30m`, or several with commas",
                one_line(part, 60)
            )
        };
        let small = part.to_lowercase();
        let (number, unit) = match small.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '$' || c == ' ')) {
            Some(at) => small.split_at(at),
            None => (small.as_str(), ""),
        };
        let is_usd = number.contains('$') || unit.contains('$');
        let number = number.trim().trim_start_matches('$').trim_end_matches('$').trim();
        let whole = |times: u64| {
            number.parse::<u64>().ok().and_then(|n| n.checked_mul(times)).filter(|n| *n > 0).ok_or_else(wrong)
        };
        let usd = || number.parse::<f64>().ok().filter(|usd| usd.is_finite() && *usd > 0.0).ok_or_else(wrong);
        let taken = match unit.trim() {
            "" | "usd" | "us$" | "dollar" | "dollars" | "$" => budget.usd.replace(usd()?).is_some(),
            _ if is_usd => return Err(wrong()),
            "token" | "tokens" => budget.tokens.replace(whole(1)?).is_some(),
            "k tokens" | "ktokens" => budget.tokens.replace(whole(1_000)?).is_some(),
            "m tokens" | "mtokens" => budget.tokens.replace(whole(1_000_000)?).is_some(),
            "turn" | "turns" | "calls" => budget.turns.replace(whole(1)?).is_some(),
            _ => {
                let span = Span(small.replace(' ', ""));
                span.as_ms().filter(|ms| *ms > 0).ok_or_else(wrong)?;
                budget.wall.replace(span).is_some()
            }
        };
        if taken {
            return Err(format!("`budget: {}` names one limit twice", one_line(value, 60)));
        }
    }
    Ok(budget)
}
