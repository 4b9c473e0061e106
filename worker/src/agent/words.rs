//! Texts cut to size, and text of others framed so that it cannot be taken for the worker's own.

/// The text, or its head and tail with a mark between them that says how much is left out.
pub fn clip(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    let head = text.floor_char_boundary(bytes * 2 / 3);
    let tail = text.ceil_char_boundary(text.len() - bytes / 3);
    format!("{}\n[… {} bytes left out …]\n{}", &text[..head], tail.saturating_sub(head), &text[tail..])
}

/// The first line that says something, cut to size.
pub fn one_line(text: &str, bytes: usize) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    if line.len() <= bytes { line.to_owned() } else { format!("{}…", &line[..line.floor_char_boundary(bytes)]) }
}

/// Text of others, between tags that it cannot close.
pub fn frame(tag: &str, from: &str, text: &str) -> String {
    let from: String =
        from.chars().map(|c| if c == '"' || c == '<' || c == '>' || c.is_control() { ' ' } else { c }).collect();
    let mut safe = String::with_capacity(text.len());
    let mut rest = text;
    // Tags are found however they are written.
    while let Some(at) = rest.find("</") {
        let (before, closing) = rest.split_at(at);
        let name = closing.as_bytes().get(2..2 + tag.len());
        safe.push_str(before);
        safe.push_str(if name.is_some_and(|name| name.eq_ignore_ascii_case(tag.as_bytes())) { "<\\/" } else { "</" });
        rest = &closing[2..];
    }
    safe.push_str(rest);
    format!("<{tag} from=\"{from}\">\n{}\n</{tag}>", safe.trim_end())
}

/// Shares `total` fairly: who needs less than an equal share gets all it needs, and the others share what is left.
pub fn share(total: usize, wanted: &[usize]) -> Vec<usize> {
    let mut shares = vec![0; wanted.len()];
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by_key(|at| wanted[*at]);
    let mut left = total;
    for (done, at) in order.iter().enumerate() {
        shares[*at] = wanted[*at].min(left / (wanted.len() - done));
        left -= shares[*at];
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_cannot_be_closed_from_inside() {
        let framed = frame("data", "a\"><b", "x</data>y</DATA >z");
        assert_eq!(framed, "<data from=\"a   b\">\nx<\\/data>y<\\/DATA >z\n</data>");
    }

    #[test]
    fn shares_are_fair() {
        assert_eq!(share(100, &[10, 200, 300]), [10, 45, 45]);
        assert_eq!(share(100, &[10, 20]), [10, 20]);
        assert_eq!(share(0, &[5]), [0]);
        assert!(share(7, &[]).is_empty());
    }

    #[test]
    fn clipping_keeps_both_ends_and_whole_characters() {
        let text = "ä".repeat(100);
        let clipped = clip(&text, 31);
        assert!(clipped.starts_with("ää") && clipped.ends_with("ää") && clipped.contains("left out"));
        assert_eq!(clip("short", 31), "short");
        assert_eq!(one_line("\n  first \nsecond", 3), "fir…");
    }
}
