//! `baton doctor`

use std::env;

use super::{
    CliError, Context, Exit,
    render::{count, width},
    style::{Paint, clean_line},
};
use crate::{
    adapter::web::{Client, ClientError, Endpoint},
    config::{self, Config},
    doctor::{Check, Health, examine},
};

/// Columns for what was found.
const FOUND_COLUMNS: usize = 78;

/// Works with a broken configuration too: that is one of the things it checks.
pub(super) async fn doctor(context: &Context) -> Result<Exit, CliError> {
    let ui = context.ui;
    let paths = context.paths()?;
    let purpose = "settings for orchestrator, bus, pool and folders";
    let (config, first) = match config::load(&paths, context.global.config.as_deref(), &context.env, Vec::new()) {
        Ok((config, sources)) => {
            let files = sources.iter().filter_map(|source| match source {
                config::Source::File(path) => Some(path.display().to_string()),
                config::Source::Environment(names) => Some(names.join(", ")),
                config::Source::Flags(_) => None,
            });
            let files: Vec<String> = files.collect();
            let found = if files.is_empty() { "defaults".to_owned() } else { files.join(", ") };
            (config, Check::ok("configuration", purpose, found))
        }
        Err(error) => {
            let mend = "mend the named place; deploy/config/baton.toml shows every key";
            (Config::default(), Check::bad("configuration", purpose, Health::Fail, super::error::chain(&error), mend))
        }
    };
    let exe = env::current_exe().unwrap_or_default();
    let own = exe.parent().unwrap_or(&exe);
    ui.say(&ui.err.paint(Paint::Dim, "looking (the accelerator is probed by booting a kernel) …"));
    let mut checks = vec![first];
    checks.extend(examine(&config, &paths, &context.env, own).await);
    checks.extend(orchestrator(&Client::new(Endpoint::Unix(context.socket(&config, &paths)))?).await);
    for check in &checks {
        if ui.json {
            ui.json_line(check)?;
        } else {
            ui.data(&line(context, check))?;
        }
    }
    let of = |health| checks.iter().filter(|check| check.health == health).count();
    let (failed, warned) = (of(Health::Fail), of(Health::Warn));
    ui.say(&match (failed, warned) {
        (0, 0) => "all is well".to_owned(),
        (0, warned) => format!("works; {}", count(warned, "warning")),
        (failed, _) => format!("{} to mend", count(failed, "thing")),
    });
    Ok(if failed == 0 { Exit::Ok } else { Exit::Environment })
}

/// A check for people.
pub(super) fn line(context: &Context, check: &Check) -> String {
    let style = context.ui.out;
    let (sign, paint) = match check.health {
        Health::Ok => ('✓', Paint::Green),
        Health::Warn => ('!', Paint::Yellow),
        Health::Fail => ('✗', Paint::Red),
    };
    let pad = " ".repeat(20_usize.saturating_sub(width(check.name)));
    let found = clean_line(&check.found);
    // What is longer than a line goes on below, in the same column.
    let mut text = format!("{} {}{pad}", style.paint(paint, sign), check.name);
    let mut column = 0;
    for word in found.split(' ') {
        if column > 0 && column + width(word) > FOUND_COLUMNS {
            text.push_str(&format!("\n{:22}", ""));
            column = 0;
        }
        let gap = if column == 0 { "" } else { " " };
        text.push_str(&format!("{gap}{word}"));
        column += width(word) + 1;
    }
    if check.health != Health::Ok {
        text.push_str(&format!("\n{:22}{}", "", style.paint(Paint::Dim, format!("for: {}", check.purpose))));
        if let Some(mend) = &check.mend {
            text.push_str(&format!("\n{:22}{} {mend}", "", style.paint(Paint::Cyan, "mend:")));
        }
    }
    text
}

/// The orchestrator, and what it set aside if it runs and set anything aside.
async fn orchestrator(client: &Client) -> Vec<Check> {
    let (name, purpose) = ("orchestrator", "answers every other command");
    let answer = client.health().await;
    let letters = answer.as_ref().map_or(0, |health| health.dead_letters);
    let own = match answer {
        Ok(health) if !health.bus_connected => Check::bad(
            name,
            purpose,
            Health::Warn,
            "no connection to NATS".to_owned(),
            "see log/nats.log in the state folder",
        ),
        Ok(health) => Check::ok(
            name,
            purpose,
            format!(
                "{} at {}: {}, {}, {}",
                health.version,
                client.endpoint(),
                count(health.hosts as usize, "host"),
                count(health.slots as usize, "slot"),
                count(health.open_projects as usize, "open project")
            ),
        ),
        Err(ClientError::Unreachable { .. }) => {
            Check::bad(name, purpose, Health::Warn, "not running".to_owned(), "start it with `baton up`")
        }
        Err(error) => {
            Check::bad(name, purpose, Health::Fail, error.to_string(), "`baton down`, then `baton up`; see its log")
        }
    };
    let set_aside = (letters > 0).then(|| {
        let found = count(usize::try_from(letters).unwrap_or(usize::MAX), "message");
        let mend = "`baton dead-letters` lists them with the reason; hosts of another version are the usual cause";
        Check::bad("dead letters", "messages of hosts that could not be read", Health::Warn, found, mend)
    });
    std::iter::once(own).chain(set_aside).collect()
}
