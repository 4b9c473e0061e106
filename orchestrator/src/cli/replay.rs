//! `baton replay`

use bus_schemas::json::Json;

use super::{
    CliError, Context, Exit, ids,
    render::{clock, span, table},
    style::{Paint, clean_line},
};

/// Characters of an event's fields that are shown.
const FIELDS_SHOWN: usize = 100;

pub(super) async fn replay(context: &Context, id: &str) -> Result<Exit, CliError> {
    let ui = context.ui;
    let entries = context.client()?.journal(ids::check("ps", id)?).await?;
    if ui.json {
        entries.iter().try_for_each(|entry| ui.json_line(entry))?;
        return Ok(Exit::Ok);
    }
    let start = entries.first().map(|entry| entry.at).unwrap_or_default();
    let rows: Vec<Vec<String>> = entries
        .iter()
        .map(|entry| {
            vec![
                entry.version.to_string(),
                clock(entry.at, true),
                ui.out.paint(Paint::Dim, format!("+{}", span(entry.at.since(start)))),
                ui.out.paint(Paint::Cyan, clean_line(&entry.kind)),
                fields(&entry.event),
            ]
        })
        .collect();
    ui.data(&table(ui.out, &["#", "AT", "AFTER", "EVENT", "WHAT"], &rows))?;
    Ok(Exit::Ok)
}

/// The simple fields of an event, `name=value`; what is nested is only named.
fn fields(event: &Json) -> String {
    let mut parts = Vec::new();
    collect(event, &mut parts);
    let text = clean_line(&parts.join(" "));
    if text.chars().count() <= FIELDS_SHOWN {
        return text;
    }
    text.chars().take(FIELDS_SHOWN - 1).chain(['…']).collect()
}

fn collect(event: &Json, parts: &mut Vec<String>) {
    let Json::Map(map) = event else { return };
    for (name, value) in map {
        match value {
            // The columns before say these.
            _ if matches!(name.as_str(), "kind" | "type" | "at" | "version") => {}
            Json::Null => {}
            Json::Bool(flag) => parts.push(format!("{name}={flag}")),
            Json::Int(number) => parts.push(format!("{name}={number}")),
            Json::Float(number) => parts.push(format!("{name}={number}")),
            Json::Text(text) if text.len() == 36 && text.matches('-').count() == 4 => {
                parts.push(format!("{name}={}", ids::alone(text)));
            }
            Json::Text(text) => parts.push(format!("{name}={text}")),
            Json::List(list) => parts.push(format!("{name}[{}]", list.len())),
            Json::Map(_) if map.len() == 1 => collect(value, parts),
            Json::Map(_) => parts.push(format!("{name}{{…}}")),
        }
    }
}
