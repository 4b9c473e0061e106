//! `baton dead-letters`

use super::{
    CliError, Context, Exit,
    render::{ago, now, table},
    style::clean_line,
};

/// Characters of a reason, and of a message's beginning, that are shown; `--json` shows more.
const SHOWN_CHARS: usize = 60;

pub(super) async fn dead_letters(context: &Context) -> Result<Exit, CliError> {
    let ui = context.ui;
    let letters = context.client()?.dead_letters().await?;
    if ui.json {
        letters.iter().try_for_each(|letter| ui.json_line(letter))?;
        return Ok(Exit::Ok);
    }
    if letters.is_empty() {
        ui.say("no message was set aside");
        return Ok(Exit::Ok);
    }
    let rows: Vec<Vec<String>> = letters
        .iter()
        .map(|letter| {
            vec![
                clean_line(&letter.stream),
                letter.sequence.to_string(),
                ago(now(), letter.at),
                shown(&letter.reason),
                letter.payload_bytes.to_string(),
                shown(&letter.payload),
            ]
        })
        .collect();
    ui.data(&table(ui.out, &["STREAM", "SEQUENCE", "AT", "REASON", "BYTES", "PAYLOAD"], &rows))?;
    Ok(Exit::Ok)
}

/// The beginning of it, on one line.
fn shown(text: &str) -> String {
    let line = clean_line(text);
    match line.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
