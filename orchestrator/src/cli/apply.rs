//! `baton apply`, `baton undo`

use bus_schemas::v1::api::{ApplyRequest, ApplyView, UndoRequest};

use super::{
    CliError, Context, Exit, ids,
    render::{changed, count},
    style::{Paint, clean, clean_line},
};

pub(super) async fn apply(context: &Context, id: &str, dry_run: bool) -> Result<Exit, CliError> {
    let client = context.client()?;
    let id = ids::check("ps", id)?;
    let view = client.apply(id, &ApplyRequest { by: context.person(), channel: "cli".to_owned(), dry_run }).await?;
    let exit = show(context, &view, if dry_run { "would change" } else { "changed" })?;
    if exit == Exit::Ok && !dry_run && !view.changed.is_empty() {
        context.ui.say(&format!("`baton undo {id}` takes it back"));
    }
    Ok(exit)
}

pub(super) async fn undo(context: &Context, id: &str, force: bool) -> Result<Exit, CliError> {
    let view = context
        .client()?
        .undo(ids::check("ps", id)?, &UndoRequest { by: context.person(), channel: "cli".to_owned(), force })
        .await?;
    let exit = show(context, &view, "put back")?;
    if exit == Exit::Refused {
        context.ui.say("these files were changed after the apply; `--force` puts them back all the same");
    }
    Ok(exit)
}

fn show(context: &Context, view: &ApplyView, verb: &str) -> Result<Exit, CliError> {
    let ui = context.ui;
    let exit = if view.conflicts.is_empty() { Exit::Ok } else { Exit::Refused };
    if ui.json {
        ui.json_line(view)?;
        return Ok(exit);
    }
    let folder = clean_line(&view.folder);
    if exit == Exit::Refused {
        let mut text = format!(
            "{} nothing was written: {} in {folder}\n",
            ui.out.paint(Paint::Red, "conflict:"),
            count(view.conflicts.len(), "conflict")
        );
        for conflict in &view.conflicts {
            let path = ui.out.paint(Paint::Bold, clean_line(&conflict.path));
            text.push_str(&format!("\n  {path} ({})\n", clean_line(&conflict.kind)));
            for line in clean(&conflict.text).lines() {
                text.push_str(&format!("    {} {line}\n", ui.out.paint(Paint::Dim, "│")));
            }
        }
        ui.data(&text)?;
        return Ok(exit);
    }
    if view.changed.is_empty() {
        ui.say(&format!("nothing to do: {folder} has it all"));
        return Ok(exit);
    }
    let mut text =
        format!("{} {verb} in {folder}\n{}", count(view.changed.len(), "path"), changed(ui.out, &view.changed));
    for path in &view.merged_with_yours {
        let note = ui.out.paint(Paint::Yellow, "merged with your own change:");
        text.push_str(&format!("  {note} {}\n", clean_line(path)));
    }
    ui.data(&text)?;
    Ok(exit)
}
