//! Subjects without what mail programs and lists put before them.

/// What programs write before the subject of an answer or of a mail that is passed on, in small letters.
const PREFIXES: [&str; 32] = [
    "re", "fwd", "fw", "aw", "antw", "wg", "sv", "vs", "vb", "tr", "réf", "ref", "rif", "r", "i", "res", "enc", "odp",
    "pd", "ynt", "i̇lt", "ilt", "vá", "vl", "doorst", "απ", "πρθ", "回复", "答复", "转发", "回覆", "轉寄",
];

/// A subject without `Re:`, `Fwd:`, `AW:`, `RE[2]:`, `[list]` and their like before it.
#[must_use]
pub fn bare(subject: &str) -> &str {
    let mut rest = subject.trim();
    for _ in 0..20 {
        match without_prefix(rest).or_else(|| without_list(rest)) {
            Some(shorter) => rest = shorter.trim_start(),
            None => break,
        }
    }
    rest
}

fn without_prefix(text: &str) -> Option<&str> {
    let at = text.find([':', '：'])?;
    let colon = text[at..].chars().next()?.len_utf8();
    let word = text[..at].trim();
    // `RE[2]`, `Re (2)`, `Re^2`.
    let name = word.split(['[', '(', '^']).next()?.trim();
    let count = &word[name.len()..];
    let counted = count.chars().all(|c| c.is_ascii_digit() || "[]()^ ".contains(c)) && count.len() <= 6;
    let known = PREFIXES.contains(&name.to_lowercase().as_str());
    (known && counted).then(|| &text[at + colon..])
}

/// `[name]` before the subject; not one that is all there is.
fn without_list(text: &str) -> Option<&str> {
    let (name, rest) = text.strip_prefix('[')?.split_once(']')?;
    (!rest.trim().is_empty() && name.chars().count() <= 40 && !name.contains('[')).then_some(rest)
}
