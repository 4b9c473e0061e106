//! `baton hosts`

use super::{
    CliError, Context, Exit, ids,
    render::{ago, now, table, word},
    style::{Paint, clean_line},
};

/// Characters of a note that are shown; `baton doctor` shows it whole.
const NOTE_CHARS: usize = 100;

pub(super) async fn hosts(context: &Context) -> Result<Exit, CliError> {
    let ui = context.ui;
    let client = context.client()?;
    let hosts = client.hosts().await?;
    if ui.json {
        hosts.iter().try_for_each(|host| ui.json_line(host))?;
        return Ok(Exit::Ok);
    }
    if hosts.is_empty() {
        ui.say("no host has shown itself yet: `baton up` starts one on this machine");
        return Ok(Exit::Ok);
    }
    // Without the bus nobody knows how the hosts are: what they said last is no news.
    let away = !client.health().await?.bus_connected;
    let all = ids::Listed::of(hosts.iter().map(|host| host.beat.host_id));
    let rows: Vec<Vec<String>> = hosts
        .iter()
        .map(|host| {
            let beat = &host.beat;
            let state = if away {
                ui.out.paint(Paint::Yellow, "bus away")
            } else if host.lost {
                ui.out.paint(Paint::Red, "lost")
            } else if beat.problems.is_empty() {
                ui.out.paint(Paint::Green, "alive")
            } else {
                ui.out.paint(Paint::Yellow, "troubled")
            };
            vec![
                all.short(&beat.host_id),
                clean_line(&beat.name),
                state,
                clean_line(&beat.pool),
                format!("{} of {}", beat.attempts.len(), beat.slots),
                beat.spares.to_string(),
                format!("{} ({})", clean_line(&beat.accelerator), word(&beat.isolation)),
                ago(now(), host.seen_at),
            ]
        })
        .collect();
    ui.data(&table(ui.out, &["HOST", "NAME", "STATE", "POOL", "BUSY", "SPARES", "ACCELERATOR", "SEEN"], &rows))?;
    for host in &hosts {
        for problem in
            host.beat.problems.iter().chain(Some(&host.beat.accelerator_note).filter(|note| !note.is_empty()))
        {
            let short: String = clean_line(problem).chars().take(NOTE_CHARS).collect();
            ui.say(&ui.err.paint(Paint::Dim, format!("{}: {short}", clean_line(&host.beat.name))));
        }
    }
    Ok(Exit::Ok)
}
