//! `baton replay`

use std::collections::HashMap;

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
    let client = context.client()?;
    let entries = client.journal(ids::check("ps", id)?).await?;
    if ui.json {
        entries.iter().try_for_each(|entry| ui.json_line(entry))?;
        return Ok(Exit::Ok);
    }
    let tasks = client.project(id).await?.tasks;
    let keys: HashMap<String, &str> = tasks.iter().map(|task| (task.task_id.to_string(), task.key.as_str())).collect();
    let start = entries.first().map(|entry| entry.at).unwrap_or_default();
    let rows: Vec<Vec<String>> = entries
        .iter()
        .map(|entry| {
            vec![
                entry.version.to_string(),
                clock(entry.at, true),
                ui.out.paint(Paint::Dim, format!("+{}", span(entry.at.since(start)))),
                ui.out.paint(Paint::Cyan, clean_line(&entry.kind)),
                fields(&entry.event, &keys),
            ]
        })
        .collect();
    ui.data(&table(ui.out, &["#", "AT", "AFTER", "EVENT", "WHAT"], &rows))?;
    Ok(Exit::Ok)
}

/// The task of an event, and its simple fields as `name=value`; what is nested deeper is only named.
fn fields(event: &Json, keys: &HashMap<String, &str>) -> String {
    let mut parts = Vec::new();
    collect(event, keys, &mut parts);
    let text = clean_line(&parts.join(" "));
    if text.chars().count() <= FIELDS_SHOWN {
        return text;
    }
    text.chars().take(FIELDS_SHOWN - 1).chain(['…']).collect()
}

fn collect(event: &Json, keys: &HashMap<String, &str>, parts: &mut Vec<String>) {
    let Json::Map(map) = event else { return };
    for (name, value) in map {
        match value {
            // The other columns or the command line say these; a nonce says nothing to people.
            _ if matches!(name.as_str(), "kind" | "type" | "at" | "version" | "project_id" | "nonce") => {}
            Json::Null => {}
            Json::Bool(flag) => parts.push(format!("{name}={flag}")),
            Json::Int(number) => parts.push(format!("{name}={number}")),
            Json::Float(number) => parts.push(format!("{name}={number}")),
            Json::Text(text) if name == "task_id" => match keys.get(text) {
                Some(key) => parts.insert(0, (*key).to_owned()),
                None => parts.push(format!("{name}={}", ids::alone(text))),
            },
            Json::Text(text) if is_id(text) => parts.push(format!("{name}={}", ids::alone(text))),
            Json::Text(text) if text.is_empty() => {}
            Json::Text(text) => parts.push(format!("{name}={}", digest(text))),
            Json::List(list) => parts.push(format!("{name}[{}]", list.len())),
            Json::Map(_) if name == "fact" => collect(value, keys, parts),
            Json::Map(_) => parts.push(format!("{name}{{…}}")),
        }
    }
}

fn is_id(text: &str) -> bool {
    text.len() == 36 && text.matches('-').count() == 4
}

/// Commits and digests by their first digits; other text as it is.
fn digest(text: &str) -> &str {
    let hex = text.len() >= 40 && text.chars().all(|c| c.is_ascii_hexdigit());
    if hex { text.get(..12).unwrap_or(text) } else { text }
}
