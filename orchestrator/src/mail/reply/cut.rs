//! What people cut out of a quote, and what they put below a cut.

use super::line::Line;

/// Whether a folded line only says that something was cut out: `[…]`, `<snip>`, `...`.
pub(super) fn snipped(folded: &str) -> bool {
    let text =
        folded.trim_matches(|c: char| matches!(c, '[' | ']' | '<' | '>' | '(' | ')' | '-' | '*' | '_' | ' ' | '='));
    let dots = folded.len() <= 24 && text.len() >= 2 && text.chars().all(|c| matches!(c, '.' | '…' | ' '));
    dots || text == "…"
        || (text != folded
            && ["snip", "snipped", "cut", "trim", "trimmed", "skip", "skipped", "deleted"].contains(&text))
        || ["snip", "<snip/>", "8<", ">8"].contains(&text)
}

/// Whether a block of headers is that of a patch: `From 3775b3aa… Mon Sep 17 00:00:00 2001` or a cut (`8<`) stands above.
pub(super) fn patched(lines: &[Line<'_>], from: usize) -> bool {
    let above = lines[..from].iter().rev().take(3).find(|line| !line.blank());
    above.is_some_and(|line| {
        let text = super::fold::head(&line.folded, 120);
        let digest = text.strip_prefix("from ").and_then(|rest| rest.split(' ').next()).unwrap_or_default();
        (digest.len() >= 40 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()))
            || [" 8<", "-8<", ">8-", ">8 ", "% <"].iter().any(|cut| text.contains(cut)) && text.contains("--")
    })
}
