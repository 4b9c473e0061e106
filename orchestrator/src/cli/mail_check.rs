//! `baton mail check`

use super::{CliError, Context, Exit, doctor::line, render::count, style::Paint};
use crate::{
    adapter::mail::check::{self, Finding, Grade},
    doctor::{Check, Health},
};

pub(super) async fn check(context: &Context, round_trip: bool) -> Result<Exit, CliError> {
    let ui = context.ui;
    let (mut config, paths) = context.config(Vec::new())?;
    let file = context.global.config.clone().unwrap_or_else(|| paths.config_file());
    config.mail.state_dir = Some(paths.state_dir);
    if round_trip && config.mail.is_on() {
        ui.say(&ui.err.paint(Paint::Dim, "looking (a mail goes to ourselves and is waited for) …"));
    }
    let findings = Box::pin(check::check(&config.mail, round_trip)).await;
    let mut failed = 0;
    let mut warned = 0;
    for mut finding in findings {
        if !config.mail.is_on() {
            // Who begins wants to know where.
            let keys = "mail.address, [mail.imap] and [mail.smtp]";
            finding.hint = Some(format!("set {keys} in {} (docs/mail.md)", file.display()));
        }
        match finding.grade {
            Grade::Ok => {}
            Grade::Warning => warned += 1,
            Grade::Wrong => failed += 1,
        }
        let check = shown(finding);
        if ui.json {
            ui.json_line(&check)?;
        } else {
            ui.data(&line(context, &check))?;
        }
    }
    ui.say(&match (failed, warned) {
        (0, 0) => "all is well: mail comes in and goes out".to_owned(),
        (0, warned) => format!("works; {}", count(warned, "warning")),
        (failed, _) => format!("{} to mend", count(failed, "thing")),
    });
    Ok(if failed == 0 { Exit::Ok } else { Exit::Environment })
}

fn shown(finding: Finding) -> Check {
    let health = match finding.grade {
        Grade::Ok => Health::Ok,
        Grade::Warning => Health::Warn,
        Grade::Wrong => Health::Fail,
    };
    Check { name: finding.part, purpose: finding.purpose, health, found: finding.said, mend: finding.hint }
}
