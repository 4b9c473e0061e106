//! A YAML text as a tree that knows its places. Built from the parser's events without recursion, bounded in size,
//! depth and alias expansion, and keeping every key of a mapping, so that duplicates can be named with both places.

use std::{borrow::Cow, collections::HashMap};

use saphyr::Scalar;
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, Tag};

/// The largest text: a plan of 20,000 tasks with scripts fits.
pub(super) const MAX_TEXT_BYTES: usize = 4 << 20;
/// The deepest nesting; a plan's own fields need 6, the rest is for `foreach.list`.
const MAX_DEPTH: usize = 64;
/// Nodes that anchors and aliases may add: stops a few of them from growing without end.
const MAX_COPIED_NODES: usize = 200_000;

/// A place in the text: line and column from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

impl Place {
    fn of(marker: Marker) -> Self {
        let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        Self { line: number(marker.line()), column: number(marker.col()).saturating_add(1) }
    }
}

/// A value with its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) data: Data,
}

/// A value.
#[derive(Clone, Debug)]
pub(crate) enum Data {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text {
        text: String,
        /// It is written on one line without quotes, so that places inside it can be computed.
        is_plain: bool,
    },
    List(Vec<Node>),
    /// Keys in the text's order; a key may be there twice.
    Map(Vec<(Node, Node)>),
}

impl Node {
    /// What it is, for messages: `a list`.
    pub(super) const fn kind(&self) -> &'static str {
        match self.data {
            Data::Null => "nothing",
            Data::Bool(_) => "true or false",
            Data::Int(_) | Data::Float(_) => "a number",
            Data::Text { .. } => "text",
            Data::List(_) => "a list",
            Data::Map(_) => "a mapping",
        }
    }

    /// The text, if it is text.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.data {
            Data::Text { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The key and the value under `key`; the first one if there are several.
    pub(crate) fn entry(&self, key: &str) -> Option<(&Self, &Self)> {
        match &self.data {
            Data::Map(entries) => entries.iter().find(|(name, _)| name.text() == Some(key)).map(|(k, v)| (k, v)),
            _ => None,
        }
    }

    /// The value under `key`.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|(_, value)| value)
    }

    /// The elements of a list; empty for anything else.
    pub(crate) fn elements(&self) -> &[Self] {
        match &self.data {
            Data::List(list) => list,
            _ => &[],
        }
    }

    fn count(&self) -> usize {
        let mut open = vec![self];
        let mut count = 0;
        while let Some(node) = open.pop() {
            count += 1;
            match &node.data {
                Data::List(list) => open.extend(list),
                Data::Map(entries) => open.extend(entries.iter().flat_map(|(key, value)| [key, value])),
                _ => {}
            }
        }
        count
    }
}

/// Why a text is no tree.
#[derive(Debug)]
pub(crate) struct TreeError {
    pub(crate) place: Place,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) hint: Option<&'static str>,
}

impl TreeError {
    fn new(place: Place, code: &'static str, message: impl Into<String>, hint: Option<&'static str>) -> Self {
        Self { place, code, message: message.into(), hint }
    }
}

/// Reads the one document of a text; `None` if there is nothing in it.
pub(crate) fn parse(text: &str) -> Result<Option<Node>, TreeError> {
    if text.len() > MAX_TEXT_BYTES {
        let message = format!("the plan is larger than {} MiB", MAX_TEXT_BYTES >> 20);
        return Err(TreeError::new(
            Place::default(),
            "too_large",
            message,
            Some("put long scripts into files of their own"),
        ));
    }
    let mut builder = Builder::default();
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| syntax_error(text, &error))?;
        builder.take(event, span)?;
    }
    Ok(builder.root)
}

fn syntax_error(text: &str, error: &saphyr_parser::ScanError) -> TreeError {
    let place = Place::of(*error.marker());
    let line = text.lines().nth(place.line.saturating_sub(1) as usize).unwrap_or_default();
    let indent: String = line.chars().take_while(|c| c.is_whitespace()).collect();
    let hint = if indent.contains('\t') {
        Some("YAML does not allow tabs for indentation: use blanks")
    } else if error.info().contains("mapping values are not allowed") {
        Some("put quotes around a value that has `: ` in it, and line keys up with their neighbours")
    } else {
        None
    };
    TreeError::new(place, "yaml_syntax", format!("this is not YAML: {}", error.info()), hint)
}

