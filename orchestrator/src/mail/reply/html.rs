//! HTML made into lines. What mail programs mark in their markup becomes the lines' hints.

use super::fold::{fold, has_address, when};
use super::line::{Hint, Line};
use super::tags::{Piece, Pieces, attribute, entities};
use super::words::{self, Banner};
use std::collections::HashMap;

/// Elements that begin a line and may be containers.
const BLOCKS: &[&str] = &[
    "div",
    "blockquote",
    "table",
    "tr",
    "td",
    "th",
    "section",
    "article",
    "center",
    "pre",
    "header",
    "footer",
    "ul",
    "ol",
    "dl",
    "form",
    "includetail",
    "main",
    "aside",
    "nav",
    "fieldset",
    "signature",
];
/// Elements that begin a line and are not worth remembering.
const BREAKS: &[&str] =
    &["p", "li", "h1", "h2", "h3", "h4", "h5", "h6", "dt", "dd", "body", "tbody", "thead", "caption", "address", "hr"];

/// The longest heading of a quote, in bytes.
const ATTRIBUTION: usize = 700;

/// What is known where a piece of text stands.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    hint: Hint,
    /// The container that holds an attribution and quotes, if any, by number.
    group: Option<usize>,
    pre: bool,
    hidden: bool,
}

/// What an element says about its content.
enum Says {
    Hint(Hint),
    Group,
    Hidden,
    Cut,
}

struct Renderer {
    lines: Vec<(String, Place)>,
    buffer: String,
    place: Place,
    start: Place,
    stack: Vec<(String, Place)>,
    open: HashMap<String, usize>,
    groups: usize,
    cut: bool,
}

/// The lines of an HTML document.
pub(super) fn lines(html: &str) -> Vec<Line<'static>> {
    let mut renderer = Renderer {
        lines: Vec::new(),
        buffer: String::new(),
        place: Place::default(),
        start: Place::default(),
        stack: Vec::new(),
        open: HashMap::new(),
        groups: 0,
        cut: false,
    };
    for piece in Pieces::new(html) {
        match piece {
            Piece::Text(text) => renderer.text(text),
            Piece::Open(name, attributes) => renderer.open(&name, attributes),
            Piece::Close(name) => renderer.close(&name),
        }
    }
    renderer.end_line();
    let mut all = renderer.lines;
    group(&mut all);
    headings(&mut all);
    all.into_iter().map(|(text, place)| Line::new(text, place.hint)).collect()
}

impl Renderer {
    fn text(&mut self, text: &str) {
        if self.place.hidden {
            return;
        }
        let mut shown = String::with_capacity(text.len());
        entities(text, &mut shown);
        if self.buffer.is_empty() {
            self.start = self.place;
        }
        if self.place.pre {
            for (at, line) in shown.split('\n').enumerate() {
                if at > 0 {
                    self.break_line();
                    self.start = self.place;
                }
                self.buffer.push_str(line.trim_end_matches('\r'));
            }
            return;
        }
        for c in shown.chars() {
            if matches!(c, ' ' | '\n' | '\r' | '\t') {
                if !self.buffer.is_empty() && !self.buffer.ends_with(' ') {
                    self.buffer.push(' ');
                }
            } else {
                self.buffer.push(c);
            }
        }
    }

    /// Ends the line, if there is one.
    fn end_line(&mut self) {
        if self.buffer.trim().is_empty() {
            // A blank that does not break is put where a line is to stay empty.
            if self.buffer.contains('\u{a0}') {
                self.lines.push((String::new(), self.start));
            }
            self.buffer.clear();
        } else {
            let text = if self.start.pre { self.buffer.trim_end() } else { self.buffer.trim() };
            let text = text.replace('\u{a0}', " ");
            self.buffer.clear();
            // Signatures are told by their blank.
            let text = if text == "--" { "-- ".to_owned() } else { text };
            self.lines.push((text, self.start));
        }
    }

