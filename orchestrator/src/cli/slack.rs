//! `baton slack`

use std::time::Duration;

use super::{CliError, Context, Exit, args::SlackCommand, doctor::line, render::count};
use crate::{
    adapter::slack::{
        Access, Morphism, Patience,
        check::{Finding, Grade, check},
        socket::SocketSettings,
    },
    doctor::{Check, Health},
};

/// How long one look may take: somebody sits before it.
const AWAITED: Duration = Duration::from_secs(15);

pub(super) async fn slack(context: &Context, command: SlackCommand) -> Result<Exit, CliError> {
    match command {
        SlackCommand::Check => look(context).await,
    }
}

async fn look(context: &Context) -> Result<Exit, CliError> {
    let ui = context.ui;
    let (config, _) = context.config(Vec::new())?;
    let refused = |detail: String| {
        CliError::new(Exit::Invalid, "slack_settings", detail, Some("docs/slack.md: set-up in five minutes"))
    };
    let complaints = config.slack.complaints();
    if !complaints.is_empty() {
        return Err(refused(complaints.join("; ")));
    }
    let access = Access::of(&config.slack).map_err(refused)?;
    let patience = Patience { call: AWAITED, ..access.patience };
    let web = Morphism::new(&Access { patience, ..access }).map_err(refused)?;
    let settings = SocketSettings::new(&web).map_err(refused)?;
    let members = config.members.iter().filter_map(|(name, member)| Some((name.clone(), member.slack.clone()?)));
    let members: Vec<(String, String)> = members.collect();
    let findings = check(&web, &config.slack, &members, &settings).await;
    let mut failed = 0;
    let mut warned = 0;
    for finding in findings {
        match finding.grade {
            Grade::Good => {}
            Grade::Warn => warned += 1,
            Grade::Bad => failed += 1,
        }
        let check = shown(finding);
        if ui.json {
            ui.json_line(&check)?;
        } else {
            ui.data(&line(context, &check))?;
        }
    }
    ui.say(&match (failed, warned) {
        (0, 0) => "all is well: `baton up` connects to Slack".to_owned(),
        (0, warned) => format!("works; {}", count(warned, "warning")),
        (failed, _) => format!("{} to mend", count(failed, "thing")),
    });
    Ok(if failed == 0 { Exit::Ok } else { Exit::Environment })
}

fn shown(finding: Finding) -> Check {
    let health = match finding.grade {
        Grade::Good => Health::Ok,
        Grade::Warn => Health::Warn,
        Grade::Bad => Health::Fail,
    };
    Check { name: finding.name, purpose: finding.purpose, health, found: finding.found, mend: finding.mend }
}
