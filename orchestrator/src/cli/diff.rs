//! `baton diff`

use super::{
    CliError, Context, Exit, ids,
    render::count,
    style::{Paint, Style, clean},
};

pub(super) async fn diff(context: &Context, id: &str, task: Option<&str>) -> Result<Exit, CliError> {
    let ui = context.ui;
    let diff = context.client()?.diff(ids::check("ps", id)?, task).await?;
    if ui.json {
        ui.json_line(&diff)?;
        return Ok(Exit::Ok);
    }
    if diff.changed.is_empty() {
        ui.say("nothing changes");
        return Ok(Exit::Ok);
    }
    // On a terminal control characters are taken out; a pipe gets the patch as it is.
    ui.data(&if ui.out_terminal { coloured(ui.out, &diff.text) } else { diff.text })?;
    ui.say(&ui.err.paint(Paint::Dim, count(diff.changed.len(), "changed path")));
    if diff.truncated {
        ui.say("the diff was cut: it is larger than the orchestrator sends");
    }
    Ok(Exit::Ok)
}

/// A unified diff with colours.
fn coloured(style: Style, text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let line = clean(line.trim_end_matches('\r'));
        let paint = if line.starts_with("diff ") || line.starts_with("+++") || line.starts_with("---") {
            Some(Paint::Bold)
        } else if line.starts_with("@@") {
            Some(Paint::Cyan)
        } else if line.starts_with('+') {
            Some(Paint::Green)
        } else if line.starts_with('-') {
            Some(Paint::Red)
        } else {
            None
        };
        out.push_str(&paint.map_or_else(|| line.clone(), |paint| style.paint(paint, &line)));
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff_has_colours_and_no_escape_of_its_own() {
        let text = coloured(Style { colour: true }, "@@ -1 +1 @@\n-a\x1b[2J\n+b\n c\n");
        assert_eq!(text, "\x1b[36m@@ -1 +1 @@\x1b[0m\n\x1b[31m-a\u{fffd}[2J\x1b[0m\n\x1b[32m+b\x1b[0m\n c\n");
    }
}