    /// Ends the line; if there is none, an empty one stands there.
    fn break_line(&mut self) {
        if self.buffer.trim().is_empty() {
            self.buffer.clear();
            self.lines.push((String::new(), self.place));
        } else {
            self.end_line();
        }
    }

    /// Leaves a blank line, if the last one is not blank.
    fn blank_line(&mut self) {
        self.end_line();
        if self.lines.last().is_some_and(|(text, _)| !text.is_empty()) {
            self.lines.push((String::new(), self.place));
        }
    }

    fn open(&mut self, name: &str, attributes: &str) {
        match name {
            "br" => return self.break_line(),
            "img" => {
                let alt = attribute(attributes, "alt").unwrap_or_default();
                if !alt.is_empty() && alt.chars().count() <= 4 && !alt.is_ascii() {
                    self.text(&alt);
                }
                return;
            }
            _ => {}
        }
        // Outlook for Mac puts the message that is answered, and nothing else, into a span.
        if name == "span" && self.place.hint == Hint::None && !self.cut {
            if attribute(attributes, "id").is_some_and(|id| id == "olk_src_body_section") {
                self.end_line();
                self.cut = true;
                self.lines.push((String::new(), Place { hint: Hint::Cut, ..self.place }));
            }
            return;
        }
        let block = BLOCKS.contains(&name);
        if !block && !BREAKS.contains(&name) {
            return;
        }
        match name {
            "td" | "th" if !self.buffer.is_empty() => self.buffer.push(' '),
            "p" if !attributes.to_ascii_lowercase().contains("msonormal") && self.place.hint != Hint::Box => {
                self.blank_line()
            }
            _ => self.end_line(),
        }
        let says = says(name, attributes);
        if let Some(Says::Cut) = says
            && self.place.hint != Hint::Quote
            && !self.cut
        {
            self.cut = true;
            self.lines.push((String::new(), Place { hint: Hint::Cut, ..self.place }));
        }
        if name == "hr" && !self.place.hidden && self.place.hint == Hint::None {
            self.lines.push((String::new(), Place { hint: Hint::Rule, ..self.place }));
        }
        if name == "li" && !self.place.hidden {
            self.start = self.place;
            self.buffer.push_str("- ");
        }
        if !block {
            return;
        }
        let before = self.place;
        self.stack.push((name.to_owned(), before));
        *self.open.entry(name.to_owned()).or_default() += 1;
        self.place.pre |= name == "pre";
        match says {
            Some(Says::Hidden) => self.place.hidden = true,
            Some(Says::Group) if before.hint == Hint::None => {
                self.groups += 1;
                self.place.group = Some(self.groups);
            }
            Some(Says::Hint(hint)) if before.hint != Hint::Quote => self.place.hint = hint,
            _ => {}
        }
    }

    fn close(&mut self, name: &str) {
        match name {
            "p" | "h1" | "h2" | "h3" | "h4" | "ul" | "ol" if self.place.hint != Hint::Box => self.end_line(),
            "td" | "th" => {}
            _ if BLOCKS.contains(&name) || BREAKS.contains(&name) => self.end_line(),
            _ => return,
        }
        if self.open.get(name).is_none_or(|count| *count == 0) {
            return;
        }
        while let Some((open, before)) = self.stack.pop() {
            self.place = before;
            if let Some(count) = self.open.get_mut(&open) {
                *count -= 1;
            }
            if open == name {
                break;
            }
        }
    }
}

