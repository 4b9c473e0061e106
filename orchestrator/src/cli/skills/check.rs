//! `baton skills validate`, `baton skills scan`, `baton skills eval`

use std::path::{Path, PathBuf};

use ::skills::{Evals, Finding, NoticeKind, Severity, Source, perform, scan, validate, worst};
use serde_json::json;

use super::{
    args::{ChosenArgs, Here},
    place::Place,
    shown,
};
use crate::cli::{
    CliError, Context, Exit,
    render::count,
    style::{Paint, clean, clean_line},
};

/// Wrong after the standard: the input is invalid.
pub(super) fn strictly(context: &Context, args: &ChosenArgs) -> Result<Exit, CliError> {
    let findings = over(context, args, |folder| Ok(validate(folder)))?;
    Ok(if worst(&findings) == Some(Severity::Error) { Exit::Invalid } else { Exit::Ok })
}

/// Dangerous: it worked, and the answer is no.
pub(super) fn scanned(context: &Context, args: &ChosenArgs) -> Result<Exit, CliError> {
    let findings = over(context, args, |folder| Ok(scan(folder)?))?;
    Ok(if worst(&findings) == Some(Severity::Error) { Exit::Negative } else { Exit::Ok })
}

fn over(
    context: &Context,
    args: &ChosenArgs,
    look: impl Fn(&Path) -> Result<Vec<Finding>, CliError>,
) -> Result<Vec<Finding>, CliError> {
    let mut all = Vec::new();
    let mut clean_ones = 0;
    for (name, folder) in chosen(context, args)? {
        let findings = look(&folder)?;
        shown::print(context, &name, Some(&folder), &findings)?;
        clean_ones += usize::from(findings.is_empty());
        all.extend(findings);
    }
    if clean_ones > 0 {
        context.ui.say(&format!("{} without findings", count(clean_ones, "skill")));
    }
    Ok(all)
}

/// Folders as they are named, else skills of the catalogue.
fn chosen(context: &Context, args: &ChosenArgs) -> Result<Vec<(String, PathBuf)>, CliError> {
    let mut found = Vec::new();
    let mut place = None;
    for named in &args.skills {
        let path = Path::new(named);
        let is_path = named.contains('/') || named.starts_with('.');
        if path.join("SKILL.md").exists() || (path.is_dir() && is_path) {
            let name = path.canonicalize().ok().and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
            found.push((name.unwrap_or_else(|| named.clone()), path.to_owned()));
            continue;
        }
        let place = match &mut place {
            Some(place) => place,
            none => none.insert(Place::of(context, &args.here)?),
        };
        found.push((named.clone(), place.skill(named)?.folder.clone()));
    }
    if args.skills.is_empty() {
        let place = Place::of(context, &args.here)?;
        place.notices(context, &[NoticeKind::LeftOut]);
        found.extend(
            place.of_source(Source::Project).into_iter().map(|skill| (skill.name.clone(), skill.folder.clone())),
        );
        // What cannot be loaded is what needs a check most.
        let is_broken = |notice: &&::skills::Notice| {
            notice.kind == NoticeKind::LeftOut
                && notice.path.starts_with(&place.folder)
                && notice.path.join("SKILL.md").exists()
        };
        found.extend(place.catalog.notices().iter().filter(is_broken).map(|notice| {
            (notice.path.file_name().unwrap_or_default().to_string_lossy().into_owned(), notice.path.clone())
        }));
        if found.is_empty() {
            context.ui.say("no skills in this project; name a skill or a folder");
        }
    }
    Ok(found)
}

/// Lists a skill's evals; with `run` performs their checks here.
pub(super) fn eval(context: &Context, name: &str, run: bool, here: &Here) -> Result<Exit, CliError> {
    let (ui, place) = (context.ui, Place::of(context, here)?);
    let skill = place.skill(name)?;
    let evals = Evals::load(&skill.folder)?;
    let mut failed = 0;
    for eval in &evals.evals {
        let outcome = if run { Some(perform(&skill.folder, eval)?) } else { None };
        failed += usize::from(outcome.as_ref().is_some_and(|outcome| !outcome.failures.is_empty()));
        if ui.json {
            let failures = outcome.map(|outcome| outcome.failures);
            ui.json_line(&json!({
                "skill": name, "id": eval.id, "prompt": eval.prompt, "expected_output": eval.expected_output,
                "checks": eval.checks.len(), "failures": failures,
            }))?;
            continue;
        }
        let sign = match &outcome {
            None => ui.out.paint(Paint::Dim, "·"),
            Some(outcome) if outcome.failures.is_empty() => ui.out.paint(Paint::Green, "✓"),
            Some(_) => ui.out.paint(Paint::Red, "✗"),
        };
        let mut text =
            format!("{sign} {} {} ({})\n", eval.id, clean_line(&eval.prompt), count(eval.checks.len(), "check"));
        for failure in outcome.iter().flat_map(|outcome| &outcome.failures) {
            text.push_str(&format!("    {}\n", clean(failure).replace('\n', "\n    ")));
        }
        ui.data(&text)?;
    }
    if !run {
        ui.say("`--run` performs the checks: it runs the skill's scripts on this machine");
    }
    Ok(if failed == 0 { Exit::Ok } else { Exit::Negative })
}
