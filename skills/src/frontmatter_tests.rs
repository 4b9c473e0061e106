use super::{FieldKind, Frontmatter, FrontmatterError};

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
    let fields: Vec<_> = head.fields.iter().map(|field| (field.name.as_str(), field.line, field.kind)).collect();
    assert_eq!(fields[0], ("name", 2, FieldKind::Text));
    assert_eq!(fields[5], ("metadata", 9, FieldKind::Mapping));
    assert_eq!(fields[7], ("metadata.version", 11, FieldKind::Other));
    assert_eq!(fields[8], ("extra", 12, FieldKind::List));
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