/// A list or mapping whose end has not come yet.
struct Open {
    place: Place,
    anchor: usize,
    is_map: bool,
    key: Option<Node>,
    list: Vec<Node>,
    map: Vec<(Node, Node)>,
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    copied: usize,
    documents: usize,
    root: Option<Node>,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), TreeError> {
        let place = Place::of(span.start);
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    let hint = Some("put the second plan into a file of its own, or remove the `---`");
                    return Err(TreeError::new(place, "many_documents", "a plan file holds one document", hint));
                }
            }
            Event::Scalar(value, style, anchor, tag) => {
                let node = scalar(place, span, value, style, tag.as_ref())?;
                self.add(node, anchor)?;
            }
            Event::SequenceStart(anchor, _) => self.start(place, anchor, false)?,
            Event::MappingStart(anchor, _) => self.start(place, anchor, true)?,
            Event::SequenceEnd | Event::MappingEnd => self.end()?,
            Event::Alias(anchor) => {
                let node = self.resolve(anchor, place)?;
                self.add(node, 0)?;
            }
            Event::DocumentEnd | Event::StreamStart | Event::StreamEnd | Event::Nothing => {}
        }
        Ok(())
    }

    fn start(&mut self, place: Place, anchor: usize, is_map: bool) -> Result<(), TreeError> {
        if self.open.len() == MAX_DEPTH {
            let message = format!("lists and mappings are more than {MAX_DEPTH} deep");
            return Err(TreeError::new(place, "too_deep", message, None));
        }
        self.open.push(Open { place, anchor, is_map, key: None, list: Vec::new(), map: Vec::new() });
        Ok(())
    }

    fn end(&mut self) -> Result<(), TreeError> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let data = if open.is_map { Data::Map(open.map) } else { Data::List(open.list) };
        self.add(Node { place: open.place, data }, open.anchor)
    }

    fn add(&mut self, node: Node, anchor: usize) -> Result<(), TreeError> {
        if anchor > 0 {
            self.count_copy(&node, node.place)?;
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(open) if !open.is_map => open.list.push(node),
            Some(open) => match open.key.take() {
                None => open.key = Some(node),
                Some(key) => open.map.push((key, node)),
            },
        }
        Ok(())
    }

    fn count_copy(&mut self, node: &Node, place: Place) -> Result<(), TreeError> {
        self.copied += node.count();
        if self.copied > MAX_COPIED_NODES {
            let hint = Some("write the values out, or use `foreach`");
            return Err(TreeError::new(place, "too_large", "anchors and aliases make the plan too large", hint));
        }
        Ok(())
    }

    /// The anchored value again; its places stay those of the anchor, where it is written.
    fn resolve(&mut self, anchor: usize, place: Place) -> Result<Node, TreeError> {
        let Some(node) = self.anchors.get(&anchor).cloned() else {
            return Err(TreeError::new(place, "yaml_syntax", "the alias is inside the value that it stands for", None));
        };
        self.count_copy(&node, place)?;
        if self.open.len() + depth(&node) > MAX_DEPTH {
            let message = format!("lists and mappings are more than {MAX_DEPTH} deep");
            return Err(TreeError::new(place, "too_deep", message, None));
        }
        Ok(node)
    }
}

fn depth(node: &Node) -> usize {
    let mut deepest = 0;
    let mut open = vec![(node, 1)];
    while let Some((node, depth)) = open.pop() {
        deepest = deepest.max(depth);
        match &node.data {
            Data::List(list) => open.extend(list.iter().map(|node| (node, depth + 1))),
            Data::Map(entries) => {
                open.extend(entries.iter().flat_map(|(key, value)| [key, value]).map(|node| (node, depth + 1)));
            }
            _ => {}
        }
    }
    deepest
}

fn scalar(
    place: Place,
    span: Span,
    value: Cow<'_, str>,
    style: ScalarStyle,
    tag: Option<&Cow<'_, Tag>>,
) -> Result<Node, TreeError> {
    let shown = value.to_string();
    let Some(scalar) = Scalar::parse_from_cow_and_metadata(value, style, tag) else {
        let message = format!("`{}` is not what its tag says", shown.chars().take(40).collect::<String>());
        return Err(TreeError::new(place, "yaml_syntax", message, Some("remove the tag (`!!…`)")));
    };
    let data = match scalar {
        Scalar::Null => Data::Null,
        Scalar::Boolean(value) => Data::Bool(value),
        Scalar::Integer(value) => Data::Int(value),
        Scalar::FloatingPoint(value) => Data::Float(value.into_inner()),
        Scalar::String(text) => {
            let is_plain = style == ScalarStyle::Plain && span.start.line() == span.end.line();
            Data::Text { text: text.into_owned(), is_plain }
        }
    };
    Ok(Node { place, data })
}

#[cfg(test)]
mod tests {
    use super::{Data, Place, parse};

    #[test]
    fn values_know_their_places() {
        let root = parse("a: 1\nbé: [x, 'y']\nc:\n  d: |\n    text\n").unwrap().unwrap();
        let place = |line, column| Place { line, column };
        assert_eq!(root.entry("bé").unwrap().0.place, place(2, 1));
        assert_eq!(root.get("bé").unwrap().elements()[1].place, place(2, 9));
        assert_eq!(root.get("c").unwrap().get("d").unwrap().text(), Some("text\n"));
        assert!(matches!(root.get("a").unwrap().data, Data::Int(1)));
    }

    #[test]
    fn bombs_are_refused() {
        let laughs = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned()
            + &('b'..='h')
                .zip('a'..)
                .map(|(n, p)| format!("{n}: &{n} [{}]\n", vec![format!("*{p}"); 9].join(", ")))
                .collect::<String>();
        assert_eq!(parse(&laughs).unwrap_err().code, "too_large");
        assert_eq!(parse(&"- ".repeat(1000)).unwrap_err().code, "too_deep");
        assert_eq!(parse(&"x".repeat(5 << 20)).unwrap_err().code, "too_large");
        assert_eq!(parse("a: &a [*a]").unwrap_err().code, "yaml_syntax");
        assert_eq!(parse("a: 1\n---\nb: 2\n").unwrap_err().code, "many_documents");
        let deep = (0..40)
            .map(|n| format!("a{n}: &a{n} [{}]\n", if n == 0 { "1".to_owned() } else { format!("*a{}", n - 1) }));
        assert!(parse(&deep.collect::<String>()).is_ok());
    }

    #[test]
    fn nothing_is_none() {
        for text in ["", "# only a comment\n"] {
            assert!(parse(text).unwrap().is_none(), "{text:?}");
        }
    }
}
