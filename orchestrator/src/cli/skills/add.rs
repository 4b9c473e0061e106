//! `baton skills add`, `baton skills remove`

use ::skills::{Admission, Candidate, Deed, Severity, Standing, Status, candidates, fetch, install, remove, worst};
use serde_json::json;

use super::{
    args::{AddArgs, Here},
    list::changes,
    place::{Place, Target, at},
    shown,
};
use crate::cli::{
    CliError, Context, Exit,
    render::count,
    style::{Paint, clean_line},
};

pub(super) fn add(context: &Context, args: &AddArgs) -> Result<Exit, CliError> {
    let ui = context.ui;
    let place = Place::of(context, &args.here)?;
    let mut target = place.target(args.user)?;
    let fetched = fetch(&args.source)?;
    let found = candidates(&fetched)?;
    let mut exit = Exit::Ok;
    for candidate in choose(&found, args)? {
        introduce(context, candidate, &target)?;
        let is_bad = worst(&candidate.findings) == Some(Severity::Error) && !args.accept;
        if !is_bad && ui.interactive() && !args.yes {
            let question = format!("Admit {} into {}?", clean_line(&candidate.name), target.skills.display());
            if !ui.confirm(&question)? {
                exit = Exit::Negative;
                continue;
            }
        }
        let (now, by) = (at(), context.person());
        let admission = Admission { at: &now, by: &by, accept: args.accept, replace: args.replace };
        let added = install(candidate, &target.skills, &mut target.entries, &admission)?;
        target.save()?;
        if ui.json {
            ui.json_line(&json!({
                "name": candidate.name, "folder": added.folder, "deed": added.deed, "source": candidate.source,
                "revision": candidate.revision, "digest": candidate.packed.digest, "before": added.before,
            }))?;
        } else {
            let word = match added.deed {
                Deed::Written => "added",
                Deed::Replaced => "replaced",
                Deed::Unchanged => "is there already, admitted again",
            };
            ui.data(&format!("{}: {word} in {}", clean_line(&candidate.name), added.folder.display()))?;
        }
        if let Some(other) = place.catalog.get(&candidate.name).filter(|other| other.folder != added.folder) {
            ui.say(&format!(
                "note: there is a {} skill of that name in {}; `baton skills list` says which counts",
                other.source,
                other.folder.display()
            ));
        }
    }
    Ok(exit)
}

fn choose<'a>(found: &'a [Candidate], args: &AddArgs) -> Result<Vec<&'a Candidate>, CliError> {
    let names = || found.iter().map(|one| clean_line(&one.name)).collect::<Vec<_>>().join(", ");
    if args.all || (found.len() == 1 && args.skills.is_empty()) {
        return Ok(found.iter().collect());
    }
    if args.skills.is_empty() {
        let detail = format!("there are {} there: {}", count(found.len(), "skill"), names());
        return Err(CliError::new(Exit::Usage, "pick_one", detail, Some("say which with `--skill NAME`, or `--all`")));
    }
    let pick = |name: &String| {
        found.iter().find(|one| one.name == *name).ok_or_else(|| {
            let detail = format!("there is no skill {} there, but {}", clean_line(name), names());
            CliError::new(Exit::NotFound, "missing_skill", detail, None)
        })
    };
    args.skills.iter().map(pick).collect()
}

/// What a person should see before it is admitted.
fn introduce(context: &Context, candidate: &Candidate, target: &Target) -> Result<(), CliError> {
    let ui = context.ui;
    let scripts: Vec<String> =
        candidate.packed.files.iter().filter(|file| file.script).map(|file| clean_line(&file.path)).collect();
    ui.say(&format!(
        "{}: {}",
        ui.err.paint(Paint::Bold, clean_line(&candidate.name)),
        clean_line(&candidate.description)
    ));
    ui.say(&format!("  from {}", clean_line(&candidate.source)));
    if let Some(revision) = &candidate.revision {
        ui.say(&format!("  revision {revision}"));
    }
    let files = count(candidate.packed.files.len(), "file");
    let programs =
        if scripts.is_empty() { "no programs".to_owned() } else { format!("programs: {}", scripts.join(", ")) };
    ui.say(&format!("  {files}, {programs}"));
    if let Standing::Changed { files, new_scripts } = target.entries.compare(&candidate.packed) {
        ui.say("  differs from what was admitted:");
        ui.say(changes(ui.err, &Status::Changed { files, new_scripts }).trim_end());
    }
    if !candidate.findings.is_empty() && !ui.json {
        ui.say(shown::render(ui.err, &candidate.name, None, &candidate.findings).trim_end());
    }
    Ok(())
}

pub(super) fn removed(context: &Context, name: &str, user: bool, force: bool, here: &Here) -> Result<Exit, CliError> {
    let place = Place::of(context, here)?;
    let mut target = place.target(user)?;
    let folder = remove(name, &target.skills, &mut target.entries, force)?;
    target.save()?;
    if context.ui.json {
        context.ui.json_line(&json!({ "name": name, "folder": folder, "removed": true }))?;
    } else {
        context.ui.data(&format!("{}: removed from {}", clean_line(name), folder.display()))?;
    }
    Ok(Exit::Ok)
}
