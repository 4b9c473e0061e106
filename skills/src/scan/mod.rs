//! A static look at a skill's files for what malicious skills do: findings by line, worst first.
//!
//! A scan proves nothing: it makes the usual tricks visible before a person admits a skill. What keeps a skill from
//! doing harm is the VM it is used in.
//!
//! ```text
//! file ─┬─ hidden:  characters a person does not see          (every text)
//!       ├─ blobs:   long runs of base64 or hex                (every text)
//!       ├─ rules:   patterns, line by line                    (severity by kind: program or prose)
//!       └─ binary:  programs that cannot be read              (by their first bytes)
//! ```

mod blobs;
mod hidden;
mod prose;
mod rules;

use std::path::Path;

use crate::{
    finding::{self, Finding, Severity, SkillError},
    pack,
    tree::{Contents, SkillFile},
};

/// The longest beginning of a file that is looked at.
const MAX_SCANNED: usize = 2 << 20;
/// Findings of one skill; what has more is not read line by line.
const MAX_FINDINGS: usize = 200;
/// A line of a program that is longer hides something, or was made by a machine.
const LONG_LINE_CHARS: usize = 2000;
/// First bytes of programs for a processor.
const NATIVE: [&[u8]; 5] = [b"\x7fELF", b"MZ", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"\0asm"];

/// What a file is, for the severity of what is found in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It is run.
    Program,
    /// An agent reads it.
    Prose,
    /// Neither.
    Data,
}

/// Looks at a skill's files.
///
/// # Errors
/// They cannot be read, or are too large.
pub fn scan(folder: &Path) -> Result<Vec<Finding>, SkillError> {
    Ok(scan_contents(&pack::read(folder)?))
}

pub(crate) fn scan_contents(contents: &Contents) -> Vec<Finding> {
    let mut findings = Vec::new();
    for path in &contents.left_out {
        let message = "is a link or no plain file; it is not part of the skill";
        findings.push(Finding::new(Severity::Warning, "link", (path, 0), message, None));
    }
    for (file, content) in &contents.files {
        one(file, content, &mut findings);
        if findings.len() > MAX_FINDINGS {
            findings.truncate(MAX_FINDINGS);
            let message = format!("more than {MAX_FINDINGS} findings; the rest of the skill was not looked at");
            findings.push(Finding::new(Severity::Error, "too_many_findings", (&file.path, 0), message, None));
            break;
        }
    }
    finding::sort(&mut findings);
    findings
}

fn one(file: &SkillFile, content: &[u8], findings: &mut Vec<Finding>) {
    let path = file.path.as_str();
    if NATIVE.iter().any(|magic| content.starts_with(magic)) {
        let hint = Some("ask for its source");
        let message = "is a program for a processor: it cannot be read";
        findings.push(Finding::new(Severity::Error, "native_program", (path, 0), message, hint));
        return;
    }
    let looked_at = content.get(..MAX_SCANNED).unwrap_or(content);
    if looked_at.len() < content.len() {
        let message = format!("only the first {} MiB were looked at", MAX_SCANNED >> 20);
        findings.push(Finding::new(Severity::Warning, "scan_cut", (path, 0), message, None));
    }
    let kind = kind_of(file);
    let text = match std::str::from_utf8(looked_at) {
        Ok(text) if !text.contains('\0') => text,
        Err(error) if error.error_len().is_none() && looked_at.len() < content.len() => {
            std::str::from_utf8(looked_at.get(..error.valid_up_to()).unwrap_or_default()).unwrap_or_default()
        }
        _ => {
            let severity = if kind == Kind::Data { Severity::Info } else { Severity::Error };
            findings.push(Finding::new(severity, "binary", (path, 0), "is not text: it was not looked at", None));
            return;
        }
    };
    hidden::look(path, text, findings);
    blobs::look(path, text, kind, findings);
    for (line, logical) in logical_lines(text) {
        if kind == Kind::Program && logical.chars().count() > LONG_LINE_CHARS {
            let message = "is a very long line: it may hide something";
            findings.push(Finding::new(Severity::Warning, "long_line", (path, line), message, None));
        }
        rules::look((path, line), &logical, kind, findings);
        if findings.len() > MAX_FINDINGS {
            return;
        }
    }
    if kind != Kind::Data {
        prose::look(path, text, kind, findings);
    }
}

fn kind_of(file: &SkillFile) -> Kind {
    let ending = file.path.rsplit_once('.').map_or("", |(_, ending)| ending).to_lowercase();
    if file.script {
        Kind::Program
    } else if file.path.starts_with("evals/") {
        Kind::Data
    } else if matches!(ending.as_str(), "md" | "mdx" | "markdown" | "txt" | "rst" | "adoc" | "html" | "") {
        Kind::Prose
    } else {
        Kind::Data
    }
}

/// Lines with their numbers; one that ends in a backslash goes on in the next.
fn logical_lines(text: &str) -> Vec<(u32, String)> {
    let mut found: Vec<(u32, String)> = Vec::new();
    let mut goes_on = false;
    for (number, line) in (1_u32..).zip(text.lines()) {
        let (own, next) = match line.trim_end().strip_suffix('\\') {
            Some(own) => (own, true),
            None => (line, false),
        };
        match found.last_mut().filter(|_| goes_on) {
            Some((_, open)) => open.push_str(own),
            None => found.push((number, own.to_owned())),
        }
        goes_on = next;
    }
    found
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
