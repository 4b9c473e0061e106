//! The head of a `SKILL.md`: YAML between two `---` lines.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle};

/// The longest head, in bytes: the standard's fields together stay far below.
const MAX_BYTES: usize = 32 * 1024;

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
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let rest = text.strip_prefix("---")?;
    let rest = rest.trim_start_matches([' ', '\t', '\r']).strip_prefix('\n')?;
    let mut end = 0;
    for line in rest.split_inclusive('\n') {
        if line.trim_end() == "---" {
            return rest.get(..end);
        }
        end += line.len();
    }
    None
}

/// Reads scalars of the top mapping and of `metadata`. Works on the parser's events, without recursion, so that no
/// depth of nesting can exhaust the stack.
fn read(head: &str) -> Result<Frontmatter, FrontmatterError> {
    let mut found = Frontmatter::default();
    let mut depth = 0_usize;
    let mut key: Option<String> = None;
    let mut group: Option<String> = None;
    let mut parser = Parser::new_from_str(head);
    while let Some(event) = parser.next_event() {
        let (event, _) = event.map_err(|error| FrontmatterError::BadYaml {
            line: error.marker().line() + 1,
            message: error.info().to_owned(),
        })?;
        match event {
            Event::MappingStart(..) | Event::SequenceStart(..) => {
                if depth == 0 && matches!(event, Event::SequenceStart(..)) {
                    return Err(FrontmatterError::NotMapping);
                }
                if depth == 1 {
                    let is_mapping = matches!(event, Event::MappingStart(..));
                    group = key.take().filter(|_| is_mapping);
                }
                depth += 1;
            }
            Event::MappingEnd | Event::SequenceEnd => {
                depth = depth.saturating_sub(1);
                if depth == 1 {
                    group = None;
                    key = None;
                }
            }
            Event::Scalar(_, _, _, _) if depth == 0 => return Err(FrontmatterError::NotMapping),
            Event::Scalar(value, style, _, _) if depth == 1 || (depth == 2 && group.as_deref() == Some("metadata")) => {
                match key.take() {
                    None => key = Some(value.into_owned()),
                    Some(name) if depth == 2 => {
                        found.metadata.insert(name, value.into_owned());
                    }
                    Some(name) => found.set(&name, &value, style),
                }
            }
            Event::Alias(_) if depth == 1 => key = None,
            _ => {}
        }
    }
    if depth == 0 && found == Frontmatter::default() && head.trim().is_empty() {
        return Err(FrontmatterError::NotMapping);
    }
    Ok(found)
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
mod tests {
    use super::{Frontmatter, FrontmatterError};

    #[test]
    fn the_standard_fields_are_read() {
        let text = "---\nname: pdf-tools\ndescription: >\n  Works with\n  PDF files.\nlicense: MIT\ncompatibility: python3\n\
                    allowed-tools: Read Bash\nmetadata:\n  author: someone\n  version: 1.2\nextra: [1, {a: b}]\n---\n# Body\n";
        let head = Frontmatter::parse(text).unwrap();
        assert_eq!(head.name.as_deref(), Some("pdf-tools"));
        assert_eq!(head.description.as_deref(), Some("Works with PDF files."));
        assert_eq!(head.license.as_deref(), Some("MIT"));
        assert_eq!(head.compatibility.as_deref(), Some("python3"));
        assert_eq!(head.allowed_tools.as_deref(), Some("Read Bash"));
        assert_eq!(head.metadata["version"], "1.2");
        assert_eq!(head.metadata.len(), 2);
        assert!(!head.was_mended);
    }

    #[test]
    fn a_colon_in_a_plain_value_is_mended() {
        let head = Frontmatter::parse("---\r\nname: x\r\ndescription: Use when: it's needed\r\n---\r\n").unwrap();
        assert_eq!(head.description.as_deref(), Some("Use when: it's needed"));
        assert!(head.was_mended);
    }

    #[test]
    fn what_is_no_head_is_refused() {
        for (text, error) in [
            ("# Only text", FrontmatterError::Missing),
            ("---\nname: x\n", FrontmatterError::Missing),
            ("---\n- a\n---\n", FrontmatterError::NotMapping),
            ("---\njust text\n---\n", FrontmatterError::NotMapping),
            ("---\n---\n", FrontmatterError::NotMapping),
        ] {
            assert_eq!(Frontmatter::parse(text), Err(error), "{text:?}");
        }
        assert!(matches!(Frontmatter::parse("---\nname: [\n---\n"), Err(FrontmatterError::BadYaml { .. })));
        let long = format!("---\nname: {}\n---\n", "x".repeat(40_000));
        assert_eq!(Frontmatter::parse(&long), Err(FrontmatterError::TooLong));
    }

    #[test]
    fn deep_nesting_does_not_exhaust_the_stack() {
        let text = format!("---\ndescription: d\ndeep:\n  {}x\n---\n", "- ".repeat(10_000));
        assert_eq!(Frontmatter::parse(&text).unwrap().description.as_deref(), Some("d"));
    }

    #[test]
    fn an_empty_description_is_none() {
        for text in ["---\ndescription:\n---\n", "---\ndescription: ~\n---\n", "---\ndescription: ''\n---\n"] {
            assert_eq!(Frontmatter::parse(text).unwrap().description, None, "{text:?}");
        }
    }
}
