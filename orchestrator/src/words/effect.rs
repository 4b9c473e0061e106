//! What an effect would do, for people: exactly, whatever is in it.

use bus_schemas::v1::effect::EffectOrder;

use crate::figures::span;

/// A command line on one line, so that nothing in it looks like something else: a word of more than the plainest characters
/// stands in quotes, with everything odd in it escaped. It is for reading: no shell takes part in running it.
#[must_use]
pub fn command(argv: &[String]) -> String {
    argv.iter().map(|word| word_of(word)).collect::<Vec<_>>().join(" ")
}

fn word_of(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    // Some channels take a backtick for the end of code.
    format!("{word:?}").replace('`', "\\u{60}")
}

/// What is said of an effect beside its command line: names and values.
#[must_use]
pub fn facts(order: &EffectOrder) -> Vec<(&'static str, String)> {
    let folder = order.folder.clone().unwrap_or_else(|| "a new, empty folder".to_owned());
    let mut facts = vec![("in", folder), ("at most", span(order.timeout_ms))];
    if !order.env.is_empty() {
        facts.push(("with", format!("{} of Baton's environment", order.env.join(", "))));
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_passes_for_two_or_for_another() {
        let argv = ["./deploy.sh", "a b", "", "x\"y", "`id`", "$(id)", "ä\u{202e}b", "--to=eu"].map(str::to_owned);
        let wanted = r#"./deploy.sh "a b" "" "x\"y" "\u{60}id\u{60}" "$(id)" "ä\u{202e}b" --to=eu"#;
        assert_eq!(command(&argv), wanted);
    }
}