/// What an element's name and attributes say.
fn says(name: &str, attributes: &str) -> Option<Says> {
    if attributes.is_empty() {
        return match name {
            "blockquote" | "includetail" => Some(Says::Hint(Hint::Quote)),
            "signature" => Some(Says::Hint(Hint::Signature)),
            _ => None,
        };
    }
    let get = |wanted| attribute(attributes, wanted).unwrap_or_default();
    let (id, style) = (get("id"), get("style").replace(' ', ""));
    let classes = get("class");
    let mut all = classes.split_whitespace();
    let class = |wanted: &[&str]| {
        classes
            .split_whitespace()
            .any(|class| wanted.iter().any(|wanted| class == *wanted || class.ends_with(&format!("_{wanted}"))))
    };
    let marker = format!("{} {} {}", get("data-marker"), get("data-smartmail"), get("name"));
    if style.contains("display:none") || style.contains("mso-hide:all") {
        return Some(Says::Hidden);
    }
    let ids = |wanted: &[&str]| wanted.iter().any(|wanted| id == *wanted || id.ends_with(&format!("_{wanted}")));
    if ids(&[
        "appendonsend",
        "divrplyfwdmsg",
        "zwchr",
        "stopspelling",
        "reply-separator",
        "isforwardcontent",
        "replysplit",
    ]) || class(&["outlookmessageheader"])
        || marker.contains("__divider__")
    {
        return Some(Says::Cut);
    }
    if ids(&[
        "olk_src_body_section",
        "mail-editor-reference-message-container",
        "isreplycontent",
        "mail-app-auto-quote",
        "replyblockquote",
        "inotes-history",
        "mail-quote",
        "origbody",
        "reply139content",
        "oriMsgHtmlSeperator",
    ]) || id.contains("yahoo_quoted")
        || classes.split_whitespace().any(|class| class.ends_with("yahoo_quoted"))
        || marker.contains("__quoted_text__")
        || marker.contains("__headers__")
        || marker.contains("messagereplysection")
        || class(&[
            "yahoo_quoted",
            "quoted-text",
            "tutanota_quote",
            "freshdesk_quote",
            "front-blockquote",
            "missive_quote",
            "skiff_quote",
            "hs_reply",
            "domino-history",
            "ms-outlook-mobile-reference-message",
            "zmail_quote",
            "mailplus_quote",
            "crisp-quote",
        ])
        || get("name") == "quote"
        || (marker.contains("quote") && (style.contains("border-left") || name == "blockquote"))
    {
        return Some(Says::Hint(Hint::Quote));
    }
    if class(&["moz-forward-container"]) {
        return Some(Says::Hint(Hint::Forward));
    }
    if name == "blockquote" {
        // The indentation that an editor offers is no quote.
        let indent = (style.contains("border:none") || style.contains("border-width:0") || style.contains("border:0"))
            && style.contains("40px")
            && all.next().is_none()
            && get("type").is_empty();
        return (!indent).then_some(Says::Hint(Hint::Quote));
    }
    if class(&[
        "gmail_quote",
        "gmail_quote_container",
        "protonmail_quote",
        "zmail_extra",
        "gmail_extra_quote",
        "mb_quote",
    ]) {
        return Some(Says::Group);
    }
    if class(&["gmail_attr", "moz-cite-prefix", "gmail_quote_attribution", "zmail_extra_hr", "mail-quote-prefix"])
        || ids(&["reply-intro"])
    {
        return Some(Says::Hint(Hint::Heading));
    }
    if class(&[
        "gmail_signature",
        "moz-signature",
        "protonmail_signature_block",
        "sh-signature",
        "signature",
        "front-signature",
        "hs_signature",
        "missive_signature",
        "mailbird_signature",
        "apple-mail-signature",
        "ms-outlook-mobile-signature",
        "moz-txt-sig",
        "tutanota-signature",
        "email-signature",
    ]) || ids(&[
        "signature",
        "applemailsignature",
        "ms-outlook-mobile-signature",
        "composer_signature",
        "mail-editor-signature",
        "v1signature",
        "_rc_sig",
        "protonmail_mobile_signature_block",
        "mailsignature",
    ]) || (id.starts_with("sig") && id[3..].bytes().all(|byte| byte.is_ascii_digit()) && id.len() > 3)
        || marker.contains("gmail_signature")
        || marker.contains("messagesignaturesection")
        || marker.contains("__sig_")
    {
        return Some(Says::Hint(Hint::Signature));
    }
    let drawn = style.contains("border-top:solid")
        || style.contains("border-top:1pxsolid")
        || style.contains("border-top:1ptsolid")
        || style.contains("border-top-style:solid");
    if name == "div" && drawn && style.contains("padding") {
        return Some(Says::Hint(Hint::Box));
    }
    None
}

