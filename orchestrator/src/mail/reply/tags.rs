//! HTML cut into tags and text, in one pass and without building a tree.

use super::meter::tick;

/// A piece of HTML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// Text, entities unread.
    Text(&'a str),
    /// A tag that opens (or is empty), with what stands in it.
    Open(String, &'a str),
    /// A tag that closes.
    Close(String),
}

/// The pieces of a document. What nobody sees (comments, styles, scripts, the head) is left out.
#[derive(Debug)]
pub(super) struct Pieces<'a> {
    rest: &'a str,
    /// What was searched for to the end without being found: it is not searched for again.
    missing: Vec<String>,
    /// Tags with a quotation mark that is never closed.
    broken: usize,
}

impl<'a> Pieces<'a> {
    /// Begins at the beginning.
    pub(super) fn new(html: &'a str) -> Self {
        Self { rest: html, missing: Vec::new(), broken: 0 }
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        loop {
            tick(1);
            if self.rest.is_empty() {
                return None;
            }
            let Some(tag) = self.rest.strip_prefix('<') else {
                let end = self.rest.find('<').unwrap_or(self.rest.len());
                let (text, rest) = self.rest.split_at(end);
                self.rest = rest;
                return Some(Piece::Text(text));
            };
            if let Some(comment) = tag.strip_prefix("!--") {
                self.rest = comment;
                if !self.missing.iter().any(|name| name == "--") {
                    match comment.find("-->") {
                        Some(end) => self.rest = &comment[end + 3..],
                        None => self.missing.push("--".to_owned()),
                    }
                }
                continue;
            }
            if tag.starts_with(['!', '?']) {
                self.rest = tag.find('>').map_or("", |end| &tag[end + 1..]);
                continue;
            }
            if !tag.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/') {
                // A lone `<` is text, up to the next one.
                let end = tag.find('<').map_or(self.rest.len(), |end| end + 1);
                let (text, rest) = self.rest.split_at(end);
                self.rest = rest;
                return Some(Piece::Text(text));
            }
            let end = self.tag_end(tag);
            let inside = &tag[..end];
            self.rest = tag.get(end + 1..).unwrap_or("");
            let (name, attributes) = named(inside.trim_start_matches('/'));
            if inside.starts_with('/') {
                return Some(Piece::Close(name));
            }
            if ["style", "script", "title", "noscript", "template", "svg", "xml"].contains(&name.as_str())
                && !inside.ends_with('/')
            {
                self.skip(&name);
                continue;
            }
            return Some(Piece::Open(name, attributes));
        }
    }
}

impl Pieces<'_> {
    /// Goes behind the end of an element whose content is not shown.
    fn skip(&mut self, name: &str) {
        if self.missing.iter().any(|missing| missing == name) {
            return;
        }
        let mut from = 0;
        while let Some(at) = self.rest[from..].find("</").map(|at| from + at) {
            tick(1);
            let after = &self.rest[at + 2..];
            if after.get(..name.len()).is_some_and(|end| end.eq_ignore_ascii_case(name)) {
                self.rest = after.find('>').map_or("", |end| &after[end + 1..]);
                return;
            }
            from = at + 2;
        }
        // Never closed: only the tag was meant.
        self.missing.push(name.to_owned());
    }

    /// Where a tag ends; a `>` in quotation marks does not end it, unless the mark is never closed.
    fn tag_end(&mut self, tag: &str) -> usize {
        let mut mark = None;
        let limit = super::fold::head(tag, if self.broken < 8 { 65_536 } else { 0 });
        for (at, byte) in limit.bytes().enumerate() {
            match (mark, byte) {
                (None, b'>') => return at,
                (None, b'"' | b'\'') if at > 0 && matches!(limit.as_bytes()[at - 1], b'=' | b' ') => mark = Some(byte),
                (Some(open), byte) if open == byte => mark = None,
                _ => {}
            }
        }
        self.broken += 1;
        tag.find('>').unwrap_or(tag.len())
    }
}

/// The name of an element, lower case, without a namespace, and its attributes.
fn named(inside: &str) -> (String, &str) {
    let end = inside.find(|c: char| c.is_whitespace() || c == '/').unwrap_or(inside.len());
    (inside[..end].to_ascii_lowercase(), &inside[end..])
}

/// The value of an attribute, lower case.
pub(super) fn attribute(attributes: &str, wanted: &str) -> Option<String> {
    let mut rest = super::fold::head(attributes, 8192).trim_start_matches(|c: char| c.is_whitespace() || c == '/');
    while !rest.is_empty() {
        let end = rest.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(rest.len());
        let name = &rest[..end];
        let after = rest[end..].trim_start();
        let value;
        if let Some(given) = after.strip_prefix('=') {
            let given = given.trim_start();
            let close = match given.chars().next() {
                Some(mark @ ('"' | '\'')) => given[1..].find(mark).map(|at| (1, at + 1, at + 2)),
                _ => None,
            };
            let (from, to, next) = close.unwrap_or_else(|| {
                let end = given.find(char::is_whitespace).unwrap_or(given.len());
                (0, end, end)
            });
            value = &given[from..to];
            rest = given.get(next..).unwrap_or("").trim_start();
        } else {
            value = "";
            rest = if end == 0 { rest.get(1..).unwrap_or("") } else { after };
        }
        if name.eq_ignore_ascii_case(wanted) {
            return Some(value.to_lowercase());
        }
    }
    None
}

