//! `baton skills list`, `baton skills show`

use ::skills::{NoticeKind, Resolved, Source, Status, resolve_one};
use serde::Serialize;

use super::{args::Here, place::Place, shown};
use crate::cli::{
    CliError, Context, Exit,
    render::{count, size, table},
    style::{Paint, Style, clean, clean_line},
};

/// Characters of a description in the list.
const DESCRIPTION_CHARS: usize = 72;
/// A digest's digits in lists.
const DIGEST_DIGITS: usize = 12;

/// A skill, for `--json`.
#[derive(Serialize)]
struct View<'a> {
    name: &'a str,
    description: &'a str,
    source: Source,
    folder: String,
    #[serde(flatten)]
    status: &'a Status,
    digest: &'a str,
    sha256: &'a str,
    bytes: usize,
    findings: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<&'a [::skills::SkillFile]>,
}

impl<'a> View<'a> {
    fn of(resolved: &'a Resolved, folder: String, with_files: bool) -> Self {
        let packed = &resolved.packed;
        Self {
            name: &resolved.name,
            description: &resolved.description,
            source: resolved.source,
            folder,
            status: &resolved.status,
            digest: &packed.digest,
            sha256: &packed.sha256,
            bytes: packed.tar.len(),
            findings: resolved.findings.len(),
            files: with_files.then_some(&packed.files),
        }
    }
}

pub(super) fn list(context: &Context, here: &Here) -> Result<Exit, CliError> {
    let (ui, place) = (context.ui, Place::of(context, here)?);
    let mut rows = Vec::new();
    for skill in place.catalog.iter() {
        let resolved = match resolve_one(skill, &place.locks) {
            Ok(resolved) => resolved,
            Err(error) => {
                ui.say(&format!("warning: {}", clean_line(&error.message)));
                continue;
            }
        };
        if ui.json {
            ui.json_line(&View::of(&resolved, skill.folder.display().to_string(), false))?;
            continue;
        }
        let said: String = clean_line(&skill.description).chars().take(DESCRIPTION_CHARS).collect();
        let (word, paint) = word(&resolved.status);
        let name = ui.out.paint(Paint::Bold, clean_line(&skill.name));
        rows.push(vec![name, skill.source.to_string(), ui.out.paint(paint, word), said]);
    }
    if !ui.json && !rows.is_empty() {
        ui.data(&table(ui.out, &["NAME", "FROM", "STATE", "FOR"], &rows))?;
    }
    if rows.is_empty() {
        ui.say("no skills; `baton skills add` brings some, see docs/skills.md");
    }
    place.notices(context, &[NoticeKind::LeftOut, NoticeKind::Shadowed]);
    Ok(Exit::Ok)
}

/// A status in a word.
pub(super) const fn word(status: &Status) -> (&'static str, Paint) {
    match status {
        Status::Bundled => ("bundled", Paint::Dim),
        Status::Locked => ("admitted", Paint::Green),
        Status::Changed { .. } => ("changed", Paint::Red),
        Status::NotLocked => ("not admitted", Paint::Yellow),
    }
}

pub(super) fn show(context: &Context, name: &str, here: &Here) -> Result<Exit, CliError> {
    let (ui, place) = (context.ui, Place::of(context, here)?);
    let skill = place.skill(name)?;
    let resolved = place.resolved(name)?;
    if ui.json {
        ui.json_line(&View::of(&resolved, skill.folder.display().to_string(), true))?;
        return Ok(Exit::Ok);
    }
    let (state, paint) = word(&resolved.status);
    let label = |text: &str| ui.out.paint(Paint::Dim, format!("{text:<14}"));
    let mut text = format!("{}\n{}\n\n", ui.out.paint(Paint::Bold, clean_line(name)), clean(&skill.description));
    text.push_str(&format!(
        "{}{} ({})\n",
        label("from"),
        skill.source,
        clean_line(&skill.folder.display().to_string())
    ));
    text.push_str(&format!("{}{}\n", label("state"), ui.out.paint(paint, state)));
    text.push_str(&changes(ui.out, &resolved.status));
    let entry = place.locks.project.skills.get(name).or_else(|| place.locks.user.skills.get(name));
    if let Some(entry) = entry {
        let (by, at) = (clean_line(&entry.admitted_by), clean_line(&entry.admitted_at));
        text.push_str(&format!("{}{by}, {at}, from {}\n", label("admitted by"), clean_line(&entry.source)));
    }
    let head = [
        ("license", &skill.head.license),
        ("needs", &skill.head.compatibility),
        ("asks for", &skill.head.allowed_tools),
    ];
    for (name, value) in head {
        if let Some(value) = value {
            text.push_str(&format!("{}{}\n", label(name), clean_line(value)));
        }
    }
    text.push_str(&format!("{}{}\n", label("digest"), resolved.packed.digest));
    text.push_str(&format!("{}{}\n", label("scan"), shown::summary(&resolved.findings)));
    text.push_str(&format!("\n{}\n", count(resolved.packed.files.len(), "file")));
    let rows: Vec<Vec<String>> = resolved
        .packed
        .files
        .iter()
        .map(|file| {
            let sha: String = file.sha256.chars().take(DIGEST_DIGITS).collect();
            let kind = if file.script { "program" } else { "" };
            vec![format!("  {}", clean_line(&file.path)), size(file.bytes), sha, kind.to_owned()]
        })
        .collect();
    text.push_str(&table(ui.out, &["  PATH", "SIZE", "SHA-256", ""], &rows));
    ui.data(&text)?;
    Ok(Exit::Ok)
}

/// What changed since a person looked, a path a line; empty if nothing did.
pub(super) fn changes(style: Style, status: &Status) -> String {
    let Status::Changed { files, new_scripts } = status else { return String::new() };
    let line = |path: &String| {
        let is_new = new_scripts.contains(path);
        let word = if is_new { style.paint(Paint::Red, " new program") } else { String::new() };
        format!("    {}{word}\n", clean_line(path))
    };
    files.iter().map(line).collect()
}
