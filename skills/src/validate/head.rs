//! The fields of the head.

use super::{SKILL_MD, problem};
use crate::{
    finding::{Finding, Severity},
    frontmatter::{Field, FieldKind, Frontmatter},
    load::{MAX_COMPATIBILITY_CHARS, MAX_DESCRIPTION_CHARS, MAX_NAME_CHARS, is_safe_name, is_standard_name},
};

/// What the standard knows.
const KNOWN: [&str; 6] = ["name", "description", "license", "compatibility", "metadata", "allowed-tools"];
/// A description that says less does not tell an agent when to use the skill.
const SHORT_DESCRIPTION_CHARS: usize = 20;

pub(super) fn check(head: &Frontmatter, folder_name: Option<&str>, findings: &mut Vec<Finding>) {
    if head.was_mended {
        let message = "the head is no valid YAML: a text with a `:` in it is not quoted";
        let hint = "write it in quotes; some tools do not load the skill as it is";
        findings.push(problem("bad_yaml", (SKILL_MD, 1), message, Some(hint)));
    }
    for (number, field) in head.fields.iter().enumerate() {
        check_field(field, findings);
        let earlier = head.fields.iter().take(number).find(|earlier| earlier.name == field.name);
        if let Some(earlier) = earlier {
            let message = format!("`{}` is already in line {}", shown(&field.name), earlier.line);
            findings.push(problem("duplicate_field", (SKILL_MD, field.line), message, Some("remove one of them")));
        }
    }
    check_name(head, folder_name, findings);
    check_texts(head, findings);
}

fn line_of(head: &Frontmatter, name: &str) -> u32 {
    head.fields.iter().find(|field| field.name == name).map_or(1, |field| field.line)
}

/// A key may hold anything; findings are read on terminals.
fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(64).collect()
}

fn check_field(field: &Field, findings: &mut Vec<Finding>) {
    let place = (SKILL_MD, field.line);
    if let Some(key) = field.name.strip_prefix("metadata.") {
        match field.kind {
            FieldKind::Text => {}
            FieldKind::Other => {
                let message = format!("`{}` in `metadata` is not text for YAML", shown(key));
                let hint = Some("write the value in quotes");
                findings.push(Finding::new(Severity::Warning, "bad_metadata", place, message, hint));
            }
            FieldKind::List | FieldKind::Mapping => {
                let message = format!("`{}` in `metadata` is not text", shown(key));
                findings.push(problem(
                    "bad_metadata",
                    place,
                    message,
                    Some("`metadata` has texts by name, nothing deeper"),
                ));
            }
        }
        return;
    }
    if !KNOWN.contains(&field.name.as_str()) {
        let message = format!("the standard has no field `{}`", shown(&field.name));
        findings.push(problem("unknown_field", place, message, Some("put it under `metadata`")));
        return;
    }
    let is_right = match field.name.as_str() {
        "metadata" => field.kind == FieldKind::Mapping,
        // A number is a text for all other purposes.
        _ => matches!(field.kind, FieldKind::Text | FieldKind::Other),
    };
    if !is_right {
        let hint = match field.name.as_str() {
            "metadata" => "write `key: value` lines below it",
            "allowed-tools" => "write the tools in one line, with blanks between them",
            _ => "write a text",
        };
        let message = format!("`{}` is of the wrong type", field.name);
        findings.push(problem("bad_type", place, message, Some(hint)));
    }
}

fn check_name(head: &Frontmatter, folder_name: Option<&str>, findings: &mut Vec<Finding>) {
    let place = (SKILL_MD, line_of(head, "name"));
    let Some(name) = &head.name else {
        let hint = folder_name.filter(|name| is_standard_name(name)).map(|name| format!("add `name: {name}`"));
        findings.push(problem("no_name", place, "there is no name", hint.as_deref()));
        return;
    };
    let shown = shown(name);
    if !is_safe_name(name) {
        let message = format!("the name `{shown}` would lead out of the folder of skills");
        findings.push(problem(
            "name_escapes",
            place,
            message,
            Some("use lower-case letters, digits and single hyphens"),
        ));
        return;
    }
    let chars = name.chars().count();
    if chars > MAX_NAME_CHARS {
        let message = format!("the name has {chars} characters; {MAX_NAME_CHARS} are the most");
        findings.push(problem("long_name", place, message, None));
    }
    if !is_standard_name(name) {
        let message = format!("the name `{shown}` is not made of lower-case letters, digits and single hyphens");
        let hint = "for example `review-git-change`; no hyphen at an end";
        findings.push(problem("bad_name", place, message, Some(hint)));
    }
    if let Some(folder_name) = folder_name.filter(|folder_name| folder_name != name) {
        let message = format!("the name `{shown}` is not the folder's, `{folder_name}`");
        findings.push(problem("name_not_folder", place, message, Some("rename one of them")));
    }
}

fn check_texts(head: &Frontmatter, findings: &mut Vec<Finding>) {
    let long = |field: &str, text: &str, most: usize| {
        // The standard counts characters, not bytes.
        let chars = text.chars().count();
        let message = format!("`{field}` has {chars} characters; {most} are the most");
        (chars > most).then(|| problem("long_text", (SKILL_MD, line_of(head, field)), message, None))
    };
    match &head.description {
        None => {
            let hint = "say in `description` what the skill does, and when to use it";
            let line = line_of(head, "description");
            findings.push(problem("no_description", (SKILL_MD, line), "there is no description", Some(hint)));
        }
        Some(text) => {
            findings.extend(long("description", text, MAX_DESCRIPTION_CHARS));
            if text.chars().count() < SHORT_DESCRIPTION_CHARS {
                let hint = Some("say what the skill does, and when to use it: agents choose by it");
                let place = (SKILL_MD, line_of(head, "description"));
                findings.push(Finding::new(
                    Severity::Warning,
                    "short_text",
                    place,
                    "the description says little",
                    hint,
                ));
            }
        }
    }
    findings
        .extend(head.compatibility.as_deref().and_then(|text| long("compatibility", text, MAX_COMPATIBILITY_CHARS)));
    for name in ["license", "compatibility", "allowed-tools"] {
        let value = match name {
            "license" => &head.license,
            "compatibility" => &head.compatibility,
            _ => &head.allowed_tools,
        };
        let field = head.fields.iter().find(|field| field.name == name);
        let is_scalar = |field: &&Field| matches!(field.kind, FieldKind::Text | FieldKind::Other);
        if let Some(field) = field.filter(is_scalar).filter(|_| value.is_none()) {
            let message = format!("`{name}` is empty");
            findings.push(problem("empty_field", (SKILL_MD, field.line), message, Some("remove the line")));
        }
    }
}
