//! `baton skills export`

use std::path::PathBuf;

use ::skills::{Deed, export as copy};
use serde_json::json;

use super::{args::ExportArgs, place::Place};
use crate::cli::{CliError, Context, Exit, style::clean_line};

pub(super) fn export(context: &Context, args: &ExportArgs) -> Result<Exit, CliError> {
    let ui = context.ui;
    let place = Place::of(context, &args.here)?;
    let mut target = place.target(false)?;
    let to = match args.to.as_str() {
        tool @ ("claude" | "codex" | "agents") => place.folder.join(format!(".{tool}/skills")),
        folder => PathBuf::from(folder),
    };
    let mut names = args.names.clone();
    if args.all {
        names.extend(place.catalog.iter().map(|skill| skill.name.clone()));
    }
    for name in names {
        let skill = place.skill(&name)?;
        let own = skill.folder.parent().and_then(|parent| parent.canonicalize().ok());
        if own.is_some() && own == to.canonicalize().ok() {
            ui.say(&format!("{}: is there already", clean_line(&name)));
            continue;
        }
        let exported = copy(skill, &to, &mut target.entries, args.replace)?;
        if target.entries.skills.contains_key(&name) {
            target.save()?;
        }
        if ui.json {
            ui.json_line(&json!({
                "name": name, "folder": exported.folder, "digest": exported.digest, "deed": exported.deed,
            }))?;
            continue;
        }
        let word = match exported.deed {
            Deed::Written => "written to",
            Deed::Replaced => "replaced in",
            Deed::Unchanged => "is the same in",
        };
        ui.data(&format!("{}: {word} {}", clean_line(&name), exported.folder.display()))?;
    }
    Ok(Exit::Ok)
}
