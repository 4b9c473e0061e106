//! Colours, and text that cannot harm a terminal.

use std::fmt::Display;

/// A colour's or weight's escape code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paint {
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
    Blue,
    Cyan,
}

/// Whether to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Style {
    pub(super) colour: bool,
}

impl Style {
    /// The text in a colour, or as it is.
    pub(super) fn paint(self, paint: Paint, text: impl Display) -> String {
        if !self.colour {
            return text.to_string();
        }
        let code = match paint {
            Paint::Bold => "1",
            Paint::Dim => "2",
            Paint::Red => "31",
            Paint::Green => "32",
            Paint::Yellow => "33",
            Paint::Blue => "34",
            Paint::Cyan => "36",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// Text from outside with everything replaced that a terminal would obey (escape sequences, carriage returns) or that
/// would show something else than is there (bidirectional controls). Newlines and tabs stay.
pub(super) fn clean(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\t' => c,
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' => '\u{fffd}',
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// As [`clean`], on one line.
pub(super) fn clean_line(text: &str) -> String {
    clean(text).replace(['\n', '\t'], " ")
}

/// Program output: colour and cursor sequences taken out whole, the rest as [`clean`].
pub(super) fn clean_output(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\x1b' {
            if chars.next_if_eq(&'[').is_some() {
                // A CSI sequence ends with its first byte in @ … ~ (ECMA-48, 5.4).
                while chars.next_if(|c| !('@'..='~').contains(c)).is_some() {}
                chars.next();
            }
        } else if c != '\r' || chars.peek() != Some(&'\n') {
            kept.push(c);
        }
    }
    clean(&kept.replace("\r\n", "\n").replace('\r', "\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_cannot_steer_the_terminal() {
        assert_eq!(clean("a\x1b]0;title\x07b"), "a\u{fffd}]0;title\u{fffd}b");
        assert_eq!(clean("x\u{202e}y"), "x\u{fffd}y");
        assert_eq!(clean_line("a\nb\tc"), "a b c");
        assert_eq!(clean_output("\x1b[31mred\x1b[0m\r\n10%\r20%\r\n"), "red\n10%\n20%\n");
        assert_eq!(clean_output("\x1b"), "");
    }
}
