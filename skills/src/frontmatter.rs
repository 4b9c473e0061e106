//! The head of a `SKILL.md`: YAML between two `---` lines.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle};

/// The longest head, in bytes: the standard's fields together stay far below.
pub(crate) const MAX_BYTES: usize = 32 * 1024;

/// What a skill says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontmatter {
    /// Its name, if it gives one.
    pub name: Option<String>,
    /// What it does and when to use it.
    pub description: Option<String>,
    /// Its licence.
    pub license: Option<String>,
    /// What it needs around it.
    pub compatibility: Option<String>,
    /// Tools it would like to use: a request, never a grant.
    pub allowed_tools: Option<String>,
    /// Anything else, text by text.
    pub metadata: BTreeMap<String, String>,
    /// The YAML was broken and could be read after quoting values with a colon in them.
    pub was_mended: bool,
    /// Every key in the order it is written, those of `metadata` as `metadata.key`.
    pub fields: Vec<Field>,
}

/// A key of the head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// The line in the file, from 1.
    pub line: u32,
    /// What its value is.
    pub kind: FieldKind,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// Text.
    Text,
    /// A number, a truth value, nothing, or an alias.
    Other,
    /// A list.
    List,
    /// A mapping.
    Mapping,
}

/// Why a head could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrontmatterError {
    /// The file does not start with `---`, or a second `---` is missing.
    #[error("no head between two `---` lines")]
    Missing,
    /// The head is too long.
    #[error("the head is longer than {MAX_BYTES} bytes")]
    TooLong,
    /// The head is not YAML.
    #[error("line {line}: {message}")]
    BadYaml {
        /// The line in the file, from 1.
        line: usize,
        /// What the parser says.
        message: String,
    },
    /// The head is YAML, but not a mapping.
    #[error("the head is not a list of `key: value` lines")]
    NotMapping,
}

impl Frontmatter {
    /// Reads the head of a `SKILL.md`.
    ///
    /// # Errors
    /// [`FrontmatterError`].
    pub fn parse(text: &str) -> Result<Self, FrontmatterError> {
        let head = head_of(text).ok_or(FrontmatterError::Missing)?;
        if head.len() > MAX_BYTES {
            return Err(FrontmatterError::TooLong);
        }
        match read(head) {
            Err(broken @ FrontmatterError::BadYaml { .. }) => {
                let mended = read(&quote_values(head)).map_err(|_| broken)?;
                Ok(Self { was_mended: true, ..mended })
            }
            other => other,
        }
    }
}

fn head_of(text: &str) -> Option<&str> {
    split(text).map(|(head, _)| head)
}

/// The head and the body of a `SKILL.md`, without the lines between them.
pub(crate) fn split(text: &str) -> Option<(&str, &str)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let rest = text.strip_prefix("---")?;
    let rest = rest.trim_start_matches([' ', '\t', '\r']).strip_prefix('\n')?;
    let mut end = 0;
    for line in rest.split_inclusive('\n') {
        if line.trim_end() == "---" {
            return Some((rest.get(..end)?, rest.get(end + line.len()..)?));
        }
        end += line.len();
    }
    None
}

/// Reads the top mapping and `metadata`. Works on the parser's events, without recursion, so that no depth of nesting
/// can exhaust the stack.
fn read(head: &str) -> Result<Frontmatter, FrontmatterError> {
    let mut reader = Reader::default();
    let mut parser = Parser::new_from_str(head);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| FrontmatterError::BadYaml {
            line: error.marker().line() + 1,
            message: error.info().to_owned(),
        })?;
        reader.take(event, u32::try_from(span.start.line() + 1).unwrap_or(u32::MAX))?;
    }
    if reader.found == Frontmatter::default() && head.trim().is_empty() {
        return Err(FrontmatterError::NotMapping);
    }
    Ok(reader.found)
}

/// Where the reading is.
#[derive(Default)]
struct Reader {
    found: Frontmatter,
    depth: usize,
    key: Option<(String, u32)>,
    in_metadata: bool,
}

impl Reader {
    fn take(&mut self, event: Event<'_>, line: u32) -> Result<(), FrontmatterError> {
        let is_here = self.depth == 1 || (self.depth == 2 && self.in_metadata);
        match event {
            Event::MappingStart(..) | Event::SequenceStart(..) => {
                let kind = if matches!(event, Event::MappingStart(..)) { FieldKind::Mapping } else { FieldKind::List };
                if self.depth == 0 && kind == FieldKind::List {
                    return Err(FrontmatterError::NotMapping);
                }
                if is_here {
                    let Some((name, line)) = self.key.take() else { return Err(FrontmatterError::NotMapping) };
                    if self.depth == 1 {
                        self.in_metadata = name == "metadata" && kind == FieldKind::Mapping;
                    }
                    self.field(&name, line, kind);
                }
                self.depth += 1;
            }
            Event::MappingEnd | Event::SequenceEnd => {
                self.depth = self.depth.saturating_sub(1);
                if self.depth == 1 {
                    self.in_metadata = false;
                }
            }
            Event::Scalar(..) if self.depth == 0 => return Err(FrontmatterError::NotMapping),
            Event::Scalar(value, style, _, _) if is_here => match self.key.take() {
                None => self.key = Some((value.into_owned(), line)),
                Some((name, line)) => {
                    let is_plain = style == ScalarStyle::Plain;
                    let kind = if is_plain && is_other(&value) { FieldKind::Other } else { FieldKind::Text };
                    self.field(&name, line, kind);
                    if self.depth == 2 {
                        self.found.metadata.insert(name, value.into_owned());
                    } else {
                        self.found.set(&name, &value, style);
                    }
                }
            },
            Event::Alias(_) if is_here => {
                let Some((name, line)) = self.key.take() else { return Err(FrontmatterError::NotMapping) };
                self.field(&name, line, FieldKind::Other);
            }
            _ => {}
        }
        Ok(())
    }

    fn field(&mut self, name: &str, line: u32, kind: FieldKind) {
        let name = if self.depth == 2 { format!("metadata.{name}") } else { name.to_owned() };
        self.found.fields.push(Field { name, line, kind });
    }
}

/// A plain value that YAML takes for something else than text.
fn is_other(value: &str) -> bool {
    matches!(value, "" | "~" | "null" | "true" | "false") || value.parse::<f64>().is_ok()
}

impl Frontmatter {
    fn set(&mut self, name: &str, value: &str, style: ScalarStyle) {
        let value = value.trim();
        if value.is_empty() || (style == ScalarStyle::Plain && matches!(value, "~" | "null")) {
            return;
        }
        let field = match name {
            "name" => &mut self.name,
            "description" => &mut self.description,
            "license" => &mut self.license,
            "compatibility" => &mut self.compatibility,
            "allowed-tools" => &mut self.allowed_tools,
            _ => return,
        };
        *field = Some(value.to_owned());
    }
}

/// Quotes the plain values of top-level lines: `description: Use when: needed` is a common slip.
fn quote_values(head: &str) -> String {
    let quoted = head.lines().map(|line| match line.split_once(": ") {
        Some((key, value)) if is_key(key) && !value.trim().is_empty() && !value.trim_start().starts_with(SPECIAL) => {
            format!("{key}: '{}'", value.trim().replace('\'', "''"))
        }
        _ => line.to_owned(),
    });
    quoted.collect::<Vec<_>>().join("\n")
}

/// What starts a value that is not plain.
const SPECIAL: [char; 9] = ['"', '\'', '|', '>', '[', '{', '&', '*', '!'];

fn is_key(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

#[cfg(test)]
#[path = "frontmatter_tests.rs"]
mod tests;
