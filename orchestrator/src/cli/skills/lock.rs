//! `baton skills lock`, `baton skills verify`

use std::collections::BTreeSet;

use ::skills::{Locked, Severity, Source, Status, resolve_one, worst};
use serde_json::json;

use super::{
    args::{Here, LockArgs},
    list::{changes, word},
    place::{Place, at},
    shown,
};
use crate::cli::{
    CliError, Context, Exit,
    style::{Paint, clean_line},
};

pub(super) fn lock(context: &Context, args: &LockArgs) -> Result<Exit, CliError> {
    let ui = context.ui;
    let place = Place::of(context, &args.here)?;
    let mut target = place.target(args.user)?;
    let source = if args.user { Source::User } else { Source::Project };
    let mut names = args.names.clone();
    if args.all {
        names.extend(place.of_source(source).into_iter().map(|skill| skill.name.clone()));
    }
    let mut refused = Vec::new();
    for name in names.into_iter().collect::<BTreeSet<_>>() {
        let resolved = place.resolved(&name)?;
        let entry = target.entries.skills.get(&name);
        if entry.is_some_and(|entry| entry.digest == resolved.packed.digest) {
            ui.say(&format!("{}: is admitted as it is", clean_line(&name)));
            continue;
        }
        if !ui.json {
            ui.say(changes(ui.err, &resolved.status).trim_end());
        }
        shown::print(context, &name, Some(&place.skill(&name)?.folder), &resolved.findings)?;
        if worst(&resolved.findings) == Some(Severity::Error) && !args.accept {
            refused.push(clean_line(&name));
            continue;
        }
        let origin = entry.map_or_else(|| "here".to_owned(), |entry| entry.source.clone());
        let mut fresh = Locked::of(&resolved.packed, origin, None, &at(), &context.person());
        if let Some(entry) = entry {
            fresh.exports.clone_from(&entry.exports);
        }
        target.entries.skills.insert(name.clone(), fresh);
        target.save()?;
        if ui.json {
            ui.json_line(&json!({ "name": name, "digest": resolved.packed.digest, "before": resolved.status }))?;
        } else {
            ui.data(&format!("{}: admitted, {}", clean_line(&name), resolved.packed.digest))?;
        }
    }
    if refused.is_empty() {
        return Ok(Exit::Ok);
    }
    let detail = format!("not admitted, there are findings of severity error: {}", refused.join(", "));
    let hint = "read the files; say `--accept` only if you know why each finding is harmless";
    Err(CliError::new(Exit::Refused, "findings", detail, Some(hint)))
}

pub(super) fn verify(context: &Context, names: &[String], here: &Here) -> Result<Exit, CliError> {
    let ui = context.ui;
    let place = Place::of(context, here)?;
    if let Some(problem) = place.locks.problems.first() {
        return Err(problem.clone().into());
    }
    let mut wanted: BTreeSet<String> = names.iter().cloned().collect();
    if names.is_empty() {
        wanted.extend(place.locks.project.skills.keys().cloned());
        wanted.extend(place.of_source(Source::Project).into_iter().map(|skill| skill.name.clone()));
        wanted.extend(place.of_source(Source::User).into_iter().map(|skill| skill.name.clone()));
    }
    let mut exit = Exit::Ok;
    for name in wanted {
        // A name that a person gave must be one.
        if !names.is_empty() {
            place.skill(&name)?;
        }
        let resolved = place.catalog.get(&name).map(|skill| resolve_one(skill, &place.locks)).transpose()?;
        let status = resolved.as_ref().map(|resolved| &resolved.status);
        if status.is_none_or(Status::needs_approval) {
            exit = Exit::Negative;
        }
        if ui.json {
            match status {
                Some(status) => ui.json_line(&json!({ "name": name, "state": status }))?,
                None => ui.json_line(&json!({ "name": name, "state": { "status": "missing" } }))?,
            }
            continue;
        }
        let (state, paint) = status.map_or(("missing", Paint::Red), word);
        let more = status.map(|status| changes(ui.out, status)).unwrap_or_default();
        ui.data(format!("{}: {}\n{more}", clean_line(&name), ui.out.paint(paint, state)).trim_end())?;
    }
    Ok(exit)
}
