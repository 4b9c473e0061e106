//! Cutting texts to size.

/// The beginning, at most `bytes` long.
pub(super) fn cut(mut text: String, bytes: usize) -> String {
    text.truncate(text.floor_char_boundary(bytes.min(text.len())));
    text
}

/// The end, at most `bytes` long.
pub(super) fn cut_front(mut text: String, bytes: usize) -> String {
    let from = text.len().saturating_sub(bytes);
    text.drain(..text.ceil_char_boundary(from));
    text
}

/// One line of it, short.
pub(super) fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}