/// Reads the entities of a text.
pub(super) fn entities(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let end = after
            .bytes()
            .take(12)
            .position(|byte| !byte.is_ascii_alphanumeric() && byte != b'#')
            .unwrap_or_else(|| after.len().min(12));
        let name = after.get(..end).unwrap_or("");
        if let Some(shown) = entity(name) {
            out.push(shown);
            rest = &after[end..];
            rest = rest.strip_prefix(';').unwrap_or(rest);
        } else {
            out.push('&');
            rest = after;
        }
    }
    out.push_str(rest);
}

fn entity(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        };
        return char::from_u32(code).filter(|c| *c != '\0').or(Some('\u{fffd}'));
    }
    NAMED.iter().find(|(known, _)| *known == name).map(|(_, shown)| *shown)
}

const NAMED: &[(&str, char)] = &[
    ("nbsp", '\u{a0}'),
    ("lt", '<'),
    ("gt", '>'),
    ("amp", '&'),
    ("quot", '"'),
    ("apos", '\''),
    ("ndash", '–'),
    ("mdash", '—'),
    ("lsquo", '‘'),
    ("rsquo", '’'),
    ("ldquo", '“'),
    ("rdquo", '”'),
    ("sbquo", '‚'),
    ("bdquo", '„'),
    ("laquo", '«'),
    ("raquo", '»'),
    ("hellip", '…'),
    ("bull", '•'),
    ("middot", '·'),
    ("copy", '©'),
    ("reg", '®'),
    ("trade", '™'),
    ("euro", '€'),
    ("pound", '£'),
    ("yen", '¥'),
    ("sect", '§'),
    ("deg", '°'),
    ("times", '×'),
    ("zwnj", '\u{200c}'),
    ("zwj", '\u{200d}'),
    ("lrm", '\u{200e}'),
    ("rlm", '\u{200f}'),
    ("shy", '\u{ad}'),
    ("ensp", '\u{2002}'),
    ("emsp", '\u{2003}'),
    ("thinsp", '\u{2009}'),
    ("NewLine", '\n'),
    ("Tab", '\t'),
    ("agrave", 'à'),
    ("aacute", 'á'),
    ("acirc", 'â'),
    ("atilde", 'ã'),
    ("auml", 'ä'),
    ("aring", 'å'),
    ("aelig", 'æ'),
    ("ccedil", 'ç'),
    ("egrave", 'è'),
    ("eacute", 'é'),
    ("ecirc", 'ê'),
    ("euml", 'ë'),
    ("igrave", 'ì'),
    ("iacute", 'í'),
    ("icirc", 'î'),
    ("iuml", 'ï'),
    ("ntilde", 'ñ'),
    ("ograve", 'ò'),
    ("oacute", 'ó'),
    ("ocirc", 'ô'),
    ("otilde", 'õ'),
    ("ouml", 'ö'),
    ("oslash", 'ø'),
    ("ugrave", 'ù'),
    ("uacute", 'ú'),
    ("ucirc", 'û'),
    ("uuml", 'ü'),
    ("yacute", 'ý'),
    ("szlig", 'ß'),
    ("oelig", 'œ'),
    ("scaron", 'š'),
    ("Agrave", 'À'),
    ("Aacute", 'Á'),
    ("Acirc", 'Â'),
    ("Atilde", 'Ã'),
    ("Auml", 'Ä'),
    ("Aring", 'Å'),
    ("AElig", 'Æ'),
    ("Ccedil", 'Ç'),
    ("Egrave", 'È'),
    ("Eacute", 'É'),
    ("Ecirc", 'Ê'),
    ("Euml", 'Ë'),
    ("Iacute", 'Í'),
    ("Icirc", 'Î'),
    ("Ntilde", 'Ñ'),
    ("Oacute", 'Ó'),
    ("Ocirc", 'Ô'),
    ("Otilde", 'Õ'),
    ("Ouml", 'Ö'),
    ("Oslash", 'Ø'),
    ("Uacute", 'Ú'),
    ("Uuml", 'Ü'),
    ("iexcl", '¡'),
    ("iquest", '¿'),
    ("ordm", 'º'),
    ("ordf", 'ª'),
    ("frac12", '½'),
    ("micro", 'µ'),
    ("para", '¶'),
    ("rarr", '→'),
    ("larr", '←'),
    ("check", '✓'),
];
