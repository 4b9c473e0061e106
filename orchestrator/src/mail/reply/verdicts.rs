//! Words that decide, and words that take a decision back, language by language.

use super::words::folded;
use std::sync::LazyLock;

/// A list of folded words, the longest first.
pub(super) type Words = LazyLock<Vec<String>>;

fn longest_first(words: &str) -> Vec<String> {
    let mut all = folded(words);
    all.sort_by_key(|word| std::cmp::Reverse(word.len()));
    all
}

/// Approving. Only words that mean just that: "ok", "yes" and "agreed" are [`SOFT`].
pub(super) static APPROVE: Words = LazyLock::new(|| longest_first(include_str!("lists/approve.txt")));

/// Refusing.
pub(super) static REJECT: Words = LazyLock::new(|| longest_first(include_str!("lists/reject.txt")));

/// Sending back. These are everyday words: they count only alone or before a colon.
pub(super) static CHANGES: Words = LazyLock::new(|| longest_first(include_str!("lists/changes.txt")));

/// What sounds like an answer and decides nothing.
pub(super) static SOFT: Words = LazyLock::new(|| longest_first(include_str!("lists/soft.txt")));

/// What takes it back.
pub(super) static NEGATION: Words = LazyLock::new(|| longest_first(include_str!("lists/negation.txt")));

/// What makes it depend on something.
pub(super) static CONDITION: Words = LazyLock::new(|| longest_first(include_str!("lists/condition.txt")));

/// What may stand before a deciding word, or after it, without changing it.
pub(super) static HARMLESS: Words = LazyLock::new(|| longest_first(include_str!("lists/harmless.txt")));

/// How mails greet.
pub(super) static GREETING: Words = LazyLock::new(|| longest_first(include_str!("lists/greeting.txt")));

/// Those of [`CONDITION`] and [`NEGATION`] that signatures begin with as well: names and numbers of houses.
pub(super) static NAMES: Words = LazyLock::new(|| longest_first(include_str!("lists/names.txt")));
