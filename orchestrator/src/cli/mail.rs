//! `baton mail`

use std::{fs, io::Read as _, path::Path};

use bus_schemas::v1::api::LetterState;
use serde_json::json;

use super::{CliError, Context, Exit, letters, mail_args::MailCommand, mail_check};
use crate::mail::reply::{self, Deciding, Reply};

/// The longest mail that is read, in bytes.
const LONGEST: u64 = 64 * 1024 * 1024;

pub(super) async fn mail(context: &Context, command: MailCommand) -> Result<Exit, CliError> {
    match command {
        MailCommand::Parse { file } => {
            let raw = read(&file)?;
            show(context, &reply::parse(&raw))
        }
        MailCommand::Check { no_send } => mail_check::check(context, !no_send).await,
        MailCommand::Log(args) => letters::list(context, args.state.map(LetterState::from), args.limit).await,
        MailCommand::Show { id, raw } => letters::show(context, &id, raw).await,
        MailCommand::Quarantine => letters::list(context, Some(LetterState::Quarantined), 0).await,
        MailCommand::Release { id } => letters::judge(context, &id, true).await,
        MailCommand::Drop { id } => letters::judge(context, &id, false).await,
        MailCommand::Outbox { limit } => letters::outbox(context, limit).await,
    }
}

fn read(file: &Path) -> Result<Vec<u8>, CliError> {
    let refused = |detail: String| CliError::new(Exit::Invalid, "mail_unreadable", detail, None);
    let mut raw = Vec::new();
    let taken = if file == Path::new("-") {
        std::io::stdin().lock().take(LONGEST + 1).read_to_end(&mut raw)
    } else {
        fs::File::open(file).and_then(|file| file.take(LONGEST + 1).read_to_end(&mut raw))
    };
    taken.map_err(|error| refused(format!("read {}: {error}", file.display())))?;
    if raw.len() as u64 > LONGEST {
        return Err(refused(format!("{} is longer than {} MiB", file.display(), LONGEST / 1024 / 1024)));
    }
    Ok(raw)
}

fn show(context: &Context, reply: &Reply) -> Result<Exit, CliError> {
    if !context.ui.json {
        context.ui.data(&reply.text())?;
        return Ok(Exit::Ok);
    }
    let fragments: Vec<_> =
        reply.fragments.iter().map(|part| json!({ "kind": part.kind.name(), "text": part.text })).collect();
    let decision = match reply.decision() {
        Deciding::Approve => json!({ "kind": "approve" }),
        Deciding::Reject(reason) => json!({ "kind": "reject", "reason": reason }),
        Deciding::Changes(note) => json!({ "kind": "changes", "note": note }),
        Deciding::None => json!({ "kind": "none" }),
        Deciding::Ambiguous(why) => json!({ "kind": "ambiguous", "why": why }),
    };
    context.ui.json_line(&json!({
        "text": reply.text(),
        "fragments": fragments,
        "first_line": reply.first_line(),
        "decision": decision,
    }))?;
    Ok(Exit::Ok)
}