/// Judges containers that hold an attribution, quotes and, between and below them, answers.
fn group(lines: &mut [(String, Place)]) {
    let mut members: HashMap<usize, Vec<usize>> = HashMap::new();
    for (at, (_, place)) in lines.iter().enumerate() {
        if let Some(group) = place.group {
            members.entry(group).or_default().push(at);
        }
    }
    for group in members.values() {
        let filled = |at: &&usize| !lines[**at].0.is_empty();
        let Some(first) = group.iter().find(filled).copied() else { continue };
        let forwarded = words::banner(&fold(&lines[first].0)).is_some_and(|(banner, _)| banner == Banner::Forwarded);
        if forwarded {
            continue;
        }
        let quote = group.iter().find(|at| lines[**at].1.hint == Hint::Quote && !lines[**at].0.is_empty()).copied();
        match quote {
            Some(quote) => {
                let above: Vec<usize> = group.iter().copied().take_while(|at| *at < quote).collect();
                for at in heading(lines, &above) {
                    lines[at].1.hint = Hint::Heading;
                }
            }
            None => {
                let headed = group.iter().any(|at| lines[*at].1.hint == Hint::Heading);
                let above = lines[..first].iter().any(|(text, _)| !text.is_empty());
                if headed || above {
                    for at in group {
                        lines[*at].1.hint = Hint::Quote;
                    }
                }
            }
        }
    }
}

/// The lines directly above a quote that are its heading: the last paragraph, from where it begins like one. People write into
/// these containers, too.
fn heading(lines: &[(String, Place)], above: &[usize]) -> Vec<usize> {
    let end = above.iter().rposition(|at| !lines[*at].0.is_empty()).map_or(0, |last| last + 1);
    let mut found = Vec::new();
    let mut joined = String::new();
    for at in above[..end].iter().rev().take(6) {
        if lines[*at].0.is_empty() {
            break;
        }
        let line = fold(&lines[*at].0);
        joined = format!("{line} {joined}");
        found.push(*at);
        let seen = when(&joined);
        if words::opens(&line) && (seen.date || seen.time) && joined.len() < 700 {
            return found;
        }
    }
    // An attribution in words that are not known, in one paragraph of its own.
    let seen = when(&joined);
    let clear = (seen.date && seen.time) || has_address(&joined) || joined.trim_end().ends_with(':');
    if clear && joined.len() < 300 && found.len() <= 3 { found } else { Vec::new() }
}

/// A heading that announces a forwarded message is read as text, and so is one that names nobody and no moment: people write
/// into these containers.
fn headings(lines: &mut [(String, Place)]) {
    let mut at = 0;
    while at < lines.len() {
        let length = lines[at..].iter().take_while(|(_, place)| place.hint == Hint::Heading).count();
        let run = &mut lines[at..at + length];
        at += length.max(1);
        let mut joined = String::new();
        for (text, _) in run.iter().filter(|(text, _)| !text.is_empty()) {
            let line = fold(text);
            if joined.len() < ATTRIBUTION {
                joined.push_str(&line);
                joined.push(' ');
            }
        }
        let seen = when(&joined);
        let long = joined.len() >= ATTRIBUTION;
        let clear = seen.date || seen.time || has_address(&joined) || joined.trim_end().ends_with(':');
        let mut forwarded = false;
        for (text, place) in run {
            forwarded |= words::banner(&fold(text)).is_some_and(|(banner, _)| banner == Banner::Forwarded);
            // A blank line in a heading announces nothing.
            if forwarded || long || !clear || text.is_empty() {
                place.hint = Hint::None;
            }
        }
    }
}
