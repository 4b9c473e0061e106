//! The text of a raw mail, and which of its parts to believe.

use super::{Kind, Reply, fold, fray, html, line, split};
use mail_parser::decoders::charsets::map::charset_decoder;
use mail_parser::{Message, MessageParser, MessagePart, MimeHeaders, PartType};
use std::borrow::Cow;

/// The most text that is looked at, in bytes: nobody writes more.
const LOOKED_AT: usize = 10 << 20;

/// Reads a mail as it came.
pub(super) fn parse(raw: &[u8]) -> Reply {
    // Blank lines above the headers would make them text.
    let raw = raw.trim_ascii_start();
    match MessageParser::default().parse(raw) {
        Some(message) => of_message(&message).0,
        None => split::split(&line::lines(head(&String::from_utf8_lossy(raw)))),
    }
}

/// Reads a mail that is taken apart; with the text it was read from.
pub(in crate::mail) fn of_message(message: &Message<'_>) -> (Reply, String) {
    let text = plain(message);
    let markup = markup(message);
    match (text, markup) {
        (Some(text), Some(markup)) => {
            let lines = line::lines(&text);
            let of_text = split::split(&lines);
            let whole = of_text.fragments.iter().any(|part| part.kind == Kind::New) && older(&of_text);
            let torn = whole && fray::torn(&lines);
            if whole && !torn {
                return (of_text, text);
            }
            let rendered = html::lines(&markup);
            let of_markup = split::split(&rendered);
            let says_more = of_markup.fragments.iter().any(|part| part.kind == Kind::New);
            if torn {
                let better = says_more && older(&of_markup) && fray::covered(&lines, &of_text, &of_markup);
                return if better { (of_markup, joined(&rendered)) } else { (of_text, text) };
            }
            let stub = text.trim().len() * 4 < of_markup.text().len();
            if says_more && (older(&of_markup) || stub || !older(&of_text) && text.trim().is_empty()) {
                (of_markup, joined(&rendered))
            } else {
                (of_text, text)
            }
        }
        (Some(text), None) => (split::split(&line::lines(&text)), text),
        (None, Some(markup)) => {
            let rendered = html::lines(&markup);
            (split::split(&rendered), joined(&rendered))
        }
        (None, None) => (Reply::default(), String::new()),
    }
}

/// Lines as a text.
fn joined(lines: &[line::Line<'_>]) -> String {
    lines.iter().map(|line| line.raw.as_ref()).collect::<Vec<_>>().join("\n")
}

/// The beginning of a text that is looked at.
fn head(text: &str) -> &str {
    fold::head(text, LOOKED_AT)
}

/// Whether any part of it is older than the mail.
fn older(reply: &Reply) -> bool {
    reply.fragments.iter().any(|part| matches!(part.kind, Kind::Attribution | Kind::Quoted | Kind::Forwarded))
}

/// The text parts, one below the other.
fn plain(message: &Message<'_>) -> Option<String> {
    let mut all: Vec<String> = Vec::new();
    for part in message.text_body.iter().filter_map(|at| message.parts.get(*at as usize)) {
        if let PartType::Text(text) = &part.body {
            let text = &*readable(message, part, text);
            all.push(if flowed(part, "format", "flowed") {
                unwrapped(text, flowed(part, "delsp", "yes"))
            } else {
                text.to_string()
            });
        }
    }
    (!all.is_empty()).then(|| {
        let mut text = all.join("\n");
        text.truncate(head(&text).len());
        text
    })
}

/// The HTML parts.
fn markup(message: &Message<'_>) -> Option<String> {
    let all: Vec<Cow<'_, str>> = message
        .html_body
        .iter()
        .filter_map(|at| message.parts.get(*at as usize))
        .filter_map(|part| match &part.body {
            PartType::Html(markup) => Some(readable(message, part, markup)),
            _ => None,
        })
        .collect();
    (!all.is_empty()).then(|| {
        let mut markup = all.join("\n");
        markup.truncate(head(&markup).len());
        markup
    })
}

/// A part's text; if it is quoted-printable with errors in it, what can be read of it.
fn readable<'a>(message: &'a Message<'_>, part: &'a MessagePart<'_>, text: &'a str) -> Cow<'a, str> {
    let quoted = part.content_transfer_encoding().is_some_and(|name| name.eq_ignore_ascii_case("quoted-printable"));
    let raw = message.raw_message.get(part.offset_body as usize..part.offset_end as usize);
    let Some(raw) = raw.filter(|_| part.is_encoding_problem && quoted) else { return Cow::Borrowed(text) };
    let bytes = unquoted(raw);
    let charset = part.content_type().and_then(|kind| kind.attribute("charset")).unwrap_or("utf-8");
    Cow::Owned(match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => match charset_decoder(charset.as_bytes()) {
            Some(decode) => decode(error.as_bytes()),
            None => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        },
    })
}

/// Quoted-printable decoded (RFC 2045, 6.7); a `=` that begins nothing stands for itself.
fn unquoted(raw: &[u8]) -> Vec<u8> {
    let hex =
        |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16)).and_then(|n| u8::try_from(n).ok());
    let mut out = Vec::with_capacity(raw.len());
    let mut at = 0;
    while let Some(byte) = raw.get(at) {
        at += 1;
        if *byte != b'=' {
            out.push(*byte);
            continue;
        }
        let blanks = raw[at..].iter().take(80).take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r')).count();
        if let (Some(high), Some(low)) = (hex(raw.get(at)), hex(raw.get(at + 1))) {
            out.push(high * 16 + low);
            at += 2;
        } else if raw.get(at + blanks).is_none_or(|byte| *byte == b'\n') {
            at += blanks + 1;
        } else {
            out.push(b'=');
        }
    }
    out
}

fn flowed(part: &MessagePart<'_>, name: &str, wanted: &str) -> bool {
    part.content_type().and_then(|kind| kind.attribute(name)).is_some_and(|value| value.eq_ignore_ascii_case(wanted))
}

/// Takes back the soft line breaks of RFC 3676: a line that ends with a blank goes on in the next of the same depth.
pub(super) fn unwrapped(text: &str, delete_blank: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut open: Option<usize> = None;
    let mut started = false;
    for line in text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)) {
        let (depth, shown) =
            if line.starts_with('>') { fold::quoted(line) } else { (0, line.strip_prefix(' ').unwrap_or(line)) };
        let delimiter = shown == "-- ";
        if open == Some(depth) && !shown.trim().is_empty() && !delimiter {
            out.push_str(shown);
        } else {
            if started {
                out.push('\n');
            }
            out.push_str(if depth > 0 { line } else { shown });
        }
        started = true;
        // Some programs say "flowed" and leave blanks at the end of short lines.
        open = (shown.ends_with(' ') && !delimiter && shown.len() >= 40).then_some(depth);
        if open.is_some() && delete_blank {
            out.truncate(out.len() - 1);
        }
    }
    out
}
